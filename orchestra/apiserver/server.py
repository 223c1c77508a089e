"""`APIServer`: the parts of the server composed, and their life."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Any, Final, Self

import anyio
from anyio.abc import TaskGroup, TaskStatus

from orchestra._log import get_logger
from orchestra.api.scheme import Scheme
from orchestra.apiserver import refusals
from orchestra.apiserver.addresses import DEFAULT_NODE_PORTS, DEFAULT_SERVICE_CIDR, ServiceAddresses
from orchestra.apiserver.companions import Companion
from orchestra.apiserver.core import Core
from orchestra.apiserver.defaults.admission import SYSTEM_PRIORITIES
from orchestra.apiserver.diagnoses import Diagnoses
from orchestra.apiserver.documents import Documents
from orchestra.apiserver.eviction import Evictor
from orchestra.apiserver.interface import IN_PROCESS, Admission, AllowAll, Authorizer, User
from orchestra.apiserver.reading import Reader
from orchestra.apiserver.registry import Registry
from orchestra.apiserver.removal import Remover
from orchestra.apiserver.sessions import Sessions
from orchestra.apiserver.typed import InProcessClient
from orchestra.apiserver.upkeep import Bookmarks, Compactor, EventLeases
from orchestra.apiserver.validation.options import DEFAULT_OPTIONS, RuleOptions
from orchestra.apiserver.writes import Call, Target, Writes
from orchestra.clock import Clock, SystemClock
from orchestra.errors import AlreadyExists
from orchestra.store import Store

BOOTSTRAP_NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")
_SYSTEM_CLASSES: Final = {
    "system-cluster-critical": "Used for system critical pods that must run in the cluster, but can be moved to "
    "another node if necessary.",
    "system-node-critical": "Used for system critical pods that must not be moved from their current node.",
}
"""What Kubernetes says of the classes that every cluster has (scheduling/v1, SystemPriorityClasses)."""

log = get_logger("apiserver")


class APIServer(InProcessClient):
    """The door: the one way to the store, and itself a `Client` for whoever lives in the same process.

    `run` is to be started in a task group, by `async with server:` or by the plane; until it says that it has started,
    and after it ends, every verb raises `ServiceUnavailable`. The store must be open for as long. When the store fails
    `run` ends with its error.

    `service_cidr` is the range that Services get their addresses from, `node_ports` that of their node ports, both ends
    included. History is compacted every `compaction_interval_seconds`; Events live for `event_ttl_seconds`.
    `rules` are the settings that change which documents are valid, such as whether endpoints may be loopback addresses.
    """

    def __init__(
        self,
        store: Store,
        *,
        scheme: Scheme | None = None,
        clock: Clock | None = None,
        authorizer: Authorizer | None = None,
        admission: Sequence[Admission] = (),
        service_cidr: str = DEFAULT_SERVICE_CIDR,
        node_ports: tuple[int, int] = DEFAULT_NODE_PORTS,
        compaction_interval_seconds: float = 300.0,
        event_ttl_seconds: int = 3600,
        rules: RuleOptions = DEFAULT_OPTIONS,
    ) -> None:
        scheme, clock, authorizer = scheme or Scheme(), clock or SystemClock(), authorizer or AllowAll()
        self._core = core = Core(store, scheme, clock, authorizer=authorizer, rules=rules)
        self._addresses = ServiceAddresses(core.feed, core.clock.random, cidr=service_cidr, node_ports=node_ports)
        companions: dict[str, Companion] = {
            "Service": self._addresses,
            "Event": EventLeases(core, ttl_seconds=event_ttl_seconds),
        }
        writes = Writes(core, companions)
        self._registry = Registry(core, writes, admission=admission)
        remover = Remover(core, self._registry, writes, admission=admission)
        evictor = Evictor(core, self._registry, remover)
        documents = Documents(core, self._registry, remover, Reader(core), Sessions(), Diagnoses(), evictor)
        super().__init__(documents, IN_PROCESS)
        self._compaction_interval_seconds = compaction_interval_seconds
        self._tasks: TaskGroup | None = None

    @property
    def documents(self) -> Documents:
        """The verbs over documents, for transports: every request names its user."""
        return self._documents

    @property
    def revision(self) -> int:
        """The revision that every cache of the server has reached."""
        return self._core.feed.revision

    def as_user(self, user: User) -> InProcessClient:
        """Return a client whose requests are `user`'s, authorized as such."""
        return InProcessClient(self._documents, user)

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled, or until the store fails."""
        feed = self._core.feed
        await feed.load()
        try:
            async with anyio.create_task_group() as tasks:
                await tasks.start(feed.run)
                self._core.running = True
                await self._bootstrap()
                await self._addresses.repair(self._core)
                tasks.start_soon(Compactor(self._core, interval_seconds=self._compaction_interval_seconds).run)
                tasks.start_soon(Bookmarks(self._core).run)
                log.info("serving", revision=feed.revision)
                task_status.started()
        finally:
            self._core.running = False
            for watch in feed.watches:
                watch.fail(refusals.stopping())

    async def __aenter__(self) -> Self:
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        try:
            await self._tasks.start(self.run)
        except BaseException as error:
            await self._tasks.__aexit__(type(error), error, error.__traceback__)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        tasks, self._tasks = self._tasks, None
        assert tasks is not None
        tasks.cancel_scope.cancel()
        if isinstance(error, anyio.get_cancelled_exc_class()):
            return await tasks.__aexit__(kind, error, trace)
        # An error of the body is the body's: it must not come out wrapped in the group of the server's tasks.
        await tasks.__aexit__(None, None, None)
        return None

    async def _bootstrap(self) -> None:
        """Make what every cluster has: its namespaces, and the classes of its own Pods."""
        for name in BOOTSTRAP_NAMESPACES:
            await self._provide("v1", "Namespace", name, {})
        for name, priority in SYSTEM_PRIORITIES.items():
            told = {"value": priority.value, "description": _SYSTEM_CLASSES[name]}
            await self._provide("scheduling.k8s.io/v1", "PriorityClass", name, told)

    async def _provide(self, version: str, kind: str, name: str, content: dict[str, Any]) -> None:
        info = self._core.scheme.info(version, kind)
        if self._core.feed.cache(info).get("", name) is None:
            document = {"apiVersion": version, "kind": kind, "metadata": {"name": name}, **content}
            try:
                await self._registry.create(Target(info, "", name), document, Call(user=IN_PROCESS))
            except AlreadyExists:
                log.debug("somebody else made it", kind=kind, name=name)
