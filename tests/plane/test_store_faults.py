"""A plane whose store is full, fails or is damaged."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from orchestra import ControlPlane, MemoryStore, NodeAgent, SQLiteStore
from orchestra.api.apps import Deployment
from orchestra.api.builders import config_map, deployment
from orchestra.api.core import ConfigMap, Pod
from orchestra.cri import FakeRuntime
from orchestra.errors import CommitFailed, CorruptStore, ServiceUnavailable, StoreError
from orchestra.store import Txn, TxnResult
from orchestra.testing import VirtualClock

QUOTA_BYTES = 600_000
WAIT_SECONDS = 30.0


def fake_node() -> NodeAgent:
    return NodeAgent("node-0", runtime=FakeRuntime())


async def fill(plane: ControlPlane) -> int:
    """Write until nothing fits any more; return how many objects there are."""
    number = 0
    for size in (20_000, 1_000, 1):
        with pytest.raises(ServiceUnavailable, match=r"the store did not take the write: .*disk is full") as caught:
            while True:
                await plane.client.create(config_map(f"c{number}", {"a": "x" * size}))
                number += 1
        assert caught.value.retryable
    return number


async def test_a_full_disk_refuses_writes_until_there_is_room_again(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "cluster.db", quota_bytes=QUOTA_BYTES)
    async with ControlPlane(store=store, nodes=[fake_node()], compaction_interval_seconds=0.2) as plane:
        client = plane.client
        await client.create(deployment("web", replicas=2))
        await client.wait_for(Deployment, "web", condition="Available", timeout=WAIT_SECONDS)
        count = await fill(plane)
        assert len((await client.list(Pod)).items) == 2  # reading goes on
        with anyio.fail_after(WAIT_SECONDS):
            for number in range(count):
                while True:  # compactions make room for the records of deletions, a little at a time
                    try:
                        await client.delete(ConfigMap, f"c{number}")
                    except ServiceUnavailable:
                        await anyio.sleep(0.05)
                    else:
                        break
        with anyio.fail_after(WAIT_SECONDS):
            while True:
                try:
                    await client.scale(Deployment, "web", 4)
                except ServiceUnavailable:
                    await anyio.sleep(0.05)
                else:
                    break
        await client.wait_for(
            Deployment, "web", predicate=lambda one: one.status.ready_replicas == 4, timeout=WAIT_SECONDS
        )
    async with ControlPlane(store=SQLiteStore(tmp_path / "cluster.db"), nodes=()) as plane:
        assert (await plane.client.get(Deployment, "web")).spec.replicas == 4


class Faulty(MemoryStore):
    """Refuses writes, or has its compactions fail, while a test says so."""

    refuses_writes = False
    refuses_compactions = False
    compactions = 0
    refused = 0

    async def txn(self, request: Txn) -> TxnResult:
        if self.refuses_writes and request.success:
            self.refused += 1
            raise CommitFailed("the disk is full")
        return await super().txn(request)

    async def compact(self, revision: int) -> None:
        if self.refuses_compactions:
            raise CommitFailed("the disk is full")
        await super().compact(revision)
        self.compactions += 1


@pytest.mark.virtual_time
async def test_a_compaction_that_the_disk_refuses_is_tried_again(tmp_path: Path) -> None:
    clock = VirtualClock()
    store = Faulty(clock=clock)
    async with ControlPlane(store=store, clock=clock, nodes=(), network=False) as plane:
        await plane.client.create(config_map("a"))
        store.refuses_compactions = True
        await anyio.sleep(1_000)
        assert store.compactions == 0
        store.refuses_compactions = False
        await anyio.sleep(400)
        assert store.compactions == 1
        assert (await plane.client.get(ConfigMap, "a")).metadata.name == "a"


@pytest.mark.virtual_time
async def test_parts_survive_a_disk_that_is_full_for_an_hour_and_do_not_spin_meanwhile() -> None:
    clock = VirtualClock()
    store = Faulty(clock=clock)
    node = NodeAgent("node-0", runtime=FakeRuntime(clock=clock), capacity={"cpu": 4, "memory": "8Gi"})
    async with ControlPlane(store=store, clock=clock, nodes=[node], network=False) as plane:
        await plane.client.create(deployment("web", replicas=2))
        await anyio.sleep(10)
        store.refuses_writes = True
        with pytest.raises(ServiceUnavailable, match="the disk is full"):
            await plane.client.scale(Deployment, "web", 3)
        await anyio.sleep(3_600)
        store.refuses_writes = False
        assert store.refused < 3_600
        await plane.client.scale(Deployment, "web", 3)
        await plane.client.wait_for(
            Deployment, "web", predicate=lambda one: one.status.ready_replicas == 3, timeout=300
        )
        assert [one for one in plane.health() if one.problem] == []


async def test_a_damaged_file_is_refused_with_what_to_do_about_it(tmp_path: Path) -> None:
    path = tmp_path / "cluster.db"
    async with ControlPlane(store=SQLiteStore(path), nodes=()) as plane:
        for number in range(50):
            await plane.client.create(config_map(f"c{number}", {"a": "x" * 1_000}))
    whole = path.read_bytes()
    middle = len(whole) // 2
    damaged = whole[:middle] + b"\xff" * 4_096 + whole[middle + 4_096 :]
    path.write_bytes(damaged)
    for _ in range(2):
        with pytest.raises(CorruptStore) as caught:
            async with ControlPlane(store=SQLiteStore(path), nodes=()):
                pytest.fail("a damaged file was opened")
        assert str(path) in str(caught.value)
        assert "restore a snapshot, or start with another file" in str(caught.value)
        assert path.read_bytes() == damaged
    path.write_bytes(whole)
    async with ControlPlane(store=SQLiteStore(path), nodes=()) as plane:
        found = (await plane.client.list(ConfigMap)).items
        assert len([one for one in found if one.metadata.name != "kube-root-ca.crt"]) == 50


async def test_a_data_directory_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"cannot open .*cluster\.db"):
        async with ControlPlane(store=SQLiteStore(tmp_path / "file" / "cluster.db"), nodes=()):
            pytest.fail("it was opened below a file")
