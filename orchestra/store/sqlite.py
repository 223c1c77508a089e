"""`SQLiteStore`: a store in one SQLite file."""

from __future__ import annotations

import os
from pathlib import Path

import anyio

from orchestra.clock import Clock
from orchestra.errors import CorruptStore, StoreError
from orchestra.store.changes import Change, Contents, Lease
from orchestra.store.logged import LoggedStore
from orchestra.store.model import Event
from orchestra.store.snapshot import read_snapshot
from orchestra.store.sqlite_log import REPAIR, SQLiteLog


class SQLiteStore(LoggedStore):
    """Durable when a txn returns: SQLite in WAL mode with `synchronous=FULL`, one fsync for all concurrent txns.

    The file `path` belongs to one store object at a time, across processes (`StoreLocked`). Missing directories are
    made with mode 0700, the file with 0600. A damaged file is refused with `CorruptStore` and left as it is.
    `quota_bytes` bounds the file; beyond it txns fail with `CommitFailed` until a compaction makes room.

    All keys and their history since the last compaction are held in memory too, so reads never wait for the disk.
    A million keys of 256 bytes take 0.8 GB of memory and 7 s to open, on two slow cores; both grow in proportion.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, quota_bytes: int | None = None, clock: Clock | None = None
    ) -> None:
        self.path = Path(path)
        super().__init__(SQLiteLog(path, quota_bytes=quota_bytes), clock=clock)

    def _corrupt(self, error: CorruptStore) -> CorruptStore:
        return CorruptStore(f"{self.path} is damaged ({error}); {REPAIR}")


RESTORE_REVISIONS = 1_000_000_000
"""How far a restore raises the revision unless told: more than clients can have seen since the snapshot."""


async def restore_snapshot(
    snapshot: str | os.PathLike[str], path: str | os.PathLike[str], *, raise_revision: int = RESTORE_REVISIONS
) -> int:
    """Make the store file `path`, which must not exist, from a snapshot; return the revision it begins at.

    The revision is raised by `raise_revision`, and everything below is marked as compacted: whoever saw revisions
    that were made after the snapshot must read anew and cannot mistake the old numbers for new ones.
    Raises `CorruptStore` for a torn or altered snapshot, `StoreError` if `path` exists.
    """
    if await anyio.Path(path).exists():
        raise StoreError(f"{path} exists; a snapshot is restored to a new file only")
    held = await anyio.to_thread.run_sync(read_snapshot, snapshot)
    by_revision: dict[int, list[Event]] = {}
    for kv in held.kvs:
        by_revision.setdefault(kv.mod_revision, []).append(Event(kv))
    changes = [Change(revision, tuple(by_revision[revision])) for revision in sorted(by_revision)]
    leases = [Change(0, granted=Lease(lease_id, ttl)) for lease_id, ttl in held.leases.items()]
    revision = held.revision + raise_revision
    log = SQLiteLog(path)
    contents: Contents = await log.open()
    assert not contents.compact_revision
    try:
        await log.append([*leases, *changes])
        await log.compact(revision)
    finally:
        await log.close()
    return revision
