"""Proof that a store keeps its contract: one check per sentence of `orchestra.store`, to run on your own.

Each check is a plain async function that takes a function which makes the store. Called again it must make a store
on the same contents, opened after the one before was closed; a check begins on an empty one. With pytest, derive:

    class TestMyStore(StoreConformance):
        @pytest.fixture
        def open_store(self, tmp_path):
            return lambda: MyStore(tmp_path / "data")
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

import anyio
import pytest

from orchestra.errors import (
    Compacted,
    FutureRevision,
    InvalidTxn,
    LeaseExists,
    LeaseNotFound,
    StoreClosed,
    StoreError,
)
from orchestra.store import Range, WatchRequest
from orchestra.testing.store_key_conformance import KEY_CHECKS, StoreFactory, fill
from orchestra.testing.store_watch_conformance import WATCH_CHECKS

__all__ = ["STORE_CHECKS", "Check", "StoreConformance", "StoreFactory"]

Check: TypeAlias = Callable[[StoreFactory], Awaitable[None]]

PATIENCE_SECONDS: Final = 20.0
"""How long a check waits for something that must happen."""


async def a_lease_takes_its_keys_with_it_in_one_revision(open_store: StoreFactory) -> None:
    async with open_store() as store:
        lease = await store.lease_grant(600)
        for key in (b"b", b"a", b"c"):
            await store.put(key, b"1", lease=lease.id)
        await store.put(b"c", b"2")
        status = await store.lease_status(lease.id, keys=True)
        assert (status.keys, status.ttl_seconds) == ((b"a", b"b"), 600)
        assert 0 < status.remaining_seconds <= 600
        before = (await store.status()).revision
        assert await store.lease_revoke(lease.id) == before + 1
        assert [kv.key for kv in (await store.range(Range(b"a", b"z"))).kvs] == [b"c"]
        for call in (store.lease_revoke, store.lease_keep_alive, store.lease_status):
            with pytest.raises(LeaseNotFound):
                await call(lease.id)


async def leases_are_listed_and_ids_can_be_chosen(open_store: StoreFactory) -> None:
    async with open_store() as store:
        chosen = await store.lease_grant(600, 77)
        other = await store.lease_grant(600)
        assert chosen.id == 77
        assert await store.leases() == tuple(sorted((77, other.id)))
        with pytest.raises(LeaseExists):
            await store.lease_grant(600, 77)
        with pytest.raises(InvalidTxn):
            await store.lease_grant(0)


async def a_lease_that_is_not_kept_alive_ends(open_store: StoreFactory) -> None:
    async with open_store() as store:
        lease = await store.lease_grant(1)
        await store.put(b"a", b"1", lease=lease.id)
        async with store.watch(WatchRequest(b"a")) as watch:
            with anyio.fail_after(PATIENCE_SECONDS):
                batch = await watch.__anext__()
        assert [event.is_delete for event in batch.events] == [True]
        assert await store.leases() == ()


async def compaction_keeps_the_present_and_refuses_the_past(open_store: StoreFactory) -> None:
    async with open_store() as store:
        first = (await store.put(b"a", b"1")).revision
        await store.put(b"gone", b"x")
        await store.delete(b"gone")
        middle = (await store.put(b"a", b"2")).revision
        last = (await store.put(b"a", b"3")).revision
        with pytest.raises(FutureRevision):
            await store.compact(last + 1)
        await store.compact(middle)
        kv = await store.get(b"a", revision=middle)
        assert kv is not None
        assert kv.value == b"2"
        with pytest.raises(Compacted) as refused:
            await store.get(b"a", revision=first)
        assert refused.value.compact_revision == middle
        with pytest.raises(Compacted):
            await store.compact(middle)
        status = await store.status()
        assert (status.revision, status.compact_revision, status.keys) == (last, middle, 1)


async def equal_histories_have_equal_hashes(open_store: StoreFactory) -> None:
    async with open_store() as store:
        await fill(store)
        before = await store.hash()
        await store.put(b"k0", b"changed")
        assert (await store.hash()).hash != before.hash
        assert await store.hash(before.revision) == before


async def everything_is_there_after_it_is_opened_again(open_store: StoreFactory) -> None:
    async with open_store() as store:
        await fill(store)
        await store.lease_grant(600, 9)
        await store.put(b"leased", b"1", lease=9)
        await store.delete(b"k1")
        await store.compact((await store.status()).revision - 1)
        before, status = await store.hash(), await store.status()
    async with open_store() as store:
        assert await store.hash() == before
        again = await store.status()
        assert (again.revision, again.compact_revision, again.keys) == (status.revision, status.compact_revision, 5)
        assert (await store.lease_status(9, keys=True)).keys == (b"leased",)
        assert (await store.put(b"k1", b"new")).revision == before.revision + 1


async def a_closed_store_says_so(open_store: StoreFactory) -> None:
    store = open_store()
    async with store:
        pass
    for call in (store.get(b"a"), store.put(b"a", b""), store.compact(1), store.leases(), store.status()):
        with pytest.raises(StoreClosed):
            await call


async def an_error_of_the_body_comes_out_as_it_is(open_store: StoreFactory) -> None:
    with pytest.raises(StoreError, match="mine"):
        async with open_store():
            raise StoreError("mine")


STORE_CHECKS: Final[tuple[Check, ...]] = (
    *KEY_CHECKS,
    a_lease_takes_its_keys_with_it_in_one_revision,
    leases_are_listed_and_ids_can_be_chosen,
    a_lease_that_is_not_kept_alive_ends,
    compaction_keeps_the_present_and_refuses_the_past,
    equal_histories_have_equal_hashes,
    everything_is_there_after_it_is_opened_again,
    a_closed_store_says_so,
    an_error_of_the_body_comes_out_as_it_is,
    *WATCH_CHECKS,
)


@pytest.mark.anyio
class StoreConformance:
    """The checks as pytest tests: derive and give it the fixture `open_store`."""

    @pytest.fixture
    def open_store(self) -> StoreFactory:
        """Return the function that makes the store; see the module."""
        raise NotImplementedError("a class derived from StoreConformance gives the fixture open_store")

    @pytest.fixture
    def anyio_backend(self) -> str:
        """Stores run on asyncio."""
        return "asyncio"

    @pytest.mark.parametrize("check", STORE_CHECKS, ids=lambda check: check.__name__)
    async def test_store(self, check: Check, open_store: StoreFactory) -> None:
        """Run one check."""
        await check(open_store)
