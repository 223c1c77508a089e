"""How many Pods a PodDisruptionBudget lets go now: pure, after the disruption controller of Kubernetes 1.36.

A budget that matches no Pod allows nothing, so that it is safe when its first Pods appear.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

import attrs

from orchestra.api.core import Pod
from orchestra.api.frozen import ABSENT_MAP
from orchestra.api.meta import Condition, LabelSelector
from orchestra.api.policy import PodDisruptionBudget, PodDisruptionBudgetSpec, PodDisruptionBudgetStatus
from orchestra.api.rules.conditions import condition, is_ready, is_terminal
from orchestra.api.rules.scaling import scaled_value

DELETION_TIMEOUT = timedelta(minutes=2)
"""How long a Pod whose eviction was allowed may take until its deletion is seen."""

STALE_DISRUPTION = timedelta(minutes=2)
"""How long a Pod may say that it is being disrupted without being deleted."""

ALLOWED = "DisruptionAllowed"


@attrs.frozen(kw_only=True)
class Expectation:
    """How many Pods there should be, and how many of them must be healthy."""

    expected: int
    desired_healthy: int


@attrs.frozen(kw_only=True)
class Underway:
    """Evictions that were allowed: those still awaited, those awaited in vain, and when to look again."""

    awaited: Mapping[str, datetime]
    overdue: tuple[Pod, ...]
    recheck_at: datetime | None


def counts_owners(spec: PodDisruptionBudgetSpec) -> bool:
    """Say whether the owners of the Pods tell how many there should be; otherwise every Pod that exists counts."""
    return spec.max_unavailable is not None or isinstance(spec.min_available, str)


def expectation(spec: PodDisruptionBudgetSpec, matching: int, scale: int) -> Expectation:
    """Return what a budget asks for: `matching` Pods exist, and their owners want `scale` of them together."""
    if spec.max_unavailable is not None:
        missing = scaled_value(spec.max_unavailable, scale, round_up=True)
        return Expectation(expected=scale, desired_healthy=max(0, scale - missing))
    if isinstance(spec.min_available, str):
        return Expectation(expected=scale, desired_healthy=scaled_value(spec.min_available, scale, round_up=True))
    if spec.min_available is not None:
        return Expectation(expected=matching, desired_healthy=spec.min_available)
    return Expectation(expected=0, desired_healthy=0)


def underway(disrupted: Mapping[str, datetime], pods: Iterable[Pod], now: datetime) -> Underway:
    """Return which allowed evictions are still awaited; one whose Pod is being deleted has come about."""
    awaited: dict[str, datetime] = {}
    overdue: list[Pod] = []
    recheck_at: datetime | None = None
    for pod in pods:
        since = disrupted.get(pod.metadata.name)
        if since is None or pod.metadata.deletion_timestamp is not None:
            continue
        until = since + DELETION_TIMEOUT
        if until < now:
            overdue.append(pod)
            continue
        awaited[pod.metadata.name] = since
        recheck_at = until if recheck_at is None else min(recheck_at, until)
    return Underway(awaited=awaited, overdue=tuple(overdue), recheck_at=recheck_at)


def healthy(pods: Iterable[Pod], awaited: Mapping[str, datetime], now: datetime) -> int:
    """Count the Pods that are ready and not on their way out."""
    count = 0
    for pod in pods:
        since = awaited.get(pod.metadata.name)
        if since is not None and since + DELETION_TIMEOUT > now:
            continue
        count += pod.metadata.deletion_timestamp is None and is_ready(pod)
    return count


def status_of(
    budget: PodDisruptionBudget,
    pods: Sequence[Pod],
    wanted: Expectation,
    awaited: Mapping[str, datetime],
    now: datetime,
) -> PodDisruptionBudgetStatus:
    """Return the status that a budget should have; an equal one when nothing has changed."""
    current = healthy(pods, awaited, now)
    allowed = max(0, current - wanted.desired_healthy) if wanted.expected > 0 else 0
    verdict = ("True", "SufficientPods") if allowed > 0 else ("False", "InsufficientPods")
    return PodDisruptionBudgetStatus(
        observed_generation=budget.metadata.generation,
        disrupted_pods=dict(awaited) or ABSENT_MAP,
        disruptions_allowed=allowed,
        current_healthy=current,
        desired_healthy=wanted.desired_healthy,
        expected_pods=wanted.expected,
        conditions=_with_verdict(budget, *verdict, "", budget.metadata.generation, now),
    )


def failed_status(budget: PodDisruptionBudget, message: str, now: datetime) -> PodDisruptionBudgetStatus:
    """Return the status of a budget that cannot be worked out: it allows nothing."""
    generation = budget.status.observed_generation
    conditions = _with_verdict(budget, "False", "SyncFailed", message, generation, now)
    return attrs.evolve(budget.status, disruptions_allowed=0, conditions=conditions)


def _with_verdict(
    budget: PodDisruptionBudget, status: str, reason: str, message: str, generation: int, now: datetime
) -> tuple[Condition, ...]:
    new = Condition(
        type=ALLOWED,
        status=status,
        reason=reason,
        message=message,
        observed_generation=generation,
        last_transition_time=now.replace(microsecond=0),
    )
    old = next((one for one in budget.status.conditions if one.type == ALLOWED), None)
    if old is None:
        return (*budget.status.conditions, new)
    if old.status == status:
        new = attrs.evolve(new, last_transition_time=old.last_transition_time)
    return tuple(new if one.type == ALLOWED else one for one in budget.status.conditions)


def stale_in_seconds(pod: Pod, now: datetime) -> float | None:
    """Return when a Pod's word that it is being disrupted becomes stale, 0 when it has; None when it says no such."""
    found = condition(pod, "DisruptionTarget")
    if found is None or found.status != "True" or found.reason == "TerminationByKubelet":
        return None
    if pod.metadata.deletion_timestamp is not None or is_terminal(pod):
        return None
    since = found.last_transition_time or now
    return max(0.0, (since + STALE_DISRUPTION - now).total_seconds())


def selector_text(selector: LabelSelector | None) -> str:
    """Return a selector as the warning about unmanaged Pods quotes it."""
    if selector is None:
        return "nil"
    labels = "".join(f"{key}: {value}," for key, value in sorted(selector.match_labels.items()))
    expressions = "".join(
        f"LabelSelectorRequirement{{Key:{one.key},Operator:{one.operator},Values:[{' '.join(one.values)}],}},"
        for one in selector.match_expressions
    )
    return (
        f"&LabelSelector{{MatchLabels:map[string]string{{{labels}}},"
        f"MatchExpressions:[]LabelSelectorRequirement{{{expressions}}},}}"
    )
