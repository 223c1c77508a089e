"""How fast Pods get their nodes, beside the goals: `python -m tests.bench.bench_scheduler`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from random import Random
from time import perf_counter
from typing import Any

import anyio
import attrs

from orchestra.api.builders import meta, node, pod
from orchestra.api.core.affinity import Affinity, PodAffinityTerm, PodAntiAffinity, TopologySpreadConstraint
from orchestra.api.core.pod import Pod
from orchestra.api.meta import LabelSelector
from orchestra.apiserver import APIServer
from orchestra.clock import SystemClock
from orchestra.controller import EventRecorder, SharedInformers, Surroundings
from orchestra.scheduler.cycle import Cycle, Placed
from orchestra.scheduler.nodetable import NodeTable
from orchestra.scheduler.podinfo import PodInfo
from orchestra.scheduler.profile import Profile
from orchestra.scheduler.scheduler import Scheduler
from orchestra.store.memory import MemoryStore
from tests.bench.figure import Figure

NODES = 5_000
ZONE, HOST = "topology.kubernetes.io/zone", "kubernetes.io/hostname"
Extra = Callable[[int], dict[str, Any]]


def _pod(number: int, shape: int, extra: dict[str, Any]) -> Pod:
    made = pod(f"p{number}", cpu=f"{100 + shape}m", memory="256Mi", labels={"app": f"a{shape}"}, **extra)
    return attrs.evolve(made, metadata=attrs.evolve(meta(f"p{number}", made.metadata.labels), uid=f"u{number}"))


def _spread(when: str, shape: int) -> dict[str, Any]:
    selector = LabelSelector(match_labels={"app": f"a{shape}"})
    constraint = TopologySpreadConstraint(
        max_skew=1, topology_key=ZONE, when_unsatisfiable=when, label_selector=selector
    )
    return {"topology_spread_constraints": (constraint,)}


def _alone(shape: int) -> dict[str, Any]:
    selector = LabelSelector(match_labels={"app": f"a{shape}"})
    term = PodAffinityTerm(topology_key=HOST, label_selector=selector)
    anti = PodAntiAffinity(required_during_scheduling_ignored_during_execution=(term,))
    return {"affinity": Affinity(pod_anti_affinity=anti)}


def _nothing(_shape: int) -> dict[str, Any]:
    return {}


def _algorithm(name: str, pods: int, shapes: int, goal: float, extra: Extra = _nothing, nodes: int = NODES) -> Figure:
    table = NodeTable()
    for number in range(nodes):
        table.set_node(node(f"n{number}", cpu=32, memory="256Gi", labels={ZONE: f"z{number % 3}"}))
    cycle = Cycle(Profile(), table, Random(1))
    infos = [PodInfo(_pod(number, number % shapes, extra(number % shapes))) for number in range(pods)]
    begin = perf_counter()
    placed = sum(isinstance(cycle.schedule(info), Placed) for info in infos)
    rate = pods / (perf_counter() - begin)
    assert placed == pods
    return Figure(
        f"algorithm alone, {name}",
        round(rate),
        "pods/s",
        f">= {goal:.0f}" if goal else "",
        rate >= goal if goal else None,
    )


async def _bound(nodes: int, pods: int, goal: float) -> Figure:
    clock = SystemClock(seed=1)
    async with MemoryStore(clock=clock) as store, APIServer(store, clock=clock) as server:
        for number in range(nodes):
            await server.create(node(f"n{number}", cpu=32, memory="256Gi", labels={ZONE: f"z{number % 3}"}))
        for number in range(pods):
            await server.create(pod(f"p{number}", cpu=f"{100 + number % 10}m", memory="64Mi"))
        informers, recorder = SharedInformers(server, clock=clock), EventRecorder(server, clock=clock)
        surroundings = Surroundings(client=server, informers=informers, clock=clock, recorder=recorder)
        done = anyio.Event()
        left = pods

        def count(changes: tuple[Any, ...]) -> None:
            nonlocal left
            for change in changes:
                bound = change.new is not None and change.new.spec.node_name
                left -= bool(bound and not (change.old is not None and change.old.spec.node_name))
            if left <= 0:
                done.set()

        async with anyio.create_task_group() as tasks:
            await tasks.start(informers.run)
            await tasks.start(recorder.run)
            informers.informer(Pod).subscribe(count)
            await informers.wait_synced()
            begin = perf_counter()
            await tasks.start(partial(Scheduler().run, surroundings))
            await done.wait()
            rate = pods / (perf_counter() - begin)
            tasks.cancel_scope.cancel()
    return Figure(f"from a full queue to bound, {nodes} nodes", round(rate), "pods/s", f">= {goal:.0f}", rate >= goal)


def run() -> list[Figure]:
    """Measure everything once."""
    figures = [
        _algorithm("ten shapes", 10_000, 10, 30_000),
        _algorithm("all different", 1_000, 1_000, 2_500),
        _algorithm("zones preferred", 2_000, 1, 3_000, partial(_spread, "ScheduleAnyway")),
        _algorithm("zones required", 2_000, 1, 3_000, partial(_spread, "DoNotSchedule")),
        _algorithm("one per host", NODES, 1, 2_500, _alone),
    ]
    figures += [_algorithm(f"ten shapes, {n} nodes", 3_000, 10, 0, nodes=n) for n in (100, 1_000, 20_000)]
    figures.append(anyio.run(_bound, NODES, 4_000, 4_000))
    return figures


if __name__ == "__main__":
    for figure in run():
        print(figure)
