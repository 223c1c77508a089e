"""The checks of `store_conformance` that are about keys, ranges and txns."""

# ruff: noqa: D103 - the name of a check is the sentence that it proves

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeAlias

import anyio
import pytest

from orchestra.errors import FutureRevision, InvalidTxn, LeaseNotFound, StaleFence
from orchestra.store import (
    FROM_KEY,
    MAX_TXN_BYTES,
    MAX_TXN_OPS,
    Compare,
    Delete,
    DeleteResult,
    Fence,
    KeyValue,
    Op,
    Put,
    PutResult,
    Range,
    RangeResult,
    Store,
    Txn,
    TxnResult,
    prefix_end,
)

StoreFactory: TypeAlias = Callable[[], Store]


async def fill(store: Store, count: int = 5) -> list[KeyValue]:
    """Put k0, k1, ... and return them as stored."""
    for number in range(count):
        await store.put(b"k%d" % number, b"v%d" % number)
    return list((await store.range(Range(b"k", b"l"))).kvs)


async def a_put_makes_exactly_the_next_revision(open_store: StoreFactory) -> None:
    async with open_store() as store:
        before = (await store.status()).revision
        assert (await store.put(b"a", b"1")).revision == before + 1
        assert (await store.put(b"a", b"2")).revision == before + 2
        assert await store.get(b"a") == KeyValue(b"a", b"2", before + 1, before + 2, 2)


async def a_key_that_was_deleted_begins_a_new_life(open_store: StoreFactory) -> None:
    async with open_store() as store:
        await store.put(b"a", b"1")
        deleted = await store.delete(b"a")
        assert (deleted.deleted, await store.get(b"a")) == (1, None)
        again = await store.put(b"a", b"2")
        assert again.revision == deleted.revision + 1
        assert await store.get(b"a") == KeyValue(b"a", b"2", again.revision, again.revision, 1)


async def deleting_nothing_makes_no_revision(open_store: StoreFactory) -> None:
    async with open_store() as store:
        put = await store.put(b"a", b"1")
        assert await store.delete(b"b") == DeleteResult(put.revision, 0)
        assert (await store.status()).revision == put.revision


async def a_range_is_ordered_and_leaves_its_end_out(open_store: StoreFactory) -> None:
    async with open_store() as store:
        for key in (b"b", b"a", b"c", b"a\xff", b"a\x00"):
            await store.put(key, b"")

        async def keys(key: bytes, end: bytes) -> list[bytes]:
            return [kv.key for kv in (await store.range(Range(key, end))).kvs]

        assert await keys(b"a", b"c") == [b"a", b"a\x00", b"a\xff", b"b"]
        assert await keys(b"a", prefix_end(b"a")) == [b"a", b"a\x00", b"a\xff"]
        assert await keys(b"b", FROM_KEY) == [b"b", b"c"]
        assert await keys(FROM_KEY, FROM_KEY) == [b"a", b"a\x00", b"a\xff", b"b", b"c"]
        assert await keys(b"c", b"a") == []


async def limits_count_and_more_agree(open_store: StoreFactory) -> None:
    async with open_store() as store:
        await fill(store)
        for limit, expected in ((2, 2), (4, 4), (5, 5), (9, 5), (0, 5)):
            found = await store.range(Range(b"k", b"l", limit=limit))
            assert (len(found.kvs), found.more, found.count) == (expected, expected < 5, 5)
        old = (await store.status()).revision
        await store.delete(b"k1", b"k3")
        await store.put(b"k9", b"")
        for revision, count in ((0, 4), (old, 5), (old - 2, 3)):
            page = await store.range(Range(b"k", b"l", revision=revision, limit=1))
            assert (len(page.kvs), page.more, page.count) == (1, True, count)
            counted = await store.range(Range(b"k", b"l", revision=revision, count_only=True))
            assert (counted.kvs, counted.count) == ((), count)
        within: tuple[Op, ...] = (Put(b"ka"), Delete(b"k9"), Put(b"kb"), Range(b"k", b"l", limit=2))
        read = (await store.txn(Txn(success=within))).results[-1]
        assert isinstance(read, RangeResult)
        assert (len(read.kvs), read.more, read.count) == (2, True, 5)
        counted = await store.range(Range(b"k", b"l", count_only=True))
        assert (counted.kvs, counted.count, counted.more) == ((), 5, False)


async def keys_only_leaves_the_values_out(open_store: StoreFactory) -> None:
    async with open_store() as store:
        kv = (await fill(store, 1))[0]
        found = (await store.range(Range(b"k", b"l", keys_only=True))).kvs
        assert found == (KeyValue(kv.key, b"", kv.create_revision, kv.mod_revision, kv.version, kv.lease),)


async def a_range_sorts_by_any_field_before_its_limit(open_store: StoreFactory) -> None:
    async with open_store() as store:
        for key, value in ((b"a", b"3"), (b"b", b"1"), (b"c", b"2"), (b"b", b"4")):
            await store.put(key, value)

        async def keys(**options: Any) -> bytes:
            return b"".join(kv.key for kv in (await store.range(Range(b"a", b"z", **options))).kvs)

        assert await keys(descending=True) == b"cba"
        assert await keys(sort_by="value") == b"cab"
        assert await keys(sort_by="mod_revision", descending=True) == b"bca"
        assert await keys(sort_by="create_revision") == b"abc"
        assert await keys(sort_by="version", descending=True, limit=1) == b"b"


async def filters_select_by_revision_and_do_not_change_the_count(open_store: StoreFactory) -> None:
    async with open_store() as store:
        kvs = await fill(store)
        await store.put(b"k0", b"new")
        newest = kvs[4].mod_revision + 1

        async def keys(**options: Any) -> list[bytes]:
            found = await store.range(Range(b"k", b"l", **options))
            assert found.count == 5
            return [kv.key for kv in found.kvs]

        assert await keys(min_mod_revision=kvs[4].mod_revision) == [b"k0", b"k4"]
        assert await keys(max_mod_revision=kvs[2].mod_revision) == [b"k1", b"k2"]
        assert await keys(min_create_revision=newest) == []
        assert await keys(max_create_revision=kvs[1].create_revision) == [b"k0", b"k1"]
        assert await keys(min_mod_revision=kvs[1].mod_revision, limit=2) == [b"k0", b"k1"]


async def a_past_revision_can_be_read_and_a_future_one_not(open_store: StoreFactory) -> None:
    async with open_store() as store:
        first = (await store.put(b"a", b"1")).revision
        await store.put(b"a", b"2")
        await store.delete(b"a")
        last = (await store.put(b"b", b"3")).revision
        seen = [await store.get(b"a", revision=revision) for revision in range(first, last + 1)]
        assert [kv.value if kv else None for kv in seen] == [b"1", b"2", None, None]
        old = await store.range(Range(b"a", b"z", revision=first))
        assert ([kv.key for kv in old.kvs], old.count, old.revision) == ([b"a"], 1, last)
        with pytest.raises(FutureRevision):
            await store.get(b"a", revision=last + 1)


async def a_txn_takes_the_branch_that_its_compares_choose(open_store: StoreFactory) -> None:
    async with open_store() as store:
        revision = (await store.put(b"a", b"m")).revision
        yes: list[Compare] = [
            Compare(b"a", "value", "=", b"m"),
            Compare(b"a", "value", ">", b"l"),
            Compare(b"a", "version", "=", 1),
            Compare(b"a", "version", "<", 2),
            Compare(b"a", "create_revision", "=", revision),
            Compare(b"a", "mod_revision", "!=", revision + 1),
            Compare(b"a", "lease", "=", 0),
            Compare(b"none", "mod_revision", "=", 0),
            Compare(b"a", "create_revision", ">", 0, b"b"),
            Compare(b"x", "version", "<", 1, b"z"),
        ]
        no = [
            Compare(b"a", "value", "<", b"m"),
            Compare(b"none", "value", "=", b""),
            Compare(b"none", "value", "!=", b"m"),
            Compare(b"a", "version", "!=", 1),
            Compare(b"x", "version", ">", 0, b"z"),
        ]
        for compare in yes:
            assert (await store.txn(Txn(compare=(compare,)))).succeeded, compare
        for compare in no:
            assert not (await store.txn(Txn(compare=(yes[0], compare)))).succeeded, compare
        assert (await store.status()).revision == revision


async def a_txn_is_one_revision_and_sees_its_own_changes(open_store: StoreFactory) -> None:
    async with open_store() as store:
        await store.put(b"old", b"0")
        before = (await store.status()).revision
        ops: tuple[Op, ...] = (
            Range(b"a", b"z"),
            Put(b"a", b"1"),
            Put(b"b", b"2"),
            Delete(b"old", prev_kv=True),
            Range(b"a", b"z"),
        )
        result = await store.txn(Txn(success=ops))
        assert result.revision == before + 1
        first, _, _, deleted, last = result.results
        assert isinstance(first, RangeResult)
        assert isinstance(deleted, DeleteResult)
        assert isinstance(last, RangeResult)
        assert [kv.key for kv in first.kvs] == [b"old"]
        assert [kv.value for kv in deleted.prev_kvs] == [b"0"]
        assert [(kv.key, kv.mod_revision) for kv in last.kvs] == [(b"a", before + 1), (b"b", before + 1)]


async def a_nested_txn_compares_with_the_state_before_the_outer_one(open_store: StoreFactory) -> None:
    async with open_store() as store:
        inner = Txn((Compare(b"a", "version", "=", 0),), (Put(b"b", b"absent"),), (Put(b"b", b"present"),))
        result = await store.txn(Txn(success=(Put(b"a", b"1"), inner, Range(b"b"))))
        _, nested, read = result.results
        assert isinstance(nested, TxnResult)
        assert nested.succeeded
        assert isinstance(read, RangeResult)
        assert read.kvs[0].value == b"absent"
        assert read.kvs[0].mod_revision == result.revision


async def put_options_keep_and_return_what_was_there(open_store: StoreFactory) -> None:
    async with open_store() as store:
        lease = await store.lease_grant(600)
        first = (await store.put(b"a", b"1", lease=lease.id)).revision

        async def put(**options: Any) -> PutResult:
            result = (await store.txn(Txn(success=(Put(b"a", prev_kv=True, **options),)))).results[0]
            assert isinstance(result, PutResult)
            return result

        assert (await put(value=b"2", ignore_lease=True)).prev_kv == KeyValue(b"a", b"1", first, first, 1, lease.id)
        kept = await store.get(b"a")
        assert kept is not None
        assert (kept.value, kept.lease) == (b"2", lease.id)
        await put(ignore_value=True)
        dropped = await store.get(b"a")
        assert dropped is not None
        assert (dropped.value, dropped.lease, dropped.version) == (b"2", 0, 3)


async def txns_that_make_no_sense_are_refused_and_change_nothing(open_store: StoreFactory) -> None:
    many = tuple(Put(b"%d" % number) for number in range(MAX_TXN_OPS + 1))
    bad: list[Txn] = [
        Txn(success=(Put(b""),)),
        Txn(success=(Range(b""),)),
        Txn(success=(Put(b"a", b"1"), Put(b"a", b"2"))),
        Txn(success=(Put(b"b", b"1"), Delete(b"a", b"c"))),
        Txn(success=(Put(b"a"), Txn(success=(Put(b"a"),)))),
        Txn(success=(Put(b"c"), Put(b"none", ignore_value=True))),
        Txn(success=(Put(b"a", b"1", ignore_value=True),)),
        Txn(success=many),
        Txn(success=(Put(b"a", bytes(MAX_TXN_BYTES)),)),
    ]
    async with open_store() as store:
        await store.put(b"a", b"0")
        before = await store.hash()
        for txn in bad:
            with pytest.raises(InvalidTxn):
                await store.txn(txn)
        with pytest.raises(LeaseNotFound):
            await store.txn(Txn(success=(Put(b"c"), Put(b"b", lease=4711))))
        with pytest.raises(FutureRevision):
            await store.txn(Txn(success=(Put(b"c"), Range(b"a", revision=before.revision + 9))))
        assert await store.hash() == before
        exclusive = Txn((Compare(b"a", "version", ">", 0),), (Put(b"x"),), (Put(b"x"),))
        assert (await store.txn(Txn(success=(exclusive,)))).succeeded
        largest = Put(b"a", bytes(MAX_TXN_BYTES - 1))
        assert (await store.txn(Txn(success=(largest,)))).succeeded


async def a_fence_admits_its_term_and_refuses_an_older_one(open_store: StoreFactory) -> None:
    async with open_store() as store:
        term = (await store.put(b"fence", b"me")).revision
        await store.put(b"fence", b"still me")
        fenced = Txn(success=(Put(b"a", b"1"),), fence=Fence(b"fence", term))
        assert (await store.txn(fenced)).succeeded
        await store.delete(b"fence")
        with pytest.raises(StaleFence):
            await store.txn(fenced)
        await store.put(b"fence", b"another")
        with pytest.raises(StaleFence):
            await store.txn(fenced)
        with pytest.raises(StaleFence):
            await store.txn(Txn(success=(Range(b"a"),), fence=Fence(b"fence", term)))


async def concurrent_compare_and_swap_loses_no_update(open_store: StoreFactory) -> None:
    async with open_store() as store:
        await store.put(b"n", b"0")

        async def add(times: int) -> None:
            while times:
                kv = await store.get(b"n")
                assert kv is not None
                new = Put(b"n", b"%d" % (int(kv.value) + 1))
                done = await store.txn(Txn((Compare(b"n", "mod_revision", "=", kv.mod_revision),), (new,)))
                times -= done.succeeded

        async with anyio.create_task_group() as tasks:
            for _ in range(8):
                tasks.start_soon(add, 10)
        final = await store.get(b"n")
        assert final is not None
        assert (final.value, final.version) == (b"80", 81)


KEY_CHECKS: Final[tuple[Callable[[StoreFactory], Awaitable[None]], ...]] = (
    a_put_makes_exactly_the_next_revision,
    a_key_that_was_deleted_begins_a_new_life,
    deleting_nothing_makes_no_revision,
    a_range_is_ordered_and_leaves_its_end_out,
    limits_count_and_more_agree,
    keys_only_leaves_the_values_out,
    a_range_sorts_by_any_field_before_its_limit,
    filters_select_by_revision_and_do_not_change_the_count,
    a_past_revision_can_be_read_and_a_future_one_not,
    a_txn_takes_the_branch_that_its_compares_choose,
    a_txn_is_one_revision_and_sees_its_own_changes,
    a_nested_txn_compares_with_the_state_before_the_outer_one,
    put_options_keep_and_return_what_was_there,
    txns_that_make_no_sense_are_refused_and_change_nothing,
    a_fence_admits_its_term_and_refuses_an_older_one,
    concurrent_compare_and_swap_loses_no_update,
)
