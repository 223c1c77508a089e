"""The Service proxy on real sockets of the loopback network."""

from __future__ import annotations

import contextlib
import resource
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Sequence

import anyio
import attrs
import pytest
from anyio.abc import SocketStream, TaskGroup

from orchestra.api.core import Event, Service, ServicePort, ServiceSpec
from orchestra.api.discovery import Endpoint, EndpointConditions, EndpointPort, EndpointSlice
from orchestra.api.object import ObjectMeta
from orchestra.apiserver import APIServer
from orchestra.apiserver.validation.options import DEFAULT_OPTIONS
from orchestra.clock import SystemClock
from orchestra.controller import EventRecorder, SharedInformers, Surroundings
from orchestra.network import BlockClaim, ServiceProxy, claim_free_block, proxy
from orchestra.store import MemoryStore

PORT = 8080
SECONDS = 5.0
"""How long anything may take before a test fails."""


@pytest.fixture(scope="module")
def claim() -> Iterator[BlockClaim]:
    with claim_free_block(77) as claimed:
        yield claimed


@attrs.define
class Net:
    """A server with a proxy, endpoints that tell their names, and words for what tests do."""

    server: APIServer
    tasks: TaskGroup
    number: int
    proxying: anyio.CancelScope
    addresses: Iterator[str]
    stopped: anyio.Event

    def address(self) -> str:
        return next(self.addresses)

    async def serve(self, host: str, behave: Callable[[SocketStream, str], object] | None = None) -> anyio.CancelScope:
        """Serve at an address until the scope is cancelled; by default whatever comes is answered with the address."""
        scope = anyio.CancelScope()
        listener = await anyio.create_tcp_listener(local_host=host, local_port=PORT)

        async def handle(stream: SocketStream) -> None:
            async with stream:
                await (behave or _echo)(stream, host)  # type: ignore[misc]

        async def run() -> None:
            with scope:
                async with listener:
                    await listener.serve(handle)

        self.tasks.start_soon(run)
        return scope

    async def service(self, name: str, *, sticky: bool = False, port: int = 80, address: str = "") -> str:
        """Create a Service at an address of its own, wait until the proxy listens, and return the address."""
        host = address or self.address()
        spec = ServiceSpec(
            cluster_ip=host,
            ports=(ServicePort(name="web", port=port, target_port=PORT),),
            session_affinity="ClientIP" if sticky else "None",
        )
        await self.server.create(Service(metadata=ObjectMeta(name=name, namespace="default"), spec=spec))
        return host

    async def endpoints(self, name: str, hosts: Sequence[str], **conditions: bool) -> None:
        """Make these addresses the endpoints of a Service."""
        conditions.setdefault("ready", True)
        wanted = EndpointSlice(
            metadata=ObjectMeta(name=name, namespace="default", labels={"kubernetes.io/service-name": name}),
            address_type="IPv4",
            endpoints=tuple(Endpoint(addresses=(h,), conditions=EndpointConditions(**conditions)) for h in hosts),
            ports=(EndpointPort(name="web", protocol="TCP", port=PORT),),
        )
        await self.server.apply(wanted, force=True)
        await anyio.sleep(0.05)  # the watch brings it to the proxy: nothing else tells that it has

    async def connect(self, host: str, port: int = 80) -> SocketStream:
        """Connect, as soon as somebody listens."""
        with anyio.fail_after(SECONDS):
            while True:
                try:
                    return await anyio.connect_tcp(host, port)
                except OSError:
                    await anyio.sleep(0.01)

    async def ask(self, host: str) -> str:
        """Return the name of the endpoint that a new connection meets."""
        async with await self.connect(host) as stream:
            return await exchange(stream)


async def _echo(stream: SocketStream, host: str) -> None:
    with contextlib.suppress(anyio.EndOfStream, anyio.BrokenResourceError):
        while True:
            await stream.receive()
            await stream.send(host.encode())


async def exchange(stream: SocketStream) -> str:
    await stream.send(b"?")
    with anyio.fail_after(SECONDS):
        return (await stream.receive()).decode()


@pytest.fixture
async def net(claim: BlockClaim) -> AsyncIterator[Net]:
    clock = SystemClock()
    number = claim.block.number
    rules = attrs.evolve(DEFAULT_OPTIONS, loopback_endpoints=True)
    async with (
        MemoryStore(clock=clock) as store,
        APIServer(store, clock=clock, service_cidr=claim.block.service_cidr, rules=rules) as server,
        anyio.create_task_group() as tasks,
    ):
        informers, recorder = SharedInformers(server, clock=clock), EventRecorder(server, clock=clock)
        await tasks.start(informers.run)
        await tasks.start(recorder.run)
        surroundings = Surroundings(client=server, informers=informers, clock=clock, recorder=recorder)
        scope, stopped = anyio.CancelScope(), anyio.Event()

        async def run(*, task_status: anyio.abc.TaskStatus[None]) -> None:
            with scope:
                await ServiceProxy().run(surroundings, task_status=task_status)
            stopped.set()

        await tasks.start(run)
        addresses = (f"127.{number}.1.{n}" for n in range(1, 255))
        yield Net(server, tasks, number, scope, addresses, stopped)
        tasks.cancel_scope.cancel()


async def three(net: Net, name: str = "web", **options: bool) -> tuple[str, list[str]]:
    """Return the address of a Service with three endpoints, and theirs."""
    hosts = [net.address() for _ in range(3)]
    for host in hosts:
        await net.serve(host)
    address = await net.service(name, **options)  # type: ignore[arg-type]
    await net.endpoints(name, hosts)
    return address, hosts


async def test_connections_go_to_all_endpoints_in_turn(net: Net) -> None:
    address, hosts = await three(net)
    met = [await net.ask(address) for _ in range(9)]
    assert sorted(met) == sorted(hosts * 3)


async def test_what_one_endpoint_refuses_goes_to_another(net: Net) -> None:
    address, hosts = await three(net)
    await net.endpoints("web", [net.address(), *hosts[:1]])  # nobody listens at the first
    assert {await net.ask(address) for _ in range(6)} == {hosts[0]}


async def test_a_connection_stays_with_its_endpoint_whatever_happens_to_the_endpoints(net: Net) -> None:
    address, hosts = await three(net)
    async with await net.connect(address) as stream:
        first = await exchange(stream)
        await net.endpoints("web", [h for h in hosts if h != first])
        assert await exchange(stream) == first
        await net.endpoints("web", [])
        assert await exchange(stream) == first
        await net.server.delete(Service, "web")
        await anyio.sleep(0.05)
        assert await exchange(stream) == first


async def test_new_connections_meet_only_endpoints_that_are_ready(net: Net) -> None:
    address, hosts = await three(net)
    await net.endpoints("web", hosts[1:2])
    assert {await net.ask(address) for _ in range(4)} == {hosts[1]}


async def test_endpoints_that_are_ending_serve_when_there_are_no_others(net: Net) -> None:
    address, hosts = await three(net)
    await net.endpoints("web", hosts[:1], ready=False, serving=True, terminating=True)
    assert await net.ask(address) == hosts[0]


async def test_the_end_of_one_direction_is_passed_on_and_the_other_goes_on(net: Net) -> None:
    async def count(stream: SocketStream, _: str) -> None:
        total = 0
        with contextlib.suppress(anyio.EndOfStream):
            while True:
                total += len(await stream.receive())
        await stream.send(str(total).encode())

    host = net.address()
    await net.serve(host, count)
    address = await net.service("web")
    await net.endpoints("web", [host])
    async with await net.connect(address) as stream:
        await stream.send(b"x" * 300_000)
        await stream.send_eof()
        assert await stream.receive() == b"300000"


async def test_a_service_without_endpoints_resets_connections(net: Net) -> None:
    address = await net.service("web")
    async with await net.connect(address) as stream:
        with anyio.fail_after(SECONDS), pytest.raises(anyio.BrokenResourceError) as broken:
            await stream.receive()
    assert isinstance(broken.value.__cause__, ConnectionResetError)


async def test_an_endpoint_that_breaks_off_is_seen_as_a_reset(net: Net) -> None:
    async def break_off(stream: SocketStream, _: str) -> None:
        await stream.receive()
        proxy._reset(stream)

    host = net.address()
    await net.serve(host, break_off)
    address = await net.service("web")
    await net.endpoints("web", [host])
    async with await net.connect(address) as stream:
        await stream.send(b"?")
        with anyio.fail_after(SECONDS), pytest.raises(anyio.BrokenResourceError):
            await stream.receive()


async def test_clients_that_are_gone_before_they_are_served_do_no_harm(net: Net) -> None:
    address, hosts = await three(net)
    await net.ask(address)
    for _ in range(50):
        with socket.create_connection((address, 80)) as gone:
            gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    assert await net.ask(address) in hosts


async def test_a_client_of_a_sticky_service_keeps_its_endpoint_while_it_is_there(net: Net) -> None:
    address, hosts = await three(net, sticky=True)
    (kept,) = {await net.ask(address) for _ in range(5)}
    await net.endpoints("web", [net.address(), *hosts])
    assert {await net.ask(address) for _ in range(5)} == {kept}
    others = [h for h in hosts if h != kept]
    await net.endpoints("web", others)
    (next_kept,) = {await net.ask(address) for _ in range(5)}
    assert next_kept in others


async def test_a_change_of_stickiness_keeps_the_listener(net: Net) -> None:
    address, hosts = await three(net, sticky=True)
    assert len({await net.ask(address) for _ in range(6)}) == 1
    service = await net.server.get(Service, "web")
    spec = attrs.evolve(service.spec, session_affinity="None", session_affinity_config=None)
    await net.server.update(attrs.evolve(service, spec=spec))
    await anyio.sleep(0.05)
    assert {await net.ask(address) for _ in range(6)} == set(hosts)


async def test_an_address_that_cannot_be_bound_is_told_and_served_once_it_is_free(net: Net) -> None:
    address, host = net.address(), net.address()
    await net.serve(host)
    with socket.create_server((address, 80)):
        await net.service("web", address=address)
        await net.endpoints("web", [host])
        with anyio.fail_after(SECONDS):
            while not (events := (await net.server.list(Event)).items):
                await anyio.sleep(0.02)
    assert events[0].reason == "FailedListen"
    assert f"cannot listen on {address}:80: Address already in use" in events[0].message


async def test_a_service_that_is_gone_is_no_longer_listened_for(net: Net) -> None:
    address, _ = await three(net)
    await net.ask(address)
    await net.server.delete(Service, "web")
    with anyio.fail_after(SECONDS):
        while True:
            try:
                await (await anyio.connect_tcp(address, 80)).aclose()
            except OSError:
                break
            await anyio.sleep(0.01)


async def test_a_service_can_be_made_again_at_once_at_the_same_address(net: Net) -> None:
    address, hosts = await three(net)
    await net.ask(address)
    await net.server.delete(Service, "web")
    await net.service("web", address=address)
    await net.endpoints("web", hosts)
    assert await net.ask(address) in hosts


async def test_two_hundred_connections_at_a_time_are_carried(net: Net) -> None:
    address, hosts = await three(net)
    met: list[str] = []
    together = anyio.Event()

    async def one() -> None:
        async with await net.connect(address) as stream:
            met.append(await exchange(stream))
            if len(met) == 200:
                together.set()
            await together.wait()
            assert await exchange(stream) in hosts

    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            for _ in range(200):
                tasks.start_soon(one)
    assert {met.count(host) for host in hosts} <= {66, 67}


async def test_a_stop_lets_open_connections_finish(net: Net) -> None:
    address, _ = await three(net)
    async with await net.connect(address) as stream:
        first = await exchange(stream)
        net.proxying.cancel()
        await anyio.sleep(0.05)
        assert await exchange(stream) == first
        with pytest.raises(OSError):
            await anyio.connect_tcp(address, 80)
    with anyio.fail_after(SECONDS):
        await net.stopped.wait()


async def test_a_stop_does_not_wait_for_ever(net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxy, "DRAIN_SECONDS", 0.2)
    address, _ = await three(net)
    async with await net.connect(address) as stream:
        await exchange(stream)
        net.proxying.cancel()
        with anyio.fail_after(SECONDS):
            await net.stopped.wait()
        with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
            await stream.receive()


@pytest.mark.parametrize(("files", "connections"), [(1024, 384), (100, 16), (1 << 20, proxy.MAX_CONNECTIONS)])
def test_connections_are_bounded_by_the_files_that_may_be_open(
    files: int, connections: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _which: (files, files))
    assert proxy.connection_limit() == connections
