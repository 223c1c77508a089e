"""One connection's socket, and the calls on it: what the state machine of `connection.py` does not decide but do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final, Protocol, cast

import anyio
from anyio.lowlevel import checkpoint

from orchestra._log import get_logger
from orchestra.store.etcd.rpc.connection import Connection
from orchestra.store.etcd.rpc.interface import Limits, Methods, Refusal, Request, Streaming, Unary
from orchestra.store.etcd.rpc.streams import Stream

log = get_logger("rpc")

CLOSE_SECONDS: Final = 2.0
"""How long a client may take to read what was written to it before its connection closed."""

MAX_TOLD_PATH: Final = 128
"""Of the name of a method that there is not: a client can say a long one again and again in a few bytes."""

INTERNAL: Final = Refusal("INTERNAL", "the server failed in a way that it did not expect")


class Host(Protocol):
    """The server that a connection belongs to."""

    methods: Methods
    limits: Limits
    stopped: Refusal
    busy: Refusal

    def admit(self, driver: Driver) -> bool:
        """Enter a connection; False when there are too many."""
        ...

    def forget(self, driver: Driver) -> None:
        """A connection has ended."""
        ...

    def start_unary(self, job: UnaryJob) -> bool:
        """Work on a call; False when there are too many."""
        ...

    def start_streaming(self, call: OpenCall) -> bool:
        """Work on a call; False when there are too many."""
        ...


class UnaryJob:
    """A call with one request and one answer."""

    __slots__ = ("_driver", "_message", "_method", "_stream")

    def __init__(self, driver: Driver, stream: Stream, method: Unary, message: bytes) -> None:
        self._driver = driver
        self._stream = stream
        self._method = method
        self._message = message

    async def run(self) -> None:
        """Answer it."""
        connection, stream = self._driver.connection, self._stream
        refusal: Refusal | None = self._driver.host.stopped
        try:
            answer = await self._method(self._message, stream.request)
        except Refusal as error:
            refusal = error
        except Exception as error:  # One call's trouble is logged and told to its client, and is not the server's end.
            log.error("a call failed", method=stream.request.path, exc_info=error)
            refusal = INTERNAL
        else:
            refusal = None
            connection.answer(stream, answer)
        finally:
            # A cancellation has left `refusal` as it was: the server stops.
            if refusal is not None:
                connection.refuse(stream, refusal)
            connection.done(stream)
            self._driver.flush_soon()


class OpenCall:
    """The `StreamCall` of a method with streams of messages."""

    def __init__(self, driver: Driver, stream: Stream, method: Streaming) -> None:
        self._driver = driver
        self._stream = stream
        self._method = method
        self._scope = anyio.CancelScope()
        self._received = anyio.Event()
        self._drained = anyio.Event()
        self._sending = anyio.Lock(fast_acquire=True)

    @property
    def request(self) -> Request:
        """See `StreamCall.request`."""
        return self._stream.request

    async def run(self) -> None:
        """Answer it."""
        connection, stream = self._driver.connection, self._stream
        status = Refusal("OK", "")
        try:
            with self._scope:
                await self._method(self)
            if self._scope.cancelled_caught:
                status = self._driver.host.stopped
        except Refusal as error:
            status = error
        except Exception as error:  # One call's trouble is logged and told to its client, and is not the server's end.
            log.error("a call failed", method=stream.request.path, exc_info=error)
            status = INTERNAL
        except BaseException:
            status = self._driver.host.stopped
            raise
        finally:
            connection.refuse(stream, status)
            connection.done(stream)
            self._driver.flush_soon()

    def cancel(self) -> None:
        """End the call from outside."""
        self._scope.cancel()

    def received(self) -> None:
        """Let the reader look."""
        self._received.set()

    def drained(self) -> None:
        """Let a sender look."""
        self._drained.set()

    async def receive(self) -> bytes | None:
        """See `StreamCall.receive`."""
        # A client that sends without a pause must not keep others from running.
        await checkpoint()
        while True:
            message = self._driver.connection.take_message(self._stream)
            if message is not None:
                self._driver.flush_soon()
                return message
            if self._stream.half_closed:
                return None
            self._received = anyio.Event()
            await self._received.wait()

    async def send(self, message: bytes) -> None:
        """See `StreamCall.send`."""
        stream = self._stream
        if stream.outbox_bytes >= self._driver.host.limits.send_buffer_bytes:
            async with self._sending:
                while stream.outbox_bytes >= self._driver.host.limits.send_buffer_bytes:
                    self._drained = anyio.Event()
                    await self._drained.wait()
        if not stream.is_open:
            # Let the cancellation come that is on its way.
            await checkpoint()
        self._driver.connection.send(stream, message)
        self._driver.flush_soon()


class Driver(asyncio.Protocol):
    """A client's socket; also the `Calls` of its connection."""

    def __init__(self, host: Host, time: Callable[[], float]) -> None:
        self.host = host
        self.connection = Connection(self, host.limits, time(), host.busy)
        self._opened_at = time()
        self._closing_since: float | None = None
        self._asked_at: float | None = None
        """When the client was asked for a sign of life, and has given none since."""
        self._time = time
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._flushing = False
        self._leaving = False

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is there."""
        # Event loops of other makes have transports that are this by their methods alone.
        self._transport = cast("asyncio.Transport", transport)
        if not self.host.admit(self):
            self._transport.abort()
            return
        self.flush_soon()

    def data_received(self, data: bytes) -> None:
        """Bytes have come."""
        if self._closing_since is None:
            self.connection.receive(data, self._time())
            if self.connection.failed and self.connection.sender.paused:
                # It takes nothing, so it would not hear why either.
                self.abort()
            self.flush_soon()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone."""
        self._transport = None
        self.connection.lose()
        self.host.forget(self)

    def pause_writing(self) -> None:
        """The socket takes no more."""
        self.connection.sender.paused = True

    def resume_writing(self) -> None:
        """The socket takes more."""
        self.connection.sender.paused = False
        self.flush_soon()

    def flush_soon(self) -> None:
        """Write what is ready, together with what else becomes ready in this turn of the loop."""
        if not self._flushing and self._transport is not None:
            self._flushing = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flushing = False
        if self._transport is None or self.connection.sender.paused:
            return
        sent: list[Stream] = []
        if data := self.connection.take(sent):
            self._transport.write(data)
            # One piece at a time: a client that takes everything must not keep the loop from others.
            if self.connection.sender.waiting_bytes or self._leaving or self.connection.failed:
                self.flush_soon()
        elif self.connection.failed or (self._leaving and not self.connection.sender.waiting_bytes):
            self._close()
        for stream in sent:
            if isinstance(stream.call, OpenCall):
                stream.call.drained()

    def close_soon(self) -> None:
        """Close the socket once everything has gone out."""
        self._leaving = True
        self.flush_soon()

    def _close(self) -> None:
        if self._transport is not None and self._closing_since is None:
            self._closing_since = self._time()
            self._transport.close()

    def look(self, now: float) -> None:
        """Close a connection on which nothing happens that should."""
        limits = self.host.limits
        silent = now - self.connection.last_received
        if self._closing_since is not None:
            if now - self._closing_since > CLOSE_SECONDS:
                self.abort()
        elif not self.connection.greeted:
            if now - self._opened_at > limits.handshake_seconds:
                self.abort()
        elif silent <= limits.keepalive_seconds:
            self._asked_at = None
        elif self._asked_at is None:
            self._asked_at = now
            self.connection.ping()
            self.flush_soon()
        elif now - self._asked_at > limits.keepalive_seconds / 3:
            log.info("client is gone without a word", silent_seconds=round(silent))
            self.abort()

    def abort(self) -> None:
        """Close the socket at once."""
        if self._transport is not None:
            self._transport.abort()

    # Calls

    def opened(self, stream: Stream) -> None:
        """See `Calls.opened`."""
        path = stream.request.path
        unary = self.host.methods.unary.get(path)
        if unary is not None:
            stream.call = unary
            return
        streaming = self.host.methods.streaming.get(path)
        if streaming is None:
            self.connection.refuse(stream, Refusal("UNIMPLEMENTED", f"unknown method {path[:MAX_TOLD_PATH]}"))
            return
        stream.call = call = OpenCall(self, stream, streaming)
        stream.is_running = True
        if not self.host.start_streaming(call):
            self._refuse_start(stream)

    def received(self, stream: Stream) -> None:
        """See `Calls.received`."""
        call: Any = stream.call
        if isinstance(call, OpenCall):
            call.received()
        elif stream.half_closed:
            try:
                # What it holds is let go when the call is done.
                message = stream.take_only_message()
            except Refusal as refusal:
                self.connection.refuse(stream, refusal)
                return
            stream.is_running = True
            if not self.host.start_unary(UnaryJob(self, stream, call, message)):
                self._refuse_start(stream)

    def _refuse_start(self, stream: Stream) -> None:
        self.connection.refuse(stream, self.host.busy)
        self.connection.done(stream)

    def reset(self, stream: Stream) -> None:
        """See `Calls.reset`."""
        if isinstance(stream.call, OpenCall):
            stream.call.cancel()
