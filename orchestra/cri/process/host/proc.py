"""Facts about processes from /proc, and the system calls that Python's `os` does not have."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import time

PR_SET_PDEATHSIG = 1
PR_SET_NAME = 15
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38

KILL_ROUND_SECONDS = 0.001
KILL_LIMIT_SECONDS = 5.0
"""How long `kill_descendants` tries: a process in uninterruptible sleep ends later, and nobody can hasten it."""

libc = ctypes.CDLL(None, use_errno=True)


def check(result: int, call: str) -> None:
    """Raise `OSError` when a C library call returned -1."""
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, f"{call}: {os.strerror(number).lower()}")


def prctl(option: int, value: int | bytes) -> None:
    """Set a property of the calling process; raises `OSError`."""
    argument = ctypes.c_char_p(value) if isinstance(value, bytes) else ctypes.c_ulong(value)
    check(libc.prctl(option, argument, 0, 0, 0), "prctl")


def boot_id() -> str:
    """Return the id that the kernel chose when it booted; process ids mean nothing beyond it."""
    with open("/proc/sys/kernel/random/boot_id") as file:
        return file.read().strip()


def _stat_fields(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat from the third (state) on; empty when there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            # The second field is the program's name in parentheses and may hold anything, ")" included.
            return file.read().rpartition(b")")[2].decode().split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def start_ticks(pid: int) -> int | None:
    """Return when `pid` started, in clock ticks since boot (field 22 of /proc/PID/stat); None when it is not there."""
    fields = _stat_fields(pid)
    return int(fields[19]) if fields else None


def is_alive(pid: int, ticks: int) -> bool:
    """Say whether the process that had `pid` when it started at `ticks` still runs (a zombie does not)."""
    fields = _stat_fields(pid)
    return bool(fields) and int(fields[19]) == ticks and fields[0] not in "ZX"


def _children(pid: int) -> list[int]:
    found: list[int] = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children") as file:
                found.extend(map(int, file.read().split()))
    except (FileNotFoundError, ProcessLookupError):
        pass
    return found


def _has_children_files() -> bool:
    return os.path.exists(f"/proc/{os.getpid()}/task/{os.getpid()}/children")


def _parents() -> dict[int, list[int]]:
    """Return the children of every process, for kernels without the `children` files (CONFIG_PROC_CHILDREN)."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit() and (fields := _stat_fields(int(name))):
            children.setdefault(int(fields[1]), []).append(int(name))
    return children


def descendants(pid: int) -> list[int]:
    """Return the ids of all processes below `pid`, parents first."""
    table = None if _has_children_files() else _parents()
    found: list[int] = []
    todo = [pid]
    while todo:
        parent = todo.pop()
        children = _children(parent) if table is None else table.get(parent, [])
        found.extend(children)
        todo.extend(children)
    return found


def session_members(session: int) -> list[int]:
    """Return the ids of all processes of one session."""
    members = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            fields = _stat_fields(int(name))
            if fields and int(fields[3]) == session:
                members.append(int(name))
    return members


def kill(pid: int, number: int) -> None:
    """Send a signal; a process that is gone is fine."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def kill_group(group: int, number: int) -> None:
    """Send a signal to a process group; one that is gone is fine."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, number)


def reap() -> dict[int, int]:
    """Reap every child that has ended; return the wait status of each by its id."""
    ended: dict[int, int] = {}
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return ended
        if pid == 0:
            return ended
        ended[pid] = status


def kill_descendants() -> None:
    """Kill and reap everything below the calling process, which must be a subreaper.

    Several rounds, because a process may fork while the others are being killed.
    """
    deadline = time.monotonic() + KILL_LIMIT_SECONDS
    while time.monotonic() < deadline:
        below = descendants(os.getpid())
        if not below:
            return
        for pid in below:
            kill(pid, signal.SIGKILL)
        reap()
        time.sleep(KILL_ROUND_SECONDS)


def exit_code(status: int) -> int:
    """Return the exit code of a wait status; death by signal n counts as 128 + n, as shells and runtimes say it."""
    return os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)


def reset_signals() -> None:
    """Give every signal its default action, and block none: what a program expects when it starts."""
    for number in signal.valid_signals():
        if number not in (signal.SIGKILL, signal.SIGSTOP):
            try:
                signal.signal(number, signal.SIG_DFL)
            except (OSError, ValueError):
                continue  # 32 and 33 belong to the C library's threads
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
