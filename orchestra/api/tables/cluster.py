"""Rows of nodes, namespaces, configuration, leases and Events."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final

from orchestra.api.coordination import Lease
from orchestra.api.rules.conditions import condition
from orchestra.api.tables.durations import human_age
from orchestra.api.tables.model import NONE, UNKNOWN, Cell, Printer, columns

if TYPE_CHECKING:
    from orchestra.api.core.cluster import Namespace
    from orchestra.api.core.config import ConfigMap, Secret
    from orchestra.api.core.event import Event
    from orchestra.api.core.node import Node

ROLE_PREFIX: Final = "node-role.kubernetes.io/"
ROLE_LABEL: Final = "kubernetes.io/role"


def node_status(node: Node) -> str:
    """Return `Ready`, `NotReady` or `Unknown`, and whether the node takes no new Pods."""
    ready = condition(node, "Ready")
    word = "Unknown" if ready is None else "Ready" if ready.status == "True" else "NotReady"
    return f"{word},SchedulingDisabled" if node.spec.unschedulable else word


def node_roles(node: Node) -> str:
    """Return the roles that a node's labels name."""
    roles = set()
    for key, value in node.metadata.labels.items():
        if key.startswith(ROLE_PREFIX) and key != ROLE_PREFIX:
            roles.add(key.removeprefix(ROLE_PREFIX))
        elif key == ROLE_LABEL and value:
            roles.add(value)
    return ",".join(sorted(roles)) or NONE


def _address(node: Node, kind: str) -> str:
    return next((item.address for item in node.status.addresses if item.type == kind), NONE)


def node_cells(obj: Node, now: datetime) -> tuple[Cell, ...]:
    """Return a node's row."""
    info = obj.status.node_info
    return (
        obj.metadata.name,
        node_status(obj),
        node_roles(obj),
        human_age(obj.metadata.creation_timestamp, now),
        info.kubelet_version,
        _address(obj, "InternalIP"),
        _address(obj, "ExternalIP"),
        info.os_image or UNKNOWN,
        info.kernel_version or UNKNOWN,
        info.container_runtime_version or UNKNOWN,
    )


def namespace_cells(obj: Namespace, now: datetime) -> tuple[Cell, ...]:
    """Return a namespace's row."""
    return obj.metadata.name, obj.status.phase, human_age(obj.metadata.creation_timestamp, now)


def config_map_cells(obj: ConfigMap, now: datetime) -> tuple[Cell, ...]:
    """Return a ConfigMap's row."""
    return obj.metadata.name, len(obj.data) + len(obj.binary_data), human_age(obj.metadata.creation_timestamp, now)


def secret_cells(obj: Secret, now: datetime) -> tuple[Cell, ...]:
    """Return a Secret's row: how much it holds, not what."""
    return obj.metadata.name, obj.type, len(obj.data), human_age(obj.metadata.creation_timestamp, now)


def lease_cells(obj: Lease, now: datetime) -> tuple[Cell, ...]:
    """Return a Lease's row."""
    return obj.metadata.name, obj.spec.holder_identity or "", human_age(obj.metadata.creation_timestamp, now)


def first_seen(event: Event) -> datetime | None:
    """Return when an Event happened first."""
    return event.first_timestamp or event.event_time


def last_seen(event: Event) -> datetime | None:
    """Return when an Event happened last."""
    if event.series is not None and event.series.last_observed_time is not None:
        return event.series.last_observed_time
    return event.last_timestamp or first_seen(event)


def event_count(event: Event) -> int:
    """Return how often an Event has happened."""
    return (event.series.count if event.series is not None else event.count) or 1


def event_source(event: Event) -> str:
    """Return who told an Event: a component, and its host when it names one."""
    component = event.source.component or event.reporting_component
    host = event.source.host or event.reporting_instance
    return f"{component}, {host}" if host else component


def event_cells(obj: Event, now: datetime) -> tuple[Cell, ...]:
    """Return an Event's row."""
    about = obj.involved_object
    return (
        human_age(last_seen(obj), now),
        obj.type,
        obj.reason,
        f"{about.kind.lower()}/{about.name}" if about.name else about.kind.lower(),
        about.field_path,
        event_source(obj),
        obj.message.strip(),
        human_age(first_seen(obj), now),
        event_count(obj),
        obj.metadata.name,
    )


NODE = Printer(
    columns("Name|Status|Roles|Age|Version|*Internal-IP|*External-IP|*OS-Image|*Kernel-Version|*Container-Runtime"),
    node_cells,
)
NAMESPACE = Printer(columns("Name|Status|Age"), namespace_cells)
CONFIG_MAP = Printer(columns("Name|Data|Age"), config_map_cells)
SECRET = Printer(columns("Name|Type|Data|Age"), secret_cells)
LEASE = Printer(columns("Name|Holder|Age"), lease_cells)
EVENT = Printer(
    columns("Last Seen|Type|Reason|Object|*Subobject|*Source|Message|*First Seen|*Count|*Name"),
    event_cells,
)
