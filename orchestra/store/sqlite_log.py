"""The log of a `SQLiteStore`: one SQLite file in WAL mode, written by one thread that belongs to it."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, TypeVar

import anyio

from orchestra._log import get_logger
from orchestra.errors import AmbiguousCommit, CommitFailed, StoreClosed, StoreError
from orchestra.store.changes import Change, Contents, LogSize
from orchestra.store.model import KeyValue
from orchestra.store.sqlite_open import WAL_BYTES, SQLiteFile
from orchestra.store.sqlite_schema import (
    Statement,
    append_statements,
    change_rows,
    compact_statement,
    discard_statements,
    newest_id,
)
from orchestra.store.waiting import WorkThread

log = get_logger("store")

CHECKPOINT_BYTES: Final = WAL_BYTES
"""When about so much is in the write-ahead log it is copied into the file as soon as the commit is answered."""

MAX_WAL_BYTES: Final = 16 * WAL_BYTES
"""When it could not be copied for so long, because the disk is full or broken, commits fail until it can."""

IDLE_SECONDS: Final = 0.05
"""After so long without work the write-ahead log is copied into the file."""

PAGES_PER_WRITE: Final = 2
"""Pages of 4 KiB that a small write puts into the log, at the outside; larger ones by their bytes."""

PAGE_BYTES: Final = 4_096

# The fsync itself failed: the kernel may have dropped the pages, so neither outcome can be promised.
_AMBIGUOUS: Final = ("SQLITE_IOERR_FSYNC", "SQLITE_IOERR_DIR_FSYNC")

T = TypeVar("T")


class SQLiteLog:
    """`DurableLog` in the file `path`; `quota_bytes` bounds its size."""

    def __init__(self, path: str | os.PathLike[str], *, quota_bytes: int | None = None) -> None:
        self.path: Final = Path(path)
        self._file: Final = SQLiteFile(self.path, quota_bytes)
        self._thread: WorkThread | None = None
        self._wal_bytes = 0
        """About how much the write-ahead log holds."""
        self._checkpoint_bytes = CHECKPOINT_BYTES
        """At how much it is emptied next; more after it could not be, so that it is not tried after every write."""

    async def open(self, load: Callable[[Contents], T]) -> T:
        """See `DurableLog.open`."""
        self._thread = WorkThread("orchestra store", idle=self._checkpoint, patience=self._patience)
        loaded: T
        # Shielded: what was opened must be known, to be closed again.
        with anyio.CancelScope(shield=True):
            try:
                loaded = await self._thread.run(self._open, load)
            except BaseException:
                await self.close()
                raise
        return loaded

    async def append(self, changes: Sequence[Change]) -> None:
        """See `DurableLog.append`."""
        await self._run(self._append, changes)

    async def compact(self, revision: int) -> None:
        """See `DurableLog.compact`."""
        await self._run(self._write, [compact_statement(revision)], 0)

    async def discard(self, dead: Sequence[KeyValue]) -> None:
        """See `DurableLog.discard`."""
        await self._run(self._discard, dead)

    async def size(self) -> LogSize:
        """See `DurableLog.size`."""
        return await self._run(self._size)

    async def defragment(self) -> None:
        """See `DurableLog.defragment`."""
        await self._run(self._defragment)

    async def close(self) -> None:
        """See `DurableLog.close`."""
        thread, self._thread = self._thread, None
        if thread is not None:
            try:
                await thread.run(self._close)
            finally:
                thread.stop()

    async def _run(self, work: Callable[..., T], *args: object) -> T:
        if self._thread is None:
            raise StoreClosed(f"{self.path} is not open")
        return await self._thread.run(work, *args)

    # In the thread

    def _open(self, load: Callable[[Contents], T]) -> T:
        self._wal_bytes = 0
        return self._file.open(load)

    def _close(self) -> None:
        self._file.close()

    def _append(self, changes: Sequence[Change]) -> None:
        rows = change_rows(changes)
        size = sum(len(row[1]) + len(row[2]) for row in rows)
        self._write(append_statements(rows, changes), size, rows[-1][0] if rows else 0)

    def _discard(self, dead: Sequence[KeyValue]) -> None:
        # Rows that are deleted lie close together, many to a page.
        self._write(discard_statements(dead), sum(len(kv.key) + len(kv.value) for kv in dead))

    def _write(self, statements: Sequence[Statement], size: int, newest: int = 0) -> None:
        """Run statements in one transaction that writes about `size` bytes.

        Raises `CommitFailed` or `AmbiguousCommit`.
        """
        connection = self._connection()
        if self._wal_bytes >= MAX_WAL_BYTES:
            self._checkpoint()
        if self._wal_bytes >= MAX_WAL_BYTES:
            raise CommitFailed(f"{self.path}: its write-ahead log is full and could not be emptied")
        self._wal_bytes += size + PAGES_PER_WRITE * PAGE_BYTES
        try:
            if len(statements) == 1:
                connection.execute(*statements[0])
            else:
                connection.execute("BEGIN IMMEDIATE")
                for statement in statements:
                    connection.execute(*statement)
                connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise self._failed(connection, error) from error
        self._file.newest_id = max(self._file.newest_id, newest)

    def _failed(self, connection: sqlite3.Connection, error: sqlite3.Error) -> StoreError:
        """Bring the file back to before the transaction, and return the error to raise."""
        message = f"{self.path}: {error}"
        if getattr(error, "sqlite_errorname", "") in _AMBIGUOUS:
            return AmbiguousCommit(message)
        try:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            newest = newest_id(connection)
        except sqlite3.Error as second:
            return AmbiguousCommit(f"{message}; then {second}")
        if newest > self._file.newest_id:
            return AmbiguousCommit(f"{message}; it seems to have happened all the same")
        return CommitFailed(message)

    def _patience(self) -> float | None:
        """Return how long to wait for work before the write-ahead log is emptied."""
        if not self._wal_bytes or self._file.connection is None:
            return None
        return 0.0 if self._wal_bytes >= self._checkpoint_bytes else IDLE_SECONDS

    def _checkpoint(self) -> None:
        error = self._file.checkpoint()
        if error is None:
            self._wal_bytes = 0
            self._checkpoint_bytes = CHECKPOINT_BYTES
            return
        if self._checkpoint_bytes == CHECKPOINT_BYTES:
            # Said once, not again with every try.
            log.warning("write-ahead log could not be emptied", path=str(self.path), error=str(error))
        self._checkpoint_bytes = self._wal_bytes + CHECKPOINT_BYTES

    def _connection(self) -> sqlite3.Connection:
        if self._file.connection is None:
            raise StoreClosed(f"{self.path} is not open")
        return self._file.connection

    def _size(self) -> LogSize:
        connection = self._connection()
        try:
            pages, free, page_size = (
                connection.execute(f"PRAGMA {name}").fetchone()[0]
                for name in ("page_count", "freelist_count", "page_size")
            )
        except sqlite3.Error as error:
            raise StoreError(f"{self.path}: {error}") from error
        return LogSize(pages * page_size, (pages - free) * page_size)

    def _defragment(self) -> None:
        connection = self._connection()
        try:
            connection.execute("VACUUM")
        except sqlite3.Error as error:
            raise self._failed(connection, error) from error
        try:
            # VACUUM writes the whole file to the log, which must not stay that large.
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except sqlite3.Error as error:
            log.warning("write-ahead log could not be emptied", path=str(self.path), error=str(error))
            self._wal_bytes += CHECKPOINT_BYTES
        else:
            self._wal_bytes = 0
            self._file.grow_wal()
