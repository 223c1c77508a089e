"""The checks of `store_conformance` that are about watches: the six guarantees of etcd, and the options."""

# ruff: noqa: D103 - the name of a check is the sentence that it proves

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from typing import Any, Final

import anyio
import pytest

from orchestra.errors import Compacted, StoreClosed, WatchOverflow
from orchestra.store import (
    FROM_KEY,
    PROGRESS_SECONDS,
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


async def _next(watch: Watch) -> WatchBatch:
    with anyio.fail_after(PATIENCE_SECONDS):
        return await watch.__anext__()


async def _until(watch: Watch, revision: int, *, ask: bool = True) -> list[Event]:
    """Return the events up to and with `revision`; ask for progress if that may be a revision without any."""
    events: list[Event] = []
    while True:
        if ask:
            watch.request_progress()
        batch = await _next(watch)
        events += batch.events
        if batch.revision >= revision:
            return events


def _brief(events: list[Event]) -> list[tuple[bytes, bytes | None, int]]:
    return [(e.kv.key, None if e.is_delete else e.kv.value, e.kv.mod_revision) for e in events]


async def _history(store: Store) -> int:
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
            start = await _history(store)
            assert _brief(await _until(watch, start + 4)) == _expected(start)


async def a_watch_from_the_past_replays_it_and_goes_on_without_a_gap(open_store: Callable[[], Store]) -> None:
    async with open_store() as store:
        start = await _history(store)
        request = WatchRequest(b"p/", prefix_end(b"p/"), start_revision=start + 1)
        async with store.watch(request) as watch:
            new = (await store.put(b"p/c", b"5")).revision
            assert _brief(await _until(watch, new)) == [*_expected(start), (b"p/c", b"5", new)]


async def a_watch_resumes_over_a_restart(open_store: Callable[[], Store]) -> None:
    async with open_store() as store:
        start = await _history(store)
    async with open_store() as store:
        request = WatchRequest(b"p/", prefix_end(b"p/"), start_revision=start + 3)
        async with store.watch(request) as watch:
            assert _brief(await _until(watch, start + 4)) == _expected(start)[1:]


async def a_watch_of_one_key_tells_of_no_other(open_store: Callable[[], Store]) -> None:
    async with open_store() as store, store.watch(WatchRequest(b"p/a")) as watch:
        start = await _history(store)
        assert [event.kv.key for event in await _until(watch, start + 4)] == [b"p/a"] * 3


async def a_watch_of_the_future_waits_for_it(open_store: Callable[[], Store]) -> None:
    async with open_store() as store:
        start = (await store.status()).revision
        async with store.watch(WatchRequest(b"p/", prefix_end(b"p/"), start_revision=start + 4)) as watch:
            await _history(store)
            assert _brief(await _until(watch, start + 4)) == _expected(start)[3:]


async def filters_leave_out_puts_or_deletes(open_store: Callable[[], Store]) -> None:
    async with open_store() as store:
        start = (await store.status()).revision
        end = prefix_end(b"p/")
        async with (
            store.watch(WatchRequest(b"p/", end, puts=False)) as deletes,
            store.watch(WatchRequest(b"p/", end, deletes=False)) as puts,
        ):
            await _history(store)
            assert _brief(await _until(deletes, start + 4)) == _expected(start)[3:]
            assert _brief(await _until(puts, start + 4)) == _expected(start)[:3]


async def events_carry_what_was_before(open_store: Callable[[], Store]) -> None:
    async with open_store() as store:
        async with store.watch(WatchRequest(b"p/a", prev_kv=True)) as watch:
            start = await _history(store)
            events = await _until(watch, start + 4)
        before = [event.prev_kv and event.prev_kv.value for event in events]
        assert before == [None, b"1", b"4"]
        assert [event.is_create for event in events] == [True, False, False]


async def a_revision_comes_in_one_batch(open_store: Callable[[], Store]) -> None:
    ops: tuple[Op, ...] = tuple(Put(b"p/%03d" % number, b"x") for number in range(100))
    async with open_store() as store, store.watch(WatchRequest(b"p/", b"p0", buffer_events=10)) as watch:
        await store.txn(Txn(success=ops))
        batch = await _next(watch)
        assert [event.kv.key for event in batch.events] == [op.key for op in ops if isinstance(op, Put)]
        await store.txn(Txn(success=(Delete(b"p/", b"p0"),)))
        assert len((await _next(watch)).events) == 100


async def a_quiet_watch_learns_how_far_things_are(open_store: Callable[[], Store]) -> None:
    async with open_store() as store, store.watch(WatchRequest(b"quiet")) as watch:
        revision = (await store.put(b"other", b"1")).revision
        watch.request_progress()
        assert await _next(watch) == WatchBatch(revision)


async def a_watch_below_the_compact_revision_is_refused(open_store: Callable[[], Store]) -> None:
    async with open_store() as store:
        start = await _history(store)
        await store.compact(start + 3)
        with pytest.raises(Compacted) as refused:
            async with store.watch(WatchRequest(b"p/a", start_revision=start + 2)):
                pass
        assert refused.value.compact_revision == start + 3


async def a_watch_from_the_compact_revision_on_is_told_all(open_store: Callable[[], Store]) -> None:
    async with open_store() as store:
        start = await _history(store)
        await store.compact(start + 3)
        async with store.watch(WatchRequest(b"p/", b"p0", start_revision=start + 3)) as watch:
            assert _brief(await _until(watch, start + 4)) == _expected(start)[1:]


async def a_delete_at_the_compact_revision_is_still_told(open_store: Callable[[], Store]) -> None:
    async with open_store() as store:
        start = await _history(store)
        await store.compact(start + 4)
    async with open_store() as store, store.watch(WatchRequest(b"p/a", start_revision=start + 4)) as watch:
        assert _brief(await _until(watch, start + 4)) == _expected(start)[3:]


async def a_slow_watcher_is_ended_and_others_are_not(open_store: Callable[[], Store]) -> None:
    async with open_store() as store:
        slow_request = WatchRequest(b"a", b"b", buffer_events=5)
        async with store.watch(slow_request) as slow, store.watch(WatchRequest(b"a", b"b")) as patient:
            first = (await store.put(b"a", b"0")).revision
            for number in range(1, 20):
                last = (await store.put(b"a", b"%d" % number)).revision
            assert len(await _until(patient, last)) == 20
            with pytest.raises(WatchOverflow):
                await _until(slow, last)
        async with store.watch(WatchRequest(b"a", start_revision=first)) as again:
            assert len(await _until(again, last)) == 20


async def closing_the_store_ends_its_watches(open_store: Callable[[], Store]) -> None:
    errors: list[Exception] = []
    store = open_store()

    async def reader(*, task_status: anyio.abc.TaskStatus[None]) -> None:
        async with store.watch(WatchRequest(b"a")) as watch:
            task_status.started()
            with pytest.raises(StoreClosed) as ended:
                await _next(watch)
            errors.append(ended.value)

    async with anyio.create_task_group() as tasks, store:
        await tasks.start(reader)
    assert len(errors) == 1


async def a_cancelled_reader_loses_nothing(open_store: Callable[[], Store]) -> None:
    async with open_store() as store:
        start = await _history(store)
        request = WatchRequest(b"p/", prefix_end(b"p/"), start_revision=start + 1)
        async with store.watch(request) as watch:
            with anyio.CancelScope() as scope:
                scope.cancel()
                await watch.__anext__()
            assert _brief(await _until(watch, start + 4)) == _expected(start)


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
                seen["steady"] = _brief(await _until(watch, last, ask=False))

        async def resuming() -> None:
            revision = start
            while revision < last:
                async with store.watch(WatchRequest(b"j", b"l", start_revision=revision + 1)) as watch:
                    batch = await _next(watch)
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
        start = await _history(store)
        seen = [event.kv.key for event in await _until(everything, start + 4)]
        assert seen == [b"p/a", b"q/a", b"p/b", b"p/a", b"p/a"]
        assert [event.kv.key for event in await _until(rest, start + 4)] == [b"q/a", b"p/b"]
        assert await _until(nothing, start + 4) == []


async def a_long_history_is_replayed_in_whole_revisions(open_store: Callable[[], Store]) -> None:
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
                batch = await _next(watch)
                new = [event.kv.mod_revision for event in batch.events]
                assert not new or (said < new[0] and new[-1] <= batch.revision)
                revisions, said = revisions + new, batch.revision
        whole = [revision for revision in range(start + 1, start + 5) for _ in range(120)]
        assert revisions == whole + list(range(start + 5, last + 1))


async def what_was_before_is_left_out_where_it_is_compacted(open_store: Callable[[], Store]) -> None:
    async with open_store() as store:
        start = await _history(store)
        await store.put(b"p/b", b"5")
        await store.compact(start + 4)
        request = WatchRequest(b"p/", b"p0", start_revision=start + 5, prev_kv=True)
        async with store.watch(request) as watch:
            (event,) = await _until(watch, start + 5)
            assert event.prev_kv is not None
            assert event.prev_kv.value == b"3"


async def compaction_leaves_a_live_watch_alone(open_store: Callable[[], Store]) -> None:
    async with open_store() as store, store.watch(WatchRequest(b"p/", b"p0")) as watch:
        start = await _history(store)
        assert len(await _until(watch, start + 4)) == 4
        await store.compact(start + 4)
        last = (await store.put(b"p/a", b"5")).revision
        await store.compact(last)
        assert [event.kv.value for event in await _until(watch, last)] == [b"5"]


async def a_notice_never_overtakes_an_event(open_store: Callable[[], Store]) -> None:
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
                batch = await _next(watch)
                assert batch.revision >= said
                assert all(said < event.kv.mod_revision <= batch.revision for event in batch.events)
                seen += [event.kv.mod_revision for event in batch.events]
                said = batch.revision
        assert seen == [start + 1 + number for number in range(150) if number % 3 != 2]


async def a_quiet_watch_is_told_how_far_things_are_by_itself(open_store: Callable[[], Store]) -> None:
    async with open_store() as store, store.watch(WatchRequest(b"quiet")) as watch:
        revision = (await store.put(b"other", b"1")).revision
        with anyio.fail_after(PROGRESS_SECONDS * 2 + PATIENCE_SECONDS):
            assert await watch.__anext__() == WatchBatch(revision)


async def a_thousand_watchers_are_told_while_one_stalls(open_store: Callable[[], Store]) -> None:
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
                assert len(await _until(stalled, start + 10)) == 10
        assert sorted(told) == [number for number in range(1, 11) for _ in range(1_000)]


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
    a_long_history_is_replayed_in_whole_revisions,
    what_was_before_is_left_out_where_it_is_compacted,
    compaction_leaves_a_live_watch_alone,
    a_notice_never_overtakes_an_event,
    a_quiet_watch_is_told_how_far_things_are_by_itself,
    a_thousand_watchers_are_told_while_one_stalls,
)
