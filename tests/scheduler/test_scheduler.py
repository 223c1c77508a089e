"""The driver on a real API server, under virtual time: what users and other parts see of it."""

from __future__ import annotations

from typing import Any

import anyio
import attrs
import pytest

from orchestra.api.builders import node, pod, taint
from orchestra.api.core.node import Node
from orchestra.api.core.pod import Pod, PodSchedulingGate
from orchestra.api.rules.conditions import condition
from orchestra.apiserver import APIServer
from orchestra.client.interface import DeleteOptions
from orchestra.errors import Conflict, ServiceUnavailable, Timeout
from orchestra.scheduler import Profile, Scheduler, Status, Verdict
from orchestra.scheduler.interface import CycleState, Plugin
from orchestra.scheduler.podinfo import PodInfo
from orchestra.scheduler.queue import FLUSH_SECONDS, SchedulingQueue
from tests.scheduler.driving import Faulty, create, events_about, nodes_of, priority_class, scheduling

pytestmark = [pytest.mark.anyio, pytest.mark.virtual_time]


async def test_pods_are_bound_and_an_event_says_where(server: APIServer) -> None:
    await create(server, node("a"), pod("p", cpu="100m"))
    async with scheduling(server):
        await create(server, pod("late", cpu="100m"))
        await anyio.sleep(5)
    assert await nodes_of(server) == {"p": "a", "late": "a"}
    assert ("Scheduled", "Successfully assigned default/p to a") in await events_about(server, "p")


async def test_a_pod_that_fits_nowhere_says_why_and_is_placed_when_a_node_comes(server: APIServer) -> None:
    await create(server, node("a", cpu=1), node("b", cpu=8, taints=(taint("gpu:NoSchedule"),)), pod("p", cpu=2))
    async with scheduling(server):
        await anyio.sleep(1)
        found = condition(await server.get(Pod, "p"), "PodScheduled")
        assert (found.status, found.reason) == ("False", "Unschedulable")
        assert found.message.startswith(
            "0/2 nodes are available: 1 Insufficient cpu, 1 node(s) had untolerated taint(s)."
        )
        await create(server, node("c", cpu=4))
        await anyio.sleep(1.5)
    assert await nodes_of(server) == {"p": "c"}
    assert "FailedScheduling" in [reason for reason, _ in await events_about(server, "p")]


async def test_a_pod_that_stays_refused_is_not_written_again(server: APIServer) -> None:
    await create(server, node("a", cpu=1), pod("p", cpu=2))
    async with scheduling(server):
        await anyio.sleep(5)
        before = (await server.get(Pod, "p")).metadata.resource_version
        await anyio.sleep(300)
        assert (await server.get(Pod, "p")).metadata.resource_version == before


async def test_room_that_a_finished_pod_leaves_is_used(server: APIServer) -> None:
    await create(server, node("a", cpu=1), pod("first", cpu=1))
    async with scheduling(server):
        await anyio.sleep(1)
        await create(server, pod("second", cpu=1))
        await anyio.sleep(1)
        assert (await nodes_of(server))["second"] == ""
        first = await server.get(Pod, "first")
        await server.update(
            attrs.evolve(first, status=attrs.evolve(first.status, phase="Succeeded")), subresource="status"
        )
        await anyio.sleep(3)
        assert (await nodes_of(server))["second"] == "a"


async def test_pods_of_other_schedulers_and_gated_pods_are_left_alone(server: APIServer) -> None:
    gated = pod("gated", scheduling_gates=(PodSchedulingGate(name="x"),))
    await create(server, node("a"), pod("other", scheduler_name="mine"), gated)
    async with scheduling(server):
        await anyio.sleep(60)
    assert await nodes_of(server) == {"other": "", "gated": ""}


async def test_two_profiles_each_place_their_own(server: APIServer) -> None:
    await create(server, node("a"), pod("p"), pod("q", scheduler_name="second"))
    async with scheduling(server, Scheduler((Profile(), Profile(name="second")))):
        await anyio.sleep(1)
    assert await nodes_of(server) == {"p": "a", "q": "a"}


async def test_a_refused_binding_gives_the_room_back_and_is_tried_again(server: APIServer) -> None:
    await create(server, node("a", cpu=1), pod("p", cpu=1))
    attempts = 0

    async def bind(*arguments: Any, **more: Any) -> int:
        nonlocal attempts
        attempts += 1
        if attempts < 3:
            raise Conflict("somebody else was there first")
        return await server.bind(*arguments, **more)

    async with scheduling(server, client=Faulty(server, bind)):
        await anyio.sleep(10)
    assert attempts == 3
    assert await nodes_of(server) == {"p": "a"}


async def test_a_binding_whose_answer_was_lost_is_not_done_twice(server: APIServer) -> None:
    await create(server, node("a", cpu=1), node("b", cpu=1), pod("p", cpu=1))
    attempts: list[str] = []

    async def bind(name: str, target: str, **more: Any) -> int:
        attempts.append(target)
        await server.bind(name, target, **more)
        raise Timeout("no answer")

    async with scheduling(server, client=Faulty(server, bind)):
        await anyio.sleep(30)
    assert len(attempts) == 1
    assert await nodes_of(server) == {"p": attempts[0]}


async def test_slow_and_failing_binds_never_overfill_a_node(server: APIServer) -> None:
    await create(server, *(node(f"n{i}", cpu=2) for i in range(5)), *(pod(f"p{i}", cpu=1) for i in range(12)))
    calls = 0

    async def bind(name: str, target: str, **more: Any) -> int:
        nonlocal calls
        calls += 1
        await anyio.sleep(calls % 3)
        if calls % 2:
            raise ServiceUnavailable("try later")
        return await server.bind(name, target, **more)

    async with scheduling(server, client=Faulty(server, bind)):
        await anyio.sleep(120)
    placed = await nodes_of(server)
    per_node = [list(placed.values()).count(f"n{i}") for i in range(5)]
    assert per_node == [2] * 5
    assert list(placed.values()).count("") == 2


async def test_another_scheduler_s_pods_count_before_ours(server: APIServer) -> None:
    await create(server, node("a", cpu=1))
    async with scheduling(server):
        await create(server, pod("theirs", cpu=1, scheduler_name="theirs"))
        await server.bind("theirs", "a")
        await anyio.sleep(1)
        await create(server, pod("ours", cpu=1))
        await anyio.sleep(1)
    assert (await nodes_of(server))["ours"] == ""


async def test_a_cordoned_node_takes_no_pods_until_it_is_uncordoned(server: APIServer) -> None:
    await create(server, node("a", unschedulable=True), pod("p"))
    async with scheduling(server):
        await anyio.sleep(5)
        assert await nodes_of(server) == {"p": ""}
        found = await server.get(Node, "a")
        await server.update(attrs.evolve(found, spec=attrs.evolve(found.spec, unschedulable=None)))
        await anyio.sleep(2)
    assert await nodes_of(server) == {"p": "a"}


class Slowly(Plugin):
    """Permits a Pod when two of its kind have a node, and not later than in ten seconds."""

    name = "Slowly"

    def __init__(self) -> None:
        self.seen: set[str] = set()

    def permit(self, _state: CycleState, pod: PodInfo, _node: str) -> Status | None:
        self.seen.add(pod.uid)
        return None if len(self.seen) > 1 else Status(Verdict.WAIT, ("alone",), wait_seconds=10.0)


async def test_a_pod_waits_for_permission_and_holds_its_room_meanwhile(server: APIServer) -> None:
    await create(server, node("a"), pod("p"))
    async with scheduling(server, Scheduler((Profile().with_plugins(Slowly()),))):
        await anyio.sleep(5)
        assert await nodes_of(server) == {"p": ""}
        await create(server, pod("q"))
        await anyio.sleep(1)
        assert await nodes_of(server) == {"p": "a", "q": "a"}


async def test_a_wait_for_permission_is_bounded(server: APIServer) -> None:
    await create(server, node("a"), pod("p"))
    async with scheduling(server, Scheduler((Profile().with_plugins(Slowly()),))):
        await anyio.sleep(12)
        assert ("FailedScheduling", "Slowly did not permit the Pod in time: alone") in await events_about(server, "p")
        assert await nodes_of(server) == {"p": ""}


async def test_a_plugin_that_raises_fails_its_pod_and_the_others_go_on(server: APIServer) -> None:
    class Picky(Plugin):
        name = "Picky"

        def pre_filter(self, _state: CycleState, pod: PodInfo, _table: object) -> None:
            if pod.labels.get("app") == "bad":
                raise RuntimeError("cannot read this Pod")

    await create(server, node("a"), pod("bad", labels={"app": "bad"}), pod("good"))
    async with scheduling(server, Scheduler((Profile().with_plugins(Picky()),))):
        await anyio.sleep(3)
        found = condition(await server.get(Pod, "bad"), "PodScheduled")
    assert found.reason == "SchedulerError"
    assert "Picky" in found.message
    assert await nodes_of(server) == {"bad": "", "good": "a"}


async def test_events_that_are_all_missed_cost_seconds_not_hours(
    server: APIServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SchedulingQueue, "on_event", lambda *_: None)
    await create(server, node("a", cpu=1), pod("p", cpu=2))
    async with scheduling(server):
        await anyio.sleep(5)
        await create(server, node("b", cpu=4))
        await anyio.sleep(FLUSH_SECONDS)
    assert (await nodes_of(server))["p"] == "b"


async def test_a_more_important_pod_evicts_and_gets_the_room(server: APIServer) -> None:
    await create(server, priority_class(1), priority_class(9))
    await create(server, node("a", cpu=1), pod("low", cpu=1, priority_class_name="p1"), pod("other", cpu=1))
    async with scheduling(server):
        await anyio.sleep(1)
        assert await nodes_of(server) == {"low": "a", "other": ""}
        await create(server, pod("high", cpu=1, priority_class_name="p9"))
        await anyio.sleep(1)
        victim, high = await server.get(Pod, "low"), await server.get(Pod, "high")
        assert victim.metadata.deletion_timestamp is not None
        assert condition(victim, "DisruptionTarget").reason == "PreemptionByScheduler"
        assert high.status.nominated_node_name == "a"
        # Its node's agent would end it; the room then goes to whom it was made for.
        await server.delete(Pod, "low", options=DeleteOptions(grace_period_seconds=0))
        await anyio.sleep(15)
    assert await nodes_of(server) == {"high": "a", "other": ""}
    assert "Preempted" in [reason for reason, _ in await events_about(server, "low")]


async def test_victims_that_are_slow_to_go_are_not_followed_by_more(server: APIServer) -> None:
    lows = [pod(f"low{i}", cpu=1) for i in range(3)]
    await create(server, priority_class(9))
    await create(server, *(node(f"n{i}", cpu=1) for i in range(3)), *lows)
    async with scheduling(server):
        await anyio.sleep(1)
        await create(server, pod("high", cpu=1, priority_class_name="p9"))
        await anyio.sleep(300)
        doomed = [p for p in (await server.list(Pod)).items if p.metadata.deletion_timestamp is not None]
    assert len(doomed) == 1
