"""Backups of planes that work, and what becomes of planes and clients when one is restored."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.abc import TaskGroup, TaskStatus

from orchestra.api.apps import Deployment, ReplicaSet
from orchestra.api.builders import config_map, deployment, service
from orchestra.api.codec import encode
from orchestra.api.coordination import Lease
from orchestra.api.core import ConfigMap, Namespace, Node, Pod, Service
from orchestra.api.object import Object
from orchestra.api.rules.conditions import is_ready
from orchestra.apiserver import APIServer
from orchestra.apiserver.grpc_front import GRPCFront
from orchestra.cli.commands.node import supervised
from orchestra.client.connect import connect
from orchestra.client.interface import Client, Fence, ObjectList, Patch, PatchType, WriteOptions
from orchestra.clock import SystemClock
from orchestra.controller import Election, SharedInformers
from orchestra.controller.leader import Terms
from orchestra.cri import FakeRuntime, ProcessRuntime
from orchestra.errors import Conflict, Expired, ServiceUnavailable
from orchestra.node import NodeAgent
from orchestra.plane import ControlPlane
from orchestra.store import FROM_KEY, MemoryStore, Range, SQLiteStore, restore_snapshot
from orchestra.store.restoring import RESTORE_REVISIONS
from orchestra.testing import VirtualClock
from tests.plane.kill_child import deployment as sleepers
from tests.plane.kill_child import new_plane
from tests.plane.processes import containers_of, end_users, users_of

WAIT_SECONDS = 90.0  # a client whose server was away looks for it ever more seldom, the last time after 30 s
DECLARED: tuple[type[Object], ...] = (Deployment, Service, ConfigMap, Namespace)
TERMS = Terms(lease_seconds=1.0, renew_deadline_seconds=0.6, retry_seconds=0.1)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "starts").mkdir()
    yield tmp_path
    end_users(tmp_path)  # of a test that has failed


async def declared(client: Client) -> dict[str, Any]:
    """What people stated, and by which identity the plane knows it."""
    found: dict[str, Any] = {}
    for kind in DECLARED:
        for obj in (await client.list(kind)).items:
            document = encode(obj)
            key = f"{kind.__name__}/{obj.metadata.namespace}/{obj.metadata.name}"
            found[key] = (obj.metadata.uid, document.get("spec"), document.get("data"))
    return found


@asynccontextmanager
async def contents_of(path: Path) -> AsyncIterator[APIServer]:
    """The objects of a store's file, with nobody at work on them."""
    async with SQLiteStore(path) as store, anyio.create_task_group() as tasks:
        server = APIServer(store)
        await tasks.start(server.run)
        yield server
        tasks.cancel_scope.cancel()


async def settled(client: Client, wanted: dict[str, int]) -> tuple[Pod, ...]:
    """Wait until exactly the Pods of those Deployments are there, all ready; return them."""
    pods: tuple[Pod, ...] = ()
    with anyio.move_on_after(WAIT_SECONDS) as scope:
        while True:
            pods = (await client.list(Pod, namespace="default")).items
            there = {name: sum(pod.metadata.labels["app"] == name for pod in pods) for name in wanted}
            sets = (await client.list(ReplicaSet, namespace="default")).items
            if there == wanted and len(pods) == sum(wanted.values()) and all(map(is_ready, pods)):
                status = [(await client.get(Deployment, name)).status for name in wanted]
                if all(one.available_replicas == one.updated_replicas == one.replicas for one in status):
                    break
            await anyio.sleep(0.05)
    assert not scope.cancelled_caught, [(p.metadata.name, p.status.phase) for p in pods]
    assert {one.metadata.owner_references[0].name for one in sets} == set(wanted)
    return pods


@asynccontextmanager
async def leading(client: Client, identity: str) -> AsyncIterator[None]:
    """Win the election, make one write as the leader, and go on leading."""
    won = anyio.Event()

    async def work(fence: Fence) -> None:
        patch = Patch(PatchType.MERGE, {"data": {"leader": identity}})
        await client.patch(ConfigMap, "settings", patch, options=WriteOptions(fence=fence))
        won.set()
        await anyio.sleep_forever()

    election = Election(
        client, clock=SystemClock(), name="operator", identity=identity, namespace="default", terms=TERMS
    )
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(election.run, work)
        with anyio.fail_after(WAIT_SECONDS):
            await won.wait()
        yield
        tasks.cancel_scope.cancel()


async def begin(plane: ControlPlane, folder: Path) -> None:
    """State what is to be kept, and wait until it is so."""
    client = plane.client
    for name, replicas in (("web", 2), ("api", 2)):
        await client.apply(sleepers(folder, name, replicas, 1))
    await client.create(service("web"))
    await client.create(config_map("settings", {"a": "1"}))
    await client.create(config_map("deleted-later"))
    await settled(client, {"web": 2, "api": 2})


async def go_on(plane: ControlPlane, folder: Path) -> None:
    """Do what a restore takes back."""
    client = plane.client
    await client.apply(sleepers(folder, "web", 3, 1))
    await client.apply(sleepers(folder, "late", 1, 1))
    await client.delete(ConfigMap, "deleted-later")
    await client.delete(Service, "web")
    await client.patch(ConfigMap, "settings", Patch(PatchType.MERGE, {"data": {"a": "2"}}))
    await settled(client, {"web": 3, "api": 2, "late": 1})


async def test_a_snapshot_of_a_plane_at_work_becomes_a_plane_with_the_same_objects(folder: Path) -> None:
    async with new_plane(folder / "old") as plane:
        await begin(plane, folder)
        async with leading(plane.client, "first"):
            # In the middle of a rollout and of scaling up, with Pods that end and others that begin.
            await plane.client.apply(sleepers(folder, "api", 2, 2))
            await plane.client.apply(sleepers(folder, "web", 3, 1))
            await plane.store.snapshot(folder / "backup")
        await go_on(plane, folder)
        latest = (await plane.store.status()).revision
    assert containers_of(folder) == {}
    first = await restore_snapshot(folder / "backup", folder / "new" / "cluster.db")
    assert first > latest
    async with contents_of(folder / "new" / "cluster.db") as held:
        wanted = await declared(held)
        pods = {pod.metadata.uid: pod for pod in (await held.list(Pod, namespace="default")).items}
        assert (await held.get(Lease, "operator")).spec.holder_identity == "first"
        nodes = {node.metadata.name: node.metadata.uid for node in (await held.list(Node)).items}
    assert {"Deployment/default/web", "Service/default/web", "ConfigMap/default/deleted-later"} <= wanted.keys()
    assert "Deployment/default/late" not in wanted

    async with new_plane(folder / "new") as plane:
        now = await settled(plane.client, {"web": 3, "api": 2})
        assert await declared(plane.client) == wanted
        # The Pods that were kept are the same ones, run again; only the rollout's own went.
        web = {uid for uid, pod in pods.items() if pod.metadata.labels["app"] == "web"}
        assert len(web) >= 2
        assert web <= {pod.metadata.uid for pod in now}
        assert containers_of(folder).keys() == {pod.metadata.uid for pod in now}
        assert {node.metadata.name: node.metadata.uid for node in (await plane.client.list(Node)).items} == nodes
        assert all(int(pod.metadata.resource_version) > first for pod in now)
        assert [one for one in plane.health() if one.problem] == []
        async with leading(plane.client, "second"):
            lease = await plane.client.get(Lease, "operator")
        assert (lease.spec.holder_identity, lease.spec.lease_transitions) == ("second", 1)
        assert (await plane.client.get(ConfigMap, "settings")).data == {"a": "1", "leader": "second"}
    assert users_of(folder) == []


async def test_a_store_restored_beside_what_nodes_keep_finds_the_containers_running(folder: Path) -> None:
    async with new_plane(folder, on_exit="leave") as plane:
        await begin(plane, folder)
        await plane.store.snapshot(folder / "backup")
        kept = containers_of(folder)
        await go_on(plane, folder)
    assert len(containers_of(folder)) == 6
    for name in ("cluster.db", "cluster.db.lock"):
        (folder / name).unlink()
    await restore_snapshot(folder / "backup", folder / "cluster.db")
    async with new_plane(folder) as plane:
        await settled(plane.client, {"web": 2, "api": 2})
        with anyio.fail_after(WAIT_SECONDS):
            while containers_of(folder).keys() != kept.keys():
                await anyio.sleep(0.05)
        assert containers_of(folder) == kept
    assert users_of(folder) == []


class Served:
    """Planes without nodes of their own, one after the other, always at the same address."""

    def __init__(self, folder: Path, tasks: TaskGroup) -> None:
        self.address = f"unix:{folder}/run/api.sock"
        self._tasks = tasks
        self._scope = anyio.CancelScope()
        self._ended = anyio.Event()

    async def start(self, path: Path) -> ControlPlane:
        plane = ControlPlane(store=SQLiteStore(path), nodes=(), fronts=[GRPCFront(self.address)])
        self._scope, self._ended = anyio.CancelScope(), anyio.Event()
        await self._tasks.start(self._run, plane)
        return plane

    async def _run(self, plane: ControlPlane, *, task_status: TaskStatus[None]) -> None:
        with self._scope:
            await plane.run(task_status=task_status)
        self._ended.set()

    async def stop(self) -> None:
        self._scope.cancel()
        await self._ended.wait()


async def test_clients_and_agents_that_were_connected_go_on_with_the_restored_plane(folder: Path) -> None:
    """They stay where they are, the plane goes back in time: what they saw since the snapshot is not so any more."""
    clock = SystemClock()
    agent = NodeAgent("far", runtime=ProcessRuntime(root=folder / "far"), pod_network=False)
    async with anyio.create_task_group() as tasks:
        served = Served(folder, tasks)
        plane = await served.start(folder / "old.db")
        async with connect(served.address) as client, connect(served.address) as far, supervised(agent, far, clock):
            informers = SharedInformers(client, clock=clock)
            await tasks.start(informers.run)
            configs = informers.informer(ConfigMap)
            await client.apply(sleepers(folder, "web", 2, 1))
            for name in ("kept", "deleted-later", "changed-later"):
                await client.create(config_map(name, {"a": "1"}))
            await settled(client, {"web": 2})
            kept = containers_of(folder)
            await plane.store.snapshot(folder / "backup")
            await client.apply(sleepers(folder, "late", 1, 1))
            await client.create(config_map("made-later"))
            await client.delete(ConfigMap, "deleted-later")
            patch = Patch(PatchType.MERGE, {"data": {"a": "2"}})
            changed = await client.patch(ConfigMap, "changed-later", patch)
            await settled(client, {"web": 2, "late": 1})
            await configs.wait_revision(int(changed.metadata.resource_version))
            listed = await client.list(ConfigMap, namespace="default", limit=1)
            await served.stop()
            await restore_snapshot(folder / "backup", folder / "new.db")
            assert len(containers_of(folder)) == 3
            await served.start(folder / "new.db")
            await answered(client)
            await settled(client, {"web": 2})
            with anyio.fail_after(WAIT_SECONDS):
                await configs.wait_revision(RESTORE_REVISIONS)
                while containers_of(folder) != kept:
                    await anyio.sleep(0.05)
            seen = [one for one in configs.lister.list() if one.metadata.namespace == "default"]
            seen = [one for one in seen if one.metadata.name != "kube-root-ca.crt"]
            assert {one.metadata.name for one in seen} == {"kept", "deleted-later", "changed-later"}
            assert [dict(one.data) for one in seen] == [{"a": "1"}] * 3
            await refuses_old_revisions(client, changed, listed)
        await served.stop()
        tasks.cancel_scope.cancel()
    assert users_of(folder) == []


async def answered(client: Client) -> None:
    """Wait until the client has found the server again: until then it says that there is none."""
    with anyio.fail_after(WAIT_SECONDS):
        while True:
            try:
                await client.list(Node)
            except ServiceUnavailable:
                await anyio.sleep(0.05)
            else:
                return


async def refuses_old_revisions(client: Client, changed: ConfigMap, listed: ObjectList[ConfigMap]) -> None:
    old = listed.metadata.resource_version
    with pytest.raises(Expired):
        async with client.watch(ConfigMap, resource_version=old) as watch:
            await watch.next_batch()
    with pytest.raises(Expired):
        await client.list(ConfigMap, resource_version=old, resource_version_match="Exact")
    with pytest.raises(Expired):
        await client.list(ConfigMap, namespace="default", limit=1, continue_=listed.metadata.continue_)
    with pytest.raises(Conflict):
        await client.update(changed)
    left = (await client.list(ConfigMap, namespace="default", resource_version=old)).items
    assert len([one for one in left if one.metadata.name != "kube-root-ca.crt"]) == 3


@pytest.mark.virtual_time
async def test_pods_of_nodes_that_do_not_come_back_with_a_restored_plane_are_replaced() -> None:
    clock = VirtualClock()

    def plane(store: MemoryStore, *nodes: str) -> ControlPlane:
        capacity: dict[str, str | int] = {"cpu": 4, "memory": "8Gi"}
        agents = [NodeAgent(name, runtime=FakeRuntime(clock=clock), capacity=capacity) for name in nodes]
        return ControlPlane(store=store, clock=clock, nodes=agents, network=False)

    async def places(client: Client) -> dict[str, str]:
        pods = (await client.list(Pod, namespace="default")).items
        return {pod.metadata.name: pod.spec.node_name for pod in pods if pod.metadata.deletion_timestamp is None}

    old, new = MemoryStore(clock=clock), MemoryStore(clock=clock)
    async with plane(old, "kept", "lost") as before:
        await before.client.create(deployment("web", replicas=4))
        await settled(before.client, {"web": 4})
        first = await places(before.client)
        found = await old.range(Range(b"\0", FROM_KEY))
    assert set(first.values()) == {"kept", "lost"}
    await anyio.sleep(3_600)
    async with new:  # what a snapshot holds; virtual time knows no files
        for kv in found.kvs:
            await new.put(kv.key, kv.value)
    async with plane(new, "kept") as after:
        await anyio.sleep(600)
        last = await places(after.client)
    assert list(last.values()) == ["kept"] * 4
    assert {name for name, node in first.items() if node == "kept"} <= last.keys()
