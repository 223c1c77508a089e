"""Nodes, as `describe` shows them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final

from orchestra.api.coordination import Lease
from orchestra.api.core.node import Node
from orchestra.api.core.pod import Pod
from orchestra.api.quantity import Quantity
from orchestra.api.rules.resources import add_resources, pod_limits, pod_requests
from orchestra.api.tables.cluster import node_roles
from orchestra.api.tables.durations import human_age
from orchestra.cli.describe.sheet import Sheet, long_time

Resources = Mapping[str, Quantity]
ZERO: Final = Quantity("0")


def describe_node(sheet: Sheet, node: Node, lease: Lease | None, pods: Sequence[Pod], now: datetime) -> None:
    """Write a node with the Pods that are bound to it and have not ended."""
    meta, spec, status = node.metadata, node.spec, node.status
    sheet.line(0, f"Name:\t{meta.name}")
    sheet.line(0, f"Roles:\t{node_roles(node)}")
    sheet.labels("Labels", meta.labels)
    sheet.annotations(meta.annotations)
    sheet.line(0, f"CreationTimestamp:\t{long_time(meta.creation_timestamp)}")
    taints = [f"{t.key}{f'={t.value}' if t.value else ''}:{t.effect}" for t in spec.taints]
    sheet.listed("Taints", taints)
    sheet.line(0, f"Unschedulable:\t{str(spec.unschedulable).lower()}")
    _lease(sheet, lease)
    if status.conditions:
        header = ("Type", "Status", "LastHeartbeatTime", "LastTransitionTime", "Reason", "Message")
        sheet.line(0, "Conditions:")
        rows = [
            (
                c.type,
                c.status,
                long_time(c.last_heartbeat_time),
                long_time(c.last_transition_time),
                c.reason,
                c.message,
            )
            for c in status.conditions
        ]
        sheet.table(1, header, rows)
    sheet.line(0, "Addresses:")
    for address in status.addresses:
        sheet.line(1, f"{address.type}:\t{address.address}")
    for title, resources in (("Capacity", status.capacity), ("Allocatable", status.allocatable)):
        sheet.line(0, f"{title}:")
        for name in sorted(resources):
            sheet.line(1, f"{name}:\t{resources[name]}")
    _system(sheet, node)
    if spec.pod_cidr:
        sheet.line(0, f"PodCIDR:\t{spec.pod_cidr}")
        sheet.line(0, f"PodCIDRs:\t{','.join(spec.pod_cidrs)}")
    _pods(sheet, node, pods, now)


def _lease(sheet: Sheet, lease: Lease | None) -> None:
    sheet.line(0, "Lease:")
    held = lease.spec if lease is not None else None
    sheet.line(1, f"HolderIdentity:\t{(held.holder_identity if held else None) or '<unset>'}")
    sheet.line(1, f"AcquireTime:\t{long_time(held.acquire_time if held else None)}")
    sheet.line(1, f"RenewTime:\t{long_time(held.renew_time if held else None)}")


def _system(sheet: Sheet, node: Node) -> None:
    info = node.status.node_info
    sheet.line(0, "System Info:")
    for title, value in (
        ("Machine ID", info.machine_id),
        ("System UUID", info.system_uuid),
        ("Boot ID", info.boot_id),
        ("Kernel Version", info.kernel_version),
        ("OS Image", info.os_image),
        ("Operating System", info.operating_system),
        ("Architecture", info.architecture),
        ("Container Runtime Version", info.container_runtime_version),
        ("Kubelet Version", info.kubelet_version),
        ("Kube-Proxy Version", info.kube_proxy_version),
    ):
        sheet.line(1, f"{title}:\t{value}")


def _pods(sheet: Sheet, node: Node, pods: Sequence[Pod], now: datetime) -> None:
    allocatable = node.status.allocatable or node.status.capacity
    sheet.line(0, f"Non-terminated Pods:\t({len(pods)} in total)")
    header = ("Namespace", "Name", "CPU Requests", "CPU Limits", "Memory Requests", "Memory Limits", "Age")
    sheet.table(1, header, (_row(pod, allocatable, now) for pod in pods))
    sheet.line(0, "Allocated resources:\n  (Total limits may be over 100 percent, i.e., overcommitted.)")
    asked, limited = _sum(pods, pod_requests), _sum(pods, pod_limits)
    names = ["cpu", "memory", "ephemeral-storage"]
    names += sorted((asked.keys() | limited.keys()) - set(names))
    rows = [(name, _part(asked, name, allocatable), _part(limited, name, allocatable)) for name in names]
    sheet.table(1, ("Resource", "Requests", "Limits"), rows)


def _row(pod: Pod, allocatable: Resources, now: datetime) -> tuple[str, ...]:
    asked, limited = pod_requests(pod), pod_limits(pod)
    return (
        pod.metadata.namespace,
        pod.metadata.name,
        _part(asked, "cpu", allocatable),
        _part(limited, "cpu", allocatable),
        _part(asked, "memory", allocatable),
        _part(limited, "memory", allocatable),
        human_age(pod.metadata.creation_timestamp, now),
    )


def _sum(pods: Iterable[Pod], resources: Callable[[Pod], dict[str, Quantity]]) -> dict[str, Quantity]:
    total: dict[str, Quantity] = {}
    for pod in pods:
        total = add_resources(total, resources(pod))
    return total


def _part(resources: Resources, name: str, allocatable: Resources) -> str:
    """Return an amount, and what part of the node it is."""
    amount, whole = resources.get(name, ZERO), allocatable.get(name)
    if whole is None or not whole:
        return f"{amount} (0%)"
    return f"{amount} ({amount.nanos * 100 // whole.nanos}%)"
