"""Runs one controller: changes in, reconciles out."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import anyio
import attrs

from orchestra._log import Logger, get_logger
from orchestra.api.object import Object
from orchestra.api.rules.owners import controller_of
from orchestra.client.interface import Fence
from orchestra.clock import Clock
from orchestra.controller.context import DeclaredListers, ReconcileContext
from orchestra.controller.health import Health
from orchestra.controller.informer import CachedKind, SharedInformers
from orchestra.controller.interface import (
    Change,
    Controller,
    Deletable,
    Events,
    Key,
    KeyFunction,
    Predicate,
    ReconcileFunction,
    Result,
    Surroundings,
    key_of,
)
from orchestra.controller.tracked_client import Signature, TrackedClient
from orchestra.controller.workers import Workers
from orchestra.errors import Conflict, OrchestraError

if TYPE_CHECKING:
    from anyio.abc import TaskStatus

O = TypeVar("O", bound=Object)  # noqa: E741 - the type of an object

REST_SECONDS = 10.0
"""How long a key rests at most until the caches have its own writes; then it is reconciled on what they have."""

RESYNC_PRIORITY = -100
FAILING_HEALTH = 5
"""A key that failed so many times in a row is a problem worth reporting."""


@attrs.define
class Counters:
    """What a controller has done since it was made."""

    reconciles: int = 0
    errors: int = 0
    conflicts: int = 0
    stale: int = 0
    """Keys whose caches did not have the key's own writes in time."""


class ControllerRunner(Generic[O]):
    """The `Part` that runs a `Controller`."""

    def __init__(
        self, spec: Controller[O], informers: SharedInformers, clock: Clock, *, fence: Fence | None = None
    ) -> None:
        self.name = spec.name
        self.counters = Counters()
        self._spec = spec
        self._clock = clock
        kinds = (spec.for_, *spec.owns, *spec.watches, *spec.reads)
        self._caches: dict[type[Object], CachedKind[Any]] = {kind: informers.cached(kind) for kind in kinds}
        self._listers = DeclaredListers(spec.name, {kind: cache.lister for kind, cache in self._caches.items()})
        self._workers: Workers[Key] = Workers(spec.name, spec.backoff, clock)
        self._signature = Signature.of(spec.component or f"{spec.name}-controller", fence)
        self._last_error = ""
        self._log: Logger = get_logger("controller").bind(controller=spec.name)
        self._reconcile: ReconcileFunction[O] = getattr(spec.reconcile, "reconcile", None) or spec.reconcile  # type: ignore[assignment]
        reconciler: object = spec.reconcile
        self._deletable: Deletable | None = reconciler if isinstance(reconciler, Deletable) else None

    def health(self) -> Health:
        """Say whether any key keeps failing."""
        worst = self._workers.queue.worst()
        if worst is None or worst[1] < FAILING_HEALTH:
            return Health(part=self.name)
        return Health(part=self.name, problem=f"{worst[0]} failed {worst[1]} times in a row: {self._last_error}")

    @property
    def idle(self) -> bool:
        """Whether no key is ready, being worked on or resting; timers may be set."""
        return not len(self._workers.queue) and not self._workers.queue.taken

    async def run(self, surroundings: Surroundings, *, task_status: TaskStatus[None]) -> None:
        """Work until cancelled; ready when the caches are and everything that exists is queued."""
        self._workers = Workers(self.name, self._spec.backoff, self._clock)
        subscriptions = await self._subscribe()
        events = surroundings.recorder.events(self._signature.write.field_manager)
        work = functools.partial(self._work, surroundings, events)
        try:
            async with anyio.create_task_group() as tasks:
                if self._spec.resync_seconds is not None:
                    tasks.start_soon(self._resync, self._spec.resync_seconds)
                await self._workers.run(
                    work, tasks=self._spec.workers, on_late=self._caches_are_late, task_status=task_status
                )
        finally:
            for unsubscribe in subscriptions:
                unsubscribe()

    async def _subscribe(self) -> list[Callable[[], None]]:
        spec = self._spec
        handlers: list[tuple[type[Object], Callable[[Change[Any]], None]]] = [(spec.for_, self._on_primary)]
        handlers += [(kind, self._on_owned) for kind in spec.owns]
        handlers += [(kind, functools.partial(self._on_watched, keys)) for kind, keys in spec.watches.items()]
        for index in spec.indexes:
            self._caches[index.kind].add_index(index)
        for cache in self._caches.values():
            await cache.wait_synced()
        subscriptions = []
        for kind, on_change in handlers:
            on_batch = functools.partial(self._on_batch, on_change, spec.predicates.get(kind))
            subscriptions.append(self._caches[kind].subscribe(on_batch))
        return subscriptions

    def _on_batch(
        self, on_change: Callable[[Change[Any]], None], predicate: Predicate | None, changes: tuple[Change[Any], ...]
    ) -> None:
        try:
            for change in changes:
                if predicate is None or predicate(change):
                    on_change(change)
        except Exception as error:  # noqa: BLE001 - ends `run`, so that only this controller restarts
            self._workers.fail(error)
        self._workers.wake()

    def _on_primary(self, change: Change[O]) -> None:
        obj = change.object
        spec = self._spec
        self._workers.queue.add(key_of(obj), priority=0 if spec.priority is None else spec.priority(obj))

    def _on_owned(self, change: Change[Any]) -> None:
        info = self._spec.for_.resource_info
        for obj in (change.old, change.new):
            owner = None if obj is None else controller_of(obj)
            if obj is None or owner is None:
                continue
            if owner.kind == info.kind and owner.api_version.rpartition("/")[0] == info.group:
                self._workers.queue.add(Key(obj.metadata.namespace if info.namespaced else "", owner.name))

    def _on_watched(self, keys: KeyFunction, change: Change[Any]) -> None:
        for obj in (change.old, change.new):
            if obj is not None:
                for namespace, name in keys(obj, self._listers):
                    self._workers.queue.add(Key(namespace, name))

    async def _work(self, surroundings: Surroundings, events: Events, key: Key) -> None:
        self.counters.reconciles += 1
        queue = self._workers.queue
        began = self._clock.monotonic()
        obj = self._caches[self._spec.for_].lister.get(*key)
        client = TrackedClient(surroundings.client, self._signature)
        ctx = ReconcileContext(key, obj, client, self._listers, self._clock, events, self._log)
        result: Result | None = None
        try:
            if obj is not None:
                result = await self._reconcile(obj, ctx)
            elif self._deletable is not None:
                result = await self._deletable.deleted(key, ctx)
        except Exception as error:  # noqa: BLE001 - counted, logged, shown by `health`, and the key is tried again
            self._failed(key, error)
        else:
            queue.forget(key)
            if result is not None and result.requeue_after_seconds is not None:
                queue.add_at(key, self._clock.monotonic() + result.requeue_after_seconds)
        self._rest(key, client)
        if obj is not None and self._spec.pace is not None:
            until = began + self._spec.pace(obj)
            if until > self._clock.monotonic():
                self._workers.pause(key, until)

    def _failed(self, key: Key, error: Exception) -> None:
        self._last_error = str(error) or type(error).__name__
        delay = self._workers.queue.retry(key, self._clock.monotonic(), chance=self._clock.random)
        if type(error) is Conflict:  # the cache was behind: expected, and AlreadyExists is another matter
            self.counters.conflicts += 1
            self._log.debug("conflict", object=str(key), error=self._last_error)
            return
        self.counters.errors += 1
        # An error of the API says all there is to say; anything else is a bug in the reconciler.
        trace = {} if isinstance(error, OrchestraError) else {"exc_info": error}
        self._log.warning("reconcile failed", object=str(key), error=self._last_error, retry_seconds=delay, **trace)

    def _rest(self, key: Key, client: TrackedClient) -> None:
        """Let the key rest until every cache that the reconcile wrote to has its writes."""
        behind = []
        for kind, revision in client.written.items():
            cache = self._caches.get(kind)
            if cache is not None and cache.revision < revision:
                behind.append((cache, revision))
        if not behind:
            return
        until = self._clock.monotonic() + REST_SECONDS
        self._workers.hold(key, until)
        missing = len(behind)

        def one_caught_up() -> None:
            nonlocal missing
            missing -= 1
            if not missing:
                self._workers.let_go(key, until)

        for cache, revision in behind:
            cache.at_revision(revision, one_caught_up)

    def _caches_are_late(self, key: Key) -> None:
        self.counters.stale += 1
        self._log.warning("cache does not show own writes", object=str(key), waited_seconds=REST_SECONDS)

    async def _resync(self, every_seconds: float) -> None:
        while True:
            await anyio.sleep(every_seconds)
            for obj in self._caches[self._spec.for_].lister.list():
                self._workers.queue.add(key_of(obj), priority=RESYNC_PRIORITY)
            self._workers.wake()
