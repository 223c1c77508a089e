"""Informers: caches that follow the server, shared by the parts of a process. The driver beside `reflector.py`."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

import anyio
import attrs
from anyio.abc import TaskGroup

from orchestra._log import get_logger
from orchestra.api.object import Object
from orchestra.client.interface import Client, Watch
from orchestra.clock import Clock
from orchestra.controller.health import Health
from orchestra.controller.interface import Change, Handler, Index, Informer, Lister
from orchestra.controller.reflector import AskProgress, ListNow, Pause, Reflector, WatchFrom
from orchestra.errors import APIError, DecodeError, ServiceUnavailable

if TYPE_CHECKING:
    from anyio.abc import TaskStatus

O = TypeVar("O", bound=Object)  # noqa: E741 - the type of an object

PROGRESS_AFTER_SECONDS = 0.05
"""Who waits for a revision first gives the watch this long to bring it by itself."""

PROGRESS_EVERY_SECONDS = 1.0


@attrs.frozen(kw_only=True)
class Selection:
    """Which objects of a kind an informer follows."""

    namespace: str | None = None
    label_selector: str = ""
    field_selector: str = ""


_EVERYTHING = Selection()


class CachedKind(Generic[O]):
    """An informer: runs a `Reflector` against a client and tells subscribers of every batch."""

    def __init__(self, kind: type[O], selection: Selection, client: Client, clock: Clock) -> None:
        self._kind = kind
        self._selection = selection
        self._client = client
        self._clock = clock
        self._reflector: Reflector[O] = Reflector(kind)
        self._handlers: dict[int, Handler[O]] = {}
        self._subscriptions = 0
        self._first_list = anyio.Event()
        self._awaited: list[tuple[int, int, Callable[[], None]]] = []
        self._awaits = 0
        self._watch: Watch[O] | None = None
        self._log = get_logger("informer").bind(kind=kind.resource_info.kind)

    @property
    def kind(self) -> type[O]:
        """What it caches."""
        return self._kind

    @property
    def lister(self) -> Lister[O]:
        """The way to read it."""
        return self._reflector.cache

    @property
    def synced(self) -> bool:
        """Whether the first list is in."""
        return self._reflector.synced

    @property
    def revision(self) -> int:
        """Every change of this kind up to here is in the cache; 0 before the first list."""
        return self._reflector.revision

    def subscribe(self, handler: Handler[O]) -> Callable[[], None]:
        """Call `handler` with every batch from now on; what is cached comes first, at once."""
        self._subscriptions += 1
        number = self._subscriptions
        self._handlers[number] = handler
        present = tuple([Change(None, obj) for obj in self._reflector.cache.objects.values()])
        if present:
            handler(present)
        return lambda: self._forget(number)

    def _forget(self, number: int) -> None:
        self._handlers.pop(number, None)

    def add_index(self, index: Index[O]) -> None:
        """Keep an index; adding the same one twice is harmless."""
        self._reflector.cache.add_index(index)

    def health(self) -> Health:
        """Say whether the cache follows the server."""
        reflector = self._reflector
        problem = reflector.error or ("" if reflector.synced else "not listed yet")
        return Health(part=f"informer {self._kind.resource_info.plural}", problem=problem)

    async def wait_synced(self) -> None:
        """Wait for the first list."""
        await self._first_list.wait()

    def at_revision(self, revision: int, call: Callable[[], None]) -> None:
        """Call `call` once, as soon as the cache has everything up to `revision`; at once when it has."""
        if self.synced and self.revision >= revision:
            call()
            return
        self._awaits += 1
        heapq.heappush(self._awaited, (revision, self._awaits, call))

    async def wait_revision(self, revision: int) -> None:
        """Wait until the cache has everything up to `revision`; asks the server for progress when it is quiet."""
        if self.synced and self.revision >= revision:
            return
        reached = anyio.Event()
        self.at_revision(revision, reached.set)
        patience = PROGRESS_AFTER_SECONDS
        while not reached.is_set():
            with anyio.move_on_after(patience):
                await reached.wait()
                return
            await self.request_progress()
            patience = PROGRESS_EVERY_SECONDS

    async def request_progress(self) -> None:
        """Ask the open watch, if there is one, up to which revision it has delivered."""
        if self._watch is None:
            return
        try:
            await self._watch.request_progress()
        except APIError as error:  # the watch itself will report the same to its reader
            self._log.debug("progress request failed", error=str(error))

    async def run(self) -> None:
        """Follow the server until cancelled."""
        while True:
            step = self._reflector.next_step(self._clock.monotonic())
            try:
                match step:
                    case ListNow():
                        await self._list()
                    case WatchFrom(revision):
                        await self._follow(revision)
                    case Pause(until):
                        await anyio.sleep(max(0.0, until - self._clock.monotonic()))
            except (APIError, DecodeError, OSError) as error:
                self._reflector.failed(error, self._clock.monotonic(), self._clock.random)
                self._log.warning("cache may be behind", error=str(error), failures=self._reflector.failures)

    async def _list(self) -> None:
        selection = self._selection
        listed = await self._client.list(
            self._kind,
            namespace=selection.namespace,
            label_selector=selection.label_selector,
            field_selector=selection.field_selector,
        )
        items, page = listed.items, listed
        while page.metadata.continue_:
            page = await self._client.list(
                self._kind,
                namespace=selection.namespace,
                label_selector=selection.label_selector,
                field_selector=selection.field_selector,
                continue_=page.metadata.continue_,
            )
            items += page.items
        changes = self._reflector.listed(items, listed.revision)
        self._log.debug("listed", objects=len(items), revision=listed.revision)
        self._tell(changes)
        self._first_list.set()

    async def _follow(self, revision: int) -> None:
        selection, clock = self._selection, self._clock
        async with self._client.watch(
            self._kind,
            namespace=selection.namespace,
            label_selector=selection.label_selector,
            field_selector=selection.field_selector,
            resource_version=str(revision),
            bookmarks=True,
        ) as watch:
            self._watch = watch
            self._reflector.watching(clock.monotonic())
            try:
                while True:
                    events = None
                    with anyio.move_on_after(self._reflector.patience_seconds()):
                        events = await watch.next_batch()
                    now = clock.monotonic()
                    if events:
                        self._tell(self._reflector.received(events, now))
                    elif events is not None:
                        raise ServiceUnavailable("the watch was closed")
                    elif isinstance(self._reflector.silent(now, clock.random), AskProgress):
                        await watch.request_progress()
                    else:
                        self._log.warning("watch is silent: opening another one")
                        return
            finally:
                self._watch = None

    def _tell(self, changes: tuple[Change[O], ...]) -> None:
        if changes:
            for handler in tuple(self._handlers.values()):
                handler(changes)
        while self._awaited and self._awaited[0][0] <= self.revision:
            heapq.heappop(self._awaited)[2]()


class SharedInformers:
    """One informer per kind and selection, for all parts of a process."""

    def __init__(self, client: Client, *, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._informers: dict[tuple[type[Object], Selection], CachedKind[Any]] = {}
        self._tasks: TaskGroup | None = None

    def informer(
        self, kind: type[O], *, namespace: str | None = None, label_selector: str = "", field_selector: str = ""
    ) -> Informer[O]:
        """Return the informer of a kind, or of a part of it; it starts with `run`, or at once when that is running."""
        selection = Selection(namespace=namespace, label_selector=label_selector, field_selector=field_selector)
        return self._cached(kind, selection)

    def cached(self, kind: type[O]) -> CachedKind[O]:
        """Return the informer of a whole kind with what the manager needs of it."""
        return self._cached(kind, _EVERYTHING)

    def lister(self, kind: type[O]) -> Lister[O]:
        """Return the cache of a kind."""
        return self._cached(kind, _EVERYTHING).lister

    def known(self) -> tuple[CachedKind[Any], ...]:
        """Return every informer asked for so far."""
        return tuple(self._informers.values())

    async def wait_synced(self) -> None:
        """Wait for the first list of every informer asked for so far."""
        for informer in self.known():
            await informer.wait_synced()

    def health(self) -> tuple[Health, ...]:
        """Say of each informer whether it follows the server."""
        return tuple(informer.health() for informer in self.known())

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Run all informers until cancelled; ready as soon as they are started (see `wait_synced`)."""
        async with anyio.create_task_group() as tasks:
            self._tasks = tasks
            try:
                for informer in self.known():
                    self._start(tasks, informer)
                task_status.started()
                await anyio.Event().wait()
            finally:
                self._tasks = None

    def _cached(self, kind: type[O], selection: Selection) -> CachedKind[O]:
        key = (kind, selection)
        informer = self._informers.get(key)
        if informer is None:
            informer = self._informers[key] = CachedKind(kind, selection, self._client, self._clock)
            if self._tasks is not None:
                self._start(self._tasks, informer)
        return cast("CachedKind[O]", informer)

    @staticmethod
    def _start(tasks: TaskGroup, informer: CachedKind[Any]) -> None:
        tasks.start_soon(informer.run, name=f"informer {informer.kind.resource_info.plural}")
