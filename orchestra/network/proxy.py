"""The Service proxy: connections to a Service's address go to one of its ready endpoints.

It listens on the Service's own address (a loopback address, so no privilege is needed for ports from 1024 on) and
passes bytes both ways. A connection, once made, stays with its endpoint until one of both ends it, whatever happens
to the Service's endpoints meanwhile; a new one that an endpoint refuses is offered to the others.
"""

from __future__ import annotations

import random
import socket
from collections.abc import Sequence

import anyio
import attrs
from anyio.abc import SocketAttribute, SocketListener, SocketStream, TaskGroup, TaskStatus

from orchestra._log import get_logger
from orchestra.api.core import Service
from orchestra.api.discovery import EndpointSlice
from orchestra.controller.interface import Change, Events, Surroundings
from orchestra.network.endpoints import BY_SERVICE

CONNECT_SECONDS = 5.0
"""How long one endpoint may take to accept."""
MAX_CONNECTIONS = 4096
"""How many connections the proxy carries at a time; more wait in the kernel's queue."""
DRAIN_SECONDS = 5.0
"""How long open connections may go on when the proxy stops."""
BUFFER_BYTES = 64 * 1024


@attrs.frozen
class Frontend:
    """One address and port of a Service, and the name of the Service's port behind it."""

    host: str
    port: int
    namespace: str
    service: str
    port_name: str
    sticky: bool


@attrs.frozen
class Backend:
    """One endpoint."""

    host: str
    port: int


def frontends(service: Service) -> tuple[Frontend, ...]:
    """Return where a Service listens; only TCP is carried."""
    spec, meta = service.spec, service.metadata
    if spec.type == "ExternalName" or not spec.cluster_ip or spec.cluster_ip == "None":
        return ()
    sticky = spec.session_affinity == "ClientIP"
    result = []
    for port in spec.ports:
        if (port.protocol or "TCP") != "TCP":
            continue
        places = [(spec.cluster_ip, port.port), *((ip, port.port) for ip in spec.external_ips)]
        if port.node_port:
            places.append(("127.0.0.1", port.node_port))
        result += [Frontend(host, number, meta.namespace, meta.name, port.name, sticky) for host, number in places]
    return tuple(result)


def backends(slices: Sequence[EndpointSlice], port_name: str) -> tuple[Backend, ...]:
    """Return the endpoints to use: the ready ones, or else those that still serve while they are ending."""
    ready: list[Backend] = []
    ending: list[Backend] = []
    for one in slices:
        number = next((p.port for p in one.ports if (p.name or "") == port_name), None)
        if number is None:
            continue
        for endpoint in one.endpoints:
            found = [Backend(address, number) for address in endpoint.addresses]
            if endpoint.conditions.ready is not False:
                ready += found
            elif endpoint.conditions.serving and endpoint.conditions.terminating:
                ending += found
    return tuple(ready or ending)


class ServiceProxy:
    """Carries the connections of every Service of a plane; a part of its manager."""

    name = "service-proxy"

    def __init__(self) -> None:
        self._scopes: dict[Frontend, anyio.CancelScope] = {}
        self._turn: dict[Frontend, int] = {}
        self._open = 0
        self._drained = anyio.Event()
        self._limit = anyio.CapacityLimiter(MAX_CONNECTIONS)
        self._log = get_logger(self.name)
        self._random = random.Random(0)

    async def run(self, surroundings: Surroundings, *, task_status: TaskStatus[None]) -> None:
        """Listen for every Service until cancelled; open connections get a while to end by themselves."""
        services = surroundings.informers.informer(Service)
        self._slices = surroundings.informers.informer(EndpointSlice)
        self._slices.add_index(BY_SERVICE)
        self._events: Events = surroundings.recorder.events(self.name)
        self._random = surroundings.clock.random
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
                if self._open:
                    self._drained = anyio.Event()
                    with anyio.move_on_after(DRAIN_SECONDS, shield=True):
                        await self._drained.wait()

    def _service_changed(self, change: Change[Service], listeners: TaskGroup, connections: TaskGroup) -> None:
        old = set(frontends(change.old)) if change.old is not None else set()
        wanted = frontends(change.new) if change.new is not None else ()
        for gone in sorted(old - set(wanted), key=lambda f: (f.host, f.port)):
            scope = self._scopes.pop(gone, None)
            self._turn.pop(gone, None)
            if scope is not None:
                scope.cancel()
        for frontend in wanted:
            if frontend not in self._scopes:
                scope = self._scopes[frontend] = anyio.CancelScope()
                listeners.start_soon(self._listen, frontend, change.object, scope, connections)

    async def _listen(
        self, frontend: Frontend, service: Service, scope: anyio.CancelScope, connections: TaskGroup
    ) -> None:
        """Accept connections of one frontend; an address that cannot be bound is reported and tried again."""
        with scope:
            while True:
                try:
                    listener = await anyio.create_tcp_listener(
                        local_host=frontend.host, local_port=frontend.port, backlog=1024
                    )
                except OSError as error:
                    text = f"cannot listen on {frontend.host}:{frontend.port}: {error.strerror or error}"
                    self._events.warning(service, "FailedListen", text)
                    self._log.warning("service not served", service=service.key, error=text)
                    await anyio.sleep(10)
                    continue
                async with listener:
                    await self._accept(listener.listeners[0], frontend, connections)

    async def _accept(self, listener: object, frontend: Frontend, connections: TaskGroup) -> None:
        if not isinstance(listener, SocketListener):
            raise TypeError("a TCP listener accepts sockets")
        while True:
            await self._limit.acquire_on_behalf_of(token := object())
            try:
                client = await listener.accept()
            except BaseException:
                self._limit.release_on_behalf_of(token)
                raise
            connections.start_soon(self._carry, client, frontend, token)

    async def _carry(self, client: SocketStream, frontend: Frontend, token: object) -> None:
        self._open += 1
        try:
            async with client:
                server = await self._connect(client, frontend)
                if server is None:
                    _reset(client)
                    return
                async with server:
                    await _exchange(client, server)
        finally:
            self._limit.release_on_behalf_of(token)
            self._open -= 1
            if not self._open:
                self._drained.set()

    async def _connect(self, client: SocketStream, frontend: Frontend) -> SocketStream | None:
        """Return a connection to an endpoint: in turn, or always the same for a client of a sticky Service."""
        key = f"{frontend.namespace}/{frontend.service}"
        choices = backends(self._slices.lister.by_index(BY_SERVICE, key), frontend.port_name)
        if not choices:
            return None
        if frontend.sticky:
            peer = client.extra(SocketAttribute.remote_address)[0]  # noqa: S610 - not Django
            start = sum(str(peer).encode()) % len(choices)
        else:
            start = self._turn.get(frontend, self._random.randrange(len(choices)))
            self._turn[frontend] = start + 1
        for step in range(len(choices)):
            backend = choices[(start + step) % len(choices)]
            with anyio.move_on_after(CONNECT_SECONDS):
                try:
                    return await anyio.connect_tcp(backend.host, backend.port)
                except OSError:
                    continue
        return None


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
        _reset(target)
        group.cancel_scope.cancel()


def _reset(stream: SocketStream) -> None:
    """Let the peer see a reset when the stream is closed: nobody answered, or the other side broke off."""
    raw = stream.extra(SocketAttribute.raw_socket)  # noqa: S610 - not Django
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
