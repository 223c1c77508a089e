"""Nobody waits for ever though events are dropped, and nobody makes room who need not: under virtual time."""

from __future__ import annotations

from random import Random

import anyio
import pytest

from orchestra.api.builders import meta, node, pod
from orchestra.api.core.pod import Pod
from orchestra.api.meta import LabelSelector
from orchestra.api.policy import PodDisruptionBudget, PodDisruptionBudgetSpec
from orchestra.api.scheduling import PriorityClass
from orchestra.apiserver import APIServer
from orchestra.client.interface import DeleteOptions
from orchestra.scheduler.events import ClusterEvent
from orchestra.scheduler.queue import FLUSH_SECONDS, POD_BACKOFF, SchedulingQueue
from tests.scheduler.driving import create, nodes_of, priority_class, scheduling

pytestmark = [pytest.mark.anyio, pytest.mark.virtual_time]

NOW = DeleteOptions(grace_period_seconds=0)


@pytest.mark.parametrize("seed", range(6))
async def test_dropped_events_cost_seconds(server: APIServer, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    chance = Random(seed)
    real = SchedulingQueue.on_event

    def lossy(queue: SchedulingQueue, event: ClusterEvent, now: float) -> None:
        if chance.random() < 0.3:
            real(queue, event, now)

    monkeypatch.setattr(SchedulingQueue, "on_event", lossy)
    await create(server, *(pod(f"p{i}", cpu=2) for i in range(10)), *(node(f"n{i}", cpu=1) for i in range(3)))
    async with scheduling(server):
        for number in range(10):
            await anyio.sleep(chance.random() * 20)
            await create(server, node(f"big{number}", cpu=2))
            await anyio.sleep(FLUSH_SECONDS + POD_BACKOFF.max_seconds)
            assert sum(map(bool, (await nodes_of(server)).values())) == number + 1


async def test_disruption_budgets_of_the_cluster_protect_their_pods_from_preemption(server: APIServer) -> None:
    budget = PodDisruptionBudget(
        metadata=meta("b"),
        spec=PodDisruptionBudgetSpec(min_available=1, selector=LabelSelector(match_labels={"app": "kept"})),
    )
    await create(server, priority_class(9), budget)
    await create(server, node("a", cpu=1), node("b", cpu=1))
    await create(server, pod("kept", cpu=1, labels={"app": "kept"}), pod("other", cpu=1))
    async with scheduling(server):
        await anyio.sleep(1)
        await create(server, pod("high", cpu=1, priority_class_name="p9"))
        await anyio.sleep(1)
        doomed = [p.metadata.name for p in (await server.list(Pod)).items if p.metadata.deletion_timestamp is not None]
    assert doomed == ["other"]


async def test_a_pod_of_a_class_that_never_preempts_waits(server: APIServer) -> None:
    polite = PriorityClass(metadata=meta("polite"), value=9, preemption_policy="Never")
    await create(server, polite, node("a", cpu=1), pod("low", cpu=1))
    async with scheduling(server):
        await anyio.sleep(1)
        await create(server, pod("high", cpu=1, priority_class_name="polite"), pod("later", cpu=1))
        await anyio.sleep(40)
        assert (await nodes_of(server))["low"] == "a"
        await server.delete(Pod, "low", options=NOW)
        await anyio.sleep(15)
        assert await nodes_of(server) == {"high": "a", "later": ""}


async def test_room_that_victims_leave_is_kept_while_the_last_of_them_is_on_its_way_out(server: APIServer) -> None:
    await create(server, priority_class(9), node("a", cpu=2), pod("low0", cpu=1), pod("low1", cpu=1))
    async with scheduling(server):
        await anyio.sleep(1)
        await create(server, pod("high", cpu=2, priority_class_name="p9"))
        await anyio.sleep(1)
        await create(server, pod("thief", cpu=1))
        await server.delete(Pod, "low0", options=NOW)
        await anyio.sleep(20)
        assert await nodes_of(server) == {"low1": "a", "high": "", "thief": ""}
        await server.delete(Pod, "low1", options=NOW)
        await anyio.sleep(15)
        assert await nodes_of(server) == {"high": "a", "thief": ""}
