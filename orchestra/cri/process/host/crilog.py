"""The log file of a container in the form that kubelets read.

One entry a line: `2006-01-02T15:04:05.000000000Z stdout F text`. The tag is F for a full line, P for a part of a line
that goes on in the next entry of its stream. Source: Kubernetes, design proposal "CRI: Log management".
"""

from __future__ import annotations

import os
import time

ENTRY_BYTES = 16 * 1024
"""Longest text of one entry: a longer line is written in parts."""


class LineSplitter:
    """Cuts a stream of bytes into entries: whole lines, and parts of lines that are too long."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[tuple[bytes, bytes]]:
        """Return the (tag, text) pairs that `data` completes."""
        *lines, rest = (self._rest + data).split(b"\n")
        entries: list[tuple[bytes, bytes]] = []
        for line in lines:
            start = 0
            while len(line) - start > ENTRY_BYTES:
                entries.append((b"P", line[start : start + ENTRY_BYTES]))
                start += ENTRY_BYTES
            entries.append((b"F", line[start:]))
        # Strictly longer: a line of exactly ENTRY_BYTES may still get its newline.
        while len(rest) > ENTRY_BYTES:
            entries.append((b"P", rest[:ENTRY_BYTES]))
            rest = rest[ENTRY_BYTES:]
        self._rest = rest
        return entries

    def finish(self) -> list[tuple[bytes, bytes]]:
        """Return what is left when the stream ends: a last line without a newline is a part."""
        rest, self._rest = self._rest, b""
        return [(b"P", rest)] if rest else []


def timestamp(ns: int) -> bytes:
    """Return a time in nanoseconds since 1970 as RFC 3339 with nine decimals, in UTC."""
    seconds, fraction = divmod(ns, 1_000_000_000)
    return b"%s.%09dZ" % (time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)).encode(), fraction)


class LogFile:
    """Appends entries to a log; an empty path discards them.

    A write that the disk refuses is counted in `lost_bytes` and dropped: a full disk must not block the container.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._fd = -1
        self.lost_bytes = 0
        self.reopen()

    def reopen(self) -> None:
        """Open the path again after its file was renamed; the old file stays in use when that fails."""
        if not self._path:
            return
        fd = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        if self._fd != -1:
            os.close(self._fd)
        self._fd = fd

    def write(self, stream: bytes, entries: list[tuple[bytes, bytes]]) -> None:
        """Append entries of one stream, all with the time of now."""
        if self._fd == -1 or not entries:
            return
        head = timestamp(time.time_ns()) + b" " + stream + b" "
        data = b"".join(head + tag + b" " + text + b"\n" for tag, text in entries)
        while data:
            try:
                data = data[os.write(self._fd, data) :]
            except OSError:
                self.lost_bytes += len(data)
                return
