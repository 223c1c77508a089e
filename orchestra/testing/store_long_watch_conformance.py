"""The checks of `store_conformance` that are about how long and how many: histories, notices, a thousand watchers."""

# ruff: noqa: D103 - the name of a check is the sentence that it proves

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from typing import Final

import anyio

from orchestra.errors import WatchOverflow
from orchestra.store import PROGRESS_SECONDS, Put, Txn, WatchBatch, WatchRequest, prefix_end
from orchestra.testing.store_key_conformance import StoreFactory
from orchestra.testing.store_watch_conformance import PATIENCE_SECONDS, make_history, next_batch, until


async def a_long_history_is_replayed_in_whole_revisions(open_store: StoreFactory) -> None:
    """Large revisions too, which transports carry in fragments."""
    async with open_store() as store:
        start = (await store.status()).revision
        value = bytes(range(256)) * 36
        large = Txn(success=tuple(Put(b"p/%03d" % number, value) for number in range(120)))
        for _ in range(4):
            await store.txn(large)
        for _ in range(300):
            last = (await store.put(b"p/000", b"")).revision
        request = WatchRequest(b"p/", prefix_end(b"p/"), start_revision=start + 1, prev_kv=True)
        async with store.watch(request) as watch:
            revisions: list[int] = []
            said = start
            while said < last:
                batch = await next_batch(watch)
                new = [event.kv.mod_revision for event in batch.events]
                assert not new or (said < new[0] and new[-1] <= batch.revision)
                revisions, said = revisions + new, batch.revision
        whole = [revision for revision in range(start + 1, start + 5) for _ in range(120)]
        assert revisions == whole + list(range(start + 5, last + 1))


async def what_was_before_is_left_out_where_it_is_compacted(open_store: StoreFactory) -> None:
    async with open_store() as store:
        start = await make_history(store)
        await store.put(b"p/b", b"5")
        await store.compact(start + 4)
        request = WatchRequest(b"p/", b"p0", start_revision=start + 5, prev_kv=True)
        async with store.watch(request) as watch:
            (event,) = await until(watch, start + 5)
            assert event.prev_kv is not None
            assert event.prev_kv.value == b"3"


async def compaction_leaves_a_live_watch_alone(open_store: StoreFactory) -> None:
    async with open_store() as store, store.watch(WatchRequest(b"p/", b"p0")) as watch:
        start = await make_history(store)
        assert len(await until(watch, start + 4)) == 4
        await store.compact(start + 4)
        last = (await store.put(b"p/a", b"5")).revision
        await store.compact(last)
        assert [event.kv.value for event in await until(watch, last)] == [b"5"]


async def a_notice_never_overtakes_an_event(open_store: StoreFactory) -> None:
    async with open_store() as store:
        start = (await store.status()).revision
        seen: list[int] = []

        async def write() -> None:
            for number in range(150):
                await store.put(b"k%d" % (number % 3), b"")

        request = WatchRequest(b"k0", b"k2", start_revision=start + 1)
        async with store.watch(request) as watch, anyio.create_task_group() as tasks:
            tasks.start_soon(write)
            said = start
            while said < start + 150:
                watch.request_progress()
                batch = await next_batch(watch)
                assert batch.revision >= said
                assert all(said < event.kv.mod_revision <= batch.revision for event in batch.events)
                seen += [event.kv.mod_revision for event in batch.events]
                said = batch.revision
        assert seen == [start + 1 + number for number in range(150) if number % 3 != 2]


async def a_quiet_watch_is_told_how_far_things_are_by_itself(open_store: StoreFactory) -> None:
    async with open_store() as store, store.watch(WatchRequest(b"quiet")) as watch:
        revision = (await store.put(b"other", b"1")).revision
        with anyio.fail_after(PROGRESS_SECONDS * 2 + PATIENCE_SECONDS):
            assert await watch.__anext__() == WatchBatch(revision)


async def a_thousand_watchers_are_told_while_one_stalls(open_store: StoreFactory) -> None:
    async with open_store() as store:
        start = (await store.status()).revision
        told: list[int] = []

        async def read(number: int, *, task_status: anyio.abc.TaskStatus[None]) -> None:
            request = WatchRequest(b"k", b"l") if number % 2 else WatchRequest(b"k1")
            async with store.watch(request) as watch:
                task_status.started()
                with anyio.fail_after(PATIENCE_SECONDS * 3):
                    revision = start
                    while revision < start + 10:
                        batch = await watch.__anext__()
                        revision = batch.events[-1].kv.mod_revision
                        told.extend(event.kv.mod_revision - start for event in batch.events)

        async with (
            store.watch(WatchRequest(b"k", b"l", buffer_events=3)) as stalled,
            anyio.create_task_group() as tasks,
        ):
            for number in range(1_000):
                await tasks.start(read, number)
            for number in range(10):
                await store.put(b"k1", b"%d" % number)
            # Whether it was ended depends on how far the events had come; but none may be missing unsaid.
            with contextlib.suppress(WatchOverflow):
                assert len(await until(stalled, start + 10)) == 10
        assert sorted(told) == [number for number in range(1, 11) for _ in range(1_000)]


LONG_WATCH_CHECKS: Final[tuple[Callable[[StoreFactory], Awaitable[None]], ...]] = (
    a_long_history_is_replayed_in_whole_revisions,
    what_was_before_is_left_out_where_it_is_compacted,
    compaction_leaves_a_live_watch_alone,
    a_notice_never_overtakes_an_event,
    a_quiet_watch_is_told_how_far_things_are_by_itself,
    a_thousand_watchers_are_told_while_one_stalls,
)
