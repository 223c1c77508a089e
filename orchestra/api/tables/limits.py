"""Rows of ResourceQuotas and LimitRanges."""

from __future__ import annotations

from datetime import datetime

from orchestra.api.codec import format_time
from orchestra.api.core.quota import LimitRange, ResourceQuota
from orchestra.api.tables.durations import human_age
from orchestra.api.tables.model import UNKNOWN, Cell, Column, Printer, columns


def resource_quota_cells(obj: ResourceQuota, now: datetime) -> tuple[Cell, ...]:
    """Return a ResourceQuota's row."""
    limits: list[str] = []
    requests: list[str] = []
    for name in sorted(obj.status.hard):
        used = obj.status.used.get(name)
        shown = f"{name}: {'0' if used is None else used}/{obj.status.hard[name]}"
        (limits if name.startswith("limits") else requests).append(shown)
    age = human_age(obj.metadata.creation_timestamp, now)
    return obj.metadata.name, ", ".join(requests), ", ".join(limits), age


def limit_range_cells(obj: LimitRange, _now: datetime) -> tuple[Cell, ...]:
    """Return a LimitRange's row."""
    created = obj.metadata.creation_timestamp
    return obj.metadata.name, UNKNOWN if created is None else format_time(created)


RESOURCE_QUOTA = Printer(columns("Name|Request|Limit|Age"), resource_quota_cells)
LIMIT_RANGE = Printer((*columns("Name"), Column("Created At", type="date")), limit_range_cells)
