"""`RPCServer`: listens, and owns every connection and every call in progress."""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import Any, Final

import anyio
from anyio.abc import TaskGroup

from orchestra._log import get_logger
from orchestra.store.etcd.rpc.driver import CLOSE_SECONDS, Driver, OpenCall, UnaryJob
from orchestra.store.etcd.rpc.interface import BUSY, Limits, Methods, Refusal

log = get_logger("rpc")

MAX_IDLE_WORKERS: Final = 256
"""Tasks that are kept for calls to come."""

LOOK_SECONDS: Final = 5.0
"""How often the connections are looked through for silent ones."""


class RPCServer:
    """Serves methods on one or more sockets, within a task group that outlives it.

    `stopped` is how calls end that are in progress when the server stops, `busy` how those are refused that are too
    many.
    """

    def __init__(
        self,
        methods: Methods,
        *,
        tasks: TaskGroup,
        stopped: Refusal,
        busy: Refusal = BUSY,
        limits: Limits | None = None,
    ) -> None:
        self.methods = methods
        self.limits = limits or Limits()
        self.stopped = stopped
        self.busy = busy
        self._tasks = tasks
        self._listeners: list[asyncio.Server] = []
        self._drivers: dict[Driver, None] = {}
        self._idle: list[asyncio.Future[UnaryJob | None]] = []
        self._unary = 0
        """Calls with one answer that are in progress."""
        self._streaming: dict[OpenCall, None] = {}
        self._changed = anyio.Event()
        self._watching = anyio.CancelScope()
        self._is_open = True
        tasks.start_soon(self._watch_connections)

    async def listen(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> int:
        """Listen at a TCP address and return the port, which is a free one for 0. Raises `OSError`."""
        loop = asyncio.get_running_loop()
        if not port:
            # A name can stand for several addresses, and each would take a port of its own.
            host = str((await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM))[0][4][0])
        handshake = None if tls is None else self.limits.handshake_seconds
        listener = await loop.create_server(
            self._driver, host, port, ssl=tls, ssl_handshake_timeout=handshake, backlog=1_024
        )
        self._listeners.append(listener)
        return int(listener.sockets[0].getsockname()[1])

    async def listen_unix(self, place: str | socket.socket) -> None:
        """Listen at a path, or take over a Unix socket that listens. Raises `OSError`."""
        loop = asyncio.get_running_loop()
        where: dict[str, Any] = {"path": place} if isinstance(place, str) else {"sock": place}
        self._listeners.append(await loop.create_unix_server(self._driver, **where, backlog=1_024))

    def _driver(self) -> Driver:
        return Driver(self, asyncio.get_running_loop().time)

    async def stop(self, drain_seconds: float) -> None:
        """Take no more calls, end the streams of messages, wait for the others, and close every connection."""
        self._is_open = False
        for listener in self._listeners:
            listener.close()
        for driver in self._drivers:
            driver.connection.leave()
            driver.flush_soon()
        for call in tuple(self._streaming):
            call.cancel()
        with anyio.move_on_after(drain_seconds):
            while self._unary or self._streaming:
                await self._wait()
        for driver in tuple(self._drivers):
            driver.close_soon()
        with anyio.move_on_after(CLOSE_SECONDS):
            while self._drivers:
                await self._wait()
        for driver in tuple(self._drivers):
            driver.abort()
        self._watching.cancel()
        for future in self._idle:
            if not future.done():
                future.set_result(None)

    async def _wait(self) -> None:
        self._changed = anyio.Event()
        await self._changed.wait()

    # What connections ask for

    def admit(self, driver: Driver) -> bool:
        """See `Host.admit`."""
        if not self._is_open:
            # It was on its way when the server stopped listening.
            return False
        if len(self._drivers) >= self.limits.max_connections:
            log.warning("too many connections", limit=self.limits.max_connections)
            return False
        self._drivers[driver] = None
        return True

    def forget(self, driver: Driver) -> None:
        """See `Host.forget`."""
        self._drivers.pop(driver, None)
        self._changed.set()

    def start_unary(self, job: UnaryJob) -> bool:
        """See `Host.start_unary`."""
        if self._unary + len(self._streaming) >= self.limits.max_calls:
            return False
        self._unary += 1
        # A task that waits is woken in a tenth of the time that a new one takes.
        while self._idle:
            future = self._idle.pop()
            if not future.done():
                future.set_result(job)
                return True
        self._tasks.start_soon(self._work, job)
        return True

    async def _work(self, job: UnaryJob | None) -> None:
        while job is not None:
            try:
                await job.run()
            finally:
                self._unary -= 1
                if not self._unary:
                    self._changed.set()
            if len(self._idle) >= MAX_IDLE_WORKERS:
                return
            job = None  # A large request is not kept while there is nothing to do.
            future: asyncio.Future[UnaryJob | None] = asyncio.get_running_loop().create_future()
            self._idle.append(future)
            job = await future

    def start_streaming(self, call: OpenCall) -> bool:
        """See `Host.start_streaming`."""
        if self._unary + len(self._streaming) >= self.limits.max_calls:
            return False
        self._streaming[call] = None
        self._tasks.start_soon(self._run, call)
        return True

    async def _run(self, call: OpenCall) -> None:
        try:
            await call.run()
        finally:
            del self._streaming[call]
            self._changed.set()

    async def _watch_connections(self) -> None:
        """Close connections whose clients are gone without a word, or never spoke."""
        limits = self.limits
        loop = asyncio.get_running_loop()
        with self._watching:
            while True:
                await anyio.sleep(min(LOOK_SECONDS, limits.keepalive_seconds / 6, limits.handshake_seconds / 2))
                for driver in tuple(self._drivers):
                    driver.look(loop.time())
