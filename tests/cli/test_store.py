"""`orchestra store` on data directories whose plane is stopped."""

from __future__ import annotations

import errno
import io
import json
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from orchestra.cli.commands import store as commands
from orchestra.cli.commands import store_serve
from orchestra.cli.commands.store import CareOptions, RestoreOptions, SnapshotOptions
from orchestra.cli.stores import StorePlace
from orchestra.cli.terminal import Terminal
from orchestra.cli.verb import guarded
from orchestra.errors import AmbiguousCommit, CommitFailed, StoreError
from orchestra.store import EtcdStore, MemoryStore, Range, SQLiteStore, Txn, snapshot
from orchestra.store.file_lock import FileLock
from orchestra.store.sqlite_log import SQLiteLog

KEYS = 20


class Shell:
    """Runs the commands in one folder, and keeps what they print."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.file = folder / "backup"
        self.out = self.err = ""

    async def __call__(self, run: Callable[[Any, Terminal], Awaitable[int]], options: Any) -> int:
        terminal = Terminal(stdout=io.StringIO(), stderr=io.StringIO())
        try:
            return await guarded(lambda: run(options, terminal), terminal)
        finally:
            self.out, self.err = terminal.stdout.getvalue(), terminal.stderr.getvalue()  # type: ignore[attr-defined]

    async def care(self, run: Callable[[CareOptions, Terminal], Awaitable[int]], **options: Any) -> int:
        return await self(run, CareOptions(place=StorePlace(data_dir=self.data), **options))

    async def snapshot(self, **options: Any) -> int:
        options = {"file": self.file, "place": StorePlace(data_dir=self.data), **options}
        return await self(commands.snapshot, SnapshotOptions(**options))

    async def restore(self, to: Path, **options: Any) -> int:
        return await self(commands.restore, RestoreOptions(**{"file": self.file, "data_dir": to, **options}))

    @property
    def rows(self) -> list[list[str]]:
        return [line.split() for line in self.out.splitlines()]

    @property
    def document(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.out)
        return document

    def there(self) -> list[str]:
        """What is in the folder."""
        return sorted(os.listdir(self.folder))


@pytest.fixture
async def shell(tmp_path: Path) -> Shell:
    shell = Shell(tmp_path)
    async with SQLiteStore(shell.data / "cluster.db") as store:
        await store.lease_grant(600, 7)
        for number in range(KEYS):
            await store.put(b"k%d" % number, b"x" * 100, lease=7 * (number == 3))
    return shell


async def test_status_shows_revisions_and_sizes(shell: Shell) -> None:
    assert await shell.care(commands.status) == 0
    header, row = shell.rows
    assert header == ["STORE", "REVISION", "COMPACTED", "KEYS", "SIZE", "IN", "USE"]
    assert row[:4] == [str(shell.data), "21", "0", "20"]
    assert await shell.care(commands.status, output="json") == 0
    size = (shell.data / "cluster.db").stat().st_size
    assert shell.document == {
        "store": str(shell.data),
        "revision": 21,
        "compactRevision": 0,
        "keys": KEYS,
        "sizeBytes": size,
        "inUseBytes": size,
    }


async def test_a_hash_is_of_one_history_and_ends_with_the_revision(shell: Shell) -> None:
    async with SQLiteStore(shell.data / "cluster.db") as store:
        await store.put(b"more", b"")
    await shell.care(commands.hash_store, output="json")
    newest = shell.document
    assert (newest["revision"], newest["compactRevision"]) == (22, 0)
    await shell.care(commands.hash_store, revision=21, output="json")
    assert shell.document["hash"] != newest["hash"]
    await shell.care(commands.hash_store)
    assert shell.rows == [["STORE", "HASH", "REVISION", "COMPACTED"], [str(shell.data), newest["hash"], "22", "0"]]


async def test_compact_takes_a_revision_or_the_present_one(shell: Shell) -> None:
    assert await shell.care(commands.compact, revision=10) == 0
    assert shell.out == "compacted revision 10\n"
    assert await shell.care(commands.compact, revision=9) == 1
    assert shell.err == "error: required revision has been compacted (compact revision 10)\n"
    assert await shell.care(commands.compact, revision=22) == 1
    assert shell.err == "error: required revision 22 is a future revision (current revision 21)\n"
    assert await shell.care(commands.compact, defragment=True) == 0
    assert shell.out == "compacted revision 21\ndefragmented\n"
    assert await shell.care(commands.compact, defragment=True) == 0
    assert shell.out == "nothing to compact: revision 21 is compacted\ndefragmented\n"
    assert await shell.care(commands.hash_store, revision=20) == 1
    assert shell.err == "error: required revision has been compacted (compact revision 21)\n"


async def test_a_snapshot_is_restored_to_a_new_data_directory(shell: Shell) -> None:
    assert await shell.snapshot() == 0
    assert shell.out.startswith(f"{shell.file}: revision 21 saved (")
    assert shell.file.stat().st_mode & 0o777 == 0o600
    new = shell.folder / "new"
    assert await shell.restore(new) == 0
    assert shell.out == f"{new}: restored, begins at revision 1000000021\n"
    assert new.stat().st_mode & 0o777 == 0o700
    async with SQLiteStore(new / "cluster.db") as store:
        assert (await store.range(Range(b"k", b"l"))).count == KEYS
        assert (await store.lease_status(7, keys=True)).keys == (b"k3",)


async def test_both_tell_programs_what_they_did(shell: Shell) -> None:
    assert await shell.snapshot(output="json") == 0
    saved = shell.document
    assert (saved["file"], saved["revision"]) == (str(shell.file), 21)
    assert saved["sizeBytes"] == shell.file.stat().st_size
    assert len(saved["sha256"]) == 64
    assert await shell.restore(shell.folder / "new", raise_revision=9, output="json") == 0
    assert shell.document == {"dataDir": str(shell.folder / "new"), "revision": 30}


async def test_a_snapshot_replaces_a_file_only_when_told_to(shell: Shell) -> None:
    shell.file.write_text("precious")
    assert await shell.snapshot() == 1
    assert shell.err == f"error: {shell.file} exists: name another file, or replace it with --overwrite\n"
    assert shell.file.read_text() == "precious"
    assert await shell.snapshot(overwrite=True) == 0
    assert await shell.restore(shell.folder / "new") == 0


async def test_a_restore_leaves_what_is_there(shell: Shell) -> None:
    await shell.snapshot()
    before = (shell.data / "cluster.db").read_bytes()
    assert await shell.restore(shell.data) == 1
    assert "cluster.db exists; a snapshot is restored to a new file only, so move it away first" in shell.err
    assert (shell.data / "cluster.db").read_bytes() == before
    # Beside a store that was moved away, what nodes keep stays: their containers are adopted.
    (shell.data / "node-0").mkdir()
    (shell.data / "cluster.db").rename(shell.data / "damaged.db")
    assert await shell.restore(shell.data) == 0
    assert sorted(os.listdir(shell.data)) == ["cluster.db", "cluster.db.lock", "damaged.db", "node-0"]


async def test_a_restore_refuses_a_directory_that_others_may_enter(shell: Shell) -> None:
    await shell.snapshot()
    shell.folder.chmod(0o755)
    assert await shell.restore(shell.folder) == 1
    assert "is open to other users" in shell.err


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (b"", "is no snapshot of a store"),
        (b"a letter", "is no snapshot of a store"),
        (snapshot.MAGIC + b'{"revision": 4, "keys": 0, "leases": 0}\n', "is torn or was altered"),
    ],
)
async def test_a_restore_refuses_what_is_no_whole_snapshot(shell: Shell, contents: bytes, message: str) -> None:
    shell.file.write_bytes(contents)
    assert await shell.restore(shell.folder / "new") == 1
    assert message in shell.err
    assert shell.there() == ["backup", "data"]


async def test_a_snapshot_that_is_not_there_or_cannot_be_read_is_named(shell: Shell) -> None:
    assert await shell.restore(shell.folder / "new") == 1
    assert shell.err == f"error: {shell.file}: No such file or directory\n"
    assert await shell.restore(shell.folder / "new", file=shell.data) == 1
    assert shell.err == f"error: {shell.data}: Is a directory\n"
    assert await shell.restore(shell.folder / "new", file=shell.folder / ("x" * 300)) == 1
    assert shell.err.endswith(": File name too long\n")
    await shell.snapshot()
    for name in ("x" * 300, "backup"):
        assert await shell.restore(shell.folder / name) == 1
        assert shell.err.endswith((": File name too long\n", "backup: File exists\n"))
    shell.file.unlink()
    assert shell.there() == ["data"]


async def test_a_data_directory_without_a_store_is_refused_and_stays_as_it_is(shell: Shell) -> None:
    shell.data = shell.folder / "none"
    assert await shell.care(commands.status) == 1
    assert shell.err == f"error: {shell.data}: No such file or directory\n"
    shell.data.mkdir()
    assert await shell.snapshot() == 1
    assert shell.err == f"error: {shell.data} holds no store: it has no cluster.db\n"
    assert os.listdir(shell.data) == []
    (shell.data / "cluster.db").write_bytes(b"something else" * 100)
    assert await shell.care(commands.status) == 1
    assert "cluster.db is damaged (file is not a database)" in shell.err
    shell.data = shell.data / "cluster.db"
    assert await shell.care(commands.status) == 1
    assert shell.err == f"error: {shell.data} is no directory\n"


async def test_the_directory_of_another_user_is_refused(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    owner = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    assert await shell.care(commands.status) == 1
    assert shell.err == f"error: {shell.data} belongs to the user with id {owner}: run this as that user\n"


async def test_a_store_in_use_says_who_has_it(shell: Shell) -> None:
    lock = FileLock(shell.data / "cluster.db")
    lock.acquire()
    try:
        assert await shell.care(commands.status) == 1
    finally:
        lock.release()
    assert "cluster.db is in use by this process already" in shell.err


async def test_a_place_that_cannot_be_written_is_named(shell: Shell) -> None:
    assert await shell.snapshot(file=shell.folder / "missing" / "backup") == 1
    assert shell.err == f"error: {shell.folder}/missing/backup: No such file or directory\n"
    assert await shell.snapshot(file=shell.data / "cluster.db" / "backup") == 1
    assert shell.err == f"error: {shell.data}/cluster.db/backup: Not a directory\n"


async def test_a_full_disk_leaves_no_half_snapshot(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    assert await shell.snapshot() == 1
    assert shell.err == f"error: {shell.file}: No space left on device\n"
    monkeypatch.undo()
    assert shell.there() == ["data"]


async def test_a_full_disk_leaves_no_half_store(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    await shell.snapshot()

    async def full(*_: object) -> None:
        raise CommitFailed("database or disk is full")

    monkeypatch.setattr(SQLiteLog, "append", full)
    assert await shell.restore(shell.folder / "new") == 1
    assert shell.err == "error: database or disk is full\n"
    monkeypatch.undo()
    assert os.listdir(shell.folder / "new") == ["cluster.db.lock"]
    assert await shell.restore(shell.folder / "new") == 0


async def test_a_server_whose_store_closes_itself_ends_with_the_reason(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unknown(*_: object) -> None:
        raise AmbiguousCommit("fsync failed")

    statuses: list[int] = []

    async def serve() -> None:
        statuses.append(await shell(store_serve.run, store_serve.ServeOptions(data_dir=shell.data)))

    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(serve)
            while not (shell.data / "store.sock").exists():
                await anyio.sleep(0.01)
            async with EtcdStore(f"unix:{shell.data}/store.sock") as store:
                monkeypatch.setattr(SQLiteLog, "append", unknown)
                with pytest.raises(StoreError):
                    await store.put(b"k", b"v")
    assert statuses == [1]
    assert shell.err == "error: the store closed itself: fsync failed\n"
    assert not (shell.data / "store.sock").exists()


async def test_a_snapshot_of_memory_is_restored_too(shell: Shell) -> None:
    async with MemoryStore() as store:
        await store.txn(Txn())
        await store.snapshot(shell.file)
    assert await shell.restore(shell.folder / "new") == 0
    shell.data = shell.folder / "new"
    assert await shell.care(commands.status) == 0
    assert shell.rows[1][3] == "0"


@pytest.mark.parametrize(
    ("size", "shown"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (9_960, "10 kB"), (999_600, "1.0 MB"), (5 * 10**14, "500 TB")],
)
def test_sizes_are_shown_as_etcdctl_does(size: int, shown: str) -> None:
    assert commands._size(size) == shown
