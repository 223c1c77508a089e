"""What every store with an `Engine` shares: opening and closing, reads, watches, the time of leases, compaction.

A subclass says how a staged change becomes durable.
"""

from __future__ import annotations

import gc
import os
from abc import abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from functools import partial
from types import TracebackType
from typing import Final, Self

import anyio
from anyio.abc import TaskGroup
from anyio.lowlevel import checkpoint

from orchestra._log import get_logger
from orchestra.clock import Clock, SystemClock
from orchestra.errors import CommitFailed, LeaseNotFound, StoreClosed, StoreError
from orchestra.store.changes import LogSize, Staged
from orchestra.store.deadlines import Deadlines
from orchestra.store.interface import Store
from orchestra.store.model import (
    PROGRESS_SECONDS,
    KeyspaceHash,
    KeyValue,
    LeaseStatus,
    Range,
    RangeResult,
    SnapshotInfo,
    StoreStatus,
    Txn,
    TxnResult,
    WatchRequest,
)
from orchestra.store.mvcc import Engine
from orchestra.store.rules import is_read_only
from orchestra.store.snapshot import write_snapshot
from orchestra.store.watching import OpenWatch, WatchHub

log = get_logger("store")

SWEEP_REVISIONS: Final = 2_000
"""Revisions that a compaction frees at a time; other tasks run in between."""

EXPIRY_RETRY_SECONDS: Final = 1.0
"""After a lease could not be ended because the log refused it, it is tried again this much later."""


@contextmanager
def collector_paused() -> Iterator[None]:
    """Keep the garbage collector from running again and again over objects that are being loaded and all stay."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


class LoopClock(SystemClock):
    """The machine's clock, but monotonic time is the event loop's, which sleeping follows in a simulation too."""

    def monotonic(self) -> float:
        """Seconds of the event loop."""
        return anyio.current_time()


class EngineStore(Store):
    """A store whose state is an `Engine` in this process."""

    def __init__(self, *, clock: Clock | None = None) -> None:
        self._clock = clock or LoopClock()
        self._engine = Engine()
        self._hub = WatchHub(self._engine)
        self._deadlines = Deadlines()
        self._dead: list[KeyValue] = []
        """Versions that the engine has freed and the log could not delete."""
        self._is_open = False
        self._closed_by: StoreError | None = None
        self._tasks: TaskGroup | None = None
        self._compacting = anyio.Lock()
        self._rescheduled = anyio.Event()

    # What a subclass adds

    @abstractmethod
    async def _commit(self, stage: Callable[[], Staged]) -> TxnResult:
        """Stage, make durable, publish, and return the result."""

    async def _open_log(self) -> Engine | None:
        """Return an engine with what was kept; None: the engine as it is."""
        return None

    async def _close_log(self) -> None:
        """Finish what was begun, and let go of the log."""

    async def _log_compact(self, revision: int) -> None:
        """Make the compact revision durable."""

    async def _log_discard(self, dead: list[KeyValue]) -> None:
        """Delete versions that a compaction freed."""

    async def _size(self) -> LogSize:
        """Return how large the log is."""
        return LogSize()

    def _start(self, tasks: TaskGroup) -> None:
        """Start tasks of the subclass."""

    # Life

    async def __aenter__(self) -> Self:
        """Open the store."""
        if self._tasks is not None:
            raise StoreError("the store is open already")
        with collector_paused():
            self._engine = await self._open_log() or self._engine
        self._hub = WatchHub(self._engine)
        self._deadlines = Deadlines()
        for lease in self._engine.leases.values():
            # Nobody could keep it alive while the store was closed, so each gets its whole time again.
            self._deadlines.set(lease.id, self._clock.monotonic() + lease.ttl_seconds)
        self._dead = []
        self._closed_by = None
        self._is_open = True
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        self._tasks.start_soon(self._keep_time)
        self._start(self._tasks)
        try:
            # What a compaction before a restart left behind.
            await self._sweep()
        except BaseException as error:
            await self.__aexit__(type(error), error, error.__traceback__)
            raise
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> bool | None:
        """Refuse new requests, finish those begun, close."""
        self._is_open = False
        tasks = self._tasks
        assert tasks is not None
        self._tasks = None
        try:
            with anyio.CancelScope(shield=True):
                await self._close_log()
        finally:
            self._hub.close(self._closed_error())
            if not isinstance(exc, anyio.get_cancelled_exc_class()):
                # An exception of the body passes by the task group, which would wrap it into an ExceptionGroup. A
                # cancellation does not: possibly it is the group's own doing, because one of its tasks failed.
                exc_type = exc = traceback = None
                tasks.cancel_scope.cancel()
            swallowed = await tasks.__aexit__(exc_type, exc, traceback)
        return swallowed if exc is not None else None

    def _check_open(self) -> None:
        if not self._is_open:
            raise self._closed_error()

    def _closed_error(self) -> StoreError:
        if self._closed_by is not None:
            return StoreClosed(f"the store closed itself: {self._closed_by}")
        return StoreClosed("the store is not open")

    # Keys

    async def range(self, request: Range) -> RangeResult:
        """See `Store.range`."""
        if not self._is_open:
            raise self._closed_error()
        return self._engine.range(request)

    async def txn(self, request: Txn) -> TxnResult:
        """See `Store.txn`."""
        self._check_open()
        if is_read_only(request):
            return self._engine.read(request)
        return await self._commit(partial(self._engine.stage, request))

    def watch(self, request: WatchRequest) -> AbstractAsyncContextManager[OpenWatch]:
        """See `Store.watch`."""
        self._check_open()
        return OpenWatch(self._hub, request)

    # Leases

    async def lease_grant(self, ttl_seconds: int, lease_id: int = 0) -> LeaseStatus:
        """See `Store.lease_grant`."""
        self._check_open()
        chosen = lease_id
        while not chosen or (not lease_id and chosen in self._engine.leases):
            chosen = self._clock.random.getrandbits(62)
        await self._commit(partial(self._engine.stage_grant, chosen, ttl_seconds))
        return LeaseStatus(chosen, ttl_seconds, ttl_seconds)

    async def lease_keep_alive(self, lease_id: int) -> LeaseStatus:
        """See `Store.lease_keep_alive`."""
        self._check_open()
        lease = self._engine.lease(lease_id)
        self._extend(lease_id, lease.ttl_seconds)
        return LeaseStatus(lease_id, lease.ttl_seconds, lease.ttl_seconds)

    async def lease_revoke(self, lease_id: int) -> int:
        """See `Store.lease_revoke`."""
        self._check_open()
        return (await self._commit(partial(self._engine.stage_revoke, lease_id))).revision

    async def lease_status(self, lease_id: int, *, keys: bool = False) -> LeaseStatus:
        """See `Store.lease_status`."""
        self._check_open()
        lease = self._engine.published_lease(lease_id)
        remaining = self._deadlines.remaining_seconds(lease_id, self._clock.monotonic())
        return LeaseStatus(lease_id, lease.ttl_seconds, remaining, tuple(sorted(lease.keys)) if keys else ())

    async def leases(self) -> tuple[int, ...]:
        """See `Store.leases`."""
        self._check_open()
        return tuple(sorted(self._engine.published_leases()))

    def _publish(self) -> None:
        """Let everybody see the oldest staged change. A lease's time begins here: its caller may be gone by now."""
        change = self._engine.publish()
        if change.granted is not None:
            self._extend(change.granted.id, change.granted.ttl_seconds)
        if change.revoked is not None:
            self._deadlines.drop(change.revoked.id)
        if change.events:
            self._hub.publish(change.events)

    def _extend(self, lease_id: int, ttl_seconds: int) -> None:
        deadline = self._clock.monotonic() + ttl_seconds
        earliest = self._deadlines.next()
        self._deadlines.set(lease_id, deadline)
        if earliest is None or deadline < earliest:
            self._rescheduled.set()

    async def _keep_time(self) -> None:
        """End leases whose time is over, and tell quiet watchers how far things are."""
        tick = self._clock.monotonic() + PROGRESS_SECONDS
        while self._is_open:
            now = self._clock.monotonic()
            for lease_id in self._deadlines.take_over(now):
                # One that was kept alive while those before it were being ended has its whole time again.
                if not self._deadlines.remaining_seconds(lease_id, self._clock.monotonic()):
                    await self._expire(lease_id)
            if now >= tick:
                self._hub.tick()
                tick = now + PROGRESS_SECONDS
            wake = min(tick, self._deadlines.next() or tick)
            self._rescheduled = anyio.Event()
            with anyio.move_on_after(max(wake - self._clock.monotonic(), 0.001)):
                await self._rescheduled.wait()

    async def _expire(self, lease_id: int) -> None:
        try:
            await self._commit(partial(self._engine.stage_revoke, lease_id))
            log.info("lease expired", lease=lease_id)
        except LeaseNotFound:
            log.debug("lease was revoked as it expired", lease=lease_id)
        except CommitFailed as error:
            log.warning("lease could not be ended", lease=lease_id, error=str(error))
            self._deadlines.set(lease_id, self._clock.monotonic() + EXPIRY_RETRY_SECONDS)
        except StoreClosed:
            log.debug("lease was to end as the store closed", lease=lease_id)
        except StoreError as error:
            log.error("lease could not be ended", lease=lease_id, error=str(error))

    # Maintenance

    async def compact(self, revision: int) -> None:
        """See `Store.compact`."""
        self._check_open()
        async with self._compacting:
            self._engine.check_compact(revision)
            await self._log_compact(revision)
            self._engine.compact(revision)
            await self._sweep()
        log.info("store compacted", revision=revision)

    async def _sweep(self) -> None:
        """Free what is dead. What the log cannot delete now waits for the next compaction or the next opening."""
        while (dead := self._engine.sweep(SWEEP_REVISIONS)) is not None:
            self._dead += dead
            if self._dead:
                try:
                    await self._log_discard(self._dead)
                except CommitFailed as error:
                    log.warning("dead versions could not be deleted", versions=len(self._dead), error=str(error))
                else:
                    self._dead = []
            await checkpoint()

    async def status(self) -> StoreStatus:
        """See `Store.status`."""
        self._check_open()
        size = await self._size()
        engine = self._engine
        return StoreStatus(
            revision=engine.revision,
            compact_revision=engine.compact_revision,
            keys=engine.keys,
            size_bytes=size.size_bytes,
            in_use_bytes=size.in_use_bytes,
        )

    async def hash(self, revision: int = 0) -> KeyspaceHash:
        """See `Store.hash`."""
        self._check_open()
        return self._engine.hash(revision)

    async def defragment(self) -> None:
        """See `Store.defragment`; memory needs none."""
        self._check_open()

    async def snapshot(self, path: str | os.PathLike[str]) -> SnapshotInfo:
        """See `Store.snapshot`."""
        self._check_open()
        engine = self._engine
        kvs = tuple(engine.contents())
        leases = engine.published_leases()
        # The values are immutable, so the thread sees one revision whatever happens meanwhile.
        return await anyio.to_thread.run_sync(write_snapshot, path, engine.revision, kvs, leases)
