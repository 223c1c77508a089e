"""Ending a command that does one thing: the first signal takes back what it began, the second leaves at once."""

from __future__ import annotations

import os
import signal
from collections.abc import Awaitable, Callable
from typing import Final

import anyio
from anyio.abc import TaskStatus

from orchestra.cli.terminal import Terminal

SIGNALLED_STATUS: Final = 128
"""A shell adds the signal's number to this in the status of a program that a signal ended."""


async def interruptible(work: Callable[[], Awaitable[int]], terminal: Terminal) -> int:
    """Return what `work` returns. A signal cancels it, which waits for the step in progress, and is the status then."""
    status = 0
    async with anyio.create_task_group() as tasks:
        with anyio.CancelScope() as working:
            received = await tasks.start(_listen, working, terminal)
            status = await work()
        tasks.cancel_scope.cancel()
    return SIGNALLED_STATUS + received[0] if received else status


async def _listen(working: anyio.CancelScope, terminal: Terminal, *, task_status: TaskStatus[list[int]]) -> None:
    received: list[int] = []
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        task_status.started(received)
        async for number in signals:
            if received:
                terminal.flush()
                os._exit(SIGNALLED_STATUS + number)
            received.append(number)
            terminal.warn("interrupted: taking back what was begun; interrupt again to leave at once")
            working.cancel()
