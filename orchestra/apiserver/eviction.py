"""Eviction: a Pod goes when the disruption budget over it lets it go, and the budget is told before it goes.

Source: the Kubernetes API's pods/eviction (policy/v1), and its words.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

import anyio
import attrs

from orchestra.api.builtin import EVICTION, POD, POD_DISRUPTION_BUDGET
from orchestra.api.codec import format_time
from orchestra.api.selectors import label_selector
from orchestra.apiserver import metadata, refusals
from orchestra.apiserver.core import Core
from orchestra.apiserver.deletion import check
from orchestra.apiserver.interface import Document
from orchestra.apiserver.parameters import delete_options
from orchestra.apiserver.record import Record
from orchestra.apiserver.registry import WRITE_ATTEMPTS, Registry
from orchestra.apiserver.removal import Remover
from orchestra.apiserver.writes import Call, Target
from orchestra.client.interface import DeleteOptions
from orchestra.errors import APIError, BadRequest, Cause, Conflict, Forbidden, TooManyRequests

MAX_DISRUPTED_PODS: Final = 2000
"""How many evictions of one budget may be under way that nobody has counted yet."""

RETRY_SECONDS: Final = 10
_VERSIONS: Final = ("policy/v1", "policy/v1beta1")
_VIOLATES: Final = "Cannot evict pod as it would violate the pod's disruption budget."
_ALLOWED: Final = "DisruptionAllowed"


class Evictor:
    """Evicts Pods."""

    def __init__(self, core: Core, registry: Registry, remover: Remover) -> None:
        self._core = core
        self._registry = registry
        self._remover = remover
        self._charging = anyio.Lock()
        """Budgets are charged one after the other: a hundred evictions at one moment would only fail one another."""

    async def evict(self, pod: str, eviction: Document, namespace: str, call: Call) -> Record:
        """Delete a Pod, unless that would violate its budget.

        Raises TooManyRequests when the budget lets no Pod go now, and Forbidden when there are several budgets.
        """
        name = _name_of(pod, eviction)
        options = attrs.evolve(_options_of(eviction, dry_run=call.options.dry_run), fence=call.options.fence)
        call = attrs.evolve(call, options=attrs.evolve(call.options, dry_run=options.dry_run))
        target = Target(POD, namespace, name)
        own_revision = bool(options.preconditions.resource_version)
        last: APIError = refusals.conflict(POD, name)
        for _ in range(WRITE_ATTEMPTS):
            record = await self._registry.read(target)
            if not _disturbs_nobody(record.document):
                return await self._within_budget(target, record, options, call)
            pending = not metadata.deleting(record.document) and _phase(record.document) == "Pending"
            try:
                chosen = _at(options, record) if pending and not own_revision else options
                return await self._delete(target, chosen, call)
            except Conflict as error:
                if own_revision or not pending:
                    raise
                last = error
        raise last

    async def _within_budget(self, target: Target, pod: Record, options: DeleteOptions, call: Call) -> Record:
        budgets = await self._budgets(pod)
        if len(budgets) > 1:
            raise Forbidden(
                "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.",
                kind=POD.plural,
                name=pod.name,
            )
        free = bool(budgets) and not _is_ready(pod.document) and _lets_unready_go(budgets[0].document)
        if budgets and not free:
            at = Target(POD_DISRUPTION_BUDGET, target.namespace, budgets[0].name, "status")
            now = self._core.clock.now()
            async with self._charging:
                await self._registry.modify(at, lambda budget: charged(budget.document, pod.name, now), call)
        if not free or options.preconditions.resource_version:
            return await self._delete(target, options, call)
        try:
            # It must not have become ready since, for then it would have counted.
            return await self._delete(target, _at(options, pod), call)
        except Conflict as error:
            raise _too_many(_still_processed(budgets[0].name), RETRY_SECONDS) from error

    async def _delete(self, target: Target, options: DeleteOptions, call: Call) -> Record:
        """Say on the Pod why it goes, and delete it; nobody may have changed it in between, if nobody may at all."""
        if not options.dry_run:
            now, strategy = self._core.clock.now().replace(microsecond=0), self._core.strategy(POD)

            def told(record: Record) -> Document:
                check(strategy, record.document, record.revision, options.preconditions)
                return _disrupted(record.document, now)

            marked = await self._registry.modify(attrs.evolve(target, subresource="status"), told, call)
            if options.preconditions.resource_version:
                options = _at(options, marked)
        return (await self._remover.delete(target, options, call.user)).record

    async def _budgets(self, pod: Record) -> list[Record]:
        await self._core.feed.catch_up()
        labels = (pod.document["metadata"]).get("labels") or {}
        found = []
        for record in self._core.feed.cache(POD_DISRUPTION_BUDGET).records(pod.namespace):
            given = (record.document.get("spec") or {}).get("selector")
            selector = label_selector(given) if given else None
            if selector is not None and not selector.empty and selector.matches(labels):
                found.append(record)
        return sorted(found, key=lambda record: record.name)


def _name_of(pod: str, eviction: Document) -> str:
    version, kind = eviction.get("apiVersion") or "", eviction.get("kind") or ""
    if kind and (kind != EVICTION.kind or version not in _VERSIONS):
        raise refusals.other_kind(EVICTION, version, kind, known=True)
    name = metadata.meta_of(eviction).get("name") or ""
    if pod and name != pod:
        raise BadRequest("name in URL does not match name in Eviction object")
    return str(name)


def _options_of(eviction: Document, *, dry_run: bool) -> DeleteOptions:
    given = eviction.get("deleteOptions")
    options = DeleteOptions() if given is None else delete_options({}, given)
    return attrs.evolve(options, dry_run=options.dry_run or dry_run)


def _at(options: DeleteOptions, record: Record) -> DeleteOptions:
    """Return options that hold for this state of the Pod alone."""
    return attrs.evolve(
        options, preconditions=attrs.evolve(options.preconditions, resource_version=str(record.revision))
    )


def _disrupted(pod: Document, now: datetime) -> Document:
    """Return a Pod whose condition says that it is evicted (KEP-3329)."""
    status = pod.get("status") or {}
    said = {"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI"}
    said["message"] = "Eviction API: evicting"
    conditions = list(status.get("conditions") or ())
    for index, each in enumerate(conditions):
        if each.get("type") == said["type"]:
            if any(each.get(name) != value for name, value in said.items()):
                since = each.get("lastTransitionTime") if each.get("status") == "True" else format_time(now)
                conditions[index] = {**each, **said, "lastTransitionTime": since}
            break
    else:
        conditions.append({**said, "lastProbeTime": None, "lastTransitionTime": format_time(now)})
    return {**pod, "status": {**status, "conditions": conditions}}


def _phase(pod: Document) -> str:
    return (pod.get("status") or {}).get("phase") or ""


def _disturbs_nobody(pod: Document) -> bool:
    return metadata.deleting(pod) or _phase(pod) in ("Succeeded", "Failed", "Pending")


def _is_ready(pod: Document) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(each.get("type") == "Ready" and each.get("status") == "True" for each in conditions)


def _lets_unready_go(budget: Document) -> bool:
    if (budget.get("spec") or {}).get("unhealthyPodEvictionPolicy") == "AlwaysAllow":
        return True
    status = budget.get("status") or {}
    desired = status.get("desiredHealthy") or 0
    return desired > 0 and (status.get("currentHealthy") or 0) >= desired


def charged(budget: Document, pod: str, now: datetime) -> Document:
    """Return a budget from which one disruption is taken for `pod`; raises TooManyRequests when it has none to give."""
    status, meta = budget.get("status") or {}, budget["metadata"]
    name, allowed = meta["name"], status.get("disruptionsAllowed") or 0
    if (status.get("observedGeneration") or 0) < (meta.get("generation") or 0):
        raise _too_many(_still_processed(name), RETRY_SECONDS)
    if allowed < 0:
        raise _forbidden(name, "pdb disruptions allowed is negative")
    disrupted = status.get("disruptedPods") or {}
    if len(disrupted) > MAX_DISRUPTED_PODS:
        raise _forbidden(name, "DisruptedPods map too big - too many evictions not confirmed by PDB controller")
    if allowed == 0:
        raise _too_many(_why_none(name, status), 0)
    stamp = format_time(now.replace(microsecond=0))
    changed = {**status, "disruptionsAllowed": allowed - 1, "disruptedPods": {**disrupted, pod: stamp}}
    if allowed == 1:
        changed["conditions"] = _exhausted(status, stamp)
    return {**budget, "status": changed}


def _exhausted(status: Document, now: str) -> list[Document]:
    """Return the conditions of a budget that has just given its last disruption."""
    conditions = list(status.get("conditions") or ())
    said = {"status": "False", "reason": "InsufficientPods", "message": ""}
    if status.get("observedGeneration"):
        said["observedGeneration"] = status["observedGeneration"]
    for index, each in enumerate(conditions):
        if each.get("type") == _ALLOWED:
            since = each.get("lastTransitionTime") if each.get("status") == "False" else now
            conditions[index] = {**each, **said, "lastTransitionTime": since or now}
            return conditions
    return [*conditions, {"type": _ALLOWED, **said, "lastTransitionTime": now}]


def _still_processed(budget: str) -> str:
    return f"The disruption budget {budget} is still being processed by the server."


def _why_none(name: str, status: Document) -> str:
    for each in status.get("conditions") or ():
        if each.get("type") == _ALLOWED and each.get("status") == "False" and each.get("reason") == "SyncFailed":
            told = each.get("message") or ""
            return f"The disruption budget {name} does not allow evicting pods currently because it failed sync: {told}"
    needs, has = status.get("desiredHealthy") or 0, status.get("currentHealthy") or 0
    if has > needs:
        return f"The disruption budget {name} does not allow evicting pods currently"
    return f"The disruption budget {name} needs {needs} healthy pods and has {has} currently"


def _too_many(why: str, seconds: int) -> TooManyRequests:
    cause = Cause(reason="DisruptionBudget", message=why, field="")
    return TooManyRequests(_VIOLATES, causes=(cause,), retry_after_seconds=seconds)


def _forbidden(name: str, why: str) -> Forbidden:
    kind = "poddisruptionbudget"
    return Forbidden(f'{kind}.policy "{name}" is forbidden: {why}', kind=kind, group="policy", name=name)
