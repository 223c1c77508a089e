"""An event loop whose time jumps to the next timer as soon as nothing is left to do.

Code that waits with `anyio.sleep` and reads the time from a `VirtualClock` runs unchanged, faster than real time and
in the same order every time. Only what happens inside the loop is virtual: threads and sockets follow real time, so
the loop refuses to start them.
"""

from __future__ import annotations

import asyncio
import math
import random
import selectors
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn, TypeVar, TypeVarTuple

import anyio

from orchestra.errors import OrchestraError

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
"""The wall time at which every simulation starts."""

MAX_VIRTUAL_SECONDS = 10 * 366 * 86_400.0
"""How far a simulation may run before it is taken for one that never ends."""


class SimulationError(OrchestraError):
    """The simulation cannot go on: a deadlock, a run without end, or a use of threads or sockets."""


class _JumpingSelector(selectors.BaseSelector):
    """Selects without ever waiting: where a selector would sleep, the loop's time moves on instead."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self.loop: VirtualTimeLoop | None = None

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._selector.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._selector.unregister(fileobj)

    def get_map(self) -> Any:
        return self._selector.get_map()

    def close(self) -> None:
        self._selector.close()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = self._selector.select(0)
        if not ready and (timeout is None or timeout > 0) and self.loop is not None:
            self.loop.jump()
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An asyncio event loop on virtual time; it starts at 0.0 seconds."""

    def __init__(self) -> None:
        selector = _JumpingSelector()
        self._now = 0.0
        super().__init__(selector)
        selector.loop = self

    def time(self) -> float:
        """Return the virtual time in seconds."""
        return self._now

    def jump(self) -> None:
        """Move time to the next timer; raise SimulationError when there is none and nothing can ever happen."""
        scheduled: list[asyncio.TimerHandle] = self._scheduled  # type: ignore[attr-defined]
        when = scheduled[0].when() if scheduled else math.inf
        if when == math.inf:
            waiting = sorted(task.get_name() for task in asyncio.all_tasks(self))
            raise SimulationError(f"deadlock at {self._now:.3f} s: nothing is due and all tasks wait: {waiting}")
        if when > MAX_VIRTUAL_SECONDS:
            raise SimulationError(f"the simulation has run for {self._now:.0f} virtual seconds without an end")
        self._now = max(self._now, when)

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise SimulationError("threads and sockets do not follow virtual time: use in-memory parts in a simulation")

    run_in_executor = _refuse  # type: ignore[assignment]
    create_connection = _refuse
    create_server = _refuse
    create_unix_connection = _refuse
    create_unix_server = _refuse
    subprocess_exec = _refuse
    subprocess_shell = _refuse


class VirtualClock:
    """The clock of a simulation: time is the running loop's, chance comes from `seed`."""

    __slots__ = ("_epoch", "random")

    def __init__(self, seed: int = 0, epoch: datetime = EPOCH) -> None:
        self.random = random.Random(seed)
        self._epoch = epoch

    def now(self) -> datetime:
        """Wall time in UTC: the simulation's epoch plus its virtual seconds."""
        return self._epoch + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        """Virtual seconds since the simulation began."""
        return asyncio.get_running_loop().time()

    def uid(self) -> str:
        """Return the next UUID that the seed gives."""
        return str(uuid.UUID(int=self.random.getrandbits(128), version=4))


def run_virtual(main: Callable[[*Ts], Awaitable[T]], *args: *Ts) -> T:
    """Run `main(*args)` on a new virtual-time loop and return its result.

    Raises what `main` raises, or SimulationError when every task waits for something that cannot happen.
    """
    return anyio.run(main, *args, backend_options={"loop_factory": VirtualTimeLoop})
