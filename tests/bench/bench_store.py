"""How fast the store is: puts, reads, ranges, watches, opening. `python -m tests.bench.bench_store` prints it."""

from __future__ import annotations

import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from operator import attrgetter
from pathlib import Path

import anyio
import attrs

from orchestra.store import Compare, MemoryStore, Put, Range, SQLiteStore, Store, Txn, WatchRequest, prefix_end
from tests.bench.figure import Figure, show

VALUE = bytes(256)
LARGER_VALUE = bytes(1024)
RUNS = 5


@attrs.frozen
class Rate:
    """Operations a second, and what each took of the processors, whatever else runs on the machine."""

    per_second: float
    cpu_us: float


def _create(key: bytes, value: bytes = VALUE) -> Txn:
    return Txn((Compare(key, "mod_revision", "=", 0),), (Put(key, value),), (Range(key),))


async def _puts(store: Store, writers: int, total: int, value: bytes = VALUE) -> Rate:
    async def write(writer: int) -> None:
        for number in range(total // writers):
            await store.txn(_create(b"/registry/pods/default/%03d-%06d" % (writer, number), value))

    async with store:
        start, cpu = time.perf_counter(), time.process_time()
        async with anyio.create_task_group() as tasks:
            for writer in range(writers):
                tasks.start_soon(write, writer)
        return Rate(total / (time.perf_counter() - start), (time.process_time() - cpu) / total * 1e6)


def _raw_inserts(path: Path, total: int) -> Rate:
    connection = sqlite3.connect(path, isolation_level=None)
    for pragma in ("locking_mode = EXCLUSIVE", "journal_mode = WAL", "synchronous = FULL"):
        connection.execute(f"PRAGMA {pragma}")
    connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, key BLOB, value BLOB)")
    start, cpu = time.perf_counter(), time.process_time()
    for number in range(total):
        connection.execute("INSERT INTO t VALUES (?, ?, ?)", (number, b"/registry/pods/%d" % number, VALUE))
    rate = Rate(total / (time.perf_counter() - start), (time.process_time() - cpu) / total * 1e6)
    connection.close()
    return rate


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


async def _openings(path: Path) -> Rate:
    start, cpu = time.perf_counter(), time.process_time()
    async with SQLiteStore(path):
        return Rate(1 / (time.perf_counter() - start), (time.process_time() - cpu) * 1e6)


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


def _interleaved(measures: dict[str, Callable[[Path], Rate]]) -> dict[str, Rate]:
    """Run all measures in turn, several times over; return the median of each, by its rate."""
    rates: dict[str, list[Rate]] = {name: [] for name in measures}
    for _ in range(RUNS):
        for name, measure in measures.items():
            with tempfile.TemporaryDirectory(dir="/var/tmp") as place:
                rates[name].append(measure(Path(place) / "bench.db"))
    return {name: sorted(found, key=attrgetter("per_second"))[RUNS // 2] for name, found in rates.items()}


def _of_puts() -> list[Figure]:
    rates = _interleaved(
        {
            "memory": lambda _: anyio.run(_puts, MemoryStore(), 1, 20_000),
            "raw": lambda path: _raw_inserts(path, 1_000),
            "one": lambda path: anyio.run(_puts, SQLiteStore(path), 1, 1_000),
            "hundred": lambda path: anyio.run(_puts, SQLiteStore(path), 100, 20_000),
            "larger": lambda path: anyio.run(_puts, SQLiteStore(path), 100, 20_000, LARGER_VALUE),
        }
    )
    memory, raw, one, hundred = (rates[name] for name in ("memory", "raw", "one", "hundred"))
    ratio = one.per_second / raw.per_second
    return [
        Figure("store: MemoryStore, one conditional put", memory.cpu_us, "us cpu", "<= 15", memory.cpu_us <= 15),
        Figure("store: raw INSERT with fsync", raw.per_second, "/s", "", None),
        Figure("store: raw INSERT with fsync, cpu", raw.cpu_us, "us cpu", "", None),
        Figure("store: SQLiteStore, 1 writer", one.per_second, "/s", "", None),
        Figure("store: SQLiteStore, 1 writer, to raw INSERT", ratio, "x", ">= 0.8", ratio >= 0.8),
        Figure("store: SQLiteStore, 1 writer, cpu", one.cpu_us, "us cpu", "", None),
        Figure("store: SQLiteStore, 100 writers", hundred.per_second, "/s", ">= 25,000", hundred.per_second >= 25_000),
        Figure("store: SQLiteStore, 100 writers, cpu", hundred.cpu_us, "us cpu", "", None),
        Figure("store: SQLiteStore, 100 writers of 1 KiB", rates["larger"].per_second, "/s", "", None),
    ]


def run(*, million: bool = True) -> list[Figure]:
    """Measure everything; `million` includes the store of a million keys, which takes half a minute."""
    points, big_range = anyio.run(_reads)
    fan_out = statistics.median(anyio.run(_fan_out, 1_000) for _ in range(3))
    opening = 1e3 / _interleaved({"open": lambda path: anyio.run(_openings, path)})["open"].per_second
    figures = [
        *_of_puts(),
        Figure("store: point reads", points, "/s", ">= 150,000", points >= 150_000),
        Figure("store: range of 10,000 keys", big_range, "ms", "< 5", big_range < 5),
        Figure("store: event at 1,000 watchers, p99", fan_out, "ms", "< 15", fan_out < 15),
        Figure("store: SQLiteStore, making an empty one", opening, "ms", "< 60", opening < 60),
    ]
    if million:
        seconds, megabytes = _million()
        figures.append(Figure("store: opening 1,000,000 keys of 256 B", seconds, "s", "< 10", seconds < 10))
        figures.append(Figure("store: their resident memory", megabytes, "MB", "< 1,200", megabytes < 1_200))
    return figures


if __name__ == "__main__":
    show(run())
