"""Runs a part again when it crashed: later and later, and never silently."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Protocol

import anyio

from orchestra._log import get_logger
from orchestra.backoff import Backoff
from orchestra.clock import Clock
from orchestra.controller.health import Health
from orchestra.errors import ConfigurationError

if TYPE_CHECKING:
    from anyio.abc import TaskStatus

RESTART = Backoff(initial_seconds=0.5, max_seconds=60.0, jitter=0.2)
STEADY_SECONDS = 120.0
"""A part that ran this long had started well: its next crash is the first of a row."""


class Start(Protocol):
    """Runs a part until it is cancelled, ends or crashes."""

    def __call__(self, *, task_status: TaskStatus[None]) -> Awaitable[Any]:
        """Start; `task_status.started()` says ready."""
        ...


class _Ready:
    """A `TaskStatus` that tells of every start that has come to be ready."""

    def __init__(self, on_ready: Callable[[], None]) -> None:
        self._on_ready = on_ready

    def started(self, value: Any = None) -> None:
        self._on_ready()


class Supervisor:
    """Keeps one part running."""

    def __init__(self, name: str, start: Start, clock: Clock) -> None:
        self.name = name
        self.crashes = 0
        """How many times in a row it has crashed."""
        self._start = start
        self._clock = clock
        self._problem = ""
        self._failure: Exception | None = None
        self._ready = anyio.Event()
        self._ended = anyio.Event()

    def health(self) -> Health:
        """Say whether the part runs."""
        return Health(part=self.name, problem=self._problem)

    async def wait_ready(self) -> None:
        """Wait until the part has said for the first time that it is ready.

        Raises the ConfigurationError of a part that was composed in a way that cannot work: it is not tried again.
        """
        await self._ready.wait()
        if self._failure is not None:
            raise self._failure

    async def wait_ended(self) -> None:
        """Wait until `run` has returned."""
        await self._ended.wait()

    async def run(self) -> None:
        """Run the part until cancelled, or until it ends by itself."""
        try:
            await self._keep_running()
        finally:
            self._ended.set()

    async def _keep_running(self) -> None:
        log = get_logger("manager").bind(part=self.name)
        while True:
            began = self._clock.monotonic()
            try:
                await self._start(task_status=_Ready(self._now_ready))
            except Exception as error:
                root = _root(error)
                if not self._ready.is_set() and isinstance(root, ConfigurationError):
                    self._failure, self._problem = root, str(root)
                    self._ready.set()
                    return
                # Logged, reported by `health`, and the part is started again.
                if self._clock.monotonic() - began >= STEADY_SECONDS:
                    self.crashes = 0
                self.crashes += 1
                delay = RESTART.delay_seconds(self.crashes, self._clock.random)
                self._problem = f"crashed {self.crashes} times in a row: {_cause(error)}"
                log.error("part crashed", crashes=self.crashes, restart_seconds=delay, exc_info=error)
                await anyio.sleep(delay)
                continue
            self._ready.set()
            log.info("part ended")
            return

    def _now_ready(self) -> None:
        self._problem = ""
        self._ready.set()


def _root(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _cause(error: BaseException) -> str:
    return f"{type(_root(error)).__name__}: {_root(error)}"
