"""Running a part of the cluster until a signal: the first one stops it in order, the second one at once."""

from __future__ import annotations

import functools
import os
import signal
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Final

import anyio
import attrs
from anyio.abc import TaskStatus

from orchestra._stop import cancel_at
from orchestra.cli import quickstart
from orchestra.cli.terminal import Terminal

LEVELS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40}
AT_ONCE_STATUS: Final = 130


@attrs.frozen
class Words:
    """What is said when the first signal comes, and when the second one does."""

    stopping: str = "stopping: containers have their grace period; interrupt again to stop at once"
    at_once: str = "stopped at once: containers that still run are found again by the next start"


_WORDS = Words()


async def serve(
    part: AbstractAsyncContextManager[Any],
    ready: Callable[[], Awaitable[int]],
    terminal: Terminal,
    *,
    words: Words = _WORDS,
) -> int:
    """Keep `part` open until a signal; `ready` is called when it is up, and what it returns is the exit status."""
    async with anyio.create_task_group() as tasks:
        stop, status = anyio.Event(), 0
        await tasks.start(_listen, stop, terminal, words)
        with anyio.CancelScope() as running:
            tasks.start_soon(cancel_at, stop, running)
            async with part:  # its stop is orderly although it comes as a cancellation
                quickstart.settle()
                status = await ready()
                terminal.flush()
                await anyio.sleep_forever()
        tasks.cancel_scope.cancel()
    terminal.say("stopped")
    return status


async def _listen(stop: anyio.Event, terminal: Terminal, words: Words, *, task_status: TaskStatus[None]) -> None:
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        task_status.started()
        async for _ in signals:
            if stop.is_set():
                # The stop that is under way is shielded from cancellation, so there is no gentler way to end it.
                terminal.warn(words.at_once)
                terminal.flush()
                os._exit(AT_ONCE_STATUS)
            stop.set()
            terminal.say(words.stopping)
            terminal.flush()


def start_logging(level: str) -> None:
    """Write the log entries of that level and above to standard error; `off` writes none."""
    if level == "off":
        return
    from orchestra._log import enable_logging

    enable_logging(level=LEVELS[level], configure=functools.partial(_configure_structlog, LEVELS[level]))


def _configure_structlog(level: int) -> None:
    """Configure structlog, which brings rich's tracebacks along: a fifth of the start of a plane that says nothing."""
    import sys

    import structlog

    renderer: Any = structlog.dev.ConsoleRenderer() if sys.stderr.isatty() else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
