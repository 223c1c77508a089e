"""The checks of `store_conformance` that are about leases. A store may grant more time than was asked for."""

# ruff: noqa: D103 - the name of a check is the sentence that it proves

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

import anyio
import pytest

from orchestra.errors import InvalidTxn, LeaseExists, LeaseNotFound
from orchestra.store import Compare, Put, Range, Store, Txn, Watch, WatchBatch, WatchRequest
from orchestra.testing.store_key_conformance import StoreFactory

PATIENCE_SECONDS: Final = 20.0
"""How long a check waits for something that must happen."""

ROUNDING_SECONDS: Final = 1.0
"""What is left of a lease may be told in whole seconds."""


async def _next(watch: Watch) -> WatchBatch:
    with anyio.fail_after(PATIENCE_SECONDS):
        return await watch.__anext__()


async def _held(store: Store, lease: int) -> list[bytes]:
    return list((await store.lease_status(lease, keys=True)).keys)


async def a_lease_takes_its_keys_with_it_in_one_revision(open_store: StoreFactory) -> None:
    async with open_store() as store:
        lease = await store.lease_grant(600)
        for key in (b"b", b"a", b"c"):
            await store.put(key, b"1", lease=lease.id)
        await store.put(b"c", b"2")
        status = await store.lease_status(lease.id, keys=True)
        assert (status.keys, status.ttl_seconds) == ((b"a", b"b"), 600)
        assert 0 < status.remaining_seconds <= 600
        assert (await store.lease_status(lease.id)).keys == ()
        before = (await store.status()).revision
        async with store.watch(WatchRequest(b"a", b"z", prev_kv=True)) as watch:
            assert await store.lease_revoke(lease.id) == before + 1
            batch = await _next(watch)
        assert [(event.kv.key, event.is_delete) for event in batch.events] == [(b"a", True), (b"b", True)]
        assert [event.prev_kv and event.prev_kv.lease for event in batch.events] == [lease.id] * 2
        assert [kv.key for kv in (await store.range(Range(b"a", b"z"))).kvs] == [b"c"]
        for call in (store.lease_revoke, store.lease_keep_alive, store.lease_status):
            with pytest.raises(LeaseNotFound):
                await call(lease.id)
        with pytest.raises(LeaseNotFound):
            await store.put(b"a", b"2", lease=lease.id)


async def leases_are_listed_and_ids_can_be_chosen(open_store: StoreFactory) -> None:
    async with open_store() as store:
        chosen = await store.lease_grant(600, 77)
        others = [(await store.lease_grant(600)).id for _ in range(3)]
        assert (chosen.id, chosen.ttl_seconds) == (77, 600)
        assert len({77, *others}) == 4
        assert all(lease > 0 for lease in others)
        assert await store.leases() == tuple(sorted((77, *others)))
        with pytest.raises(LeaseExists):
            await store.lease_grant(600, 77)
        for ttl_seconds, lease_id in ((0, 0), (-5, 0), (10**10, 0), (60, -1)):
            with pytest.raises(InvalidTxn):
                await store.lease_grant(ttl_seconds, lease_id)
        revision = (await store.status()).revision
        assert await store.lease_revoke(77) == revision, "a lease without keys makes no revision"
        assert await store.leases() == tuple(sorted(others))
        assert (await store.lease_grant(600, 77)).id == 77


async def a_key_is_attached_to_its_last_lease_only(open_store: StoreFactory) -> None:
    async with open_store() as store:
        first = (await store.lease_grant(600)).id
        second = (await store.lease_grant(600)).id
        for key in (b"moved", b"kept", b"freed", b"gone"):
            await store.put(key, b"1", lease=first)
        await store.put(b"moved", b"2", lease=second)
        await store.put(b"freed", b"2")
        await store.delete(b"gone")
        await store.put(b"gone", b"back")
        assert (await _held(store, first), await _held(store, second)) == ([b"kept"], [b"moved"])
        moved = Compare(b"moved", "lease", "=", second)
        assert (await store.txn(Txn((moved,), (Put(b"kept", b"3", ignore_lease=True),)))).succeeded
        await store.lease_revoke(first)
        assert [kv.key for kv in (await store.range(Range(b"a", b"z"))).kvs] == [b"freed", b"gone", b"moved"]
        await store.lease_revoke(second)
        assert [kv.key for kv in (await store.range(Range(b"a", b"z"))).kvs] == [b"freed", b"gone"]


async def a_lease_ends_when_its_time_is_over_and_keep_alive_gives_it_anew(open_store: StoreFactory) -> None:
    async with open_store() as store:
        granted = await store.lease_grant(1)
        assert granted.ttl_seconds >= 1
        for key in (b"b", b"a"):
            await store.put(key, b"1", lease=granted.id)
        await store.put(b"other", b"1", lease=(await store.lease_grant(600)).id)
        async with store.watch(WatchRequest(b"a", b"z")) as watch:
            await anyio.sleep(granted.ttl_seconds / 2)
            renewed_at = anyio.current_time()
            renewed = await store.lease_keep_alive(granted.id)
            assert (renewed.id, renewed.ttl_seconds) == (granted.id, granted.ttl_seconds)
            assert renewed.remaining_seconds == granted.ttl_seconds
            batch = await _next(watch)
        assert anyio.current_time() - renewed_at >= granted.ttl_seconds - 0.05
        assert [(event.kv.key, event.is_delete) for event in batch.events] == [(b"a", True), (b"b", True)]
        assert len({event.kv.mod_revision for event in batch.events}) == 1
        assert granted.id not in await store.leases()
        with pytest.raises(LeaseNotFound):
            await store.lease_keep_alive(granted.id)
        assert [kv.key for kv in (await store.range(Range(b"a", b"z"))).kvs] == [b"other"]


async def a_restart_shortens_no_lease_and_forgets_none(open_store: StoreFactory) -> None:
    async with open_store() as store:
        long, short = await store.lease_grant(600), await store.lease_grant(1)
        granted_at = anyio.current_time()
        await store.put(b"long", b"1", lease=long.id)
        await store.put(b"short", b"1", lease=short.id)
        await anyio.sleep(0.1)
    async with open_store() as store:
        status = await store.lease_status(long.id, keys=True)
        assert (status.ttl_seconds, status.keys) == (600, (b"long",))
        passed = anyio.current_time() - granted_at
        assert status.remaining_seconds >= 600 - passed - ROUNDING_SECONDS
        start = (await store.status()).revision
        async with store.watch(WatchRequest(b"short", start_revision=start)) as watch:
            while not any(event.is_delete for event in (await _next(watch)).events):
                pass
        assert anyio.current_time() - granted_at >= short.ttl_seconds - 0.05
        assert await store.leases() == (long.id,)


LEASE_CHECKS: Final[tuple[Callable[[StoreFactory], Awaitable[None]], ...]] = (
    a_lease_takes_its_keys_with_it_in_one_revision,
    leases_are_listed_and_ids_can_be_chosen,
    a_key_is_attached_to_its_last_lease_only,
    a_lease_ends_when_its_time_is_over_and_keep_alive_gives_it_anew,
    a_restart_shortens_no_lease_and_forgets_none,
)
