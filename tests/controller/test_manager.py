"""Controllers over the real server: what a reconciler can rely on."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from orchestra.api.core import ConfigMap, Pod, Secret
from orchestra.api.object import ObjectMeta
from orchestra.api.rules.owners import owner_reference
from orchestra.apiserver import APIServer
from orchestra.controller import Context, Controller, Key, Listers, Manager, Result, Surroundings, controller
from orchestra.errors import ConfigurationError, Conflict
from orchestra.testing import VirtualClock

pytestmark = pytest.mark.virtual_time


def config(name: str, namespace: str = "default", **data: str) -> ConfigMap:
    return ConfigMap(metadata=ObjectMeta(name=name, namespace=namespace), data=data)


def secret(name: str, owner: ConfigMap) -> Secret:
    return Secret(metadata=ObjectMeta(name=name, namespace="default", owner_references=(owner_reference(owner),)))


@asynccontextmanager
async def managing(server: APIServer, *controllers: Any) -> AsyncIterator[Manager]:
    manager = Manager(server, clock=VirtualClock(), controllers=controllers)
    async with anyio.create_task_group() as tasks:
        await tasks.start(manager.run)
        yield manager
        tasks.cancel_scope.cancel()


async def until(true: Callable[[], bool], seconds: float = 60.0) -> None:
    with anyio.fail_after(seconds):
        while not true():
            await anyio.sleep(0.01)


async def test_what_exists_and_what_changes_is_reconciled(server: APIServer) -> None:
    seen: list[tuple[str, str]] = []

    @controller(for_=ConfigMap)
    async def watcher(obj: ConfigMap, ctx: Context) -> Result | None:
        seen.append((obj.metadata.name, obj.data.get("v", "")))
        return None

    await server.create(config("a", v="1"))
    async with managing(server, watcher):
        await until(lambda: ("a", "1") in seen)
        await server.update(config("a", v="2"))
        await until(lambda: ("a", "2") in seen)
        await server.create(config("b"))
        await until(lambda: ("b", "") in seen)


async def test_a_reconciler_that_can_is_told_of_deletions(server: APIServer) -> None:
    class Mirror:
        gone: list[Key] = []  # noqa: RUF012 - one instance

        async def reconcile(self, obj: ConfigMap, ctx: Context) -> Result | None:
            return None

        async def deleted(self, key: Key, ctx: Context) -> Result | None:
            self.gone.append(key)
            return None

    mirror = Mirror()
    await server.create(config("a"))
    async with managing(server, Controller(name="mirror", for_=ConfigMap, reconcile=mirror)):
        await server.delete(ConfigMap, "a")
        await until(lambda: Key("default", "a") in mirror.gone)


async def test_an_owned_object_leads_to_its_owner(server: APIServer) -> None:
    counts: list[int] = []

    @controller(for_=ConfigMap, owns=(Secret,))
    async def children(obj: ConfigMap, ctx: Context) -> Result | None:
        counts.append(len(ctx.lister(Secret).by_index("owner", obj.metadata.uid)))
        return None

    owner = await server.create(config("a"))
    async with managing(server, children):
        await until(lambda: counts == [0])
        await server.create(secret("s", owner))
        await until(lambda: counts[-1] == 1)
        await server.delete(Secret, "s")
        await until(lambda: counts[-1] == 0)


async def test_a_watched_object_leads_where_its_function_says(server: APIServer) -> None:
    seen: list[str] = []

    def users(obj: Secret, listers: Listers) -> list[tuple[str, str]]:
        return [(c.metadata.namespace, c.metadata.name) for c in listers.lister(ConfigMap).list(obj.metadata.namespace)]

    @controller(for_=ConfigMap, watches={Secret: users})
    async def reconcile(obj: ConfigMap, ctx: Context) -> Result | None:
        seen.append(obj.metadata.name)
        return None

    await server.create(config("a"))
    async with managing(server, reconcile):
        await until(lambda: seen == ["a"])
        await server.create(Secret(metadata=ObjectMeta(name="s", namespace="default")))
        await until(lambda: seen == ["a", "a"])


async def test_a_reconciler_sees_its_own_writes_the_next_time(server: APIServer) -> None:
    """Creating a child whenever none is cached must create one, although its creation wakes the owner at once."""
    cached: list[int] = []

    @controller(for_=ConfigMap, owns=(Secret,))
    async def one_child(obj: ConfigMap, ctx: Context) -> Result | None:
        children = ctx.lister(Secret).by_index("owner", obj.metadata.uid)
        cached.append(len(children))
        if not children:
            meta = ObjectMeta(generate_name="s-", namespace="default", owner_references=(owner_reference(obj),))
            await ctx.client.create(Secret(metadata=meta))
        return ctx.requeue(after=0.0) if len(cached) < 5 else None

    await server.create(config("a"))
    async with managing(server, one_child):
        await until(lambda: len(cached) >= 5)
        assert cached == [0, 1, 1, 1, 1]
        assert len((await server.list(Secret)).items) == 1


async def test_an_error_is_tried_again_later_and_later_and_shows_in_health(server: APIServer) -> None:
    times: list[float] = []

    @controller(for_=ConfigMap)
    async def broken(obj: ConfigMap, ctx: Context) -> Result | None:
        times.append(ctx.clock.monotonic())
        raise ValueError("no way")

    await server.create(config("a"))
    async with managing(server, broken) as manager:
        await until(lambda: len(times) == 8)
        gaps = [after - before for before, after in itertools.pairwise(times)]
        assert gaps == pytest.approx([0.005 * 2**n for n in range(7)])
        problem = next(health.problem for health in manager.health() if "no way" in health.problem)
        assert problem.startswith("default/a failed")
        assert manager.runners["configmap"].counters.errors == 8


async def test_a_conflict_is_no_error(server: APIServer) -> None:
    attempts: list[int] = []

    @controller(for_=ConfigMap)
    async def once(obj: ConfigMap, ctx: Context) -> Result | None:
        attempts.append(1)
        if len(attempts) == 1:
            raise Conflict("too late")
        return None

    await server.create(config("a"))
    async with managing(server, once) as manager:
        await until(lambda: len(attempts) == 2)
        counters = manager.runners["configmap"].counters
        assert (counters.conflicts, counters.errors) == (1, 0)


async def test_requeue_after_comes_after_that_time(server: APIServer) -> None:
    times: list[float] = []

    @controller(for_=ConfigMap)
    async def timer(obj: ConfigMap, ctx: Context) -> Result | None:
        times.append(ctx.clock.monotonic())
        return ctx.requeue(after=3600)

    await server.create(config("a"))
    async with managing(server, timer):
        await anyio.sleep(7300)
    assert [time - times[0] for time in times] == pytest.approx([0, 3600, 7200], abs=0.1)


async def test_a_key_is_never_reconciled_twice_at_once(server: APIServer) -> None:
    running = 0
    highest = 0
    runs = 0

    @controller(for_=ConfigMap, workers=8)
    async def slow(obj: ConfigMap, ctx: Context) -> Result | None:
        nonlocal running, highest, runs
        running, runs = running + 1, runs + 1
        highest = max(highest, running)
        await anyio.sleep(1)
        running -= 1
        return None

    await server.create(config("a"))
    async with managing(server, slow):
        for number in range(20):
            await server.update(config("a", v=str(number)))
            await anyio.sleep(0.3)
        await until(lambda: running == 0)
    assert highest == 1
    assert 5 <= runs <= 9


async def test_a_kind_that_was_not_declared_cannot_be_read(server: APIServer) -> None:
    errors: list[Exception] = []

    @controller(for_=ConfigMap)
    async def curious(obj: ConfigMap, ctx: Context) -> Result | None:
        try:
            ctx.lister(Pod)
        except ConfigurationError as error:
            errors.append(error)
        return None

    await server.create(config("a"))
    async with managing(server, curious):
        await until(lambda: bool(errors))
    assert "does not declare that it reads Pod" in str(errors[0])


async def test_apply_makes_the_child_owned(server: APIServer) -> None:
    @controller(for_=ConfigMap, owns=(Secret,))
    async def maker(obj: ConfigMap, ctx: Context) -> Result | None:
        await ctx.apply(Secret(metadata=ObjectMeta(name=f"{obj.metadata.name}-secret")))
        return None

    owner = await server.create(config("a"))
    async with managing(server, maker) as manager:
        informer = manager.informer(Secret)
        await until(lambda: informer.lister.get("default", "a-secret") is not None)
        await until(lambda: manager.idle)
    child = await server.get(Secret, "a-secret")
    assert child.metadata.owner_references == (owner_reference(owner),)
    assert child.metadata.managed_fields[0].manager == "configmap-controller"


async def test_a_crashed_part_is_started_again_and_reported(server: APIServer) -> None:
    class Fragile:
        name = "fragile"
        starts = 0

        async def run(self, surroundings: Surroundings, *, task_status: Any) -> None:
            self.starts += 1
            task_status.started()
            if self.starts < 3:
                raise RuntimeError("gave way")
            await anyio.Event().wait()

    part = Fragile()
    async with managing(server, part) as manager:

        def problem() -> str:
            return next(health.problem for health in manager.health() if health.part == "fragile")

        await until(lambda: problem() == "crashed 2 times in a row: RuntimeError: gave way")
        await until(lambda: part.starts == 3)
        assert problem() == ""


async def test_a_mapping_function_that_fails_restarts_only_its_controller(server: APIServer) -> None:
    calls: list[str] = []
    seen: list[str] = []

    def users(obj: Secret, listers: Listers) -> list[tuple[str, str]]:
        calls.append(obj.metadata.name)
        if len(calls) == 1:
            raise ValueError("bad mapping")
        return [("default", "a")]

    @controller(for_=ConfigMap, watches={Secret: users})
    async def reconcile(obj: ConfigMap, ctx: Context) -> Result | None:
        seen.append(obj.metadata.name)
        return None

    await server.create(config("a"))
    async with managing(server, reconcile):
        await until(lambda: seen == ["a"])
        await server.create(Secret(metadata=ObjectMeta(name="s", namespace="default")))
        await until(lambda: len(seen) >= 2)
    assert calls == ["s", "s"]


async def test_a_reconcile_under_way_ends_before_the_manager_does(server: APIServer) -> None:
    finished: list[bool] = []
    began = anyio.Event()

    @controller(for_=ConfigMap)
    async def slow(obj: ConfigMap, ctx: Context) -> Result | None:
        began.set()
        await anyio.sleep(1.0)
        finished.append(True)
        return None

    await server.create(config("a"))
    async with managing(server, slow):
        await began.wait()
    assert finished == [True]


async def test_two_controllers_of_one_name_are_refused(server: APIServer) -> None:
    @controller(for_=ConfigMap)
    async def reconcile(obj: ConfigMap, ctx: Context) -> Result | None:
        return None

    with pytest.raises(ConfigurationError, match="configmap"):
        Manager(server, clock=VirtualClock(), controllers=(reconcile, reconcile))
