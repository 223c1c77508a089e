"""The checks of `store_conformance` that are about compaction, hashes, snapshots, and opening and closing."""

# ruff: noqa: D103 - the name of a check is the sentence that it proves
# ruff: noqa: ASYNC240 - small files of a check that does nothing else meanwhile

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import anyio
import pytest

from orchestra.errors import Compacted, CorruptStore, FutureRevision, StoreClosed, StoreError
from orchestra.store import FROM_KEY, Range, SQLiteStore, Store, StoreStatus, Txn, WatchRequest, restore_snapshot
from orchestra.testing.store_key_conformance import StoreFactory, fill

PATIENCE_SECONDS: Final = 20.0
"""How long a check waits for something that must happen."""


async def compaction_keeps_the_present_and_refuses_the_past(open_store: StoreFactory) -> None:
    async with open_store() as store:
        first = (await store.put(b"a", b"1")).revision
        await store.put(b"gone", b"x")
        await store.delete(b"gone")
        middle = (await store.put(b"a", b"2")).revision
        last = (await store.put(b"a", b"3")).revision
        with pytest.raises(FutureRevision) as ahead:
            await store.compact(last + 1)
        assert (ahead.value.revision, ahead.value.current_revision) == (last + 1, last)
        await store.compact(middle)
        kv = await store.get(b"a", revision=middle)
        assert kv is not None
        assert kv.value == b"2"
        calls: tuple[Callable[[], Awaitable[object]], ...] = (
            lambda: store.get(b"a", revision=first),
            lambda: store.txn(Txn(success=(Range(b"a", revision=first),))),
            lambda: store.hash(first),
            lambda: store.compact(middle),
            lambda: store.compact(first),
        )
        for call in calls:
            with pytest.raises(Compacted) as refused:
                await call()
            assert refused.value.compact_revision == middle
        status = await store.status()
        assert (status.revision, status.compact_revision, status.keys) == (last, middle, 1)
        await store.compact(last)
        assert [kv.value for kv in (await store.range(Range(b"a", FROM_KEY))).kvs] == [b"3"]
        assert (await store.status()).revision == last, "a compaction makes no revision"


async def equal_histories_have_equal_hashes(open_store: StoreFactory) -> None:
    async with open_store() as store:
        await fill(store)
        before = await store.hash()
        assert before.revision == (await store.status()).revision
        await store.put(b"k0", b"changed")
        after = await store.hash()
        assert after.hash != before.hash
        assert after.revision == before.revision + 1
        assert await store.hash(before.revision) == before
        with pytest.raises(FutureRevision):
            await store.hash(after.revision + 1)
        await store.delete(b"k0")
        assert (await store.hash()).hash not in (before.hash, after.hash)


async def _until(store: Store, reached: Callable[[StoreStatus], bool]) -> StoreStatus:
    """Wait for numbers that some stores know only some time, and some writes, later."""
    with anyio.fail_after(PATIENCE_SECONDS):
        while not reached(status := await store.status()):
            await store.put(b"small", b"")
            await anyio.sleep(0.05)
    return status


async def the_status_tells_of_keys_and_space(open_store: StoreFactory) -> None:
    async with open_store() as store:
        assert (await store.status()).keys == 0
        value = bytes(range(256)) * 256
        for _ in range(48):
            last = (await store.put(b"big", value)).revision
        await store.put(b"small", b"")
        full = await store.status()
        assert (full.revision, full.keys) == (last + 1, 2)
        assert 0 <= full.in_use_bytes <= full.size_bytes
        if not full.size_bytes:
            return
        full = await _until(store, lambda status: status.in_use_bytes > 48 * len(value))
        await store.compact(last)
        await _until(store, lambda status: status.in_use_bytes <= full.in_use_bytes - 40 * len(value))
        await store.defragment()
        await _until(store, lambda status: status.size_bytes <= full.size_bytes - 40 * len(value))
        kv = await store.get(b"big")
        assert kv is not None
        assert kv.value == value


async def defragmentation_keeps_everything(open_store: StoreFactory) -> None:
    async with open_store() as store:
        await fill(store, 20)
        await store.put(b"leased", b"1", lease=(await store.lease_grant(600, 9)).id)
        await store.delete(b"k1", b"k5")
        await store.compact((await store.status()).revision - 3)
        before = await store.hash()
        kvs = (await store.range(Range(b"\x00", FROM_KEY))).kvs
        old = (await store.range(Range(b"\x00", FROM_KEY, revision=before.revision - 2))).kvs
        await store.defragment()
        assert await store.hash() == before
        assert (await store.range(Range(b"\x00", FROM_KEY))).kvs == kvs
        assert (await store.range(Range(b"\x00", FROM_KEY, revision=before.revision - 2))).kvs == old
        assert (await store.lease_status(9, keys=True)).keys == (b"leased",)
        assert (await store.put(b"k1", b"new")).revision == before.revision + 1


async def everything_is_there_after_it_is_opened_again(open_store: StoreFactory) -> None:
    async with open_store() as store:
        await fill(store)
        await store.lease_grant(600, 9)
        await store.put(b"leased", b"1", lease=9)
        await store.delete(b"k1")
        await store.compact((await store.status()).revision - 1)
        before, status = await store.hash(), await store.status()
        kvs = (await store.range(Range(b"\x00", FROM_KEY))).kvs
    async with open_store() as store:
        assert await store.hash() == before
        assert (await store.range(Range(b"\x00", FROM_KEY))).kvs == kvs
        again = await store.status()
        assert (again.revision, again.compact_revision, again.keys) == (status.revision, status.compact_revision, 5)
        assert (await store.lease_status(9, keys=True)).keys == (b"leased",)
        assert (await store.put(b"k1", b"new")).revision == before.revision + 1


async def a_revision_is_never_used_again(open_store: StoreFactory) -> None:
    """Also where nothing is left that carries the last one."""
    async with open_store() as store:
        await store.put(b"a", b"1")
        last = (await store.delete(b"a")).revision
        await store.compact(last)
    async with open_store() as store:
        assert (await store.status()).revision == last
        assert (await store.put(b"a", b"2")).revision == last + 1


async def a_snapshot_can_be_restored(open_store: StoreFactory) -> None:
    """Whole, at a revision that nobody has seen, the past marked as compacted; a torn or altered one is refused."""
    async with open_store() as store:
        await fill(store, 30)
        await store.put(b"leased", b"1", lease=(await store.lease_grant(600, 9)).id)
        await store.delete(b"k1", b"k2")
        kvs = (await store.range(Range(b"\x00", FROM_KEY))).kvs
        revision = (await store.status()).revision
        with TemporaryDirectory() as place:
            path = Path(place, "snapshot")
            info = await store.snapshot(path)
            whole = path.read_bytes()
            assert (info.revision, info.size_bytes) == (revision, len(whole))
            assert len(info.sha256) == hashlib.sha256().digest_size * 2
            for damaged in (whole[:-1], whole[: len(whole) // 2], whole.replace(b"v7", b"v8", 1)):
                path.write_bytes(damaged)
                with pytest.raises(CorruptStore):
                    await restore_snapshot(path, Path(place, "damaged.db"))
            path.write_bytes(whole)
            restored = await restore_snapshot(path, Path(place, "restored.db"), raise_revision=1_000)
            assert restored == revision + 1_000
            await _check_restored(SQLiteStore(Path(place, "restored.db")), restored)
            async with SQLiteStore(Path(place, "restored.db")) as other:
                assert (await other.range(Range(b"\x00", FROM_KEY))).kvs == kvs


async def _check_restored(store: Store, revision: int) -> None:
    async with store:
        assert (await store.status()).revision == revision
        assert (await store.lease_status(9, keys=True)).keys == (b"leased",)
        with pytest.raises(Compacted):
            await store.get(b"k0", revision=revision - 1)
        with pytest.raises(Compacted):
            async with store.watch(WatchRequest(b"k0", start_revision=revision - 1)):
                pass


async def a_snapshot_leaves_nothing_behind_when_it_fails(open_store: StoreFactory) -> None:
    async with open_store() as store:
        await store.put(b"a", b"1")
        with TemporaryDirectory() as place:
            with pytest.raises(OSError, match="missing"):
                await store.snapshot(Path(place, "missing", "snapshot"))
            assert list(Path(place).iterdir()) == []


async def a_closed_store_says_so(open_store: StoreFactory) -> None:
    store = open_store()

    async def check() -> None:
        calls: tuple[Callable[[], Awaitable[object]], ...] = (
            lambda: store.get(b"a"),
            lambda: store.put(b"a", b""),
            lambda: store.delete(b"a"),
            lambda: store.txn(Txn()),
            lambda: store.compact(1),
            lambda: store.lease_grant(60),
            lambda: store.lease_keep_alive(1),
            lambda: store.lease_revoke(1),
            lambda: store.lease_status(1),
            store.leases,
            store.status,
            store.hash,
            store.defragment,
            lambda: store.snapshot("nowhere"),
        )
        for call in calls:
            with pytest.raises(StoreClosed):
                await call()
        with pytest.raises(StoreClosed):
            async with store.watch(WatchRequest(b"a")):
                pass

    await check()
    async with store:
        await store.put(b"a", b"1")
    await check()


async def an_error_of_the_body_comes_out_as_it_is(open_store: StoreFactory) -> None:
    with pytest.raises(StoreError, match="mine"):
        async with open_store():
            raise StoreError("mine")


UPKEEP_CHECKS: Final[tuple[Callable[[StoreFactory], Awaitable[None]], ...]] = (
    compaction_keeps_the_present_and_refuses_the_past,
    equal_histories_have_equal_hashes,
    the_status_tells_of_keys_and_space,
    defragmentation_keeps_everything,
    everything_is_there_after_it_is_opened_again,
    a_revision_is_never_used_again,
    a_snapshot_can_be_restored,
    a_snapshot_leaves_nothing_behind_when_it_fails,
    a_closed_store_says_so,
    an_error_of_the_body_comes_out_as_it_is,
)
