"""Watches of a store on a real etcd: sharing streams, large revisions, slow readers, and progress."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import anyio
import grpc
import pytest

from orchestra._proto.etcd.v3 import rpc_pb2, rpc_pb2_grpc
from orchestra.errors import WatchOverflow
from orchestra.store import EtcdOptions, EtcdStore, MemoryStore, Op, Put, Txn, Watch, WatchRequest, serve_etcd
from orchestra.store.etcd.channel import PROGRESS_IN_ORDER, has_fix
from orchestra.store.etcd.watch import CATCH_UP_EVENTS
from orchestra.store.etcd.watch_stream import WatchStream
from tests.store.etcd_cluster import EtcdCluster
from tests.store.test_etcd_conformance import wipe

PATIENCE_SECONDS = 20.0


@pytest.fixture
async def store(etcd: EtcdCluster) -> AsyncIterator[EtcdStore]:
    wipe(etcd)
    async with EtcdStore(etcd.endpoints, options=EtcdOptions(watches_per_stream=100)) as opened:
        yield opened


@pytest.fixture(params=["etcd", "served"])
async def either(request: pytest.FixtureRequest, etcd: EtcdCluster) -> AsyncIterator[EtcdStore]:
    """A store on etcd, and one on a server that answers progress requests in order, as only newer etcds do."""
    if request.param == "etcd":
        wipe(etcd)
        async with EtcdStore(etcd.endpoints) as opened:
            yield opened
        return
    async with (
        MemoryStore() as memory,
        serve_etcd(memory, "127.0.0.1:0", insecure=True) as server,
        EtcdStore([server.address]) as opened,
    ):
        yield opened


async def _until(watch: Watch, revision: int) -> list[tuple[int, bytes]]:
    """Return revision and key of the events up to `revision`, which must not come behind a claim that they came."""
    found: list[tuple[int, bytes]] = []
    reached = 0
    with anyio.fail_after(PATIENCE_SECONDS):
        while reached < revision:
            batch = await watch.__anext__()
            assert all(event.kv.mod_revision > reached for event in batch.events), "an event of what had come already"
            assert batch.revision >= reached
            reached = batch.revision
            found += [(event.kv.mod_revision, event.kv.key) for event in batch.events]
    return found


async def _fill(store: EtcdStore, count: int, size: int = 1) -> list[tuple[int, bytes]]:
    """Put `count` keys below p/ and as many below q/, a hundred of each in one revision; return those below p/."""
    found: list[tuple[int, bytes]] = []
    for first in range(0, count, 50):
        keys = [b"p/%06d" % number for number in range(first, min(first + 50, count))]
        ops: list[Op] = [Put(key, bytes(size)) for key in keys]
        ops += [Put(b"q" + key, b"x") for key in keys]
        revision = (await store.txn(Txn(success=tuple(ops)))).revision
        found += [(revision, key) for key in keys]
    return found


async def test_watches_share_streams_and_a_stalled_one_hinders_nobody(store: EtcdStore) -> None:
    async with anyio.create_task_group() as tasks:
        told: dict[int, int] = {}

        async def follow(number: int, *, task_status: anyio.abc.TaskStatus[None]) -> None:
            async with store.watch(WatchRequest(b"w/%d" % number)) as watch:
                task_status.started()
                told[number] = (await watch.__anext__()).events[0].kv.mod_revision

        async with store.watch(WatchRequest(b"w/", b"w0", buffer_events=20)) as stalled:
            for number in range(250):
                await tasks.start(follow, number)
            assert len(store._watches._streams) == 3
            made = {number: (await store.put(b"w/%d" % number, b"x")).revision for number in range(250)}
            with anyio.fail_after(PATIENCE_SECONDS):
                while len(told) < 250:
                    await anyio.sleep(0.01)
            assert told == made
            with pytest.raises(WatchOverflow):
                await _until(stalled, made[249])
    with anyio.fail_after(PATIENCE_SECONDS):
        while store._watches._streams:
            await anyio.sleep(0.01)


async def test_a_revision_larger_than_a_message_comes_in_one_batch(
    store: EtcdStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    fragments = 0
    taken = WatchStream._events

    def count(self: WatchStream, placed: Any, answer: rpc_pb2.WatchResponse) -> None:
        nonlocal fragments
        fragments += answer.fragment
        taken(self, placed, answer)

    monkeypatch.setattr(WatchStream, "_events", count)
    async with store.watch(WatchRequest(b"p/", b"p0", prev_kv=True)) as watch:
        for value in (b"1", b"2"):
            ops = tuple(Put(b"p/%03d" % number, value * 15_000) for number in range(100))
            revision = (await store.txn(Txn(success=ops))).revision
            batch = await watch.__anext__()
            assert (batch.revision, len(batch.events)) == (revision, 100)
    assert fragments > 0, "what was before and after must have been more than one message may hold"


async def test_a_reader_that_is_slower_than_the_history_comes_is_not_ended(store: EtcdStore) -> None:
    history = await _fill(store, 3 * CATCH_UP_EVENTS)
    request = WatchRequest(b"p/", b"p0", start_revision=history[0][0], buffer_events=10)
    async with store.watch(request) as watch:
        with anyio.fail_after(PATIENCE_SECONDS):
            while not watch.paused:
                await anyio.sleep(0.01)
        assert await _until(watch, history[-1][0]) == history
        # From there on it is a slow watcher like any other.
        last = (await _fill(store, 1000))[-1][0]
        with pytest.raises(WatchOverflow):
            await _until(watch, last)


async def test_progress_never_overtakes_the_events_of_the_past(either: EtcdStore) -> None:
    store = either
    history = await _fill(store, 4000, size=200)
    last = (await store.put(b"elsewhere", b"x")).revision
    for start in (history[0][0], history[-200][0], last):
        async with store.watch(WatchRequest(b"p/", b"p0", start_revision=start)) as watch:
            watch.request_progress()
            assert await _until(watch, last) == [event for event in history if event[0] >= start]


async def test_quiet_watches_learn_of_the_present_while_others_are_written(either: EtcdStore) -> None:
    store = either
    start = (await store.status()).revision
    deletes = WatchRequest(b"busy", deletes=True, puts=False)
    async with store.watch(WatchRequest(b"quiet")) as quiet, store.watch(deletes) as filtered:
        for number in range(20):
            last = (await store.put(b"busy", b"%d" % number)).revision
            quiet.request_progress()
            assert await _until(quiet, last) == []
        filtered.request_progress()
        assert await _until(filtered, last) == []
        # One that begins in the past, when others have asked before it was there.
        async with store.watch(WatchRequest(b"busy", start_revision=start + 1)) as past:
            past.request_progress()
            assert len(await _until(past, last)) == 20
        async with store.watch(WatchRequest(b"nothing", start_revision=start + 1)) as nothing:
            nothing.request_progress()
            assert await _until(nothing, last) == []


async def test_a_watch_of_the_future_hinders_no_other_and_claims_nothing(either: EtcdStore) -> None:
    store = either
    now = (await store.put(b"a", b"0")).revision
    async with store.watch(WatchRequest(b"a", start_revision=now + 3)) as future, store.watch(WatchRequest(b"b")) as b:
        revision = (await store.put(b"a", b"1")).revision
        for watch in (future, b):
            watch.request_progress()
            with anyio.fail_after(PATIENCE_SECONDS):
                batch = await watch.__anext__()
            assert (batch.revision, batch.events) == (revision, ())
        await store.put(b"a", b"2")
        last = (await store.put(b"a", b"3")).revision
        assert await _until(future, last) == [(last, b"a")]


async def test_an_interval_without_keys_is_watched_in_peace(store: EtcdStore) -> None:
    async with store.watch(WatchRequest(b"b", b"a")) as watch:
        revision = (await store.put(b"b", b"1")).revision
        watch.request_progress()
        assert await _until(watch, revision) == []


def _first_answers(cluster: EtcdCluster, start_revision: int) -> list[int]:
    """Return the watch ids of the first answers to a watch of the past and a progress request behind it."""
    create = rpc_pb2.WatchCreateRequest(key=b"p/", range_end=b"p0", start_revision=start_revision, watch_id=1)
    sent = [
        rpc_pb2.WatchRequest(create_request=create),
        rpc_pb2.WatchRequest(progress_request=rpc_pb2.WatchProgressRequest()),
    ]
    with grpc.insecure_channel(cluster.endpoints[0]) as channel:
        call: Any = rpc_pb2_grpc.WatchStub(channel).Watch(iter(sent))
        answers = [next(call) for _ in range(2)]
        call.cancel()
    return [answer.watch_id for answer in answers if not answer.created]


async def test_older_members_do_answer_progress_requests_too_early(store: EtcdStore, etcd: EtcdCluster) -> None:
    history = await _fill(store, 1000)
    first = await anyio.to_thread.run_sync(_first_answers, etcd, history[0][0])
    assert first == ([1] if has_fix(etcd.binary.version, PROGRESS_IN_ORDER) else [-1])
