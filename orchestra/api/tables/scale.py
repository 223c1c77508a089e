"""Rows of scales."""

from __future__ import annotations

from datetime import datetime

from orchestra.api.autoscaling import Scale
from orchestra.api.tables.durations import human_age
from orchestra.api.tables.model import Cell, Column, Printer


def scale_cells(obj: Scale, now: datetime) -> tuple[Cell, ...]:
    """Return the row of a Scale."""
    meta = obj.metadata
    return meta.name, obj.spec.replicas, obj.status.replicas, human_age(meta.creation_timestamp, now)


SCALE = Printer(
    (Column("Name"), Column("Desired", type="integer"), Column("Available", type="integer"), Column("Age")), scale_cells
)
