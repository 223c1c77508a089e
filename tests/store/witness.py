"""A life of a store, and what its clients were told: to be compared with what is there afterwards."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import anyio
import attrs
import pytest

from orchestra.errors import AmbiguousCommit, CommitFailed, StoreClosed, StoreError
from orchestra.store import KeyspaceHash, Put, Range, SQLiteStore, Txn, WatchRequest, prefix_end

LEASE = 7


@attrs.define
class Witness:
    """Txns by number: each puts two keys of its own, `t/<number>/a` and `b`."""

    acknowledged: dict[int, int] = attrs.field(factory=dict)
    """Number and revision."""
    unknown: set[int] = attrs.field(factory=set)
    failed: set[int] = attrs.field(factory=set)
    seen: list[int] = attrs.field(factory=list)
    """Revisions of which a watcher was told."""
    least_revision: int = 0
    """One that must exist, whatever it holds."""
    broken: bool = False
    memory: KeyspaceHash | None = None
    """The hash of what a store held that closed in good order."""

    async def txn(self, store: SQLiteStore, number: int, size: int = 50) -> None:
        ops = tuple(Put(b"t/%d/%s" % (number, side), bytes(size)) for side in (b"a", b"b"))
        try:
            result = await store.txn(Txn(success=ops))
        except CommitFailed:
            self.failed.add(number)
        except AmbiguousCommit:
            self.unknown.add(number)
            await self._check_closed(store)
        except StoreClosed:
            # It was not even tried.
            self.failed.add(number)
            await self._check_closed(store)
        else:
            self.acknowledged[number] = result.revision

    async def live(self, path: Path, *, short: bool = False) -> None:
        """Open the store, do a bit of everything (`short`: two txns), close it."""
        async with SQLiteStore(path) as store, anyio.create_task_group() as tasks:
            tasks.start_soon(self._watch, store)
            await anyio.lowlevel.checkpoint()
            await self.txn(store, 0)
            if not short:
                await self._do_everything(store)
            await self.txn(store, 1)
            await anyio.wait_all_tasks_blocked()
            tasks.cancel_scope.cancel()
            try:
                self.memory = await store.hash()
            except StoreClosed:
                self.broken = True

    async def _do_everything(self, store: SQLiteStore) -> None:
        await self._try(store, partial(store.lease_grant, 600, LEASE))
        await self._try(store, partial(store.put, b"leased", b"1", lease=LEASE))
        await self.txn(store, 2, 9_000)
        async with anyio.create_task_group() as writers:
            for number in range(3, 9):
                writers.start_soon(self.txn, store, number)
        for number in range(3):
            await self._try(store, partial(store.put, b"hot", b"%d" % number * 300))
        if not self.broken:
            await self._try(store, partial(store.compact, (await store.range(Range(b"hot"))).revision))
        await self.txn(store, 9)
        await self._try(store, store.defragment)
        await self.txn(store, 10)
        await self._try(store, partial(store.lease_revoke, LEASE))

    async def _try(self, store: SQLiteStore, call: Callable[[], Awaitable[object]]) -> None:
        try:
            await call()
        except (AmbiguousCommit, StoreClosed):
            await self._check_closed(store)
        except StoreError:
            # It did not happen, so neither did what builds on it.
            return

    async def _check_closed(self, store: SQLiteStore) -> None:
        self.broken = True
        with pytest.raises(StoreClosed):
            await store.hash()

    async def _watch(self, store: SQLiteStore) -> None:
        try:
            async with store.watch(WatchRequest(b"t/", prefix_end(b"t/"))) as watch:
                async for batch in watch:
                    self.seen += [event.kv.mod_revision for event in batch.events if event.kv.key.endswith(b"a")]
        except StoreClosed:
            self.broken = True

    async def check(self, path: Path) -> None:
        """Open the store again, and compare it with what was told."""
        async with SQLiteStore(path) as store:
            if not self.broken and self.memory is not None:
                assert await store.hash() == self.memory, "memory and disk disagree"
            found = {kv.key: kv for kv in (await store.range(Range(b"t/", prefix_end(b"t/")))).kvs}
            revision = (await store.status()).revision
            assert revision >= self.least_revision
            for number, made in self.acknowledged.items():
                assert revision >= made, "revisions went back"
                for side in (b"a", b"b"):
                    kv = found.pop(b"t/%d/%s" % (number, side), None)
                    assert kv is not None, f"txn {number} was acknowledged and is lost"
                    assert kv.mod_revision == made
            for number in self.unknown:
                sides = [found.pop(b"t/%d/%s" % (number, side), None) for side in (b"a", b"b")]
                revisions = {kv.mod_revision if kv is not None else 0 for kv in sides}
                assert len(revisions) == 1, f"txn {number} was applied in half"
                assert not revisions & set(self.acknowledged.values()), "a revision was used twice"
            assert not found, f"txns that failed are there: {sorted(found)}; {self.failed}"
            assert set(self.seen) <= set(self.acknowledged.values()), "a watcher was told of what did not happen"
            assert (await store.put(b"after", b"")).revision == revision + 1
