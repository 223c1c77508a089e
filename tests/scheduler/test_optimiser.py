"""The profile that packs: at least as good as one by one, within every filter, never silently without its solver."""

from __future__ import annotations

import itertools
from random import Random
from typing import Any

import anyio
import attrs
import numpy as np
import pytest
from numpy.typing import NDArray

from orchestra.api.builders import node, pod, taint
from orchestra.api.core.pod import Pod
from orchestra.api.rules.conditions import condition
from orchestra.apiserver import APIServer
from orchestra.errors import ConfigurationError
from orchestra.scheduler import Profile, Scheduler, packing
from orchestra.scheduler.batching import place_batch
from orchestra.scheduler.configuration import load_configuration
from orchestra.scheduler.cycle import Cycle, Placed, check_row
from orchestra.scheduler.interface import Plugin
from orchestra.scheduler.nodetable import NodeTable
from orchestra.scheduler.packing import Problem, greedy, solve
from orchestra.scheduler.plugins.optimiser import Optimiser
from orchestra.scheduler.podinfo import PodInfo
from tests.scheduler.driving import create, nodes_of, scheduling
from tests.scheduler.kit import random_node, random_pod, random_shape

PACKING = Profile().with_plugins(Optimiser(seconds=5.0))


def info(made: Pod) -> PodInfo:
    return PodInfo(attrs.evolve(made, metadata=attrs.evolve(made.metadata, uid=made.metadata.name)))


def table_of(*nodes: Any) -> NodeTable:
    table = NodeTable()
    for each in nodes:
        table.set_node(each)
    return table


def test_a_batch_fits_that_one_by_one_does_not() -> None:
    wanted = [info(pod(f"p{i}", cpu=cpu)) for i, cpu in enumerate((2, 2, 3, 5))]
    nodes = [node("a", cpu=5), node("b", cpu=7)]
    one_by_one = Cycle(Profile(), table_of(*nodes), Random(0))
    assert sum(isinstance(one_by_one.schedule(each), Placed) for each in wanted) == 3
    outcomes = place_batch(Cycle(PACKING, table_of(*nodes), Random(0)), wanted, PACKING.batching)
    assert all(isinstance(each, Placed) for each in outcomes.values())


def test_a_batch_opens_as_few_empty_nodes_as_can_be() -> None:
    wanted = [info(pod(f"p{i}", cpu=1)) for i in range(6)]
    table = table_of(*(node(f"n{i}", cpu=4) for i in range(6)))
    outcomes = place_batch(Cycle(PACKING, table, Random(0)), wanted, PACKING.batching)
    assert len({each.node for each in outcomes.values() if isinstance(each, Placed)}) == 2


def test_more_important_pods_are_not_left_out_for_many_small_ones() -> None:
    wanted = [info(pod(f"s{i}", cpu=1)) for i in range(4)]
    wanted.append(info(pod("big", cpu=4, priority=7)))
    outcomes = place_batch(Cycle(PACKING, table_of(node("a", cpu=4)), Random(0)), wanted, PACKING.batching)
    assert {uid for uid, each in outcomes.items() if isinstance(each, Placed)} == {"big"}


def test_other_filters_hold() -> None:
    nodes = [
        node("a", cpu=4),
        node("t", cpu=8, taints=(taint("gpu:NoSchedule"),)),
        node("u", cpu=8, unschedulable=True),
    ]
    wanted = [info(pod(f"p{i}", cpu=1)) for i in range(6)]
    outcomes = place_batch(Cycle(PACKING, table_of(*nodes), Random(0)), wanted, PACKING.batching)
    assert sorted(each.node for each in outcomes.values() if isinstance(each, Placed)) == ["a"] * 4


@pytest.mark.parametrize("seed", range(25))
def test_a_batch_is_at_least_as_good_as_one_by_one_and_breaks_no_filter(seed: int) -> None:
    chance = Random(seed)
    nodes = [random_node(chance, f"n{i}") for i in range(8)]
    shapes = [random_shape(chance) for _ in range(6)]
    running = [info(random_pod(chance, f"r{i}", shapes)) for i in range(6)]
    wanted = [info(random_pod(chance, f"p{i}", shapes)) for i in range(12)]
    tables = []
    for _ in range(2):
        table = table_of(*nodes)
        for number, each in enumerate(running):
            table.set_pod(each, f"n{number}")
        tables.append(table)
    # Preemption apart: victims are chosen, not evicted here, and would only confuse the count.
    alone = Cycle(Profile().without("DefaultPreemption"), tables[0], Random(1))
    chosen = PACKING.without("DefaultPreemption")
    ordered = sorted(wanted, key=lambda each: -each.priority)
    by_priority = [
        sum(isinstance(alone.schedule(each), Placed) for each in group)
        for _, group in itertools.groupby(ordered, key=lambda each: each.priority)
    ]
    cycle = Cycle(chosen, tables[1], Random(1))
    outcomes = place_batch(cycle, wanted, chosen.batching)
    first = max(each.priority for each in wanted)
    best = sum(isinstance(outcomes[each.uid], Placed) for each in wanted if each.priority == first)
    interacting = any(each.affinity_terms or each.spread_constraints or each.ports for each in (*wanted, *running))
    assert interacting or best >= by_priority[0]
    for uid, outcome in outcomes.items():
        if isinstance(outcome, Placed):
            assert tables[1].placed[uid][1].name == outcome.node
            row = tables[1].by_name[outcome.node]
            columns = [row.columns[name] for name, _ in outcome.pod.requests.amounts]
            assert all(row.used[column] <= row.alloc[column] for column in columns)


@pytest.mark.parametrize("seed", range(40))
def test_a_solution_is_feasible_and_not_worse_than_the_one_to_begin_with(seed: int) -> None:
    chance = np.random.default_rng(seed)
    kinds, nodes = int(chance.integers(1, 5)), int(chance.integers(1, 7))
    problem = Problem(
        wants=np.stack([chance.integers(0, 5, kinds), chance.integers(0, 3, kinds) << 30, np.ones(kinds)], 1).astype(
            np.int64
        ),
        counts=chance.integers(1, 5, kinds),
        allowed=chance.random((kinds, nodes)) < 0.8,
        room=np.stack(
            [chance.integers(-1, 9, nodes), chance.integers(0, 6, nodes) << 30, chance.integers(0, 6, nodes)], 1
        ),
        empty=chance.random(nodes) < 0.5,
    )
    start = greedy(problem, range(kinds))
    assert problem.fits(start)
    found = solve(problem, start, seconds=5.0)
    assert problem.fits(found)
    assert problem.value(found) >= problem.value(start)
    if kinds <= 2 and nodes <= 3:
        assert problem.value(found) == best_value(problem)
    assert (solve(problem, start, seconds=5.0) == found).all()


def best_value(problem: Problem) -> int:
    """Try everything."""
    kinds, nodes = problem.allowed.shape
    choices = [range(int(problem.counts[k]) + 1) for k in range(kinds) for _ in range(nodes)]
    every = (np.array(each, dtype=np.int64).reshape(kinds, nodes) for each in itertools.product(*choices))
    return max(problem.value(each) for each in every if problem.fits(each))


class Wild(Plugin):
    """An optimiser that proposes what it is told to."""

    name = "Wild"

    def __init__(self, propose: Any) -> None:
        self.propose = propose

    def improve(self, problem: Problem, start: NDArray[np.int64]) -> Any:
        return self.propose(problem, start)


@pytest.mark.parametrize(
    "propose",
    [lambda _p, s: s * 100, lambda _p, s: s - 1, lambda _p, s: s * 0, lambda p, s: np.ones_like(s) * p.counts.max()],
)
def test_what_is_worse_or_does_not_fit_is_not_used(propose: Any) -> None:
    wanted = [info(pod(f"p{i}", cpu=1)) for i in range(4)]
    table = table_of(node("a", cpu=2), node("b", cpu=2))
    outcomes = place_batch(Cycle(Profile(), table, Random(0)), wanted, Wild(propose))
    assert all(isinstance(each, Placed) for each in outcomes.values())
    assert max(row.used[row.columns["cpu"]] for row in table.rows) == 2000


def test_every_placement_of_a_batch_passes_the_filters_of_a_single_row() -> None:
    wanted = [info(pod(f"p{i}", cpu=cpu)) for i, cpu in enumerate((2, 2, 3, 5))]
    table = table_of(node("a", cpu=5), node("b", cpu=7))
    cycle = Cycle(PACKING, table, Random(0))
    for each in place_batch(cycle, wanted, PACKING.batching).values():
        assert isinstance(each, Placed)
        table.forget(each.pod.uid)
        assert check_row(cycle.profile, each.pod, table, table.by_name[each.node]) is None
        table.assume(each.pod, each.node)


def test_without_its_solver_the_optimiser_cannot_be_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr(packing.importlib, "import_module", missing)
    with pytest.raises(ConfigurationError, match=r"needs the package highspy: pip install 'orchestra\[optimiser\]'"):
        Optimiser()


def test_the_optimiser_is_configured_like_any_plugin() -> None:
    text = """
apiVersion: kubescheduler.config.k8s.io/v1
kind: KubeSchedulerConfiguration
profiles:
- plugins: {multiPoint: {enabled: [{name: Optimiser}]}}
  pluginConfig: [{name: Optimiser, args: {seconds: 0.5}}]
"""
    (profile,) = load_configuration(text).profiles
    assert profile.batching == Optimiser(seconds=0.5)
    with pytest.raises(ConfigurationError, match=r"seconds: 0\.0 is not above 0"):
        load_configuration(text.replace("0.5", "0.0"))


@pytest.mark.anyio
@pytest.mark.virtual_time
async def test_the_driver_places_what_waits_together_as_a_batch(server: APIServer) -> None:
    await create(server, *(pod(f"p{i}", cpu=cpu) for i, cpu in enumerate((2, 2, 3, 5))))
    async with scheduling(server, Scheduler((PACKING,))):
        await create(server, node("a", cpu=5), node("b", cpu=7))
        await anyio.sleep(12)
        assert all((await nodes_of(server)).values())


@pytest.mark.anyio
@pytest.mark.virtual_time
async def test_an_optimiser_that_fails_is_reported_and_nothing_stays_assumed(server: APIServer) -> None:
    fails = [True]

    def propose(_problem: Problem, start: NDArray[np.int64]) -> Any:
        return "nonsense" if fails[0] else start

    await create(server, node("a", cpu=4), *(pod(f"p{i}", cpu=1) for i in range(4)))
    async with scheduling(server, Scheduler((Profile().with_plugins(Wild(propose)),))):
        await anyio.sleep(3)
        found = condition(await server.get(Pod, "p0"), "PodScheduled")
        assert (found.reason, found.message.startswith("plugin Wild returned")) == ("SchedulerError", True)
        fails[0] = False
        await anyio.sleep(11)
        assert all((await nodes_of(server)).values())
