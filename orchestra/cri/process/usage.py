"""What the processes of a container use, from /proc."""

from __future__ import annotations

import os

import attrs

from orchestra.cri.process.host.proc import descendants

_TICK_NANOSECONDS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@attrs.frozen(kw_only=True)
class Usage:
    """Sums over all processes; processor time includes children that have ended and were waited for."""

    cpu_nanoseconds: int = 0
    resident_bytes: int = 0
    processes: int = 0


def measure(shim: int) -> Usage:
    """Return what everything below a shim uses now."""
    ticks = pages = count = 0
    for pid in descendants(shim):
        try:
            with open(f"/proc/{pid}/stat", "rb") as file:
                fields = file.read().rpartition(b")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        # proc(5): fields 14 to 17 are the times, 24 the resident pages; the third is the first here.
        ticks += sum(map(int, fields[11:15]))
        pages += int(fields[21])
        count += 1
    return Usage(cpu_nanoseconds=ticks * _TICK_NANOSECONDS, resident_bytes=pages * _PAGE_BYTES, processes=count)
