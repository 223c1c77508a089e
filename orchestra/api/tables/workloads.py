"""Rows of the controllers of Pods."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from orchestra.api.apps import Deployment, ReplicaSet
from orchestra.api.meta import LabelSelector
from orchestra.api.selectors import label_selector
from orchestra.api.tables.durations import human_age
from orchestra.api.tables.model import NONE, Cell, Printer, columns
from orchestra.errors import BadRequest

if TYPE_CHECKING:
    from orchestra.api.core.pod import PodTemplateSpec


def containers_and_images(template: PodTemplateSpec) -> tuple[str, str]:
    """Return the names of a template's containers and their images."""
    containers = template.spec.containers
    return ",".join(c.name for c in containers), ",".join(c.image for c in containers)


def selector_text(selector: LabelSelector | None) -> str:
    """Return a selector in the form that people type."""
    if selector is None:
        return NONE
    try:
        return str(label_selector(selector)) or NONE
    except BadRequest:
        return "<error>"


def deployment_cells(obj: Deployment, now: datetime) -> tuple[Cell, ...]:
    """Return a Deployment's row."""
    names, images = containers_and_images(obj.spec.template)
    return (
        obj.metadata.name,
        f"{obj.status.ready_replicas}/{obj.spec.replicas or 0}",
        obj.status.updated_replicas,
        obj.status.available_replicas,
        human_age(obj.metadata.creation_timestamp, now),
        names,
        images,
        selector_text(obj.spec.selector),
    )


def replica_set_cells(obj: ReplicaSet, now: datetime) -> tuple[Cell, ...]:
    """Return a ReplicaSet's row."""
    names, images = containers_and_images(obj.spec.template)
    return (
        obj.metadata.name,
        obj.spec.replicas or 0,
        obj.status.replicas,
        obj.status.ready_replicas,
        human_age(obj.metadata.creation_timestamp, now),
        names,
        images,
        selector_text(obj.spec.selector),
    )


DEPLOYMENT = Printer(
    columns("Name|Ready|Up-to-date|Available|Age|*Containers|*Images|*Selector"),
    deployment_cells,
)
REPLICA_SET = Printer(columns("Name|#Desired|#Current|#Ready|Age|*Containers|*Images|*Selector"), replica_set_cells)
