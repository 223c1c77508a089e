"""Reading, following, bounding and rotating logs; termination messages."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest

from orchestra._proto.cri.v1 import api_pb2 as pb
from orchestra.client.interface import LogOptions
from orchestra.cri import FakeRuntime
from orchestra.errors import RuntimeServiceError
from orchestra.node.logs import read_log, tail_offset
from orchestra.node.rotation import MAX_LOG_FILES, full_logs, rotate
from orchestra.node.termination import message_mount, read_message, wants_message

from .kit import NOW, container, pod


def line(text: str, seconds: int = 0, tag: str = "F") -> str:
    return f"{NOW + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%S.000000000Z} stdout {tag} {text}\n"


async def read(path: Path, running: Callable[[], bool] = lambda: False, **options: Any) -> str:
    chunks = [c async for c in read_log(path, LogOptions(**options), NOW + timedelta(seconds=10), running)]
    return b"".join(chunks).decode()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "0.log"
    lines = [line(f"line {n}", n) for n in range(1, 7)]
    path.write_text("".join([*lines, line("noeol", 7), line("late", 8)]))
    return path


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"tail_lines": 2}, "noeol\nlate\n"),
        ({"tail_lines": 0}, ""),
        ({"tail_lines": 99}, "line 1\nline 2\nline 3\nline 4\nline 5\nline 6\nnoeol\nlate\n"),
        ({"limit_bytes": 10}, "line 1\nlin"),
        ({"tail_lines": 3, "limit_bytes": 12}, "line 6\nnoeol"),
        ({"since_seconds": 3}, "noeol\nlate\n"),
        ({"since_time": NOW + timedelta(seconds=8)}, "late\n"),
    ],
)
async def test_parts_of_a_log_are_those_recorded(log: Path, options: dict[str, Any], text: str) -> None:
    assert await read(log, **options) == text


async def test_times_are_shown_when_asked_for(log: Path) -> None:
    assert await read(log, tail_lines=1, timestamps=True) == "2026-01-01T01:00:08.000000000Z late\n"


async def test_pieces_of_a_long_line_are_put_together(tmp_path: Path) -> None:
    path = tmp_path / "0.log"
    path.write_text(line("a" * 5, tag="P") + line("b" * 5, tag="P") + line("end") + line("next", tag="P"))
    assert await read(path) == "aaaaabbbbbend\nnext"


def test_the_tail_of_a_large_file_is_found_across_blocks(tmp_path: Path) -> None:
    path = tmp_path / "0.log"
    path.write_text("".join(f"{n:>99}\n" for n in range(5000)))
    for lines in (0, 1, 7, 656, 4999, 5000, 6000):
        assert tail_offset(path, lines) == 100 * (5000 - min(lines, 5000))


async def test_a_followed_log_ends_with_its_container_and_survives_rotation(tmp_path: Path) -> None:
    path, running, text = tmp_path / "0.log", True, ""
    path.write_text(line("one"))
    async with anyio.create_task_group() as tasks:
        first = anyio.Event()

        async def follow() -> None:
            nonlocal text
            async for chunk in read_log(path, LogOptions(follow=True), NOW, lambda: running):
                text += chunk.decode()
                first.set()

        tasks.start_soon(follow)
        await first.wait()
        path.rename(tmp_path / "0.log.aside")
        path.write_text(line("two"))
        running = False
    assert text == "one\ntwo\n"


class Reopening(FakeRuntime):
    """A runtime that begins a new file when it is told to, or fails."""

    def __init__(self, path: Path, error: str = "") -> None:
        super().__init__()
        self._path, self._error = path, error

    async def reopen_container_log(self, request: pb.ReopenContainerLogRequest) -> pb.ReopenContainerLogResponse:
        if self._error:
            raise RuntimeServiceError(self._error)
        self._path.touch()
        return pb.ReopenContainerLogResponse()


async def test_a_full_log_is_put_aside_and_the_oldest_files_go(tmp_path: Path) -> None:
    path = tmp_path / "0.log"
    for hour in range(8):
        path.write_text(f"{hour}" * 10)
        assert full_logs(tmp_path, [("c", str(path))], max_bytes=10) == [("c", path)]
        await rotate(Reopening(path), "c", path, NOW + timedelta(hours=hour))
    kept = sorted(tmp_path.iterdir())
    assert len(kept) == MAX_LOG_FILES
    assert [p.read_text()[:1] for p in kept] == ["", "4", "5", "6", "7"]


async def test_a_log_that_cannot_be_reopened_keeps_its_name(tmp_path: Path) -> None:
    path = tmp_path / "0.log"
    path.write_text("x")
    with pytest.raises(RuntimeServiceError):
        await rotate(Reopening(path, "no"), "c", path, NOW)
    assert [p.name for p in tmp_path.iterdir()] == ["0.log"]


def test_only_containers_that_seem_to_want_one_get_a_message_file(tmp_path: Path) -> None:
    assert not wants_message(container())
    assert not wants_message(container(termination_message_path="/dev/termination-log"))
    assert wants_message(container(termination_message_path="/tmp/msg"))
    assert wants_message(container(termination_message_policy="FallbackToLogsOnError"))
    assert wants_message(container(args=("echo > /dev/termination-log",)))
    mount = message_mount(tmp_path / "a" / "0.message", container(termination_message_path="/tmp/msg"))
    assert (mount.container_path, Path(mount.host_path).stat().st_mode & 0o777) == ("/tmp/msg", 0o666)


def test_a_message_is_the_end_of_its_file(tmp_path: Path) -> None:
    file, log = tmp_path / "m", tmp_path / "l"
    file.write_text("x" * 5000 + "end")
    four = pod(*(container(name) for name in "abcd"))
    assert len(read_message(pod(), container(), file, log, 0)) == 4096
    assert len(read_message(four, container(), file, log, 0)) == 3072
    assert read_message(four, container(), file, log, 0).endswith("end")


def test_the_end_of_the_log_stands_in_for_the_message_of_a_failure(tmp_path: Path) -> None:
    file, log = tmp_path / "m", tmp_path / "l"
    log.write_text("".join(line(f"{n}") for n in range(100)))
    wanting = container(termination_message_policy="FallbackToLogsOnError")
    assert read_message(pod(), wanting, file, log, 1) == "".join(f"{n}\n" for n in range(20, 100))
    assert read_message(pod(), wanting, file, log, 0) == ""
    assert read_message(pod(), container(), file, log, 1) == ""
    log.write_text(line("y" * 4000))
    assert len(read_message(pod(), wanting, file, log, 1)) == 2048
    file.write_text("own")
    assert read_message(pod(), wanting, file, log, 1) == "own"
