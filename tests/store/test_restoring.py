from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import anyio
import pytest

from orchestra.errors import CommitFailed, CorruptStore, StoreError, StoreLocked
from orchestra.store import FROM_KEY, MemoryStore, Range, SQLiteStore, restore_snapshot
from orchestra.store.file_lock import FileLock
from orchestra.store.sqlite_log import SQLiteLog

KEYS = 3_000
CHILD = """
import sys, anyio
from orchestra.store import restore_snapshot
print("begins", flush=True)
anyio.run(restore_snapshot, sys.argv[1], sys.argv[2])
"""


@pytest.fixture
async def snapshot(tmp_path: Path) -> Path:
    path = tmp_path / "snapshot"
    async with MemoryStore() as store:
        for number in range(KEYS):
            await store.put(b"k%05d" % number, b"x" * 200)
        await store.snapshot(path)
    return path


async def count(path: Path) -> int:
    async with SQLiteStore(path) as store:
        return (await store.range(Range(b"\0", FROM_KEY, count_only=True))).count


def left(directory: Path) -> list[str]:
    """What is there, but for the lock's file: it stays, because removing it would race with whoever takes it next."""
    return sorted(place.name for place in directory.iterdir() if place.suffix != ".lock")


async def test_a_restore_that_is_killed_leaves_a_whole_store_or_none_and_can_be_repeated(
    tmp_path: Path, snapshot: Path
) -> None:
    target = tmp_path / "data" / "cluster.db"
    for number in range(12):
        command = [sys.executable, "-c", CHILD, str(snapshot), str(target)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            child.stdout.readline()
            time.sleep(number * 0.012)
            child.send_signal(signal.SIGKILL)
        if target.exists():
            assert await count(target) == KEYS
            target.unlink()
    await restore_snapshot(snapshot, target)
    assert await count(target) == KEYS
    assert left(target.parent) == ["cluster.db"]


async def test_a_restore_that_is_cancelled_leaves_nothing(
    tmp_path: Path, snapshot: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached = anyio.Event()

    async def slowly(*_: object) -> None:
        reached.set()
        await anyio.sleep_forever()

    monkeypatch.setattr(SQLiteLog, "append", slowly)
    target = tmp_path / "data" / "cluster.db"
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(restore_snapshot, snapshot, target)
        await reached.wait()
        tasks.cancel_scope.cancel()
    assert left(target.parent) == []
    monkeypatch.undo()
    await restore_snapshot(snapshot, target)
    assert await count(target) == KEYS


@pytest.mark.parametrize("name", ["cluster.db", "cluster.db-wal", "cluster.db-journal"])
async def test_nothing_that_is_there_is_mixed_with_a_restored_store(tmp_path: Path, snapshot: Path, name: str) -> None:
    directory = tmp_path / "data"
    directory.mkdir()
    (directory / name).write_bytes(b"something")
    with pytest.raises(StoreError, match=rf"{name} exists; .* move it away first"):
        await restore_snapshot(snapshot, directory / "cluster.db")
    assert (directory / name).read_bytes() == b"something"
    assert left(directory) == [name]


async def test_a_place_whose_owner_runs_is_refused(tmp_path: Path, snapshot: Path) -> None:
    lock = FileLock(tmp_path / "cluster.db")
    lock.acquire()
    try:
        with pytest.raises(StoreLocked, match="in use"):
            await restore_snapshot(snapshot, tmp_path / "cluster.db")
    finally:
        lock.release()


async def test_a_restored_file_is_for_its_owner_only(tmp_path: Path, snapshot: Path) -> None:
    await restore_snapshot(snapshot, tmp_path / "data" / "cluster.db")
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "data" / "cluster.db").stat().st_mode & 0o777 == 0o600


async def test_a_file_that_sqlite_could_not_complete_does_not_appear(
    tmp_path: Path, snapshot: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    close = SQLiteLog.close

    async def with_a_log_left(self: SQLiteLog) -> None:
        await close(self)
        self.path.with_name("cluster.db-wal").write_bytes(b"frames")

    monkeypatch.setattr(SQLiteLog, "close", with_a_log_left)
    with pytest.raises(CommitFailed, match="no room"):
        await restore_snapshot(snapshot, tmp_path / "data" / "cluster.db")
    assert left(tmp_path / "data") == []


@pytest.mark.parametrize("by", [0, -1, 1 << 40])
async def test_the_revision_is_raised_by_some_but_not_beyond_what_a_file_can_number(
    tmp_path: Path, snapshot: Path, by: int
) -> None:
    with pytest.raises(StoreError, match="revision"):
        await restore_snapshot(snapshot, tmp_path / "cluster.db", raise_revision=by)
    assert not os.path.lexists(tmp_path / "cluster.db")


async def test_a_snapshot_of_a_newer_format_is_told_from_a_damaged_one(tmp_path: Path, snapshot: Path) -> None:
    snapshot.write_bytes(snapshot.read_bytes().replace(b"snapshot 1\n", b"snapshot 2\n", 1))
    with pytest.raises(StoreError, match="is a snapshot of format 2; this program knows only 1") as caught:
        await restore_snapshot(snapshot, tmp_path / "cluster.db")
    assert not isinstance(caught.value, CorruptStore)


async def test_a_snapshot_is_written_where_every_file_needs_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    really = os.open

    def without_nameless_files(path: str, flags: int, mode: int = 0o777, **more: int) -> int:
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
        return really(path, flags, mode, **more)

    monkeypatch.setattr(os, "open", without_nameless_files)
    async with MemoryStore() as store:
        await store.put(b"k", b"v")
        await store.snapshot(tmp_path / "backup")
        with pytest.raises(IsADirectoryError):
            await store.snapshot(tmp_path)
    assert os.listdir(tmp_path) == ["backup"]
    assert (tmp_path / "backup").stat().st_mode & 0o777 == 0o600
    await restore_snapshot(tmp_path / "backup", tmp_path / "cluster.db")
