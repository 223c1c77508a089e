"""What explaining costs: of a placement, of a refusal, and in memory. `python -m tests.bench explain`."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from statistics import median
from time import process_time
from typing import Any

import attrs
import orjson

from orchestra.api.builders import meta, node, pod, taint
from orchestra.api.codec import encode
from orchestra.api.diagnosis import UNSCHEDULABLE
from orchestra.scheduler import ClusterState, Profile
from orchestra.scheduler.advice import advise
from orchestra.scheduler.cycle import Cycle, Unplaced
from orchestra.scheduler.explaining import Attempt, of_diagnosis, of_placement, record
from orchestra.scheduler.nodetable import NodeTable
from orchestra.scheduler.podinfo import PodInfo
from tests.bench.figure import Figure

NODES = 5_000
ROUNDS = 5
PODS = 1_000


def _table(nodes: int) -> NodeTable:
    table = NodeTable()
    for number in range(nodes):
        taints = (taint(f"t{number % 7}:NoSchedule"),) if number % 5 == 0 else ()
        table.set_node(node(f"n{number}", cpu=32, memory="256Gi", taints=taints))
    return table


def _pods(count: int, **spec: Any) -> list[PodInfo]:
    made = [pod(f"p{number}", **{"cpu": f"{100 + number % 10}m", "memory": "256Mi", **spec}) for number in range(count)]
    return [PodInfo(attrs.evolve(each, metadata=meta(each.metadata.name, uid=each.metadata.name))) for each in made]


def _placing(whole: bool | None) -> float:
    """Return the processor time of a placement in microseconds; None takes nothing down."""

    def witness(_pod: PodInfo, evaluation: Any, row: int, ties: int) -> None:
        of_placement(evaluation, row, ties, whole=bool(whole))

    cycle = Cycle(Profile(), _table(NODES), Random(1), witness=None if whole is None else witness)
    pods = _pods(PODS)
    begin = process_time()
    for each in pods:
        cycle.schedule(each)
    return (process_time() - begin) / len(pods) * 1e6


def _interleaved(*measures: Callable[[], float]) -> list[float]:
    """Return the median of each, measured in turns: what else runs on the machine meets all of them."""
    rounds = [[measure() for measure in measures] for _ in range(ROUNDS)]
    return [median(column) for column in zip(*rounds, strict=True)]


def _refusing(nodes: int) -> tuple[float, float, int]:
    """Return what a refusal costs without and with the record of it, in microseconds, and the record's size."""
    table, (big,) = _table(nodes), _pods(1, cpu=64)
    cycle = Cycle(Profile().without("DefaultPreemption"), table, Random(1))
    plain, explained, size = [], [], 0
    for _ in range(ROUNDS):
        begin = process_time()
        outcome = cycle.schedule(big)
        assert isinstance(outcome, Unplaced)
        message, _plugins = outcome.diagnosis.message, outcome.diagnosis.plugins
        between = process_time()
        decision = of_diagnosis(outcome.diagnosis, None, advise(outcome.diagnosis, big, table, cycle.profile))
        plain.append((between - begin) * 1e6)
        explained.append((process_time() - begin) * 1e6)
        told = record(("default", "big", "u"), decision, Attempt("default-scheduler", UNSCHEDULABLE, message))
        size = len(orjson.dumps(encode(told)))
    return median(plain), median(explained), size


def _what_if() -> float:
    nodes = [node(f"n{number}", cpu=32, memory="256Gi") for number in range(1_000)]
    state = ClusterState([*nodes, *(pod(f"p{number}", cpu="100m", memory="256Mi") for number in range(2_000))])
    begin = process_time()
    placed = len(state.schedule().placements)
    return placed / (process_time() - begin)


def run() -> list[Figure]:
    """Measure in processor time, which others on the machine disturb least."""
    plain, some, whole = _interleaved(lambda: _placing(None), lambda: _placing(False), lambda: _placing(True))
    without, explained, _ = _refusing(NODES)
    more_without, more_explained, size = _refusing(10_000)
    return [
        Figure(f"a placement among {NODES} nodes, not explained", plain, "us", "", None),
        Figure(
            "the same, the chosen node and the counts taken down", some - plain, "us more", "<= 15", some - plain <= 15
        ),
        Figure("the same, taken down whole", whole - plain, "us more", "", None),
        Figure(f"a refusal by {NODES} nodes, not explained", without, "us", "", None),
        Figure("the same, with reasons and advice", explained - without, "us more", "", None),
        Figure("a refusal by 10000 nodes, not explained", more_without, "us", "", None),
        Figure("the same, with reasons and advice", more_explained - more_without, "us more", "", None),
        Figure("the record of that as JSON", size, "bytes", "<= 8192", size <= 8192),
        Figure("what-if, 2000 Pods on 1000 nodes", _what_if(), "Pods/s", "", None),
    ]
