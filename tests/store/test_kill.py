"""SIGKILL at random moments, 250 times: see `kill_rounds`, which does it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from orchestra.errors import StoreLocked
from orchestra.store import SQLiteStore

ROUNDS = {"write": 80, "compact": 80, "create": 40, "migrate": 25, "restore": 25}
SEED = 20261122


@pytest.mark.parametrize("mode", ROUNDS)
def test_a_kill_loses_nothing_acknowledged_and_leaves_nothing_half_done(tmp_path: Path, mode: str) -> None:
    command = [sys.executable, "-m", "tests.store.kill_rounds", mode, str(ROUNDS[mode]), str(tmp_path), str(SEED)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


async def test_a_second_process_is_refused_and_told_who_owns_the_file(tmp_path: Path) -> None:
    path = tmp_path / "cluster.db"
    program = "import anyio, sys; from tests.store.kill_rounds import use; anyio.run(use, sys.argv[1], 1)"
    with subprocess.Popen([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE) as child:
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
