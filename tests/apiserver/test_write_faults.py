"""Writes that slip past an authorizer, bugs that pass for the caller's, the store's errors and what the feed keeps."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest

from orchestra.api.core.config import ConfigMap, Secret
from orchestra.api.core.event import Event
from orchestra.api.core.reference import ObjectReference
from orchestra.apiserver import AdmissionRequest, APIServer, Attributes, User
from orchestra.apiserver.keys import kind_prefix
from orchestra.apiserver.watching import CacheWatch
from orchestra.client.interface import WriteOptions
from orchestra.errors import BadRequest, CommitFailed, Compacted, Expired, Forbidden, ServiceUnavailable, StoreClosed
from orchestra.store import WatchRequest
from orchestra.store.memory import MemoryStore
from tests.client.make import config, meta


@pytest.fixture
async def store() -> AsyncIterator[MemoryStore]:
    async with MemoryStore() as store:
        yield store


async def test_apply_creates_only_for_those_who_may_create(store: MemoryStore) -> None:
    class Patcher:
        async def authorize(self, attributes: Attributes) -> str | None:
            return None if attributes.user.name != "guest" or attributes.verb == "patch" else "guests only patch"

    async with APIServer(store, authorizer=Patcher()) as server:
        await server.create(config("a"))
        guest = server.as_user(User(name="guest"))
        options = WriteOptions(field_manager="guest")
        await guest.apply(config("a", {"more": "1"}), options=options)
        with pytest.raises(Forbidden, match="cannot create resource"):
            await guest.apply(config("b"), options=options)
        assert [item.metadata.name for item in (await server.list(ConfigMap)).items] == ["a"]


async def test_a_bug_of_a_hook_is_not_the_callers_fault(store: MemoryStore) -> None:
    class Broken:
        async def admit(self, request: AdmissionRequest) -> dict[str, Any] | None:
            if request.info.kind == "ConfigMap":
                raise TypeError("a bug")
            return None

    async with APIServer(store, admission=(Broken(),)) as server:
        with pytest.raises(TypeError, match="a bug"):
            await server.create(config("a"))


async def test_a_number_that_json_cannot_carry_is_the_callers_fault(store: MemoryStore) -> None:
    async with APIServer(store) as server:
        document = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"k": 1 << 80}}
        with pytest.raises(BadRequest):
            await server.apply(document, options=WriteOptions(field_manager="me"))


async def test_a_store_that_is_closed_is_an_unavailable_server(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def closed(*_args: object, **_kwargs: object) -> None:
        raise StoreClosed("closed")

    async with APIServer(store) as server:
        await server.create(config("a"))
        with monkeypatch.context() as patch:
            for verb in ("get", "delete", "range"):
                patch.setattr(store, verb, closed)
            with pytest.raises(ServiceUnavailable):
                await server.get(ConfigMap, "a")
            with pytest.raises(ServiceUnavailable):
                await server.list(ConfigMap)
            with pytest.raises(ServiceUnavailable):
                await server.acquire_fence("x", "me")


async def test_an_event_that_gets_no_lease_is_an_unavailable_server(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refused(*_args: object, **_kwargs: object) -> None:
        raise CommitFailed("disk full")

    async with APIServer(store) as server:
        monkeypatch.setattr(store, "lease_grant", refused)
        about = ObjectReference(kind="Pod", namespace="default", name="p")
        with pytest.raises(ServiceUnavailable, match="disk full"):
            await server.create(Event(metadata=meta("e"), involved_object=about, reason="R"))


async def test_what_was_written_of_a_kind_that_nobody_reads_is_let_go(store: MemoryStore) -> None:
    server = APIServer(store)
    async with server:
        for name in ("a", "b"):
            await server.create(Secret(metadata=meta(name)))
        feed = server._core.feed
        await feed.catch_up()
        assert kind_prefix(Secret.resource_info) not in feed._caches
        assert not feed._written


async def test_a_watch_opened_while_everything_is_read_again_is_ended_too(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed = APIServer(store)._core.feed
    await feed.load()
    late = CacheWatch(ConfigMap, feed.catch_up, feed.revision)
    follow, load = store.watch, feed.load

    def lost(_request: WatchRequest) -> Any:
        monkeypatch.setattr(store, "watch", follow)
        raise Compacted(1)

    async def open_meanwhile() -> None:
        feed.opened(late)
        await load()

    monkeypatch.setattr(store, "watch", lost)
    monkeypatch.setattr(feed, "load", open_meanwhile)
    async with anyio.create_task_group() as tasks:
        await tasks.start(feed.run)
        tasks.cancel_scope.cancel()
    with anyio.fail_after(5), pytest.raises(Expired):
        await late.next_batch()
