"""Make room for a more important Pod: DefaultPreemption. And what Pods with resource claims are told: DynamicResources.

Semantics: kube-scheduler 1.36 `defaultpreemption` and `preemption`. On each node where evicting can help, all Pods of
lower priority are taken away in thought; when the Pod fits then, as many as possible are put back, the important ones
and those that a PodDisruptionBudget protects first. Among the nodes the one whose victims matter least is taken.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from datetime import UTC, datetime
from functools import partial
from typing import ClassVar, Final
from zlib import crc32

import attrs
import numpy as np

from orchestra.scheduler.arguments import DefaultPreemptionArgs
from orchestra.scheduler.budgets import DisruptionBudget
from orchestra.scheduler.diagnosis import Diagnosis
from orchestra.scheduler.interface import (
    SKIP,
    CycleState,
    Plugin,
    PostFilterResult,
    PreFilterResult,
    unschedulable,
)
from orchestra.scheduler.noderow import NodeRow
from orchestra.scheduler.nodetable import NodeTable
from orchestra.scheduler.podinfo import PodInfo
from orchestra.scheduler.trials import Check

NO_VICTIMS: Final = "No preemption victims found for incoming pod"
NOT_HELPFUL: Final = "Preemption is not helpful for scheduling"
BY_SCHEDULER: Final = "PreemptionByScheduler"
"""Reason of the DisruptionTarget condition of victims."""
_LATEST: Final = datetime.max.replace(tzinfo=UTC)
_ABOVE_ANY_PRIORITY: Final = 2**31


@attrs.frozen
class _Candidate:
    """A node with the Pods that would have to go, the most important one first.

    `badness` is how much evicting them hurts: smaller is better, compared from left to right.
    """

    node: str
    victims: tuple[PodInfo, ...]
    badness: tuple[int, int, int, int, float]

    @classmethod
    def of(cls, node: str, victims: list[PodInfo], violations: int) -> _Candidate:
        """Return a candidate; `violations` is how many of the victims a budget protects."""
        highest = victims[0].priority
        total = sum(victim.priority + _ABOVE_ANY_PRIORITY for victim in victims)
        earliest = min(started(victim) for victim in victims if victim.priority == highest)
        return cls(node, tuple(victims), (violations, highest, total, len(victims), -earliest.timestamp()))


def started(pod: PodInfo) -> datetime:
    """Return when a Pod started; one that has not is the youngest of all."""
    return pod.pod.status.start_time or _LATEST


def _importance(pod: PodInfo) -> tuple[int, datetime]:
    return (-pod.priority, started(pod))


@attrs.frozen
class DefaultPreemption(Plugin):
    """Chooses Pods of lower priority whose eviction lets the Pod run."""

    arguments: ClassVar[type[DefaultPreemptionArgs]] = DefaultPreemptionArgs
    name: ClassVar[str] = "DefaultPreemption"
    core_shape_only: ClassVar[bool] = True
    candidates: DefaultPreemptionArgs = DefaultPreemptionArgs()
    """How many of the nodes where evicting can help are tried at most."""

    @classmethod
    def configured(cls, arguments: DefaultPreemptionArgs) -> DefaultPreemption:
        """Return the plugin with a profile's arguments."""
        return cls(arguments)

    def post_filter(self, pod: PodInfo, table: NodeTable, diagnosis: Diagnosis, check: Check) -> PostFilterResult:
        """Return the best node with its victims, or why there is none."""
        if (pod.pod.spec.preemption_policy or "PreemptLowerPriority") == "Never":
            return PostFilterResult(message="preemption: not eligible due to preemptionPolicy=Never.")
        if _waits_for_victims(pod, table, diagnosis):
            told_already = "preemption: not eligible due to a terminating pod on the nominated node."
            return PostFilterResult(message=told_already, keep=True)
        helpful = _helpful(diagnosis)
        told = self.candidates
        share = len(helpful) * told.min_candidate_nodes_percentage // 100
        limit = max(told.min_candidate_nodes_absolute, share)
        start = crc32(pod.uid.encode()) % len(helpful) if len(helpful) > limit else 0
        candidates: list[_Candidate] = []
        reasons: dict[str, int] = {}
        for index in (*helpful[start:], *helpful[:start]):
            row = table.rows[index]
            found = check.remembered(row, partial(_victims_on, pod, table, row, check))
            if isinstance(found, tuple):
                for reason in found:
                    reasons[reason] = reasons.get(reason, 0) + 1
            else:
                candidates.append(found)
                if len(candidates) >= limit:
                    break
        if candidates:
            best = min(candidates, key=lambda candidate: candidate.badness)
            return PostFilterResult(best.node, best.victims)
        if (others := diagnosis.node_count - len(helpful)) > 0:
            reasons[NOT_HELPFUL] = others
        listed = ", ".join(sorted(f"{number} {reason}" for reason, number in reasons.items()))
        return PostFilterResult(message=f"preemption: 0/{diagnosis.node_count} nodes are available: {listed}.")


def _helpful(diagnosis: Diagnosis) -> list[int]:
    """Return the rows that were refused for a reason that evicting Pods can do something about."""
    rows = [refused.rows for refused in diagnosis.refusals if refused.rejection.resolvable]
    found: list[int] = np.sort(np.concatenate(rows)).tolist() if rows else []
    return found


def _waits_for_victims(pod: PodInfo, table: NodeTable, diagnosis: Diagnosis) -> bool:
    """Say whether the Pod has preempted before and its victims are still on their way out."""
    nominated = table.nominated.node_of(pod.uid) or pod.pod.status.nominated_node_name
    row = table.by_name.get(nominated or "")
    if row is None or row.node is None or row.index >= len(diagnosis.names):
        return False
    refusal = diagnosis.refusal(row.index)
    if refusal is not None and not refusal[1].resolvable:
        return False
    return any(
        other.priority < pod.priority and (other.uid in table.victims or _is_victim(other))
        for other in row.pods.values()
    )


def _is_victim(pod: PodInfo) -> bool:
    return pod.pod.metadata.deletion_timestamp is not None and any(
        c.type == "DisruptionTarget" and c.status == "True" and c.reason == BY_SCHEDULER
        for c in pod.pod.status.conditions
    )


def _victims_on(pod: PodInfo, table: NodeTable, row: NodeRow, check: Check) -> _Candidate | tuple[str, ...]:
    """Return whom to evict from a node, or why that does not help; the table is as before afterwards."""
    lower = sorted((other for other in row.pods.values() if other.priority < pod.priority), key=_importance)
    if not lower:
        return (NO_VICTIMS,)
    trial = check.trial(row)
    gone = list(lower)
    try:
        for other in lower:
            trial.remove(other)
        refusal = trial.refusal()
        if refusal is not None:
            return refusal.reasons
        violations = 0
        protected, others = split_by_budgets(lower, table.disruption_budgets)
        for other in (*protected, *others):
            trial.put_back(other)
            if trial.refusal() is None:
                gone.remove(other)
            else:
                trial.remove(other)
                violations += other in protected
        return _Candidate.of(row.name, gone, violations) if gone else (NO_VICTIMS,)
    finally:
        trial.end()


def split_by_budgets(
    pods: Iterable[PodInfo], budgets: Iterable[DisruptionBudget]
) -> tuple[list[PodInfo], list[PodInfo]]:
    """Return the Pods whose eviction breaks a PodDisruptionBudget, and the others; each in the given order."""
    allowed = {budget: budget.disruptions_allowed for budget in budgets}
    breaking: list[PodInfo] = []
    harmless: list[PodInfo] = []
    for pod in pods:
        broken = False
        for budget in allowed if pod.labels else ():
            if budget.covers(pod):
                allowed[budget] -= 1
                broken = broken or allowed[budget] < 0
        (breaking if broken else harmless).append(pod)
    return breaking, harmless


@attrs.frozen
class DynamicResources(Plugin):
    """Refuses Pods with resource claims: nothing here allocates devices, and placing them blindly would be wrong."""

    name: ClassVar[str] = "DynamicResources"
    node_local: ClassVar[bool] = True
    reads_pods: ClassVar[bool] = False

    def shape_key(self, pod: PodInfo) -> object:
        """Claims are in no shape otherwise."""
        return pod.pod.spec.resource_claims or None

    def fixed_key(self, pod: PodInfo) -> Hashable:
        """Return the claims."""
        return pod.pod.spec.resource_claims

    def pre_filter(self, _state: CycleState, pod: PodInfo, _table: NodeTable) -> PreFilterResult:
        """Refuse Pods with claims."""
        if pod.pod.spec.resource_claims:
            return unschedulable("cannot allocate all claims", resolvable=False)
        return SKIP

    def post_filter(self, _pod: PodInfo, _table: NodeTable, _diagnosis: Diagnosis, _check: Check) -> PostFilterResult:
        """Say, as kube-scheduler does, that no claim could be given up to help."""
        return PostFilterResult(message="no new claims to deallocate")
