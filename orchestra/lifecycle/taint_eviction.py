"""Deletes Pods from nodes whose NoExecute taints they do not tolerate, or no longer. The driver of `evicting.py`."""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from orchestra.api.codec import encode
from orchestra.api.core import Node, Pod, PodCondition
from orchestra.api.rules.conditions import set_condition
from orchestra.client.interface import Patch, PatchType
from orchestra.controller.interface import Change, Context, Controller, Key, Listers, Result
from orchestra.errors import NotFound
from orchestra.lifecycle.evicting import evicting_taints, may_stay_seconds

DISRUPTION = "DisruptionTarget"


def disruption(reason: str, message: str) -> PodCondition:
    """Return the condition by which a Pod says why it was made to go."""
    return PodCondition(type=DISRUPTION, status="True", reason=reason, message=message)


@attrs.define
class _Planned:
    uid: str
    since: float
    due: float


class TaintEviction:
    """The reconciler of Pods on tainted nodes; remembers since when each has been allowed to stay."""

    def __init__(self) -> None:
        self._planned: dict[Key, _Planned] = {}

    async def reconcile(self, pod: Pod, ctx: Context) -> Result | None:
        """Evict the Pod, now or when its toleration ends, or call that off."""
        node = ctx.lister(Node).get("", pod.spec.node_name) if pod.spec.node_name else None
        taints = evicting_taints(node.spec.taints) if node is not None else ()
        now = ctx.clock.monotonic()
        planned = self._planned.get(ctx.key)
        if planned is not None and planned.uid != pod.metadata.uid:
            del self._planned[ctx.key]
            planned = None
        stay = may_stay_seconds(pod, taints)
        if stay is None:
            if planned is not None:
                del self._planned[ctx.key]
                ctx.events.normal(pod, "TaintManagerEviction", f"Cancelling deletion of Pod {pod.key}")
            return None
        # The time runs from the first taint on: another one can shorten it but not start it anew.
        since = planned.since if planned is not None else now
        due = since + stay
        if due > now:
            self._planned[ctx.key] = _Planned(pod.metadata.uid, since, due)
            return ctx.requeue(after=due - now)
        self._planned.pop(ctx.key, None)
        await self._evict(pod, ctx)
        return None

    async def deleted(self, key: Key, ctx: Context) -> Result | None:
        """Forget the Pod."""
        self._planned.pop(key, None)
        return None

    async def _evict(self, pod: Pod, ctx: Context) -> None:
        ctx.events.normal(pod, "TaintManagerEviction", f"Marking for deletion Pod {pod.key}")
        condition = disruption("DeletionByTaintManager", "Taint manager: deleting due to NoExecute taint")
        await mark_disrupted(pod, condition, ctx)
        try:
            await ctx.client.delete(Pod, pod.metadata.name, namespace=pod.metadata.namespace)
        except NotFound:
            ctx.log.debug("pod is gone already")


async def mark_disrupted(pod: Pod, condition: PodCondition, ctx: Context, phase: str = "") -> None:
    """Write a condition, and a phase if given, into a Pod's status."""
    conditions = set_condition(pod.status.conditions, condition, ctx.clock.now())
    status: dict[str, object] = {}
    if conditions is not pod.status.conditions:
        status["conditions"] = [encode(item) for item in conditions]
    if phase and pod.status.phase != phase:
        status["phase"] = phase
    if not status:
        return
    patch = Patch(PatchType.MERGE, {"metadata": {"uid": pod.metadata.uid}, "status": status})
    meta = pod.metadata
    try:
        await ctx.client.patch(Pod, meta.name, patch, namespace=meta.namespace, subresource="status")
    except NotFound:
        ctx.log.debug("pod is gone already")


def _pods_of_node(node: Node, listers: Listers) -> Iterable[Key]:
    for pod in listers.lister(Pod).by_index("spec.nodeName", node.metadata.name):
        yield Key(pod.metadata.namespace, pod.metadata.name)


def _taints_changed(change: Change[Node]) -> bool:
    before = evicting_taints(change.old.spec.taints) if change.old is not None else ()
    after = evicting_taints(change.new.spec.taints) if change.new is not None else ()
    return before != after


def _placed_or_gone(change: Change[Pod]) -> bool:
    """A Pod matters when it comes to a node, when what it tolerates changes, and when it is gone."""
    old, new = change
    if new is None:
        return True
    if old is None:
        return bool(new.spec.node_name)
    return old.spec is not new.spec and (
        old.metadata.uid != new.metadata.uid
        or old.spec.node_name != new.spec.node_name
        or old.spec.tolerations != new.spec.tolerations
    )


def taint_eviction_controller() -> Controller[Pod]:
    """Return the controller that evicts Pods by taints."""
    return Controller(
        name="taint-eviction",
        for_=Pod,
        reconcile=TaintEviction(),
        watches={Node: _pods_of_node},
        predicates={Pod: _placed_or_gone, Node: _taints_changed},
    )
