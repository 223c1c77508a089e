"""What becomes of victims and of kept room when things change after a preemption was decided."""

from __future__ import annotations

from random import Random
from typing import Any

import anyio
import attrs
import pytest

from orchestra.api.builders import node, pod
from orchestra.api.core.affinity import Affinity, PodAffinity, PodAffinityTerm, PodAntiAffinity
from orchestra.api.core.pod import Pod
from orchestra.api.meta import LabelSelector
from orchestra.apiserver import APIServer
from orchestra.client.interface import DeleteOptions
from orchestra.errors import ServiceUnavailable
from orchestra.scheduler import Profile, Scheduler, Status, Verdict
from orchestra.scheduler.cycle import Cycle, Placed
from orchestra.scheduler.interface import CycleState, Plugin
from orchestra.scheduler.nodetable import NodeTable
from orchestra.scheduler.podinfo import PodInfo
from tests.scheduler.driving import create, events_about, nodes_of, priority_class, scheduling

pytestmark = [pytest.mark.anyio, pytest.mark.virtual_time]

NOW = DeleteOptions(grace_period_seconds=0)


class WaitsLong(Plugin):
    """Keeps every Pod of low priority waiting for permission."""

    name = "WaitsLong"

    def permit(self, _state: CycleState, pod: PodInfo, _node: str) -> Status | None:
        return Status(Verdict.WAIT, ("not yet",), wait_seconds=600) if not pod.priority else None


class SlowDeletes:
    """A client whose deletions take five seconds, and fail so many times; knows what was deleted."""

    def __init__(self, server: APIServer, failures: int = 0) -> None:
        self._server = server
        self._failures = failures
        self.deleted: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._server, name)

    async def delete(self, kind: Any, name: str, **more: Any) -> Any:
        await anyio.sleep(5)
        if self._failures:
            self._failures -= 1
            raise ServiceUnavailable("not now")
        self.deleted.append(name)
        return await self._server.delete(kind, name, **more)


async def held(server: APIServer, name: str, *, by: tuple[str, ...]) -> None:
    """Keep a Pod when it is deleted, or let it go."""
    found = await server.get(Pod, name)
    await server.update(attrs.evolve(found, metadata=attrs.evolve(found.metadata, finalizers=by)))


async def test_a_victim_that_waits_for_permission_gives_its_room_back_and_lives_on(server: APIServer) -> None:
    await create(server, priority_class(100), node("a", cpu=1), pod("low", cpu=1))
    profile = Profile(plugins=(*Profile().plugins, WaitsLong()))
    async with scheduling(server, Scheduler([profile])):
        await anyio.sleep(1)
        await create(server, pod("high", cpu=1, priority_class_name="p100"))
        await anyio.sleep(5)
        assert await nodes_of(server) == {"low": "", "high": "a"}
        await create(server, node("b", cpu=1, labels={"late": "true"}))
        await anyio.sleep(15)
    assert "Preempted" in [reason for reason, _ in await events_about(server, "low")]


async def test_nobody_is_evicted_for_a_pod_that_is_gone_by_then(server: APIServer) -> None:
    low = [pod(f"low{number}", cpu=1) for number in range(2)]
    high = [pod(f"high{number}", cpu=1, priority_class_name="p100") for number in range(2)]
    await create(server, priority_class(100), node("a", cpu=1), node("b", cpu=1), *low)
    client = SlowDeletes(server)
    async with scheduling(server, client=client):
        await anyio.sleep(1)
        await create(server, *high)
        await anyio.sleep(0.5)  # the first eviction is under way, the second one waits
        for each in high:
            await server.delete(Pod, each.metadata.name, namespace="default", options=NOW)
        await anyio.sleep(60)
    assert len(client.deleted) == 1


@pytest.mark.parametrize("held_by", [(), ("example.com/hold",)])
async def test_room_kept_for_a_pod_that_is_deleted_is_given_to_those_that_wait(
    server: APIServer, held_by: tuple[str, ...]
) -> None:
    await create(server, priority_class(100), node("a", cpu=1), pod("low", cpu=1))
    await held(server, "low", by=("example.com/hold",))
    async with scheduling(server):
        await anyio.sleep(1)
        await create(server, pod("high", cpu=1, priority_class_name="p100"))
        await held(server, "high", by=held_by)
        await anyio.sleep(1)
        await server.delete(Pod, "low", namespace="default", options=NOW)
        await create(server, pod("other", cpu=1))
        await anyio.sleep(3)
        await server.delete(Pod, "high", namespace="default", options=NOW)
        await held(server, "low", by=())
        await anyio.sleep(5)
        assert (await nodes_of(server))["other"] == "a"


async def test_an_eviction_that_failed_is_tried_again_soon(server: APIServer) -> None:
    await create(server, priority_class(100), node("a", cpu=1), pod("low", cpu=1))
    client = SlowDeletes(server, failures=2)
    async with scheduling(server, client=client):
        await anyio.sleep(1)
        await create(server, pod("high", cpu=1, priority_class_name="p100"))
        await anyio.sleep(25)
        assert client.deleted == ["low"]


def apart(name: str, app: str, key: str, *, together: bool = False, **more: Any) -> PodInfo:
    """Return a Pod that wants to be apart from, or together with, the Pods of its app."""
    term = PodAffinityTerm(topology_key=key, label_selector=LabelSelector(match_labels={"app": app}))
    affinity = (
        Affinity(pod_affinity=PodAffinity(required_during_scheduling_ignored_during_execution=(term,)))
        if together
        else Affinity(pod_anti_affinity=PodAntiAffinity(required_during_scheduling_ignored_during_execution=(term,)))
    )
    return PodInfo(pod(name, cpu=1, labels={"app": app}, affinity=affinity, **more))


async def test_a_nominated_pod_counts_on_its_own_node_alone() -> None:
    """kube-scheduler's RunFilterPluginsWithNominatedPods: other nodes of its zone are asked about without it."""
    table = NodeTable()
    for name in "ab":
        table.set_node(node(name, cpu=4, labels={"zone": "z"}))
    table.nominate(apart("first", "x", "zone", priority=10), "a")
    outcome = Cycle(Profile(), table, Random(1)).schedule(apart("second", "x", "zone"))
    assert isinstance(outcome, Placed)
    assert outcome.node == "b"
    assert [other.pod.metadata.name for other, _ in table.nominated] == ["first"]


@pytest.mark.parametrize("seed", range(30))
async def test_pods_go_to_the_best_node_that_takes_them_beside_each_nodes_nominated_pods(seed: int) -> None:
    random = Random(seed)
    table = NodeTable()
    for number in range(8):
        labels = {"zone": f"z{number % 3}", "host": f"n{number}"}
        table.set_node(node(f"n{number}", cpu=random.randrange(1, 4), labels=labels))
    cycle = Cycle(Profile(), table, Random(seed))
    for number in range(5):
        app, key = random.choice("xy"), random.choice(("zone", "host"))
        table.nominate(apart(f"nominated{number}", app, key, priority=10), f"n{random.randrange(8)}")
    for number in range(10):
        app, key = random.choice("xy"), random.choice(("zone", "host"))
        wanted = apart(f"p{number}", app, key, together=random.random() < 0.3)
        evaluation = cycle.evaluate(wanted)
        totals = {row.name: int(evaluation.total[row.index]) for row in table.rows if evaluation.feasible[row.index]}
        fits = {name: total for name, total in totals.items() if cycle._checks(wanted, None)(name) is None}
        outcome = cycle.schedule(wanted)
        best = [name for name, total in fits.items() if total == max(fits.values())]
        assert (outcome.node in best) if isinstance(outcome, Placed) else not best
