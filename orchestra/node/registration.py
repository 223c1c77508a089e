"""The node as an API object: what it has, whether it is ready, and the lease that proves it is alive.

The values are pure; `Heartbeat` writes them. A lease is renewed every 10 seconds, the status only when it changes and
every 5 minutes (Kubernetes documentation, "Node Status", heartbeats).
"""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import anyio
import attrs

from orchestra._log import Logger
from orchestra.api.coordination import Lease, LeaseSpec
from orchestra.api.core import Node, NodeAddress, NodeCondition, NodeSpec, NodeStatus, NodeSystemInfo, Taint
from orchestra.api.object import MicroTime, ObjectMeta, OwnerReference
from orchestra.api.quantity import Quantity
from orchestra.backoff import Backoff
from orchestra.client.interface import Client
from orchestra.clock import Clock
from orchestra.errors import AlreadyExists, APIError, Conflict, NotFound

LEASE_NAMESPACE = "kube-node-lease"
LEASE_SECONDS = 40
RENEW_SECONDS = 10.0
STATUS_SECONDS = 300.0
RETRY = Backoff(initial_seconds=0.2, factor=2.0, max_seconds=7.0, jitter=0.2)

_READY = ("Ready", "True", "KubeletReady", "kubelet is posting ready status")
_PRESSURES = (
    ("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
    ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    ("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
)


@attrs.frozen(kw_only=True)
class NodeFacts:
    """What a node says of itself."""

    name: str
    labels: Mapping[str, str]
    taints: tuple[Taint, ...]
    capacity: Mapping[str, Quantity]
    address: str
    info: NodeSystemInfo


def host_capacity(max_pods: int) -> dict[str, Quantity]:
    """Return what this machine has: CPUs, memory and disk in bytes, and the number of Pods that it may run."""
    pages, page_bytes = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    disk = os.statvfs("/")
    return {
        "cpu": Quantity(str(os.cpu_count() or 1)),
        "memory": Quantity(f"{pages * page_bytes // 1024}Ki"),
        "ephemeral-storage": Quantity(f"{disk.f_blocks * disk.f_frsize // 1024}Ki"),
        "pods": Quantity(str(max_pods)),
    }


def system_info(runtime_version: str, agent_version: str) -> NodeSystemInfo:
    """Return what `status.nodeInfo` says of this machine."""
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    return NodeSystemInfo(
        machine_id=_read("/etc/machine-id"),
        system_uuid="",
        boot_id=_read("/proc/sys/kernel/random/boot_id"),
        kernel_version=platform.release(),
        os_image=_os_image(),
        container_runtime_version=runtime_version,
        kubelet_version=agent_version,
        kube_proxy_version="",
        operating_system="linux",
        architecture=machine,
    )


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def _os_image() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")
    except OSError:
        return "Linux"


def node_object(facts: NodeFacts) -> Node:
    """Return the Node to create."""
    labels = {
        "kubernetes.io/hostname": facts.name,
        "kubernetes.io/os": facts.info.operating_system,
        "kubernetes.io/arch": facts.info.architecture,
    }
    return Node(
        metadata=ObjectMeta(name=facts.name, labels={**labels, **facts.labels}), spec=NodeSpec(taints=facts.taints)
    )


def node_status(facts: NodeFacts, old: NodeStatus, ready: tuple[str, str, str, str], now: datetime) -> NodeStatus:
    """Return the status of a node; conditions of other writers stay."""
    now = now.replace(microsecond=0)
    wanted = (*_PRESSURES, ready)
    known = {c.type: c for c in old.conditions}
    own = {name for name, *_ in wanted}
    conditions = []
    for name, status, reason, message in wanted:
        before = known.get(name)
        since = before.last_transition_time if before is not None and before.status == status else now
        conditions.append(
            NodeCondition(
                type=name,
                status=status,
                reason=reason,
                message=message,
                last_heartbeat_time=now,
                last_transition_time=since,
            )
        )
    others = tuple(c for c in old.conditions if c.type not in own)
    return attrs.evolve(
        old,
        capacity=facts.capacity,
        allocatable=facts.capacity,
        conditions=(*others, *conditions),
        addresses=(
            NodeAddress(type="InternalIP", address=facts.address),
            NodeAddress(type="Hostname", address=facts.name),
        ),
        node_info=facts.info,
    )


class Heartbeat:
    """Keeps the Node object and its lease current."""

    def __init__(self, client: Client, clock: Clock, facts: NodeFacts, log: Logger) -> None:
        self._client = client
        self._clock = clock
        self._facts = facts
        self._log = log
        self._not_ready = ""
        self._lease: Lease | None = None
        self.node = node_object(facts)
        """The Node as it was last read or written."""
        self.changed = anyio.Event()

    def set_not_ready(self, message: str) -> None:
        """Report the node as not ready for this reason; an empty one makes it ready."""
        if message != self._not_ready:
            self._not_ready = message
            self.changed.set()

    def notice(self, node: Node) -> None:
        """Take a newer state of the Node; when somebody else has changed its readiness, the truth is written soon."""
        if int(node.metadata.resource_version or 0) < int(self.node.metadata.resource_version or 0):
            return
        found = next((c for c in node.status.conditions if c.type == "Ready"), None)
        if found is None or (found.status, found.reason) != self._ready()[1:3]:
            self.changed.set()

    async def register(self) -> Node:
        """Create the Node, or take over the one that exists, and write status and lease for the first time."""
        try:
            await self._client.create(node_object(self._facts))
        except AlreadyExists:
            await self._adopt()
        node = await self.write_status()
        await self._renew(node)
        return node

    async def run(self, node: Node) -> None:
        """Renew the lease and write the status until cancelled; errors are retried for ever, and logged."""
        async with anyio.create_task_group() as group:
            group.start_soon(self._keep_lease, node)
            group.start_soon(self._keep_status)

    async def write_status(self) -> Node:
        """Write the status of now."""
        while True:
            node = await self._client.get(Node, self._facts.name)
            status = node_status(self._facts, node.status, self._ready(), self._clock.now())
            try:
                self.node = await self._client.update(attrs.evolve(node, status=status), subresource="status")
            except Conflict:
                continue
            return self.node

    def _ready(self) -> tuple[str, str, str, str]:
        return ("Ready", "False", "KubeletNotReady", self._not_ready) if self._not_ready else _READY

    async def _adopt(self) -> None:
        """Bring the labels that the agent owns back onto an existing Node."""
        while True:
            node = await self._client.get(Node, self._facts.name)
            labels = {**node.metadata.labels, **node_object(self._facts).metadata.labels}
            if labels == dict(node.metadata.labels):
                return
            try:
                await self._client.update(attrs.evolve(node, metadata=attrs.evolve(node.metadata, labels=labels)))
            except Conflict:
                continue
            return

    async def _keep_lease(self, node: Node) -> None:
        failures = 0
        while True:
            await anyio.sleep(RETRY.delay_seconds(failures, self._clock.random) if failures else RENEW_SECONDS)
            try:
                await self._renew(node)
                failures = 0
            except APIError as error:
                failures += 1
                self._lease = None
                self._log.warning("node lease not renewed", error=str(error), failures=failures)

    async def _keep_status(self) -> None:
        failures = 0
        while True:
            wait = RETRY.delay_seconds(failures, self._clock.random) if failures else STATUS_SECONDS
            with anyio.move_on_after(wait):
                await self.changed.wait()
            self.changed = anyio.Event()
            try:
                await self.write_status()
                failures = 0
            except APIError as error:
                failures += 1
                self._log.warning("node status not written", error=str(error), failures=failures)

    async def _renew(self, node: Node) -> None:
        now = MicroTime(self._clock.now())
        name = self._facts.name
        spec = LeaseSpec(holder_identity=name, lease_duration_seconds=LEASE_SECONDS, renew_time=now)
        if self._lease is None:
            try:
                self._lease = await self._client.get(Lease, name, namespace=LEASE_NAMESPACE)
            except NotFound:
                owner = OwnerReference(api_version="v1", kind="Node", name=name, uid=node.metadata.uid)
                meta = ObjectMeta(name=name, namespace=LEASE_NAMESPACE, owner_references=(owner,))
                self._lease = await self._client.create(Lease(metadata=meta, spec=spec))
                return
        self._lease = await self._client.update(attrs.evolve(self._lease, spec=spec))
