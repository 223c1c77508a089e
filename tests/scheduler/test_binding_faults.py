"""Bindings that fail, are slow, lose their answer or race: a Pod is bound once, and no node gets more than it has."""

from __future__ import annotations

from random import Random
from typing import Any

import anyio
import attrs
import pytest

from orchestra.api.builders import node, pod
from orchestra.api.core.node import Node
from orchestra.api.core.pod import Pod
from orchestra.api.rules.conditions import condition
from orchestra.apiserver import APIServer
from orchestra.client.interface import DeleteOptions
from orchestra.errors import Conflict, Forbidden, ServiceUnavailable, Timeout
from orchestra.scheduler import Profile, Scheduler
from orchestra.scheduler.interface import Plugin
from orchestra.scheduler.podinfo import PodInfo
from tests.scheduler.driving import Faulty, create, events_about, nodes_of, scheduling

pytestmark = [pytest.mark.anyio, pytest.mark.virtual_time]

NOW = DeleteOptions(grace_period_seconds=0)


class Unreliable:
    """A client whose bind and get fail in every way there is; counts what was bound, and where."""

    def __init__(self, server: APIServer, chance: Random) -> None:
        self._server = server
        self._chance = chance
        self.bound: dict[str, list[str]] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._server, name)

    async def get(self, *arguments: Any, **more: Any) -> Any:
        if self._chance.random() < 0.4:
            raise ServiceUnavailable("not now")
        return await self._server.get(*arguments, **more)

    async def bind(self, name: str, target: str, **more: Any) -> int:
        how = self._chance.choice(("well", "slowly", "refused", "forbidden", "lost", "late", "never", "broken"))
        if how == "slowly":
            await anyio.sleep(self._chance.random() * 3)
        if how == "refused":
            raise Conflict("try another one")
        if how == "forbidden":
            raise Forbidden("not you")
        if how == "broken":
            raise ServiceUnavailable("before anything happened")
        if how == "never":
            await anyio.sleep(10_000)
        revision = await self._server.bind(name, target, **more)
        self.bound.setdefault(name, []).append(target)
        if how == "lost":
            raise Timeout("after it had happened")
        if how == "late":
            await anyio.sleep(10_000)
        return revision


async def overfull(server: APIServer) -> list[str]:
    """Return the nodes that have more Pods than they have cpus; every Pod here asks for one."""
    where = list((await nodes_of(server)).values())
    nodes = (await server.list(Node)).items
    return [n.metadata.name for n in nodes if where.count(n.metadata.name) > n.status.allocatable["cpu"].value()]


@pytest.mark.parametrize("seed", range(10))
async def test_no_fault_of_binding_binds_twice_or_overfills(server: APIServer, seed: int) -> None:
    chance = Random(seed)
    client = Unreliable(server, chance)
    await create(server, *(node(f"n{i}", cpu=3) for i in range(4)), *(pod(f"p{i}", cpu=1) for i in range(16)))
    async with scheduling(server, Scheduler(plugin_seconds=2.0), client=client):
        for _ in range(240):
            await anyio.sleep(1)
            assert await overfull(server) == []
        placed = await nodes_of(server)
    assert all(len(targets) == 1 for targets in client.bound.values())
    assert {name: targets[0] for name, targets in client.bound.items()} == {n: w for n, w in placed.items() if w}
    assert sum(bool(where) for where in placed.values()) == 12


async def test_room_stays_taken_until_it_is_known_that_the_binding_did_not_happen(server: APIServer) -> None:
    reachable = [True]

    class Gone(Faulty):
        async def get(self, *arguments: Any, **more: Any) -> Any:
            if not reachable[0]:
                raise ServiceUnavailable("nobody there")
            return await server.get(*arguments, **more)

    async def bind(name: str, target: str, **more: Any) -> int:
        if name == "first":
            reachable[0] = False
            raise Timeout("no answer")
        return await server.bind(name, target, **more)

    await create(server, node("a", cpu=1), pod("first", cpu=1))
    async with scheduling(server, client=Gone(server, bind)):
        await anyio.sleep(1)
        await create(server, pod("second", cpu=1))
        await anyio.sleep(300)
        assert await nodes_of(server) == {"first": "", "second": ""}
        reachable[0] = True
        await server.delete(Pod, "first", options=NOW)
        await anyio.sleep(35)
        assert await nodes_of(server) == {"second": "a"}


async def test_a_binding_that_happened_unseen_is_learnt_from_the_informer(server: APIServer) -> None:
    class Mute(Faulty):
        async def get(self, *_: Any, **__: Any) -> Any:
            raise ServiceUnavailable("nobody there")

    attempts = []

    async def bind(name: str, target: str, **more: Any) -> int:
        attempts.append(name)
        await server.bind(name, target, **more)
        raise Timeout("no answer")

    await create(server, node("a", cpu=1), pod("p", cpu=1))
    async with scheduling(server, client=Mute(server, bind)):
        await anyio.sleep(30)
    assert attempts == ["p"]
    assert "Successfully assigned default/p to a" in [text for _, text in await events_about(server, "p")]


async def test_somebody_else_binds_the_same_pod_first(server: APIServer) -> None:
    async def bind(name: str, target: str, **more: Any) -> int:
        await server.bind(name, "b" if target == "a" else "a", **more)
        return await server.bind(name, target, **more)

    await create(server, node("a", cpu=2), node("b", cpu=2), pod("p", cpu=1))
    async with scheduling(server, client=Faulty(server, bind)):
        await anyio.sleep(20)
        assert condition(await server.get(Pod, "p"), "PodScheduled").status == "True"
        assert [reason for reason, _ in await events_about(server, "p")] == []
    assert len(set((await nodes_of(server)).values())) == 1


class Slow(Plugin):
    """Takes five seconds before a Pod may be bound."""

    name = "Slow"

    async def pre_bind(self, _client: Any, _info: PodInfo, _node: str) -> None:
        await anyio.sleep(5)


SLOW = Profile().with_plugins(Slow())


async def test_room_that_others_fill_before_the_binding_is_not_bound_to(server: APIServer) -> None:
    await create(server, node("a", cpu=1), pod("p", cpu=1))
    async with scheduling(server, Scheduler((SLOW,))):
        await anyio.sleep(2)
        await create(server, pod("theirs", cpu=1, node="a"))
        await anyio.sleep(30)
        assert await nodes_of(server) == {"p": "", "theirs": "a"}
        await server.delete(Pod, "theirs", options=NOW)
        await anyio.sleep(40)
        assert await nodes_of(server) == {"p": "a"}


async def test_a_node_that_vanishes_before_the_binding_is_not_bound_to(server: APIServer) -> None:
    await create(server, node("a", cpu=1), pod("p", cpu=1))
    async with scheduling(server, Scheduler((SLOW,))):
        await anyio.sleep(2)
        await server.delete(Node, "a")
        await anyio.sleep(8)
        assert await nodes_of(server) == {"p": ""}
        await create(server, node("b", cpu=1))
        await anyio.sleep(40)
        assert await nodes_of(server) == {"p": "b"}


async def test_a_pod_that_is_deleted_while_it_is_being_bound_leaves_no_trace(server: APIServer) -> None:
    await create(server, node("a", cpu=1), pod("p", cpu=1))
    async with scheduling(server, Scheduler((SLOW,))):
        await anyio.sleep(2)
        await server.delete(Pod, "p", options=NOW)
        await create(server, pod("q", cpu=1))
        await anyio.sleep(30)
        assert await nodes_of(server) == {"q": "a"}


async def test_pods_of_another_scheduler_that_come_while_ours_wait_are_counted(server: APIServer) -> None:
    chance = Random(5)
    await create(server, *(node(f"n{i}", cpu=2) for i in range(5)))
    async with scheduling(server):
        for number in range(10):
            await create(server, pod(f"t{number}", cpu=1, scheduler_name="theirs"), pod(f"p{number}", cpu=1))
            await anyio.sleep(0.5)
            where = list((await nodes_of(server)).values())
            free = [f"n{i}" for i in range(5) if where.count(f"n{i}") < 2]
            if free:
                await server.bind(f"t{number}", chance.choice(free))
            await anyio.sleep(0.5)
            assert await overfull(server) == []
    where = list((await nodes_of(server)).values())
    assert sum(map(bool, where)) == 10


async def test_a_stop_in_the_middle_of_binding_is_orderly_and_the_next_run_goes_on(server: APIServer) -> None:
    scheduler = Scheduler((SLOW,))
    await create(server, node("a", cpu=8), *(pod(f"p{i}", cpu=1) for i in range(8)))
    async with scheduling(server, scheduler):
        await anyio.sleep(2)
    assert set((await nodes_of(server)).values()) == {""}
    assert scheduler.waiting_pods() == ()
    async with scheduling(server, scheduler):
        await anyio.sleep(8)
    assert set((await nodes_of(server)).values()) == {"a"}


async def test_a_pod_is_not_bound_to_a_node_that_shrank_meanwhile(server: APIServer) -> None:
    await create(server, node("a", cpu=4), pod("p", cpu=3))
    async with scheduling(server, Scheduler((SLOW,))):
        await anyio.sleep(2)
        found = await server.get(Node, "a")
        small = {**found.status.allocatable, "cpu": node("x", cpu=2).status.allocatable["cpu"]}
        await server.update(
            attrs.evolve(found, status=attrs.evolve(found.status, allocatable=small)), subresource="status"
        )
        await anyio.sleep(20)
        assert await nodes_of(server) == {"p": ""}
