"""`orchestra store` as a process: kills, interrupts, output."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from orchestra.store import Range, SQLiteStore

TIMEOUT = 60
KEYS = 15_000


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "orchestra.cli.main", "store", *arguments]


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*arguments), cwd=cwd, capture_output=True, text=True, timeout=TIMEOUT, check=False)


async def count(path: Path) -> int:
    async with SQLiteStore(path) as store:
        return (await store.range(Range(b"k", b"l", count_only=True))).count


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with many keys, and a snapshot of it."""
    folder = tmp_path_factory.mktemp("store")

    async def fill() -> None:
        async with SQLiteStore(folder / "data" / "cluster.db") as store:
            async with anyio.create_task_group() as tasks:
                for number in range(KEYS):
                    tasks.start_soon(store.put, b"k%06d" % number, b"x" * 200)
            await store.snapshot(folder / "whole")

    anyio.run(fill)
    return folder


def signalled(arguments: list[str], begun: Callable[[int], bool], number: signal.Signals, cwd: Path) -> tuple[int, str]:
    """Run a command, and signal it as soon as it has begun its work; return its status and what it complained of."""
    with subprocess.Popen(
        command(*arguments), cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        until = time.monotonic() + TIMEOUT
        while not begun(process.pid) and process.poll() is None and time.monotonic() < until:
            os.sched_yield()
        process.send_signal(number)
        _, err = process.communicate(timeout=TIMEOUT)
    return process.returncode, err


def writes_below(pid: int, folder: Path) -> bool:
    """Whether the process has a file below `folder` open, even one without a name."""
    try:
        return any(os.readlink(fd).startswith(f"{folder}/") for fd in Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        return False  # it was closed meanwhile, or the process has ended


def limited(*arguments: str, cwd: Path, size_bytes: int) -> subprocess.CompletedProcess[str]:
    """Run a command that can write no file beyond a size."""
    program = (
        "import resource, runpy, sys\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({size_bytes}, {size_bytes}))\n"
        f"sys.argv = ['orchestra', *{['store', *arguments]!r}]\n"
        "runpy.run_module('orchestra.cli.main', run_name='__main__')"
    )
    return subprocess.run(
        [sys.executable, "-c", program], cwd=cwd, capture_output=True, text=True, timeout=TIMEOUT, check=False
    )


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
async def test_an_interrupted_restore_leaves_nothing_and_can_be_repeated(
    folder: Path, tmp_path: Path, number: signal.Signals
) -> None:
    target, hidden = tmp_path / "data" / "cluster.db", tmp_path / "data" / ".cluster.db.restoring"
    arguments = ["restore", str(folder / "whole"), "--data-dir", "data"]
    status, err = signalled(arguments, lambda _: hidden.exists(), number, tmp_path)
    if number == signal.SIGKILL:
        assert status == -number
    else:
        assert status == 128 + number
        assert err == "interrupted: taking back what was begun; interrupt again to leave at once\n"
        assert not hidden.exists()
    assert not target.exists()
    done = run("restore", str(folder / "whole"), "--data-dir", "data", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"data: restored, begins at revision {1_000_000_000 + KEYS + 1}\n"
    assert not hidden.exists()
    assert await count(target) == KEYS


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
async def test_an_interrupted_snapshot_is_whole_or_not_there(
    folder: Path, tmp_path: Path, number: signal.Signals
) -> None:
    backup = tmp_path / "backup"
    arguments = ["snapshot", str(backup), "--data-dir", str(folder / "data")]
    status, _ = signalled(arguments, lambda pid: writes_below(pid, tmp_path), number, tmp_path)
    assert status == (-number if number == signal.SIGKILL else 128 + number)
    if backup.exists():
        assert backup.read_bytes() == (folder / "whole").read_bytes()
    assert list(tmp_path.iterdir()) in ([], [backup])
    done = run("snapshot", "again", "--data-dir", str(folder / "data"), cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "again").read_bytes() == (folder / "whole").read_bytes()


def test_a_snapshot_for_which_there_is_no_room_is_not_there(folder: Path, tmp_path: Path) -> None:
    done = limited("snapshot", "backup", "--data-dir", str(folder / "data"), cwd=tmp_path, size_bytes=1_000_000)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "error: backup: File too large\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("size_bytes", [10_000, 1_000_000, 3_500_000])
def test_a_restore_for_which_there_is_no_room_leaves_no_store(folder: Path, tmp_path: Path, size_bytes: int) -> None:
    done = limited("restore", str(folder / "whole"), "--data-dir", "data", cwd=tmp_path, size_bytes=size_bytes)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: ")
    assert "data/" in done.stderr
    assert [place.name for place in (tmp_path / "data").iterdir()] == ["cluster.db.lock"]
    assert run("restore", str(folder / "whole"), "--data-dir", "data", cwd=tmp_path).returncode == 0


def test_a_second_interrupt_leaves_at_once() -> None:
    program = """
import anyio
from orchestra.cli.interrupts import interruptible
from orchestra.cli.terminal import Terminal

async def work():
    print("begun", flush=True)
    with anyio.CancelScope(shield=True):
        await anyio.sleep_forever()

anyio.run(interruptible, work, Terminal())
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.stderr.readline().startswith(b"interrupted: ")
        process.send_signal(signal.SIGINT)
        assert process.wait(TIMEOUT) == 130


def test_a_reader_that_has_left_ends_the_command_silently(folder: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            command("status", "--data-dir", "data"),
            cwd=folder,
            stdout=writing,
            stderr=subprocess.PIPE,
            timeout=TIMEOUT,
            check=False,
        )
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("frobnicate",), "error: no such command"),
        (("snapshot",), "error: missing argument 'FILE'\nSee 'orchestra store snapshot --help' for usage.\n"),
        (("compact", "many"), "error: invalid value for '[REVISION]': 'many' is not a valid integer"),
        (("hash", "-1"), "error: unknown shorthand flag: '-1'"),
        (("restore", "x", "--raise-revision", "0"), "error: invalid value for '--raise-revision': 0 is not in"),
    ],
)
def test_a_wrong_command_line_is_refused(folder: Path, arguments: tuple[str, ...], message: str) -> None:
    done = run(*arguments, cwd=folder)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(message)
