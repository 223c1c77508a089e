"""Opening the file of a `SQLiteStore`: whose is it, is it whole, and is it ready to be written.

A file that is refused is left as it is, to the byte. That takes some care after a crash: SQLite copies the
write-ahead log into the file and deletes it when a connection closes, whatever was found wrong. So a file with a
log is first read whole through a connection that cannot write. (But for a disk so full that SQLite cannot make the
index of 32 KiB that reading a log takes.)
"""

from __future__ import annotations

import os
import re
import sqlite3
import struct
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Final, TypeVar
from urllib.parse import quote

from orchestra.errors import CorruptStore, StoreError, StoreLocked
from orchestra.store.changes import Contents
from orchestra.store.file_lock import FileLock
from orchestra.store.sqlite_schema import APPLICATION_ID, MIGRATIONS, migrate, newest_id, read

WAL_BYTES: Final = 4 * 1024 * 1024
"""Size of the write-ahead log, made at once: a commit that need not make the file longer takes half the time."""

STATEMENT_CACHE: Final = 256
"""Prepared statements that are kept: one for each number of rows in an insert."""

REPAIR: Final = "it was left as it is; move it away and restore a snapshot, or start with another file"
"""What to do about a damaged file, for the end of error messages."""

T = TypeVar("T")


class SQLiteFile:
    """The store file `path` while it is open. Used in one thread at a time."""

    def __init__(self, path: Path, quota_bytes: int | None) -> None:
        self.path = path
        self._quota_bytes = quota_bytes
        self._wal = path.with_name(path.name + "-wal")
        self._lock = FileLock(path)
        self._connection: sqlite3.Connection | None = None
        self.newest_id = 0
        """The id of the newest row that is durable."""

    @property
    def connection(self) -> sqlite3.Connection | None:
        """The connection that writes, None when the file is not open."""
        return self._connection

    def open(self, load: Callable[[Contents], T]) -> T:
        """Take the file, and return what `load` makes of its contents. See `DurableLog.open`."""
        try:
            self._make_place()
            self._lock.acquire()
            return self._open(load)
        except CorruptStore as error:
            self.close()
            raise CorruptStore(f"{self.path} is damaged ({error}); {REPAIR}") from error
        except sqlite3.Error as error:
            self.close()
            raise self._opening_error(error) from error
        except OSError as error:
            self.close()
            raise StoreError(f"cannot open {self.path}: {error}") from error
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let go of the file."""
        connection, self._connection = self._connection, None
        try:
            if connection is not None:
                connection.close()
        finally:
            # After the connection: whoever takes the lock must find the file at rest.
            self._lock.release()

    def checkpoint(self) -> sqlite3.Error | None:
        """Copy the write-ahead log into the file, so that the next write begins it anew; return what kept it.

        That is never more than a nuisance, a failed fsync included: what the log holds is durable in the log, and
        the next checkpoint writes all of it again.
        """
        assert self._connection is not None
        try:
            self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        except sqlite3.Error as error:
            return error
        return None

    def grow_wal(self) -> None:
        """Give the write-ahead log its size. A full disk is no error: then it grows as it is written."""
        try:
            with open(self._wal, "r+b", buffering=0) as wal:
                size = wal.seek(0, os.SEEK_END)
                missing = WAL_BYTES - size
                if missing <= 0:
                    return
                try:
                    # SQLite takes zeros for the end of the log: no frame has page number 0.
                    if wal.write(bytes(missing)) == missing:
                        os.fsync(wal.fileno())
                    else:
                        wal.truncate(size)
                except OSError:
                    wal.truncate(size)
        except OSError:
            return

    # Inside

    def _open(self, load: Callable[[Contents], T]) -> T:
        fresh = self._check_files()
        found: list[T] = []
        if not fresh and self._has_log():
            found += self._look(load)
        # The connection is kept here before it is used, so that `close` finds it whatever happens.
        connection = self._connection = sqlite3.connect(
            self.path, timeout=0, isolation_level=None, check_same_thread=False, cached_statements=STATEMENT_CACHE
        )
        # The exclusive mode keeps SQLite's index of the log in memory, and others who open the file out.
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        if not found:
            found.append(self._load(connection, fresh, load))
        self._set_up(connection)
        migrate(connection, _number(connection, "user_version"))
        if not self._lock.marked:
            self._lock.mark()
        # The index of the log that `_look` made. It is nobody's now: this connection has the file to itself.
        self.path.with_name(self.path.name + "-shm").unlink(missing_ok=True)
        self.newest_id = newest_id(connection)
        self.checkpoint()
        self.grow_wal()
        return found[0]

    def _look(self, load: Callable[[Contents], T]) -> list[T]:
        """Load without changing anything; return nothing where that takes more room than the disk has."""
        uri = f"file:{quote(os.fsencode(self.path.absolute()))}?mode=ro"
        reader = sqlite3.connect(uri, uri=True, timeout=0, isolation_level=None, check_same_thread=False)
        try:
            return [self._load(reader, False, load)]
        except sqlite3.Error as error:
            if _name(error).startswith("SQLITE_IOERR_SHM"):
                return []
            raise
        finally:
            reader.close()

    def _load(self, connection: sqlite3.Connection, fresh: bool, load: Callable[[Contents], T]) -> T:
        contents = self._inspect(connection, fresh)
        try:
            return load(contents)
        finally:
            # Else an error that `load` raised in between would keep the connection from closing.
            if isinstance(contents.kvs, Generator):
                contents.kvs.close()

    def _make_place(self) -> None:
        parent = self.path.parent
        missing = [place for place in (parent, *parent.parents) if not place.exists()]
        for place in reversed(missing):
            place.mkdir(mode=0o700, exist_ok=True)
            _sync_directory(place.parent)

    def _check_files(self) -> bool:
        """Return whether the store is a new one; make its file, readable by its owner only."""
        if self.path.exists():
            effective = os.access in os.supports_effective_ids
            if not os.access(self.path, os.R_OK | os.W_OK, effective_ids=effective):
                raise StoreError(f"cannot open {self.path}: it must be readable and writable")
            if self.path.stat().st_size:
                return False
            if self._lock.marked:
                raise CorruptStore("empty although it was a store")
            return True
        if self._wal.exists() and self._has_log():
            raise CorruptStore(f"missing, but its write-ahead log {self._wal} is there")
        self._lock.unmark()
        os.close(os.open(self.path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
        _sync_directory(self.path.parent)
        return True

    def _has_log(self) -> bool:
        """Return whether there is a write-ahead log with something in it."""
        try:
            with open(self._wal, "rb") as wal:
                head = wal.read(_WAL_HEAD.size)
        except FileNotFoundError:
            return False
        if len(head) < _WAL_HEAD.size or not any(head):
            return False
        if not _is_log(head):
            # A disk writes these 32 bytes whole or not at all, and nothing is acknowledged before they are there.
            raise CorruptStore("checksum of the write-ahead log's head")
        return True

    def _inspect(self, connection: sqlite3.Connection, fresh: bool) -> Contents:
        version = _number(connection, "user_version")
        if version > len(MIGRATIONS):
            raise StoreError(
                f"{self.path} has schema version {version}; this program knows versions up to {len(MIGRATIONS)}"
            )
        if fresh:
            return Contents()
        application = _number(connection, "application_id")
        tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        # A file without tables is one whose maker was killed: nothing was ever in it, unless the mark says otherwise.
        if (application != APPLICATION_ID or not version) and (tables or self._lock.marked):
            raise CorruptStore("it is no store, or was emptied")
        verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if verdict != "ok":
            unread = re.search(r"unable to get the page. error code=(\d+)", verdict)
            if unread and int(unread[1]) & 0xFF == sqlite3.SQLITE_IOERR:
                raise StoreError(f"cannot read {self.path}: {verdict}")
            raise CorruptStore(verdict)
        return read(connection, version)

    def _set_up(self, connection: sqlite3.Connection) -> None:
        mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        if mode != "wal":
            raise StoreError(f"{self.path}: its file system does not carry SQLite's write-ahead log")
        connection.execute("PRAGMA synchronous = FULL")
        # A checkpoint inside a commit could fail after the commit has happened; `SQLiteLog` does them in between.
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        connection.execute(f"PRAGMA journal_size_limit = {WAL_BYTES}")
        if self._quota_bytes is not None:
            pages = max(self._quota_bytes // _number(connection, "page_size"), 1)
            connection.execute(f"PRAGMA max_page_count = {pages}")

    def _opening_error(self, error: sqlite3.Error) -> StoreError:
        name = _name(error)
        if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            return StoreLocked(f"{self.path} is in use by a program that opened it with SQLite; stop that one first")
        if name.startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT")):
            return CorruptStore(f"{self.path} is damaged ({error}); {REPAIR}")
        return StoreError(f"cannot open {self.path}: {error} ({name})")


_WAL_HEAD: Final = struct.Struct(">8I")
"""Magic number, format, page size, checkpoint number, two salts, two sums (sqlite.org/walformat.html, WAL Header)."""


def _is_log(head: bytes) -> bool:
    magic, *_, first_sum, second_sum = _WAL_HEAD.unpack(head)
    if magic & ~1 != 0x377F0682:
        return False
    first = second = 0
    words = struct.unpack(">6I" if magic & 1 else "<6I", head[:24])
    for place in range(0, 6, 2):
        first = (first + words[place] + second) & 0xFFFFFFFF
        second = (second + words[place + 1] + first) & 0xFFFFFFFF
    return (first, second) == (first_sum, second_sum)


def _name(error: sqlite3.Error) -> str:
    return str(getattr(error, "sqlite_errorname", ""))


def _number(connection: sqlite3.Connection, pragma: str) -> int:
    return int(connection.execute(f"PRAGMA {pragma}").fetchone()[0])


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
