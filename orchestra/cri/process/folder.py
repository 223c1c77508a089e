"""The directory of one container, as the runtime uses it; `host/shim.py` tells what its files mean."""

from __future__ import annotations

import contextlib
import os
from typing import Any

from orchestra.cri.process.host.shim import take_lock, write_json
from orchestra.cri.process.state import read_record


class ContainerFolder:
    """Small synchronous steps on the files that runtime and shim share."""

    def __init__(self, path: str) -> None:
        self.path = path

    def permit_start(self, token: str) -> None:
        """Allow the shim that is given `token` to start the container."""
        with open(f"{self.path}/start", "w") as file:
            file.write(token)

    def withdraw_permission(self) -> None:
        """Allow no shim to start the container."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"{self.path}/start")

    def is_permitted(self) -> bool:
        """Say whether a start was allowed at some time, and not withdrawn."""
        return os.path.exists(f"{self.path}/start")

    def has_process(self) -> bool:
        """Say whether a process was made for the container, whatever became of it."""
        return os.path.exists(f"{self.path}/process")

    def read_process(self) -> dict[str, Any]:
        """Return the record of the process; empty when there is none or it is not whole."""
        return read_record(f"{self.path}/process") or {}

    def read_exit(self) -> dict[str, Any] | None:
        """Return the record of the end."""
        return read_record(f"{self.path}/exit")

    def write_exit(self, record: dict[str, Any]) -> None:
        """Record the end in place of a shim that could not; only under the lock."""
        write_json(f"{self.path}/exit", record, durable=True)

    def take_lock(self) -> int | None:
        """Return a descriptor that holds the shim's lock; None when a shim, or a fork of it, has it."""
        return take_lock(self.path)

    def read_shim(self) -> tuple[int, int] | None:
        """Return process id and start ticks of the last shim that held the lock."""
        try:
            with open(f"{self.path}/lock") as file:
                pid, ticks = map(int, file.read().split())
        except (FileNotFoundError, ValueError):
            return None
        return pid, ticks

    def command(self, text: str) -> bool:
        """Write a command to the shim; say whether there is a shim that will read it."""
        try:
            fd = os.open(f"{self.path}/control", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return False  # the shim has ended or is about to; who waits for the container's end will see it
        try:
            os.write(fd, f"{text}\n".encode())
        except (BlockingIOError, BrokenPipeError):
            return False
        finally:
            os.close(fd)
        return True
