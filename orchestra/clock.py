"""What time is it, and what chance says: the one source of wall time, monotonic time, uids and random numbers.

A `Clock` is an object that is handed to every part; nothing in Orchestra reads the time anywhere else. Waiting is
not here: every wait is `anyio.sleep`, which a simulation's event loop controls.
"""

from __future__ import annotations

import random
import time
import uuid
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Time and chance, as one object, so that a simulation can own both."""

    @property
    def random(self) -> random.Random:
        """The source of every random choice (jitter, generated names, tie-breaks)."""
        ...

    def now(self) -> datetime:
        """Wall time in UTC; it may jump."""
        ...

    def monotonic(self) -> float:
        """Seconds since an arbitrary start; it never goes backwards."""
        ...

    def uid(self) -> str:
        """Return a new RFC 4122 version 4 UUID in its text form."""
        ...


class SystemClock:
    """The machine's own clocks and random numbers from `seed` (from the operating system when None)."""

    __slots__ = ("random",)

    def __init__(self, seed: int | None = None) -> None:
        self.random = random.Random(seed)

    def now(self) -> datetime:
        """Wall time in UTC; it may jump."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds since an arbitrary start; it never goes backwards."""
        return time.monotonic()

    def uid(self) -> str:
        """Return a new RFC 4122 version 4 UUID in its text form."""
        return str(uuid.UUID(int=self.random.getrandbits(128), version=4))
