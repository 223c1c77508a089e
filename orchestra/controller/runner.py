"""Runs one controller: the driver beside `workqueue.py`."""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import anyio
import anyio.lowlevel
import attrs

from orchestra._log import Logger, get_logger
from orchestra.api.object import Object
from orchestra.client.interface import Fence
from orchestra.controller.cache import controlling_owner
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
from orchestra.controller.workqueue import WorkQueue
from orchestra.errors import Conflict, OrchestraError

if TYPE_CHECKING:
    from anyio.abc import TaskStatus

O = TypeVar("O", bound=Object)  # noqa: E741 - the type of an object

REST_SECONDS = 10.0
"""How long a key rests at most until the caches have its own writes; then it is reconciled on what they have."""

DRAIN_SECONDS = 2.0
"""How long a reconcile that is under way may go on after the controller was told to stop."""

RESYNC_PRIORITY = -100
FAILING_HEALTH = 5
"""A key that failed so many times in a row is a problem worth reporting."""


@attrs.define
class Counters:
    """What a controller has done since it was started."""

    reconciles: int = 0
    errors: int = 0
    conflicts: int = 0
    stale: int = 0
    """Keys whose caches did not have the key's own writes in time."""


class ControllerRunner(Generic[O]):
    """A `Part` that keeps the queue of one controller and its workers."""

    def __init__(self, spec: Controller[O], informers: SharedInformers, *, fence: Fence | None = None) -> None:
        self.name = spec.name
        self.counters = Counters()
        self._spec = spec
        kinds = (spec.for_, *spec.owns, *spec.watches, *spec.reads)
        self._caches: dict[type[Object], CachedKind[Any]] = {kind: informers.cached(kind) for kind in kinds}
        self._listers = DeclaredListers(spec.name, {kind: cache.lister for kind, cache in self._caches.items()})
        self._queue: WorkQueue[Key] = WorkQueue(spec.backoff)
        self._signature = Signature.of(spec.component or f"{spec.name}-controller", fence)
        self._idle: deque[anyio.Event] = deque()
        self._alarm = anyio.Event()
        self._alarm_at: float | None = None
        self._resting: dict[Key, float] = {}
        self._busy: dict[Key, anyio.CancelScope] = {}
        self._broken: Exception | None = None
        self._last_error = ""
        self._log: Logger = get_logger("controller").bind(controller=spec.name)
        self._reconcile: ReconcileFunction[O] = getattr(spec.reconcile, "reconcile", None) or spec.reconcile  # type: ignore[assignment]
        reconciler: object = spec.reconcile
        self._deletable: Deletable | None = reconciler if isinstance(reconciler, Deletable) else None

    def health(self) -> Health:
        """Say whether any key keeps failing."""
        worst = self._queue.worst()
        if worst is None or worst[1] < FAILING_HEALTH:
            return Health(part=self.name)
        return Health(part=self.name, problem=f"{worst[0]} failed {worst[1]} times in a row: {self._last_error}")

    @property
    def idle(self) -> bool:
        """Whether no key is ready, taken or resting."""
        return not len(self._queue) and not self._queue.taken

    async def run(self, surroundings: Surroundings, *, task_status: TaskStatus[None]) -> None:
        """Work until cancelled; ready when the caches are and everything that exists is queued."""
        self._queue = WorkQueue(self._spec.backoff)
        self._idle.clear()
        self._resting.clear()
        self._broken = None
        self._clock = surroundings.clock
        subscriptions = await self._subscribe()
        events = surroundings.recorder.events(self._signature.write.field_manager)
        work = functools.partial(self._work, surroundings, events)
        try:
            async with anyio.create_task_group() as tasks:
                for number in range(self._spec.workers):
                    tasks.start_soon(work, name=f"{self.name} worker {number}")
                tasks.start_soon(self._keep_time, name=f"{self.name} timer")
                if self._spec.resync_seconds is not None:
                    tasks.start_soon(self._resync, self._spec.resync_seconds)
                task_status.started()
                await self._drain_when_cancelled()
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
        except Exception as error:  # noqa: BLE001 - raised again by the timer task, so that only this controller restarts
            self._broken = error
            self._ring()
        self._wake_workers()

    def _on_primary(self, change: Change[O]) -> None:
        obj = change.object
        spec = self._spec
        self._queue.add(key_of(obj), priority=0 if spec.priority is None else spec.priority(obj))

    def _on_owned(self, change: Change[Any]) -> None:
        for obj in (change.old, change.new):
            owner = None if obj is None else controlling_owner(obj)
            if obj is None or owner is None:
                continue
            info = self._spec.for_.resource_info
            if owner.kind == info.kind and owner.api_version.rpartition("/")[0] == info.group:
                self._queue.add(Key(obj.metadata.namespace if info.namespaced else "", owner.name))

    def _on_watched(self, keys: KeyFunction, change: Change[Any]) -> None:
        for obj in (change.old, change.new):
            if obj is not None:
                for namespace, name in keys(obj, self._listers):
                    self._queue.add(Key(namespace, name))

    def _wake_workers(self) -> None:
        for _ in range(min(len(self._queue), len(self._idle))):
            self._idle.popleft().set()

    async def _work(self, surroundings: Surroundings, events: Events) -> None:
        queue, clock = self._queue, self._clock
        lister = self._caches[self._spec.for_].lister
        while True:
            # Also the point where other tasks get their turn: a reconcile in process may never have to wait.
            await anyio.lowlevel.checkpoint()
            key = queue.take(clock.monotonic())
            if key is None:
                called = anyio.Event()
                self._idle.append(called)
                self._set_alarm()
                await called.wait()
                continue
            obj = lister.get(*key)
            client = TrackedClient(surroundings.client, self._signature)
            ctx = ReconcileContext(key, obj, client, self._listers, clock, events, self._log)
            await self._attempt(key, obj, ctx)
            self._rest(key, client)

    async def _attempt(self, key: Key, obj: O | None, ctx: ReconcileContext) -> None:
        self.counters.reconciles += 1
        result: Result | None = None
        try:
            with anyio.CancelScope(shield=True) as scope:
                self._busy[key] = scope
                if obj is not None:
                    result = await self._reconcile(obj, ctx)
                elif self._deletable is not None:
                    result = await self._deletable.deleted(key, ctx)
        except Exception as error:  # noqa: BLE001 - counted, logged, shown by `health`, and the key is tried again
            self._failed(key, error)
            return
        finally:
            del self._busy[key]
        self._queue.forget(key)
        if result is not None and result.requeue_after_seconds is not None:
            self._queue.add_at(key, self._clock.monotonic() + result.requeue_after_seconds)

    def _failed(self, key: Key, error: Exception) -> None:
        self._last_error = str(error) or type(error).__name__
        delay = self._queue.retry(key, self._clock.monotonic(), chance=self._clock.random)
        if type(error) is Conflict:  # the cache was behind: expected, and AlreadyExists is another matter
            self.counters.conflicts += 1
            self._log.debug("conflict", object=str(key), error=self._last_error)
            return
        self.counters.errors += 1
        # An error of the API says all there is to say; anything else is a bug in the reconciler.
        trace = {} if isinstance(error, OrchestraError) else {"exc_info": error}
        self._log.warning("reconcile failed", object=str(key), error=self._last_error, retry_seconds=delay, **trace)

    def _rest(self, key: Key, client: TrackedClient) -> None:
        """Give the key back once every cache that the reconcile wrote to has its writes."""
        behind = []
        for kind, revision in client.written.items():
            cache = self._caches.get(kind)
            if cache is not None and cache.revision < revision:
                behind.append((cache, revision))
        if not behind:
            self._release(key)
            return
        deadline = self._clock.monotonic() + REST_SECONDS
        self._resting[key] = deadline
        missing = len(behind)

        def one_caught_up() -> None:
            nonlocal missing
            missing -= 1
            if not missing and self._resting.get(key) == deadline:
                del self._resting[key]
                self._release(key)

        for cache, revision in behind:
            cache.at_revision(revision, one_caught_up)
        self._set_alarm()

    def _release(self, key: Key) -> None:
        self._queue.done(key)
        self._wake_workers()
        self._set_alarm()

    def _next_alarm(self) -> float | None:
        # Deadlines of resting keys are in the order in which they were made, since all rest equally long.
        first_rest = next(iter(self._resting.values()), None)
        due = self._queue.next_due()
        return first_rest if due is None else due if first_rest is None else min(due, first_rest)

    def _set_alarm(self) -> None:
        at = self._next_alarm()
        if at is not None and (self._alarm_at is None or at < self._alarm_at):
            self._ring()

    def _ring(self) -> None:
        self._alarm.set()

    async def _keep_time(self) -> None:
        while True:
            if self._broken is not None:
                raise self._broken
            self._alarm_at = at = self._next_alarm()
            now = self._clock.monotonic()
            if at is None or at > now:
                self._alarm = anyio.Event()
                with anyio.move_on_after(None if at is None else at - now):
                    await self._alarm.wait()
                continue
            for key in [key for key, deadline in self._resting.items() if deadline <= now]:
                del self._resting[key]
                self.counters.stale += 1
                self._log.warning("cache does not show own writes", object=str(key), waited_seconds=REST_SECONDS)
                self._queue.add(key)
                self._queue.done(key)
            self._queue.wake(now)
            self._wake_workers()

    async def _resync(self, every_seconds: float) -> None:
        while True:
            await anyio.sleep(every_seconds)
            for obj in self._caches[self._spec.for_].lister.list():
                self._queue.add(key_of(obj), priority=RESYNC_PRIORITY)
            self._wake_workers()

    async def _drain_when_cancelled(self) -> None:
        try:
            await anyio.Event().wait()
        finally:
            deadline = anyio.current_time() + DRAIN_SECONDS
            for scope in self._busy.values():
                scope.deadline = min(scope.deadline, deadline)
