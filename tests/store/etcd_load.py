"""Writers and watchers on a cluster that suffers, and what must be true of them afterwards."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import anyio
import anyio.abc

from orchestra.errors import AmbiguousCommit, CommitFailed, StoreUnavailable, WatchOverflow
from orchestra.store import Compare, Put, Range, Store, Txn, WatchRequest, prefix_end

PATIENCE_SECONDS = 60.0

WRITERS_PER_STORE = 4


class Load:
    """Each writer makes one key after the other, each only once, beside its counter; each watcher sees all of it."""

    def __init__(self, stores: Sequence[Store], start_revision: int) -> None:
        self._stores = stores
        self._start_revision = start_revision
        self._prefix = b"load-%d/" % start_revision
        self._end = prefix_end(self._prefix)
        self.acknowledged: dict[bytes, int] = {}
        self.failed: dict[bytes, Exception] = {}
        self.ambiguous: set[bytes] = set()
        self.seen: list[list[tuple[int, bytes]]] = [[] for _ in stores]
        self._progress: dict[str, int] = {}
        self._stopping = False

    async def flows(self, count: int = 20) -> None:
        """Wait until every writer has had `count` more acknowledgements."""
        before = dict(self._progress)
        with anyio.fail_after(PATIENCE_SECONDS):
            while any(now < before[writer] + count for writer, now in self._progress.items()):
                await anyio.sleep(0.02)

    async def write(self, store: Store, name: str) -> None:
        number = 0
        while not self._stopping:
            counter = self._prefix + name.encode()
            key = b"%s/%06d" % (counter, number)
            number += 1
            ops = (Put(key, b"x"), Put(counter, b"%d" % number))
            try:
                result = await store.txn(Txn((Compare(key, "version", "=", 0),), ops))
            except AmbiguousCommit:
                self.ambiguous.add(key)
            except (CommitFailed, StoreUnavailable) as error:
                self.failed[key] = error
            else:
                assert result.succeeded, "a request happened twice"
                self.acknowledged[key] = result.revision
                self._progress[name] += 1

    async def watch(self, store: Store, seen: list[tuple[int, bytes]], until: anyio.abc.CancelScope) -> None:
        revision = self._start_revision - 1
        with until:
            while True:
                request = WatchRequest(self._prefix, self._end, start_revision=revision + 1)
                try:
                    async with store.watch(request) as watch:
                        async for batch in watch:
                            assert batch.revision > revision
                            assert all(event.kv.mod_revision > revision for event in batch.events)
                            revision = batch.revision
                            seen += [(event.kv.mod_revision, event.kv.key) for event in batch.events]
                except WatchOverflow:
                    continue

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Write and watch while the block runs; then check everything."""
        watching = [anyio.CancelScope() for _ in self._stores]
        names = {f"{at}.{index}": store for at, store in enumerate(self._stores) for index in range(WRITERS_PER_STORE)}
        self._progress = dict.fromkeys(names, 0)
        async with anyio.create_task_group() as tasks:
            for store, seen, scope in zip(self._stores, self.seen, watching, strict=True):
                tasks.start_soon(self.watch, store, seen, scope)
            async with anyio.create_task_group() as writers:
                for name, store in names.items():
                    writers.start_soon(self.write, store, name)
                await self.flows()
                yield
                self._stopping = True
            last = (await self._stores[0].range(Range(self._prefix, self._end, count_only=True))).revision
            history = await self._history(last)
            with anyio.fail_after(PATIENCE_SECONDS):
                while any(len(seen) < len(history) for seen in self.seen):
                    await anyio.sleep(0.02)
            for scope in watching:
                scope.cancel()
        await self._check(history)

    async def _history(self, last: int) -> list[tuple[int, bytes]]:
        request = WatchRequest(self._prefix, self._end, start_revision=self._start_revision)
        found: list[tuple[int, bytes]] = []
        async with self._stores[0].watch(request) as watch:
            while True:
                watch.request_progress()
                with anyio.fail_after(PATIENCE_SECONDS):
                    batch = await watch.__anext__()
                found += [(event.kv.mod_revision, event.kv.key) for event in batch.events]
                if batch.revision >= last:
                    return found

    async def _check(self, history: list[tuple[int, bytes]]) -> None:
        for seen in self.seen:
            assert seen == history, "a watcher missed events, or saw them twice or out of order"
        kvs = (await self._stores[0].range(Range(self._prefix, self._end))).kvs
        kept = {kv.key: kv.mod_revision for kv in kvs if kv.key.count(b"/") == 2}
        assert {key: kept.get(key) for key in self.acknowledged} == self.acknowledged, "an acknowledged write is lost"
        assert not self.failed.keys() & kept.keys(), "a write that happened was reported as failed"
        assert kept.keys() - self.acknowledged.keys() <= self.ambiguous
        assert {revision for revision, _ in history} == set(kept.values())
