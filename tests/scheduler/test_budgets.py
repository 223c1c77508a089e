"""What placing and binding a Pod may cost, in things that can be counted on any machine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from random import Random
from typing import Any

import anyio
import numpy as np
import pytest

from orchestra.api.core.node import Node
from orchestra.api.core.pod import Pod
from orchestra.apiserver import APIServer
from orchestra.apiserver.record import Record
from orchestra.clock import SystemClock
from orchestra.controller import EventRecorder, SharedInformers, Surroundings
from orchestra.scheduler.cycle import Cycle, Placed
from orchestra.scheduler.nodetable import NodeTable
from orchestra.scheduler.podinfo import PodInfo
from orchestra.scheduler.profile import Profile
from orchestra.scheduler.scheduler import Scheduler
from orchestra.store import MemoryStore, Txn, TxnResult
from tests.bench import scheduler_loads as loads

NODES = 300
COUNTED = ("zeros", "full", "where", "flatnonzero", "array_equal", "bincount", "minimum", "maximum", "arange", "append")


class Counted:
    """A function that counts how often it is called, and is otherwise what it was."""

    def __init__(self, name: str, function: Any, calls: Counter[str]) -> None:
        self._name, self._function, self._calls = name, function, calls

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        self._calls[self._name] += 1
        return self._function(*arguments, **named)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._function, name)


@contextmanager
def array_passes(patch: pytest.MonkeyPatch) -> Iterator[Counter[str]]:
    """Count calls of the NumPy functions that every array form of a plugin is made of."""
    calls: Counter[str] = Counter()
    with patch.context() as inner:
        for name in COUNTED:
            inner.setattr(np, name, Counted(name, getattr(np, name), calls))
        yield calls


def placed(cycle: Cycle, pods: list[Pod]) -> None:
    for pod in pods:
        assert isinstance(cycle.schedule(PodInfo(loads.identified(pod))), Placed)


def cluster() -> Cycle:
    table = NodeTable()
    for node in loads.nodes(NODES):
        table.set_node(node)
    return Cycle(Profile(), table, Random(1))


def test_a_pod_of_a_known_shape_is_placed_without_array_operations(monkeypatch: pytest.MonkeyPatch) -> None:
    cycle = cluster()
    placed(cycle, [loads.shaped(number, number % 4) for number in range(12)])
    with array_passes(monkeypatch) as calls:
        placed(cycle, [loads.shaped(number, number % 4) for number in range(100, 140)])
    # Now and then the best nodes run out, and all are looked at.
    assert calls.total() <= 6


def test_a_pod_of_a_new_shape_shares_what_is_said_of_the_nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    cycle = cluster()
    placed(cycle, [loads.shaped(0, 0)])
    with array_passes(monkeypatch) as calls:
        placed(cycle, [loads.shaped(number, number) for number in range(1, 21)])
    assert calls.total() / 20 <= 28


@pytest.mark.parametrize(
    "extra", [loads.spread("DoNotSchedule"), loads.alone, loads.together], ids=lambda e: e.__name__
)
def test_a_pod_that_looks_at_others_costs_few_array_operations(
    extra: loads.Extra, monkeypatch: pytest.MonkeyPatch
) -> None:
    cycle = cluster()
    placed(cycle, [loads.shaped(number, 0, extra) for number in range(3)])
    with array_passes(monkeypatch) as calls:
        placed(cycle, [loads.shaped(number, 0, extra) for number in range(10, 40)])
    assert calls.total() / 30 <= 10


class CountingStore(MemoryStore):
    """Counts the txns that write Pods."""

    def __init__(self) -> None:
        super().__init__()
        self.writes = 0

    async def txn(self, request: Txn) -> TxnResult:
        self.writes += any(b"/pods/" in getattr(op, "key", b"") for op in request.success)
        return await super().txn(request)


async def test_binding_a_pod_is_one_write_and_no_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    pods, clock = 40, SystemClock(seed=1)
    decoded = 0
    document = vars(Record)["document"].fget

    def counting(record: Record) -> Any:
        nonlocal decoded
        decoded += record._document is None
        return document(record)

    async with CountingStore() as store, APIServer(store, clock=clock) as server:
        for node in loads.nodes(3):
            await server.create(node)
        for number in range(pods):
            await server.create(loads.shaped(number, number % 4))
        informers, recorder = SharedInformers(server, clock=clock), EventRecorder(server, clock=clock)
        surroundings = Surroundings(client=server, informers=informers, clock=clock, recorder=recorder)
        bound = anyio.Event()
        names: set[str] = set()

        def count(changes: tuple[Any, ...]) -> None:
            names.update(c.new.metadata.name for c in changes if c.new is not None and c.new.spec.node_name)
            if len(names) == pods:
                bound.set()

        async with anyio.create_task_group() as tasks:
            for kind in (Pod, Node):
                informers.informer(kind)
            await tasks.start(informers.run)
            await informers.wait_synced()
            monkeypatch.setattr(Record, "document", property(counting))
            store.writes = 0
            informers.informer(Pod).subscribe(count)
            await tasks.start(partial(Scheduler().run, surroundings))
            with anyio.fail_after(30):
                await bound.wait()
            tasks.cancel_scope.cancel()
    assert store.writes == pods
    assert decoded == 0
