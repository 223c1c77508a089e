"""Preemption in thought finds what it finds by changing the table, whatever has happened before."""

from __future__ import annotations

from random import Random

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestra.scheduler import trials
from orchestra.scheduler.cycle import Cycle, Outcome, Placed, Unplaced
from orchestra.scheduler.evaluation import Evaluation
from orchestra.scheduler.nodetable import NodeTable
from orchestra.scheduler.podinfo import PodInfo
from orchestra.scheduler.profile import Profile
from tests.scheduler.kit import random_node, random_pod, random_shape
from tests.scheduler.test_incremental import columns

SEEDS = st.integers(min_value=0, max_value=2**32)


def world(chance: Random) -> NodeTable:
    table = NodeTable()
    table.set_namespace("default", {"team": "a"})
    for number in range(chance.randint(2, 7)):
        table.set_node(random_node(chance, f"n{number}"))
    return table


def told(outcome: Outcome) -> tuple[object, ...]:
    if isinstance(outcome, Placed):
        return ("placed", outcome.node)
    assert isinstance(outcome, Unplaced)
    found = outcome.post_filter
    return (outcome.diagnosis.message, found.node, [victim.uid for victim in found.victims], found.message)


def act(table: NodeTable, outcome: Outcome, chance: Random) -> None:
    """Nominate and evict, the one sooner than the other, as the driver would."""
    if not isinstance(outcome, Unplaced):
        return
    found = outcome.post_filter
    if found.node:
        table.nominate(outcome.pod, found.node)
        for victim in found.victims:
            if chance.random() < 0.7:
                table.remove_pod(victim.uid)


def run(seed: int) -> list[tuple[object, ...]]:
    chance = Random(seed)
    table = world(chance)
    shapes = [random_shape(chance) for _ in range(4)]
    cycle = Cycle(Profile(), table, Random(seed))
    waiting: list[PodInfo] = []
    story = []
    for number in range(45):
        if waiting and chance.random() < 0.3:
            pod = waiting.pop(chance.randrange(len(waiting)))
        else:
            made = random_pod(chance, f"p{number}", shapes)
            spec = attrs.evolve(made.spec, priority=chance.choice((0, 0, 5, 10)))
            pod = PodInfo(attrs.evolve(made, spec=spec))
        outcome = cycle.schedule(pod)
        story.append(told(outcome))
        act(table, outcome, chance)
        if isinstance(outcome, Unplaced):
            waiting.append(pod)
        if chance.random() < 0.1:
            table.set_node(random_node(chance, f"n{chance.randint(0, 7)}"))
    story.append(tuple(sorted(columns(table).items(), key=repr)))
    return story


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=SEEDS)
def test_thinking_finds_what_doing_finds(seed: int) -> None:
    thinking = run(seed)
    with pytest.MonkeyPatch.context() as patch:

        def never(_evaluation: Evaluation) -> bool:
            return False

        patch.setattr(trials, "stands_alone", never)
        doing = run(seed)
    assert thinking == doing
