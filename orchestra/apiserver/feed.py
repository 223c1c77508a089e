"""One watch of the whole store that advances the caches of all kinds together, the quiet ones too."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import anyio
from anyio.abc import TaskStatus

from orchestra._log import get_logger
from orchestra.api.object import Object, ResourceInfo
from orchestra.api.scheme import Scheme
from orchestra.apiserver import refusals
from orchestra.apiserver.cache import KindCache
from orchestra.apiserver.keys import RANGES, ROOT, kind_prefix, object_key, split_key
from orchestra.apiserver.record import Record
from orchestra.apiserver.store_errors import translated
from orchestra.apiserver.watching import CacheWatch
from orchestra.errors import Compacted, StoreUnavailable, Timeout, WatchOverflow
from orchestra.store import Event, KeyValue, Range, Store, Watch, WatchBatch, WatchRequest, prefix_end

READ_WAIT_SECONDS: Final = 3.0
"""How long a read waits for the caches to reach the revision it needs, before it ends with `Timeout`."""

STORE_RETRY_SECONDS: Final = 1.0
"""How much later the store is watched again when it could not be reached; it has tried for a while itself."""

log = get_logger("apiserver")


class Feed:
    """The caches, the revision that all of them have reached, and the way from a store's key to a shared record."""

    def __init__(self, store: Store, scheme: Scheme) -> None:
        self._store = store
        self._scheme = scheme
        self.revision = 0
        self._caches: dict[bytes, KindCache] = {}
        self._unclaimed: dict[bytes, KeyValue] = {}
        """Keys of kinds that nobody has asked for, and all that are no objects."""
        self._written: dict[tuple[bytes, int], Record] = {}
        """What this server wrote and the watch has not brought back yet: it need not be decoded again."""
        self._waiting: list[tuple[int, anyio.Event]] = []
        self._watches: dict[CacheWatch, None] = {}
        self._watch: Watch | None = None

    async def load(self) -> None:
        """Read everything, at one revision. Values are decoded when somebody first looks at them."""
        found = await self._store.range(Range(ROOT, prefix_end(ROOT)))
        self._unclaimed = {kv.key: kv for kv in found.kvs}
        self.revision = found.revision
        self._written = {at: record for at, record in self._written.items() if at[1] > found.revision}
        kinds = list(self._caches.values())
        self._caches.clear()
        for cache in kinds:
            info = cache.cls.resource_info
            cache.load(self._claim(info, cache.cls), found.revision)
            self._caches[kind_prefix(info)] = cache

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Follow the store until cancelled. A lost place in its history costs every watcher a new list."""
        lost = False
        while True:
            try:
                if lost:
                    await self._load_again()
                    lost = False
                request = WatchRequest(ROOT, prefix_end(ROOT), start_revision=self.revision + 1)
                async with self._store.watch(request) as self._watch:
                    task_status.started()
                    task_status = anyio.TASK_STATUS_IGNORED
                    if self._waiting:
                        self._watch.request_progress()
                    async for batch in self._watch:
                        self._take(batch)
            except WatchOverflow:
                log.warning("store watch overflowed, resuming", revision=self.revision)
            except Compacted:
                log.warning("store watch lost its place, reading everything again", revision=self.revision)
                lost = True
            except StoreUnavailable as error:
                log.warning("store cannot be reached, trying again", revision=self.revision, error=str(error))
                await anyio.sleep(STORE_RETRY_SECONDS)
            finally:
                self._watch = None

    async def _load_again(self) -> None:
        """Read everything again, for events were lost."""
        await self.load()
        # Not before: one that was opened in the meantime has lost the same events.
        for watch in tuple(self._watches):
            watch.fail(refusals.too_slow())
        self._wake_waiting()

    def cache(self, info: ResourceInfo) -> KindCache:
        """Return the cache of a kind, also of one that was registered after the server started."""
        prefix = kind_prefix(info)
        cache = self._caches.get(prefix)
        if cache is None:
            cls = self._scheme.type_of(info)
            cache = self._caches[prefix] = KindCache(cls, by_node=info.kind == "Pod" and not info.group)
            cache.load(self._claim(info, cls), self.revision)
        return cache

    def opened(self, watch: CacheWatch) -> None:
        """Count a watch among those that end when the server does."""
        self._watches[watch] = None

    def closed(self, watch: CacheWatch) -> None:
        """Forget a watch."""
        self._watches.pop(watch, None)

    @property
    def watches(self) -> tuple[CacheWatch, ...]:
        """Every open watch."""
        return tuple(self._watches)

    def reserved(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Return the reservations under `prefix` with their owners, as far as the caches know."""
        assert prefix.startswith(RANGES)
        return ((key, kv.value) for key, kv in self._unclaimed.items() if key.startswith(prefix))

    def is_reserved(self, key: bytes) -> bool:
        """Whether a reservation is known; the store has the last word."""
        return key in self._unclaimed

    def wrote(self, key: bytes, record: Record) -> None:
        """Keep a record until the store's watch brings its revision."""
        if record.revision > self.revision:
            self._written[key, record.revision] = record

    async def current(self, info: ResourceInfo, namespace: str, name: str) -> Record | None:
        """Return the newest state of an object, read from the store itself."""
        key = object_key(info, namespace, name)
        with translated():
            kv = await self._store.get(key)
        return None if kv is None else self.record(info, namespace, name, kv)

    def known(self, info: ResourceInfo, namespace: str, name: str) -> Record | None:
        """Return what the caches hold of an object; it may be older than the newest state."""
        return self.cache(info).get(namespace, name)

    def record(self, info: ResourceInfo, namespace: str, name: str, kv: KeyValue) -> Record:
        """Return the record of a key as the store holds it, the shared one if there is one."""
        written = self._written.get((kv.key, kv.mod_revision))
        if written is not None:
            return written
        cached = self.cache(info).get(namespace, name)
        if cached is not None and cached.revision == kv.mod_revision:
            return cached
        return Record(self._scheme.type_of(info), namespace, name, kv.mod_revision, kv.value)

    async def catch_up(self) -> int:
        """Wait until the caches have reached the store's present revision, and return it."""
        with translated():
            revision = (await self._store.range(Range(ROOT))).revision
        await self.wait_for(revision)
        return revision

    async def wait_for(self, revision: int) -> None:
        """Wait until the caches have reached `revision`; raises Timeout when they do not in `READ_WAIT_SECONDS`."""
        if self.revision >= revision:
            return
        reached = anyio.Event()
        self._waiting.append((revision, reached))
        if self._watch is not None:
            self._watch.request_progress()
        with anyio.move_on_after(READ_WAIT_SECONDS):
            await reached.wait()
        if not reached.is_set():
            self._waiting = [entry for entry in self._waiting if entry[1] is not reached]
            raise Timeout(f"Too large resource version: {revision}, current: {self.revision}", retry_after_seconds=1)

    def _take(self, batch: WatchBatch) -> None:
        for event in batch.events:
            self._apply(event)
        self.revision = max(self.revision, batch.revision)
        self._wake_waiting()

    def _apply(self, event: Event) -> None:
        kv = event.kv
        place = split_key(kv.key)
        cache = None if place is None else self._caches.get(place[0])
        if place is None or cache is None:
            self._written.pop((kv.key, kv.mod_revision), None)
            if event.is_delete:
                self._unclaimed.pop(kv.key, None)
            else:
                self._unclaimed[kv.key] = kv
            return
        _, namespace, name = place
        new = None
        if not event.is_delete:
            new = self._written.pop((kv.key, kv.mod_revision), None)
            if new is None:
                new = Record(cache.cls, namespace, name, kv.mod_revision, kv.value)
        cache.apply(kv.mod_revision, namespace, name, new)

    def _claim(self, info: ResourceInfo, cls: type[Object]) -> list[Record]:
        prefix = kind_prefix(info)
        claimed = sorted(key for key in self._unclaimed if key.startswith(prefix))
        records = []
        for key in claimed:
            kv = self._unclaimed.pop(key)
            place = split_key(key)
            if place is not None:
                records.append(Record(cls, place[1], place[2], kv.mod_revision, kv.value))
        return records

    def _wake_waiting(self) -> None:
        if not self._waiting:
            return
        still = []
        for revision, reached in self._waiting:
            if revision <= self.revision:
                reached.set()
            else:
                still.append((revision, reached))
        self._waiting = still
