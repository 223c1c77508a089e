"""Keeps the status of PodDisruptionBudgets, and takes back what Pods say of disruptions that never came.

The driver of `budgets.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from orchestra.api.apps import Deployment, ReplicaSet, StatefulSet
from orchestra.api.codec import encode
from orchestra.api.core import Pod, PodCondition
from orchestra.api.core.replicationcontroller import ReplicationController
from orchestra.api.object import OwnerReference
from orchestra.api.policy import PodDisruptionBudget, PodDisruptionBudgetStatus
from orchestra.api.rules.conditions import set_condition
from orchestra.api.rules.owners import controller_of
from orchestra.api.selectors import label_selector
from orchestra.client.interface import Patch, PatchType
from orchestra.controller.interface import Change, Context, Controller, Listers, Result
from orchestra.errors import NotFound
from orchestra.lifecycle import budgets

_CACHED: Mapping[tuple[str, str], type[Any]] = {
    ("ReplicaSet", "apps"): ReplicaSet,
    ("StatefulSet", "apps"): StatefulSet,
    ("ReplicationController", ""): ReplicationController,
}
"""Owners whose scale the caches tell, by kind and group."""


@attrs.frozen
class _Uncountable:
    """Why nobody can say how many Pods there should be."""

    message: str


@attrs.frozen
class _Scale:
    """What scales a Pod, and how many Pods that wants."""

    uid: str
    replicas: int


async def _reconcile(budget: PodDisruptionBudget, ctx: Context) -> Result | None:
    selector = label_selector(budget.spec.selector)
    pods = ctx.lister(Pod).list(budget.metadata.namespace, selector)
    if not pods:
        ctx.events.normal(budget, "NoPods", "No matching pods found")
    now = ctx.clock.now()
    scale = _scale(budget, pods, ctx) if budgets.counts_owners(budget.spec) else 0
    if isinstance(scale, _Uncountable):
        text = f"Failed to calculate the number of expected pods: {scale.message}"
        ctx.events.warning(budget, "CalculateExpectedPodCountFailed", text)
        await _report(budget, budgets.failed_status(budget, scale.message, now), ctx)
        return None
    wanted = budgets.expectation(budget.spec, len(pods), scale)
    under_way = budgets.underway(budget.status.disrupted_pods, pods, now)
    for pod in under_way.overdue:
        place = budget.metadata.namespace
        text = f"Pod was expected by PDB {place}/{budget.metadata.name} to be deleted but it wasn't"
        ctx.events.warning(pod, "NotDeleted", text)
    await _report(budget, budgets.status_of(budget, pods, wanted, under_way.awaited, now), ctx)
    if under_way.recheck_at is None:
        return None
    return ctx.requeue(after=max(0.0, (under_way.recheck_at - now).total_seconds()) + 1e-3)


async def _report(budget: PodDisruptionBudget, status: PodDisruptionBudgetStatus, ctx: Context) -> None:
    if status == budget.status:
        return
    try:
        await ctx.client.update(attrs.evolve(budget, status=status), subresource="status")
    except NotFound:
        ctx.log.debug("budget is gone already")


def _scale(budget: PodDisruptionBudget, pods: Iterable[Pod], ctx: Context) -> int | _Uncountable:
    """Return how many Pods the owners of these want together, each owner counted once."""
    scales: dict[str, int] = {}
    unmanaged = False
    for pod in pods:
        owner = controller_of(pod)
        if owner is None:
            unmanaged = True
        elif owner.uid not in scales:
            found = _scale_of(owner, pod, ctx)
            if isinstance(found, _Uncountable):
                return found
            scales[found.uid] = found.replicas
    if unmanaged:
        ctx.events.warning(
            budget,
            "UnmanagedPods",
            f"Pods selected by this PodDisruptionBudget (selector: {budgets.selector_text(budget.spec.selector)}) were "
            "found to be unmanaged. As a result, the status of the PDB cannot be calculated correctly, which may "
            'result in undefined behavior. To account for these pods please set ".spec.minAvailable" field of the PDB '
            "to an integer value.",
        )
    return sum(scales.values())


def _scale_of(owner: OwnerReference, pod: Pod, ctx: Context) -> _Scale | _Uncountable:
    """Return what scales a Pod; of a Deployment's Pod the Deployment."""
    missing = _Uncountable(f'found no controllers for pod "{pod.metadata.name}"')
    namespace = pod.metadata.namespace
    group = owner.api_version.rpartition("/")[0]
    kind = _CACHED.get((owner.kind, group))
    if kind is None:
        return _without_scale(owner, ctx) or missing
    found = ctx.lister(kind).get(namespace, owner.name)
    if found is None or found.metadata.uid != owner.uid:
        return missing
    above = controller_of(found)
    if above is not None and above.kind == "Deployment" and above.api_version.startswith("apps/"):
        deployment = ctx.lister(Deployment).get(namespace, above.name)
        if deployment is None or deployment.metadata.uid != above.uid:
            return missing
        return _Scale(deployment.metadata.uid, _replicas(deployment.spec.replicas))
    return _Scale(owner.uid, _replicas(found.spec.replicas))


def _replicas(value: int | None) -> int:
    return 1 if value is None else value


def _without_scale(owner: OwnerReference, ctx: Context) -> _Uncountable | None:
    """Return why an owner of that kind cannot be asked for its scale; None when it could."""
    try:
        info = ctx.client.scheme.info(owner.api_version, owner.kind)
    except NotFound:
        group, _, version = owner.api_version.rpartition("/")
        text = f'no matches for kind "{owner.kind}" in version "{owner.api_version if group else version}"'
        return _Uncountable(text)
    if "scale" not in info.subresources:
        name = f"{info.plural}.{info.group}" if info.group else info.plural
        return _Uncountable(f"{name} does not implement the scale subresource")
    return None


def _budgets_of(pod: Pod, caches: Listers) -> Iterable[tuple[str, str]]:
    for budget in caches.lister(PodDisruptionBudget).list(pod.metadata.namespace):
        if label_selector(budget.spec.selector).matches(pod.metadata.labels):
            yield budget.metadata.namespace, budget.metadata.name


def disruption_controller(*, workers: int = 2) -> Controller[PodDisruptionBudget]:
    """Return the controller that says how many Pods every PodDisruptionBudget lets go."""
    return Controller(
        name="disruption",
        for_=PodDisruptionBudget,
        reconcile=_reconcile,
        watches={Pod: _budgets_of},
        reads=(ReplicaSet, StatefulSet, ReplicationController, Deployment),
        workers=workers,
        component="controllermanager",
    )


async def _reset_stale(pod: Pod, ctx: Context) -> Result | None:
    seconds = budgets.stale_in_seconds(pod, ctx.clock.now())
    if seconds is None:
        return None
    if seconds > 0:
        return ctx.requeue(after=seconds)
    over = PodCondition(type="DisruptionTarget", status="False")
    conditions = set_condition(pod.status.conditions, over, ctx.clock.now())
    body = {"metadata": {"uid": pod.metadata.uid}, "status": {"conditions": [encode(one) for one in conditions]}}
    meta = pod.metadata
    try:
        patch = Patch(PatchType.MERGE, body)
        await ctx.client.patch(Pod, meta.name, patch, namespace=meta.namespace, subresource="status")
    except NotFound:
        ctx.log.debug("pod is gone already")
    return None


def _says_disrupted(change: Change[Pod]) -> bool:
    pod = change.new
    return pod is not None and any(one.type == "DisruptionTarget" for one in pod.status.conditions)


def stale_disruption_controller(*, workers: int = 1) -> Controller[Pod]:
    """Return the controller that takes back a DisruptionTarget condition after which no deletion came."""
    return Controller(
        name="stale-pod-disruption",
        for_=Pod,
        reconcile=_reset_stale,
        predicates={Pod: _says_disrupted},
        workers=workers,
    )
