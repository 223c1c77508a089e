"""Between deciding and binding: placed Pods that wait for one of several workers."""

from __future__ import annotations

from collections import deque

import anyio

from orchestra.scheduler.permitting import PlacedUnit


class Buffer:
    """Placed units that wait for one of several workers to bind them.

    A worker that takes one wakes the next only while there are more: where binding never waits, as at a server in the
    same process, one worker does them all in one go and the others sleep on.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._units: deque[PlacedUnit] = deque()
        self._idle: list[anyio.Event] = []
        self._waking = False
        self._room: anyio.Event | None = None

    def put(self, unit: PlacedUnit) -> None:
        """Add one; who adds many asks for `room` in between."""
        self._units.append(unit)
        self._wake()

    async def room(self) -> None:
        """Wait until there are not too many."""
        while len(self._units) >= self._limit:
            self._room = anyio.Event()
            await self._room.wait()

    async def take(self) -> PlacedUnit:
        """Return the oldest, wait for one if there is none."""
        while not self._units:
            woken = anyio.Event()
            self._idle.append(woken)
            try:
                await woken.wait()
            except BaseException:  # cancelled: the call, if there was one, goes to somebody else
                if woken.is_set():
                    self._waking = False
                else:
                    self._idle.remove(woken)
                self._wake()
                raise
            self._waking = False
        unit = self._units.popleft()
        if self._room is not None and len(self._units) < self._limit:
            self._room.set()
            self._room = None
        self._wake()
        return unit

    def _wake(self) -> None:
        if self._units and self._idle and not self._waking:
            self._waking = True
            self._idle.pop().set()
