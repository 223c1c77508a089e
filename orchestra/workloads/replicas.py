"""Keeping so many Pods: what ReplicaSets and ReplicationControllers have in common."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

import attrs

from orchestra.api.apps import ReplicaSet
from orchestra.api.core import Pod, PodTemplateSpec
from orchestra.api.core.replicationcontroller import ReplicationController
from orchestra.api.rules import condition, controller_of, is_active, is_available, is_ready
from orchestra.api.selectors import Selector, selector_from_labels
from orchestra.controller.interface import Context, Controller, Listers, Result
from orchestra.errors import APIError, NotFound
from orchestra.workloads.pods import (
    MAX_BURST,
    ORPHANS,
    claim,
    create_pods,
    delete_pods,
    is_namespace_ending,
    pace_seconds,
)
from orchestra.workloads.victims import rank_victims

R = TypeVar("R", ReplicaSet, ReplicationController)


@attrs.frozen(kw_only=True)
class Replicas(Generic[R]):
    """A kind whose objects keep so many Pods, and where it differs from the other one."""

    name: str
    kind: type[R]
    selector: Callable[[R], Selector]
    condition: Callable[..., Any]
    reports_terminating: bool = False
    component: str = ""

    def controller(self, workers: int) -> Controller[R]:
        """Return the controller of the kind."""
        return Controller(
            name=self.name,
            for_=self.kind,
            reconcile=self._reconcile,
            owns=(Pod,),
            watches={Pod: self._adopters},
            indexes=(ORPHANS,),
            pace=lambda rs: pace_seconds(rs.spec.replicas),
            workers=workers,
            component=self.component,
        )

    async def _reconcile(self, rs: R, ctx: Context) -> Result | None:
        return await reconcile(self, rs, ctx)

    def _adopters(self, pod: Pod, caches: Listers) -> Iterable[tuple[str, str]]:
        """Return the objects that may adopt a Pod which nobody owns."""
        if controller_of(pod) is not None:
            return ()
        return tuple(
            (rs.metadata.namespace, rs.metadata.name)
            for rs in caches.lister(self.kind).list(pod.metadata.namespace)
            if self.selector(rs).matches(pod.metadata.labels)
        )


async def reconcile(replicas: Replicas[R], rs: R, ctx: Context) -> Result | None:
    """Create or delete Pods until as many are active as `spec.replicas` says, and report."""
    pods = await claim(rs, replicas.kind, replicas.selector(rs), ctx)
    active = [pod for pod in pods if is_active(pod)]
    wanted = 1 if rs.spec.replicas is None else rs.spec.replicas
    error = None
    if rs.metadata.deletion_timestamp is None and len(active) < wanted:
        error = await create_pods(rs, _template(rs), wanted - len(active), ctx)
        if error is not None and is_namespace_ending(error):
            error = None
    elif rs.metadata.deletion_timestamp is None and len(active) > wanted:
        ranked = rank_victims(active, _related_on_node(replicas, rs, ctx), ctx.clock.now())
        error = await delete_pods(rs, ranked[: min(len(active) - wanted, MAX_BURST)], ctx)
    status = _counted(replicas, rs, pods, ctx)
    status = attrs.evolve(status, conditions=_conditions(replicas, rs, wanted - len(active), error, ctx))
    if status != rs.status:
        try:
            await ctx.client.update(attrs.evolve(rs, status=status), subresource="status")
        except NotFound:
            return None
    if error is not None:
        raise error
    if abs(len(active) - wanted) > MAX_BURST:
        return ctx.requeue(after=0)
    again = seconds_to_available(active, rs.spec.min_ready_seconds, ctx.clock.now())
    return None if again is None else ctx.requeue(after=again)


def seconds_to_available(pods: Iterable[Pod], min_ready_seconds: int, now: datetime) -> float | None:
    """Return when the next ready Pod will have been ready for long enough; None when there is none to wait for."""
    if not min_ready_seconds:
        return None
    waiting = [
        (since + timedelta(seconds=min_ready_seconds) - now).total_seconds()
        for pod in pods
        if is_ready(pod) and (since := condition(pod, "Ready").last_transition_time) is not None
    ]
    return min((seconds for seconds in waiting if seconds > 0), default=None)


def _related_on_node(replicas: Replicas[R], rs: R, ctx: Context) -> dict[str, int]:
    """Count, by node, the active Pods of all ReplicaSets of the same Deployment; nothing for one that stands alone."""
    owner = controller_of(rs)
    if owner is None:
        return {}
    counts: Counter[str] = Counter()
    for sibling in ctx.lister(replicas.kind).by_index("owner", owner.uid):
        for pod in ctx.lister(Pod).by_index("owner", sibling.metadata.uid):
            if is_active(pod):
                counts[pod.spec.node_name] += 1
    return dict(counts)


def _template(rs: ReplicaSet | ReplicationController) -> PodTemplateSpec:
    return rs.spec.template or PodTemplateSpec()


def _counted(replicas: Replicas[R], rs: R, pods: Iterable[Pod], ctx: Context) -> Any:
    """Count Pods as `status` reports them; a Pod that is ending counts only among the terminating ones."""
    now = ctx.clock.now()
    labels = selector_from_labels(_template(rs).metadata.labels)
    active = labeled = ready = available = terminating = 0
    for pod in pods:
        if pod.metadata.deletion_timestamp is not None:
            terminating += 1
        if not is_active(pod):
            continue
        active += 1
        labeled += labels.matches(pod.metadata.labels)
        if is_ready(pod):
            ready += 1
            available += is_available(pod, rs.spec.min_ready_seconds, now)
    more: dict[str, Any] = {"terminating_replicas": terminating} if replicas.reports_terminating else {}
    return attrs.evolve(
        rs.status,
        replicas=active,
        fully_labeled_replicas=labeled,
        ready_replicas=ready,
        available_replicas=available,
        observed_generation=rs.metadata.generation,
        **more,
    )


def _conditions(replicas: Replicas[R], rs: R, lacking: int, error: APIError | None, ctx: Context) -> tuple[Any, ...]:
    conditions: tuple[Any, ...] = rs.status.conditions
    others: tuple[Any, ...] = tuple(c for c in conditions if c.type != "ReplicaFailure")
    if error is None:
        return others
    if len(others) < len(conditions):
        return conditions
    failure = replicas.condition(
        type="ReplicaFailure",
        status="True",
        reason="FailedCreate" if lacking > 0 else "FailedDelete",
        message=str(error),
        last_transition_time=ctx.clock.now().replace(microsecond=0),
    )
    return (*others, failure)
