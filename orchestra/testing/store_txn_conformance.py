"""The checks of `store_conformance` that are about conditions, nested txns, refusals and fences."""

# ruff: noqa: D103 - the name of a check is the sentence that it proves

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

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
    Txn,
    TxnResult,
    prefix_end,
)
from orchestra.testing import store_reference as reference
from orchestra.testing.store_key_conformance import StoreFactory


async def a_txn_takes_the_branch_that_its_compares_choose(open_store: StoreFactory) -> None:
    async with open_store() as store:
        revision = (await store.put(b"a", b"m")).revision
        yes: list[Compare] = [
            Compare(b"a", "value", "=", b"m"),
            Compare(b"a", "version", "=", 1),
            Compare(b"a", "create_revision", "=", revision),
            Compare(b"none", "mod_revision", "=", 0),
        ]
        no: list[Compare] = [Compare(b"a", "value", "<", b"m"), Compare(b"none", "version", ">", 0)]
        for compares, expected in [((), True), *(((c,), True) for c in yes), *(((c,), False) for c in no)]:
            result = await store.txn(Txn(compares, (Range(b"a"),), (Range(b"none"),)))
            assert result.succeeded is expected, compares
            assert isinstance(result.results[0], RangeResult)
            assert result.results[0].count == int(expected)
        assert (await store.txn(Txn(tuple(yes)))).succeeded
        assert not (await store.txn(Txn((*yes, no[0])))).succeeded
        assert (await store.txn(Txn())) == TxnResult(revision, True, ())


async def every_target_of_a_key_or_a_range_can_be_compared(open_store: StoreFactory) -> None:
    """Each target with each operator, over a key, a range, a prefix, from a key on, and where nothing is."""
    async with open_store() as store:
        lease = (await store.lease_grant(600)).id
        await store.put(b"a", b"m")
        await store.put(b"ab", b"n", lease=lease)
        await store.put(b"ab", b"n", lease=lease)
        last = (await store.put(b"b", b"\x00\xff")).revision
        keys = {kv.key: kv for kv in (await store.range(Range(b"\x00", FROM_KEY))).kvs}
        operands: dict[str, list[int | bytes]] = {
            "value": [b"", b"m", b"n", b"\x00\xff"],
            "version": [0, 1, 2],
            "create_revision": [0, last - 3, last],
            "mod_revision": [0, last - 1, last + 1],
            "lease": [0, lease],
        }
        spans = [(b"a", b""), (b"ab", b""), (b"a", b"b"), (b"a", prefix_end(b"a")), (b"a", FROM_KEY)]
        spans += [(b"none", b""), (b"x", b"z"), (b"b", b"a")]
        compares = [
            Compare(key, target, operator, operand, end)  # type: ignore[arg-type]
            for target, values in operands.items()
            for operator in ("=", "!=", "<", ">")
            for operand in values
            for key, end in spans
        ]
        # Nested txns carry many conditions at once, and each says for itself whether it held.
        for start in range(0, len(compares), 40):
            some = compares[start : start + 40]
            result = await store.txn(Txn(success=tuple(Txn((compare,)) for compare in some)))
            for compare, inner in zip(some, result.results, strict=True):
                assert isinstance(inner, TxnResult)
                assert inner.succeeded is reference.holds(compare, keys), compare


async def a_txn_is_one_revision_and_sees_its_own_changes(open_store: StoreFactory) -> None:
    async with open_store() as store:
        before = (await store.put(b"old", b"0")).revision
        ops: tuple[Op, ...] = (
            Range(b"a", b"z"),
            Put(b"a", b"1"),
            Put(b"b", b"2"),
            Delete(b"old", prev_kv=True),
            Range(b"a", b"z"),
            Range(b"a", b"z", revision=before),
        )
        result = await store.txn(Txn(success=ops))
        assert result.revision == before + 1
        first, _, _, deleted, last, past = result.results
        assert isinstance(first, RangeResult)
        assert isinstance(deleted, DeleteResult)
        assert isinstance(last, RangeResult)
        assert isinstance(past, RangeResult)
        assert [kv.key for kv in first.kvs] == [kv.key for kv in past.kvs] == [b"old"]
        assert {inner.revision for inner in result.results} == {before + 1}
        assert [kv.value for kv in deleted.prev_kvs] == [b"0"]
        assert [(kv.key, kv.mod_revision) for kv in last.kvs] == [(b"a", before + 1), (b"b", before + 1)]


async def what_changes_nothing_makes_no_revision(open_store: StoreFactory) -> None:
    looks: list[Txn] = [
        Txn(),
        Txn(success=(Range(b"a"), Txn(success=(Range(b"b"),)))),
        Txn((Compare(b"a", "version", ">", 5),), (Put(b"a", b"x"),)),
        Txn(success=(Delete(b"none"), Delete(b"n", b"o"), Txn(success=(Delete(b"none"),)))),
    ]
    async with open_store() as store:
        revision = (await store.put(b"a", b"1")).revision
        for txn in looks:
            assert (await store.txn(txn)).revision == revision
        assert (await store.status()).revision == revision
        # The same value again is a change all the same.
        assert (await store.put(b"a", b"1")).revision == revision + 1


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


async def nested_txns_are_part_of_the_outer_one(open_store: StoreFactory) -> None:
    async with open_store() as store:
        revision = (await store.put(b"a", b"1")).revision
        absent = Compare(b"a", "version", "=", 0)
        # Branches that exclude each other may put the same key.
        either = Txn((absent,), (Put(b"x", b"then"),), (Put(b"x", b"else"), Txn(success=(Delete(b"a", prev_kv=True),))))
        result = await store.txn(Txn(success=(Put(b"b", b"1"), either, Range(b"\x00", FROM_KEY))))
        _, nested, read = result.results
        assert isinstance(nested, TxnResult)
        assert not nested.succeeded
        inner = nested.results[1]
        assert isinstance(inner, TxnResult)
        assert inner.results == (DeleteResult(revision + 1, 1, (KeyValue(b"a", b"1", revision, revision, 1),)),)
        assert isinstance(read, RangeResult)
        assert [(kv.key, kv.value, kv.mod_revision) for kv in read.kvs] == [
            (b"b", b"1", revision + 1),
            (b"x", b"else", revision + 1),
        ]
        deep = Txn(success=(Put(b"deep"),))
        for _ in range(10):
            deep = Txn(success=(deep,))
        assert (await store.txn(deep)).revision == revision + 2


async def put_options_keep_and_return_what_was_there(open_store: StoreFactory) -> None:
    async with open_store() as store:
        lease = await store.lease_grant(600)
        first = (await store.put(b"a", b"1", lease=lease.id)).revision

        async def put(**options: Any) -> PutResult:
            result = (await store.txn(Txn(success=(Put(b"a", prev_kv=True, **options),)))).results[0]
            assert isinstance(result, PutResult)
            return result

        kept = await put(value=b"2", ignore_lease=True)
        assert kept.prev_kv == KeyValue(b"a", b"1", first, first, 1, lease.id)
        assert await store.get(b"a") == KeyValue(b"a", b"2", first, first + 1, 2, lease.id)
        await put(ignore_value=True, ignore_lease=True)
        assert await store.get(b"a") == KeyValue(b"a", b"2", first, first + 2, 3, lease.id)
        await put(ignore_value=True)
        assert await store.get(b"a") == KeyValue(b"a", b"2", first, first + 3, 4, 0)
        fresh = (await store.txn(Txn(success=(Put(b"new", prev_kv=True),)))).results[0]
        assert fresh == PutResult(first + 4, None)


async def txns_that_make_no_sense_are_refused_and_change_nothing(open_store: StoreFactory) -> None:
    many = tuple(Put(b"%d" % number) for number in range(MAX_TXN_OPS + 1))
    absent = Compare(b"none", "version", "=", 0)
    bad: list[Txn] = [
        Txn(success=(Put(b""),)),
        Txn(success=(Range(b""),)),
        Txn(success=(Delete(b""),)),
        Txn((Compare(b"", "version", "=", 0),)),
        Txn(failure=(Put(b""),)),
        Txn(success=(Put(b"a", b"1"), Put(b"a", b"2"))),
        Txn(success=(Put(b"b", b"1"), Delete(b"a", b"c"))),
        Txn(success=(Delete(b"b"), Put(b"b", b"1"))),
        Txn(success=(Put(b"a"), Txn(success=(Put(b"a"),)))),
        Txn(success=(Put(b"a"), Txn((absent,), (), (Txn(success=(Delete(b"a"),)),)))),
        Txn(success=(Txn(success=(Put(b"a"),)), Txn((absent,), (Range(b"a"),), (Put(b"a"),)))),
        Txn(success=(Txn(success=(Delete(b"a"),)), Txn(success=(Put(b"a"),)))),
        Txn(success=(Put(b"c"), Put(b"none", ignore_value=True))),
        Txn(success=(Put(b"c"), Put(b"none", b"1", ignore_lease=True))),
        Txn(success=(Put(b"a", b"1", ignore_value=True),)),
        Txn(success=(Put(b"a", b"1", lease=77, ignore_lease=True),)),
        Txn(success=many),
        Txn(tuple(absent for _ in many)),
        # A nested txn has what the one around it left.
        Txn(success=(*many[3:], Txn(success=(Put(b"x"), Put(b"y"))))),
        Txn(success=(Put(b"c"), Txn(success=(Range(b"a"),), fence=Fence(b"a", 2)))),
    ]
    async with open_store() as store:
        await store.put(b"a", b"0")
        before = await store.hash()
        for txn in bad:
            with pytest.raises(InvalidTxn):
                await store.txn(txn)
        with pytest.raises(LeaseNotFound):
            await store.txn(Txn(success=(Put(b"c"), Put(b"b", lease=4711))))
        for ahead in (1, 9):
            # Not even what the txn itself makes can be asked for by its number.
            with pytest.raises(FutureRevision):
                await store.txn(Txn(success=(Put(b"c"), Range(b"a", revision=before.revision + ahead))))
        assert await store.hash() == before
        assert (await store.txn(Txn(success=many[:-1]))).revision == before.revision + 1
        fits = Txn(success=(*many[4:], Txn(success=(Put(b"x"), Put(b"y")))))
        assert (await store.txn(fits)).revision == before.revision + 2


async def the_branch_not_taken_may_be_wrong_about_what_is_there(open_store: StoreFactory) -> None:
    async with open_store() as store:
        revision = (await store.put(b"a", b"0")).revision
        never = (Compare(b"a", "version", ">", 7),)
        for fault in (Put(b"none", ignore_value=True), Put(b"b", lease=4711), Range(b"a", revision=revision + 99)):
            result = await store.txn(Txn(never, (fault,), (Range(b"a"),)))
            assert (result.succeeded, result.revision) == (False, revision)


async def a_txn_may_be_as_large_as_the_limit_and_no_larger(open_store: StoreFactory) -> None:
    async with open_store() as store:
        largest = bytes(range(256)) * (MAX_TXN_BYTES // 256)
        assert len(largest) == MAX_TXN_BYTES
        with pytest.raises(InvalidTxn):
            await store.put(b"a", largest)
        done = await store.put(b"a", largest[1:])
        kv = await store.get(b"a")
        assert kv is not None
        assert kv.value == largest[1:]
        half = MAX_TXN_BYTES // 2
        split = (Put(b"b", largest[: half - 1]), Txn(failure=(Put(b"c", largest[: half - 1]),)))
        assert (await store.txn(Txn(success=split))).revision == done.revision + 1
        with pytest.raises(InvalidTxn):
            await store.txn(Txn(success=(*split, Put(b"d"))))
        assert (await store.status()).revision == done.revision + 1


async def a_fence_admits_its_term_and_refuses_an_older_one(open_store: StoreFactory) -> None:
    async with open_store() as store:
        refused = (Put(b"a", b"1"),)
        with pytest.raises(StaleFence):
            await store.txn(Txn(success=refused, fence=Fence(b"fence", 1)))
        term = (await store.put(b"fence", b"me")).revision
        await store.put(b"fence", b"still me")
        fenced = Txn(success=refused, fence=Fence(b"fence", term))
        assert (await store.txn(fenced)).succeeded
        # A fence chooses no branch: the compares do.
        chosen = Txn((Compare(b"a", "version", "=", 0),), (), (Put(b"b"),), fence=Fence(b"fence", term))
        assert not (await store.txn(chosen)).succeeded
        assert await store.get(b"b") is not None
        await store.delete(b"fence")
        for _ in range(2):
            before = (await store.status()).revision
            with pytest.raises(StaleFence):
                await store.txn(fenced)
            with pytest.raises(StaleFence):
                await store.txn(Txn(success=(Range(b"a"),), fence=Fence(b"fence", term)))
            assert (await store.status()).revision == before
            await store.put(b"fence", b"another")
        again = await store.get(b"fence")
        assert again is not None
        nested = Txn(success=(Txn(success=(Put(b"a", b"2"),)),), fence=Fence(b"fence", again.create_revision))
        assert (await store.txn(nested)).succeeded


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


async def a_call_that_is_cancelled_happens_whole_or_not_at_all(open_store: StoreFactory) -> None:
    async with open_store() as store:

        async def write(number: int) -> None:
            await store.txn(Txn(success=(Put(b"a%02d" % number, b"1"), Put(b"b%02d" % number, b"1"))))

        for number in range(20):
            with anyio.CancelScope() as scope:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(write, number)
                    for _ in range(number % 5):
                        await anyio.lowlevel.checkpoint()
                    scope.cancel()
        for call in (lambda: store.get(b"a00"), lambda: store.lease_grant(600), store.status, store.hash):
            with anyio.CancelScope() as scope:
                scope.cancel()
                await call()
        # What is still under way comes before this.
        await store.put(b"end", b"")
        kvs = (await store.range(Range(b"a", b"c"))).kvs
        twos = {kv.key[1:]: kv.mod_revision for kv in kvs}
        assert [(kv.key[1:], kv.mod_revision) for kv in kvs] == sorted(twos.items()) * 2


TXN_CHECKS: Final[tuple[Callable[[StoreFactory], Awaitable[None]], ...]] = (
    a_txn_takes_the_branch_that_its_compares_choose,
    every_target_of_a_key_or_a_range_can_be_compared,
    a_txn_is_one_revision_and_sees_its_own_changes,
    what_changes_nothing_makes_no_revision,
    a_nested_txn_compares_with_the_state_before_the_outer_one,
    nested_txns_are_part_of_the_outer_one,
    put_options_keep_and_return_what_was_there,
    txns_that_make_no_sense_are_refused_and_change_nothing,
    the_branch_not_taken_may_be_wrong_about_what_is_there,
    a_txn_may_be_as_large_as_the_limit_and_no_larger,
    a_fence_admits_its_term_and_refuses_an_older_one,
    concurrent_compare_and_swap_loses_no_update,
    a_call_that_is_cancelled_happens_whole_or_not_at_all,
)
