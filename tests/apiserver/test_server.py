"""The server as a whole: what goes beyond one client's verbs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import anyio
import attrs
import pytest

from orchestra.api.core.config import ConfigMap
from orchestra.api.core.event import Event
from orchestra.api.core.pod import Pod
from orchestra.api.core.reference import ObjectReference
from orchestra.api.core.service import Service
from orchestra.apiserver import Admission, AdmissionRequest, APIServer, Attributes, User
from orchestra.apiserver import watching as watching_module
from orchestra.apiserver.addresses import ADDRESSES
from orchestra.client.interface import EventType, Patch, PatchType, WriteOptions
from orchestra.errors import Conflict, Expired, Forbidden, Invalid, ServiceUnavailable
from orchestra.store import Range, prefix_end
from orchestra.store.memory import MemoryStore
from orchestra.testing import VirtualClock
from tests.client.make import config, meta, pod, service


@pytest.fixture
async def store() -> AsyncIterator[MemoryStore]:
    async with MemoryStore() as store:
        yield store


async def test_a_server_that_does_not_run_says_so(store: MemoryStore) -> None:
    server = APIServer(store)
    with pytest.raises(ServiceUnavailable):
        await server.get(ConfigMap, "a")
    async with server:
        await server.create(config("a"))
    with pytest.raises(ServiceUnavailable):
        await server.get(ConfigMap, "a")


async def test_watchers_end_when_the_server_does(store: MemoryStore) -> None:
    server = APIServer(store)
    async with server:
        context = server.watch(ConfigMap)
        watch = await context.__aenter__()
    with pytest.raises(ServiceUnavailable):
        await watch.next_batch()
    await context.__aexit__(None, None, None)


async def test_an_error_of_the_body_comes_out_as_it_is(store: MemoryStore) -> None:
    with pytest.raises(LookupError):
        async with APIServer(store):
            raise LookupError


async def test_what_was_stored_is_there_after_a_restart(store: MemoryStore) -> None:
    async with APIServer(store) as server:
        made = await server.create(config("a"))
    async with APIServer(store) as server:
        assert await server.get(ConfigMap, "a") == made
        assert (await server.list(ConfigMap)).items == (made,)


async def test_two_servers_on_one_store_see_each_others_writes(store: MemoryStore) -> None:
    async with APIServer(store) as one, APIServer(store) as two, two.watch(ConfigMap) as watch:
        await one.create(config("a"))
        assert (await two.get(ConfigMap, "a")).data == {"k": "a"}
        assert [item.metadata.name for item in (await two.list(ConfigMap)).items] == ["a"]
        (event,) = await watch.next_batch()
        assert event.object.metadata.name == "a"


async def test_a_written_object_is_the_one_that_watchers_and_readers_get(store: MemoryStore) -> None:
    async with APIServer(store) as server, server.watch(ConfigMap) as watch:
        made = await server.create(config("a"))
        assert await server.get(ConfigMap, "a") is made
        (event,) = await watch.next_batch()
        assert event.object is made
        assert (await server.list(ConfigMap)).items[0] is made


async def test_a_status_write_shares_the_spec_with_the_revision_before(store: MemoryStore) -> None:
    async with APIServer(store) as server:
        made = await server.create(pod())
        patch = Patch(PatchType.MERGE, {"status": {"phase": "Running"}})
        after = await server.patch(Pod, "p", patch, subresource="status")
        assert after.spec is made.spec


async def test_pods_of_one_template_share_their_spec(store: MemoryStore) -> None:
    async with APIServer(store) as server:
        one, two = await server.create(pod("a")), await server.create(pod("b"))
        assert one.spec is two.spec


async def test_a_slow_watcher_is_ended_and_never_blocks_a_writer(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching_module, "WATCH_BUFFER_EVENTS", 3)
    async with APIServer(store) as server, server.watch(ConfigMap) as watch:
        for index in range(5):
            await server.create(config(f"c{index}"))
        await server.list(ConfigMap)
        with pytest.raises(Expired, match="list again"):
            await watch.next_batch()


async def test_a_watch_reads_history_from_the_store_that_the_cache_has_lost(store: MemoryStore) -> None:
    async with APIServer(store) as first:
        begin = await first.create(config("a"))
        await first.update(config("a", {"k": "2"}))
        await first.create(config("b"))
        await first.delete(ConfigMap, "a")
    async with APIServer(store) as server:
        async with server.watch(ConfigMap, resource_version=begin.metadata.resource_version) as watch:
            await server.create(config("c"))
            await server.list(ConfigMap)
            events = await watch.next_batch()
        assert [(e.type.value, e.object.metadata.name) for e in events] == [
            ("MODIFIED", "a"),
            ("ADDED", "b"),
            ("DELETED", "a"),
            ("ADDED", "c"),
        ]


async def test_compacted_history_is_expired(store: MemoryStore) -> None:
    async with APIServer(store) as server:
        for name in ("a", "b", "c"):
            await server.create(config(name))
        page = await server.list(ConfigMap, limit=1)
        old = (await server.get(ConfigMap, "a")).metadata.resource_version
        await server.create(config("d"))
    await store.compact((await store.status()).revision)
    async with APIServer(store) as server:
        with pytest.raises(Expired):
            await server.list(ConfigMap, limit=1, continue_=page.metadata.continue_)
        with pytest.raises(Expired):
            async with server.watch(ConfigMap, resource_version=old):
                pass


@pytest.mark.virtual_time
async def test_history_is_compacted_on_a_schedule_and_an_idle_server_does_nothing() -> None:
    async with MemoryStore(clock=VirtualClock()) as store, APIServer(store, clock=VirtualClock()) as server:
        await server.create(config("a"))
        before = (await store.status()).revision
        await anyio.sleep(700)
        status = await store.status()
        assert status.revision == before
        assert status.compact_revision == before


@pytest.mark.virtual_time
async def test_events_expire_after_an_hour() -> None:
    clock = VirtualClock()
    async with MemoryStore(clock=clock) as store, APIServer(store, clock=clock) as server:
        await server.create(
            Event(
                metadata=meta("e"),
                involved_object=ObjectReference(kind="Pod", name="p", namespace="default"),
                reason="R",
                type="Normal",
            )
        )
        await anyio.sleep(3500)
        assert len((await server.list(Event)).items) == 1
        await anyio.sleep(300)
        assert not (await server.list(Event)).items


@pytest.mark.virtual_time
async def test_a_quiet_watcher_that_wants_bookmarks_is_told_the_revision_now_and_then() -> None:
    clock = VirtualClock()
    async with (
        MemoryStore(clock=clock) as store,
        APIServer(store, clock=clock) as server,
        server.watch(ConfigMap, bookmarks=True) as watch,
        server.watch(ConfigMap) as plain,
    ):
        other = await server.create(pod())
        await anyio.sleep(61)
        (event,) = await watch.next_batch()
        assert event.type is EventType.BOOKMARK
        assert event.revision >= int(other.metadata.resource_version)
        with anyio.move_on_after(300) as waiting:
            await plain.next_batch()
        assert waiting.cancelled_caught


async def test_what_an_authorizer_refuses_is_forbidden_with_its_reason(store: MemoryStore) -> None:
    class ReadOnly:
        async def authorize(self, attributes: Attributes) -> str | None:
            if attributes.user.name != "guest" or attributes.verb in ("get", "list", "watch"):
                return None
            return "guests only look"

    async with APIServer(store, authorizer=ReadOnly()) as server:
        await server.create(config("a"))
        guest = server.as_user(User(name="guest"))
        assert (await guest.get(ConfigMap, "a")).data == {"k": "a"}
        with pytest.raises(Forbidden) as caught:
            await guest.create(config("b"))
        assert caught.value.message == (
            'configmaps "b" is forbidden: User "guest" cannot create resource "configmaps" in API group "" in the '
            'namespace "default": guests only look'
        )


async def test_admission_changes_and_refuses_writes(store: MemoryStore) -> None:
    class Stamp:
        async def admit(self, request: AdmissionRequest) -> dict[str, Any] | None:
            if request.info.kind != "ConfigMap":
                return None
            if request.operation == "DELETE":
                raise Forbidden("these stay")
            assert request.document is not None
            return {**request.document, "data": {**request.document.get("data", {}), "stamp": request.operation}}

    hooks: tuple[Admission, ...] = (Stamp(),)
    async with APIServer(store, admission=hooks) as server:
        made = await server.create(config("a"))
        assert made.data == {"k": "a", "stamp": "CREATE"}
        assert (await server.update(attrs.evolve(made, data={}))).data == {"stamp": "UPDATE"}
        with pytest.raises(Forbidden, match="these stay"):
            await server.delete(ConfigMap, "a")


async def test_concurrent_unconditional_updates_all_happen(store: MemoryStore) -> None:
    async with APIServer(store) as server:
        await server.create(config("a", {}))

        async def put(index: int) -> None:
            await server.patch(ConfigMap, "a", Patch(PatchType.MERGE, {"data": {f"k{index}": "x"}}))

        async with anyio.create_task_group() as tasks:
            for index in range(20):
                tasks.start_soon(put, index)
        assert len((await server.get(ConfigMap, "a")).data) == 20


async def test_services_of_two_servers_never_share_an_address(store: MemoryStore) -> None:
    options: Any = {"service_cidr": "10.0.0.0/27"}
    async with APIServer(store, **options) as one, APIServer(store, **options) as two:
        made = [await (one, two)[index % 2].create(service(f"s{index}")) for index in range(20)]
    addresses = [item.spec.cluster_ip for item in made]
    assert len(set(addresses)) == 20


async def test_no_address_or_node_port_has_two_owners_across_restarts_and_servers(store: MemoryStore) -> None:
    options: Any = {"service_cidr": "10.0.0.0/26", "node_ports": (30000, 30011)}
    names = iter(range(100))
    for _ in range(3):
        async with APIServer(store, **options) as one, APIServer(store, **options) as two:

            async def put(server: APIServer, name: str) -> None:
                await server.create(service(name, type="NodePort"))

            async with anyio.create_task_group() as tasks:
                for server in (one, two, one, two):
                    tasks.start_soon(put, server, f"s{next(names)}")
            found = (await two.list(Service, resource_version="")).items
            with pytest.raises(Invalid, match="provided port is already allocated"):
                taken = attrs.evolve(found[0].spec.ports[0])
                await one.create(service("other", type="NodePort", ports=(taken,)))
            with pytest.raises(Invalid, match="provided IP is already allocated"):
                await one.create(service("other", cluster_ip=found[0].spec.cluster_ip))
    addresses = [each.spec.cluster_ip for each in found]
    ports = [each.spec.ports[0].node_port for each in found]
    assert (len(set(addresses)), len(set(ports)), len(found)) == (12, 12, 12)


async def test_a_service_that_turns_external_gives_its_address_back(store: MemoryStore) -> None:
    async with APIServer(store) as server:
        made = await server.create(service())
        body = {"spec": {"type": "ExternalName", "externalName": "example.org"}}
        after = await server.patch(Service, "s", Patch(PatchType.MERGE, body))
        assert not after.spec.cluster_ip
        assert made.spec.cluster_ip is not None
        found = await store.range(Range(ADDRESSES, prefix_end(ADDRESSES)))
        assert not found.kvs


async def test_an_address_outside_of_the_range_is_refused(store: MemoryStore) -> None:
    async with APIServer(store) as server:
        with pytest.raises(Invalid, match="the provided network does not match the current range"):
            await server.create(service(cluster_ip="192.168.1.1"))


async def test_reservations_are_mended_at_the_start(store: MemoryStore) -> None:
    async with APIServer(store) as server:
        made = await server.create(service())
    key = ADDRESSES + (made.spec.cluster_ip or "").encode()
    await store.delete(key)
    await store.put(ADDRESSES + b"10.96.9.9", b"nobody/nothing")
    async with APIServer(store):
        pass
    found = await store.range(Range(ADDRESSES, prefix_end(ADDRESSES)))
    assert [kv.key for kv in found.kvs] == [key]


async def test_node_ports_are_kept_when_an_update_omits_them(store: MemoryStore) -> None:
    async with APIServer(store) as server:
        made = await server.create(service(type="NodePort"))
        ports = tuple(attrs.evolve(port, node_port=0) for port in made.spec.ports)
        after = await server.update(attrs.evolve(made, spec=attrs.evolve(made.spec, ports=ports)))
        assert after.spec.ports[0].node_port == made.spec.ports[0].node_port


async def test_a_fence_of_nobody_is_refused(store: MemoryStore) -> None:
    async with APIServer(store) as server:
        fence = await server.acquire_fence("x", "me")
        stale = attrs.evolve(fence, revision=fence.revision - 1)
        with pytest.raises(Conflict):
            await server.create(config("a"), options=WriteOptions(fence=stale))
