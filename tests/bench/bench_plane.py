"""The whole plane: how soon it is there, how fast Pods come up, how much memory it takes."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import anyio

from orchestra import ControlPlane, MemoryStore, NodeAgent, SQLiteStore
from orchestra.api.apps import Deployment
from orchestra.api.builders import deployment
from orchestra.api.core import Container, Pod, PodSpec
from orchestra.api.object import ObjectMeta
from orchestra.cli import quickstart
from orchestra.cri import FakeRuntime, ProcessRuntime
from orchestra.store import Store
from tests.bench.figure import Figure

REPLICAS, NODES = 1000, 50

_IMPORT = "import time; t = time.perf_counter(); import orchestra; print(time.perf_counter() - t)"

_FIRST = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: first}\n"

# The process decides about garbage as `orchestra up` does.
_THOUSAND = """
from orchestra.cli import quickstart
quickstart.begin()
import resource
from tests.bench.bench_plane import thousand_replicas
import anyio
seconds = anyio.run(thousand_replicas)
print(seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def _python(code: str, *arguments: str) -> str:
    """Run Python code in a new process and return what it prints."""
    done = subprocess.run([sys.executable, "-c", code, *arguments], check=True, capture_output=True, text=True)
    return done.stdout


def import_seconds() -> float:
    """Return the median of `import orchestra` in new processes."""
    return statistics.median(float(_python(_IMPORT)) for _ in range(7))


def first_write_seconds() -> float:
    """Return how long the `orchestra` process takes from its start until it has stored what it was given.

    It writes namespaces, a Node and a Lease of its own before that.
    """
    samples = []
    for _ in range(7):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "first.yaml").write_text(_FIRST, encoding="utf-8")
            command = [sys.executable, "-m", "orchestra.cli.main", "up", "--data-dir", str(folder / "data")]
            command += ["--listen", f"unix:{folder / 'socket'}", "-f", str(folder / "first.yaml")]
            began = time.perf_counter()
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
                assert process.stdout is not None
                assert any("first created" in line for line in process.stdout)
                samples.append(time.perf_counter() - began)
                process.terminate()
                process.stdout.read()
    return statistics.median(samples)


async def ready_seconds(store: Store) -> float:
    """Return how long a plane without nodes takes until it answers and its loops are in sync."""
    began = time.perf_counter()
    async with ControlPlane(store=store, nodes=()):
        return time.perf_counter() - began


async def thousand_replicas() -> float:
    """Return the seconds from apply until every Pod of a large Deployment is ready in the API."""
    nodes = [NodeAgent(f"node-{i}", runtime=FakeRuntime(), capacity={"cpu": 32}) for i in range(NODES)]
    async with ControlPlane(store=MemoryStore(), nodes=nodes, network=False) as plane:
        quickstart.settle()
        began = time.perf_counter()
        await plane.client.apply(plane.client.scheme.encode(deployment("web", replicas=REPLICAS)))
        await plane.client.wait_for(
            Deployment, "web", predicate=lambda d: (d.status.ready_replicas or 0) == REPLICAS, timeout=120
        )
        taken = time.perf_counter() - began
        pods = (await plane.client.list(Pod, namespace="default")).items
        assert len(pods) == REPLICAS
        assert all(pod.status.phase == "Running" for pod in pods)
        return taken


async def running_seconds(root: Path) -> float:
    """Return the median time from the creation of a Pod to Running, one at a time on the process runtime."""
    samples = []
    node = NodeAgent("node-0", runtime=ProcessRuntime(root=root))
    async with ControlPlane(nodes=[node]) as plane:
        for index in range(12):
            container = Container(name="main", image="sleep", command=("sleep", "1000"))
            spec = PodSpec(containers=(container,), termination_grace_period_seconds=0)
            meta = ObjectMeta(name=f"pod-{index}", namespace="default")
            began = time.perf_counter()
            await plane.client.create(Pod(metadata=meta, spec=spec))
            await plane.client.wait_for(Pod, meta.name, predicate=lambda p: p.status.phase == "Running", timeout=30)
            samples.append(time.perf_counter() - began)
    return statistics.median(samples)


def run() -> list[Figure]:
    """Measure everything of this file."""
    with tempfile.TemporaryDirectory() as folder:
        sqlite = [anyio.run(ready_seconds, SQLiteStore(Path(folder) / f"{i}.db")) for i in range(5)]
        running = anyio.run(running_seconds, Path(folder) / "node")
    memory = [anyio.run(ready_seconds, MemoryStore()) for _ in range(5)]
    thousand = [tuple(map(float, _python(_THOUSAND).split())) for _ in range(3)]
    seconds, peak = (statistics.median(column) for column in zip(*thousand, strict=True))
    imported, first = import_seconds() * 1000, first_write_seconds()
    ready_memory, ready_sqlite = statistics.median(memory) * 1000, statistics.median(sqlite) * 1000
    return [
        Figure("import orchestra", imported, "ms", "< 150", imported < 150),
        Figure("`orchestra up` cold to the first object stored (SQLite)", first, "s", "< 0.8", first < 0.8),
        Figure("plane ready, memory store", ready_memory, "ms", "< 300", ready_memory < 300),
        Figure("plane ready, SQLite", ready_sqlite, "ms", "< 500", ready_sqlite < 500),
        Figure(f"{REPLICAS} replicas on {NODES} fake nodes: apply to all ready", seconds, "s", "< 2", seconds < 2),
        Figure(f"{REPLICAS} replicas: peak memory", peak, "MB", "< 300", peak < 300),
        Figure("Pod created to Running, process runtime", running * 1000, "ms", "< 150", running < 0.15),
    ]


if __name__ == "__main__":
    from tests.bench.figure import show

    show(run())
