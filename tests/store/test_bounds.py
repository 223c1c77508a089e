"""What a store bears: sizes at their limits, many watchers, many keys, a clock that steps back."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
import pytest
from anyio.lowlevel import checkpoint

from orchestra.clock import SystemClock
from orchestra.errors import InvalidTxn, WatchOverflow
from orchestra.store import (
    MAX_TXN_BYTES,
    MemoryStore,
    Put,
    Range,
    SQLiteStore,
    Store,
    Txn,
    WatchRequest,
    prefix_end,
)
from orchestra.store.logged import MAX_BATCH_BYTES
from orchestra.store.sqlite_open import WAL_BYTES

WATCHERS = 1_000
KEYS = 50_000
MANY_KEYS = 1_000_000


async def test_a_value_of_the_largest_size_is_kept_and_one_byte_more_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cluster.db"
    largest = bytes(range(256)) * (MAX_TXN_BYTES // 256)
    largest = largest[: MAX_TXN_BYTES - len(b"key")]
    assert MAX_TXN_BYTES == 1.5 * 1024 * 1024
    async with SQLiteStore(path) as store:
        await store.put(b"key", largest)
        with pytest.raises(InvalidTxn, match="too large"):
            await store.put(b"key", largest + b"x")
        assert (await store.status()).revision == 2
    async with SQLiteStore(path) as store:
        kv = await store.get(b"key")
        assert kv is not None
        assert kv.value == largest


async def test_many_large_values_at_once_are_written_in_batches_of_bounded_size(tmp_path: Path) -> None:
    path = tmp_path / "cluster.db"
    async with SQLiteStore(path) as store, anyio.create_task_group() as tasks:
        for number in range(40):
            tasks.start_soon(store.put, b"%02d" % number, bytes([number]) * 1_500_000)
    async with SQLiteStore(path) as store:
        found = (await store.range(Range(b"0", b"9"))).kvs
        assert [kv.value for kv in found] == [bytes([number]) * 1_500_000 for number in range(40)]
        assert path.with_name("cluster.db-wal").stat().st_size < 2 * (WAL_BYTES + MAX_BATCH_BYTES)


async def test_a_stalled_watcher_among_a_thousand_is_ended_and_holds_up_nobody(tmp_path: Path) -> None:
    puts, buffer = 60, 20
    got = [0] * WATCHERS
    async with SQLiteStore(tmp_path / "cluster.db") as store, anyio.create_task_group() as tasks:

        async def read(number: int, *, task_status: anyio.abc.TaskStatus[None]) -> None:
            request = WatchRequest(b"/k/", prefix_end(b"/k/"), buffer_events=buffer)
            async with store.watch(request) as watch:
                task_status.started()
                async for batch in watch:
                    got[number] += len(batch.events)
                    if got[number] == puts:
                        return

        for number in range(WATCHERS):
            await tasks.start(read, number)
        async with store.watch(WatchRequest(b"/k/", prefix_end(b"/k/"), buffer_events=buffer)) as stalled:
            for number in range(puts):
                await store.put(b"/k/%d" % number, b"")
                await checkpoint()
            with pytest.raises(WatchOverflow):
                await stalled.__anext__()
            resumed = WatchRequest(b"/k/", prefix_end(b"/k/"), start_revision=2, buffer_events=buffer)
            async with store.watch(resumed) as watch:
                assert len((await watch.__anext__()).events) == puts
    assert got == [puts] * WATCHERS


async def test_fifty_thousand_keys_are_listed_opened_and_compacted(tmp_path: Path) -> None:
    path = tmp_path / "cluster.db"
    async with SQLiteStore(path) as store:

        async def write(first: int) -> None:
            for start in range(first, KEYS, 1_000):
                ops = tuple(Put(b"/k/%05d" % number, b"%d" % number) for number in range(start, start + 100))
                await store.txn(Txn(success=ops))

        for _ in range(2):
            async with anyio.create_task_group() as tasks:
                for first in range(0, 1_000, 100):
                    tasks.start_soon(write, first)
        await store.compact((await store.status()).revision)
    async with SQLiteStore(path) as store:
        page = await store.range(Range(b"/k/", prefix_end(b"/k/"), limit=500))
        assert (len(page.kvs), page.count, page.more) == (500, KEYS, True)
        found = (await store.range(Range(b"/k/", prefix_end(b"/k/")))).kvs
        assert [int(kv.value) for kv in found] == list(range(KEYS))
        assert {kv.version for kv in found} == {2}


async def test_a_million_keys_are_kept_and_found_again(tmp_path: Path) -> None:
    path, per_txn = tmp_path / "cluster.db", 125
    async with SQLiteStore(path) as store:

        async def write(first: int) -> None:
            for start in range(first, MANY_KEYS, per_txn * 20):
                numbers = range(start, start + per_txn)
                await store.txn(Txn(success=tuple(Put(b"/k/%07d" % n, b"%d" % n) for n in numbers)))

        async with anyio.create_task_group() as tasks:
            for first in range(0, per_txn * 20, per_txn):
                tasks.start_soon(write, first)
    async with SQLiteStore(path) as store:
        status = await store.status()
        assert (status.keys, status.revision) == (MANY_KEYS, 1 + MANY_KEYS // per_txn)
        page = await store.range(Range(b"/k/05", prefix_end(b"/k/"), limit=3))
        assert [kv.value for kv in page.kvs] == [b"500000", b"500001", b"500002"]
        assert (page.count, page.more) == (500_000, True)
        assert [kv.value for kv in (await store.range(Range(b"/k/0999999"))).kvs] == [b"999999"]


class SteppingClock(SystemClock):
    """A clock whose wall time was set back a year since it was last asked."""

    def __init__(self) -> None:
        super().__init__()
        self._wall = datetime(2026, 1, 1, tzinfo=UTC)

    def now(self) -> datetime:
        self._wall -= timedelta(days=365)
        return self._wall

    def monotonic(self) -> float:
        return anyio.current_time()


@pytest.mark.virtual_time
async def test_a_clock_that_is_set_back_neither_ends_a_lease_nor_keeps_it(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SteppingClock()
    monkeypatch.setattr(time, "time", lambda: clock.now().timestamp())
    store: Store = MemoryStore(clock=clock)
    async with store:
        await store.lease_grant(10, 1)
        await store.put(b"a", b"", lease=1)
        await anyio.sleep(9.9)
        assert (await store.lease_status(1)).remaining_seconds == pytest.approx(0.1)
        await anyio.sleep(0.2)
        assert await store.get(b"a") is None


async def test_a_batch_of_puts_is_one_execution_of_one_statement(tmp_path: Path) -> None:
    """Each execution gives Python's lock away, and while the event loop is busy it takes 5 ms to get it back."""
    executed: list[str] = []
    async with SQLiteStore(tmp_path / "cluster.db") as store:
        await store.put(b"a", b"")
        store._log._file.connection.set_trace_callback(executed.append)  # type: ignore[attr-defined]
        async with anyio.create_task_group() as writers:
            for number in range(100):
                writers.start_soon(store.put, b"%d" % number, bytes(100))
        commits = [statement.split()[0] for statement in executed if not statement.startswith("PRAGMA")]
    assert commits == ["INSERT"]
