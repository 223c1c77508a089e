"""Rows of StatefulSets, DaemonSets, ReplicationControllers and ControllerRevisions."""

from __future__ import annotations

from datetime import datetime

from orchestra.api.apps import ControllerRevision, DaemonSet, StatefulSet
from orchestra.api.core.pod import PodTemplateSpec
from orchestra.api.core.replicationcontroller import ReplicationController
from orchestra.api.tables.durations import human_age
from orchestra.api.tables.model import NONE, Cell, Printer, columns
from orchestra.api.tables.workloads import containers_and_images, selector_text


def _pairs(labels: object) -> str:
    return ",".join(f"{key}={value}" for key, value in sorted(dict(labels).items())) or NONE  # type: ignore[call-overload]


def stateful_set_cells(obj: StatefulSet, now: datetime) -> tuple[Cell, ...]:
    """Return a StatefulSet's row."""
    names, images = containers_and_images(obj.spec.template)
    ready = f"{obj.status.ready_replicas}/{obj.spec.replicas or 0}"
    return obj.metadata.name, ready, human_age(obj.metadata.creation_timestamp, now), names, images


def daemon_set_cells(obj: DaemonSet, now: datetime) -> tuple[Cell, ...]:
    """Return a DaemonSet's row."""
    names, images = containers_and_images(obj.spec.template)
    status = obj.status
    return (
        obj.metadata.name,
        status.desired_number_scheduled,
        status.current_number_scheduled,
        status.number_ready,
        status.updated_number_scheduled,
        status.number_available,
        _pairs(obj.spec.template.spec.node_selector),
        human_age(obj.metadata.creation_timestamp, now),
        names,
        images,
        selector_text(obj.spec.selector),
    )


def replication_controller_cells(obj: ReplicationController, now: datetime) -> tuple[Cell, ...]:
    """Return a ReplicationController's row."""
    names, images = containers_and_images(obj.spec.template or PodTemplateSpec())
    return (
        obj.metadata.name,
        obj.spec.replicas or 0,
        obj.status.replicas,
        obj.status.ready_replicas,
        human_age(obj.metadata.creation_timestamp, now),
        names,
        images,
        _pairs(obj.spec.selector),
    )


def controller_revision_cells(obj: ControllerRevision, now: datetime) -> tuple[Cell, ...]:
    """Return a ControllerRevision's row."""
    owner = next((each for each in obj.metadata.owner_references if each.controller), None)
    group, _, _ = owner.api_version.rpartition("/") if owner is not None else ("", "", "")
    kind = "" if owner is None else f"{owner.kind.lower()}{f'.{group}' if group else ''}"
    shown = NONE if owner is None else f"{kind}/{owner.name}"
    return obj.metadata.name, shown, obj.revision, human_age(obj.metadata.creation_timestamp, now)


STATEFUL_SET = Printer(columns("Name|Ready|Age|*Containers|*Images"), stateful_set_cells)
DAEMON_SET = Printer(
    columns("Name|#Desired|#Current|#Ready|#Up-to-date|#Available|Node Selector|Age|*Containers|*Images|*Selector"),
    daemon_set_cells,
)
REPLICATION_CONTROLLER = Printer(
    columns("Name|#Desired|#Current|#Ready|Age|*Containers|*Images|*Selector"), replication_controller_cells
)
CONTROLLER_REVISION = Printer(columns("Name|Controller|Revision|Age"), controller_revision_cells)
