"""Rows of the kinds that placement is governed by."""

from __future__ import annotations

from datetime import datetime

from orchestra.api.policy import PodDisruptionBudget
from orchestra.api.scheduling import PodGroup, PriorityClass
from orchestra.api.tables.durations import human_age
from orchestra.api.tables.model import NONE, Cell, Printer, columns


def priority_class_cells(obj: PriorityClass, now: datetime) -> tuple[Cell, ...]:
    """Return a PriorityClass's row."""
    age = human_age(obj.metadata.creation_timestamp, now)
    return obj.metadata.name, obj.value, obj.global_default, age, obj.preemption_policy or ""


def disruption_budget_cells(obj: PodDisruptionBudget, now: datetime) -> tuple[Cell, ...]:
    """Return a PodDisruptionBudget's row."""
    least, most = obj.spec.min_available, obj.spec.max_unavailable
    return (
        obj.metadata.name,
        "N/A" if least is None else str(least),
        "N/A" if most is None else str(most),
        obj.status.disruptions_allowed,
        human_age(obj.metadata.creation_timestamp, now),
    )


def pod_group_cells(obj: PodGroup, now: datetime) -> tuple[Cell, ...]:
    """Return a PodGroup's row."""
    gang = obj.spec.scheduling_policy.gang
    scheduled = next((c.status for c in obj.status.conditions if c.type == "PodGroupScheduled"), "Unknown")
    return (
        obj.metadata.name,
        "Basic" if gang is None else "Gang",
        NONE if gang is None else gang.min_count,
        scheduled,
        human_age(obj.metadata.creation_timestamp, now),
    )


PRIORITY_CLASS = Printer(columns("Name|#Value|?Global-Default|Age|PreemptionPolicy"), priority_class_cells)
POD_DISRUPTION_BUDGET = Printer(
    columns("Name|Min Available|Max Unavailable|#Allowed Disruptions|Age"), disruption_budget_cells
)
POD_GROUP = Printer(columns("Name|Policy|Min Count|Scheduled|Age"), pod_group_cells)
