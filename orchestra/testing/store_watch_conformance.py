"""The checks of `store_conformance` that are about watches: the six guarantees of etcd, and the options."""

# ruff: noqa: D103 - the name of a check is the sentence that it proves

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

import anyio
import pytest

from orchestra.errors import Compacted, StoreClosed, WatchOverflow
from orchestra.store import (
    FROM_KEY,
    Delete,
    Event,
    Op,
    Put,
    Range,
    Store,
    Txn,
    Watch,
    WatchBatch,
    WatchRequest,
    prefix_end,
)

PATIENCE_SECONDS: Final = 20.0
"""How long a check waits for something that must happen."""


async def next_batch(watch: Watch) -> WatchBatch:
    with anyio.fail_after(PATIENCE_SECONDS):
        return await watch.__anext__()


async def until(watch: Watch, revision: int, *, ask: bool = True) -> list[Event]:
    """Return the events up to and with `revision`; ask for progress if that may be a revision without any."""
    events: list[Event] = []
    while True:
        if ask:
            watch.request_progress()
        batch = await next_batch(watch)
        events += batch.events
        if batch.revision >= revision:
            return events


def _brief(events: list[Event]) -> list[tuple[bytes, bytes | None, int]]:
    return [(e.kv.key, None if e.is_delete else e.kv.value, e.kv.mod_revision) for e in events]


async def make_history(store: Store) -> int:
    """Put p/a, q/a, then p/b and p/a in one txn, then delete p/a; return the revision before."""
    before = (await store.status()).revision
    await store.put(b"p/a", b"1")
    await store.put(b"q/a", b"2")
    await store.txn(Txn(success=(Put(b"p/b", b"3"), Put(b"p/a", b"4"))))
    await store.delete(b"p/a")
    return before


def _expected(start: int) -> list[tuple[bytes, bytes | None, int]]:
    return [
        (b"p/a", b"1", start + 1),
        (b"p/b", b"3", start + 3),
        (b"p/a", b"4", start + 3),
        (b"p/a", None, start + 4),
    ]


async def a_watch_tells_what_happens_after_it_was_opened(open_store: Callable[[], Store]) -> None:
    async with open_store() as store:
        await store.put(b"p/a", b"0")
        async with store.watch(WatchRequest(b"p/", prefix_end(b"p/"))) as watch:
            assert watch.revision == (await store.status()).revision
            start = await make_history(store)
            assert _brief(await until(watch, start + 4)) == _expected(start)


async def a_watch_from_the_past_replays_it_and_goes_on_without_a_gap(open_store: Callable[[], Store]) -> None:
    async with open_store() as store:
        start = await make_history(store)
        request = WatchRequest(b"p/", prefix_end(b"p/"), start_revision=start + 1)
        async with store.watch(request) as watch:
            new = (await store.put(b"p/c", b"5")).revision
            assert _brief(await until(watch, new)) == [*_expected(start), (b"p/c", b"5", new)]


async def a_watch_resumes_over_a_restart(open_store: Callable[[], Store]) -> None:
    async with open_store() as store:
        start = await make_history(store)
    async with open_store() as store:
        request = WatchRequest(b"p/", prefix_end(b"p/"), start_revision=start + 3)
        async with store.watch(request) as watch:
            assert _brief(await until(watch, start + 4)) == _expected(start)[1:]


async def a_watch_of_one_key_tells_of_no_other(open_store: Callable[[], Store]) -> None:
    async with open_store() as store, store.watch(WatchRequest(b"p/a")) as watch:
        start = await make_history(store)
        assert [event.kv.key for event in await until(watch, start + 4)] == [b"p/a"] * 3


async def a_watch_of_the_future_waits_for_it(open_store: Callable[[], Store]) -> None:
    async with open_store() as store:
        start = (await store.status()).revision
        async with store.watch(WatchRequest(b"p/", prefix_end(b"p/"), start_revision=start + 4)) as watch:
            await make_history(store)
            assert _brief(await until(watch, start + 4)) == _expected(start)[3:]


async def filters_leave_out_puts_or_deletes(open_store: Callable[[], Store]) -> None:
    async with open_store() as store:
        start = (await store.status()).revision
        end = prefix_end(b"p/")
        async with (
            store.watch(WatchRequest(b"p/", end, puts=False)) as deletes,
            store.watch(WatchRequest(b"p/", end, deletes=False)) as puts,
        ):
            await make_history(store)
            assert _brief(await until(deletes, start + 4)) == _expected(start)[3:]
            assert _brief(await until(puts, start + 4)) == _expected(start)[:3]


async def events_carry_what_was_before(open_store: Callable[[], Store]) -> None:
    async with open_store() as store:
        async with store.watch(WatchRequest(b"p/a", prev_kv=True)) as watch:
            start = await make_history(store)
            events = await until(watch, start + 4)
        before = [event.prev_kv and event.prev_kv.value for event in events]
        assert before == [None, b"1", b"4"]
        assert [event.is_create for event in events] == [True, False, False]


async def a_revision_comes_in_one_batch(open_store: Callable[[], Store]) -> None:
    ops: tuple[Op, ...] = tuple(Put(b"p/%03d" % number, b"x") for number in range(100))
    async with open_store() as store, store.watch(WatchRequest(b"p/", b"p0", buffer_events=10)) as watch:
        await store.txn(Txn(success=ops))
        batch = await next_batch(watch)
        assert [event.kv.key for event in batch.events] == [op.key for op in ops if isinstance(op, Put)]
        await store.txn(Txn(success=(Delete(b"p/", b"p0"),)))
        assert len((await next_batch(watch)).events) == 100


async def a_quiet_watch_learns_how_far_things_are(open_store: Callable[[], Store]) -> None:
    async with open_store() as store, store.watch(WatchRequest(b"quiet")) as watch:
        revision = (await store.put(b"other", b"1")).revision
        watch.request_progress()
        assert await next_batch(watch) == WatchBatch(revision)


async def a_watch_below_the_compact_revision_is_refused(open_store: Callable[[], Store]) -> None:
    async with open_store() as store:
        start = await make_history(store)
        await store.compact(start + 3)
        with pytest.raises(Compacted) as refused:
            async with store.watch(WatchRequest(b"p/a", start_revision=start + 2)):
                pass
        assert refused.value.compact_revision == start + 3


async def a_watch_from_the_compact_revision_on_is_told_all(open_store: Callable[[], Store]) -> None:
    async with open_store() as store:
        start = await make_history(store)
        await store.compact(start + 3)
        async with store.watch(WatchRequest(b"p/", b"p0", start_revision=start + 3)) as watch:
            assert _brief(await until(watch, start + 4)) == _expected(start)[1:]


async def a_delete_at_the_compact_revision_is_still_told(open_store: Callable[[], Store]) -> None:
    async with open_store() as store:
        start = await make_history(store)
        await store.compact(start + 4)
    async with open_store() as store, store.watch(WatchRequest(b"p/a", start_revision=start + 4)) as watch:
        assert _brief(await until(watch, start + 4)) == _expected(start)[3:]


async def a_slow_watcher_is_ended_and_others_are_not(open_store: Callable[[], Store]) -> None:
    async with open_store() as store:
        slow_request = WatchRequest(b"a", b"b", buffer_events=5)
        async with store.watch(slow_request) as slow, store.watch(WatchRequest(b"a", b"b")) as patient:
            first = (await store.put(b"a", b"0")).revision
            for number in range(1, 20):
                last = (await store.put(b"a", b"%d" % number)).revision
            assert len(await until(patient, last)) == 20
            with pytest.raises(WatchOverflow):
                await until(slow, last)
        async with store.watch(WatchRequest(b"a", start_revision=first)) as again:
            assert len(await until(again, last)) == 20


async def closing_the_store_ends_its_watches(open_store: Callable[[], Store]) -> None:
    errors: list[Exception] = []
    store = open_store()

    async def reader(*, task_status: anyio.abc.TaskStatus[None]) -> None:
        async with store.watch(WatchRequest(b"a")) as watch:
            task_status.started()
            with pytest.raises(StoreClosed) as ended:
                await next_batch(watch)
            errors.append(ended.value)

    async with anyio.create_task_group() as tasks, store:
        await tasks.start(reader)
    assert len(errors) == 1


async def a_cancelled_reader_loses_nothing(open_store: Callable[[], Store]) -> None:
    async with open_store() as store:
        start = await make_history(store)
        request = WatchRequest(b"p/", prefix_end(b"p/"), start_revision=start + 1)
        async with store.watch(request) as watch:
            with anyio.CancelScope() as scope:
                scope.cancel()
                await watch.__anext__()
            assert _brief(await until(watch, start + 4)) == _expected(start)


async def watches_under_load_agree_with_the_history(open_store: Callable[[], Store]) -> None:
    """Ordered, unique, reliable and atomic, over concurrent writers, resumed again and again."""
    async with open_store() as store:
        start = (await store.status()).revision
        seen: dict[str, list[tuple[bytes, bytes | None, int]]] = {"steady": [], "resuming": []}
        last = start + 8 * 25

        async def write(writer: int) -> None:
            for number in range(25):
                value = b"%d" % number
                await store.txn(Txn(success=(Put(b"k%d" % writer, value), Put(b"j%d" % writer, value))))

        async def steady() -> None:
            async with store.watch(WatchRequest(b"j", b"l", start_revision=start + 1)) as watch:
                seen["steady"] = _brief(await until(watch, last, ask=False))

        async def resuming() -> None:
            revision = start
            while revision < last:
                async with store.watch(WatchRequest(b"j", b"l", start_revision=revision + 1)) as watch:
                    batch = await next_batch(watch)
                    seen["resuming"] += _brief(list(batch.events))
                    assert batch.revision > revision
                    revision = batch.revision

        async with anyio.create_task_group() as tasks:
            for task in (steady, resuming):
                tasks.start_soon(task)
            for writer in range(8):
                tasks.start_soon(write, writer)
        history: list[tuple[bytes, bytes | None, int]] = []
        for revision in range(start + 1, last + 1):
            kvs = (await store.range(Range(b"j", b"l", revision=revision, min_mod_revision=revision))).kvs
            history += [(kv.key, kv.value, kv.mod_revision) for kv in reversed(kvs)]
        assert seen["steady"] == history
        assert seen["resuming"] == history


async def a_watch_of_everything_and_from_a_key_on(open_store: Callable[[], Store]) -> None:
    async with (
        open_store() as store,
        store.watch(WatchRequest(b"\x00", FROM_KEY)) as everything,
        store.watch(WatchRequest(b"p/b", FROM_KEY)) as rest,
        store.watch(WatchRequest(b"z", b"a")) as nothing,
    ):
        start = await make_history(store)
        seen = [event.kv.key for event in await until(everything, start + 4)]
        assert seen == [b"p/a", b"q/a", b"p/b", b"p/a", b"p/a"]
        assert [event.kv.key for event in await until(rest, start + 4)] == [b"q/a", b"p/b"]
        assert await until(nothing, start + 4) == []


WATCH_CHECKS: Final[tuple[Callable[[Any], Awaitable[None]], ...]] = (
    a_watch_tells_what_happens_after_it_was_opened,
    a_watch_from_the_past_replays_it_and_goes_on_without_a_gap,
    a_watch_resumes_over_a_restart,
    a_watch_of_one_key_tells_of_no_other,
    a_watch_of_the_future_waits_for_it,
    filters_leave_out_puts_or_deletes,
    events_carry_what_was_before,
    a_revision_comes_in_one_batch,
    a_quiet_watch_learns_how_far_things_are,
    a_watch_below_the_compact_revision_is_refused,
    a_watch_from_the_compact_revision_on_is_told_all,
    a_delete_at_the_compact_revision_is_still_told,
    a_slow_watcher_is_ended_and_others_are_not,
    closing_the_store_ends_its_watches,
    a_cancelled_reader_loses_nothing,
    watches_under_load_agree_with_the_history,
    a_watch_of_everything_and_from_a_key_on,
)
