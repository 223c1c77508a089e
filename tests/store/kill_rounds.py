"""Kills a process that uses a store, again and again at random moments, and checks what it leaves.

`python -m tests.store.kill_rounds MODE ROUNDS FOLDER SEED`. The victim of each round is forked, so that a round takes
little more than what the victim lives. It says what it was told in lines on a pipe, which a kill does not cut.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
import sys
import time
import traceback
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import anyio

from orchestra.errors import Compacted
from orchestra.store import Put, Range, SQLiteStore, Txn, WatchRequest, prefix_end, restore_snapshot

WRITERS = 16
SLOTS = 40
"""Keys of a writer, used in turn."""

FRESH_ROUNDS = 10
"""Rounds after which the rounds without compaction begin with a new file, because its history grows."""

KEYS = 300
"""Keys of a file that is to be migrated or restored."""


def say(*words: object) -> None:
    os.write(1, " ".join(map(str, words)).encode() + b"\n")


# The victim


async def use(path: Path, seen: int, *, compacting: bool = False) -> None:
    async with SQLiteStore(path) as store, anyio.create_task_group() as tasks:
        tasks.start_soon(watch, store, seen + 1)
        if compacting:
            tasks.start_soon(compact, store)
        for writer in range(WRITERS):
            tasks.start_soon(write, store, writer)


async def write(store: SQLiteStore, writer: int) -> None:
    newest = await store.get(b"hot/%02d" % writer)
    number = int(newest.value) if newest else 0
    while True:
        number += 1
        text = b"%d" % number
        ops = (Put(b"log/%02d/%02d" % (writer, number % SLOTS), text), Put(b"hot/%02d" % writer, text))
        result = await store.txn(Txn(success=ops))
        say("told", writer, number, result.revision)


async def watch(store: SQLiteStore, start: int) -> None:
    while True:
        try:
            async with store.watch(WatchRequest(b"\0", b"\0", start_revision=start)) as events:
                async for batch in events:
                    say("saw", *dict.fromkeys(event.kv.mod_revision for event in batch.events))
        except Compacted as error:
            start = error.compact_revision
            say("skipped", start)


async def compact(store: SQLiteStore) -> None:
    while True:
        await anyio.sleep(0.005)
        status = await store.status()
        if status.revision - 60 > status.compact_revision:
            await store.compact(status.revision - 30)
            await store.defragment()


async def restore(path: Path) -> None:
    say("begun")
    await restore_snapshot(path.with_name("snapshot"), path, raise_revision=1000)
    say("done")


# The rounds


def kill(victim: Callable[[], Awaitable[None]], seconds: float, *, once_it_spoke: bool) -> list[list[str]]:
    """Run `victim` in a fork, kill it after `seconds`, and return the lines it said."""
    receiving, sending = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.dup2(sending, 1)
            os.close(receiving)
            anyio.run(victim)
        except BaseException:  # noqa: BLE001 - the fork ends here, whatever it was
            traceback.print_exc()
        finally:
            os._exit(1)
    os.close(sending)
    with open(receiving, "rb") as pipe:
        said = os.read(pipe.fileno(), 65_536) if once_it_spoke else b""
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
        said += pipe.read()
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or b"done" in said, "the victim ended by itself"
    return [line.split() for line in said.decode().splitlines()]


class Clients:
    """What they know of one file, over all its rounds."""

    def __init__(self) -> None:
        self.seen = 1
        """The last revision of which the watcher was told."""
        self.owner: dict[int, tuple[int, int]] = {}
        """Writer and number of each revision that was acknowledged."""

    def hear(self, lines: list[list[str]]) -> None:
        for word, *numbers in lines:
            values = list(map(int, numbers))
            if word == "told":
                writer, number, revision = values
                assert revision not in self.owner, f"revision {revision} was used twice"
                self.owner[revision] = (writer, number)
            elif word == "skipped":
                assert values[0] > self.seen
                self.seen = values[0] - 1
            elif values:
                expected = list(range(self.seen + 1, self.seen + 1 + len(values)))
                assert values == expected, f"the watcher was told of {values[:5]}..., not of {expected[:5]}..."
                self.seen = values[-1]

    async def check(self, path: Path) -> None:
        async with SQLiteStore(path) as store:
            status = await store.status()
            assert status.revision >= max((self.seen, *self.owner)), "what was told is lost"
            last: dict[int, int] = {}
            for writer in range(WRITERS):
                hot = await store.get(b"hot/%02d" % writer)
                last[writer] = int(hot.value) if hot else 0
                if hot is not None:
                    log = await store.get(b"log/%02d/%02d" % (writer, last[writer] % SLOTS))
                    assert log is not None
                    assert (log.value, log.mod_revision) == (hot.value, hot.mod_revision), "applied in half"
            for revision, (writer, number) in self.owner.items():
                assert number <= last[writer], "what was acknowledged is lost"
                if number > last[writer] - SLOTS:
                    kv = await store.get(b"log/%02d/%02d" % (writer, number % SLOTS))
                    assert kv is not None
                    assert (int(kv.value), kv.mod_revision) == (number, revision)
            await self._check_history(store, max(self.seen + 1, status.compact_revision), status.revision)

    async def _check_history(self, store: SQLiteStore, start: int, revision: int) -> None:
        """What the watcher will see next is there without a gap, two keys to a revision."""
        found: list[int] = []
        async with store.watch(WatchRequest(b"\0", b"\0", start_revision=start)) as events:
            while start + len(found) // 2 <= revision:
                found += [event.kv.mod_revision for event in (await events.__anext__()).events]
        assert found == [made for made in range(start, revision + 1) for _ in range(2)]


async def make(path: Path) -> None:
    async with SQLiteStore(path) as store:
        await store.lease_grant(600, 9)
        for number in range(KEYS):
            await store.put(b"k/%03d" % number, b"%d" % number, lease=9)
        await store.snapshot(path.with_name("snapshot"))


async def holds_all(path: Path) -> None:
    async with SQLiteStore(path) as store:
        found = (await store.range(Range(b"k/", prefix_end(b"k/")))).kvs
        assert [int(kv.value) for kv in found] == list(range(KEYS))
        assert await store.leases() == (9,)


def seconds_of(work: Callable[[Path], Awaitable[object]], path: Path) -> float:
    """Return how long it takes until `work` is done in a process that is not killed."""
    start = time.perf_counter()
    anyio.run(work, path)
    return time.perf_counter() - start


async def begin(path: Path) -> None:
    async with SQLiteStore(path) as store:
        await store.put(b"hot/00", b"0")


def rounds_of_use(mode: str, rounds: int, folder: Path, chance: random.Random) -> None:
    clients, path = Clients(), folder / "cluster.db"
    longest = 2 * seconds_of(begin, folder / "begun" / "cluster.db") if mode == "create" else 0.06
    for number in range(rounds):
        if mode == "create" or (mode == "write" and number % FRESH_ROUNDS == 0):
            clients, path = Clients(), folder / f"{number}" / "cluster.db"
        victim = partial(use, path, clients.seen, compacting=mode == "compact")
        clients.hear(kill(victim, chance.uniform(0.0, longest), once_it_spoke=mode != "create"))
        anyio.run(clients.check, path)


def rounds_of_migration(_: str, rounds: int, folder: Path, chance: random.Random) -> None:
    anyio.run(make, folder / "older" / "cluster.db")
    with sqlite3.connect(folder / "older" / "cluster.db") as connection:
        for table in ("leases", "numbers"):
            connection.execute(f"ALTER TABLE {table} DROP COLUMN crc")
        connection.execute("PRAGMA user_version = 1")
    connection.close()
    shutil.copytree(folder / "older", folder / "begun")
    longest = 2 * seconds_of(begin, folder / "begun" / "cluster.db")
    for number in range(rounds):
        path = folder / f"{number}" / "cluster.db"
        shutil.copytree(folder / "older", path.parent)
        kill(partial(use, path, 1), chance.uniform(0.0, longest), once_it_spoke=False)
        anyio.run(holds_all, path)


def rounds_of_restoring(_: str, rounds: int, folder: Path, chance: random.Random) -> None:
    anyio.run(make, folder / "source" / "cluster.db")
    longest = 1.5 * seconds_of(partial(restore_snapshot, folder / "source" / "snapshot"), folder / "begun.db")
    for number in range(rounds):
        path = folder / f"{number}" / "cluster.db"
        path.parent.mkdir()
        shutil.copy(folder / "source" / "snapshot", path.parent)
        said = kill(partial(restore, path), chance.uniform(0.0, longest), once_it_spoke=True)
        if not path.exists():
            assert ["done"] not in said
            anyio.run(restore_snapshot, path.with_name("snapshot"), path)
        anyio.run(holds_all, path)


MODES: dict[str, Callable[[str, int, Path, random.Random], None]] = {
    "write": rounds_of_use,
    "compact": rounds_of_use,
    "create": rounds_of_use,
    "migrate": rounds_of_migration,
    "restore": rounds_of_restoring,
}

if __name__ == "__main__":
    MODES[sys.argv[1]](sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]), random.Random(int(sys.argv[4])))
