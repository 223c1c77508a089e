"""The contract of a store: etcd v3's data model and guarantees as a Python protocol.

A store is one flat, ordered keyspace of bytes. Every change of it has a revision, a number that grows by one per
changing txn and is never used twice. An empty store is at revision 1, so that the first change is revision 2.

- A txn is atomic and serializable, and when it returns it is as durable as the store is at all. All its changes
  carry one revision. Nothing of it is seen by anybody before that.
- A range reads one revision, the current one or a past one that has not been compacted.
- A watch is ordered (events come in revision order), unique (no event twice), reliable (none is left out while the
  watch lives), atomic (all events of a revision come in one batch), resumable (from the revision after the last
  batch, also over restarts) and bookmarkable (a batch without events says how far all is known).

Reading and then watching without a gap:

    found = await store.range(Range(b"/pods/", prefix_end(b"/pods/")))
    request = WatchRequest(b"/pods/", prefix_end(b"/pods/"), start_revision=found.revision + 1)
    async with store.watch(request) as watch:
        async for batch in watch:
            ...

Semantics follow the etcd API reference (etcd.io/docs/v3.6/learning/api and .../api_guarantees). The values are in
`model.py`, the errors are the `StoreError` branch of `orchestra.errors`.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Protocol, Self

from orchestra.store.model import (
    Delete,
    DeleteResult,
    KeyspaceHash,
    KeyValue,
    LeaseStatus,
    Put,
    PutResult,
    Range,
    RangeResult,
    SnapshotInfo,
    StoreStatus,
    Txn,
    TxnResult,
    WatchBatch,
    WatchRequest,
)


class Watch(Protocol):
    """An open watch: iterate it. Made by `Store.watch`; for one task at a time.

    Iteration raises `WatchOverflow` when the reader was too slow (watch again from the last `revision + 1`),
    `Compacted` when that history is gone (range again), `StoreClosed` when the store closes. It never just ends.
    """

    @property
    def revision(self) -> int:
        """The store's revision when the watch was opened."""
        ...

    def __aiter__(self) -> AsyncIterator[WatchBatch]: ...

    async def __anext__(self) -> WatchBatch:
        """Wait for the next batch; what has gathered since the last call comes in one."""
        ...

    def request_progress(self) -> None:
        """Ask for a batch, without events if need be, that says how far this watch has come."""
        ...


class Store(Protocol):
    """Where it is kept. `async with store:` opens and closes; a constructor only configures.

    Opening can raise `StoreLocked` and `CorruptStore`. Before and after, every method raises `StoreClosed`, which says
    that nothing happened: a write that is under way when the store closes is finished or says `AmbiguousCommit`.
    An implementation that derives from this class inherits `get`, `put` and `delete`; to prove yours, run
    `orchestra.testing.StoreConformance` on it.
    """

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> bool | None: ...

    async def range(self, request: Range) -> RangeResult:
        """Read keys of one revision. Raises `Compacted`, `FutureRevision`, `InvalidTxn` for an empty key."""
        ...

    async def txn(self, request: Txn) -> TxnResult:
        """Decide and change, atomically and durably.

        Raises `InvalidTxn`, `StaleFence`, `LeaseNotFound`; `CommitFailed` when nothing happened and `AmbiguousCommit`
        when that is not known. A cancelled call may still happen.
        """
        ...

    def watch(self, request: WatchRequest) -> AbstractAsyncContextManager[Watch]:
        """Open a watch. Entering raises `Compacted` when `start_revision` is below the compact revision."""
        ...

    async def compact(self, revision: int) -> None:
        """Forget what only revisions below `revision` can see, and give its space back for use.

        Raises `Compacted` when that was done already, `FutureRevision` when `revision` is beyond the current one.
        """
        ...

    async def lease_grant(self, ttl_seconds: int, lease_id: int = 0) -> LeaseStatus:
        """Make a lease that ends unless kept alive. Id 0: the store chooses. Raises `LeaseExists`, `InvalidTxn`."""
        ...

    async def lease_keep_alive(self, lease_id: int) -> LeaseStatus:
        """Give the lease its whole time again. Raises `LeaseNotFound`."""
        ...

    async def lease_revoke(self, lease_id: int) -> int:
        """End the lease; its keys are deleted in one revision. Returns the revision. Raises `LeaseNotFound`."""
        ...

    async def lease_status(self, lease_id: int, *, keys: bool = False) -> LeaseStatus:
        """Return what is left of the lease, with its keys if asked. Raises `LeaseNotFound`."""
        ...

    async def leases(self) -> tuple[int, ...]:
        """Return the ids of all leases, in order."""
        ...

    async def status(self) -> StoreStatus:
        """Return revisions and sizes."""
        ...

    async def hash(self, revision: int = 0) -> KeyspaceHash:
        """Hash the history up to `revision` (0: the current one). Raises `Compacted`, `FutureRevision`."""
        ...

    async def defragment(self) -> None:
        """Give space that compaction freed back to the file system."""
        ...

    async def snapshot(self, path: str | os.PathLike[str]) -> SnapshotInfo:
        """Write the current keys and leases to a new file; appears whole or not at all. Raises `OSError`."""
        ...

    async def get(self, key: bytes, *, revision: int = 0) -> KeyValue | None:
        """Return one key, None when it does not exist."""
        kvs = (await self.range(Range(key, revision=revision))).kvs
        return kvs[0] if kvs else None

    async def put(self, key: bytes, value: bytes, *, lease: int = 0) -> PutResult:
        """Write one key."""
        result = (await self.txn(Txn(success=(Put(key, value, lease=lease),)))).results[0]
        assert isinstance(result, PutResult)
        return result

    async def delete(self, key: bytes, range_end: bytes = b"") -> DeleteResult:
        """Delete one key or a range of them."""
        result = (await self.txn(Txn(success=(Delete(key, range_end),)))).results[0]
        assert isinstance(result, DeleteResult)
        return result
