"""Whether a node is alive, and which taints follow from its state: pure, after the node lifecycle controller.

A node gives signs of life by renewing its Lease and by posting its status. When neither came for the grace period its
conditions become Unknown. What counts is when the signs were seen, by the clock of the one who watches: the clocks of
nodes are not trusted.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from enum import Enum, auto
from typing import Final

import attrs

from orchestra.api.core import Node, NodeCondition, Pod, PodCondition, Taint
from orchestra.api.object import MicroTime
from orchestra.api.rules.conditions import condition, set_condition

READY: Final = "Ready"
NOT_READY_TAINT: Final = "node.kubernetes.io/not-ready"
UNREACHABLE_TAINT: Final = "node.kubernetes.io/unreachable"
UNSCHEDULABLE_TAINT: Final = "node.kubernetes.io/unschedulable"
MONITORED: Final = ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")

_TAINT_OF: Final[dict[str, dict[str, str]]] = {
    "Ready": {"False": NOT_READY_TAINT, "Unknown": UNREACHABLE_TAINT},
    "MemoryPressure": {"True": "node.kubernetes.io/memory-pressure"},
    "DiskPressure": {"True": "node.kubernetes.io/disk-pressure"},
    "NetworkUnavailable": {"True": "node.kubernetes.io/network-unavailable"},
    "PIDPressure": {"True": "node.kubernetes.io/pid-pressure"},
}
_OWN_TAINTS: Final = {key for keys in _TAINT_OF.values() for key in keys.values()} | {UNSCHEDULABLE_TAINT}
_HEALTH_TAINTS: Final = (NOT_READY_TAINT, UNREACHABLE_TAINT)

_COPIED_LABELS: Final = {
    "kubernetes.io/os": "beta.kubernetes.io/os",
    "kubernetes.io/arch": "beta.kubernetes.io/arch",
}


@attrs.frozen(kw_only=True)
class MonitorSettings:
    """The times of node monitoring, with the defaults of kube-controller-manager."""

    grace_seconds: float = 40.0
    """How long a node may be silent before it is Unknown."""
    startup_grace_seconds: float = 60.0
    """The same for one that has never reported."""
    period_seconds: float = 5.0
    """How often nodes whose taints are held back are looked at again."""
    evictions_per_second: float = 0.1
    """How many nodes of a zone may lose their Pods in a second."""
    secondary_evictions_per_second: float = 0.01
    """The same while a large zone is partly down; a small one then loses none."""
    large_zone_nodes: int = 50
    unhealthy_fraction: float = 0.55


@attrs.define
class Signs:
    """What was seen of one node."""

    uid: str
    seen_at: float
    """When the last sign of life was seen, on a monotonic clock."""
    renewed: MicroTime | None = None
    heartbeat: datetime | None = None
    ready: str = ""

    def see_status(self, node: Node, now: float) -> None:
        """Take note of a node's status: a new heartbeat or another readiness is a sign of life."""
        found = condition(node, READY)
        if found is None or found.reason in ("NodeStatusUnknown", "NodeStatusNeverUpdated"):
            return  # the monitor wrote that itself
        if (found.last_heartbeat_time, found.status) != (self.heartbeat, self.ready):
            self.heartbeat, self.ready = found.last_heartbeat_time, found.status
            self.seen_at = now

    def see_lease(self, renewed: MicroTime | None, now: float) -> None:
        """Take note of a Lease: renewed later than before it is a sign of life."""
        if renewed is not None and (self.renewed is None or renewed > self.renewed):
            self.renewed = renewed
            self.seen_at = now

    def silent_at(self, node: Node, settings: MonitorSettings) -> float:
        """Return when the grace period ends unless a sign comes."""
        never = condition(node, READY) is None
        return self.seen_at + (settings.startup_grace_seconds if never else settings.grace_seconds)


def unknown_conditions(node: Node, now: datetime) -> tuple[NodeCondition, ...]:
    """Return the conditions of a node that is silent; the same tuple when they are there."""
    conditions = node.status.conditions
    for kind in MONITORED:
        known = condition(node, kind)
        if known is None:
            new = NodeCondition(
                type=kind,
                status="Unknown",
                reason="NodeStatusNeverUpdated",
                message="Kubelet never posted node status.",
                last_heartbeat_time=node.metadata.creation_timestamp,
            )
        elif known.status != "Unknown":
            new = attrs.evolve(
                known,
                status="Unknown",
                reason="NodeStatusUnknown",
                message="Kubelet stopped posting node status.",
            )
        else:
            continue
        conditions = set_condition(conditions, new, now)
    return conditions


def no_schedule_taints(node: Node) -> tuple[str, ...]:
    """Return the keys of the NoSchedule taints that a node's conditions call for."""
    keys = [
        _TAINT_OF[item.type][item.status]
        for item in node.status.conditions
        if item.status in _TAINT_OF.get(item.type, {})
    ]
    if node.spec.unschedulable:
        keys.append(UNSCHEDULABLE_TAINT)
    return tuple(keys)


def no_execute_taint(node: Node) -> str:
    """Return the key of the NoExecute taint that a node's readiness calls for; empty when it is ready."""
    ready = condition(node, READY)
    return "" if ready is None else _TAINT_OF[READY].get(ready.status, "")


def has_taint(node: Node, key: str, effect: str) -> bool:
    """Say whether a node has a taint."""
    return any(taint.key == key and taint.effect == effect for taint in node.spec.taints)


def taints_of(node: Node, no_execute: str | None, now: datetime) -> tuple[Taint, ...]:
    """Return the taints that a node should have: others' stay; the same tuple when nothing changes.

    `no_execute` is the key of the NoExecute taint that it may have, empty for none; None leaves that matter as it is.
    """
    wanted = [(key, "NoSchedule") for key in no_schedule_taints(node)]
    kept = []
    for taint in node.spec.taints:
        mine = taint.key in _OWN_TAINTS and taint.effect == "NoSchedule"
        health = taint.key in _HEALTH_TAINTS and taint.effect == "NoExecute"
        if (mine and (taint.key, taint.effect) not in wanted) or (
            health and no_execute is not None and taint.key != no_execute
        ):
            continue
        kept.append(taint)
    if no_execute:
        wanted.append((no_execute, "NoExecute"))
    present = {(taint.key, taint.effect) for taint in kept}
    added = [Taint(key=key, effect=effect, time_added=now) for key, effect in wanted if (key, effect) not in present]
    if not added and len(kept) == len(node.spec.taints):
        return node.spec.taints
    return (*kept, *added)


def copied_labels(node: Node) -> dict[str, str]:
    """Return the labels that a node lacks: the old names of its operating system and architecture."""
    labels = node.metadata.labels
    wanted = {old: labels[name] for name, old in _COPIED_LABELS.items() if name in labels}
    return {name: value for name, value in wanted.items() if labels.get(name) != value}


def not_ready_conditions(pod: Pod, now: datetime) -> tuple[PodCondition, ...]:
    """Return the conditions of a Pod whose node is silent; the same tuple when it is not ready already."""
    ready = condition(pod, READY)
    if ready is None or ready.status != "True":
        return pod.status.conditions
    return set_condition(pod.status.conditions, attrs.evolve(ready, status="False"), now)


class ZoneState(Enum):
    """How much of a zone is down."""

    NORMAL = auto()
    PARTLY_DOWN = auto()
    DOWN = auto()


def zone_of(node: Node) -> str:
    """Return the failure domain of a node: region and zone, empty when it has no labels for them."""
    labels = node.metadata.labels
    parts = (labels.get("topology.kubernetes.io/region", ""), labels.get("topology.kubernetes.io/zone", ""))
    return "/".join(parts) if any(parts) else ""


def is_alive(node: Node) -> bool:
    """Say whether a node counts as healthy for the state of its zone."""
    ready = condition(node, READY)
    return ready is not None and ready.status == "True"


def zone_state(nodes: Iterable[Node], settings: MonitorSettings) -> tuple[ZoneState, int]:
    """Return the state of a zone with these nodes, and how many there are."""
    alive = [is_alive(node) for node in nodes]
    total, down = len(alive), alive.count(False)
    if down and down == total:
        return ZoneState.DOWN, total
    if down > 2 and down / total >= settings.unhealthy_fraction:
        return ZoneState.PARTLY_DOWN, total
    return ZoneState.NORMAL, total


def eviction_rate(state: ZoneState, nodes: int, settings: MonitorSettings) -> float:
    """Return how many nodes of a zone in that state may lose their Pods in a second; 0 is none."""
    if state is not ZoneState.PARTLY_DOWN:
        return settings.evictions_per_second
    return settings.secondary_evictions_per_second if nodes > settings.large_zone_nodes else 0.0
