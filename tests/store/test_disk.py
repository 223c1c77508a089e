"""Disks that are full, read-only, or refuse one call: on a real file system made for each test."""

from __future__ import annotations

import errno
import os
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from orchestra.errors import CommitFailed, StoreError
from orchestra.store import SQLiteStore, sqlite_log, sqlite_open
from orchestra.store.sqlite_open import WAL_BYTES

MEBIBYTE = 1024 * 1024


@pytest.fixture
def disk(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """An empty file system of `request.param` bytes."""
    place = tmp_path / "disk"
    place.mkdir(mode=0o700)
    command = ["mount", "-t", "tmpfs", "-o", f"size={request.param},mode=0700", "none", str(place)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        reason = f"needs the right to mount: {done.stderr.strip()}"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def _fill(disk: Path) -> Path:
    """Take all the room that is left."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (65_536, 4_096, 1):
            try:
                while file.write(bytes(size)) == size:
                    pass
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
    return ballast


# With and without room for the write-ahead log at its full size.
@pytest.mark.parametrize("disk", [2 * MEBIBYTE, WAL_BYTES + 2 * MEBIBYTE], indirect=True)
async def test_a_full_disk_fails_txns_alone_and_the_store_goes_on_when_there_is_room(disk: Path) -> None:
    path = disk / "data" / "cluster.db"
    acknowledged: dict[bytes, int] = {}
    failed: list[bytes] = []
    ballast = disk / "ballast"
    ballast.write_bytes(bytes(MEBIBYTE // 2))
    async with SQLiteStore(path) as store:

        async def fill(writer: int) -> None:
            for number in range(400):
                key = b"%d/%d" % (writer, number)
                try:
                    acknowledged[key] = (await store.put(key, bytes(4_000))).revision
                except CommitFailed:
                    failed.append(key)
                    if number % 10 == 9:
                        return

        async with anyio.create_task_group() as tasks:
            for writer in range(8):
                tasks.start_soon(fill, writer)
        assert acknowledged
        assert failed
        revision = (await store.status()).revision
        assert revision == max(acknowledged.values())
        ballast.unlink()
        assert (await store.put(b"after", b"")).revision == revision + 1
        memory = await store.hash()
    async with SQLiteStore(path) as store:
        assert await store.hash() == memory
        for key in failed:
            assert await store.get(key) is None


@pytest.mark.parametrize("disk", [8 * MEBIBYTE], indirect=True)
async def test_a_store_opens_and_reads_on_a_disk_without_room(disk: Path) -> None:
    path = disk / "cluster.db"
    async with SQLiteStore(path) as store:
        for number in range(50):
            await store.put(b"%d" % number, bytes(1_000))
        memory = await store.hash()
    ballast = _fill(disk)
    async with SQLiteStore(path) as store:
        assert await store.hash() == memory
        with pytest.raises(CommitFailed, match="full"):
            await store.put(b"a", bytes(100_000))
        assert await store.hash() == memory
        ballast.unlink()
        await store.put(b"a", bytes(100_000))


@pytest.mark.parametrize("disk", [64 * 1024], indirect=True)
async def test_a_store_that_has_no_room_to_begin_says_so_and_begins_later(disk: Path) -> None:
    ballast = _fill(disk)
    with pytest.raises(StoreError, match=r"cluster\.db.*full"):
        async with SQLiteStore(disk / "cluster.db"):
            pass
    ballast.unlink()
    async with SQLiteStore(disk / "cluster.db") as store:
        assert (await store.put(b"a", b"")).revision == 2


@pytest.mark.parametrize("disk", [16 * MEBIBYTE], indirect=True)
async def test_a_read_only_disk_is_named(disk: Path) -> None:
    async with SQLiteStore(disk / "cluster.db") as store:
        await store.put(b"a", b"1")
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    for path in (disk / "cluster.db", disk / "new" / "cluster.db"):
        with pytest.raises(StoreError, match=r"cannot open .*Read-only file system"):
            async with SQLiteStore(path):
                pass


@pytest.mark.parametrize("disk", [16 * MEBIBYTE], indirect=True)
async def test_a_file_that_can_only_be_read_is_refused_when_it_is_opened(disk: Path) -> None:
    path = disk / "cluster.db"
    async with SQLiteStore(path) as store:
        await store.put(b"a", b"1")
    subprocess.run(["mount", "--bind", str(path), str(path)], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", str(path)], check=True)
        with pytest.raises(StoreError, match="must be readable and writable"):
            async with SQLiteStore(path):
                pass
    finally:
        subprocess.run(["umount", str(path)], check=True)
    async with SQLiteStore(path) as store:
        assert await store.get(b"a") is not None


async def test_a_log_that_cannot_have_its_size_is_no_reason_to_refuse(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "cluster.db"
    async with SQLiteStore(path) as store:
        await store.put(b"a", b"1")

    def broken(_: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", broken)
    async with SQLiteStore(path) as store:
        assert path.with_name("cluster.db-wal").stat().st_size == 0
        await store.put(b"a", b"2")


async def test_the_write_ahead_log_has_its_size_at_once_and_keeps_it(tmp_path: Path) -> None:
    path = tmp_path / "cluster.db"
    wal = path.with_name("cluster.db-wal")
    async with SQLiteStore(path) as store:
        assert wal.stat().st_size == WAL_BYTES
        for _ in range(30):
            for number in range(20):
                await store.put(b"%d" % number, bytes(50_000))
        assert wal.stat().st_size < 3 * WAL_BYTES
        await store.compact((await store.status()).revision)
        await store.defragment()
        assert wal.stat().st_size == WAL_BYTES
    assert not wal.exists()


async def test_a_log_that_cannot_be_emptied_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_log, "MAX_WAL_BYTES", 1_000_000)
    broken = sqlite3.OperationalError("disk I/O error")
    path = tmp_path / "cluster.db"
    async with SQLiteStore(path) as store:
        with monkeypatch.context() as patch:
            patch.setattr(sqlite_open.SQLiteFile, "checkpoint", lambda _: broken)
            with pytest.raises(CommitFailed, match="write-ahead log is full"):
                for number in range(100):
                    await store.put(b"%d" % number, bytes(100_000))
        assert 5 < (await store.status()).keys < 12
        await store.put(b"a", bytes(100_000))
        memory = await store.hash()
    async with SQLiteStore(path) as store:
        assert await store.hash() == memory
