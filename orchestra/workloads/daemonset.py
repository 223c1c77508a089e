"""DaemonSets: one Pod on every node that fits."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

import attrs

from orchestra.api.apps import ControllerRevision, DaemonSet
from orchestra.api.core import Node, Pod, PodTemplateSpec
from orchestra.api.meta import LabelSelector
from orchestra.api.rules import controller_of
from orchestra.api.selectors import label_selector
from orchestra.backoff import Backoff
from orchestra.controller.interface import Change, Context, Controller, Key, Listers, Result
from orchestra.errors import APIError, NotFound
from orchestra.workloads import history
from orchestra.workloads.daemon_nodes import (
    GENERATION_ANNOTATION,
    GENERATION_LABEL,
    HASH_LABEL,
    Daemons,
    Fault,
    Plan,
    belonging,
    by_node,
    daemon_spec,
    live_words,
)
from orchestra.workloads.pods import (
    MAX_BURST,
    ORPHANS,
    claim,
    create_from_templates,
    delete_pods,
    is_namespace_ending,
    pace_seconds,
)

FAILED_POD_BACKOFF = Backoff(initial_seconds=1.0, max_seconds=900.0)
"""How long a Pod that fails again and again on one node is left before it is replaced."""


def daemonset_controller(*, workers: int = 2) -> Controller[DaemonSet]:
    """Return the controller that keeps one Pod of every DaemonSet on every node that fits."""
    return Controller(
        name="daemonset",
        for_=DaemonSet,
        reconcile=_DaemonSets(),
        owns=(Pod, ControllerRevision),
        watches={Node: _everywhere, Pod: _adopters, ControllerRevision: _adopters},
        predicates={Node: _changes_belonging},
        indexes=(ORPHANS,),
        pace=lambda ds: pace_seconds(ds.status.desired_number_scheduled),
        workers=workers,
    )


def _everywhere(_: Node, caches: Listers) -> Iterable[tuple[str, str]]:
    return tuple((ds.metadata.namespace, ds.metadata.name) for ds in caches.lister(DaemonSet).list())


def _changes_belonging(change: Change[Node]) -> bool:
    """Whether a node's change can matter; its heartbeats do not.

    Neither does its end, as in Kubernetes: the Pods that it leaves behind are collected, and that is noticed.
    """
    old, new = change
    if old is None or new is None:
        return new is not None
    return old.metadata.labels != new.metadata.labels or old.spec.taints != new.spec.taints


def _adopters(obj: Pod | ControllerRevision, caches: Listers) -> Iterable[tuple[str, str]]:
    """Return the DaemonSets that may adopt what nobody owns."""
    if controller_of(obj) is not None:
        return ()
    return tuple(
        (ds.metadata.namespace, ds.metadata.name)
        for ds in caches.lister(DaemonSet).list(obj.metadata.namespace)
        if label_selector(ds.spec.selector).matches(obj.metadata.labels)
    )


@attrs.frozen
class _Failing:
    """How often a Pod of one DaemonSet failed on one node, and when it was last replaced."""

    times: int
    since: datetime

    @property
    def until(self) -> datetime:
        return self.since + timedelta(seconds=FAILED_POD_BACKOFF.delay_seconds(self.times))

    def is_over(self, now: datetime) -> bool:
        return now - self.since > timedelta(seconds=2 * FAILED_POD_BACKOFF.max_seconds)


class _DaemonSets:
    """Reconciles DaemonSets; remembers between reconciles only where Pods keep failing."""

    def __init__(self) -> None:
        self._failing: dict[tuple[str, str], _Failing] = {}

    async def reconcile(self, ds: DaemonSet, ctx: Context) -> Result | None:
        """Start, replace and delete the Pods of a DaemonSet, node by node, and report."""
        if ds.spec.selector is None or ds.spec.selector == LabelSelector():
            text = "This daemon set is selecting all pods. A non-empty selector is required."
            ctx.events.warning(ds, "SelectingAll", text)
            return None
        if ds.metadata.deletion_timestamp is not None:
            return None
        selector = label_selector(ds.spec.selector)
        revisions = await history.claim_revisions(ds, DaemonSet, selector, ctx)
        current = await self._current_revision(ds, revisions, ctx)
        if current is None:
            return None
        pods = await claim(ds, DaemonSet, selector, ctx, adopts=lambda pod: pod.metadata.deletion_timestamp is None)
        daemons = self._look(ds, current.metadata.labels.get(HASH_LABEL, ""), pods, ctx)
        plan, again = self._upkeep(daemons, ctx)
        if not plan.create_on and not plan.delete and ds.spec.update_strategy.type == "RollingUpdate":
            plan = daemons.rollout()
        error = await self._carry_out(daemons, plan, ctx)
        if error is None:
            await self._forget(ds, [r for r in revisions if r.metadata.name != current.metadata.name], daemons, ctx)
        await self._report(daemons, error, ctx)
        if error is not None and not is_namespace_ending(error):
            raise error
        return self._next(daemons, plan, again, ctx)

    async def deleted(self, key: Key, ctx: Context) -> Result | None:
        """Forget failures of what is gone: they are kept by uid, so only time can tell which."""
        now = ctx.clock.now()
        self._failing = {place: one for place, one in self._failing.items() if not one.is_over(now)}
        return None

    # ---- templates

    async def _current_revision(
        self, ds: DaemonSet, revisions: list[ControllerRevision], ctx: Context
    ) -> ControllerRevision | None:
        """Return the revision of the present template, made or made the newest where needed."""
        equal = history.equal_to(revisions, ds.spec.template)
        old = [one.revision for one in revisions if one not in equal]
        number = max(old, default=0) + 1
        if equal:
            newest = equal[-1]
            await self._unite(ds, equal[:-1], newest, ctx)
            return newest if newest.revision >= number else await history.renumber(newest, number, ctx)
        made = history.new_revision(
            ds,
            ds.spec.template,
            number=number,
            hash_label=HASH_LABEL,
            collision_count=ds.status.collision_count,
            annotations=ds.metadata.annotations,
        )
        stored = await history.store_revision(made, ctx)
        if stored is None:
            status = attrs.evolve(ds.status, collision_count=(ds.status.collision_count or 0) + 1)
            await ctx.client.update(attrs.evolve(ds, status=status), subresource="status")
        return stored

    async def _unite(
        self, ds: DaemonSet, doubles: list[ControllerRevision], kept: ControllerRevision, ctx: Context
    ) -> None:
        """Delete further revisions of one template, after giving their Pods the label of the one that is kept."""
        word = kept.metadata.labels.get(HASH_LABEL, "")
        words = {one.metadata.labels.get(HASH_LABEL, "") for one in doubles}
        for pod in ctx.lister(Pod).by_index("owner", ds.metadata.uid) if doubles else ():
            if pod.metadata.labels.get(HASH_LABEL) in words - {word}:
                labels = {**pod.metadata.labels, HASH_LABEL: word}
                await ctx.client.update(attrs.evolve(pod, metadata=attrs.evolve(pod.metadata, labels=labels)))
        await history.delete_revisions(doubles, ctx)

    async def _forget(self, ds: DaemonSet, old: list[ControllerRevision], daemons: Daemons, ctx: Context) -> None:
        """Keep as many old revisions as the limit says; those of which Pods are left count, but do not go."""
        limit = 10 if ds.spec.revision_history_limit is None else ds.spec.revision_history_limit
        words = live_words(daemons.pods)
        unused = [one for one in history.in_order(old) if one.metadata.labels.get(HASH_LABEL) not in words]
        await history.delete_revisions(unused[: max(len(old) - limit, 0)], ctx)

    # ---- Pods

    def _look(self, ds: DaemonSet, word: str, pods: Iterable[Pod], ctx: Context) -> Daemons:
        nodes = {node.metadata.name: belonging(ds, node) for node in ctx.lister(Node).list()}
        return Daemons(daemon_set=ds, word=word, nodes=nodes, pods=by_node(pods), now=ctx.clock.now())

    def _upkeep(self, daemons: Daemons, ctx: Context) -> tuple[Plan, float | None]:
        """Return what is to be done, without the ended Pods that must wait, and when the first of these is due."""
        plan = daemons.upkeep()
        due = [fault for fault in plan.ended if self._is_due(daemons, fault, ctx)]
        waiting = [
            (self._failing[daemons.daemon_set.metadata.uid, fault.node].until - daemons.now).total_seconds()
            for fault in plan.ended
            if fault not in due
        ]
        return attrs.evolve(plan, delete=(*plan.delete, *(fault.pod for fault in due))), min(waiting, default=None)

    def _is_due(self, daemons: Daemons, fault: Fault, ctx: Context) -> bool:
        ds, meta = daemons.daemon_set, fault.pod.metadata
        where = f"{fault.outcome} daemon pod {meta.namespace}/{meta.name} on node {fault.node}"
        if fault.outcome == "succeeded":
            ctx.events.normal(ds, "SucceededDaemonPod", f"Found {where}, will try to delete it")
            return True
        place = (ds.metadata.uid, fault.node)
        before = self._failing.get(place)
        if before is not None and before.is_over(daemons.now):
            before = None
        if before is not None and daemons.now < before.until:
            return False
        self._failing[place] = _Failing(1 if before is None else before.times + 1, daemons.now)
        ctx.events.warning(ds, "FailedDaemonPod", f"Found {where}, will try to kill it")
        return True

    async def _carry_out(self, daemons: Daemons, plan: Plan, ctx: Context) -> APIError | None:
        ds = daemons.daemon_set
        templates = [_template(daemons, node) for node in plan.create_on]
        error = await create_from_templates(ds, templates, ctx)
        return await delete_pods(ds, plan.delete, ctx) or error

    # ---- reporting

    async def _report(self, daemons: Daemons, error: APIError | None, ctx: Context) -> None:
        ds = daemons.daemon_set
        status = daemons.status(observed=error is None)
        if status == ds.status:
            return
        try:
            await ctx.client.update(attrs.evolve(ds, status=status), subresource="status")
        except NotFound:
            return

    def _next(self, daemons: Daemons, plan: Plan, again: float | None, ctx: Context) -> Result | None:
        """Return when to look again: for what did not fit into one go, for availability, for a Pod that must wait."""
        if len(plan.create_on) > MAX_BURST or len(plan.delete) > MAX_BURST:
            return ctx.requeue(after=0)
        status, seconds = daemons.status(observed=True), daemons.daemon_set.spec.min_ready_seconds
        waits = [] if again is None else [again]
        if seconds > 0 and status.number_ready != status.number_available:
            waits.append(float(seconds))
        return ctx.requeue(after=min(waits)) if waits else None


def _template(daemons: Daemons, node: str) -> PodTemplateSpec:
    """Return the template of the Pod for one node."""
    ds = daemons.daemon_set
    template = ds.spec.template
    labels = {**template.metadata.labels, HASH_LABEL: daemons.word}
    generation = ds.metadata.annotations.get(GENERATION_ANNOTATION)
    if generation:
        labels[GENERATION_LABEL] = generation
    meta = attrs.evolve(template.metadata, labels=labels)
    return attrs.evolve(template, metadata=meta, spec=daemon_spec(template.spec, node))
