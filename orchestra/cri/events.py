"""Container events to several readers, each with a bounded buffer."""

from __future__ import annotations

from collections import deque
from typing import Self

import anyio

from orchestra._proto.cri.v1 import api_pb2 as pb
from orchestra.errors import RuntimeServiceError

BUFFERED_EVENTS = 8192
"""Most events that wait for one reader; with more it gets `ResourceExhausted` and must list again."""


class EventStream:
    """One reader's events, from its creation on; an async iterator. Close it with `aclose` when done early."""

    def __init__(self, hub: EventHub) -> None:
        self._hub = hub
        self._waiting: deque[pb.ContainerEventResponse] = deque()
        self._wake: anyio.Event | None = None
        self._overflow = False
        self._closed = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> pb.ContainerEventResponse:
        while not self._waiting:
            if self._overflow:
                await self.aclose()
                raise RuntimeServiceError("container events were read too slowly: list again", code="ResourceExhausted")
            if self._closed:
                raise StopAsyncIteration
            self._wake = anyio.Event()
            await self._wake.wait()
        return self._waiting.popleft()

    async def aclose(self) -> None:
        """End the stream; buffered events are dropped."""
        self._waiting.clear()
        self.close()

    def push(self, event: pb.ContainerEventResponse) -> None:
        """Hand an event to the reader."""
        if len(self._waiting) >= BUFFERED_EVENTS:
            self._overflow = True
            self.close()
            self._waiting.clear()
        elif not self._closed:
            self._waiting.append(event)
        self._notify()

    def close(self) -> None:
        """Let the iteration end after the events that are buffered."""
        self._closed = True
        self._hub.forget(self)
        self._notify()

    def _notify(self) -> None:
        if self._wake is not None:
            self._wake.set()
            self._wake = None


class EventHub:
    """Gives each published event to every open stream."""

    def __init__(self) -> None:
        self._streams: dict[int, EventStream] = {}

    def __bool__(self) -> bool:
        """Whether anybody reads: without readers an event need not be built."""
        return bool(self._streams)

    def subscribe(self) -> EventStream:
        """Return a stream of what is published from now on."""
        stream = EventStream(self)
        self._streams[id(stream)] = stream
        return stream

    def forget(self, stream: EventStream) -> None:
        """Publish no more to a stream."""
        self._streams.pop(id(stream), None)

    def publish(self, event: pb.ContainerEventResponse) -> None:
        """Hand an event to every stream; never waits."""
        for stream in list(self._streams.values()):
            stream.push(event)

    def close(self) -> None:
        """End every stream."""
        for stream in list(self._streams.values()):
            stream.close()
