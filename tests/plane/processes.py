"""What runs on this machine because of a test, seen from outside."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path


def containers_of(data_dir: Path) -> dict[str, list[int]]:
    """Return the processes of containers that `kill_child.pod_spec` describes, by the uid of their Pod."""
    found: dict[str, list[int]] = {}
    for pid in _pids():
        environment = _environment(pid)
        if environment.get("STARTS") == str(data_dir / "starts") and "POD_UID" in environment:
            found.setdefault(environment["POD_UID"], []).append(pid)
    return found


def users_of(folder: Path) -> list[str]:
    """Return every other process that has a file below `folder` open, works there or was told of it."""
    return [f"{pid}: {' '.join(_words(pid, 'cmdline'))}" for pid in _users(folder)]


def end_users(folder: Path) -> None:
    """Kill every process that `users_of` finds."""
    for pid in _users(folder):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _users(folder: Path) -> list[int]:
    return [pid for pid in _pids() if pid != os.getpid() and any(str(folder) in text for text in _mentions(pid))]


def is_alive(pid: int) -> bool:
    """Say whether a process runs; one that only waits to be reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _words(pid: int, name: str) -> list[str]:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return []


def _environment(pid: int) -> dict[str, str]:
    return dict(word.split("=", 1) for word in _words(pid, "environ") if "=" in word)


def _mentions(pid: int) -> list[str]:
    texts = [*_words(pid, "cmdline"), *_words(pid, "environ")]
    try:
        links = [f"/proc/{pid}/cwd", *(f"/proc/{pid}/fd/{fd}" for fd in os.listdir(f"/proc/{pid}/fd"))]
    except OSError:
        return texts
    for link in links:
        try:
            texts.append(os.readlink(link))
        except OSError:
            continue  # it was closed meanwhile
    return texts
