"""Files that were torn or altered by something else than a crash: refused and left alone, or a whole beginning."""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections import Counter
from pathlib import Path

import pytest

from orchestra.errors import CorruptStore, StoreError
from orchestra.store import Put, Range, SQLiteStore, Txn, prefix_end
from orchestra.store.sqlite_open import REPAIR

TXNS = 60
DAMAGES = 80


async def _write(store: SQLiteStore, first: int, last: int) -> None:
    for number in range(first, last):
        value = b"%d " % number * (200 if number % 10 else 3_000)
        await store.txn(Txn(success=(Put(b"t/%03d/a" % number, value), Put(b"t/%03d/b" % number, value))))


async def _make(folder: Path, *, crashed: bool) -> None:
    """Make a store of `TXNS` txns; a crashed one has the later half in its write-ahead log."""
    running = folder.with_name("running")
    async with SQLiteStore(running / "cluster.db") as store:
        await _write(store, 0, TXNS // 2 if crashed else TXNS)
        await store.lease_grant(600, 5)
    if not crashed:
        shutil.copytree(running, folder)
        return
    async with SQLiteStore(running / "cluster.db") as store:
        await _write(store, TXNS // 2, TXNS)
        shutil.copytree(running, folder)


def _damage(file: Path, kind: str, chance: random.Random) -> None:
    data = bytearray(file.read_bytes())
    # The end of a log that is not used yet holds nothing that could be damaged.
    place = chance.randrange(len(data.rstrip(b"\0")))
    if kind == "cut":
        del data[place:]
    elif kind == "flip":
        data[place] ^= 1 << chance.randrange(8)
    else:
        data[place : place + 512] = chance.randbytes(min(512, len(data) - place))
    file.write_bytes(data)


async def _beginning(path: Path) -> int:
    """Open the store, and return how many txns it has: from the first on, each whole."""
    async with SQLiteStore(path) as store:
        found = (await store.range(Range(b"t/", prefix_end(b"t/")))).kvs
        count = len(found) // 2
        assert [kv.key for kv in found] == [b"t/%03d/%s" % (n, side) for n in range(count) for side in (b"a", b"b")]
        for number in range(count):
            assert found[2 * number].value.startswith(b"%d " % number)
            assert found[2 * number].mod_revision == found[2 * number + 1].mod_revision == number + 2
        return count


@pytest.mark.parametrize("kind", ["cut", "flip", "overwrite"])
@pytest.mark.parametrize(
    ("name", "crashed"),
    [("cluster.db", False), ("cluster.db", True), ("cluster.db-wal", True)],
    ids=["file", "file beside its log", "log"],
)
async def test_a_damaged_file_is_refused_and_left_alone_or_is_a_whole_beginning(
    quick_path: Path, name: str, crashed: bool, kind: str
) -> None:
    chance = random.Random(f"{kind} {name}")
    whole = quick_path / "whole"
    await _make(whole, crashed=crashed)
    durable = TXNS // 2 if crashed else TXNS
    outcomes: Counter[str] = Counter()
    told: list[str] = []
    for number in range(DAMAGES):
        folder = quick_path / f"{number}"
        shutil.copytree(whole, folder)
        _damage(folder / name, kind, chance)
        before = {file.name: file.read_bytes() for file in folder.iterdir()}
        try:
            count = await _beginning(folder / "cluster.db")
        except StoreError as error:
            if isinstance(error, CorruptStore):
                told.append(str(error))
            outcomes["refused"] += 1
            for file, data in before.items():
                assert (folder / file).read_bytes() == data, f"{file} was changed although the store was refused"
        else:
            outcomes["whole" if count == TXNS else "beginning"] += 1
            # What the file itself holds is never lost to damage of its log.
            assert durable <= count <= TXNS
        shutil.rmtree(folder)
    assert all(message.endswith(REPAIR) for message in told), told
    assert outcomes["refused" if name == "cluster.db" else "beginning"], outcomes


async def test_a_head_of_the_log_that_was_altered_is_refused(tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    await _make(whole, crashed=True)
    wal = whole / "cluster.db-wal"
    data = bytearray(wal.read_bytes())
    data[17] ^= 4
    wal.write_bytes(data)
    with pytest.raises(CorruptStore, match="write-ahead log's head"):
        async with SQLiteStore(whole / "cluster.db"):
            pass
    assert wal.read_bytes() == data


@pytest.mark.parametrize("table", ["leases", "numbers"])
async def test_an_altered_lease_or_compact_revision_is_refused(tmp_path: Path, table: str) -> None:
    path = tmp_path / "cluster.db"
    async with SQLiteStore(path) as store:
        await _write(store, 0, 5)
        await store.lease_grant(600, 5)
        await store.compact(3)
    with sqlite3.connect(path) as connection:
        column = "ttl_seconds" if table == "leases" else "value"
        connection.execute(f"UPDATE {table} SET {column} = {column} + 1")
    connection.close()
    with pytest.raises(CorruptStore, match="checksum"):
        async with SQLiteStore(path):
            pass


async def test_a_database_of_somebody_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "cluster.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE letters (text)")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(CorruptStore, match="no store"):
        async with SQLiteStore(path):
            pass
    assert path.read_bytes() == before
    assert sorted(file.name for file in tmp_path.iterdir()) == ["cluster.db", "cluster.db.lock"]
