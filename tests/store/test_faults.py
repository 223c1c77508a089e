"""Every call of the operating system that a life of a store makes fails once: nobody is told what is not so."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestra.errors import CorruptStore, StoreError
from orchestra.store import SQLiteStore
from tests.store.faulty_vfs import Fault, FaultyVFS, Operation
from tests.store.witness import Witness

FULL = sqlite3.SQLITE_FULL
ONCE = Fault("write", 1)


@pytest.fixture(scope="module")
def vfs() -> FaultyVFS:
    try:
        return FaultyVFS()
    except OSError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))


async def _new(path: Path) -> Witness:
    path.parent.mkdir()
    return Witness()


async def _crashed(path: Path) -> Witness:
    """Leave what a process leaves that was killed: the acknowledged txns are in the write-ahead log only."""
    path.parent.mkdir()
    witness = Witness()
    running = path.parent.with_name("running") / path.name
    async with SQLiteStore(running) as store:
        for number in range(100, 105):
            await witness.txn(store, number)
        for file in running.parent.iterdir():
            shutil.copy(file, path.parent)
    return witness


async def _closed(path: Path) -> Witness:
    path.parent.mkdir()
    witness = Witness()
    async with SQLiteStore(path) as store:
        for number in range(100, 105):
            await witness.txn(store, number, 3_000)
    return witness


async def _older(path: Path) -> Witness:
    """Leave a file of schema 1, closed in good order."""
    witness = await _closed(path)
    with sqlite3.connect(path) as connection:
        for table in ("leases", "numbers"):
            connection.execute(f"ALTER TABLE {table} DROP COLUMN crc")
        connection.execute("PRAGMA user_version = 1")
    connection.close()
    return witness


START: dict[str, Callable] = {"new": _new, "crashed": _crashed, "closed": _closed, "older": _older}  # type: ignore[type-arg]

FAULTS = [
    Fault("sync", 0),
    Fault("sync", 0, lasting=True),
    Fault("write", 0),
    Fault("write", 0, half=True, result=FULL),
    Fault("write", 0, half=True, lasting=True, result=FULL),
    Fault("truncate", 0, lasting=True),
    Fault("read", 0),
    Fault("read", 0, lasting=True),
    Fault("open", 0, lasting=True),
    Fault("delete", 0, lasting=True),
]


def _name(fault: Fault) -> str:
    return f"{fault.operation}-{'lasting' if fault.lasting else 'once'}{'-half' if fault.half else ''}"


async def _live_and_check(vfs: FaultyVFS, path: Path, start: str, fault: Fault) -> tuple[bool, Witness]:
    """Return whether the fault was reached, and what clients were told."""
    witness = await START[start](path)
    before = witness.acknowledged.copy()
    with vfs.installed(fault):
        try:
            await witness.live(path, short=start != "new")
        except CorruptStore:
            raise
        except StoreError:
            assert witness.acknowledged == before, "the store opened, and then raised from its body"
        fired = vfs.fired
    await witness.check(path)
    return fired, witness


@pytest.mark.parametrize("start", START)
@pytest.mark.parametrize("kind", FAULTS, ids=_name)
async def test_a_fault_at_any_call_is_told_and_loses_nothing(
    quick_path: Path, vfs: FaultyVFS, start: str, kind: Fault
) -> None:
    reached = True
    number = 0
    while reached:
        number += 1
        fault = Fault(kind.operation, number, kind.lasting, kind.half, kind.result)
        folder = quick_path / str(number)
        folder.mkdir()
        try:
            reached, witness = await _live_and_check(vfs, folder / "data" / "cluster.db", start, fault)
        except AssertionError as error:
            raise AssertionError(f"{fault} from {start}: {error}") from error
        shutil.rmtree(folder)
    assert number > 1, "no fault was ever reached"
    assert [witness.failed, witness.unknown, witness.broken] == [set(), set(), False], (
        "without a fault everything must succeed"
    )


@pytest.mark.parametrize("operation", ["write", "sync"])
@pytest.mark.parametrize("kept", [0.0, 0.5, 0.9, 1.0])
async def test_a_loss_of_power_at_any_call_loses_nothing_acknowledged(
    quick_path: Path, vfs: FaultyVFS, operation: Operation, kept: float
) -> None:
    chance = random.Random(20261122)
    number = 0
    while True:
        number += 1
        running, left = quick_path / f"{number}" / "running", quick_path / f"{number}" / "left"
        left.mkdir(parents=True)
        witness, then = Witness(), Witness()

        def fail(running: Path = running, left: Path = left, witness: Witness = witness, then: Witness = then) -> None:
            vfs.lose_power(left, chance, kept)
            shutil.copy(running / "cluster.db.lock", left)
            then.acknowledged.update(witness.acknowledged)
            then.least_revision = max(witness.seen, default=0)

        with vfs.installed(Fault(operation, number, lasting=True), fail):
            try:
                await witness.live(running / "cluster.db")
            except StoreError:
                assert not witness.acknowledged
            if not vfs.fired:
                break
        # What had not been answered when the power went may have happened or not.
        then.unknown = set(range(20)) - set(then.acknowledged)
        try:
            await then.check(left / "cluster.db")
        except (AssertionError, StoreError) as error:
            raise AssertionError(f"power lost at {operation} {number}, {kept} kept: {error}") from error
        shutil.rmtree(running.parent)
    assert number > 10
