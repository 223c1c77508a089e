from __future__ import annotations

import anyio
import pytest
from anyio.lowlevel import checkpoint

from orchestra.errors import AmbiguousCommit, CommitFailed, StoreClosed, StoreError
from orchestra.store import Compare, LoggedStore, Put, Txn, TxnResult, WatchBatch, WatchRequest, logged
from tests.store.held_log import HeldLog

pytestmark = pytest.mark.virtual_time


class Calls:
    """Txns in tasks of their own, and how they ended."""

    def __init__(self, store: LoggedStore) -> None:
        self.store = store
        self.ended: dict[str, TxnResult | StoreError] = {}

    async def txn(self, name: str, txn: Txn) -> None:
        try:
            self.ended[name] = await self.store.txn(txn)
        except StoreError as error:
            self.ended[name] = error


async def test_nothing_is_seen_before_the_log_has_it() -> None:
    log = HeldLog()
    async with LoggedStore(log) as store, anyio.create_task_group() as tasks:
        calls = Calls(store)
        async with store.watch(WatchRequest(b"a")) as watch:
            tasks.start_soon(calls.txn, "put", Txn(success=(Put(b"a"),)))
            await log.begun.wait()
            tasks.start_soon(calls.txn, "look", Txn((Compare(b"a", "version", "=", 1),), failure=(Put(b"b"),)))
            for _ in range(10):
                await checkpoint()
            watch.request_progress()
            assert await watch.__anext__() == WatchBatch(1)
            assert await store.get(b"a") is None
            assert calls.ended == {}, "an answer that rests on what is not durable was given"
            log.go_on.set()
            batch = await watch.__anext__()
            assert batch.revision == 2
    assert calls.ended["look"] == TxnResult(2, True, ())


async def test_concurrent_txns_share_one_append() -> None:
    log = HeldLog()
    async with LoggedStore(log) as store:
        calls = Calls(store)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(calls.txn, "first", Txn(success=(Put(b"a"),)))
            await log.begun.wait()
            for number in range(50):
                tasks.start_soon(calls.txn, f"{number}", Txn(success=(Put(b"%d" % number),)))
            for _ in range(10):
                await checkpoint()
            log.go_on.set()
    assert [len(batch) for batch in log.batches] == [1, 50]


async def test_a_failed_commit_fails_its_txns_alone_and_others_are_decided_anew() -> None:
    log = HeldLog()
    log.failures = [CommitFailed("disk full")]
    async with LoggedStore(log) as store:
        calls = Calls(store)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(calls.txn, "lost", Txn(success=(Put(b"a"),)))
            await log.begun.wait()
            create = Txn((Compare(b"a", "version", "=", 0),), (Put(b"a", b"second"),))
            tasks.start_soon(calls.txn, "second", create)
            for _ in range(10):
                await checkpoint()
            log.go_on.set()
        assert isinstance(calls.ended["lost"], CommitFailed)
        second = calls.ended["second"]
        assert isinstance(second, TxnResult)
        assert (second.succeeded, second.revision) == (True, 2)
        kv = await store.get(b"a")
        assert kv is not None
        assert (kv.value, kv.mod_revision) == (b"second", 2)


async def test_a_commit_of_unknown_outcome_closes_the_store() -> None:
    log = HeldLog()
    log.failures = [AmbiguousCommit("fsync failed")]
    async with LoggedStore(log) as store:
        calls = Calls(store)
        async with anyio.create_task_group() as tasks, store.watch(WatchRequest(b"a")) as watch:
            tasks.start_soon(calls.txn, "unknown", Txn(success=(Put(b"a"),)))
            await log.begun.wait()
            tasks.start_soon(calls.txn, "behind", Txn(success=(Put(b"b"),)))
            for _ in range(10):
                await checkpoint()
            log.go_on.set()
            with pytest.raises(StoreClosed, match="fsync failed"):
                await watch.__anext__()
        assert isinstance(calls.ended["unknown"], AmbiguousCommit)
        assert isinstance(calls.ended["behind"], CommitFailed)
        with pytest.raises(StoreClosed, match="fsync failed"):
            await store.put(b"c", b"")


async def test_closing_finishes_what_was_begun_even_when_cancelled() -> None:
    log = HeldLog()
    calls = Calls(LoggedStore(log))
    with anyio.CancelScope() as scope:
        async with calls.store as store, anyio.create_task_group() as tasks:
            for key in (b"a", b"b"):
                tasks.start_soon(calls.txn, key.decode(), Txn(success=(Put(key),)))
                await log.begun.wait()
            await checkpoint()
            log.go_on.set()
            scope.cancel()
    assert sum(len(batch) for batch in log.batches) == 2
    with pytest.raises(StoreClosed):
        await store.get(b"a")


async def test_a_lease_that_the_log_would_not_end_is_tried_again() -> None:
    log = HeldLog()
    log.go_on.set()
    async with LoggedStore(log) as store:
        await store.lease_grant(5, 7)
        await store.put(b"a", b"1", lease=7)
        log.failures = [CommitFailed("disk full")] * 3
        async with store.watch(WatchRequest(b"a")) as watch:
            start = anyio.current_time()
            batch = await watch.__anext__()
            assert batch.events[0].is_delete
            assert 8.0 <= anyio.current_time() - start < 8.1


async def test_what_the_log_would_not_delete_is_deleted_after_the_next_compaction() -> None:
    log = HeldLog()
    log.go_on.set()
    async with LoggedStore(log) as store:
        for number in range(6):
            await store.put(b"a", b"%d" % number)
        log.discard_failures = [CommitFailed("disk full")]
        await store.compact(4)
        assert (await store.status()).compact_revision == 4
        assert log.discarded == []
        await store.compact(6)
        assert [kv.mod_revision for kv in log.discarded] == [2, 3, 4, 5]


async def test_an_unknown_outcome_of_a_compaction_closes_the_store() -> None:
    log = HeldLog()
    log.go_on.set()
    async with LoggedStore(log) as store:
        await store.put(b"a", b"1")
        await store.put(b"a", b"2")
        log.discard_failures = [AmbiguousCommit("fsync failed")]
        with pytest.raises(AmbiguousCommit):
            await store.compact(3)
        with pytest.raises(StoreClosed, match="fsync failed"):
            await store.put(b"a", b"3")


async def test_requests_that_find_no_room_wait_and_are_told_when_the_store_closes_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(logged, "MAX_BATCH_REQUESTS", 2)
    log = HeldLog()
    log.failures = [AmbiguousCommit("fsync failed")]
    async with LoggedStore(log) as store:
        calls = Calls(store)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(calls.txn, "first", Txn(success=(Put(b"a"),)))
            await log.begun.wait()
            for number in range(5):
                tasks.start_soon(calls.txn, f"{number}", Txn(success=(Put(b"%d" % number),)))
            await anyio.wait_all_tasks_blocked()
            log.go_on.set()
        kinds = [type(calls.ended[name]) for name in ("first", "0", "1", "2", "3", "4")]
        assert kinds == [AmbiguousCommit, CommitFailed, CommitFailed, StoreClosed, StoreClosed, StoreClosed]


async def test_batches_are_bounded_and_all_requests_are_committed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logged, "MAX_BATCH_REQUESTS", 2)
    log = HeldLog()
    log.go_on.set()
    async with LoggedStore(log) as store, anyio.create_task_group() as tasks:
        for number in range(7):
            tasks.start_soon(store.put, b"%d" % number, b"")
    assert [len(batch) for batch in log.batches] == [2, 2, 2, 1]


async def test_a_request_that_is_cancelled_happens_and_leaves_the_others_alone() -> None:
    log = HeldLog()
    async with LoggedStore(log) as store:
        calls = Calls(store)
        async with anyio.create_task_group() as tasks:
            async with anyio.create_task_group() as cancelled:
                cancelled.start_soon(calls.txn, "cancelled", Txn(success=(Put(b"a"),)))
                await log.begun.wait()
                cancelled.cancel_scope.cancel()
            tasks.start_soon(calls.txn, "other", Txn(success=(Put(b"b"),)))
            log.go_on.set()
        assert list(calls.ended) == ["other"]
        assert [await store.get(key) is not None for key in (b"a", b"b")] == [True, True]
