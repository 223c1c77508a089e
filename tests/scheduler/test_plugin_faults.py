"""Plugins that raise, answer nonsense or hang: told by name, at the cost of one Pod's cycle, while all goes on."""

from __future__ import annotations

from typing import Any, ClassVar

import anyio
import numpy as np
import pytest

from orchestra.api.builders import node, pod
from orchestra.api.core.event import Event
from orchestra.api.core.pod import Pod
from orchestra.api.rules.conditions import condition
from orchestra.apiserver import APIServer
from orchestra.scheduler import Harness, Profile, Scheduler, Status, Verdict
from orchestra.scheduler.events import Action, ClusterEvent, EventHint, Resource
from orchestra.scheduler.interface import ByCode, CycleState, Plugin, Rejection, Rejections, unschedulable
from orchestra.scheduler.nodetable import NodeTable
from orchestra.scheduler.plugins.basics import PrioritySort
from orchestra.scheduler.podinfo import PodInfo
from orchestra.scheduler.view import Nodes
from tests.scheduler.driving import create, events_about, nodes_of, scheduling

pytestmark = [pytest.mark.anyio, pytest.mark.virtual_time]


class Picky(Plugin):
    """Base of plugins that do something wrong to Pods labelled `app: bad`."""

    name = "Picky"


def is_bad(info: PodInfo) -> bool:
    return info.labels.get("app") == "bad"


class RaisesInPreEnqueue(Picky):
    def pre_enqueue(self, info: PodInfo, _table: NodeTable) -> None:
        if is_bad(info):
            raise RuntimeError("boom")


class NonsenseInPreEnqueue(Picky):
    def pre_enqueue(self, info: PodInfo, _table: NodeTable) -> Any:
        return 7 if is_bad(info) else None


class RaisesInPreFilter(Picky):
    def pre_filter(self, _state: CycleState, info: PodInfo, _table: NodeTable) -> None:
        if is_bad(info):
            raise RuntimeError("boom")


class NonsenseInPreFilter(Picky):
    def pre_filter(self, _state: CycleState, info: PodInfo, _table: NodeTable) -> Any:
        return "yes" if is_bad(info) else None


class RaisesInFilter(Picky):
    def filter(self, _state: CycleState, info: PodInfo, nodes: Nodes) -> Any:
        if is_bad(info):
            raise KeyError("boom")
        return np.ones(nodes.count, dtype=np.bool_)


class WrongShapeInFilter(Picky):
    def filter(self, _state: CycleState, info: PodInfo, nodes: Nodes) -> Any:
        return np.ones(nodes.count + is_bad(info), dtype=np.bool_)


class WrongTypeInFilter(Picky):
    def filter(self, _state: CycleState, info: PodInfo, nodes: Nodes) -> Any:
        return np.full(nodes.count, np.nan) if is_bad(info) else np.ones(nodes.count, dtype=np.bool_)


class CodesThatAreNoNumbers(Picky):
    def filter(self, _state: CycleState, info: PodInfo, nodes: Nodes) -> Any:
        codes: Any = [None] * nodes.count if is_bad(info) else np.zeros(nodes.count, dtype=np.int64)
        return Rejections(codes, ByCode((Rejection(("no",)),)))


class RaisesInScore(Picky):
    def score(self, _state: CycleState, info: PodInfo, nodes: Nodes) -> Any:
        if is_bad(info):
            raise ZeroDivisionError("boom")
        return np.zeros(nodes.count, dtype=np.int64)


class NaNInScore(Picky):
    def score(self, _state: CycleState, info: PodInfo, nodes: Nodes) -> Any:
        return np.full(nodes.count, np.nan) if is_bad(info) else np.zeros(nodes.count, dtype=np.int64)


class WrongShapeInScore(Picky):
    def score(self, _state: CycleState, info: PodInfo, nodes: Nodes) -> Any:
        return np.zeros((nodes.count, 1 + is_bad(info)), dtype=np.int64)[:, 0] if not is_bad(info) else np.zeros((1, 9))


class WrongShapeInNormalize(Picky):
    def score(self, _state: CycleState, _info: PodInfo, nodes: Nodes) -> Any:
        return np.zeros(nodes.count, dtype=np.int64)

    def normalize(self, _state: CycleState, info: PodInfo, scores: Any, _rows: Any) -> Any:
        return scores[:-1] if is_bad(info) else scores


class ScoresBeyondTheScale(Picky):
    def score(self, _state: CycleState, info: PodInfo, nodes: Nodes) -> Any:
        return np.full(nodes.count, 101 if is_bad(info) else 100, dtype=np.int64)


class UnhashableShape(Picky):
    def filter(self, _state: CycleState, _info: PodInfo, nodes: Nodes) -> Any:
        return np.ones(nodes.count, dtype=np.bool_)

    def shape_key(self, info: PodInfo) -> Any:
        return [] if is_bad(info) else None


class RaisesInReserve(Picky):
    def reserve(self, _state: CycleState, info: PodInfo, _node: str) -> None:
        if is_bad(info):
            raise RuntimeError("boom")

    def unreserve(self, _state: CycleState, info: PodInfo, _node: str) -> None:
        if is_bad(info):
            raise RuntimeError("again")


class NonsenseInReserve(Picky):
    def reserve(self, _state: CycleState, info: PodInfo, _node: str) -> Any:
        return "no" if is_bad(info) else None

    def unreserve(self, _state: CycleState, _info: PodInfo, _node: str) -> None:
        return None


class RaisesInPermit(Picky):
    def permit(self, _state: CycleState, info: PodInfo, _node: str) -> None:
        if is_bad(info):
            raise RuntimeError("boom")


class NonsenseInPermit(Picky):
    def permit(self, _state: CycleState, info: PodInfo, _node: str) -> Any:
        return "no" if is_bad(info) else None


class RaisesInPreBind(Picky):
    async def pre_bind(self, _client: Any, info: PodInfo, _node: str) -> None:
        if is_bad(info):
            raise RuntimeError("boom")


class HangsInPreBind(Picky):
    async def pre_bind(self, _client: Any, info: PodInfo, _node: str) -> None:
        if is_bad(info):
            await anyio.sleep(10_000)


class RaisesInBind(Picky):
    async def bind(self, _client: Any, info: PodInfo, _node: str) -> Status:
        if is_bad(info):
            raise RuntimeError("boom")
        return Status(Verdict.SKIP)


class HangsInBind(Picky):
    async def bind(self, _client: Any, info: PodInfo, _node: str) -> Status:
        if is_bad(info):
            await anyio.sleep(10_000)
        return Status(Verdict.SKIP)


class NonsenseInBind(Picky):
    async def bind(self, _client: Any, info: PodInfo, _node: str) -> Any:
        return 7 if is_bad(info) else Status(Verdict.SKIP)


FAULTY: list[type[Picky]] = [
    RaisesInPreEnqueue,
    NonsenseInPreEnqueue,
    RaisesInPreFilter,
    NonsenseInPreFilter,
    RaisesInFilter,
    WrongShapeInFilter,
    WrongTypeInFilter,
    CodesThatAreNoNumbers,
    RaisesInScore,
    NaNInScore,
    WrongShapeInScore,
    WrongShapeInNormalize,
    ScoresBeyondTheScale,
    UnhashableShape,
    RaisesInReserve,
    NonsenseInReserve,
    RaisesInPermit,
    NonsenseInPermit,
    RaisesInPreBind,
    HangsInPreBind,
    RaisesInBind,
    HangsInBind,
    NonsenseInBind,
]


def with_plugin(*plugins: Plugin) -> Profile:
    """Return the default profile with plugins in front, so that binders come before the one that binds."""
    usual = Profile()
    return Profile(plugins=(*plugins, *usual.plugins))


@pytest.mark.parametrize("plugin", FAULTY)
async def test_a_fault_is_reported_by_name_and_costs_its_pod_alone(server: APIServer, plugin: type[Picky]) -> None:
    await create(server, node("a"), node("b"), pod("bad", labels={"app": "bad"}), pod("good"))
    async with scheduling(server, Scheduler((with_plugin(plugin()),), plugin_seconds=5.0)):
        await anyio.sleep(8)
        await create(server, pod("late"))
        await anyio.sleep(1)
        found = condition(await server.get(Pod, "bad"), "PodScheduled")
        where = await nodes_of(server)
    assert where["good"]
    assert where["late"]
    assert where["bad"] == ""
    assert found.reason == "SchedulerError"
    assert "Picky" in found.message


async def test_a_pod_is_bound_when_its_plugin_recovers(server: APIServer) -> None:
    class Recovers(Picky):
        tries: ClassVar[int] = 0

        async def pre_bind(self, _client: Any, _info: PodInfo, _node: str) -> None:
            Recovers.tries += 1
            if Recovers.tries < 3:
                raise RuntimeError("not yet")

    await create(server, node("a"), pod("p"))
    async with scheduling(server, Scheduler((with_plugin(Recovers()),))):
        await anyio.sleep(10)
        assert await nodes_of(server) == {"p": "a"}


async def test_a_fault_after_binding_leaves_the_pod_bound(server: APIServer) -> None:
    class RaisesInPostBind(Picky):
        def post_bind(self, _info: PodInfo, _node: str) -> None:
            raise RuntimeError("boom")

    await create(server, node("a"), pod("p"))
    async with scheduling(server, Scheduler((with_plugin(RaisesInPostBind()),))):
        await anyio.sleep(5)
    assert await nodes_of(server) == {"p": "a"}
    told = dict(await events_about(server, "p"))
    assert "Picky" in told["SchedulerPluginFailed"]
    assert condition(await server.get(Pod, "p"), "PodScheduled").status == "True"


async def test_a_plugin_that_hangs_for_every_pod_of_its_profile_holds_up_no_other_profile(server: APIServer) -> None:
    class Hangs(Picky):
        async def pre_bind(self, _client: Any, _info: PodInfo, _node: str) -> None:
            await anyio.sleep(10_000)

    mine = Profile("mine", (Hangs(), *Profile().plugins))
    await create(server, node("a", cpu=100, pods=1000))
    async with scheduling(server, Scheduler((Profile(), mine), plugin_seconds=60.0)):
        await create(server, *(pod(f"stuck{i}", scheduler_name="mine") for i in range(300)))
        await anyio.sleep(1)
        await create(server, pod("free"))
        await anyio.sleep(1)
        where = await nodes_of(server)
    assert where.pop("free") == "a"
    assert set(where.values()) == {""}


async def test_a_queue_sort_that_raises_or_does_not_compare_puts_the_pod_behind_the_others(server: APIServer) -> None:
    class Odd(PrioritySort):
        name = "Odd"

        def sort_key(self, info: PodInfo, since_seconds: float) -> Any:
            if info.labels.get("app") == "odd":
                return object()
            if is_bad(info):
                raise RuntimeError("boom")
            return (0, since_seconds)

    chosen = Profile(plugins=tuple(Odd() if p.name == "PrioritySort" else p for p in Profile().plugins))
    await create(server, node("a"))
    await create(server, pod("odd", labels={"app": "odd"}), pod("bad", labels={"app": "bad"}), pod("good"))
    async with scheduling(server, Scheduler((chosen,))):
        await anyio.sleep(2)
    assert set((await nodes_of(server)).values()) == {"a"}
    told = [(e.involved_object.name, e.message) for e in (await server.list(Event)).items if "QueueSort" in e.message]
    assert ("bad", "plugin Odd failed in QueueSort: RuntimeError('boom')") in told


async def test_hints_that_raise_are_taken_for_a_yes(server: APIServer) -> None:
    class Wary(Picky):
        ready: ClassVar[bool] = False

        def pre_filter(self, _state: CycleState, _info: PodInfo, _table: NodeTable) -> Status | None:
            return None if Wary.ready else unschedulable("not ready")

        def events(self) -> tuple[EventHint, ...]:
            def helps(_pod: Any, _event: ClusterEvent) -> bool:
                raise RuntimeError("boom")

            return (EventHint(Resource.NODE, Action.ADD, helps),)

    await create(server, node("a"), pod("p"))
    async with scheduling(server, Scheduler((with_plugin(Wary()),), flush_seconds=1e6)):
        await anyio.sleep(20)
        Wary.ready = True
        await create(server, node("b"))
        await anyio.sleep(1)
        assert (await nodes_of(server))["p"]


class ReadOnlyCodes(Plugin):
    """Answers with an array that cannot be changed, as it stands for many equal ones."""

    name = "ReadOnlyCodes"
    node_local = True

    def filter(self, _state: CycleState, _info: PodInfo, nodes: Nodes) -> Any:
        return Rejections(np.broadcast_to(np.int64(0), (nodes.count,)), ByCode((Rejection(("no",)),)))


class ColumnAsScore(Plugin):
    """Answers with a column of the node table itself, and can rate single rows too."""

    name = "ColumnAsScore"
    node_local = True

    def score(self, _state: CycleState, _info: PodInfo, nodes: Nodes) -> Any:
        return nodes.pod_count

    def row_score(self, _state: CycleState, _info: PodInfo) -> Any:
        return lambda row: 2 * row.pod_count


@pytest.mark.parametrize("plugin", [ReadOnlyCodes(), ColumnAsScore()])
async def test_arrays_that_plugins_return_are_left_alone(plugin: Plugin) -> None:
    h = Harness(profile=Profile().with_plugins(plugin), nodes=[node(name, cpu=4) for name in "abc"])
    assert sorted(h.schedule(pod(f"p{number}", cpu=1)).node or "" for number in range(12)) == sorted("abc" * 4)
    assert h.evaluate(pod("p", cpu=1)).message.startswith("0/3 nodes are available: 3 Insufficient cpu.")
    assert h.table.pod_count[: h.table.size].tolist() == [4, 4, 4]
