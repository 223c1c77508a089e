"""How fast `serve_etcd` over SQLiteStore is beside a real etcd: `python -m tests.bench.bench_etcd` prints it.

Both are processes of their own, get the same load over loopback TCP in turns, and keep what they acknowledge on the
same disk. The ratio is what counts: both share the machine with the load.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import anyio

from orchestra.store import SQLiteStore, serve_etcd
from tests.bench.figure import Figure
from tests.store.etcd_cluster import EtcdCluster, etcd_binaries

ROUNDS = 5
SECONDS = 2.0
WATCHERS = 100
SHAPES = ((1, 256), (100, 256), (1, 1_024), (100, 1_024))
"""Clients, and bytes of a value."""


async def serve(folder: Path) -> None:
    async with (
        SQLiteStore(folder / "bench.db") as store,
        serve_etcd(store, "127.0.0.1:0", insecure=True) as server,
    ):
        print(server.port, flush=True)
        await anyio.sleep_forever()


@contextmanager
def served(folder: Path) -> Iterator[tuple[int, int]]:
    """Start a served store; yield its port and process."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.bench_etcd", os.fspath(folder)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline()), process.pid
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


@contextmanager
def real(folder: Path) -> Iterator[tuple[int, int]]:
    """Start etcd; yield its port and process."""
    with EtcdCluster(folder) as cluster:
        (member,) = cluster.members
        assert member.process is not None
        yield member.port, member.process.pid


def load(what: str, port: int, *numbers: float) -> float:
    words = [sys.executable, "-m", "tests.bench.etcd_load", what, str(port), *map(str, numbers)]
    return float(subprocess.run(words, check=True, capture_output=True, text=True).stdout)


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(servers: dict[str, tuple[int, int]]) -> Iterator[Figure]:
    for clients, size in SHAPES:
        rates: dict[str, list[float]] = {name: [] for name in servers}
        costs: dict[str, list[float]] = {name: [] for name in servers}
        for _ in range(ROUNDS):
            for name, (port, pid) in servers.items():
                before = cpu_seconds(pid)
                rates[name].append(load("puts", port, clients, SECONDS, size))
                costs[name].append((cpu_seconds(pid) - before) / (rates[name][-1] * SECONDS) * 1e6)
        what = f"puts of {size:,} B, {clients} client{'s' * (clients > 1)}"
        medians = {name: statistics.median(found) for name, found in rates.items()}
        for name, rate in medians.items():
            goal = (">= 2,500/s", rate >= 2_500) if name == "serve_etcd" and clients == 100 else ("", None)
            yield Figure(f"{name}: {what}", rate, "/s", *goal)
            yield Figure(f"{name}: {what}, processor", statistics.median(costs[name]), "us/put", "", None)
        if "etcd" in medians:
            yield Figure(f"serve_etcd / etcd: {what}", medians["serve_etcd"] / medians["etcd"], "times", "", None)
    times: dict[str, list[float]] = {name: [] for name in servers}
    for _ in range(ROUNDS):
        for name, (port, _pid) in servers.items():
            times[name].append(load("watch", port, WATCHERS, 20))
    for name, found in times.items():
        yield Figure(f"{name}: a put to the last of {WATCHERS} watchers", statistics.median(found), "ms", "", None)


def run() -> list[Figure]:
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        servers = {}
        if etcd_binaries():
            servers["etcd"] = stack.enter_context(real(Path(name) / "etcd"))
        servers["serve_etcd"] = stack.enter_context(served(Path(name)))
        return list(measure(servers))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        anyio.run(serve, Path(sys.argv[1]))
    else:
        for figure in run():
            print(figure)
