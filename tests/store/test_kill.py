from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from orchestra.errors import StoreLocked
from orchestra.store import Range, SQLiteStore, WatchRequest
from tests.store.writer_child import WRITERS

ROUNDS = 20


def _run_and_kill(path: Path, mode: str, after_seconds: float) -> list[tuple[int, int, int]]:
    """Return what the child acknowledged before SIGKILL: writer, number, revision."""
    command = [sys.executable, "-m", "tests.store.writer_child", str(path), mode]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        first = child.stdout.readline()
        time.sleep(after_seconds)
        child.kill()
        said = (first + child.stdout.read()).decode()
    # A line that was cut by the kill was acknowledged too, but it cannot be read.
    lines = said[: said.rfind("\n")].split("\n")
    return [(int(writer), int(number), int(revision)) for writer, number, revision in map(str.split, lines)]


async def _check(path: Path, acknowledged: list[tuple[int, int, int]], seen: int) -> int:
    """Check everything that must hold after a kill; return the revision now."""
    async with SQLiteStore(path) as store:
        status = await store.status()
        assert status.revision >= max(revision for _, _, revision in acknowledged)
        for writer, number, revision in acknowledged:
            kv = await store.get(b"log/%d/%d" % (writer, number))
            assert kv is not None
            assert kv.mod_revision == revision
        for writer in range(WRITERS):
            hot = await store.get(b"hot/%d" % writer)
            written = await store.range(Range(b"log/%d/" % writer, b"log/%d0" % writer, count_only=True))
            assert written.count == (int(hot.value) if hot else 0), "a txn was applied in half"
        start = max(seen + 1, status.compact_revision)
        revisions: list[int] = []
        async with store.watch(WatchRequest(b"hot/", b"log0", start_revision=start)) as watch:
            while not revisions or revisions[-1] < status.revision:
                batch = await watch.__anext__()
                revisions += [event.kv.mod_revision for event in batch.events]
        expected = range(start, status.revision + 1)
        assert revisions == [revision for revision in expected for _ in range(2)]
        return status.revision


async def test_no_acknowledged_txn_is_lost_or_halved_when_the_process_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "cluster.db"
    chance = random.Random(20261122)
    seen = 1
    for number in range(ROUNDS):
        mode = "compact" if number % 2 else "keep"
        seen = await _check(path, _run_and_kill(path, mode, chance.uniform(0.0, 0.15)), seen)


async def test_a_second_process_is_refused_and_told_who_owns_the_file(tmp_path: Path) -> None:
    path = tmp_path / "cluster.db"
    command = [sys.executable, "-m", "tests.store.writer_child", str(path), "keep"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        try:
            with pytest.raises(StoreLocked, match=f"process {child.pid};") as refused:
                async with SQLiteStore(path):
                    pass
            assert str(path) in str(refused.value)
        finally:
            child.kill()
            child.stdout.read()
    async with SQLiteStore(path):
        pass
