"""The watchers of a store: who is told what, and what waits for whom.

A watch first catches up from the engine's history, in pieces, and is then told of each revision as it is published.
The change from one to the other happens without a wait in between, so nothing is lost or comes twice. Nothing here
makes a writer wait: a watcher that reads too slowly is ended.
"""

from __future__ import annotations

from typing import Final, Self, TypeAlias

from anyio.lowlevel import checkpoint

from orchestra.errors import Compacted, StoreError, WatchOverflow
from orchestra.store.model import Event, WatchBatch, WatchRequest
from orchestra.store.mvcc import Engine
from orchestra.store.rules import interval
from orchestra.store.waiting import Waiters

CATCH_UP_EVENTS: Final = 4096
"""Events of the history that are looked at in one piece (a revision is never split)."""


GroupKey: TypeAlias = tuple[bytes, bytes | None, bool, bool]
"""Interval, and whether puts and deletes are wanted."""


class WatchGroup:
    """Live watches that want the same: what they are told is selected once, and one signal wakes them all."""

    __slots__ = ("_deletes", "_high", "_low", "_puts", "changed", "watches")

    def __init__(self, key: GroupKey) -> None:
        self._low, self._high, self._puts, self._deletes = key
        self.watches: dict[OpenWatch, None] = {}
        self.changed = Waiters()
        """Readers that have nothing to read."""

    def select(self, events: tuple[Event, ...]) -> tuple[Event, ...]:
        """Return those of one revision's events that are wanted."""
        low, high = self._low, self._high
        found = [event for event in events if low <= event.kv.key and (high is None or event.kv.key < high)]
        if not (self._puts and self._deletes):
            found = [event for event in found if (self._deletes if event.is_delete else self._puts)]
        return events if len(found) == len(events) else tuple(found)

    def offer(self, events: tuple[Event, ...]) -> None:
        """Tell all watches of one revision."""
        wanted = self.select(events)
        if wanted:
            # A copy, because a watch that overflows leaves.
            for watch in tuple(self.watches):
                watch.offer(wanted)
            self.changed.wake()


class OpenWatch:
    """The `Watch` of a store that keeps its history in an `Engine`; also the context manager that opens it."""

    def __init__(self, hub: WatchHub, request: WatchRequest) -> None:
        self._hub = hub
        self._buffer_events = request.buffer_events
        self._start_revision = request.start_revision
        self.key = request.key
        self.single = not request.range_end
        self.group_key: GroupKey = (*interval(request.key, request.range_end), request.puts, request.deletes)
        self.group: WatchGroup | None = None
        """Set while the watch is live: it has caught up with the history and is told of each revision."""
        self._pending: list[tuple[Event, ...]] = []
        self._waiting = 0
        """How many events are pending."""
        self._next = 0
        """The first revision that this watch has not been told of."""
        self._error: StoreError | None = None
        self._progress = False
        self._idle = True
        """Whether nothing was delivered since the last periodic notice."""
        self.revision = 0

    async def __aenter__(self) -> Self:
        """Open the watch. Raises `Compacted`."""
        engine = self._hub.engine
        self.revision = engine.revision
        self._next = self._start_revision or engine.revision + 1
        if self._next < engine.compact_revision:
            raise Compacted(engine.compact_revision)
        self._hub.open(self, live=self._next > engine.revision)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._hub.remove(self)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> WatchBatch:
        """Return what has gathered, or wait for something."""
        # A reader that always finds something must not keep the others from running. This comes before anything is
        # taken, so that a cancelled reader loses nothing.
        if self._pending or self._progress or self.group is None:
            await checkpoint()
        while True:
            if self._error is not None:
                raise self._error
            if self.group is None:
                batch = self._catch_up()
                if batch is not None:
                    return batch
                await checkpoint()
            elif self._pending or self._progress:
                return self._take(self._hub.engine.revision)
            else:
                await self.group.changed.wait()

    def request_progress(self) -> None:
        """See `Watch.request_progress`."""
        self._progress = True
        self._wake()

    def offer(self, events: tuple[Event, ...]) -> None:
        """Take wanted events of one revision; the group wakes the reader."""
        if events[0].kv.mod_revision < self._next:
            return
        # A single revision always fits, or a reader could never get past it.
        if self._waiting and self._waiting + len(events) > self._buffer_events:
            self.end(WatchOverflow(f"{self._waiting} events wait for the watcher of {self.key!r}"))
            self._hub.remove(self)
            return
        self._pending.append(events)
        self._waiting += len(events)

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

    def _wake(self) -> None:
        if self.group is not None:
            self.group.changed.wake()

    def _take(self, revision: int) -> WatchBatch:
        pending, self._pending = self._pending, []
        self._waiting = 0
        self._progress = self._idle = False
        events = pending[0] if len(pending) == 1 else tuple(event for events in pending for event in events)
        return WatchBatch(revision, events)

    def _catch_up(self) -> WatchBatch | None:
        """Go on through the history; return what was found there, None if nothing was yet."""
        engine = self._hub.engine
        select = WatchGroup(self.group_key).select
        for events in engine.events_from(self._next, CATCH_UP_EVENTS):
            self._next = events[0].kv.mod_revision + 1
            if wanted := select(events):
                self._pending.append(wanted)
        if self._next > engine.revision:
            self._hub.join(self)
        return self._take(self._next - 1) if self._pending or self._progress else None


class WatchHub:
    """All watches of one open store."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._open: dict[OpenWatch, None] = {}
        self._of_key: dict[bytes, dict[GroupKey, WatchGroup]] = {}
        """Groups that watch a single key, by key: with thousands of them a write must not look at each."""
        self._of_range: dict[GroupKey, WatchGroup] = {}

    def open(self, watch: OpenWatch, *, live: bool) -> None:
        """Begin a watch; a live one has no history to catch up with."""
        self._open[watch] = None
        if live:
            self.join(watch)

    def join(self, watch: OpenWatch) -> None:
        """Tell a watch of what is published from now on."""
        groups = self._of_key.setdefault(watch.key, {}) if watch.single else self._of_range
        group = groups.get(watch.group_key)
        if group is None:
            group = groups[watch.group_key] = WatchGroup(watch.group_key)
        group.watches[watch] = None
        watch.group = group

    def remove(self, watch: OpenWatch) -> None:
        """Forget a watch, if it is known."""
        self._open.pop(watch, None)
        group = watch.group
        if group is None:
            return
        group.watches.pop(watch, None)
        groups = self._of_key.get(watch.key, {}) if watch.single else self._of_range
        if not group.watches and groups.get(watch.group_key) is group:
            del groups[watch.group_key]
            if watch.single and not groups:
                del self._of_key[watch.key]

    def publish(self, events: tuple[Event, ...]) -> None:
        """Tell the watchers of one revision."""
        if self._of_range:
            for group in tuple(self._of_range.values()):
                group.offer(events)
        if self._of_key:
            for key in {event.kv.key: None for event in events}:
                for group in tuple(self._of_key.get(key, {}).values()):
                    group.offer(events)

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
