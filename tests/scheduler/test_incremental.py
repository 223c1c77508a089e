"""Keeping current must equal starting over: the node table, and the answers that are cached for shapes."""

from __future__ import annotations

from random import Random
from typing import Any

import attrs
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestra.scheduler.cycle import Cycle, Placed
from orchestra.scheduler.evaluation import Evaluation
from orchestra.scheduler.nodetable import NodeTable
from orchestra.scheduler.podinfo import PodInfo
from orchestra.scheduler.profile import Profile
from orchestra.scheduler.view import Nodes
from tests.scheduler.kit import random_node, random_pod, random_shape

SEEDS = st.integers(min_value=0, max_value=2**32)


class Sequence:
    """A table that random events happen to."""

    def __init__(self, seed: int) -> None:
        self.chance = Random(seed)
        self.table = NodeTable()
        self.table.set_namespace("default", {"team": "a"})
        self.shapes = [random_shape(self.chance) for _ in range(4)]
        self.count = 0
        for number in range(self.chance.randint(2, 8)):
            self.table.set_node(random_node(self.chance, f"n{number}"))

    def new_pod(self) -> PodInfo:
        self.count += 1
        return PodInfo(random_pod(self.chance, f"p{self.count}", self.shapes))

    def step(self) -> None:
        chance, table = self.chance, self.table
        kind = chance.random()
        if kind < 0.5:
            table.set_pod(self.new_pod(), f"n{chance.randint(0, 9)}")
        elif kind < 0.7 and table.placed:
            table.remove_pod(chance.choice(list(table.placed)))
        elif kind < 0.8 and table.placed:
            self._touch(chance.choice(list(table.placed)))
        elif kind < 0.92:
            table.set_node(random_node(chance, f"n{chance.randint(0, 9)}"))
        elif kind < 0.97:
            table.remove_node(f"n{chance.randint(0, 9)}")
        else:
            table.set_namespace(chance.choice(("default", "other")), {"team": chance.choice("ab")})

    def _touch(self, uid: str) -> None:
        info, row = self.table.placed[uid]
        labels = {"app": self.chance.choice(("web", "db"))}
        changed = attrs.evolve(info.pod, metadata=attrs.evolve(info.pod.metadata, labels=labels))
        if self.chance.random() < 0.5:
            self.table.confirm(changed)  # as when a server adds labels to a Pod that it binds
        else:
            self.table.set_pod(PodInfo(changed), row.name)


def rebuilt(table: NodeTable) -> NodeTable:
    fresh = NodeTable()
    for name, labels in table.index.namespaces.items():
        fresh.set_namespace(name, labels)
    for row in table.rows:  # rows in the same order, so that arrays can be compared
        fresh.row_of(row.name if table.by_name.get(row.name) is row else f"free-{row.index}")
    for row in table.rows:
        if row.node is not None:
            fresh.set_node(row.node)
    for info, row in table.placed.values():
        fresh.set_pod(info, row.name)
    return fresh


def columns(table: NodeTable) -> dict[str, Any]:
    nodes = Nodes(table)
    resources = sorted(table.resources.values)
    found: dict[str, Any] = {name: nodes.allocatable(name).tolist() for name in resources}
    found |= {f"used {name}": nodes.requested(name).tolist() for name in resources}
    found |= {f"label {key}": labels_of(nodes, key) for key in ("disk", "cores", "topology.kubernetes.io/zone")}
    found["nonzero"] = [nodes.nonzero_requested(name).tolist() for name in ("cpu", "memory")]
    found["pods"] = [nodes.pod_count.tolist(), nodes.pod_limit.tolist()]
    found["flags"] = [nodes.active.tolist(), nodes.unschedulable.tolist()]
    found["taints"] = [nodes.taint_sets[number] for number in nodes.taint_set]
    found["ports"] = table.port_users
    found["images"] = {name: dict(sorted(users.items())) for name, users in table.image_nodes.items()}
    return found


def labels_of(nodes: Nodes, key: str) -> list[str | None]:
    values = nodes.label_values(key)
    return [values[number] if number >= 0 else None for number in nodes.label_ids(key)]


def answers(evaluation: Evaluation) -> dict[str, Any]:
    diagnosis = evaluation.diagnosis()
    return {
        "feasible": diagnosis.feasible,
        "scores": diagnosis.scores,
        "reasons": diagnosis.reasons,
        "message": diagnosis.message,
        "total": evaluation.total.tolist(),
    }


@settings(max_examples=60, deadline=None)
@given(seed=SEEDS, steps=st.integers(min_value=1, max_value=60))
def test_the_table_after_any_events_equals_one_built_from_scratch(seed: int, steps: int) -> None:
    sequence = Sequence(seed)
    for _ in range(steps):
        sequence.step()
    fresh = rebuilt(sequence.table)
    ours, theirs = columns(sequence.table), columns(fresh)
    for name in set(ours) | set(theirs):
        empty = [0] * sequence.table.size
        assert ours.get(name, empty) == theirs.get(name, empty), name


@settings(max_examples=60, deadline=None)
@given(seed=SEEDS, steps=st.integers(min_value=1, max_value=40))
def test_answers_kept_current_equal_answers_computed_from_scratch(seed: int, steps: int) -> None:
    sequence = Sequence(seed)
    profile = Profile()
    pods = [sequence.new_pod() for _ in range(4)]
    kept = [Evaluation(profile, pod, sequence.table) for pod in pods]
    for _ in range(steps):
        sequence.step()
        if sequence.chance.random() < 0.6:
            for pod, evaluation in zip(pods, kept, strict=True):
                evaluation.refresh()
                fresh = Evaluation(profile, pod, rebuilt(sequence.table))
                fresh.refresh()
                assert answers(evaluation) == answers(fresh)


@settings(max_examples=40, deadline=None)
@given(seed=SEEDS)
def test_a_batch_is_placed_as_pods_one_by_one_without_memory_would_be(seed: int) -> None:
    sequence = Sequence(seed)
    for _ in range(10):
        sequence.step()
    plain = rebuilt(sequence.table)
    batch = [sequence.new_pod() for _ in range(25)]
    together = Cycle(Profile(), sequence.table, Random(seed))
    chance = Random(seed)
    for pod in batch:
        expected = Cycle(Profile(), plain, chance).schedule(pod)
        found = together.schedule(pod)
        assert isinstance(found, Placed) == isinstance(expected, Placed)
        if isinstance(found, Placed) and isinstance(expected, Placed):
            assert found.node == expected.node


def test_many_changed_rows_at_once_are_taken_in_too() -> None:
    sequence = Sequence(7)
    for number in range(40):
        sequence.table.set_node(random_node(sequence.chance, f"m{number}"))
    pod = sequence.new_pod()
    kept = Evaluation(Profile(), pod, sequence.table)
    kept.refresh()
    for number in range(40):
        sequence.table.set_pod(sequence.new_pod(), f"m{number}")
    kept.refresh()
    fresh = Evaluation(Profile(), pod, sequence.table)
    fresh.refresh()
    assert answers(kept) == answers(fresh)
    assert np.array_equal(kept.first_refusal, fresh.first_refusal)
