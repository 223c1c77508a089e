"""Reading container logs: files in the CRI's format, one `<time> <stream> <P|F> <text>` a line."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO

import anyio

from orchestra.client.interface import LogOptions

CHUNK_BYTES = 64 * 1024
POLL_SECONDS = 0.1
"""How often a followed file is looked at; local files give no other sign without a library for it."""


def parse_line(line: bytes) -> tuple[bytes, bytes]:
    """Return time and text of one line in the CRI's format; a partial line (`P`) has no newline at its end."""
    time, _, rest = line.partition(b" ")
    _stream, _, rest = rest.partition(b" ")
    tag, _, text = rest.partition(b" ")
    text = text.removesuffix(b"\n")
    return time, text if tag.startswith(b"P") else text + b"\n"


def since(options: LogOptions, now: datetime) -> datetime | None:
    """Return from when on lines are wanted."""
    if options.since_seconds is not None:
        return now - timedelta(seconds=options.since_seconds)
    return options.since_time


async def read_log(
    path: Path, options: LogOptions, now: datetime, still_running: Callable[[], bool]
) -> AsyncIterator[bytes]:
    """Yield the wanted part of a log file, and with `follow` what is added while the container runs.

    A file that is rotated meanwhile is read to its end, and then the one that took its place.
    """
    left, start = options.limit_bytes, since(options, now)
    file: BinaryIO = path.open("rb")
    try:
        if options.tail_lines is not None:
            file.seek(tail_offset(path, options.tail_lines))
        rest = b""
        while left is None or left > 0:
            running = still_running()  # asked before reading: what comes between is seen by the next round
            block = file.read(CHUNK_BYTES)
            if not block:
                if not options.follow:
                    return
                fresh = _newer(path, file)
                if fresh is not None:
                    file.close()
                    file = fresh
                elif running:
                    await anyio.sleep(POLL_SECONDS)
                elif rest:
                    block = b"\n"
                else:
                    return
            *lines, rest = (rest + block).split(b"\n")
            chunk = b"".join(_shown(line, options, start) for line in lines)
            if left is not None:
                chunk, left = chunk[:left], left - len(chunk)
            if chunk:
                yield chunk
    finally:
        file.close()


def _newer(path: Path, file: BinaryIO) -> BinaryIO | None:
    """Return the file that has taken the place of the one that is open, None while there is none."""
    try:
        if os.fstat(file.fileno()).st_ino == path.stat().st_ino:
            return None
        return path.open("rb")
    except FileNotFoundError:
        return None


def _shown(line: bytes, options: LogOptions, start: datetime | None) -> bytes:
    if not line:
        return b""
    time, text = parse_line(line + b"\n")
    if start is not None and _time(time) < start:
        return b""
    return time + b" " + text if options.timestamps else text


def _time(text: bytes) -> datetime:
    """Read an RFC 3339 time of up to nanoseconds; microseconds are kept."""
    stamp = text.decode("ascii", "replace")
    head, _, fraction = stamp.rstrip("Z").partition(".")
    try:
        return datetime.fromisoformat(f"{head}.{fraction[:6]:0<6}").replace(tzinfo=UTC)
    except ValueError:
        return datetime.fromtimestamp(0, UTC)


def tail_offset(path: Path, lines: int) -> int:
    """Return where the last `lines` lines of a file begin; as in Kubernetes, a partial line counts as one."""
    with path.open("rb") as file:
        end = size = file.seek(0, os.SEEK_END)
        if lines <= 0:
            return size
        wanted = lines + 1  # the newline at the very end ends the last line
        while end > 0:
            begin = max(0, end - CHUNK_BYTES)
            file.seek(begin)
            block = file.read(end - begin)
            count = block.count(b"\n")
            if count >= wanted:
                position = len(block)
                for _ in range(wanted):
                    position = block.rindex(b"\n", 0, position)
                return begin + position + 1
            wanted -= count
            end = begin
    return 0
