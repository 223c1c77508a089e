"""`ControlPlane`: store, server, controllers, scheduler and nodes composed into one running whole. Read this first.

    store -> APIServer -> informers -> controllers, scheduler, node agents

Each part is handed what it needs and owns nothing of the others. Starting is nesting: a part is ready before the
next one begins, and stopping goes the same way back, so that node agents end their containers while there is still
a server to report to.
"""

from __future__ import annotations

import functools
import zlib
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import anyio
import attrs
from anyio.abc import TaskGroup, TaskStatus

from orchestra._log import get_logger
from orchestra._stop import cancel_at, orderly_stop
from orchestra.api.scheme import Scheme
from orchestra.apiserver import Admission, APIServer, Authorizer
from orchestra.apiserver.validation.options import DEFAULT_OPTIONS
from orchestra.clock import Clock, SystemClock
from orchestra.controller import Controller, EventRecorder, Manager, Part, SharedInformers, Surroundings
from orchestra.controller.health import Health
from orchestra.controller.supervise import Supervisor
from orchestra.errors import ConfigurationError
from orchestra.lifecycle import lifecycle_controllers
from orchestra.network import (
    AddressBlock,
    BlockClaim,
    ServiceProxy,
    claim_block,
    claim_free_block,
    endpoints_controller,
    node_ipam_controller,
)
from orchestra.scheduler import Scheduler
from orchestra.store import MemoryStore, Store
from orchestra.workloads import (
    daemonset_controller,
    deployment_controller,
    replicaset_controller,
    replicationcontroller_controller,
    statefulset_controller,
)

if TYPE_CHECKING:
    from orchestra.apiserver.interface import Front
    from orchestra.node import NodeAgent

BLOCK_KEY = b"/orchestra/cluster-addresses"
"""Where the store remembers the plane's block of addresses: running containers and Services have some of it."""

log = get_logger("plane")


def default_controllers() -> tuple[Controller[Any] | Part, ...]:
    """Return the controllers that keep the built-in kinds, new ones at each call."""
    return (
        deployment_controller(),
        replicaset_controller(),
        replicationcontroller_controller(),
        daemonset_controller(),
        statefulset_controller(),
        endpoints_controller(),
        *lifecycle_controllers(),
    )


class ControlPlane:
    """A control plane in one process; a context manager that is open while the plane runs.

    Every argument has a default: a `MemoryStore`, a `Scheduler`, `default_controllers()` and one node whose
    containers are processes of this machine. `network` gives Services and Pods addresses of their own
    (`127.N.0.0/16`; a certain block can be named) and carries the connections of Services; without it nodes make do
    with one address. `fronts` are the doors through which others reach the server. `server_options` are further
    arguments of `APIServer`.

    When the store or the server fails the context ends with that error; any other part is restarted after a pause,
    which `health()` tells of.
    """

    def __init__(
        self,
        *,
        store: Store | None = None,
        scheduler: Scheduler | None = None,
        controllers: Iterable[Controller[Any] | Part] | None = None,
        nodes: Iterable[NodeAgent] | None = None,
        scheme: Scheme | None = None,
        clock: Clock | None = None,
        network: bool | str = True,
        authorizer: Authorizer | None = None,
        admission: Sequence[Admission] = (),
        fronts: Iterable[Front] = (),
        **server_options: Any,
    ) -> None:
        self.store = store if store is not None else MemoryStore()
        self.clock = clock or SystemClock()
        self.nodes = _one_node() if nodes is None else tuple(nodes)
        self._scheduler = scheduler if scheduler is not None else Scheduler()
        self._controllers = tuple(default_controllers() if controllers is None else controllers)
        self._network = network
        self._fronts = tuple(fronts)
        self._server_options: dict[str, Any] = {
            "scheme": scheme,
            "clock": self.clock,
            "authorizer": authorizer,
            "admission": admission,
            **server_options,
        }
        self._server: APIServer | None = None
        self._manager: Manager | None = None
        self._supervisors: dict[str, Supervisor] = {}
        self._scopes: dict[str, anyio.CancelScope] = {}
        self._agents: TaskGroup | None = None
        self._surroundings: Surroundings | None = None
        self._tasks: TaskGroup | None = None

    @property
    def client(self) -> APIServer:
        """The way to read and write, while the plane runs."""
        if self._server is None:
            raise _not_running()
        return self._server

    @property
    def manager(self) -> Manager:
        """The manager of the controllers, while the plane runs."""
        if self._manager is None:
            raise _not_running()
        return self._manager

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Run until cancelled; a stop is orderly, even when it comes as a cancellation."""
        async with orderly_stop() as stop:
            await self._compose(stop, task_status)

    async def __aenter__(self) -> Self:
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        try:
            await self._tasks.start(self.run)
        except BaseException as error:
            await self._leave(type(error), error, error.__traceback__)
            if isinstance(error, BaseExceptionGroup):
                raise _only(error) from None
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return await self._leave(kind, error, trace)

    async def _leave(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        tasks, self._tasks = self._tasks, None
        if tasks is None:
            return None
        tasks.cancel_scope.cancel()
        try:
            if isinstance(error, anyio.get_cancelled_exc_class()):
                return await tasks.__aexit__(kind, error, trace)
            await tasks.__aexit__(None, None, None)
        except BaseExceptionGroup as group:
            raise _only(group) from None
        return None

    async def _compose(self, stop: anyio.Event, task_status: TaskStatus[None]) -> None:
        """Start everything, wait for the stop, and take it down in reverse order."""
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self.store)
            claim = await self._claim_addresses(stack)
            options = dict(self._server_options)
            # With a network or without one, Pods of this machine have loopback addresses.
            options["rules"] = attrs.evolve(options.get("rules", DEFAULT_OPTIONS), loopback_endpoints=True)
            if claim is not None:
                options["service_cidr"] = claim.block.service_cidr
            server = self._server = APIServer(self.store, **options)
            async with anyio.create_task_group() as servers:
                await servers.start(server.run)
                async with anyio.create_task_group() as loops:
                    await self._run_loops(server, claim, loops, stop, task_status)
                    loops.cancel_scope.cancel()
                servers.cancel_scope.cancel()
            log.info("stopped")

    async def _run_loops(
        self,
        server: APIServer,
        claim: BlockClaim | None,
        loops: TaskGroup,
        stop: anyio.Event,
        task_status: TaskStatus[None],
    ) -> None:
        """Run controllers and scheduler, and inside of them the nodes and the doors, until the stop."""
        informers = SharedInformers(server, clock=self.clock)
        recorder = EventRecorder(server, clock=self.clock)
        network: list[Controller[Any] | Part] = []
        if claim is not None:
            network = [node_ipam_controller(claim.block.pod_cidrs()), ServiceProxy()]
        self._manager = Manager(
            server,
            clock=self.clock,
            controllers=[*self._controllers, *network, self._scheduler],
            informers=informers,
            recorder=recorder,
        )
        with anyio.CancelScope() as starting:  # a stop need not wait for a part that never gets ready
            loops.start_soon(cancel_at, stop, starting)
            for part in (informers, recorder, self._manager):
                await loops.start(part.run)
        if stop.is_set():
            return
        self._surroundings = Surroundings(client=server, informers=informers, clock=self.clock, recorder=recorder)
        async with anyio.create_task_group() as agents:
            agents.start_soon(cancel_at, stop, agents.cancel_scope)
            self._agents = agents
            for node in self.nodes:
                self._start_node(node, networked=claim is not None)
            for supervisor in tuple(self._supervisors.values()):
                await supervisor.wait_ready()
            for front in self._fronts:
                await agents.start(front.run, server)
            log.info("ready", nodes=len(self.nodes))
            task_status.started()
        self._agents = None

    async def add_node(self, node: NodeAgent) -> None:
        """Start one more node, and wait until it is registered and has taken over its Pods.

        Raises ConfigurationError when there is one of that name, or when it cannot work; the plane goes on without it.
        """
        if self._agents is None:
            raise _not_running()
        if node.name in self._supervisors:
            raise ConfigurationError(f"the plane has a node {node.name!r} already")
        self.nodes = (*self.nodes, node)
        self._start_node(node, networked=self._network is not False)
        try:
            await self._supervisors[node.name].wait_ready()
        except ConfigurationError:
            await self.remove_node(node.name)
            raise

    async def remove_node(self, name: str) -> None:
        """Stop a node's agent, as its `on_exit` says; the Node object stays, and is found unreachable after a while."""
        scope = self._scopes.pop(name, None)
        if scope is None:
            raise ConfigurationError(f"the plane has no node {name!r}")
        self.nodes = tuple(node for node in self.nodes if node.name != name)
        supervisor = self._supervisors.pop(name)
        scope.cancel()
        await supervisor.wait_ended()

    def health(self) -> tuple[Health, ...]:
        """Say of every part how it is doing."""
        return (*self.manager.health(), *(one.health() for one in self._supervisors.values()))

    def _start_node(self, node: NodeAgent, *, networked: bool) -> None:
        surroundings, agents = self._surroundings, self._agents
        assert surroundings is not None
        assert agents is not None
        if node.pod_network is None:
            node.pod_network = networked
        name = f"node {node.name}"
        supervisor = Supervisor(name, functools.partial(node.run, surroundings), self.clock)
        scope = anyio.CancelScope()
        self._supervisors[node.name], self._scopes[node.name] = supervisor, scope
        agents.start_soon(_run_in, scope, supervisor, name=name)

    async def _claim_addresses(self, stack: AsyncExitStack) -> BlockClaim | None:
        """Claim the block of addresses that the store remembers, or a free one, and have the store remember it."""
        if self._network is False:
            return None
        remembered = await self.store.get(BLOCK_KEY)
        kept = remembered.value.decode() if remembered is not None else ""
        named = self._network if isinstance(self._network, str) else kept
        if kept and named != kept:
            raise ConfigurationError(f"the store's Services and Pods have addresses of {kept}, not of {named}")
        if named:
            claim = stack.enter_context(claim_block(AddressBlock.of(named)))
            if not kept:
                await self.store.put(BLOCK_KEY, claim.block.cidr.encode())
            return claim
        claim = stack.enter_context(claim_free_block(zlib.crc32(self.clock.uid().encode())))
        await self.store.put(BLOCK_KEY, claim.block.cidr.encode())
        return claim


def _one_node() -> tuple[NodeAgent, ...]:
    from orchestra.node import NodeAgent  # A plane whose nodes run elsewhere has no agent in it.

    return (NodeAgent("node-0"),)


async def _run_in(scope: anyio.CancelScope, supervisor: Supervisor) -> None:
    with scope:
        await supervisor.run()


def _not_running() -> ConfigurationError:
    return ConfigurationError("the control plane is not running: use it inside `async with plane:`")


def _only(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the one error in nested groups, or the group when there are several."""
    inner: BaseException = group
    while isinstance(inner, BaseExceptionGroup) and len(inner.exceptions) == 1:
        inner = inner.exceptions[0]
    return inner
