"""Making a store's file from a snapshot: whole or not at all, whenever it is killed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import anyio

from orchestra.errors import CommitFailed, StoreError
from orchestra.store.changes import Change, Lease
from orchestra.store.file_lock import FileLock
from orchestra.store.model import Event
from orchestra.store.snapshot import Snapshot, read_snapshot
from orchestra.store.sqlite_log import SQLiteLog
from orchestra.store.sqlite_schema import POSITION_BITS

RESTORE_REVISIONS: Final = 1_000_000_000
"""How far a restore raises the revision unless told: more than clients can have seen since the snapshot."""

MAX_RESTORED_REVISION: Final = 1 << (62 - POSITION_BITS)
"""The highest revision that a restored store may begin at: half of those that a file can number."""


async def restore_snapshot(
    snapshot: str | os.PathLike[str], path: str | os.PathLike[str], *, raise_revision: int = RESTORE_REVISIONS
) -> int:
    """Make the store file `path`, which must not exist, from a snapshot; return the revision it begins at.

    The revision is raised by `raise_revision`, and everything below is marked as compacted: whoever saw revisions
    that were made after the snapshot must read anew and cannot mistake the old numbers for new ones.

    The file is built in a hidden directory beside its place and moved there when it is complete and durable; what a
    killed restore leaves in that directory the next one removes. Raises `CorruptStore` for a torn or altered snapshot,
    `StoreError` if `path` exists, `StoreLocked` if it is in use, `CommitFailed` if there is no room, and `OSError`
    for a snapshot that cannot be read.
    """
    if raise_revision < 1:
        raise StoreError("a restore must raise the revision: clients may have seen later ones than the snapshot's")
    target = Path(path)
    _check_free(target)
    held = await anyio.to_thread.run_sync(read_snapshot, snapshot)
    revision = held.revision + raise_revision
    if revision > MAX_RESTORED_REVISION:
        raise StoreError(f"revision {revision} is too high; raise it by less")
    try:
        with _claimed(target) as built:
            await _build(built, held, revision)
            await anyio.to_thread.run_sync(_publish, built, target)
    except OSError as error:
        raise StoreError(f"cannot restore to {target}: {error.strerror or error}") from error
    return revision


@contextmanager
def _claimed(target: Path) -> Iterator[Path]:
    """Claim the place of the file, and give where to build it: in an empty directory that is removed in the end."""
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = FileLock(target)
    lock.acquire()
    hidden = target.with_name(f".{target.name}.restoring")
    try:
        _check_free(target)
        _remove(hidden)
        hidden.mkdir(mode=0o700)
        try:
            yield hidden / target.name
        finally:
            _remove(hidden)
    finally:
        lock.release()


def _check_free(target: Path) -> None:
    """Raise StoreError unless nothing of a store is there; a log of SQLite would be taken for one of the new file."""
    for suffix in ("", "-wal", "-journal"):
        place = target.with_name(target.name + suffix)
        if os.path.lexists(place):
            raise StoreError(f"{place} exists; a snapshot is restored to a new file only, so move it away first")


def _remove(directory: Path) -> None:
    with suppress(FileNotFoundError):
        shutil.rmtree(directory)


async def _build(path: Path, held: Snapshot, revision: int) -> None:
    by_revision: dict[int, list[Event]] = {}
    for kv in held.kvs:
        by_revision.setdefault(kv.mod_revision, []).append(Event(kv))
    leases = [Change(0, granted=Lease(lease_id, ttl)) for lease_id, ttl in held.leases.items()]
    changes = [Change(made, tuple(by_revision[made])) for made in sorted(by_revision)]
    log = SQLiteLog(path)
    await log.open(lambda _: None)
    try:
        await log.append([*leases, *changes])
        await log.compact(revision)
    finally:
        with anyio.CancelScope(shield=True):
            await log.close()


def _publish(built: Path, target: Path) -> None:
    """Move the file to its place, durably. Raises `CommitFailed` when SQLite could not make it whole."""
    if built.with_name(f"{built.name}-wal").exists():
        raise CommitFailed(f"{target}: no room to complete the restored file")
    _sync(built)
    built.rename(target)
    _sync(target.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
