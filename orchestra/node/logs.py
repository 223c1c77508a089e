"""Reading container logs: files in the CRI's format, one `<time> <stream> <P|F> <text>` a line."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

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
    """Yield the wanted part of a log file, and with `follow` what is added while the container runs."""
    left = options.limit_bytes
    start = since(options, now)
    with path.open("rb") as file:
        if options.tail_lines is not None:
            file.seek(_tail_offset(path, options.tail_lines))
        rest = b""
        while True:
            running = still_running()  # asked before reading: what comes between is seen by the next round
            block = file.read(CHUNK_BYTES)
            if not block:
                if not options.follow or (not running and not rest):
                    return
                if not running:
                    rest += b"\n"
                else:
                    await anyio.sleep(POLL_SECONDS)
                    continue
            *lines, rest = (rest + block).split(b"\n")
            chunk = b"".join(_shown(line, options, start) for line in lines)
            if left is not None:
                chunk, left = chunk[:left], left - len(chunk)
            if chunk:
                yield chunk
            if left is not None and left <= 0:
                return


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


def _tail_offset(path: Path, lines: int) -> int:
    """Return where the last `lines` whole lines of a file begin; partial lines belong to the line they start."""
    size = path.stat().st_size
    if lines <= 0:
        return size
    found, end, offsets = 0, size, b""
    with path.open("rb") as file:
        while end > 0:
            begin = max(0, end - CHUNK_BYTES)
            file.seek(begin, os.SEEK_SET)
            offsets = file.read(end - begin) + offsets
            end = begin
            found = sum(1 for line in offsets.splitlines() if b" F " in line[:64])
            if found > lines:
                break
    kept = offsets.splitlines(keepends=True)
    taken, total = 0, 0
    for line in reversed(kept):
        if b" F " in line[:64]:
            if taken == lines:
                break
            taken += 1
        total += len(line)
    return size - total
