"""A log in memory whose appends can be held back and made to fail."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import anyio

from orchestra.errors import StoreError
from orchestra.store import KeyValue
from orchestra.store.changes import Change, Contents, LogSize

T = TypeVar("T")


class HeldLog:
    def __init__(self) -> None:
        self.batches: list[list[Change]] = []
        self.failures: list[StoreError] = []
        """Errors for the next appends, first one first."""
        self.discarded: list[KeyValue] = []
        self.discard_failures: list[StoreError] = []
        self.go_on = anyio.Event()
        self.begun = anyio.Event()

    async def open(self, load: Callable[[Contents], T]) -> T:
        return load(Contents())

    async def append(self, changes: Sequence[Change]) -> None:
        self.begun.set()
        await self.go_on.wait()
        if self.failures:
            raise self.failures.pop(0)
        self.batches.append(list(changes))

    async def compact(self, revision: int) -> None:
        pass

    async def discard(self, dead: Sequence[KeyValue]) -> None:
        if self.discard_failures:
            raise self.discard_failures.pop(0)
        self.discarded += dead

    async def size(self) -> LogSize:
        return LogSize()

    async def defragment(self) -> None:
        pass

    async def close(self) -> None:
        pass
