"""How fast the store is: puts, reads, ranges, watches, opening. `python -m tests.bench.bench_store` prints it."""

from __future__ import annotations

import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio

from orchestra.store import Compare, MemoryStore, Put, Range, SQLiteStore, Store, Txn, WatchRequest, prefix_end
from tests.bench.figure import Figure

VALUE = bytes(256)
RUNS = 3


def _create(key: bytes) -> Txn:
    return Txn((Compare(key, "mod_revision", "=", 0),), (Put(key, VALUE),), (Range(key),))


async def _puts_per_second(store: Store, writers: int, total: int) -> float:
    async def write(writer: int) -> None:
        for number in range(total // writers):
            await store.txn(_create(b"/registry/pods/default/%03d-%06d" % (writer, number)))

    async with store:
        start = time.perf_counter()
        async with anyio.create_task_group() as tasks:
            for writer in range(writers):
                tasks.start_soon(write, writer)
        return total / (time.perf_counter() - start)


def _raw_inserts_per_second(path: Path, total: int) -> float:
    connection = sqlite3.connect(path, isolation_level=None)
    for pragma in ("locking_mode = EXCLUSIVE", "journal_mode = WAL", "synchronous = FULL"):
        connection.execute(f"PRAGMA {pragma}")
    connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, key BLOB, value BLOB)")
    start = time.perf_counter()
    for number in range(total):
        connection.execute("INSERT INTO t VALUES (?, ?, ?)", (number, b"/registry/pods/%d" % number, VALUE))
    elapsed = time.perf_counter() - start
    connection.close()
    return total / elapsed


async def _reads() -> tuple[float, float]:
    """Point reads a second, and milliseconds of a range of 10,000 keys."""
    async with MemoryStore() as store:
        for number in range(10_000):
            await store.put(b"/k/%05d" % number, VALUE)
        start = time.perf_counter()
        for number in range(10_000):
            await store.range(Range(b"/k/%05d" % number))
        points = 10_000 / (time.perf_counter() - start)
        times = []
        for _ in range(9):
            start = time.perf_counter()
            await store.range(Range(b"/k/", prefix_end(b"/k/")))
            times.append(time.perf_counter() - start)
        return points, statistics.median(times) * 1e3


async def _fan_out(watchers: int) -> float:
    """Milliseconds from commit until the last of the watchers has its event, 99th percentile."""
    seen: list[float] = []

    async with MemoryStore() as store, anyio.create_task_group() as tasks:

        async def read(*, task_status: anyio.abc.TaskStatus[None]) -> None:
            async with store.watch(WatchRequest(b"/k/", prefix_end(b"/k/"))) as watch:
                task_status.started()
                async for batch in watch:
                    seen.extend(time.perf_counter() for _ in batch.events)

        for _ in range(watchers):
            await tasks.start(read)
        latencies: list[float] = []
        for number in range(300):
            seen.clear()
            start = time.perf_counter()
            await store.put(b"/k/%d" % number, VALUE)
            while len(seen) < watchers:
                await anyio.lowlevel.checkpoint()
            latencies += [at - start for at in seen]
        tasks.cancel_scope.cancel()
    return statistics.quantiles(latencies, n=100)[98] * 1e3


async def _open_seconds(path: Path) -> float:
    start = time.perf_counter()
    async with SQLiteStore(path):
        return time.perf_counter() - start


def _million(keys: int = 1_000_000) -> tuple[float, float]:
    """Seconds to open a store of a million keys, and megabytes resident, in a process of its own."""
    program = f"""
import anyio, resource, sys, time
from orchestra.store import Put, SQLiteStore, Txn
async def main(path, fill):
    start = time.perf_counter()
    async with SQLiteStore(path) as store:
        opened = time.perf_counter() - start
        async def write(first):
            for base in range(first, {keys}, 12800):
                numbers = range(base, min(base + 128, {keys}))
                ops = tuple(Put(b"/registry/pods/default/%07d" % n, bytes(256)) for n in numbers)
                await store.txn(Txn(success=ops))
        if fill:
            async with anyio.create_task_group() as tasks:
                for writer in range(100):
                    tasks.start_soon(write, writer * 128)
        else:
            print(opened, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
anyio.run(main, sys.argv[1], sys.argv[2] == "fill")
"""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as place:
        for mode in ("fill", "open"):
            done = subprocess.run(
                [sys.executable, "-c", program, f"{place}/m.db", mode], check=True, capture_output=True
            )
        opened, megabytes = map(float, done.stdout.split())
        return opened, megabytes


def _median(measure: Callable[[Path], Awaitable[float]]) -> float:
    results = []
    for _ in range(RUNS):
        with tempfile.TemporaryDirectory(dir="/var/tmp") as place:
            results.append(anyio.run(measure, Path(place) / "bench.db"))
    return statistics.median(results)


def run(*, million: bool = True) -> list[Figure]:
    """Measure everything; `million` includes the store of a million keys, which takes half a minute."""
    memory = _median(lambda _: _puts_per_second(MemoryStore(), 1, 20_000))
    points, big_range = anyio.run(_reads)
    fan_out = anyio.run(_fan_out, 1_000)
    raw_rates = []
    for _ in range(RUNS):
        with tempfile.TemporaryDirectory(dir="/var/tmp") as place:
            raw_rates.append(_raw_inserts_per_second(Path(place) / "raw.db", 1_000))
    raw = statistics.median(raw_rates)
    single = _median(lambda path: _puts_per_second(SQLiteStore(path), 1, 1_000))
    group = _median(lambda path: _puts_per_second(SQLiteStore(path), 100, 20_000))
    opening = _median(_open_seconds) * 1e3
    figures = [
        Figure("store: MemoryStore, one conditional put", 1e6 / memory, "us", "<= 15", memory >= 1e6 / 15),
        Figure("store: point reads", points, "/s", ">= 150,000", points >= 150_000),
        Figure("store: range of 10,000 keys", big_range, "ms", "< 5", big_range < 5),
        Figure("store: event at 1,000 watchers, p99", fan_out, "ms", "< 15", fan_out < 15),
        Figure("store: raw INSERT with fsync", raw, "/s", "", None),
        Figure("store: SQLiteStore, 1 writer", single, "/s", "0.8x raw", single >= 0.8 * raw),
        Figure("store: SQLiteStore, 100 writers", group, "/s", ">= 25,000", group >= 25_000),
        Figure("store: SQLiteStore, opening an empty one", opening, "ms", "< 60", opening < 60),
    ]
    if million:
        seconds, megabytes = _million()
        figures.append(Figure("store: opening 1,000,000 keys of 256 B", seconds, "s", "< 10", seconds < 10))
        figures.append(Figure("store: their resident memory", megabytes, "MB", "< 1,200", megabytes < 1_200))
    return figures


if __name__ == "__main__":
    for figure in run():
        verdict = {True: "met", False: "MISSED", None: ""}[figure.met]
        sys.stdout.write(f"{figure.name:50} {figure.value:12,.1f} {figure.unit:4} {figure.goal:12} {verdict}\n")
