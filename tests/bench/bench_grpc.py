"""How fast the API server is over gRPC with a durable store, beside the goals: `python -m tests.bench.bench_grpc`.

The server is a process of its own; the clients are tasks of this one, each with a connection.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from time import perf_counter

import anyio
import anyio.abc

from orchestra.api.core.config import ConfigMap
from orchestra.api.core.pod import Pod
from orchestra.api.object import ObjectMeta
from orchestra.apiserver import APIServer, GRPCFront
from orchestra.client import RemoteClient
from orchestra.store.sqlite import SQLiteStore
from tests.bench.bench_apiserver import pods
from tests.bench.figure import Figure

CLIENTS = 16
CREATES = 4_000
GETS = 8_000
LISTED = 10_000
WATCHERS = 100
ROUNDS = 5


async def serve(folder: Path) -> None:
    async with SQLiteStore(folder / "bench.db") as store, APIServer(store) as server:
        await GRPCFront(f"unix:{folder / 'api.sock'}").run(server)


@asynccontextmanager
async def clients(count: int) -> AsyncIterator[list[RemoteClient]]:
    """Start a server and connect to it; both end with the context."""
    with tempfile.TemporaryDirectory() as name:
        process = subprocess.Popen([sys.executable, "-m", "tests.bench.bench_grpc", name])
        try:
            socket = Path(name) / "api.sock"
            with anyio.fail_after(20):
                while not socket.exists():
                    await anyio.sleep(0.01)
            async with AsyncExitStack() as stack:
                yield [await stack.enter_async_context(RemoteClient(f"unix:{socket}")) for _ in range(count)]
        finally:
            process.kill()
            process.wait()


async def writes_and_reads(remote: list[RemoteClient]) -> list[Figure]:
    given = iter(pods(CREATES))
    names = iter([f"web-{index % CREATES:05}" for index in range(GETS)])

    async def create(client: RemoteClient) -> None:
        for pod in given:
            await client.create(pod)

    async def get(client: RemoteClient) -> None:
        for name in names:
            await client.get(Pod, name)

    rates = []
    for work, count in ((create, CREATES), (get, GETS)):
        started = perf_counter()
        async with anyio.create_task_group() as tasks:
            for client in remote:
                tasks.start_soon(work, client)
        rates.append(count / (perf_counter() - started))
    return [
        Figure("create a Pod over gRPC, 16 clients, SQLite", rates[0], "/s", ">= 1,500/s", rates[0] >= 1500),
        Figure("get a Pod over gRPC, 16 clients", rates[1], "/s", ">= 3,000/s", rates[1] >= 3000),
    ]


async def lists(remote: list[RemoteClient]) -> list[Figure]:
    rest = iter(pods(LISTED)[CREATES:])

    async def create(client: RemoteClient) -> None:
        for pod in rest:
            await client.create(pod)

    async with anyio.create_task_group() as tasks:
        for client in remote:
            tasks.start_soon(create, client)
    times = []
    for _ in range(3):
        started = perf_counter()
        assert len((await remote[0].list(Pod)).items) == LISTED
        times.append(perf_counter() - started)
    shown = min(times) * 1e3
    return [Figure("list 10,000 Pods over gRPC, typed", shown, "ms", "< 800 ms", shown < 800)]


async def watches(remote: list[RemoteClient]) -> list[Figure]:
    """Measure from the beginning of a write to its event at the last of many watchers, each with a connection."""
    seen = anyio.Event()
    waiting = 0

    async def follow(client: RemoteClient, *, task_status: anyio.abc.TaskStatus[None]) -> None:
        nonlocal waiting
        async with client.watch(ConfigMap) as watch:
            task_status.started()
            while True:
                batch = await watch.next_batch()
                waiting -= len(batch)
                if waiting == 0:
                    seen.set()

    times = []
    async with anyio.create_task_group() as tasks:
        for client in remote[:WATCHERS]:
            await tasks.start(follow, client)
        for number in range(ROUNDS):
            seen, waiting = anyio.Event(), WATCHERS
            started = perf_counter()
            await remote[0].create(ConfigMap(metadata=ObjectMeta(name=f"c{number}"), data={"k": "v"}))
            with anyio.fail_after(10):
                await seen.wait()
            times.append(perf_counter() - started)
            await anyio.sleep(0.05)
        tasks.cancel_scope.cancel()
    shown = sorted(times)[ROUNDS // 2] * 1e3
    return [Figure("one write to 100 remote watchers", shown, "ms", "< 10 ms", shown < 10)]


async def measure() -> list[Figure]:
    async with clients(WATCHERS) as remote:
        return [
            *await watches(remote),
            *await writes_and_reads(remote[:CLIENTS]),
            *await lists(remote[:CLIENTS]),
        ]


def run() -> list[Figure]:
    return anyio.run(measure)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        anyio.run(serve, Path(sys.argv[1]))
    else:
        for figure in run():
            print(figure)
