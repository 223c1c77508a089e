"""The checks of `store_conformance` that are about keys and ranges."""

# ruff: noqa: D103 - the name of a check is the sentence that it proves

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeAlias

import pytest

from orchestra.errors import FutureRevision, InvalidTxn
from orchestra.store import (
    FROM_KEY,
    Delete,
    DeleteResult,
    KeyValue,
    Op,
    Put,
    Range,
    RangeResult,
    Store,
    Txn,
    prefix_end,
)
from orchestra.testing import store_reference as reference

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


async def keys_and_values_are_any_bytes(open_store: StoreFactory) -> None:
    keys = [b"\x00", b"\x00\x00", b"\x01", b"a", b"a\x00", b"\xc3\xa4", b"\xff", b"\xff\xff", b"k" * 4096]
    async with open_store() as store:
        for key in keys:
            await store.put(key, key[::-1] * 2)
        await store.put(b"empty", b"")
        found = (await store.range(Range(b"\x00", FROM_KEY))).kvs
        assert [(kv.key, kv.value) for kv in found] == sorted(
            [(key, key[::-1] * 2) for key in keys] + [(b"empty", b"")]
        )
        for key in keys:
            assert (await store.range(Range(key))).count == 1
        assert (await store.delete(b"\xff", FROM_KEY)).deleted == 2
        assert (await store.delete(b"\x00", FROM_KEY)).deleted == len(keys) - 1


async def a_delete_says_what_it_deleted(open_store: StoreFactory) -> None:
    async with open_store() as store:
        kvs = await fill(store)
        asked = (await store.txn(Txn(success=(Delete(b"k1", b"k3", prev_kv=True),)))).results[0]
        assert asked == DeleteResult(kvs[4].mod_revision + 1, 2, tuple(kvs[1:3]))
        assert await store.delete(b"k3", FROM_KEY) == DeleteResult(kvs[4].mod_revision + 2, 2)
        assert await store.delete(b"k3", b"k1") == DeleteResult(kvs[4].mod_revision + 2, 0)


async def the_options_of_a_range_agree_with_the_plain_model(open_store: StoreFactory) -> None:
    """Every sort, limit, filter and form of a range, now and in the past, against `store_reference`."""
    async with open_store() as store:
        start = (await store.status()).revision
        states: dict[int, dict[bytes, KeyValue]] = {start: {}}
        for number, (key, value) in enumerate([(b"a", b"5"), (b"c", b"4"), (b"b", b"3"), (b"a", b"2"), (b"d", b"1")]):
            await store.put(key, value)
            states[start + number + 1] = {kv.key: kv for kv in (await store.range(Range(b"a", b"z"))).kvs}
        await store.delete(b"c")
        last = start + 6
        states[last] = {kv.key: kv for kv in (await store.range(Range(b"a", b"z"))).kvs}
        forms: list[dict[str, Any]] = [
            {"keys_only": True},
            {"count_only": True},
            {"limit": 2},
            {"descending": True, "limit": 1},
            {"min_mod_revision": start + 3},
            {"max_mod_revision": start + 4, "limit": 1},
            {"min_create_revision": start + 2},
            {"max_create_revision": start + 2, "count_only": True},
            {"sort_by": "create_revision", "descending": True},
            {"sort_by": "mod_revision", "limit": 2},
            {"sort_by": "value", "keys_only": True, "limit": 2},
            {"sort_by": "value", "descending": True, "min_mod_revision": start + 2},
        ]
        for form in forms:
            for key, end in ((b"a", b"c"), (b"b", FROM_KEY), (b"a", b""), (b"x", b"z"), (b"c", b"a")):
                for revision in (0, *range(start + 1, last + 1)):
                    request = Range(key, end, revision=revision, **form)
                    expected = reference.read(request, states[revision or last], last)
                    assert await store.range(request) == expected, request


async def what_no_store_can_answer_is_refused(open_store: StoreFactory) -> None:
    async with open_store() as store:
        await store.put(b"a", b"1")
        bad: list[dict[str, Any]] = [{"limit": -1}, {"revision": -1}, {"sort_by": "colour"}]
        for options in bad:
            with pytest.raises(InvalidTxn):
                await store.range(Range(b"a", **options))
        with pytest.raises(InvalidTxn):
            await store.range(Range(b""))


async def a_long_range_comes_in_pages_of_one_revision(open_store: StoreFactory) -> None:
    async with open_store() as store:
        for start in range(0, 1_000, 100):
            await store.txn(Txn(success=tuple(Put(b"p/%04d" % number, b"v") for number in range(start, start + 100))))
        end = prefix_end(b"p/")
        seen: list[bytes] = []
        page = await store.range(Range(b"p/", end, limit=300))
        at = page.revision
        while True:
            assert (page.count, page.more) == (1_000 - len(seen), len(page.kvs) < 1_000 - len(seen))
            seen += [kv.key for kv in page.kvs]
            if not page.more:
                break
            await store.put(b"p/%04d/new" % len(seen), b"")
            await store.delete(seen[0])
            page = await store.range(Range(seen[-1] + b"\x00", end, limit=300, revision=at))
        assert seen == [b"p/%04d" % number for number in range(1_000)]


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
    keys_and_values_are_any_bytes,
    a_delete_says_what_it_deleted,
    the_options_of_a_range_agree_with_the_plain_model,
    what_no_store_can_answer_is_refused,
    a_long_range_comes_in_pages_of_one_revision,
)
