"""`LoggedStore`: the engine behind a durable log, with group commit.

A request is staged at once and waits in the batch that is being filled. While the log writes one batch the next one
fills, so concurrent writers share a transaction and its fsync. When a batch is durable its changes are published in
order, then its requests are answered: nobody sees what could still be lost. An answer that changes nothing but was
decided on top of changes not yet durable waits for them too.

If the log refuses a batch, everything staged is taken back, that batch fails, and what had gathered behind it is
decided anew.
"""

from __future__ import annotations

from asyncio import Future, get_running_loop
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final, Protocol, TypeVar

import anyio
import attrs
from anyio.abc import TaskGroup

from orchestra._log import get_logger
from orchestra.clock import Clock
from orchestra.errors import AmbiguousCommit, CommitFailed, StoreError
from orchestra.store.changes import Change, Contents, LogSize, Staged
from orchestra.store.engine_store import EngineStore
from orchestra.store.model import KeyValue, TxnResult
from orchestra.store.mvcc import Engine
from orchestra.store.waiting import Waiters

T = TypeVar("T")

log = get_logger("store")

MAX_BATCH_REQUESTS: Final = 4_096
"""Requests in one batch; further ones wait until it is being written."""

MAX_BATCH_BYTES: Final = 8 * 1024 * 1024
"""Bytes of keys and values in one batch, but for the last request that still found room."""


class DurableLog(Protocol):
    """Where a `LoggedStore` keeps what it must not lose. Calls come one after another, never two at once.

    Each of `append`, `compact` and `discard` happens whole or not at all and is durable when it returns. It raises
    `CommitFailed` when it did not happen and the log can go on, `AmbiguousCommit` when that is not known.
    """

    async def open(self, load: Callable[[Contents], T]) -> T:
        """Take possession, and return what `load` makes of everything kept.

        Raises `StoreLocked`, `CorruptStore`, `StoreError`, also when `load` does; then nothing kept has been altered.
        """
        ...

    async def append(self, changes: Sequence[Change]) -> None:
        """Keep changes, in order."""
        ...

    async def compact(self, revision: int) -> None:
        """Keep `revision` as the compact revision."""
        ...

    async def discard(self, dead: Sequence[KeyValue]) -> None:
        """Delete versions that nobody can read any more; those gone already are no error."""
        ...

    async def size(self) -> LogSize:
        """Return how large the log is."""
        ...

    async def defragment(self) -> None:
        """Give free space back to the file system."""
        ...

    async def close(self) -> None:
        """Let go; also after an error."""
        ...


@attrs.define(eq=False)
class _Request:
    """One request in a batch, with its answer as it will be when the batch is durable."""

    stage: Callable[[], Staged]
    result: TxnResult | None = None
    change: Change | None = None
    error: StoreError | None = None
    answered: Future[None] | None = None
    """There once the request is in a batch."""

    def decide(self) -> None:
        """Stage it on what is staged now."""
        self.result = self.change = self.error = None
        try:
            staged = self.stage()
        except StoreError as error:
            self.error = error
        else:
            self.result, self.change = staged.result, staged.change

    def answer(self) -> TxnResult:
        if self.error is not None:
            raise self.error
        assert self.result is not None
        return self.result


class _Batch:
    __slots__ = ("requests", "size_bytes")

    def __init__(self) -> None:
        self.requests: list[_Request] = []
        self.size_bytes = 0

    @property
    def full(self) -> bool:
        return len(self.requests) >= MAX_BATCH_REQUESTS or self.size_bytes >= MAX_BATCH_BYTES

    def add(self, request: _Request) -> Future[None]:
        self.requests.append(request)
        if request.change is not None:
            self.size_bytes += sum(len(event.kv.key) + len(event.kv.value) for event in request.change.events)
        request.answered = get_running_loop().create_future()
        return request.answered

    def finish(self) -> None:
        """Answer all, first come, first served."""
        for request in self.requests:
            # One that was cancelled does not wait any more.
            if request.answered is not None and not request.answered.done():
                request.answered.set_result(None)

    def fail(self, kind: type[StoreError], message: str) -> None:
        for request in self.requests:
            request.error = kind(message)
        self.finish()


class LoggedStore(EngineStore):
    """A store that is as durable as its log."""

    def __init__(self, durable_log: DurableLog, *, clock: Clock | None = None) -> None:
        super().__init__(clock=clock)
        self._log = durable_log
        self._filling = _Batch()
        self._writing = anyio.Lock(fast_acquire=True)
        """Held around every call of the log."""
        self._filled = Waiters()
        """The task that commits, while there is nothing to commit."""
        self._taken = Waiters()
        """Requests that wait for room in a batch."""

    async def defragment(self) -> None:
        """See `Store.defragment`; writes wait meanwhile."""
        self._check_open()
        async with self._using_log():
            await self._log.defragment()

    async def _commit(self, stage: Callable[[], Staged]) -> TxnResult:
        self._check_open()
        while self._filling.full:
            await self._taken.wait()
            self._check_open()
        alone = not self._engine.dirty
        request = _Request(stage)
        request.decide()
        if alone and request.change is None:
            return request.answer()
        answered = self._filling.add(request)
        self._filled.wake()
        await answered
        return request.answer()

    def _start(self, tasks: TaskGroup) -> None:
        tasks.start_soon(self._commit_batches)

    async def _commit_batches(self) -> None:
        while self._closed_by is None:
            if not self._filling.requests:
                await self._filled.wait()
            # A batch that was begun is finished: its requests have been decided, and others build on them.
            with anyio.CancelScope(shield=True):
                await self._commit_batch()

    async def _commit_batch(self) -> None:
        async with self._writing:
            if self._closed_by is not None:
                return
            batch, self._filling = self._filling, _Batch()
            self._taken.wake()
            changes = [request.change for request in batch.requests if request.change is not None]
            try:
                if changes:
                    await self._log.append(changes)
            except CommitFailed as error:
                log.warning("commit failed", error=str(error), txns=len(changes))
                self._engine.take_back()
                for request in self._filling.requests:
                    request.decide()
                batch.fail(CommitFailed, str(error))
            except BaseException as error:
                self._break(error, batch)
                if not isinstance(error, StoreError):
                    raise
            else:
                for _ in changes:
                    self._publish()
                batch.finish()

    @asynccontextmanager
    async def _using_log(self) -> AsyncIterator[None]:
        """Call the log, but for `append`. What it leaves unknown closes the store."""
        # A call that was begun is finished, so that what it did is known.
        with anyio.CancelScope(shield=True):
            async with self._writing:
                self._check_open()
                try:
                    yield
                except CommitFailed:
                    raise
                except BaseException as error:
                    self._break(error, _Batch())
                    raise

    def _break(self, error: BaseException, batch: _Batch) -> None:
        """Close: what is on disk is not known any more, and only opening anew can tell."""
        log.error("store closes itself", error=str(error))
        self._closed_by = error if isinstance(error, StoreError) else StoreError(repr(error))
        self._is_open = False
        self._engine.take_back()
        batch.fail(AmbiguousCommit, str(error))
        self._filling.fail(CommitFailed, f"the store closed itself: {error}")
        self._filling = _Batch()
        self._taken.wake()
        self._hub.close(self._closed_error())

    async def _open_log(self) -> Engine:
        self._filling = _Batch()
        return await self._log.open(Engine.load)

    async def _close_log(self) -> None:
        while self._filling.requests and self._closed_by is None:
            await self._commit_batch()
        async with self._writing:
            await self._log.close()

    async def _log_compact(self, revision: int) -> None:
        async with self._using_log():
            await self._log.compact(revision)

    async def _log_discard(self, dead: list[KeyValue]) -> None:
        async with self._using_log():
            await self._log.discard(dead)

    async def _size(self) -> LogSize:
        async with self._writing:
            return await self._log.size()
