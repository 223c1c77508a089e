"""What the scheduler tells about every attempt, read as users read it: from the Pod's diagnosis subresource."""

from __future__ import annotations

from typing import Any, ClassVar

import anyio
import attrs
import numpy as np
import orjson
import pytest

from orchestra.api.builders import node, pod, taint
from orchestra.api.codec import encode
from orchestra.api.core.pod import Pod, PodSchedulingGate
from orchestra.api.diagnosis import PodDiagnosis
from orchestra.api.rules.conditions import condition
from orchestra.apiserver import APIServer
from orchestra.errors import Conflict, ServiceUnavailable
from orchestra.scheduler import Plugin, PodInfo, Profile, Scheduler, Status, Verdict, unschedulable
from orchestra.scheduler.explaining import MAX_NAMES, MAX_REASONS, MAX_SCORED
from orchestra.scheduler.interface import ByCode, CycleState, Rejection, Rejections
from orchestra.scheduler.plugins.optimiser import Optimiser
from orchestra.scheduler.queue import FLUSH_SECONDS
from orchestra.scheduler.recording import WHOLE_RECORDS
from orchestra.scheduler.reporting import MAX_CONDITION, MAX_NOTE
from orchestra.scheduler.view import Nodes
from tests.scheduler.driving import Faulty, create, events_about, priority_class, scheduling

pytestmark = [pytest.mark.anyio, pytest.mark.virtual_time]


async def told(server: APIServer, name: str) -> PodDiagnosis:
    found = await server.diagnosis(name)
    assert found is not None
    return found


async def test_a_placed_pod_says_why_this_node_and_what_spoke_against_the_others(server: APIServer) -> None:
    nodes = [node("a", cpu=8), node("b", cpu=4), node("c", cpu=16, taints=(taint("gpu:NoSchedule"),))]
    await create(server, *nodes, pod("p", cpu=1))
    async with scheduling(server):
        await anyio.sleep(1)
    found = await told(server, "p")
    assert (found.outcome, found.node, found.scheduler, found.attempt) == ("Placed", "a", "default-scheduler", 1)
    assert (found.nodes, found.feasible, found.ties) == (3, 2, 1)
    assert [scored.node for scored in found.scores] == ["a", "b"]
    for scored in found.scores:
        assert scored.total == sum(score.weighted for score in scored.plugins)
        assert all(score.weighted == score.normalized * score.weight for score in scored.plugins)
    assert found.scores[0].total > found.scores[1].total
    taints = next(score for score in found.scores[0].plugins if score.plugin == "TaintToleration")
    assert (taints.raw, taints.normalized, taints.weight, taints.weighted) == (0, 100, 3, 300)
    (refusal,) = found.refusals
    assert (refusal.plugin, refusal.reasons) == ("TaintToleration", ("node(s) had untolerated taint(s)",))
    assert (refusal.count, refusal.nodes) == (1, ("c",))
    assert found.attempted_at is not None


async def test_the_scores_are_those_before_the_pod_was_counted(server: APIServer) -> None:
    await create(server, node("a", cpu=4, memory="4Gi"), node("b", cpu=2, memory="2Gi"), pod("p", cpu=1, memory="1Gi"))
    async with scheduling(server):
        await anyio.sleep(1)
    fit = {
        s.node: next(x.raw for x in s.plugins if x.plugin == "NodeResourcesFit")
        for s in (await told(server, "p")).scores
    }
    assert fit == {"a": 75, "b": 50}


async def test_a_pod_without_a_node_says_what_is_missing_and_what_will_help(server: APIServer) -> None:
    await create(server, node("a", cpu=1), node("b", cpu=8, taints=(taint("gpu:NoSchedule"),)), pod("p", cpu=2))
    async with scheduling(server):
        await anyio.sleep(1)
        found = await told(server, "p")
        assert (found.outcome, found.node, found.feasible) == ("Unschedulable", "", 0)
        assert found.message.startswith("0/2 nodes are available: 1 Insufficient cpu, 1 node(s) had untolerated")
        assert {(r.plugin, r.nodes) for r in found.refusals} == {
            ("NodeResourcesFit", ("a",)),
            ("TaintToleration", ("b",)),
        }
        assert {change.action for advice in found.advice for change in advice.changes} == {"Resource", "Tolerate"}
        assert found.preemption is not None
        assert "preemption: 0/2 nodes are available" in found.preemption.message
        assert found.retry is not None
        assert "Node: add, update allocatable" in found.retry.events
        assert found.attempted_at is not None
        assert found.retry.not_before is not None
        assert (found.retry.not_before - found.attempted_at).total_seconds() == 1.0
        assert found.retry.at_latest is not None
        assert (found.retry.at_latest - found.attempted_at).total_seconds() == FLUSH_SECONDS
        await anyio.sleep(FLUSH_SECONDS + 1)
        assert (await told(server, "p")).attempt == 2
        await create(server, node("c", cpu=4))
        await anyio.sleep(10)
        assert ((await told(server, "p")).outcome, (await told(server, "p")).node) == ("Placed", "c")


async def test_preemption_says_whom_it_evicts_and_where(server: APIServer) -> None:
    await create(server, priority_class(9), node("a", cpu=1), pod("low", cpu=1))
    async with scheduling(server):
        await anyio.sleep(1)
        await create(server, pod("high", cpu=1, priority_class_name="p9"))
        await anyio.sleep(0.1)
        found = await told(server, "high")
    assert found.preemption is not None
    assert (found.preemption.node, found.preemption.victims, found.preemption.count) == ("a", ("default/low",), 1)
    assert found.advice == ()


async def test_a_gated_pod_says_what_it_waits_for(server: APIServer) -> None:
    await create(server, node("a"), pod("p", scheduling_gates=(PodSchedulingGate(name="quota"),)))
    async with scheduling(server):
        await anyio.sleep(1)
        found = await told(server, "p")
        assert (found.outcome, found.message) == ("Gated", "waiting for scheduling gates: [quota]")
        assert found.retry is not None
        assert found.retry.events == ("the Pod itself: update gates",)
        open_ = await server.get(Pod, "p")
        await server.update(attrs.evolve(open_, spec=attrs.evolve(open_.spec, scheduling_gates=())))
        await anyio.sleep(1)
        assert (await told(server, "p")).outcome == "Placed"


async def test_a_pod_of_another_scheduler_has_no_record(server: APIServer) -> None:
    await create(server, node("a"), pod("p", scheduler_name="other"))
    async with scheduling(server):
        await anyio.sleep(5)
    assert await server.diagnosis("p") is None


class Guard(Plugin):
    """Refuses after the choice, or keeps waiting, as the Pod's label says."""

    name: ClassVar[str] = "Guard"

    def reserve(self, _state: CycleState, pod: PodInfo, _node: str) -> Status | None:
        return unschedulable("no licence left") if pod.labels.get("guard") == "refuse" else None

    def unreserve(self, _state: CycleState, _pod: PodInfo, _node: str) -> None:
        return None

    def permit(self, _state: CycleState, pod: PodInfo, _node: str) -> Status | None:
        return Status(Verdict.WAIT, ("waits for its friends",)) if pod.labels.get("guard") == "wait" else None


async def test_what_plugins_say_after_the_choice_is_told_too(server: APIServer) -> None:
    pods = [pod(what, labels={"guard": what}) for what in ("refuse", "wait")]
    await create(server, node("a"), *pods)
    async with scheduling(server, Scheduler((Profile().with_plugins(Guard()),))):
        await anyio.sleep(0.5)
        refused, waiting = await told(server, "refuse"), await told(server, "wait")
    assert (refused.outcome, refused.node, refused.message) == ("Refused", "a", "no licence left")
    assert (waiting.outcome, waiting.node) == ("Waiting", "a")
    assert waiting.message == "waiting for permission of Guard: waits for its friends"


async def test_a_failed_binding_and_a_failed_plugin_are_told(server: APIServer) -> None:
    class Broken(Plugin):
        name: ClassVar[str] = "Broken"

        def pre_filter(self, _state: CycleState, pod: PodInfo, _table: object) -> None:
            if pod.labels.get("bad"):
                raise RuntimeError("boom")

    async def bind(*_arguments: Any, **_more: Any) -> int:
        raise Conflict("somebody else was there first")

    await create(server, node("a"), pod("p"), pod("q", labels={"bad": "yes"}))
    async with scheduling(server, Scheduler((Profile().with_plugins(Broken()),)), client=Faulty(server, bind)):
        await anyio.sleep(0.5)
        unbound, broken = await told(server, "p"), await told(server, "q")
    assert (unbound.outcome, unbound.node) == ("Failed", "a")
    assert "somebody else was there first" in unbound.message
    assert unbound.retry is not None
    assert broken.outcome == "Failed"
    assert "Broken" in broken.message


async def test_a_server_that_takes_no_records_costs_nothing_but_them(server: APIServer) -> None:
    class Deaf:
        def __getattr__(self, name: str) -> Any:
            return getattr(server, name)

        async def report_diagnoses(self, _reports: object) -> None:
            raise ServiceUnavailable("not now")

    await create(server, node("a", cpu=1), pod("p", cpu=1), pod("q", cpu=1))
    async with scheduling(server, client=Deaf()):
        await anyio.sleep(5)
    assert sorted(p.spec.node_name or "" for p in (await server.list(Pod)).items) == ["", "a"]


async def test_under_load_later_records_keep_the_chosen_node_and_the_counts(server: APIServer) -> None:
    many = 3 * WHOLE_RECORDS
    await create(server, node("a"), node("b", cpu=1), *(pod(f"p{n}", cpu="1m") for n in range(many)))
    async with scheduling(server):
        await anyio.sleep(1)
    found = [await told(server, f"p{n}") for n in range(many)]
    assert sum(len(one.scores) == 2 for one in found) == WHOLE_RECORDS
    assert all(one.scores[0].node == one.node and one.scores[0].plugins for one in found)
    assert all((one.nodes, one.feasible) == (2, 2) for one in found)


class Chatty(Plugin):
    """Has a long reason of its own for every node."""

    name: ClassVar[str] = "Chatty"

    def filter(self, _state: CycleState, _pod: PodInfo, nodes: Nodes) -> Rejections:
        reasons = tuple(Rejection((f"node number {n} is not to my liking {'!' * 4000}",)) for n in range(nodes.count))
        return Rejections(np.arange(1, nodes.count + 1), ByCode(reasons))


async def test_a_record_is_small_whatever_plugins_say_of_however_many_nodes(server: APIServer) -> None:
    await create(server, *(node(f"n{number}") for number in range(300)), pod("p"))
    async with scheduling(server, Scheduler((Profile().with_plugins(Chatty()),))):
        await anyio.sleep(1)
        found = await told(server, "p")
        (noted,) = [message for reason, message in await events_about(server, "p") if reason == "FailedScheduling"]
        scheduled = condition(await server.get(Pod, "p"), "PodScheduled")
    assert (len(noted), noted[-5:]) == (MAX_NOTE, "! ...")
    assert len(scheduled.message) == MAX_CONDITION
    assert len(found.refusals) == MAX_REASONS
    assert found.refused_otherwise == 300 - MAX_REASONS
    assert len(orjson.dumps(encode(found))) < 20_000


async def test_a_record_of_many_nodes_names_a_few(server: APIServer) -> None:
    nodes = [node(f"n{number}", cpu=1 if number % 2 else 4) for number in range(100)]
    await create(server, *nodes, pod("p", cpu=2), pod("q", cpu=8))
    async with scheduling(server):
        await anyio.sleep(1)
        placed, waits = await told(server, "p"), await told(server, "q")
    assert len(placed.scores) == MAX_SCORED
    assert (placed.ties, placed.refusals[0].count, len(placed.refusals[0].nodes)) == (50, 50, MAX_NAMES)
    assert (waits.refusals[0].count, len(waits.refusals[0].nodes)) == (100, MAX_NAMES)


async def test_what_an_optimiser_chose_is_told_and_not_what_the_scores_said(server: APIServer) -> None:
    pods = [pod(f"p{n}", cpu=cpu) for n, cpu in enumerate((3, 3, 2, 2, 2))]
    await create(server, node("a", cpu=6), node("b", cpu=6), *pods)
    async with scheduling(server, Scheduler((Profile().with_plugins(Optimiser()),))):
        await anyio.sleep(1)
    where = {item.metadata.name: item.spec.node_name for item in (await server.list(Pod)).items}
    told_of = {name: await told(server, name) for name in where}
    assert all(where.values())
    assert {name: found.node for name, found in told_of.items()} == where
    assert all(found.scores[0].node == found.node for found in told_of.values() if found.scores)
