"""Messages that wait for one sender of a stream; putting one in never waits."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

import anyio

M = TypeVar("M")


class Outbox(Generic[M]):
    """First in, first out. What is put in is bounded by its users, who say in their own words by what."""

    def __init__(self) -> None:
        self._waiting: deque[M] = deque()
        self._filled = anyio.Event()
        self._last = False

    def put(self, message: M) -> None:
        """Have a message sent."""
        self._waiting.append(message)
        self._filled.set()

    def finish(self) -> None:
        """Put in nothing more: `drain` ends when all is sent."""
        self._last = True
        self._filled.set()

    async def drain(self, send: Callable[[M], Awaitable[object]]) -> None:
        """Send, one message at a time, until `finish`, or until sending fails."""
        while True:
            while self._waiting:
                await send(self._waiting.popleft())
            if self._last:
                return
            self._filled = anyio.Event()
            await self._filled.wait()
