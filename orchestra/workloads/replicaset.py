"""ReplicaSets: keep so many Pods."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta

import attrs

from orchestra.api.apps import ReplicaSet, ReplicaSetCondition, ReplicaSetStatus
from orchestra.api.core import Pod
from orchestra.api.rules import condition, controller_of, is_active, is_available, is_ready
from orchestra.api.selectors import Selector, label_selector, selector_from_labels
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


def replicaset_controller(*, workers: int = 5) -> Controller[ReplicaSet]:
    """Return the controller that keeps the number of Pods of every ReplicaSet."""
    return Controller(
        name="replicaset",
        for_=ReplicaSet,
        reconcile=reconcile,
        owns=(Pod,),
        watches={Pod: _adopters},
        indexes=(ORPHANS,),
        pace=lambda rs: pace_seconds(rs.spec.replicas),
        workers=workers,
    )


def _adopters(pod: Pod, caches: Listers) -> Iterable[tuple[str, str]]:
    """Return the ReplicaSets that may adopt a Pod which nobody owns."""
    if controller_of(pod) is not None:
        return ()
    return tuple(
        (rs.metadata.namespace, rs.metadata.name)
        for rs in caches.lister(ReplicaSet).list(pod.metadata.namespace)
        if _selector(rs).matches(pod.metadata.labels)
    )


def _selector(rs: ReplicaSet) -> Selector:
    return label_selector(rs.spec.selector)


async def reconcile(rs: ReplicaSet, ctx: Context) -> Result | None:
    """Create or delete Pods until as many are active as `spec.replicas` says, and report."""
    pods = await claim(rs, ReplicaSet, _selector(rs), ctx)
    active = [pod for pod in pods if is_active(pod)]
    wanted = 1 if rs.spec.replicas is None else rs.spec.replicas
    error = None
    if rs.metadata.deletion_timestamp is None and len(active) < wanted:
        error = await create_pods(rs, rs.spec.template, wanted - len(active), ctx)
        if error is not None and is_namespace_ending(error):
            error = None
    elif rs.metadata.deletion_timestamp is None and len(active) > wanted:
        ranked = rank_victims(active, _related_on_node(rs, ctx), ctx.clock.now())
        error = await delete_pods(rs, ranked[: min(len(active) - wanted, MAX_BURST)], ctx)
    status = replicaset_status(rs, pods, wanted - len(active), error, ctx)
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


def _related_on_node(rs: ReplicaSet, ctx: Context) -> dict[str, int]:
    """Count, by node, the active Pods of all ReplicaSets of the same Deployment; nothing for one that stands alone."""
    owner = controller_of(rs)
    if owner is None:
        return {}
    counts: Counter[str] = Counter()
    for sibling in ctx.lister(ReplicaSet).by_index("owner", owner.uid):
        for pod in ctx.lister(Pod).by_index("owner", sibling.metadata.uid):
            if is_active(pod):
                counts[pod.spec.node_name] += 1
    return dict(counts)


def replicaset_status(
    rs: ReplicaSet, pods: Iterable[Pod], lacking: int, error: APIError | None, ctx: Context
) -> ReplicaSetStatus:
    """Count Pods as `status` reports them; a Pod that is ending counts only among the terminating ones."""
    now = ctx.clock.now()
    labels = selector_from_labels(rs.spec.template.metadata.labels)
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
    return attrs.evolve(
        rs.status,
        replicas=active,
        fully_labeled_replicas=labeled,
        ready_replicas=ready,
        available_replicas=available,
        terminating_replicas=terminating,
        observed_generation=rs.metadata.generation,
        conditions=_conditions(rs, lacking, error, ctx),
    )


def _conditions(rs: ReplicaSet, lacking: int, error: APIError | None, ctx: Context) -> tuple[ReplicaSetCondition, ...]:
    old = next((c for c in rs.status.conditions if c.type == "ReplicaFailure"), None)
    others = tuple(c for c in rs.status.conditions if c.type != "ReplicaFailure")
    if error is None:
        return others
    if old is not None:
        return rs.status.conditions
    failure = ReplicaSetCondition(
        type="ReplicaFailure",
        status="True",
        reason="FailedCreate" if lacking > 0 else "FailedDelete",
        message=str(error),
        last_transition_time=ctx.clock.now().replace(microsecond=0),
    )
    return (*others, failure)
