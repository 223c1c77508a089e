from __future__ import annotations

import anyio
import pytest
from anyio.lowlevel import checkpoint

from orchestra.errors import AmbiguousCommit, CommitFailed, StoreClosed, StoreError
from orchestra.store import Compare, LoggedStore, Put, Txn, TxnResult, WatchBatch, WatchRequest
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
