"""The Service proxy: connections to a Service's address go to one of its ready endpoints.

It listens on the Service's own address (a loopback address, so no privilege is needed for ports from 1024 on) and
passes bytes both ways. A connection, once made, stays with its endpoint until one of both ends it, whatever happens
to the Service's endpoints meanwhile; a new one that an endpoint refuses is offered to the others. A client of a Service
without endpoints sees a reset.
"""

from __future__ import annotations

import contextlib
import os
import resource
import socket
from collections.abc import Sequence

import anyio
from anyio.abc import SocketAttribute, SocketStream, TaskGroup, TaskStatus

from orchestra._log import get_logger
from orchestra.api.core import Service
from orchestra.api.discovery import EndpointSlice
from orchestra.backoff import Backoff
from orchestra.controller.interface import Change, Events, Informer, Surroundings
from orchestra.network.balancing import Backend, Balancer, Frontend, Place, backends, frontends
from orchestra.network.endpoints import BY_SERVICE

CONNECT_SECONDS = 5.0
"""How long one endpoint may take to accept."""
MAX_CONNECTIONS = 4096
"""How many connections the proxy carries at a time, at most; more wait until one of them ends."""
MIN_CONNECTIONS = 16
RESERVED_FILES = 256
"""How many open files are left to the rest of the process; each connection that is carried takes two."""
DRAIN_SECONDS = 5.0
"""How long open connections may go on when the proxy stops."""
EXHAUSTED_SECONDS = 0.1
"""How long a listener rests when the process can open no more files."""
BUFFER_BYTES = 64 * 1024
BACKLOG = 1024

_LISTEN_AGAIN = Backoff(initial_seconds=0.05, factor=10.0, max_seconds=10.0)


def connection_limit() -> int:
    """Return how many connections the proxy may carry with the files that this process may open."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return MAX_CONNECTIONS
    return max(min(MAX_CONNECTIONS, (files - RESERVED_FILES) // 2), MIN_CONNECTIONS)


class ServiceProxy:
    """Carries the connections of every Service of a plane; a part of its manager."""

    name = "service-proxy"

    def __init__(self) -> None:
        self._scopes: dict[Place, anyio.CancelScope] = {}
        self._wanted: dict[Place, dict[str, Frontend]] = {}
        self._backends: dict[Frontend, tuple[Sequence[EndpointSlice], tuple[Backend, ...]]] = {}
        self._carried: dict[anyio.CancelScope, None] = {}
        self._drained = anyio.Event()
        self._limit = anyio.CapacityLimiter(connection_limit())
        self._log = get_logger(self.name)

    async def run(self, surroundings: Surroundings, *, task_status: TaskStatus[None]) -> None:
        """Listen for every Service until cancelled; open connections get a while to end by themselves."""
        services = surroundings.informers.informer(Service)
        self._slices: Informer[EndpointSlice] = surroundings.informers.informer(EndpointSlice)
        self._slices.add_index(BY_SERVICE)
        self._events: Events = surroundings.recorder.events(self.name)
        self._clock = surroundings.clock
        self._balancer = Balancer(surroundings.clock.random)
        self._wanted.clear()
        self._backends.clear()
        await services.wait_synced()
        await self._slices.wait_synced()
        async with anyio.create_task_group() as connections, anyio.create_task_group() as listeners:

            def changed(changes: tuple[Change[Service], ...]) -> None:
                for change in changes:
                    self._service_changed(change, listeners, connections)

            unsubscribe = services.subscribe(changed)
            task_status.started()
            try:
                await anyio.sleep_forever()
            finally:
                unsubscribe()
                for scope in self._scopes.values():
                    scope.cancel()
                self._scopes.clear()
                await self._drain()

    async def _drain(self) -> None:
        """Give open connections, which do not hear of the stop, their time, and then end them."""
        if self._carried:
            self._drained = anyio.Event()
            with anyio.move_on_after(DRAIN_SECONDS, shield=True):
                await self._drained.wait()
        for scope in self._carried:
            scope.cancel()

    # ---- listening

    def _service_changed(self, change: Change[Service], listeners: TaskGroup, connections: TaskGroup) -> None:
        """Listen where a Service is to be reached; of several that want one place the first has it."""
        key = change.object.key
        old = frontends(change.old) if change.old is not None else {}
        new = frontends(change.new) if change.new is not None else {}
        for place, frontend in old.items():
            if new.get(place) != frontend:
                self._balancer.forget(frontend)
                self._backends.pop(frontend, None)
            if place not in new:
                others = self._wanted.get(place, {})
                others.pop(key, None)
                if not others:
                    self._wanted.pop(place, None)
                    self._stop_listening(place)
        for place, frontend in new.items():
            self._wanted.setdefault(place, {})[key] = frontend
            if place not in self._scopes:
                scope = self._scopes[place] = anyio.CancelScope()
                listeners.start_soon(self._listen, place, change.object, scope, connections)

    def _stop_listening(self, place: Place) -> None:
        scope = self._scopes.pop(place, None)
        if scope is not None:
            scope.cancel()

    async def _listen(self, place: Place, service: Service, scope: anyio.CancelScope, connections: TaskGroup) -> None:
        """Accept connections at one place; an address that cannot be bound is reported and tried again."""
        failures = 0
        with scope:
            while True:
                try:
                    listener = socket.create_server((place.host, place.port), backlog=BACKLOG)
                except OSError as error:
                    failures += 1
                    text = f"cannot listen on {place.host}:{place.port}: {os.strerror(error.errno or 0)}"
                    if failures > 1:  # the first may be a listener of our own that is just being closed
                        self._events.warning(service, "FailedListen", text)
                        self._log.warning("service not served", service=service.key, error=text)
                    await anyio.sleep(_LISTEN_AGAIN.delay_seconds(failures))
                    continue
                with listener:
                    listener.setblocking(False)
                    await self._accept(listener, place, connections)

    async def _accept(self, listener: socket.socket, place: Place, connections: TaskGroup) -> None:
        # Waiting and accepting are two steps, so that a wait can be cancelled without losing a connection.
        while True:
            await anyio.wait_readable(listener)
            try:
                accepted, _ = listener.accept()
            except BlockingIOError:
                continue
            except OSError as error:  # too many open files, or a client that is gone again
                self._log.warning("connection not accepted", place=f"{place.host}:{place.port}", error=str(error))
                await anyio.sleep(EXHAUSTED_SECONDS)
                continue
            token = object()
            try:
                await self._limit.acquire_on_behalf_of(token)
            except BaseException:
                accepted.close()
                raise
            connections.start_soon(self._carry, accepted, place, token)

    # ---- carrying

    async def _carry(self, accepted: socket.socket, place: Place, token: object) -> None:
        """Connect a client to an endpoint and pass bytes; a stop of the proxy does not end this at once."""
        scope = anyio.CancelScope(shield=True)
        self._carried[scope] = None
        try:
            with scope:
                client = await _stream(accepted)
                if client is None:
                    return
                async with client:
                    server = await self._connect(client, place)
                    if server is None:
                        _reset(client)
                        return
                    async with server:
                        await _exchange(client, server)
        finally:
            self._limit.release_on_behalf_of(token)
            del self._carried[scope]
            if not self._carried:
                self._drained.set()

    def _choices(self, frontend: Frontend) -> tuple[Backend, ...]:
        """Return the endpoints behind a frontend, computed anew when its slices have changed."""
        slices = self._slices.lister.by_index(BY_SERVICE, f"{frontend.namespace}/{frontend.service}")
        known = self._backends.get(frontend)
        if known is None or not _are_same(known[0], slices):
            known = self._backends[frontend] = (slices, backends(slices, frontend.port_name))
        return known[1]

    async def _connect(self, client: SocketStream, place: Place) -> SocketStream | None:
        """Return a connection to an endpoint, the first that accepts; None when there is none."""
        frontend = next(iter(self._wanted.get(place, {}).values()), None)
        if frontend is None:
            return None
        try:
            peer = str(client.extra(SocketAttribute.remote_address)[0])  # noqa: S610 - not Django
        except (OSError, anyio.ClosedResourceError):
            return None
        choices = self._choices(frontend)
        for backend in self._balancer.order(frontend, choices, peer, self._clock.monotonic()):
            with anyio.move_on_after(CONNECT_SECONDS), contextlib.suppress(OSError):
                server = await anyio.connect_tcp(backend.host, backend.port)
                self._balancer.connected(frontend, backend, peer, self._clock.monotonic())
                return server
        return None


async def _stream(accepted: socket.socket) -> SocketStream | None:
    """Return the stream of an accepted connection; None when the client is gone already."""
    try:
        return await SocketStream.from_socket(accepted)
    except (OSError, ValueError):
        accepted.close()
        return None


def _are_same(left: Sequence[EndpointSlice], right: Sequence[EndpointSlice]) -> bool:
    return len(left) == len(right) and all(one is other for one, other in zip(left, right, strict=True))


async def _exchange(client: SocketStream, server: SocketStream) -> None:
    """Pass bytes both ways; the end of one direction is passed on, and the other goes on until its own end."""
    async with anyio.create_task_group() as group:
        group.start_soon(_pass_on, client, server, group)
        group.start_soon(_pass_on, server, client, group)


async def _pass_on(source: SocketStream, target: SocketStream, group: TaskGroup) -> None:
    try:
        while True:
            await target.send(await source.receive(BUFFER_BYTES))
    except anyio.EndOfStream:
        try:
            await target.send_eof()
        except (OSError, anyio.BrokenResourceError, anyio.ClosedResourceError):
            group.cancel_scope.cancel()
    except (OSError, anyio.BrokenResourceError, anyio.ClosedResourceError):
        _reset(source)
        _reset(target)
        group.cancel_scope.cancel()


def _reset(stream: SocketStream) -> None:
    """Let the peer see a reset: nobody answered, or the other side broke off.

    Closing the stream would first send an orderly end, which a client cannot tell from an empty answer. So the socket
    gives way, under its own descriptor, to one that is not connected: the kernel then closes it, and without lingering
    that is a reset.
    """
    raw = stream.extra(SocketAttribute.raw_socket)  # noqa: S610 - not Django
    with contextlib.suppress(OSError), socket.socket() as unconnected:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        os.dup2(unconnected.fileno(), raw.fileno(), inheritable=False)
