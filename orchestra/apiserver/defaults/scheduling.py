"""Defaults of PriorityClasses, PodGroups and PodDisruptionBudgets. Source: scheduling/v1 and policy/v1."""

from __future__ import annotations

from typing import Any

from orchestra.apiserver.defaults.canonical import canonical
from orchestra.apiserver.defaults.others import with_status
from orchestra.apiserver.defaults.prepare import only_status

Document = dict[str, Any]
_NOTHING_KNOWN = {"disruptionsAllowed": 0, "currentHealthy": 0, "desiredHealthy": 0, "expectedPods": 0}


def default_priority_class(document: Document) -> Document:
    """Return a PriorityClass whose Pods preempt, if it does not say otherwise."""
    from orchestra.api.scheduling import PriorityClass

    new: Document = canonical(document, PriorityClass)
    return new if "preemptionPolicy" in new else {**new, "preemptionPolicy": "PreemptLowerPriority"}


def default_pod_group(document: Document) -> Document:
    """Return a PodGroup in canonical form."""
    from orchestra.api.scheduling import PodGroup

    new: Document = canonical(document, PodGroup)
    return new


def update_pod_group_status(new: Document, old: Document) -> Document:
    """Return an update of a PodGroup's status."""
    return default_pod_group(only_status(new, old))


def default_disruption_budget(document: Document) -> Document:
    """Return a PodDisruptionBudget in canonical form."""
    from orchestra.api.policy import PodDisruptionBudget

    new: Document = canonical(document, PodDisruptionBudget)
    return new


def create_disruption_budget(document: Document) -> Document:
    """Return a new PodDisruptionBudget: nothing is known of its Pods, so none may be evicted."""
    return with_status(document, dict(_NOTHING_KNOWN))


def update_disruption_budget_status(new: Document, old: Document) -> Document:
    """Return an update of a PodDisruptionBudget's status, whose numbers are always there."""
    result = default_disruption_budget(only_status(new, old))
    return with_status(result, {**_NOTHING_KNOWN, **(result.get("status") or {})})
