"""Watches of a served store: slow clients, long histories, large revisions, progress, and ends."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
import grpc
import grpc.aio
import pytest

from orchestra._proto.etcd.v3 import rpc_pb2, rpc_pb2_grpc
from orchestra.store import MemoryStore, Put, Txn, WatchRequest, serve_etcd
from orchestra.store.etcd import server_watch
from orchestra.store.etcd.server import EtcdServer
from orchestra.store.watching import OpenWatch
from tests.store.etcd_calls import call

PATIENCE_SECONDS = 20
Create = rpc_pb2.WatchCreateRequest


class Stream:
    """A client's stream of watches."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.call: Any = rpc_pb2_grpc.WatchStub(channel).Watch()

    async def create(self, key: bytes = b"k", **options: Any) -> Any:
        options = {"key": key, "range_end": b"l", **options}
        await self.call.write(rpc_pb2.WatchRequest(create_request=Create(**options)))
        return await self.read()

    async def cancel(self, watch_id: int) -> None:
        await self.call.write(rpc_pb2.WatchRequest(cancel_request=rpc_pb2.WatchCancelRequest(watch_id=watch_id)))

    async def ask_progress(self) -> None:
        await self.call.write(rpc_pb2.WatchRequest(progress_request=rpc_pb2.WatchProgressRequest()))

    async def read(self) -> Any:
        with anyio.fail_after(PATIENCE_SECONDS):
            return await self.call.read()

    async def revisions(self, until: int) -> list[int]:
        """Read events up to a revision; return theirs."""
        found: list[int] = []
        while not found or found[-1] < until:
            answer = await self.read()
            assert not answer.canceled, answer
            found += [event.kv.mod_revision for event in answer.events]
        return found

    async def failure(self) -> tuple[str, str]:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            while True:
                await self.read()
        return caught.value.code().name, caught.value.details() or ""


@asynccontextmanager
async def served() -> AsyncIterator[tuple[MemoryStore, EtcdServer]]:
    async with MemoryStore() as store, serve_etcd(store, "127.0.0.1:0", insecure=True) as server:
        yield store, server


@asynccontextmanager
async def connected(server: EtcdServer) -> AsyncIterator[grpc.aio.Channel]:
    # A connection of its own each, with windows that do not grow.
    options = [
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.http2.bdp_probe", 0),
        ("grpc.max_receive_message_length", -1),
    ]
    async with grpc.aio.insecure_channel(server.address, options=options) as channel:
        yield channel


async def test_a_client_that_does_not_read_loses_nothing_and_holds_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[WatchRequest] = []
    watch = MemoryStore.watch
    monkeypatch.setattr(MemoryStore, "watch", lambda store, request: opened.append(request) or watch(store, request))
    async with served() as (store, server), connected(server) as one, connected(server) as other:
        slow, quick, beside = Stream(one), Stream(other), Stream(one)
        for stream in (slow, quick, beside):
            await stream.create()
        last = 0
        for number in range(30_000):
            last = (await store.put(b"k%d" % (number % 7), bytes(100))).revision
            if number % 1_000 == 999:
                assert (await quick.revisions(last))[-1] == last
        # Also not on its own connection: windows are each stream's.
        assert await beside.revisions(last) == list(range(2, last + 1))
        assert await slow.revisions(last) == list(range(2, last + 1))
        # What did not fit into memory was read from the history.
        assert len(opened) > 3


async def test_what_a_slow_client_missed_may_have_been_compacted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_watch, "WATCH_BUFFER_EVENTS", 10)
    async with served() as (store, server), connected(server) as channel:
        slow = Stream(channel)
        await slow.create(watch_id=5)
        for _ in range(2_000):
            last = (await store.put(b"k", bytes(5_000))).revision
        await store.compact(last)
        heard: list[int] = []
        while not (answer := await slow.read()).canceled:
            heard += [event.kv.mod_revision for event in answer.events]
        assert (answer.watch_id, answer.compact_revision) == (5, last)
        assert heard == list(range(2, 2 + len(heard)))
        # The stream goes on.
        assert (await slow.create(watch_id=5)).created


async def test_a_long_history_comes_in_answers_of_bearable_size() -> None:
    async with served() as (store, server), connected(server) as channel:
        for number in range(40):
            last = (await store.put(b"k%d" % number, bytes(100_000))).revision
        stream = Stream(channel)
        await stream.create(start_revision=1)
        sizes, seen = [], 0
        while seen < last:
            answer = await stream.read()
            sizes.append(answer.ByteSize())
            seen = answer.events[-1].kv.mod_revision
            assert answer.header.revision >= seen
        assert max(sizes) < 1_200_000
        assert len(sizes) > 3


@pytest.mark.parametrize("fragment", [True, False])
async def test_a_large_revision_comes_in_fragments_to_those_who_can_bear_them(fragment: bool) -> None:
    async with served() as (store, server), connected(server) as channel:
        stream = Stream(channel)
        await stream.create(fragment=fragment, prev_kv=True)
        ops = tuple(Put(b"k%03d" % number, bytes(12_000)) for number in range(120))
        for _ in range(2):
            revision = (await store.txn(Txn(success=ops))).revision
            answers = [await stream.read()]
            while answers[-1].fragment:
                answers.append(await stream.read())
        events = [event for answer in answers for event in answer.events]
        assert [event.kv.key for event in events] == [op.key for op in ops]
        assert {(event.kv.mod_revision, len(event.prev_kv.value)) for event in events} == {(revision, 12_000)}
        assert [answer.fragment for answer in answers] == ([True, True, False] if fragment else [False])


async def test_progress_is_told_once_all_watches_of_the_stream_have_come_so_far() -> None:
    async with served() as (store, server), connected(server) as channel:
        for number in range(10_000):
            last = (await store.put(b"k%d" % (number % 3), bytes(10))).revision
        stream = Stream(channel)
        for start in (1, last + 1, last + 100):
            await stream.call.write(
                rpc_pb2.WatchRequest(create_request=Create(key=b"k", range_end=b"l", start_revision=start))
            )
        await stream.ask_progress()
        newest: dict[int, int] = {}
        while (answer := await stream.read()).watch_id != -1:
            for event in answer.events:
                newest[answer.watch_id] = event.kv.mod_revision
        assert newest == {0: last}
        assert answer.header.revision == last
        assert not answer.events


async def test_progress_of_a_stream_without_watches_is_the_stores_revision() -> None:
    async with served() as (store, server), connected(server) as channel:
        revision = (await store.put(b"k", b"")).revision
        stream = Stream(channel)
        await stream.ask_progress()
        answer = await stream.read()
        assert (answer.watch_id, answer.header.revision) == (-1, revision)


async def test_a_quiet_watch_is_told_its_progress_if_it_asked_for_that(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[OpenWatch] = []
    enter = OpenWatch.__aenter__

    async def noted(watch: OpenWatch) -> OpenWatch:
        opened.append(watch)
        return await enter(watch)

    monkeypatch.setattr(OpenWatch, "__aenter__", noted)
    async with served() as (store, server), connected(server) as channel:
        stream = Stream(channel)
        await stream.create(watch_id=1)
        await stream.create(watch_id=2, progress_notify=True)
        revision = (await store.put(b"elsewhere", b"")).revision
        for watch in opened:
            watch.tick()
            watch.tick()
        answer = await stream.read()
        assert (answer.watch_id, answer.header.revision, len(answer.events)) == (2, revision, 0)


async def test_nothing_comes_of_a_watch_after_its_end_was_told() -> None:
    async with served() as (store, server), connected(server) as channel:
        stream = Stream(channel)
        for _ in range(20):
            await stream.create(watch_id=3)
            async with anyio.create_task_group() as tasks:
                for number in range(20):
                    tasks.start_soon(store.put, b"k%d" % number, b"")
                await stream.cancel(3)
            while not (await stream.read()).canceled:
                pass
        assert (await stream.create(watch_id=3)).created
        await store.put(b"k", b"")
        assert len((await stream.read()).events) == 1


async def test_one_watch_too_many_is_refused_and_the_others_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_watch, "MAX_WATCHES_PER_STREAM", 2)
    async with served() as (store, server), connected(server) as channel:
        stream = Stream(channel)
        assert [(await stream.create()).canceled for _ in range(3)] == [False, False, True]
        await store.put(b"k", b"")
        assert {(await stream.read()).watch_id for _ in range(2)} == {0, 1}


async def test_streams_and_calls_end_when_the_store_closes() -> None:
    store = MemoryStore()
    closing, closed = anyio.Event(), anyio.Event()

    async def keep(*, task_status: anyio.abc.TaskStatus[None]) -> None:
        async with store:
            task_status.started()
            await closing.wait()
        closed.set()

    async with anyio.create_task_group() as tasks:
        await tasks.start(keep)
        async with serve_etcd(store, "127.0.0.1:0", insecure=True) as server, connected(server) as channel:
            stream = Stream(channel)
            await stream.create()
            closing.set()
            assert await stream.failure() == ("UNAVAILABLE", "etcdserver: server stopped")
            await closed.wait()
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await call(channel, "Put", 'key: "a"')
            assert caught.value.details() == "etcdserver: server stopped"


async def test_streams_end_when_the_server_stops_and_go_on_when_it_is_back(tmp_path: Path) -> None:
    address = f"unix:{tmp_path / 'run' / 'store.sock'}"
    async with MemoryStore() as store:
        server = serve_etcd(store, address)
        async with connected(server) as channel:
            async with server:
                stream = Stream(channel)
                first = await stream.create()
            assert await stream.failure() == ("UNAVAILABLE", "etcdserver: server stopped")
        await store.put(b"k", b"")
        async with server, connected(server) as channel:
            again = Stream(channel)
            second = await again.create(start_revision=first.header.revision + 1)
            assert (await again.revisions(2)) == [2]
        identity = (first.header.cluster_id, first.header.member_id, first.header.raft_term)
        assert (second.header.cluster_id, second.header.member_id, second.header.raft_term) == identity


async def test_watches_of_a_client_that_is_gone_are_closed() -> None:
    async with served() as (store, server):
        async with connected(server) as channel:
            stream = Stream(channel)
            for _ in range(10):
                await stream.create()
            assert len(store._hub._open) == 10
        with anyio.fail_after(PATIENCE_SECONDS):
            async with store.watch(WatchRequest(b"tick")) as tick:
                while len(store._hub._open) > 1:
                    await store.put(b"tick", b"")
                    await tick.__anext__()
