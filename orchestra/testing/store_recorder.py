"""`Recorder`: calls a store and keeps what was asked, answered and told, as a `History`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import attrs

from orchestra.errors import AmbiguousCommit, StoreError
from orchestra.store import Range, RangeResult, Store, Txn, TxnResult, Watch, WatchBatch, WatchRequest
from orchestra.testing.linearizability import Operation
from orchestra.testing.store_history import Compact, History, Received, Revoke, WatchRecord

EVERYTHING = (b"\x00", b"\x00")
"""Key and range end of the whole keyspace."""


class Recorder:
    """Records any number of clients of one store, also while it is closed and opened again.

    Moments are numbers that only grow; they are taken just before a call and just after its answer.
    """

    def __init__(self) -> None:
        self.operations: list[Operation] = []
        self.watches: list[OpenRecord] = []
        self._moment = 0
        self._begin: RangeResult | None = None
        self._compact_revision = 0

    async def begin(self, store: Store) -> None:
        """Look at what the store holds before the first recorded call."""
        self._compact_revision = (await store.status()).compact_revision
        self._begin = await store.range(Range(*EVERYTHING))

    def history(self) -> History:
        """Return what was recorded so far."""
        assert self._begin is not None, "call begin() first"
        return History(
            tuple(self.operations),
            tuple(watch.record for watch in self.watches),
            self._begin.revision,
            self._begin.kvs,
            self._compact_revision,
        )

    def moment(self) -> float:
        """Return the next moment."""
        self._moment += 1
        return float(self._moment)

    async def range(self, client: str, store: Store, request: Range) -> RangeResult:
        """Do and record `Store.range`."""
        answer: RangeResult = await self._call(client, request, lambda: store.range(request))
        return answer

    async def txn(self, client: str, store: Store, request: Txn) -> TxnResult:
        """Do and record `Store.txn`."""
        answer: TxnResult = await self._call(client, request, lambda: store.txn(request))
        return answer

    async def compact(self, client: str, store: Store, revision: int) -> None:
        """Do and record `Store.compact`."""
        await self._call(client, Compact(revision), lambda: store.compact(revision))

    async def revoke(self, client: str, store: Store, lease: int) -> int:
        """Do and record `Store.lease_revoke`."""
        answer: int = await self._call(client, Revoke(lease), lambda: store.lease_revoke(lease))
        return answer

    async def grant(self, client: str, store: Store, ttl_seconds: int) -> int:
        """Do `Store.lease_grant`, and record that the lease can end by itself from now on; return its id."""
        called = self.moment()
        lease = await store.lease_grant(ttl_seconds)
        self.operations.append(Operation(client, Revoke(lease.id), None, called, None))
        return lease.id

    async def _call(self, client: str, request: Any, call: Callable[[], Any]) -> Any:
        called = self.moment()
        try:
            answer = await call()
        except AmbiguousCommit:
            self.operations.append(Operation(client, request, None, called, None))
            raise
        except StoreError as error:
            self.operations.append(Operation(client, request, error, called, self.moment()))
            raise
        except BaseException:
            # Cancelled, or a fault of the store: it may have happened.
            self.operations.append(Operation(client, request, None, called, None))
            raise
        self.operations.append(Operation(client, request, answer, called, self.moment()))
        return answer

    @asynccontextmanager
    async def watch(self, client: str, store: Store, request: WatchRequest) -> AsyncIterator[OpenRecord]:
        """Open a watch and record what it tells through `OpenRecord.next`."""
        called, opened = self.moment(), False
        try:
            async with store.watch(request) as watch:
                record = OpenRecord(self, watch, WatchRecord(client, request, called, self.moment(), watch.revision))
                self.watches.append(record)
                opened = True
                yield record
        except StoreError as error:
            if not opened:
                now = self.moment()
                refused = WatchRecord(client, request, called, now, None, error=error, ended=now)
                self.watches.append(OpenRecord(self, None, refused))
            raise


class OpenRecord:
    """An open watch, and the record of it so far."""

    def __init__(self, recorder: Recorder, watch: Watch | None, record: WatchRecord) -> None:
        self._recorder = recorder
        self._watch = watch
        self._record = record
        self._received: list[Received] = []

    @property
    def record(self) -> WatchRecord:
        """The record up to now."""
        return attrs.evolve(self._record, received=tuple(self._received))

    @property
    def reached(self) -> int:
        """The revision up to which this watch has told everything."""
        return self._received[-1].batch.revision if self._received else self._record.start - 1

    async def next(self) -> WatchBatch:
        """Wait for the next batch and record it, or the error that ends the watch."""
        assert self._watch is not None
        try:
            batch = await self._watch.__anext__()
        except StoreError as error:
            self._record = attrs.evolve(self._record, error=error, ended=self._recorder.moment())
            raise
        self._received.append(Received(self._recorder.moment(), batch))
        return batch

    def request_progress(self) -> None:
        """See `Watch.request_progress`."""
        assert self._watch is not None
        self._watch.request_progress()
