"""How fast Pods get their nodes, beside the goals: `python -m tests.bench scheduler`."""

from __future__ import annotations

import gc
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from functools import partial
from random import Random
from time import perf_counter
from typing import Any

import anyio
import attrs

from orchestra.api.core.cluster import Namespace
from orchestra.api.core.node import Node
from orchestra.api.core.pod import Pod
from orchestra.apiserver import APIServer
from orchestra.cli import quickstart
from orchestra.clock import SystemClock
from orchestra.controller import EventRecorder, SharedInformers, Surroundings
from orchestra.scheduler.cycle import Cycle, Placed
from orchestra.scheduler.nodetable import NodeTable
from orchestra.scheduler.podinfo import PodInfo
from orchestra.scheduler.profile import Profile
from orchestra.scheduler.scheduler import Scheduler
from orchestra.store.memory import MemoryStore
from tests.bench import scheduler_loads as loads
from tests.bench.figure import Figure

NODES = 5_000
LOW_PODS = 4 * NODES
MEMORY_PODS = 100_000
MAX_MEMORY_MB = 600
PATIENCE_SECONDS = 120


def _figure(name: str, rate: float, goal: float) -> Figure:
    return Figure(name, round(rate), "pods/s", f">= {goal:.0f}" if goal else "", rate >= goal if goal else None)


def algorithm(pods: Iterable[Pod], nodes: int = NODES) -> float:
    """Return how many Pods a second the cycle alone places."""
    table = NodeTable()
    for each in loads.nodes(nodes):
        table.set_node(each)
    cycle = Cycle(Profile(), table, Random(1))
    infos = [PodInfo(loads.identified(pod)) for pod in pods]
    begin = perf_counter()
    placed = sum(isinstance(cycle.schedule(info), Placed) for info in infos)
    rate = len(infos) / (perf_counter() - begin)
    assert placed == len(infos)
    return rate


@attrs.define(eq=False)
class Cluster:
    """A server with a scheduler beside it, which starts when it is told to."""

    server: APIServer
    surroundings: Surroundings
    tasks: Any

    async def create(self, pods: Iterable[Pod]) -> None:
        """Create Pods."""
        for pod in pods:
            await self.server.create(pod)

    async def start(self) -> None:
        """Run the scheduler."""
        await self.tasks.start(partial(Scheduler().run, self.surroundings))

    async def until_bound(self, wanted: Callable[[Pod], bool], number: int) -> None:
        """Wait until so many of the wanted Pods have a node."""
        done = anyio.Event()
        bound: set[str] = set()

        def count(changes: tuple[Any, ...]) -> None:
            for change in changes:
                if change.new is not None and change.new.spec.node_name and wanted(change.new):
                    bound.add(change.new.metadata.name)
            if len(bound) >= number:
                done.set()

        end = self.surroundings.informers.informer(Pod).subscribe(count)
        with anyio.fail_after(PATIENCE_SECONDS):
            await done.wait()
        end()

    async def rate(self, pods: list[Pod]) -> float:
        """Return how many of these Pods a second go from a full queue to bound."""
        await self.create(pods)
        names = {pod.metadata.name for pod in pods}
        await self.surroundings.informers.wait_synced()
        await anyio.wait_all_tasks_blocked()
        quickstart.settle()
        begin = perf_counter()
        await self.start()
        await self.until_bound(lambda pod: pod.metadata.name in names, len(names))
        return len(pods) / (perf_counter() - begin)


@asynccontextmanager
async def cluster(nodes: list[Node]) -> AsyncIterator[Cluster]:
    """Run a server in memory whose caches are filled with these nodes."""
    gc.unfreeze()
    gc.collect()
    clock = SystemClock(seed=1)
    async with MemoryStore(clock=clock) as store, APIServer(store, clock=clock) as server:
        for each in (loads.IMPORTANT, *nodes):
            await server.create(each)
        informers, recorder = SharedInformers(server, clock=clock), EventRecorder(server, clock=clock)
        for kind in (Pod, Node, Namespace):
            informers.informer(kind)
        async with anyio.create_task_group() as tasks:
            await tasks.start(informers.run)
            await tasks.start(recorder.run)
            made = Surroundings(client=server, informers=informers, clock=clock, recorder=recorder)
            yield Cluster(server, made, tasks)
            tasks.cancel_scope.cancel()


async def bound(pods: list[Pod], nodes: int = NODES) -> float:
    """Return how many of these Pods a second are bound through the API."""
    async with cluster(loads.nodes(nodes)) as made:
        return await made.rate(pods)


async def preempting(pods: int) -> float:
    """Return how many important Pods a second are bound where others have to go for each of them."""
    async with cluster(loads.nodes(NODES, cpu=4)) as made:
        for number in range(LOW_PODS):
            low = loads.unimportant(f"low{number}", "900m")
            spec = attrs.evolve(low.spec, node_name=f"n{number % NODES}")
            await made.server.create(attrs.evolve(low, spec=spec))
        await made.start()
        await anyio.wait_all_tasks_blocked()
        quickstart.settle()
        begin = perf_counter()
        await made.create(loads.important(f"high{number}", "3") for number in range(pods))
        await made.until_bound(lambda pod: pod.metadata.name.startswith("high"), pods)
        return pods / (perf_counter() - begin)


async def beside_unschedulable(pods: int, waiting: int) -> float:
    """Return how many Pods a second are bound while others wait that fit nowhere."""
    async with cluster(loads.nodes(NODES)) as made:
        await made.create(loads.important(f"huge{number}", "9000") for number in range(waiting))
        await made.start()
        await anyio.wait_all_tasks_blocked()
        names = {f"p{number}" for number in range(pods)}
        quickstart.settle()
        begin = perf_counter()
        await made.create(loads.shaped(number, number % 10) for number in range(pods))
        await made.until_bound(lambda pod: pod.metadata.name in names, pods)
        return pods / (perf_counter() - begin)


def _many(number: int, shapes: int, extra: loads.Extra = loads.plain) -> list[Pod]:
    return [loads.shaped(i, i % shapes, extra) for i in range(number)]


LOADS: dict[str, tuple[Callable[[], list[Pod]], float, float]] = {
    "ten shapes": (lambda: _many(10_000, 10), 30_000, 4_000),
    "all different": (lambda: _many(3_000, 3_000), 2_500, 2_500),
    "zones preferred": (lambda: _many(5_000, 1, loads.spread("ScheduleAnyway")), 0, 3_000),
    "zones required": (lambda: _many(5_000, 1, loads.spread("DoNotSchedule")), 0, 3_000),
    "one per host until full": (lambda: _many(NODES, 1, loads.alone), 0, 2_500),
    "in one zone": (lambda: _many(5_000, 1, loads.together), 0, 2_500),
    "node affinity": (lambda: _many(5_000, 1, loads.in_zones), 0, 4_000),
}
"""Pods, the goal for the algorithm alone (0: none), the goal for Pods bound."""

CURVE = (100, 300, 1_000, 3_000, 5_000, 10_000, 20_000)


def curve() -> list[Figure]:
    """Measure how the cost of a Pod grows with the number of nodes: shapes reused, and none to reuse."""
    figures = []
    for name, shapes, pods in (("ten shapes", 10, 3_000), ("all different", 300, 300)):
        costs = {nodes: 1e6 / algorithm(_many(pods, shapes), nodes) for nodes in CURVE}
        for nodes, cost in costs.items():
            linear = costs[CURVE[0]] * nodes / CURVE[0]
            figures.append(Figure(f"cost, {name}, {nodes} nodes", cost, "us/pod", f"<= {linear:.0f}", cost <= linear))
    return figures


_MEMORY = f"""
import resource
from orchestra.scheduler.nodetable import NodeTable
from orchestra.scheduler.podinfo import PodInfo
from tests.bench import scheduler_loads as loads
table = NodeTable()
for each in loads.nodes({NODES}):
    table.set_node(each)
for number in range({MEMORY_PODS}):
    table.set_pod(PodInfo(loads.identified(loads.shaped(number, number % 10))), f"n{{number % {NODES}}}")
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def memory() -> Figure:
    """Measure a process that holds the node table and nothing else."""
    answer = subprocess.run([sys.executable, "-c", _MEMORY], capture_output=True, text=True, check=True)
    megabytes = float(answer.stdout)
    name = f"memory, {NODES} nodes and {MEMORY_PODS} Pods"
    return Figure(name, megabytes, "MB", f"< {MAX_MEMORY_MB}", megabytes < MAX_MEMORY_MB)


def waiting() -> list[Figure]:
    """Measure, interleaved, what Pods that wait for ever cost the others."""
    pairs = [[anyio.run(beside_unschedulable, 4_000, number) for number in (0, 2_000)] for _ in range(3)]
    without, beside = (sorted(column)[1] for column in zip(*pairs, strict=True))
    slower = (without / beside - 1) * 100
    return [
        Figure("created and bound", round(without), "pods/s", "", None),
        Figure("created and bound, 2,000 unschedulable", round(beside), "pods/s", "", None),
        Figure("2,000 unschedulable slow the others by", slower, "%", "< 10", slower < 10),
    ]


def run() -> list[Figure]:
    """Measure everything once."""
    quickstart.begin()
    figures = []
    for name, (pods, alone, together) in LOADS.items():
        figures.append(_figure(f"algorithm alone, {name}", algorithm(pods()), alone))
        figures.append(_figure(f"bound, {name}", anyio.run(bound, pods()), together))
    figures.append(_figure("created and bound, preempting", anyio.run(preempting, 2_000), 600))
    return [*figures, *waiting(), *curve(), memory()]


if __name__ == "__main__":
    from tests.bench.figure import show

    show(run())
