"""A watch over a connection: one task reads ahead of the consumer, so that a consumer may give up waiting at any time.

The reader holds at most `BUFFERED_PIECES`. When the consumer is slower it stops reading, the connection's flow control
holds the server back, and in the end the server's own bound for a watcher says `Expired`.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Final, Generic, TypeVar

import anyio
from anyio.abc import TaskGroup

from orchestra._proto.orchestra.v1 import api_pb2 as pb
from orchestra.api.object import Object
from orchestra.client.bookmarks import bookmark_object
from orchestra.client.interface import EventType, WatchEvent
from orchestra.client.remote_channel import Channel
from orchestra.client.remote_decoding import Decoder
from orchestra.client.remote_messages import TYPES_OF_EVENTS
from orchestra.errors import APIError, DecodeError, ServiceUnavailable, Timeout

O = TypeVar("O", bound=Object)  # noqa: E741 - the type of an object

BUFFERED_PIECES: Final = 16
"""How many pieces wait for the consumer before the reader rests."""

_PROGRESS: Final = pb.WatchRequest(progress=pb.WatchProgress())


class RemoteWatch(Generic[O]):
    """See `Watch`."""

    def __init__(self, kind: type[O], channel: Channel, decoder: Decoder) -> None:
        self._kind = kind
        self._decoder = decoder
        self._stream = channel.open(channel.stub.Watch)
        self._events: deque[WatchEvent[O]] = deque()
        self._pieces = 0
        self._error: Exception | None = None
        self._changed = anyio.Event()
        self._taken = anyio.Event()
        self._asked = anyio.Event()

    async def next_batch(self) -> tuple[WatchEvent[O], ...]:
        """Wait for at least one event and return all that have arrived."""
        await self._arrival()
        batch = tuple(self._events)
        self._events.clear()
        self._make_room()
        return batch

    def __aiter__(self) -> AsyncIterator[WatchEvent[O]]:
        return self

    async def __anext__(self) -> WatchEvent[O]:
        await self._arrival()
        event = self._events.popleft()
        if not self._events:
            self._make_room()
        return event

    async def request_progress(self) -> None:
        """Ask for a BOOKMARK. A request that the server has not been sent yet covers this one."""
        self._asked.set()

    async def _arrival(self) -> None:
        while not self._events:
            if self._error is not None:
                raise self._error
            self._changed = anyio.Event()
            await self._changed.wait()

    def _make_room(self) -> None:
        self._pieces = 0
        self._taken.set()

    async def read(self) -> None:
        """Read until the watch ends, whatever ends it: the consumer is told when it has taken what came before."""
        try:
            await self._read()
            self._error = ServiceUnavailable("the API server ended the watch", retry_after_seconds=1)
        except (APIError, DecodeError) as error:
            self._error = error
        finally:
            if self._error is None:
                self._error = ServiceUnavailable("the client was closed")
            self._changed.set()

    async def _read(self) -> None:
        batch: list[WatchEvent[O]] = []
        while (piece := await self._stream.receive()) is not None:
            batch.extend([self._event(event) for event in piece.events])
            if piece.more:
                continue
            self._events.extend(batch)
            batch = []
            self._pieces += 1
            self._changed.set()
            while self._pieces >= BUFFERED_PIECES:
                self._taken = anyio.Event()
                await self._taken.wait()

    async def ask(self) -> None:
        """Send the consumer's wishes for progress until cancelled. A broken connection is the reader's to tell."""
        try:
            while True:
                await self._asked.wait()
                self._asked = anyio.Event()
                await self._stream.send(_PROGRESS)
        except APIError:
            return

    def _event(self, message: pb.WatchEvent) -> WatchEvent[O]:
        kind = TYPES_OF_EVENTS[message.type]
        if kind is EventType.BOOKMARK:
            return WatchEvent(kind, bookmark_object(self._kind, message.revision), message.revision)
        return WatchEvent(kind, self._decoder.object(message.record, self._kind), message.revision)

    async def open(self, opening: pb.WatchOpen, timeout_seconds: float) -> None:
        """Open the watch at the server; raises what it is refused with."""
        with anyio.move_on_after(timeout_seconds) as waiting:
            # A call that has ended before it could be written to says why when it is read.
            with contextlib.suppress(ServiceUnavailable):
                await self._stream.send(pb.WatchRequest(open=opening))
            if await self._stream.receive() is None:
                raise ServiceUnavailable("the API server ended the watch", retry_after_seconds=1)
        if waiting.cancelled_caught:
            raise Timeout("the API server did not open the watch in time")

    def close(self) -> None:
        """Leave the server."""
        self._stream.cancel()


@contextlib.asynccontextmanager
async def remote_watch(
    make: Callable[[], RemoteWatch[O]], tasks: TaskGroup, opening: pb.WatchOpen, *, timeout_seconds: float
) -> AsyncIterator[RemoteWatch[O]]:
    """Open a watch; it is known to the server when the context begins, and refused there if it must be.

    `tasks` is the client's task group, in which the reader runs while the context is open.
    """
    watch = make()
    ended = anyio.Event()
    scope = anyio.CancelScope()

    async def run() -> None:
        try:
            with scope:
                async with anyio.create_task_group() as both:
                    both.start_soon(watch.ask)
                    await watch.read()
                    both.cancel_scope.cancel()
        finally:
            ended.set()

    try:
        await watch.open(opening, timeout_seconds)
        tasks.start_soon(run)
        try:
            yield watch
        finally:
            scope.cancel()
            with anyio.CancelScope(shield=True):
                await ended.wait()
    finally:
        watch.close()
