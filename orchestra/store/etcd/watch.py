"""One watch of an `EtcdStore`: what has come of it, what waits for its reader, and how far it is.

It is told of events by a stream and takes them up again on another one when that breaks. `position` is the revision
up to which all its events have come: a new stream begins behind it, and what comes from before it is dropped, so
nothing is lost and nothing comes twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Protocol, Self

import anyio
from anyio.lowlevel import checkpoint

from orchestra._proto.etcd.v3 import rpc_pb2
from orchestra.errors import StoreError, WatchOverflow
from orchestra.store.model import FROM_KEY, Event, WatchBatch, WatchRequest

CATCH_UP_EVENTS: Final = 4096
"""Events of the history that wait for a reader even if its buffer is smaller; it is not ended for not keeping up."""


def by_revision(events: list[Event]) -> Iterator[tuple[Event, ...]]:
    """Return the events of each revision together."""
    first = 0
    for place in range(1, len(events) + 1):
        if place == len(events) or events[place].kv.mod_revision != events[first].kv.mod_revision:
            yield tuple(events[first:place])
            first = place


class Carrier(Protocol):
    """What a watch asks of those who carry it."""

    async def open(self, watch: EtcdWatch) -> None:
        """Open it: find out where it begins, and have a member confirm it."""
        ...

    def close(self, watch: EtcdWatch) -> None:
        """Forget it."""
        ...

    def place(self, watch: EtcdWatch) -> None:
        """Go on with it on some stream."""
        ...

    def ask_progress(self, watch: EtcdWatch) -> None:
        """Tell it how far it has come."""
        ...


class EtcdWatch:
    """The `Watch` of an `EtcdStore`; also the context manager that opens it."""

    def __init__(self, carrier: Carrier, request: WatchRequest) -> None:
        self._carrier = carrier
        self.request = request
        self.revision = 0
        self.position = 0
        self._known = 0
        """Up to here the cluster is known to have come: a member is never asked to watch from the future."""
        self.opened = anyio.Event()
        """Set when a member has confirmed the watch for the first time, or refused it."""
        self.is_open = False
        self.paused = False
        """Set while its history is read no further, because its reader has enough to do."""
        self.refusals = 0
        """How often it was refused since it last was confirmed."""
        self.wanted = 0
        """The revision that `request_progress` asks to be told of; 0: nobody asked."""
        self.quiet = False
        """Whether it is never told its progress periodically."""
        self.idle = True
        """Whether nothing was delivered since the last periodic notice."""
        self._pending: list[tuple[Event, ...]] = []
        self._waiting = 0
        self._notice = False
        """Whether the reader is to be told the position even if there is no event."""
        self._error: StoreError | None = None
        self._changed: anyio.Event | None = None

    async def __aenter__(self) -> Self:
        """Open the watch. Raises `Compacted`, `StoreUnavailable`, `StoreAccessDenied`."""
        await self._carrier.open(self)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._carrier.close(self)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> WatchBatch:
        """Return what has gathered, or wait for something."""
        if self._pending or self._notice:
            await checkpoint()
        while self._error is None and not self._pending and not self._notice:
            self._changed = anyio.Event()
            await self._changed.wait()
        if self._error is not None:
            raise self._error
        pending, self._pending = self._pending, []
        self._waiting = 0
        self._notice = self.idle = False
        if self.paused:
            self.paused = False
            self._carrier.place(self)
        return WatchBatch(self.complete, tuple(event for events in pending for event in events))

    def request_progress(self) -> None:
        """See `Watch.request_progress`."""
        self._carrier.ask_progress(self)

    # Told by the stream

    def begin(self, revision: int) -> None:
        """Begin at the revision that the store has now."""
        self.revision = self._known = revision
        start = self.request.start_revision
        self.position = start - 1 if start else revision
        self.is_open = True

    def create_request(self, watch_id: int) -> rpc_pb2.WatchRequest:
        """Return the message that begins it, behind what has come already."""
        request = self.request
        filters = [] if request.puts else [rpc_pb2.WatchCreateRequest.NOPUT]
        if not request.deletes:
            filters.append(rpc_pb2.WatchCreateRequest.NODELETE)
        key, range_end = request.key, request.range_end
        if (range_end not in {b"", FROM_KEY} and range_end <= key) or not (key or range_end):
            # etcd refuses an interval without keys: watch some key and be told nothing of it.
            key, range_end = b"\x00", b""
            filters = [rpc_pb2.WatchCreateRequest.NOPUT, rpc_pb2.WatchCreateRequest.NODELETE]
        return rpc_pb2.WatchRequest(
            create_request=rpc_pb2.WatchCreateRequest(
                key=key or b"\x00",  # the smallest key there can be
                range_end=range_end,
                start_revision=self.complete + 1,
                progress_notify=True,
                filters=filters,
                prev_kv=request.prev_kv,
                watch_id=watch_id,
                fragment=True,
            )
        )

    def receive(self, events: list[Event]) -> bool:
        """Take events that follow on what came before; return False when the stream is to stop sending.

        The revision of the last one, and not that of the answer's header, is how far the watch has come: a member
        that is catching up says the present revision there, with events still to come.
        """
        self._known = max(self._known, events[-1].kv.mod_revision)
        for group in by_revision(events):
            revision = group[0].kv.mod_revision
            if revision <= self.position:
                continue
            catching_up = revision <= self.revision
            most = max(self.request.buffer_events, CATCH_UP_EVENTS) if catching_up else self.request.buffer_events
            # A single revision always fits, or a reader could never get past it.
            if self._waiting and self._waiting + len(group) > most:
                if catching_up:
                    self.paused = True
                    self._wake()
                else:
                    self.end(WatchOverflow(f"{self._waiting} events wait for the watcher of {self.request.key!r}"))
                return False
            self._pending.append(group)
            self._waiting += len(group)
            self._advance(revision)
        self._wake()
        return True

    def reached(self, revision: int) -> None:
        """Learn that all events up to `revision` have come."""
        self._known = max(self._known, revision)
        self._advance(revision)
        if self._notice:
            self._wake()

    def want(self, revision: int) -> None:
        """Tell the reader as soon as all up to `revision` has come."""
        self.wanted = max(revision, self.wanted)
        self.reached(0)

    @property
    def complete(self) -> int:
        """The revision up to which all has come; `position` is beyond it when the watch begins in the future."""
        return min(self.position, self._known)

    def end(self, error: StoreError) -> None:
        """Let the reader's next call raise `error`; what waited for it is dropped."""
        if self._error is None:
            self._error = error
            self._pending = []
            self._wake()
            self.opened.set()

    @property
    def error(self) -> StoreError | None:
        """What ended it."""
        return self._error

    def _advance(self, revision: int) -> None:
        self.position = max(self.position, revision)
        if self.wanted and self.complete >= self.wanted:
            self.wanted = 0
            self._notice = True

    def _wake(self) -> None:
        if self._changed is not None:
            self._changed.set()
            self._changed = None
