"""Node address ranges and EndpointSlices, kept by their controllers."""

from __future__ import annotations

from collections.abc import AsyncIterator

import anyio
import pytest

from orchestra.api.core import Event, Node, Pod, Service
from orchestra.api.discovery import EndpointSlice
from orchestra.api.manifest import load_manifests
from orchestra.api.object import ObjectMeta
from orchestra.apiserver import APIServer
from orchestra.client.interface import Patch, PatchType
from orchestra.controller import Manager
from orchestra.network import endpoints_controller, node_ipam_controller
from orchestra.store import MemoryStore
from orchestra.testing import VirtualClock

pytestmark = pytest.mark.virtual_time

RANGES = ("127.20.16.0/24", "127.20.17.0/24", "127.20.18.0/24")
WEB = """
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
"""
POD = """
apiVersion: v1
kind: Pod
metadata: {name: NAME, labels: {app: web}}
spec: {containers: [{name: c, image: "i:1"}]}
"""


@pytest.fixture
async def server() -> AsyncIterator[APIServer]:
    clock = VirtualClock()
    async with MemoryStore(clock=clock) as store, APIServer(store, clock=clock) as api, anyio.create_task_group() as tg:
        controllers = (endpoints_controller(), node_ipam_controller(RANGES))
        await tg.start(Manager(api, clock=clock, controllers=controllers).run)
        yield api
        tg.cancel_scope.cancel()


async def ranges(server: APIServer) -> dict[str, str]:
    return {node.metadata.name: node.spec.pod_cidr for node in (await server.list(Node)).items}


async def add_nodes(server: APIServer, *names: str) -> None:
    async with anyio.create_task_group() as tasks:
        for name in names:
            tasks.start_soon(server.create, Node(metadata=ObjectMeta(name=name)))
    await anyio.sleep(1)


async def run_pod(server: APIServer, name: str, address: str) -> None:
    await server.apply_documents(load_manifests(POD.replace("NAME", name)), namespace="default")
    status = {"podIP": address, "phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    await server.patch(Pod, name, Patch(PatchType.MERGE, {"status": status}), subresource="status")
    await anyio.sleep(1)


async def test_nodes_that_come_together_get_ranges_of_their_own(server: APIServer) -> None:
    await add_nodes(server, "a", "b", "c")
    assert sorted((await ranges(server)).values()) == list(RANGES)


async def test_the_range_of_a_node_that_is_gone_is_given_again(server: APIServer) -> None:
    await add_nodes(server, "a", "b", "c")
    free = (await ranges(server))["b"]
    await server.delete(Node, "b")
    await add_nodes(server, "d")
    assert (await ranges(server))["d"] == free


async def test_a_node_without_a_range_is_told_of_and_gets_one_when_one_is_free(server: APIServer) -> None:
    await add_nodes(server, "a", "b", "c")
    await add_nodes(server, "d")
    assert (await ranges(server))["d"] == ""
    assert "CIDRNotAvailable" in {event.reason for event in (await server.list(Event)).items}
    await server.delete(Node, "a")
    await anyio.sleep(31)
    assert (await ranges(server))["d"] != ""


async def test_a_slice_follows_the_pods_of_its_service(server: APIServer) -> None:
    await server.apply_documents(load_manifests(WEB), namespace="default")
    await run_pod(server, "a", "10.1.0.1")
    await run_pod(server, "b", "10.1.0.2")
    (one,) = (await server.list(EndpointSlice)).items
    assert sorted(e.addresses[0] for e in one.endpoints) == ["10.1.0.1", "10.1.0.2"]
    await server.patch(Pod, "a", Patch(PatchType.MERGE, {"metadata": {"labels": {"app": "other"}}}))
    await anyio.sleep(1)
    (one,) = (await server.list(EndpointSlice)).items
    assert [e.addresses[0] for e in one.endpoints] == ["10.1.0.2"]


async def test_changes_of_a_pod_that_nobody_can_see_write_nothing(server: APIServer) -> None:
    await server.apply_documents(load_manifests(WEB), namespace="default")
    await run_pod(server, "a", "10.1.0.1")
    (before,) = (await server.list(EndpointSlice)).items
    await server.patch(Pod, "a", Patch(PatchType.MERGE, {"metadata": {"annotations": {"a": "b"}}}))
    condition = {"status": {"conditions": [{"type": "Ready", "status": "True"}, {"type": "Other", "status": "True"}]}}
    await server.patch(Pod, "a", Patch(PatchType.MERGE, condition), subresource="status")
    await anyio.sleep(1)
    (after,) = (await server.list(EndpointSlice)).items
    assert after.metadata.resource_version == before.metadata.resource_version


async def test_slices_that_somebody_else_made_are_left_alone(server: APIServer) -> None:
    await server.apply_documents(load_manifests(WEB), namespace="default")
    own = """
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: mine, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
endpoints: [{addresses: [10.9.9.9]}]
ports: [{port: 80}]
"""
    await server.apply_documents(load_manifests(own), namespace="default")
    await run_pod(server, "a", "10.1.0.1")
    mine = await server.get(EndpointSlice, "mine")
    assert [e.addresses for e in mine.endpoints] == [("10.9.9.9",)]


async def test_a_slice_that_somebody_deletes_is_made_again(server: APIServer) -> None:
    await server.apply_documents(load_manifests(WEB), namespace="default")
    await anyio.sleep(1)
    (one,) = (await server.list(EndpointSlice)).items
    await server.delete(EndpointSlice, one.metadata.name)
    await anyio.sleep(1)
    assert len((await server.list(EndpointSlice)).items) == 1


async def test_services_without_a_selector_get_no_slice(server: APIServer) -> None:
    await server.apply_documents(load_manifests(WEB.replace("selector: {app: web}, ", "")), namespace="default")
    await anyio.sleep(1)
    assert (await server.list(Service)).items
    assert not (await server.list(EndpointSlice)).items
