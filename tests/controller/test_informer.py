"""Informers over the real server: shared, complete, and back after trouble."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from orchestra.api.core import ConfigMap, Container, Pod, PodSpec, Secret
from orchestra.api.object import ObjectMeta
from orchestra.apiserver import APIServer
from orchestra.client.interface import WatchEvent
from orchestra.controller import Change, SharedInformers
from orchestra.errors import Expired, ServiceUnavailable
from orchestra.store.memory import MemoryStore
from orchestra.testing import VirtualClock

pytestmark = pytest.mark.virtual_time


def config(name: str, **data: str) -> ConfigMap:
    return ConfigMap(metadata=ObjectMeta(name=name, namespace="default"), data=data)


@asynccontextmanager
async def running(client: Any) -> AsyncIterator[SharedInformers]:
    informers = SharedInformers(client, clock=VirtualClock())
    async with anyio.create_task_group() as tasks:
        await tasks.start(informers.run)
        yield informers
        tasks.cancel_scope.cancel()


class Trouble:
    """The server, but its watches can be made to fail or to fall silent."""

    def __init__(self, server: APIServer) -> None:
        self._server = server
        self.lists = 0
        self.watches = 0
        self.error: Exception | None = None
        self.silent = False
        self.refuse = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._server, name)

    async def list(self, kind: Any, **selection: Any) -> Any:
        self.lists += 1
        return await self._server.list(kind, **selection)

    @asynccontextmanager
    async def watch(self, kind: Any, **selection: Any) -> AsyncIterator[Any]:
        self.watches += 1
        if self.refuse:
            self.refuse -= 1
            raise ServiceUnavailable("not now")
        async with self._server.watch(kind, **selection) as watch:
            yield TroubledWatch(self, watch)


class TroubledWatch:
    def __init__(self, trouble: Trouble, watch: Any) -> None:
        self.trouble = trouble
        self.watch = watch

    async def next_batch(self) -> tuple[WatchEvent[Any], ...]:
        if self.trouble.silent:
            await anyio.sleep_forever()
        batch = await self.watch.next_batch()
        error, self.trouble.error = self.trouble.error, None
        if error is not None:
            raise error
        return batch

    async def request_progress(self) -> None:
        if not self.trouble.silent:
            await self.watch.request_progress()


async def test_one_informer_serves_all_who_ask_for_a_kind(server: APIServer) -> None:
    trouble = Trouble(server)
    async with running(trouble) as informers:
        first, second = informers.informer(ConfigMap), informers.informer(ConfigMap)
        assert first is second
        await first.wait_synced()
        assert trouble.lists == trouble.watches == 1
        assert informers.lister(ConfigMap) is first.lister


async def test_an_informer_shares_the_objects_of_the_server(server: APIServer) -> None:
    async with running(server) as informers:
        informer = informers.informer(ConfigMap)
        await informer.wait_synced()
        made = await server.create(config("a"))
        await informer.wait_revision(int(made.metadata.resource_version))
        assert informer.lister.get("default", "a") is made


async def test_a_subscriber_gets_what_is_there_and_then_every_change(server: APIServer) -> None:
    await server.create(config("a", v="1"))
    async with running(server) as informers:
        informer = informers.informer(ConfigMap)
        await informer.wait_synced()
        seen: list[Change[ConfigMap]] = []
        unsubscribe = informer.subscribe(seen.extend)
        await server.update(config("a", v="2"))
        await server.delete(ConfigMap, "a")
        await anyio.sleep(1)
        assert [(c.old and c.old.data["v"], c.new and c.new.data["v"]) for c in seen] == [
            (None, "1"),
            ("1", "2"),
            ("2", None),
        ]
        unsubscribe()
        await server.create(config("b"))
        await anyio.sleep(1)
        assert len(seen) == 3


async def test_a_selection_is_an_informer_of_its_own(server: APIServer) -> None:
    async with running(server) as informers:
        mine = informers.informer(Pod, field_selector="spec.nodeName=n1")
        await mine.wait_synced()
        for node in ("n1", "n2"):
            spec = PodSpec(containers=(Container(name="c", image="i"),), node_name=node)
            await server.create(Pod(metadata=ObjectMeta(name=f"on-{node}", namespace="default"), spec=spec))
        await anyio.sleep(1)
        assert [pod.metadata.name for pod in mine.lister.list()] == ["on-n1"]
        assert mine is not informers.informer(Pod)


async def test_a_quiet_kind_reaches_a_revision_that_others_made(server: APIServer) -> None:
    async with running(server) as informers:
        quiet = informers.informer(Secret)
        await quiet.wait_synced()
        made = await server.create(config("a"))
        with anyio.fail_after(2):
            await quiet.wait_revision(int(made.metadata.resource_version))


async def test_a_watch_that_fails_is_resumed_without_a_list(server: APIServer) -> None:
    trouble = Trouble(server)
    async with running(trouble) as informers:
        informer = informers.informer(ConfigMap)
        await informer.wait_synced()
        await anyio.sleep(1)
        trouble.error = ServiceUnavailable("gone")
        await server.create(config("lost-on-the-way"))
        await anyio.sleep(0.01)
        assert not informers.health()[0].ok
        await server.create(config("b"))
        await anyio.sleep(5)
        assert [obj.metadata.name for obj in informer.lister.list()] == ["lost-on-the-way", "b"]
        assert (trouble.lists, trouble.watches) == (1, 2)
        assert informers.health()[0].ok


async def test_lost_history_means_a_new_list_and_the_steps_in_between(server: APIServer) -> None:
    trouble = Trouble(server)
    await server.create(config("a"))
    async with running(trouble) as informers:
        informer = informers.informer(ConfigMap)
        await informer.wait_synced()
        await anyio.sleep(1)
        seen: list[Change[ConfigMap]] = []
        informer.subscribe(seen.extend)
        trouble.error = Expired("too slow")
        await server.delete(ConfigMap, "a")
        await server.create(config("b"))
        await anyio.sleep(5)
        assert trouble.lists == 2
        assert [(c.old and c.old.metadata.name, c.new and c.new.metadata.name) for c in seen] == [
            (None, "a"),
            ("a", None),
            (None, "b"),
        ]


async def test_a_server_that_has_begun_anew_is_listed_again() -> None:
    clock = VirtualClock()
    async with (
        MemoryStore(clock=clock) as old,
        MemoryStore(clock=clock) as new,
        APIServer(old, clock=clock) as before,
        APIServer(new, clock=clock) as after,
    ):
        for name in ("a", "b", "c"):
            await before.create(config(name))
        trouble = Trouble(before)
        async with running(trouble) as informers:
            informer = informers.informer(ConfigMap)
            await informer.wait_synced()
            trouble._server, trouble.error = after, ServiceUnavailable("restarting")
            await before.create(config("d"))
            await anyio.sleep(5)
            await after.create(config("e"))
            await anyio.sleep(120)
            assert informer.lister.get("default", "a") is None
            assert informer.lister.get("default", "e") is not None
            assert informers.health()[0].ok


async def test_a_watch_that_has_died_silently_is_replaced_in_bounded_time(server: APIServer) -> None:
    trouble = Trouble(server)
    async with running(trouble) as informers:
        informer = informers.informer(ConfigMap)
        await informer.wait_synced()
        await anyio.sleep(1)
        trouble.silent = True
        await server.create(config("woken"))  # the batch that is being waited for comes; then there is silence
        await anyio.sleep(1)
        await server.create(config("missed"))
        await anyio.sleep(60)
        assert informer.lister.get("default", "missed") is None
        trouble.silent = False
        await anyio.sleep(20)
        assert informer.lister.get("default", "missed") is not None
        assert trouble.lists == 1


async def test_a_server_that_refuses_is_tried_again_with_growing_pauses(server: APIServer) -> None:
    trouble = Trouble(server)
    trouble.refuse = 4
    async with running(trouble) as informers:
        informer = informers.informer(ConfigMap)
        await informer.wait_synced()
        await server.create(config("a"))
        await anyio.sleep(1.0)
        assert 2 <= trouble.watches <= 4
        await anyio.sleep(10)
        assert informer.lister.get("default", "a") is not None


async def test_an_idle_informer_sleeps(server: APIServer) -> None:
    async with running(server) as informers:
        informer = informers.informer(ConfigMap)
        await informer.wait_synced()
        await anyio.sleep(3600)
        assert informers.health()[0].ok
