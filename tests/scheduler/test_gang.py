"""Gangs: all Pods of a PodGroup or none, without two of them blocking each other."""

from __future__ import annotations

from random import Random
from typing import Any

import anyio
import attrs
import pytest

from orchestra.api.builders import meta, node, pod
from orchestra.api.core.pod import Pod, PodSchedulingGroup
from orchestra.api.rules.conditions import condition
from orchestra.api.scheduling import (
    BasicSchedulingPolicy,
    GangSchedulingPolicy,
    PodGroup,
    PodGroupSchedulingPolicy,
    PodGroupSpec,
)
from orchestra.apiserver import APIServer
from orchestra.client.interface import DeleteOptions
from orchestra.errors import ServiceUnavailable
from orchestra.scheduler import Profile, Scheduler, Status, Verdict
from orchestra.scheduler.cycle import Cycle
from orchestra.scheduler.grouping import place_group
from orchestra.scheduler.interface import CycleState, Plugin
from orchestra.scheduler.nodetable import NodeTable
from orchestra.scheduler.podinfo import PodInfo
from tests.scheduler.driving import Faulty, create, nodes_of, priority_class, scheduling

pytestmark = [pytest.mark.anyio, pytest.mark.virtual_time]


def group(name: str, minimum: int) -> PodGroup:
    policy = (
        PodGroupSchedulingPolicy(gang=GangSchedulingPolicy(min_count=minimum))
        if minimum
        else PodGroupSchedulingPolicy(basic=BasicSchedulingPolicy())
    )
    return PodGroup(metadata=meta(name), spec=PodGroupSpec(scheduling_policy=policy))


def member(name: str, of: str, **spec: Any) -> Pod:
    return pod(name, **{"cpu": 1, **spec}, scheduling_group=PodSchedulingGroup(pod_group_name=of))


def members(of: str, count: int, **spec: Any) -> list[Pod]:
    return [member(f"{of}{number}", of, **spec) for number in range(count)]


async def placed(server: APIServer, of: str) -> int:
    return sum(bool(where) for name, where in (await nodes_of(server)).items() if name.startswith(of))


async def message(server: APIServer, name: str) -> str:
    found = condition(await server.get(Pod, name), "PodScheduled")
    return "" if found is None else found.message


async def test_all_pods_of_a_gang_are_bound_when_they_fit(server: APIServer) -> None:
    await create(server, node("a", cpu=2), node("b", cpu=2), group("g", 4), *members("g", 4))
    async with scheduling(server):
        await anyio.sleep(1)
    assert await placed(server, "g") == 4


async def test_none_is_bound_when_one_does_not_fit_and_all_are_when_there_is_room(server: APIServer) -> None:
    await create(server, node("a", cpu=3), group("g", 4), *members("g", 4))
    async with scheduling(server):
        await anyio.sleep(60)
        assert await placed(server, "g") == 0
        told = await message(server, "g0")
        assert told.startswith("3 of the 4 Pods that its group needs have room: 0/1 nodes are available")
        await create(server, node("b", cpu=1))
        await anyio.sleep(11)
        assert await placed(server, "g") == 4


async def test_a_gang_that_waits_holds_no_room(server: APIServer) -> None:
    await create(server, node("a", cpu=3), group("g", 4), *members("g", 4))
    async with scheduling(server):
        await anyio.sleep(5)
        await create(server, *(pod(f"p{i}", cpu=1) for i in range(3)))
        await anyio.sleep(1)
        assert await placed(server, "p") == 3


async def test_members_wait_for_their_group_and_for_each_other(server: APIServer) -> None:
    await create(server, node("a", cpu=8), member("g0", "g"))
    async with scheduling(server):
        await anyio.sleep(1)
        assert await placed(server, "g") == 0
        await create(server, group("g", 3))
        await anyio.sleep(1)
        await create(server, member("g1", "g"))
        await anyio.sleep(1)
        assert await placed(server, "g") == 0
        await create(server, member("g2", "g"))
        await anyio.sleep(1)
        assert await placed(server, "g") == 3
        await create(server, member("g3", "g"))
        await anyio.sleep(1)
        assert await placed(server, "g") == 4


async def test_more_than_the_minimum_are_bound_as_far_as_they_fit(server: APIServer) -> None:
    await create(server, node("a", cpu=3), group("g", 2), *members("g", 5))
    async with scheduling(server):
        await anyio.sleep(30)
        assert await placed(server, "g") == 3


async def test_pods_of_a_basic_group_are_on_their_own(server: APIServer) -> None:
    await create(server, node("a", cpu=1), group("g", 0), *members("g", 3))
    async with scheduling(server):
        await anyio.sleep(5)
        assert await placed(server, "g") == 1


async def test_two_gangs_that_fit_only_one_after_the_other_do_not_block_each_other(server: APIServer) -> None:
    await create(server, node("a", cpu=2), node("b", cpu=2), group("x", 3), group("y", 3))
    async with scheduling(server):
        mixed = [pod for pair in zip(members("x", 3), members("y", 3), strict=True) for pod in pair]
        await create(server, *mixed)
        await anyio.sleep(2)
        first, second = ("x", "y") if await placed(server, "x") else ("y", "x")
        assert (await placed(server, first), await placed(server, second)) == (3, 0)
        for number in range(3):
            await server.delete(Pod, f"{first}{number}", options=DeleteOptions(grace_period_seconds=0))
        await anyio.sleep(15)
        assert await placed(server, second) == 3


async def test_a_gang_evicts_for_all_its_members_or_for_none(server: APIServer) -> None:
    await create(server, priority_class(1), priority_class(9))
    await create(server, node("a", cpu=2), node("b", cpu=2), *(pod(f"low{i}", cpu=1) for i in range(4)))
    await create(server, pod("high", cpu=1, priority_class_name="p9", node="b"))
    async with scheduling(server):
        await anyio.sleep(1)
        assert await placed(server, "low") == 3
        await create(server, group("g", 4), *members("g", 4, priority_class_name="p1"))
        await anyio.sleep(20)
        pods = (await server.list(Pod)).items
        assert [p.metadata.name for p in pods if p.metadata.deletion_timestamp is not None] == []
        await create(server, group("s", 3), *members("s", 3, priority_class_name="p1"))
        await anyio.sleep(2)
        pods = (await server.list(Pod)).items
        doomed = [p.metadata.name for p in pods if p.metadata.deletion_timestamp is not None]
        assert len(doomed) == 3
        assert await placed(server, "s") == 0
        for name in doomed:
            await server.delete(Pod, name, options=DeleteOptions(grace_period_seconds=0))
        await anyio.sleep(15)
        assert await placed(server, "s") == 3


async def test_members_keep_their_room_while_the_last_victim_is_on_its_way_out(server: APIServer) -> None:
    await create(server, priority_class(1))
    await create(server, node("a", cpu=1), node("b", cpu=1), pod("low0", cpu=1), pod("low1", cpu=1))
    async with scheduling(server):
        await anyio.sleep(1)
        await create(server, group("s", 2), *members("s", 2, priority_class_name="p1"))
        await anyio.sleep(1)
        await create(server, pod("thief", cpu=1))
        await server.delete(Pod, "low0", options=DeleteOptions(grace_period_seconds=0))
        await anyio.sleep(20)
        assert (await nodes_of(server))["thief"] == ""
        await server.delete(Pod, "low1", options=DeleteOptions(grace_period_seconds=0))
        await anyio.sleep(15)
        assert await placed(server, "s") == 2
        assert (await nodes_of(server))["thief"] == ""


async def test_a_member_that_comes_to_a_gang_that_runs_evicts_for_itself(server: APIServer) -> None:
    await create(server, priority_class(1), node("a", cpu=3), group("s", 2), *members("s", 2, priority_class_name="p1"))
    async with scheduling(server):
        await anyio.sleep(1)
        await create(server, pod("low", cpu=1))
        await anyio.sleep(1)
        await create(server, member("s2", "s", priority_class_name="p1"))
        await anyio.sleep(1)
        assert (await server.get(Pod, "low")).metadata.deletion_timestamp is not None
        await server.delete(Pod, "low", options=DeleteOptions(grace_period_seconds=0))
        await anyio.sleep(15)
        assert await placed(server, "s") == 3


class Chaperon(Plugin):
    """Lets no member go before it is told to, and not for longer than ten seconds."""

    name = "Chaperon"

    def permit(self, _state: CycleState, _pod: PodInfo, _node: str) -> Status:
        return Status(Verdict.WAIT, ("wait",), wait_seconds=10.0)


async def test_a_gang_goes_when_the_last_of_it_is_permitted_and_gives_all_its_room_back_when_one_is_denied(
    server: APIServer,
) -> None:
    await create(server, node("a", cpu=3), group("x", 3), *members("x", 3))
    scheduler = Scheduler((Profile().with_plugins(Chaperon()),))
    async with scheduling(server, scheduler):
        await anyio.sleep(1)
        one, other, last = (each.uid for each in scheduler.waiting_pods())
        assert scheduler.approve(one)
        assert scheduler.approve(other, "Chaperon")
        assert not scheduler.approve(other, "Chaperon")
        await anyio.sleep(1)
        assert await placed(server, "x") == 0
        assert scheduler.deny(last, "Chaperon", "not you")
        await anyio.sleep(0.5)
        assert scheduler.waiting_pods() == ()
        await anyio.sleep(3)
        assert len(scheduler.waiting_pods()) == 3
        for each in scheduler.waiting_pods():
            scheduler.approve(each.uid)
        await anyio.sleep(1)
        assert await placed(server, "x") == 3


async def test_the_room_of_a_gang_that_is_not_permitted_in_time_is_released(server: APIServer) -> None:
    await create(server, node("a", cpu=3), group("x", 3), *members("x", 3))
    async with scheduling(server, Scheduler((Profile().with_plugins(Chaperon()), Profile("other")))):
        await anyio.sleep(5)
        await create(server, pod("p", cpu=1, scheduler_name="other"))
        await anyio.sleep(1)
        assert await placed(server, "p") == 0
        await anyio.sleep(20)
        assert await placed(server, "p") == 1
        assert await placed(server, "x") == 0


async def test_a_binding_that_fails_for_a_while_leaves_no_half_gang(server: APIServer) -> None:
    await create(server, node("a", cpu=4), group("x", 4), *members("x", 4), group("y", 4), *members("y", 4))
    calls = 0

    async def bind(name: str, target: str, **more: Any) -> int:
        nonlocal calls
        calls += 1
        if calls % 3:
            raise ServiceUnavailable("try later")
        return await server.bind(name, target, **more)

    async with scheduling(server, client=Faulty(server, bind)):
        await anyio.sleep(60)
        assert sorted((await placed(server, "x"), await placed(server, "y"))) == [0, 4]


@pytest.mark.parametrize("seed", range(12))
async def test_gangs_of_any_size_all_run_in_the_end_and_never_in_part(server: APIServer, seed: int) -> None:
    chance = Random(seed)
    sizes = {f"g{letter}": chance.randint(1, 5) for letter in "abcdef"}
    await create(server, *(node(f"n{i}", cpu=chance.choice((1, 2, 3))) for i in range(3)), node("n3", cpu=2))
    everybody = [pod for name, size in sizes.items() for pod in members(name, size)]
    chance.shuffle(everybody)
    async with scheduling(server):
        waiting = {**sizes}
        for each in everybody:
            await create(server, each)
            if chance.random() < 0.3:
                await anyio.sleep(chance.random())
        await create(server, *(group(name, size) for name, size in sizes.items()))
        for _ in range(200):
            await anyio.sleep(1)
            where = await nodes_of(server)
            for name, size in list(waiting.items()):
                count = sum(bool(where.get(f"{name}{number}")) for number in range(size))
                assert count in (0, size)  # a gang of this test is bound within an instant, or not at all
                if count == size and chance.random() < 0.3:
                    for number in range(size):
                        options = DeleteOptions(grace_period_seconds=0)
                        await server.delete(Pod, f"{name}{number}", options=options)
                    del waiting[name]
            if not waiting:
                return
    pytest.fail(f"still waiting: {waiting}")


def test_a_group_that_does_not_fit_leaves_the_table_as_it_was() -> None:
    for seed in range(30):
        chance = Random(seed)
        table = NodeTable()
        for number in range(4):
            table.set_node(node(f"n{number}", cpu=2))
        for number in range(6):
            running = pod(f"r{number}", cpu=1, priority=chance.choice((0, 5)))
            running = attrs.evolve(running, metadata=attrs.evolve(running.metadata, uid=f"r{number}"))
            table.set_pod(PodInfo(running), f"n{chance.randrange(4)}")
        before = {uid: (info, row.name) for uid, (info, row) in table.placed.items()}
        used = table.requested[table.resource_id("cpu")].copy()
        wanted = [
            PodInfo(attrs.evolve(each, metadata=attrs.evolve(each.metadata, uid=each.metadata.name)))
            for each in members("g", 7, priority=3)
        ]
        outcome = place_group(Cycle(Profile(), table, chance), wanted, missing=7)
        if not outcome.placed:
            assert {uid: (info, row.name) for uid, (info, row) in table.placed.items()} == before
            assert (table.requested[table.resource_id("cpu")] == used).all()
            assert not table.assumed


def crowded_table(*nodes: Any) -> NodeTable:
    """Return a table whose nodes, of 4 cpus, are full of one unimportant Pod each."""
    table = NodeTable()
    for name in nodes:
        table.set_node(node(name, cpu=4))
        table.set_pod(PodInfo(pod(f"on-{name}", cpu=4, priority=0)), name)
    return table


async def test_nobody_is_placed_into_room_that_is_free_in_thought_alone() -> None:
    table = crowded_table("a")
    wanted = [PodInfo(each) for each in members("g", 3, priority=10)]
    # The first one evicts in thought, which leaves room for the two others: enough of them, but not on the table.
    outcome = place_group(Cycle(Profile(), table, Random(1)), wanted, missing=2)
    assert not outcome.placed
    assert {each.pod.uid for each in outcome.nominations} == {each.uid for each in wanted}
    assert [v.pod.metadata.name for each in outcome.nominations for v in each.victims] == ["on-a"]
    assert list(table.placed) == [PodInfo(pod("on-a")).uid]


async def test_a_group_that_has_room_enough_without_evictions_takes_it() -> None:
    table = crowded_table("a")
    table.set_node(node("b", cpu=2))
    wanted = [PodInfo(each) for each in (*members("large", 1, cpu=3, priority=10), *members("g", 2, priority=10))]
    outcome = place_group(Cycle(Profile(), table, Random(1)), wanted, missing=2)
    assert [each.node for each in outcome.placed] == ["b", "b"]
    assert not outcome.nominations
    assert table.requested[table.resource_id("cpu")][: table.size].tolist() == [4000, 2000]
