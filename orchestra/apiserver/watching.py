"""One watcher's end of a watch: a bounded buffer that the cache fills and one task empties."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Final, cast

import anyio

from orchestra.api.object import Object
from orchestra.apiserver import refusals
from orchestra.apiserver.cache import RecordEvent
from orchestra.apiserver.record import Record
from orchestra.client.bookmarks import INITIAL_EVENTS_END, bookmark_object
from orchestra.client.interface import EventType, WatchEvent
from orchestra.errors import APIError

WATCH_BUFFER_EVENTS: Final = 16_384
"""Events that wait for one watcher; one more ends its watch with `Expired`, and it must list again."""


class CacheWatch:
    """A `Watch` that is fed by a cache. Its events are `RecordEvent`s."""

    def __init__(
        self, cls: type[Object], catch_up: Callable[[], Awaitable[int]], revision: int, *, bookmarks: bool = False
    ) -> None:
        self._cls = cls
        self._catch_up = catch_up
        self._events: deque[RecordEvent] = deque()
        self._wake: anyio.Event | None = None
        self._error: APIError | None = None
        self.bookmarks = bookmarks
        self.delivered = revision
        """Up to this revision everything has been put into the buffer, as far as its reader was told."""

    def begin(self, events: Iterable[RecordEvent]) -> None:
        """Put in what the watch starts with; the bound does not count it, for it is there already."""
        self._events.extend(events)

    def receive(self, event: RecordEvent) -> None:
        """Take an event from the cache; never blocks."""
        if self._error is not None:
            return
        if len(self._events) >= WATCH_BUFFER_EVENTS:
            self._events.clear()
            self._error = refusals.too_slow()
        else:
            self._events.append(event)
            self.delivered = event.revision
        self._notify()

    def bookmark(self, revision: int, *, initial_events_end: bool = False) -> None:
        """Tell the reader up to which revision it has been given everything."""
        self.receive(bookmark_event(self._cls, revision, initial_events_end=initial_events_end))

    def fail(self, error: APIError) -> None:
        """End the watch with an error once its reader has taken what is buffered."""
        if self._error is None:
            self._error = error
            self._notify()

    async def next_batch(self) -> tuple[WatchEvent[Object], ...]:
        """Wait for at least one event and return all that have arrived."""
        await self._arrival()
        batch = tuple(self._events)
        self._events.clear()
        return cast("tuple[WatchEvent[Object], ...]", batch)

    def __aiter__(self) -> AsyncIterator[WatchEvent[Object]]:
        return self

    async def __anext__(self) -> WatchEvent[Object]:
        if not self._events:
            await self._arrival()
        return self._events.popleft()

    async def request_progress(self) -> None:
        """Put a BOOKMARK of the store's present revision behind everything up to it."""
        self.bookmark(await self._catch_up())

    async def _arrival(self) -> None:
        while not self._events:
            if self._error is not None:
                raise self._error
            self._wake = anyio.Event()
            await self._wake.wait()

    def _notify(self) -> None:
        if self._wake is not None:
            self._wake.set()
            self._wake = None


def bookmark_event(cls: type[Object], revision: int, *, initial_events_end: bool = False) -> RecordEvent:
    """Return the event that carries nothing but a revision, and whether the initial events end here (KEP-3157)."""
    info = cls.resource_info
    meta = {"annotations": {INITIAL_EVENTS_END: "true"}} if initial_events_end else {}
    document = {"kind": info.kind, "apiVersion": info.api_version, "metadata": meta}
    record = Record(cls, "", "", revision, b"", document)
    record.adopt(bookmark_object(cls, revision, initial_events_end=initial_events_end))
    return RecordEvent(EventType.BOOKMARK, record.object, revision, record)
