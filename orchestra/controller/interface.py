"""The contract between a reconciler and the loop that runs it.

A reconciler is given one object as the cache knows it and makes the world match it. It is level-triggered: it is not
told what changed, and it must be right whatever it sees. The loop promises:

- one key is never reconciled twice at the same time;
- a change that arrives during a reconcile leads to another one after it;
- when a reconcile wrote at revision R, its key rests until the caches of the kinds it wrote have passed R, so a
  reconciler reads its own writes, deletions included;
- an error that is raised means the same key again, later and later (`Controller.backoff`); `Conflict` is no error
  worth a log line, it means that the cache was behind.

    @controller(for_=ReplicaSet, owns=(Pod,))
    async def reconcile(replica_set: ReplicaSet, ctx: Context) -> Result | None:
        pods = ctx.lister(Pod).by_index("owner", replica_set.metadata.uid)
        ...
        return ctx.requeue(after=30)
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, Protocol, TypeVar, runtime_checkable

import attrs

from orchestra._log import Logger
from orchestra.api.object import Object
from orchestra.backoff import Backoff
from orchestra.client.interface import Client, Fence
from orchestra.clock import Clock

if TYPE_CHECKING:
    from anyio.abc import TaskStatus

    from orchestra.api.core import ObjectReference

O = TypeVar("O", bound=Object)  # noqa: E741 - the type of an object
O_contra = TypeVar("O_contra", bound=Object, contravariant=True)


class Key(NamedTuple):
    """Which object: the namespace is empty for cluster-scoped kinds."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


def key_of(obj: Object) -> Key:
    """Return the key of an object."""
    return Key(obj.metadata.namespace, obj.metadata.name)


class Change(NamedTuple, Generic[O]):
    """One step of one object as a cache saw it: `old` is None when it appeared, `new` when it is gone.

    After a gap in the watch several real changes can be one step, and an object that was deleted and created again
    can look like an update: compare `metadata.uid` where that matters.
    """

    old: O | None
    new: O | None

    @property
    def object(self) -> O:
        """The newest state that is known."""
        return self.new if self.new is not None else self.old  # type: ignore[return-value]


@attrs.frozen
class Index(Generic[O]):
    """A way to find cached objects: `values` says under which words an object of `kind` is filed."""

    name: str
    kind: type[O]
    values: Callable[[O], Iterable[str]] = attrs.field(eq=False)


class LabelMatcher(Protocol):
    """What selects by labels; `orchestra.api.selectors` makes them."""

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Say whether an object with these labels is selected."""
        ...


class Lister(Protocol[O]):
    """Reads of a cache: immediate, of shared immutable objects, in a stable order."""

    def get(self, namespace: str, name: str) -> O | None:
        """Return one object; the namespace of cluster-scoped kinds is empty."""
        ...

    def list(self, namespace: str | None = None, selector: LabelMatcher | None = None) -> tuple[O, ...]:
        """Return the objects of one namespace, or of all, that the selector matches."""
        ...

    def by_index(self, index: str | Index[O], value: str) -> tuple[O, ...]:
        """Return the objects that an index files under `value`.

        Every kind has the indexes `namespace` and `owner` (the uid of the controlling owner), Pods have
        `spec.nodeName` too. An index that nobody added raises ConfigurationError.
        """
        ...


class Listers(Protocol):
    """The caches of several kinds."""

    def lister(self, kind: type[O]) -> Lister[O]:
        """Return the cache of a kind."""
        ...


Handler = Callable[[tuple[Change[O], ...]], None]
"""Told of changes after the cache has them, a batch at a time; must not wait."""


class Informer(Protocol[O]):
    """The cache of one kind, kept current by a list and a watch."""

    @property
    def kind(self) -> type[O]:
        """What it caches."""
        ...

    @property
    def lister(self) -> Lister[O]:
        """The way to read it."""
        ...

    @property
    def synced(self) -> bool:
        """Whether the first list is in."""
        ...

    @property
    def revision(self) -> int:
        """Every change of this kind up to here is in the cache; 0 before the first list."""
        ...

    def subscribe(self, handler: Handler[O]) -> Callable[[], None]:
        """Call `handler` with every batch of changes from now on, and return a function that ends that.

        What the cache already holds comes first, at once, as changes without `old`.
        """
        ...

    def add_index(self, index: Index[O]) -> None:
        """Keep an index; adding the same one twice is harmless, another one of that name a ConfigurationError."""
        ...

    async def wait_synced(self) -> None:
        """Wait for the first list."""
        ...

    async def wait_revision(self, revision: int) -> None:
        """Wait until the cache has everything up to `revision`; asks the server for progress when it is quiet."""
        ...


class Informers(Listers, Protocol):
    """The informers that the parts of one process share: one per kind and selection."""

    def informer(
        self, kind: type[O], *, namespace: str | None = None, label_selector: str = "", field_selector: str = ""
    ) -> Informer[O]:
        """Return the informer of a kind, or of a part of it; it starts with `run`, or at once when that is running."""
        ...

    async def wait_synced(self) -> None:
        """Wait for the first list of every informer asked for so far."""
        ...


class Events(Protocol):
    """Writes Events about objects: immediate, never waits, loses the least interesting ones under pressure.

    `field_path` names a part of the object, such as `spec.containers{web}`.
    """

    def normal(self, obj: Object | ObjectReference, reason: str, message: str, *, field_path: str = "") -> None:
        """Record something expected."""
        ...

    def warning(self, obj: Object | ObjectReference, reason: str, message: str, *, field_path: str = "") -> None:
        """Record something that a person may have to look at."""
        ...


class Recorder(Protocol):
    """Where the Events of a process go."""

    def events(self, component: str, host: str = "") -> Events:
        """Return the recorder of one component; `host` is the node it runs on."""
        ...


@attrs.frozen(kw_only=True)
class Result:
    """What a reconcile wants next: nothing, or the same key again after a while."""

    requeue_after_seconds: float | None = None


class Context(Listers, Protocol):
    """What a reconciler works with during one reconcile."""

    @property
    def key(self) -> Key:
        """Which object is being reconciled."""
        ...

    @property
    def client(self) -> Client:
        """Writes through it are remembered for read-your-writes, and carry field manager and fence."""
        ...

    @property
    def clock(self) -> Clock:
        """Time and chance."""
        ...

    @property
    def events(self) -> Events:
        """Records Events as this controller."""
        ...

    @property
    def log(self) -> Logger:
        """Logger bound to the controller and the object."""
        ...

    def requeue(self, *, after: float | timedelta) -> Result:
        """Return the result that asks for this key again after so many seconds."""
        ...

    async def apply(self, child: O) -> O:
        """Server-side apply `child` as this controller, owned by the object that is being reconciled."""
        ...


class Reconciler(Protocol[O_contra]):
    """Makes the world match one object. A plain async function of the same signature serves as well."""

    async def reconcile(self, obj: O_contra, ctx: Context) -> Result | None:
        """Bring what depends on `obj` into line and report in its status; called again whenever anything changes."""
        ...


@runtime_checkable
class Deletable(Protocol):
    """Power of a reconciler that must act when an object is gone from the cache."""

    async def deleted(self, key: Key, ctx: Context) -> Result | None:
        """Clean up after the object of that key."""
        ...


ReconcileFunction = Callable[[O, Context], Awaitable[Result | None]]
KeyFunction = Callable[[Any, Listers], Iterable[tuple[str, str]]]
"""Says which objects to reconcile when another one changed: called with its old and with its new state."""
Predicate = Callable[[Change[Any]], bool]
"""Says whether a change is of interest."""


@attrs.frozen(kw_only=True)
class Controller(Generic[O]):
    """A reconciler and what it watches: a value, run by a `Manager`.

    `owns`: kinds whose objects lead to their controlling owner. `watches`: kinds that lead elsewhere, each with its
    function. `reads`: kinds that are only read. The caches of all these kinds, and of no others, can be read.
    `predicates` narrow which changes of a kind count. `indexes` are kept for `Lister.by_index`. `resync_seconds`
    reconciles everything again now and then, at low priority; None never does. `priority`: among keys that wait,
    higher ones go first. `pace`: the seconds from the start of one reconcile of an object to the next, for objects on
    which much changes at once: to look at a thousand Pods again for each one that starts would cost the square.
    """

    name: str
    for_: type[O]
    reconcile: Reconciler[O] | ReconcileFunction[O]
    owns: tuple[type[Object], ...] = ()
    watches: Mapping[type[Any], KeyFunction] = attrs.field(factory=dict)
    reads: tuple[type[Object], ...] = ()
    predicates: Mapping[type[Any], Predicate] = attrs.field(factory=dict)
    indexes: tuple[Index[Any], ...] = ()
    workers: int = 4
    backoff: Backoff = Backoff(initial_seconds=0.005, max_seconds=1000.0)
    resync_seconds: float | None = None
    priority: Callable[[O], int] | None = None
    pace: Callable[[O], float] | None = None
    component: str = ""
    """Source of its Events; `<name>-controller` when empty."""


def controller(
    name: str = "",
    *,
    for_: type[O],
    owns: tuple[type[Object], ...] = (),
    watches: Mapping[type[Any], KeyFunction] | None = None,
    reads: tuple[type[Object], ...] = (),
    **settings: Any,
) -> Callable[[ReconcileFunction[O]], Controller[O]]:
    """Make a `Controller` of an async function; `settings` are its other attributes. The kind names it by default."""

    def make(reconcile: ReconcileFunction[O]) -> Controller[O]:
        return Controller(
            name=name or for_.resource_info.singular or for_.resource_info.kind.lower(),
            for_=for_,
            reconcile=reconcile,
            owns=owns,
            watches=watches or {},
            reads=reads,
            **settings,
        )

    return make


@attrs.frozen(kw_only=True)
class Surroundings:
    """What the manager hands to a part that is no reconciler.

    `fence`: when there is an election, writes that only the leader may do carry it (`WriteOptions.fence`).
    """

    client: Client
    informers: Informers
    clock: Clock
    recorder: Recorder
    fence: Fence | None = None


class Part(Protocol):
    """A loop of its own beside the controllers, run, restarted and stopped by the same manager."""

    @property
    def name(self) -> str:
        """What logs and health call it."""
        ...

    async def run(self, surroundings: Surroundings, *, task_status: TaskStatus[None]) -> None:
        """Work until cancelled; `task_status.started()` says that it is ready. Safe to call again after an error."""
        ...
