from __future__ import annotations

import shutil
import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from orchestra.errors import CommitFailed, CorruptStore, StoreError, StoreLocked
from orchestra.store import Put, Range, SQLiteStore, Txn, TxnResult
from orchestra.store.changes import Change
from orchestra.store.mvcc import Engine
from orchestra.store.sqlite_log import SQLiteLog
from orchestra.store.sqlite_schema import MIGRATIONS


async def _make(path: Path, keys: int = 50) -> None:
    async with SQLiteStore(path) as store:
        for number in range(keys):
            await store.put(b"key-%d" % number, b"a value that is easy to find %d " % number * 10)


async def test_missing_directories_and_the_file_are_for_the_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "er" / "cluster.db"
    await _make(path)
    assert [stat.S_IMODE(place.stat().st_mode) for place in (path.parent.parent, path.parent, path)] == [
        0o700,
        0o700,
        0o600,
    ]


async def test_a_second_store_in_the_same_process_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cluster.db"
    async with SQLiteStore(path) as store:
        with pytest.raises(StoreLocked, match=r"cluster\.db is in use by this process"):
            async with SQLiteStore(tmp_path / "." / "cluster.db"):
                pass
        await store.put(b"a", b"still mine")
    await _make(path)


async def test_an_opening_that_is_cancelled_lets_go_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "cluster.db"
    for delay_seconds in (0.0, 0.0005, 0.002, 0.005, 0.01):
        with anyio.move_on_after(delay_seconds):
            async with SQLiteStore(path):
                await anyio.sleep_forever()
    await _make(path)


async def test_a_program_that_opened_the_file_with_sqlite_is_named_as_the_reason(tmp_path: Path) -> None:
    path = tmp_path / "cluster.db"
    await _make(path)
    other = sqlite3.connect(path)
    try:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreLocked, match="opened it with SQLite"):
            async with SQLiteStore(path):
                pass
    finally:
        other.close()


async def test_a_program_that_has_merely_read_the_file_is_one_too(tmp_path: Path) -> None:
    path = tmp_path / "cluster.db"
    await _make(path)
    other = sqlite3.connect(path)
    try:
        assert other.execute("SELECT count(*) FROM changes").fetchone() == (50,)
        with pytest.raises(StoreLocked, match="opened it with SQLite"):
            async with SQLiteStore(path):
                pass
        assert other.execute("SELECT count(*) FROM changes").fetchone() == (50,)
    finally:
        other.close()
    async with SQLiteStore(path) as store:
        with sqlite3.connect(path, timeout=0) as other, pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("SELECT count(*) FROM changes")
        other.close()
        assert (await store.put(b"a", b"")).revision == 52


async def test_a_path_may_hold_any_character(tmp_path: Path) -> None:
    path = tmp_path / "a?b%20#c \udcff" / "cluster.db"
    copy = path.parent.with_name("copy?mode=rw")
    async with SQLiteStore(path) as store:
        await store.put(b"a", b"1")
        # With a log, as a crash leaves it.
        shutil.copytree(path.parent, copy)
    for there in (path, copy / "cluster.db"):
        async with SQLiteStore(there) as store:
            assert await store.get(b"a") is not None


def _flip_a_value(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data.replace(b"easy to find 7 ", b"easy to fond 7 "))


def _overwrite_the_middle(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 3000] = b"\xa5" * 3000
    path.write_bytes(data)


def _cut_in_half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _replace(path: Path) -> None:
    path.write_bytes(b"this is a letter and no database\n" * 200)


def _drop_a_row(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("DELETE FROM changes WHERE id = (SELECT id FROM changes LIMIT 1 OFFSET 20)")
    connection.close()


def _drop_the_tables(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        for table in ("changes", "leases", "numbers"):
            connection.execute(f"DROP TABLE {table}")
        connection.execute("PRAGMA user_version = 0")
    connection.close()


@pytest.mark.parametrize(
    "damage",
    [_flip_a_value, _overwrite_the_middle, _cut_in_half, _empty, _replace, _drop_a_row, _drop_the_tables],
)
async def test_a_damaged_file_is_refused_and_left_as_it_is(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    path = tmp_path / "cluster.db"
    await _make(path)
    damage(path)
    before = path.read_bytes()
    for _ in range(2):
        with pytest.raises(CorruptStore, match=r"cluster\.db"):
            async with SQLiteStore(path):
                pass
    assert path.read_bytes() == before


async def test_a_file_that_was_deleted_begins_anew(tmp_path: Path) -> None:
    path = tmp_path / "cluster.db"
    await _make(path)
    path.unlink()
    async with SQLiteStore(path) as store:
        assert (await store.status()).revision == 1


async def test_a_file_of_the_first_schema_is_migrated_and_holds_the_same(tmp_path: Path) -> None:
    path = tmp_path / "cluster.db"
    async with SQLiteStore(path) as store:
        await store.lease_grant(600, 7)
        for number in range(20):
            await store.put(b"%d" % (number % 5), b"%d" % number, lease=7 * (number % 2))
        await store.compact(9)
        before = await store.hash()
    with sqlite3.connect(path) as connection:
        for table in ("leases", "numbers"):
            connection.execute(f"ALTER TABLE {table} DROP COLUMN crc")
        connection.execute("PRAGMA user_version = 1")
    connection.close()
    for _ in range(2):
        async with SQLiteStore(path) as store:
            assert await store.hash() == before
            assert await store.leases() == (7,)
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
    connection.close()


async def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cluster.db"
    await _make(path)
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(StoreError, match="schema version"):
        async with SQLiteStore(path):
            pass
    assert path.read_bytes() == before


async def test_a_full_disk_fails_txns_and_a_compaction_makes_room_again(tmp_path: Path) -> None:
    path = tmp_path / "cluster.db"
    async with SQLiteStore(path, quota_bytes=400_000) as store:
        acknowledged: dict[bytes, int] = {}
        failed: list[bytes] = []

        async def fill(writer: int) -> None:
            for number in range(100):
                key = b"%d/%d" % (writer, number)
                try:
                    acknowledged[key] = (await store.put(key, bytes(1000))).revision
                except CommitFailed:
                    failed.append(key)

        async with anyio.create_task_group() as tasks:
            for writer in range(8):
                tasks.start_soon(fill, writer)
        assert acknowledged
        assert failed
        assert (await store.status()).revision == max(acknowledged.values())
        memory = await store.hash()
    async with SQLiteStore(path, quota_bytes=400_000) as store:
        assert await store.hash() == memory
        for key, revision in acknowledged.items():
            kv = await store.get(key)
            assert kv is not None
            assert kv.mod_revision == revision
        for key in failed:
            assert await store.get(key) is None
        # Deleting and compacting need a little room themselves; the free end of the last page is enough.
        doomed = sorted(acknowledged)[:100]
        for key in doomed:
            await _overwrite_small(store, key)
        await store.compact((await store.status()).revision)
        await store.put(b"new", bytes(1000))
        status = await store.status()
        assert status.in_use_bytes < status.size_bytes


async def _overwrite_small(store: SQLiteStore, key: bytes) -> None:
    try:
        await store.delete(key)
    except CommitFailed:
        # Not even a delete fits: compact what there is, which frees the versions it can.
        status = await store.status()
        if status.revision > status.compact_revision:
            await store.compact(status.revision)


async def test_a_value_is_kept_to_the_byte(tmp_path: Path) -> None:
    path = tmp_path / "cluster.db"
    value = bytes(range(256)) * 4096
    async with SQLiteStore(path) as store:
        await store.put(b"\x00\xff key", value)
        await store.put(b"empty", b"")
    async with SQLiteStore(path) as store:
        kvs = (await store.range(Range(b"\x00", b"\x00"))).kvs
        assert [(kv.key, kv.value) for kv in kvs] == [(b"\x00\xff key", value), (b"empty", b"")]


async def test_compaction_and_defragmentation_shrink_the_file(tmp_path: Path) -> None:
    path = tmp_path / "cluster.db"
    async with SQLiteStore(path) as store:
        for number in range(300):
            await store.put(b"hot", b"%d" % number + bytes(4000))
        before = await store.status()
        await store.compact(before.revision)
        after = await store.status()
        assert after.in_use_bytes < before.in_use_bytes / 10
        await store.defragment()
        assert (await store.status()).size_bytes < before.size_bytes / 10
        assert (await store.put(b"hot", b"new")).revision == before.revision + 1
    async with SQLiteStore(path) as store:
        assert (await store.status()).revision == before.revision + 1


async def test_a_compaction_that_was_cut_short_is_finished_at_the_next_opening(tmp_path: Path) -> None:
    path = tmp_path / "cluster.db"
    async with SQLiteStore(path) as store:
        for _ in range(100):
            await store.put(b"hot", bytes(100))
        revision = (await store.status()).revision
    log = SQLiteLog(path)
    await log.open(Engine.load)
    await log.compact(revision)
    await log.close()
    async with SQLiteStore(path) as store:
        assert (await store.status()).compact_revision == revision
        kv = await store.get(b"hot")
        assert kv is not None
        assert kv.version == 100
    with sqlite3.connect(path) as connection:
        rows = connection.execute("SELECT count(*) FROM changes").fetchone()[0]
    connection.close()
    assert rows == 1


async def test_a_log_error_after_the_write_leaves_memory_and_disk_agreeing(tmp_path: Path) -> None:
    path = tmp_path / "cluster.db"
    async with SQLiteStore(path) as store:
        await store.put(b"a", b"1")
        connection = store._log._file.connection  # type: ignore[attr-defined]
        connection.execute("CREATE TEMP TRIGGER refuse BEFORE INSERT ON changes BEGIN SELECT raise(FAIL, 'no'); END")
        with pytest.raises(CommitFailed, match="no"):
            await store.put(b"a", b"2")
        connection.execute("DROP TRIGGER refuse")
        result: TxnResult = await store.txn(Txn(success=(Put(b"a", b"3"), Put(b"b", b"3"))))
        assert result.revision == 3
        memory = await store.hash()
    async with SQLiteStore(path) as store:
        assert await store.hash() == memory


async def test_a_revoke_of_many_keys_is_one_revision_on_disk_too(tmp_path: Path) -> None:
    path = tmp_path / "cluster.db"
    engine = Engine()
    log = SQLiteLog(path)
    await log.open(Engine.load)
    engine.stage_grant(1, 60)
    for number in range(500):
        engine.stage(Txn(success=(Put(b"%d" % number, lease=1),)))
    engine.stage_revoke(1)
    changes: list[Change] = []
    while engine.dirty:
        changes.append(engine.publish())
    await log.append(changes)
    await log.close()
    async with SQLiteStore(path) as store:
        assert await store.leases() == ()
        assert (await store.hash()) == engine.hash()
        await store.compact(502)
        await store.put(b"more", b"")
        await store.compact(503)
        assert (await store.status()).keys == 1
    async with SQLiteStore(path) as store:
        assert (await store.status()).revision == 503
