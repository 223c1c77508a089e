"""Nodes that fall silent, taints, and Pods that have to leave; steps and wording as recorded from Kubernetes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import anyio
import pytest

from orchestra.api.coordination import Lease, LeaseSpec
from orchestra.api.core import Container, Event, Node, NodeCondition, NodeStatus, Pod, PodSpec, Toleration
from orchestra.api.object import MicroTime, ObjectMeta
from orchestra.api.rules.conditions import condition
from orchestra.apiserver import APIServer
from orchestra.client.interface import Patch, PatchType
from orchestra.testing import VirtualClock

pytestmark = pytest.mark.virtual_time

ALIVE = {"type": "Ready", "status": "True", "reason": "KubeletReady"}
SHORT = tuple(
    Toleration(key=f"node.kubernetes.io/{key}", operator="Exists", effect="NoExecute", toleration_seconds=3)
    for key in ("not-ready", "unreachable")
)
EVERYTHING = (Toleration(operator="Exists"),)


class Nodes:
    """A cluster of nodes whose heartbeats the test controls."""

    def __init__(self, server: APIServer) -> None:
        self.server = server
        self.clock = VirtualClock()
        self.beating: set[str] = set()

    async def add(self, *names: str, zone: str = "z", reported: bool = True) -> None:
        for name in names:
            labels = {"topology.kubernetes.io/region": "r", "topology.kubernetes.io/zone": zone}
            await self.server.create(Node(metadata=ObjectMeta(name=name, labels=labels)))
            if reported:
                node = await self.server.get(Node, name)
                status = NodeStatus(conditions=(NodeCondition(**ALIVE),))
                await self.server.update(
                    Node(metadata=node.metadata, spec=node.spec, status=status), subresource="status"
                )
                await self.server.create(Lease(metadata=ObjectMeta(name=name, namespace="kube-node-lease")))
                self.beating.add(name)

    async def beat(self) -> None:
        while True:
            for name in sorted(self.beating):
                lease = await self.server.get(Lease, name, namespace="kube-node-lease")
                spec = LeaseSpec(holder_identity=name, renew_time=MicroTime(self.clock.now()))
                await self.server.update(Lease(metadata=lease.metadata, spec=spec))
            await anyio.sleep(0.8)

    async def post(self, name: str, *conditions: dict[str, str]) -> None:
        node = await self.server.get(Node, name)
        by_type: dict[str, Any] = {c.type: c for c in node.status.conditions}
        by_type.update({c["type"]: NodeCondition(**c, last_heartbeat_time=self.clock.now()) for c in conditions})
        status = NodeStatus(conditions=tuple(by_type.values()))
        await self.server.update(Node(metadata=node.metadata, spec=node.spec, status=status), subresource="status")

    async def run_pod(self, name: str, node: str, tolerations: Iterable[Toleration] = ()) -> None:
        spec = PodSpec(containers=(Container(name="c", image="i"),), tolerations=tuple(tolerations), node_name=node)
        made = await self.server.create(Pod(metadata=ObjectMeta(name=name, namespace="default"), spec=spec))
        patch = {"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}}
        await self.server.patch(Pod, made.metadata.name, Patch(PatchType.MERGE, patch), subresource="status")

    async def taints(self, name: str) -> list[tuple[str, str]]:
        node = await self.server.get(Node, name)
        return sorted((taint.key.rpartition("/")[2], taint.effect) for taint in node.spec.taints)

    async def conditions(self, name: str) -> dict[str, tuple[str, str, str]]:
        node = await self.server.get(Node, name)
        return {c.type: (c.status, c.reason, c.message) for c in node.status.conditions}

    async def pod(self, name: str) -> Pod:
        return await self.server.get(Pod, name)

    async def leaving(self) -> list[str]:
        pods = (await self.server.list(Pod)).items
        return [pod.metadata.name for pod in pods if pod.metadata.deletion_timestamp is not None]

    async def events(self, kind: str, *reasons: str) -> list[tuple[str, str, str]]:
        events = (await self.server.list(Event)).items
        found = [(e.involved_object.name, e.reason, e.message) for e in events if e.involved_object.kind == kind]
        return sorted(event for event in found if event[1] in reasons)


@pytest.fixture
async def nodes(server: APIServer) -> Any:
    cluster = Nodes(server)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(cluster.beat)
        yield cluster
        tasks.cancel_scope.cancel()


NEVER = ("Unknown", "NodeStatusNeverUpdated", "Kubelet never posted node status.")


async def test_a_node_that_falls_silent_becomes_unknown_and_its_pods_not_ready(nodes: Nodes) -> None:
    await nodes.add("n1", "n2", "n3")
    await nodes.run_pod("p1", "n1", SHORT)
    await nodes.run_pod("p3", "n1", EVERYTHING)
    await nodes.run_pod("p4", "n2", SHORT)
    await anyio.sleep(10)
    assert await nodes.taints("n1") == []
    nodes.beating.remove("n1")
    await anyio.sleep(6)
    assert await nodes.conditions("n1") == {
        "Ready": ("Unknown", "NodeStatusUnknown", "Kubelet stopped posting node status."),
        "MemoryPressure": NEVER,
        "DiskPressure": NEVER,
        "PIDPressure": NEVER,
    }
    assert await nodes.taints("n1") == [("unreachable", "NoExecute"), ("unreachable", "NoSchedule")]
    ready = {name: condition(await nodes.pod(name), "Ready").status for name in ("p1", "p3", "p4")}
    assert ready == {"p1": "False", "p3": "False", "p4": "True"}
    assert await nodes.events("Node", "NodeNotReady") == [
        ("n1", "NodeNotReady", "Node n1 status is now: NodeNotReady"),
    ]
    assert await nodes.events("Pod", "NodeNotReady") == [
        ("p1", "NodeNotReady", "Node is not ready"),
        ("p3", "NodeNotReady", "Node is not ready"),
    ]
    await anyio.sleep(3)
    assert await nodes.leaving() == ["p1"]
    assert await nodes.events("Pod", "TaintManagerEviction") == [
        ("p1", "TaintManagerEviction", "Marking for deletion Pod default/p1"),
    ]
    why = condition(await nodes.pod("p1"), "DisruptionTarget")
    assert (why.status, why.reason, why.message) == (
        "True",
        "DeletionByTaintManager",
        "Taint manager: deleting due to NoExecute taint",
    )
    nodes.beating.add("n1")
    await nodes.post("n1", ALIVE)
    await anyio.sleep(3)
    assert await nodes.taints("n1") == []


async def test_a_node_is_silent_only_after_the_whole_grace_period(nodes: Nodes) -> None:
    await nodes.add("n1", "n2")
    await anyio.sleep(10)
    nodes.beating.remove("n1")
    await anyio.sleep(3.1)
    assert (await nodes.conditions("n1"))["Ready"][0] == "True"
    await anyio.sleep(1.5)
    assert (await nodes.conditions("n1"))["Ready"][0] == "Unknown"


async def test_a_node_that_never_reports_becomes_unknown_too(nodes: Nodes) -> None:
    await nodes.add("n1", "n2")
    await nodes.add("n9", reported=False)
    await anyio.sleep(4.5)
    assert await nodes.conditions("n9") == {}
    await anyio.sleep(2)
    assert await nodes.conditions("n9") == dict.fromkeys(
        ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure"), NEVER
    )
    assert await nodes.taints("n9") == [("unreachable", "NoExecute"), ("unreachable", "NoSchedule")]
    assert await nodes.events("Node", "NodeNotReady") == []


async def test_a_node_that_says_it_is_not_ready_is_tainted_and_its_pods_stay_ready(nodes: Nodes) -> None:
    await nodes.add("n1", "n2", "n3")
    await nodes.run_pod("p1", "n1", [*(t for t in SHORT)])
    await nodes.run_pod("p2", "n1", [Toleration(operator="Exists", toleration_seconds=300, effect="NoExecute")])
    await nodes.post("n1", {"type": "Ready", "status": "False", "reason": "KubeletNotReady", "message": "m"})
    await anyio.sleep(2)
    assert await nodes.taints("n1") == [("not-ready", "NoExecute"), ("not-ready", "NoSchedule")]
    assert condition(await nodes.pod("p1"), "Ready").status == "True"
    assert await nodes.leaving() == []
    await anyio.sleep(2)
    assert await nodes.leaving() == ["p1"]
    await nodes.post("n1", ALIVE)
    await anyio.sleep(2)
    assert await nodes.taints("n1") == []
    assert await nodes.events("Pod", "TaintManagerEviction") == [
        ("p1", "TaintManagerEviction", "Marking for deletion Pod default/p1"),
        ("p2", "TaintManagerEviction", "Cancelling deletion of Pod default/p2"),
    ]


async def test_pressure_and_cordoning_become_taints_that_nobody_has_to_leave_for(nodes: Nodes) -> None:
    await nodes.add("n1", "n2")
    await nodes.run_pod("p1", "n1")
    for kind in ("MemoryPressure", "DiskPressure", "PIDPressure", "NetworkUnavailable"):
        await nodes.post("n1", {"type": kind, "status": "True", "reason": "x", "message": "m"})
    await nodes.server.patch(Node, "n1", Patch(PatchType.MERGE, {"spec": {"unschedulable": True}}))
    await anyio.sleep(1)
    keys = ("disk-pressure", "memory-pressure", "network-unavailable", "pid-pressure", "unschedulable")
    assert await nodes.taints("n1") == [(key, "NoSchedule") for key in keys]
    assert await nodes.leaving() == []
    await nodes.post("n1", {"type": "DiskPressure", "status": "False", "reason": "x", "message": "m"})
    await nodes.server.patch(Node, "n1", Patch(PatchType.MERGE, {"spec": {"unschedulable": False}}))
    await anyio.sleep(1)
    assert await nodes.taints("n1") == [(key, "NoSchedule") for key in keys[1:4]]


async def test_taints_that_others_set_evict_whoever_does_not_tolerate_them(nodes: Nodes) -> None:
    await nodes.add("n1")
    await nodes.run_pod("none", "n1")
    await nodes.run_pod("all", "n1", EVERYTHING)
    await nodes.run_pod(
        "some", "n1", [Toleration(key="k", operator="Exists", toleration_seconds=3, effect="NoExecute")]
    )
    await nodes.run_pod("other", "n1", [Toleration(key="k", operator="Equal", value="w", effect="NoExecute")])
    taint = {"key": "k", "value": "v", "effect": "NoExecute"}
    await nodes.server.patch(Node, "n1", Patch(PatchType.MERGE, {"spec": {"taints": [taint]}}))
    await anyio.sleep(1)
    assert await nodes.leaving() == ["none", "other"]
    await anyio.sleep(3)
    assert await nodes.leaving() == ["none", "other", "some"]
    assert await nodes.taints("n1") == [("k", "NoExecute")]


async def test_when_no_node_is_heard_of_nothing_is_evicted(nodes: Nodes) -> None:
    await nodes.add("n1", "n2")
    await nodes.run_pod("p", "n1", SHORT)
    await anyio.sleep(5)
    nodes.beating.clear()
    await anyio.sleep(30)
    assert await nodes.taints("n1") == [("unreachable", "NoSchedule")]
    assert await nodes.leaving() == []


async def test_when_most_of_a_small_zone_is_down_eviction_stops_there(nodes: Nodes) -> None:
    await nodes.add("n1", "n2", "n3", "n4", zone="sick")
    await nodes.add("m1", zone="well")
    await anyio.sleep(5)
    await nodes.run_pod("p", "n1", SHORT)
    nodes.beating.difference_update(("n1", "n2", "n3"))
    await anyio.sleep(20)
    kinds = [await nodes.taints(name) for name in ("n1", "n2", "n3")]
    # The first two fall silent while the zone still counts as well.
    assert kinds.count([("unreachable", "NoSchedule")]) >= 1


async def test_pods_of_a_node_that_is_gone_are_removed_after_quarantine(nodes: Nodes) -> None:
    await nodes.add("n1", "n2")
    await nodes.run_pod("p", "n1", EVERYTHING)
    await nodes.run_pod("q", "n2", EVERYTHING)
    await nodes.server.delete(Node, "n1")
    await anyio.sleep(39)
    assert [pod.metadata.name for pod in (await nodes.server.list(Pod)).items] == ["p", "q"]
    await anyio.sleep(40)
    assert [pod.metadata.name for pod in (await nodes.server.list(Pod)).items] == ["q"]


async def test_a_registered_node_gets_its_old_labels_and_an_event(nodes: Nodes) -> None:
    labels = {"kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"}
    await nodes.server.create(Node(metadata=ObjectMeta(name="n1", labels=labels)))
    await anyio.sleep(1)
    node = await nodes.server.get(Node, "n1")
    assert node.metadata.labels == {**labels, "beta.kubernetes.io/os": "linux", "beta.kubernetes.io/arch": "amd64"}
    assert node.metadata.annotations == {"node.alpha.kubernetes.io/ttl": "0"}
    assert await nodes.events("Node", "RegisteredNode") == [
        ("n1", "RegisteredNode", "Node n1 event: Registered Node n1 in Controller"),
    ]


async def test_watching_healthy_nodes_writes_nothing(nodes: Nodes) -> None:
    await nodes.add("n1", "n2")
    await anyio.sleep(30)
    before = {node.metadata.name: node.metadata.resource_version for node in (await nodes.server.list(Node)).items}
    await anyio.sleep(600)
    after = {node.metadata.name: node.metadata.resource_version for node in (await nodes.server.list(Node)).items}
    assert before == after
