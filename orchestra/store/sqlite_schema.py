"""What is in the file of a `SQLiteStore`: tables, their versions, and rows with a checksum each.

Every change of a key is a row, so a txn is an append. The row's id is revision and position in it, which keeps the
table in the order in which it is read back. Rows carry checksums because SQLite has none for its pages.
"""

from __future__ import annotations

import sqlite3
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any, Final, TypeAlias

from orchestra.errors import CorruptStore
from orchestra.store.changes import Change, Contents
from orchestra.store.model import KeyValue

APPLICATION_ID: Final = 0x4F726368
"""Says in the file's header that it is a store ("Orch")."""

POSITION_BITS: Final = 24
"""Bits of a row's id that number the changes within one revision; the others are the revision."""

ROWS_PER_STATEMENT: Final = 128
"""Most rows that one statement carries: with 7 values each, within what every build of SQLite allows."""

BYTES_PER_STATEMENT: Final = 4 * 1024 * 1024
"""About how much one statement carries, because SQLite copies it."""

Row: TypeAlias = tuple[Any, ...]

_CRC_HEAD: Final = struct.Struct("<qqqq")
_CRC_PAIR: Final = struct.Struct("<qq")


def pair_crc(name: int, value: int) -> int:
    """Return the checksum of a row of two numbers; a number that has a name goes by 0."""
    return zlib.crc32(_CRC_PAIR.pack(name, value))


def _add_checksums(connection: sqlite3.Connection) -> None:
    leases = connection.execute("SELECT id, ttl_seconds FROM leases").fetchall()
    revision = connection.execute("SELECT value FROM numbers WHERE name = 'compact_revision'").fetchone()
    if revision is None:
        raise CorruptStore("no compact revision")
    for table in ("leases", "numbers"):
        connection.execute(f"ALTER TABLE {table} ADD COLUMN crc INTEGER NOT NULL DEFAULT 0")
    for lease_id, ttl_seconds in leases:
        connection.execute("UPDATE leases SET crc = ? WHERE id = ?", (pair_crc(lease_id, ttl_seconds), lease_id))
    connection.execute(*compact_statement(revision[0]))


Step: TypeAlias = str | Callable[[sqlite3.Connection], None]

MIGRATIONS: Final[tuple[tuple[Step, ...], ...]] = (
    (
        """CREATE TABLE changes (
            id INTEGER PRIMARY KEY, key BLOB NOT NULL, value BLOB NOT NULL, create_revision INTEGER NOT NULL,
            version INTEGER NOT NULL, lease INTEGER NOT NULL, crc INTEGER NOT NULL)""",
        "CREATE TABLE leases (id INTEGER PRIMARY KEY, ttl_seconds INTEGER NOT NULL)",
        "CREATE TABLE numbers (name TEXT PRIMARY KEY, value INTEGER NOT NULL)",
        "INSERT INTO numbers VALUES ('compact_revision', 0)",
    ),
    (_add_checksums,),
)
"""Groups of statements or functions; group n brings a file of schema version n to version n + 1."""


def migrate(connection: sqlite3.Connection, version: int) -> None:
    """Bring a file of schema `version` to the newest one, whole or not at all."""
    if version == len(MIGRATIONS):
        return
    connection.execute("BEGIN EXCLUSIVE")
    for steps in MIGRATIONS[version:]:
        for step in steps:
            if isinstance(step, str):
                connection.execute(step)
            else:
                step(connection)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
    connection.execute("COMMIT")


# Reading


def read(connection: sqlite3.Connection, version: int) -> Contents:
    """Return what a file of schema `version` holds; its keys are read as they are asked for.

    Raises `CorruptStore` here or there if a checksum is wrong.
    """
    if version == 0:
        return Contents()
    checked = version >= 2
    numbers = connection.execute("SELECT * FROM numbers WHERE name = 'compact_revision'").fetchall()
    if len(numbers) != 1:
        raise CorruptStore("no compact revision")
    revision = numbers[0][1]
    if checked and pair_crc(0, revision) != numbers[0][2]:
        raise CorruptStore("checksum of the compact revision")
    leases: list[tuple[int, int]] = []
    for lease_id, ttl_seconds, *crc in connection.execute("SELECT * FROM leases ORDER BY id"):
        if checked and pair_crc(lease_id, ttl_seconds) != crc[0]:
            raise CorruptStore(f"checksum of lease {lease_id}")
        leases.append((lease_id, ttl_seconds))
    return Contents(_read_keys(connection), leases, revision)


def _read_keys(connection: sqlite3.Connection) -> Iterator[KeyValue]:
    crc_head = _CRC_HEAD.pack
    crc32 = zlib.crc32
    rows = connection.execute("SELECT id, key, value, create_revision, version, lease, crc FROM changes ORDER BY id")
    try:
        for row_id, key, value, create_revision, version, lease, crc in rows:
            if crc32(value, crc32(key, crc32(crc_head(row_id, create_revision, version, lease)))) != crc:
                raise CorruptStore(f"checksum of row {row_id}")
            yield KeyValue(key, value, create_revision, row_id >> POSITION_BITS, version, lease)
    finally:
        rows.close()


def newest_id(connection: sqlite3.Connection) -> int:
    """Return the id of the newest row, 0 without one."""
    return int(connection.execute("SELECT max(id) FROM changes").fetchone()[0] or 0)


# Writing

Statement: TypeAlias = tuple[str, Sequence[Any]]


def change_rows(changes: Iterable[Change]) -> list[Row]:
    """Return the rows of the keys that changed."""
    rows: list[Row] = []
    crc_head = _CRC_HEAD.pack
    crc32 = zlib.crc32
    for change in changes:
        row_id = change.revision << POSITION_BITS
        for event in change.events:
            kv = event.kv
            crc = crc32(kv.value, crc32(kv.key, crc32(crc_head(row_id, kv.create_revision, kv.version, kv.lease))))
            rows.append((row_id, kv.key, kv.value, kv.create_revision, kv.version, kv.lease, crc))
            row_id += 1
    return rows


def append_statements(rows: Sequence[Row], changes: Iterable[Change]) -> list[Statement]:
    """Return what keeps `rows` and the leases that `changes` grants and revokes.

    One statement carries many rows: Python's sqlite3 gives the interpreter away for each single execution of a
    statement, and while the event loop is busy it takes 5 ms to get it back.
    """
    statements = _inserts("INSERT INTO changes VALUES ", rows)
    leases: dict[int, int | None] = {}
    for change in changes:
        if change.granted is not None:
            leases[change.granted.id] = change.granted.ttl_seconds
        if change.revoked is not None:
            leases[change.revoked.id] = None
    if leases:
        ended = [lease_id for lease_id, ttl in leases.items() if ttl is None]
        granted = [(lease_id, ttl, pair_crc(lease_id, ttl)) for lease_id, ttl in leases.items() if ttl is not None]
        for part in _parts(ended):
            marks = ", ".join("?" * len(part))
            statements.append((f"DELETE FROM leases WHERE id IN ({marks})", part))  # noqa: S608 - only marks
        statements += _inserts("INSERT OR REPLACE INTO leases VALUES ", granted)
    return statements


def compact_statement(revision: int) -> Statement:
    """Return what keeps the compact revision."""
    return (
        "INSERT OR REPLACE INTO numbers (name, value, crc) VALUES ('compact_revision', ?, ?)",
        (revision, pair_crc(0, revision)),
    )


_DISCARD: Final = """
    WITH dead (first, beyond, key) AS (VALUES {})
    DELETE FROM changes WHERE id IN (
        SELECT changes.id FROM dead CROSS JOIN changes
        WHERE changes.id >= dead.first AND changes.id < dead.beyond AND changes.key = dead.key)
""".format(", ".join(["(?, ?, ?)"] * ROWS_PER_STATEMENT))  # noqa: S608 - only marks


def discard_statements(dead: Sequence[KeyValue]) -> list[Statement]:
    """Return what deletes the rows of `dead`."""
    statements: list[Statement] = []
    for part in _parts(dead):
        # Always the same statement, which is prepared once; naming a row twice is no harm.
        padded = [*part, *([part[-1]] * (ROWS_PER_STATEMENT - len(part)))]
        values: list[int | bytes] = []
        for kv in padded:
            values += (kv.mod_revision << POSITION_BITS, (kv.mod_revision + 1) << POSITION_BITS, kv.key)
        statements.append((_DISCARD, values))
    return statements


def _inserts(head: str, rows: Sequence[Row]) -> list[Statement]:
    size = sum(len(value) for row in rows for value in row[1:3] if isinstance(value, bytes))
    return [
        (_insert(head, len(part[0]), len(part)), [value for row in part for value in row])
        for part in _parts(rows, BYTES_PER_STATEMENT * len(rows) // max(size, 1))
    ]


@lru_cache(maxsize=2 * ROWS_PER_STATEMENT)
def _insert(head: str, columns: int, rows: int) -> str:
    return head + ", ".join([f"({', '.join('?' * columns)})"] * rows)


def _parts(rows: Sequence[Any], most: int = ROWS_PER_STATEMENT) -> Iterator[Sequence[Any]]:
    length = max(min(most, ROWS_PER_STATEMENT), 1)
    for start in range(0, len(rows), length):
        yield rows[start : start + length]
