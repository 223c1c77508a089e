"""The log of a `SQLiteStore`: one SQLite file in WAL mode, written by one thread.

Every change of a key is a row, so a txn is an append. The row's id is revision and position in it, which keeps the
table in the order in which it is read back. Each row carries a checksum, because SQLite has none for its pages.
"""

from __future__ import annotations

import os
import sqlite3
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import anyio

from orchestra.errors import AmbiguousCommit, CommitFailed, CorruptStore, StoreClosed, StoreError, StoreLocked
from orchestra.store.changes import Change, Contents, LogSize
from orchestra.store.file_lock import FileLock
from orchestra.store.model import KeyValue

APPLICATION_ID: Final = 0x4F726368
"""Says in the file's header that it is a store ("Orch")."""

MIGRATIONS: Final[tuple[tuple[str, ...], ...]] = (
    (
        """CREATE TABLE changes (
            id INTEGER PRIMARY KEY, key BLOB NOT NULL, value BLOB NOT NULL, create_revision INTEGER NOT NULL,
            version INTEGER NOT NULL, lease INTEGER NOT NULL, crc INTEGER NOT NULL)""",
        "CREATE TABLE leases (id INTEGER PRIMARY KEY, ttl_seconds INTEGER NOT NULL)",
        "CREATE TABLE numbers (name TEXT PRIMARY KEY, value INTEGER NOT NULL)",
        "INSERT INTO numbers VALUES ('compact_revision', 0)",
    ),
)
"""Statement groups; group n brings a file of schema version n to version n + 1."""

POSITION_BITS: Final = 24
"""Bits of a row's id that number the changes within one revision; the others are the revision."""

WAL_PAGES: Final = 4_000
"""Pages in the write-ahead log after which it is copied into the file; bounds its size, and the work on opening."""

_CRC_HEAD = struct.Struct("<qqqq")

# The fsync itself failed: the kernel may have dropped the pages, so neither outcome can be promised.
_AMBIGUOUS: Final = ("SQLITE_IOERR_FSYNC", "SQLITE_IOERR_DIR_FSYNC")
REPAIR: Final = "it was left as it is; move it away and restore a snapshot, or start with another file"
"""What to do about a damaged file, for the end of error messages."""

T = TypeVar("T")


class SQLiteLog:
    """`DurableLog` in the file `path`; `quota_bytes` bounds its size."""

    def __init__(self, path: str | os.PathLike[str], *, quota_bytes: int | None = None) -> None:
        self.path = Path(path)
        self._quota_bytes = quota_bytes
        self._lock: FileLock | None = None
        self._connection: sqlite3.Connection | None = None
        self._limiter: anyio.CapacityLimiter | None = None
        self._last_id = 0
        """The id of the newest row that is durable."""

    async def open(self) -> Contents:
        """See `DurableLog.open`."""
        self._limiter = anyio.CapacityLimiter(1)
        return await self._run(self._open)

    async def append(self, changes: Sequence[Change]) -> None:
        """See `DurableLog.append`."""
        await self._run(self._append, changes)

    async def compact(self, revision: int) -> None:
        """See `DurableLog.compact`."""
        await self._run(self._write, [("UPDATE numbers SET value = ? WHERE name = 'compact_revision'", [(revision,)])])

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
        await self._run(self._close)

    async def _run(self, work: Callable[..., T], *args: Any) -> T:
        return await anyio.to_thread.run_sync(work, *args, limiter=self._limiter)

    # In the thread: opening

    def _open(self) -> Contents:
        try:
            self._make_place()
            self._lock = FileLock(self.path)
            self._lock.acquire()
            fresh = self._check_files(self._lock)
            connection = self._connection = self._connect()
            self._migrate(connection, self._lock, fresh)
            return self._read(connection)
        except sqlite3.DatabaseError as error:
            self._close()
            raise self._opening_error(error) from error
        except OSError as error:
            self._close()
            raise StoreError(f"cannot open {self.path}: {error}") from error
        except BaseException:
            self._close()
            raise

    def _opening_error(self, error: sqlite3.DatabaseError) -> StoreError:
        name = getattr(error, "sqlite_errorname", "")
        if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            return StoreLocked(f"{self.path} is in use by a program that opened it with SQLite; stop that one first")
        if name.startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT")):
            return CorruptStore(f"{self.path} is damaged ({error}); {REPAIR}")
        return StoreError(f"cannot open {self.path}: {error}")

    def _make_place(self) -> None:
        parent = self.path.parent
        missing = [place for place in (parent, *parent.parents) if not place.exists()]
        for place in reversed(missing):
            place.mkdir(mode=0o700, exist_ok=True)
            _sync_directory(place.parent)

    def _check_files(self, lock: FileLock) -> bool:
        """Return whether the store is a new one; make its file, readable by its owner only."""
        wal = self.path.with_name(self.path.name + "-wal")
        if self.path.exists():
            if self.path.stat().st_size:
                return False
            if lock.marked:
                raise CorruptStore(f"{self.path} is empty although it was a store; {REPAIR}")
            return True
        if wal.exists() and wal.stat().st_size:
            raise CorruptStore(f"{self.path} is missing, but its write-ahead log {wal} is there; {REPAIR}")
        lock.unmark()
        os.close(os.open(self.path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
        _sync_directory(self.path.parent)
        return True

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=0, isolation_level=None, check_same_thread=False)
        self._connection = connection
        # The exclusive mode keeps SQLite's index of the WAL in memory, and others who open the file out.
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        if mode != "wal":
            raise StoreError(f"{self.path}: its file system does not carry SQLite's write-ahead log")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA wal_autocheckpoint = {WAL_PAGES}")
        if self._quota_bytes is not None:
            page_size = connection.execute("PRAGMA page_size").fetchone()[0]
            connection.execute(f"PRAGMA max_page_count = {max(self._quota_bytes // page_size, 1)}")
        return connection

    def _migrate(self, connection: sqlite3.Connection, lock: FileLock, fresh: bool) -> None:
        application = connection.execute("PRAGMA application_id").fetchone()[0]
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if version > len(MIGRATIONS):
            raise StoreError(
                f"{self.path} has schema version {version}; this program knows versions up to {len(MIGRATIONS)}"
            )
        # A file without tables is one whose maker was killed: nothing was ever in it, unless the mark says otherwise.
        if not fresh and (application != APPLICATION_ID or not version) and (tables or lock.marked):
            raise CorruptStore(f"{self.path} is no store, or was emptied; {REPAIR}")
        if not fresh:
            self._check_integrity(connection)
        if version < len(MIGRATIONS):
            connection.execute("BEGIN EXCLUSIVE")
            for statements in MIGRATIONS[version:]:
                for statement in statements:
                    connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
            connection.execute("COMMIT")
        if not lock.marked:
            lock.mark()

    def _check_integrity(self, connection: sqlite3.Connection) -> None:
        found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if found != "ok":
            raise CorruptStore(f"{self.path} is damaged ({found}); {REPAIR}")

    def _read(self, connection: sqlite3.Connection) -> Contents:
        compact = connection.execute("SELECT value FROM numbers WHERE name = 'compact_revision'").fetchone()
        if compact is None:
            raise CorruptStore(f"{self.path} is damaged (no compact revision); {REPAIR}")
        leases = connection.execute("SELECT id, ttl_seconds FROM leases").fetchall()
        return Contents(list(self._rows(connection)), leases, compact[0])

    def _rows(self, connection: sqlite3.Connection) -> Iterator[KeyValue]:
        crc_head = _CRC_HEAD.pack
        crc32 = zlib.crc32
        row_id = 0
        for row_id, key, value, create_revision, version, lease, crc in connection.execute(
            "SELECT id, key, value, create_revision, version, lease, crc FROM changes ORDER BY id"
        ):
            if crc32(value, crc32(key, crc32(crc_head(row_id, create_revision, version, lease)))) != crc:
                raise CorruptStore(f"{self.path} is damaged (checksum of row {row_id}); {REPAIR}")
            yield KeyValue(key, value, create_revision, row_id >> POSITION_BITS, version, lease)
        self._last_id = row_id

    # In the thread: writing

    def _append(self, changes: Sequence[Change]) -> None:
        rows: list[tuple[Any, ...]] = []
        statements: list[tuple[str, list[tuple[Any, ...]]]] = []
        crc_head = _CRC_HEAD.pack
        crc32 = zlib.crc32
        row_id = self._last_id
        for change in changes:
            row_id = (change.revision << POSITION_BITS) - 1 if change.events else row_id
            for event in change.events:
                kv = event.kv
                row_id += 1
                crc = crc32(kv.value, crc32(kv.key, crc32(crc_head(row_id, kv.create_revision, kv.version, kv.lease))))
                rows.append((row_id, kv.key, kv.value, kv.create_revision, kv.version, kv.lease, crc))
            if change.granted is not None:
                granted = (change.granted.id, change.granted.ttl_seconds)
                statements.append(("INSERT INTO leases VALUES (?, ?)", [granted]))
            if change.revoked is not None:
                statements.append(("DELETE FROM leases WHERE id = ?", [(change.revoked.id,)]))
        self._write([("INSERT INTO changes VALUES (?, ?, ?, ?, ?, ?, ?)", rows), *statements])
        self._last_id = row_id

    def _discard(self, dead: Sequence[KeyValue]) -> None:
        by_revision: dict[int, set[bytes]] = {}
        for kv in dead:
            by_revision.setdefault(kv.mod_revision, set()).add(kv.key)
        connection = self._open_connection()
        doomed: list[tuple[int]] = []
        for revision, keys in by_revision.items():
            first = revision << POSITION_BITS
            rows = connection.execute(
                "SELECT id, key FROM changes WHERE id >= ? AND id < ?", (first, first + (1 << POSITION_BITS))
            )
            doomed += [(row_id,) for row_id, key in rows if key in keys]
        self._write([("DELETE FROM changes WHERE id = ?", doomed)])

    def _write(self, statements: Sequence[tuple[str, list[tuple[Any, ...]]]]) -> None:
        """Run statements in one transaction. Raises `CommitFailed` or `AmbiguousCommit`."""
        connection = self._open_connection()
        try:
            connection.execute("BEGIN IMMEDIATE")
            for statement, rows in statements:
                if rows:
                    connection.executemany(statement, rows)
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise self._failed(connection, error) from error

    def _failed(self, connection: sqlite3.Connection, error: sqlite3.Error) -> StoreError:
        """Bring the file back to before the transaction, and return the error to raise."""
        message = f"{self.path}: {error}"
        if getattr(error, "sqlite_errorname", "") in _AMBIGUOUS:
            return AmbiguousCommit(message)
        try:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            newest = connection.execute("SELECT max(id) FROM changes").fetchone()[0] or 0
        except sqlite3.Error as second:
            return AmbiguousCommit(f"{message}; then {second}")
        if newest > self._last_id:
            return AmbiguousCommit(f"{message}; it seems to have happened all the same")
        return CommitFailed(message)

    def _open_connection(self) -> sqlite3.Connection:
        if self._connection is None:
            raise StoreClosed(f"{self.path} is not open")
        return self._connection

    # In the thread: care

    def _size(self) -> LogSize:
        connection = self._open_connection()
        try:
            pages = connection.execute("PRAGMA page_count").fetchone()[0]
            free = connection.execute("PRAGMA freelist_count").fetchone()[0]
            page_size = connection.execute("PRAGMA page_size").fetchone()[0]
        except sqlite3.Error as error:
            raise StoreError(f"{self.path}: {error}") from error
        return LogSize(pages * page_size, (pages - free) * page_size)

    def _defragment(self) -> None:
        connection = self._open_connection()
        try:
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.Error as error:
            raise self._failed(connection, error) from error

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        try:
            if connection is not None:
                connection.close()
        finally:
            # After the connection: whoever takes the lock must find the file at rest.
            lock, self._lock = self._lock, None
            if lock is not None:
                lock.release()


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
