"""The watchers of a store: who is told what, and what waits for whom.

A watch first catches up from the engine's history, in pieces, and is then told of each revision as it is published.
The change from one to the other happens without a wait in between, so nothing is lost or comes twice. Nothing here
makes a writer wait: a watcher that reads too slowly is ended.
"""

from __future__ import annotations

from typing import Final, Self

import anyio
from anyio.lowlevel import checkpoint

from orchestra.errors import Compacted, StoreError, WatchOverflow
from orchestra.store.model import Event, WatchBatch, WatchRequest
from orchestra.store.mvcc import Engine
from orchestra.store.rules import interval

CATCH_UP_EVENTS: Final = 4096
"""Events of the history that are looked at in one piece (a revision is never split)."""


class OpenWatch:
    """The `Watch` of a store that keeps its history in an `Engine`; also the context manager that opens it."""

    def __init__(self, hub: WatchHub, request: WatchRequest) -> None:
        self._hub = hub
        self._low, self._high = interval(request.key, request.range_end)
        self._request = request
        self.single_key = None if request.range_end else request.key
        self._all_types = request.puts and request.deletes
        self._pending: list[Event] = []
        self._next = 0
        """The first revision that this watch has not been told of."""
        self._live = False
        self._error: StoreError | None = None
        self._progress = False
        self._idle = True
        """Whether nothing was delivered since the last periodic notice."""
        self._waiter: anyio.Event | None = None
        self.revision = 0

    async def __aenter__(self) -> Self:
        """Open the watch. Raises `Compacted`."""
        self._hub.open(self)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._hub.remove(self)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> WatchBatch:
        """Return what has gathered, or wait for something."""
        # A reader that always finds something must not keep the others from running. This comes before anything is
        # taken, so that a cancelled reader loses nothing.
        if self._pending or self._progress or not self._live:
            await checkpoint()
        while True:
            if self._error is not None:
                raise self._error
            if not self._live:
                batch = self._catch_up()
                if batch is not None:
                    return batch
                await checkpoint()
            elif self._pending or self._progress:
                events, self._pending = self._pending, []
                self._progress = self._idle = False
                return WatchBatch(self._hub.engine.revision, tuple(events))
            else:
                self._waiter = anyio.Event()
                await self._waiter.wait()

    def request_progress(self) -> None:
        """See `Watch.request_progress`."""
        self._progress = True
        self._wake()

    # Called by the hub

    def start(self, engine: Engine) -> bool:
        """Find where to begin; return whether that is now, without history to catch up with."""
        self.revision = engine.revision
        self._next = self._request.start_revision or engine.revision + 1
        if self._next < engine.compact_revision:
            raise Compacted(engine.compact_revision)
        self._live = self._next > engine.revision
        return self._live

    def offer(self, events: tuple[Event, ...]) -> None:
        """Take the events of one revision that this watch wants."""
        if events[0].kv.mod_revision < self._next:
            return
        wanted = self._wanted(events)
        if not wanted:
            return
        pending = self._pending
        if pending and len(pending) + len(wanted) > self._request.buffer_events:
            self.end(WatchOverflow(f"{len(pending)} events wait for the watcher of {self._request.key!r}"))
            self._hub.remove(self)
            return
        pending += wanted
        self._wake()

    def tick(self) -> None:
        """Send a notice if nothing was delivered since the last call."""
        if self._idle:
            self.request_progress()
        self._idle = True

    def end(self, error: StoreError) -> None:
        """Let the reader's next call raise `error`; what waited for it is dropped."""
        self._error = error
        self._pending = []
        self._wake()

    # Inside

    def _wake(self) -> None:
        if self._waiter is not None:
            self._waiter.set()
            self._waiter = None

    def _wanted(self, events: tuple[Event, ...]) -> list[Event]:
        low, high = self._low, self._high
        found = [event for event in events if low <= event.kv.key and (high is None or event.kv.key < high)]
        if self._all_types:
            return found
        request = self._request
        return [event for event in found if (request.deletes if event.is_delete else request.puts)]

    def _catch_up(self) -> WatchBatch | None:
        """Go on through the history; return what was found there, None if nothing was yet."""
        found: list[Event] = []
        engine = self._hub.engine
        for events in engine.events_from(self._next, CATCH_UP_EVENTS):
            self._next = events[0].kv.mod_revision + 1
            found += self._wanted(events)
        if self._next > engine.revision:
            self._live = True
            self._hub.add(self)
        if not found and not self._progress:
            return None
        self._progress = self._idle = False
        return WatchBatch(self._next - 1, tuple(found))


class WatchHub:
    """All watches of one open store."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._open: dict[OpenWatch, None] = {}
        self._of_key: dict[bytes, dict[OpenWatch, None]] = {}
        """Live watches of single keys, by key; with thousands of them a write must not look at each."""
        self._of_range: dict[OpenWatch, None] = {}

    def open(self, watch: OpenWatch) -> None:
        """Begin a watch."""
        if watch.start(self.engine):
            self.add(watch)
        self._open[watch] = None

    def add(self, watch: OpenWatch) -> None:
        """Tell a watch of what is published from now on."""
        key = watch.single_key
        if key is None:
            self._of_range[watch] = None
        else:
            self._of_key.setdefault(key, {})[watch] = None

    def remove(self, watch: OpenWatch) -> None:
        """Forget a watch, if it is known."""
        self._open.pop(watch, None)
        self._of_range.pop(watch, None)
        key = watch.single_key
        if key is not None and key in self._of_key:
            self._of_key[key].pop(watch, None)
            if not self._of_key[key]:
                del self._of_key[key]

    def publish(self, events: tuple[Event, ...]) -> None:
        """Tell the watchers of one revision."""
        if self._of_range:
            for watch in tuple(self._of_range):
                watch.offer(events)
        if self._of_key:
            told: dict[OpenWatch, None] = {}
            for event in events:
                told.update(self._of_key.get(event.kv.key, ()))
            for watch in told:
                watch.offer(events)

    def tick(self) -> None:
        """Send progress notices to those that were told nothing since the last call."""
        for watch in self._open:
            watch.tick()

    def close(self, error: StoreError) -> None:
        """End all watches."""
        for watch in self._open:
            watch.end(error)
        self._open.clear()
        self._of_range.clear()
        self._of_key.clear()
