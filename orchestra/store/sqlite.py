"""`SQLiteStore`: a store in one SQLite file."""

from __future__ import annotations

import os
from pathlib import Path

from orchestra.clock import Clock
from orchestra.store.logged import LoggedStore
from orchestra.store.sqlite_log import SQLiteLog


class SQLiteStore(LoggedStore):
    """Durable when a txn returns: SQLite in WAL mode with `synchronous=FULL`, one fsync for all concurrent txns.

    The file `path` belongs to one store object at a time, across processes (`StoreLocked`). Missing directories are
    made with mode 0700, the file with 0600. A damaged file is refused with `CorruptStore` and left as it is.
    `quota_bytes` bounds the file; beyond it txns fail with `CommitFailed` until a compaction makes room. What every
    fault does, and all bounds: docs/store.md.

    All keys and their history since the last compaction are held in memory too, so reads never wait for the disk.
    A million keys of 256 bytes take 0.8 GB of memory and 7 s to open, on two slow cores; both grow in proportion.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, quota_bytes: int | None = None, clock: Clock | None = None
    ) -> None:
        self.path = Path(path)
        super().__init__(SQLiteLog(path, quota_bytes=quota_bytes), clock=clock)
