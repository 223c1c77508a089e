"""The extension points in their order, on the driver."""

from __future__ import annotations

from typing import Any

import anyio
import attrs
import numpy as np
import pytest

from orchestra.api.builders import node, pod
from orchestra.api.core.pod import Pod
from orchestra.api.rules.conditions import condition
from orchestra.apiserver import APIServer
from orchestra.errors import ConfigurationError
from orchestra.scheduler import Profile, Scheduler, Status, Verdict
from orchestra.scheduler.events import EventHint
from orchestra.scheduler.interface import CycleState, Plugin, unschedulable
from orchestra.scheduler.nodetable import NodeTable
from orchestra.scheduler.plugins.basics import PrioritySort
from orchestra.scheduler.podinfo import PodInfo
from orchestra.scheduler.view import Nodes
from tests.scheduler.driving import create, scheduling

pytestmark = [pytest.mark.anyio, pytest.mark.virtual_time]


def with_plugin(*plugins: Plugin) -> Profile:
    """Return the default profile with plugins in front, so that binders come before the one that binds."""
    return Profile(plugins=(*plugins, *Profile().plugins))


async def test_what_is_reserved_is_given_back_in_reverse_order(server: APIServer) -> None:
    calls: list[str] = []

    class Keeps(Plugin):
        def __init__(self, name: str, refuses: bool = False) -> None:
            self.__dict__["name"] = name
            self.refuses = refuses

        def reserve(self, _state: CycleState, _info: PodInfo, _node: str) -> Status | None:
            calls.append(f"+{self.name}")
            return unschedulable("full") if self.refuses else None

        def unreserve(self, _state: CycleState, _info: PodInfo, _node: str) -> None:
            calls.append(f"-{self.name}")

        def events(self) -> tuple[EventHint, ...]:
            return ()

    await create(server, node("a"), pod("p"))
    async with scheduling(server, Scheduler((with_plugin(Keeps("one"), Keeps("two"), Keeps("three", True)),))):
        await anyio.sleep(1)
    assert calls == ["+one", "+two", "+three", "-three", "-two", "-one"]
    assert condition(await server.get(Pod, "p"), "PodScheduled").message == "full"


async def test_every_point_is_passed_in_its_order(server: APIServer) -> None:
    passed: list[str] = []

    class Witness(Plugin):
        name = "Witness"

        def pre_enqueue(self, _info: PodInfo, _table: NodeTable) -> None:
            passed.append("PreEnqueue")

        def pre_filter(self, _state: CycleState, _info: PodInfo, _table: NodeTable) -> None:
            passed.append("PreFilter")

        def filter(self, _state: CycleState, _info: PodInfo, nodes: Nodes) -> Any:
            passed.append("Filter")
            return np.ones(nodes.count, dtype=np.bool_)

        def pre_score(self, *_: Any) -> None:
            passed.append("PreScore")

        def score(self, _state: CycleState, _info: PodInfo, nodes: Nodes) -> Any:
            passed.append("Score")
            return np.zeros(nodes.count, dtype=np.int64)

        def normalize(self, _state: CycleState, _info: PodInfo, scores: Any, _rows: Any) -> Any:
            passed.append("NormalizeScore")
            return scores

        def reserve(self, *_: Any) -> None:
            passed.append("Reserve")

        def unreserve(self, *_: Any) -> None:
            passed.append("Unreserve")

        def permit(self, *_: Any) -> None:
            passed.append("Permit")

        async def pre_bind(self, *_: Any) -> None:
            passed.append("PreBind")

        async def bind(self, *_: Any) -> Status:
            passed.append("Bind")
            return Status(Verdict.SKIP)

        def post_bind(self, *_: Any) -> None:
            passed.append("PostBind")

    await create(server, node("a"), node("b"), pod("p"))
    async with scheduling(server, Scheduler((with_plugin(Witness()),))):
        await anyio.sleep(1)
    order = "PreEnqueue PreFilter Filter PreScore Score NormalizeScore Reserve Permit PreBind Bind PostBind"
    assert " ".join(passed) == order


def test_profiles_of_one_scheduler_sort_alike() -> None:
    class Other(PrioritySort):
        name = "Other"

    mine = Profile("mine", tuple(Other() if p.name == "PrioritySort" else p for p in Profile().plugins))
    with pytest.raises(ConfigurationError, match="same QueueSort"):
        Scheduler((Profile(), mine))


class WantsWord(Plugin):
    """Lets a Pod go once an annotation says so, before it is tried or when its nodes are filtered."""

    name = "WantsWord"

    def __init__(self, point: str) -> None:
        self.point = point

    def pre_enqueue(self, pod: PodInfo, _table: NodeTable) -> Status | None:
        return unschedulable("no word yet") if self.point == "enqueue" and not self._told(pod) else None

    def filter(self, _state: CycleState, pod: PodInfo, nodes: Nodes) -> Any:
        return np.full(nodes.count, self.point == "enqueue" or self._told(pod))

    def _told(self, pod: PodInfo) -> bool:
        return "go" in pod.pod.metadata.annotations


@pytest.mark.parametrize("point", ["enqueue", "filter"])
async def test_an_annotation_that_a_plugin_waits_for_is_noticed_at_once(server: APIServer, point: str) -> None:
    await create(server, node("a"), pod("p"))
    async with scheduling(server, Scheduler([with_plugin(WantsWord(point))])):
        await anyio.sleep(2)
        found = await server.get(Pod, "p")
        assert not found.spec.node_name
        meta = attrs.evolve(found.metadata, annotations={"go": "yes"})
        await server.update(attrs.evolve(found, metadata=meta))
        await anyio.sleep(1.5)
        assert (await server.get(Pod, "p")).spec.node_name == "a"
