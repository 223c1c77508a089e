"""Tasks that work off a queue: the driver beside `workqueue.py`."""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Awaitable, Callable, Hashable
from typing import TYPE_CHECKING, Generic, TypeVar

import anyio
import anyio.lowlevel

from orchestra.backoff import Backoff
from orchestra.clock import Clock
from orchestra.controller.workqueue import WorkQueue

if TYPE_CHECKING:
    from anyio.abc import TaskStatus

K = TypeVar("K", bound=Hashable)

DRAIN_SECONDS = 2.0
"""How long work that is under way may go on after its task was cancelled."""


class Workers(Generic[K]):
    """A queue, the tasks that take keys from it, and one that watches the clock for all of them.

    Whoever changes `queue` from outside a piece of work calls `wake` afterwards.
    """

    def __init__(self, name: str, backoff: Backoff, clock: Clock) -> None:
        self.name = name
        self.queue: WorkQueue[K] = WorkQueue(backoff)
        self._clock = clock
        self._idle: deque[anyio.Event] = deque()
        self._alarm = anyio.Event()
        self._alarm_at: float | None = None
        self._held: dict[K, float] = {}
        self._paused: dict[K, float] = {}
        self._on_late: Callable[[K], None] = lambda _: None
        self._busy: dict[K, anyio.CancelScope] = {}
        self._broken: Exception | None = None

    def wake(self) -> None:
        """Give the keys that are ready to the tasks that are idle, and see to the clock."""
        for _ in range(min(len(self.queue), len(self._idle))):
            self._idle.popleft().set()
        at = self._next_alarm()
        if at is not None and (self._alarm_at is None or at < self._alarm_at):
            self._alarm.set()

    def fail(self, error: Exception) -> None:
        """End `run` with `error`."""
        self._broken = error
        self._alarm.set()

    def hold(self, key: K, until: float) -> None:
        """Keep a key that is being worked on as taken after the work; it counts as late at `until`.

        All keys are held equally long: the first that is held is the first to be late.
        """
        self._held[key] = until

    def let_go(self, key: K, until: float) -> None:
        """Give a held key back; nothing when that hold has ended already."""
        if self._held.get(key) == until:
            del self._held[key]
            self._end(key)
            self.wake()

    def pause(self, key: K, until: float) -> None:
        """Keep a key that is being worked on as taken until then, however much asks for it meanwhile."""
        self._paused[key] = until

    def _end(self, key: K) -> None:
        """Give a key back to the queue unless something keeps it."""
        if key not in self._held and key not in self._paused:
            self.queue.done(key)

    async def run(
        self,
        work: Callable[[K], Awaitable[None]],
        *,
        tasks: int,
        on_late: Callable[[K], None] | None = None,
        task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED,
    ) -> None:
        """Call `work` for each key until cancelled, in so many tasks; it must not raise.

        `on_late` is told of keys that were held too long; they become ready again.
        """
        self._on_late = on_late or self._on_late
        try:
            async with anyio.create_task_group() as group:
                for number in range(tasks):
                    group.start_soon(functools.partial(self._work, work), name=f"{self.name} worker {number}")
                group.start_soon(self._keep_time, name=f"{self.name} timer")
                task_status.started()
                await self._until_cancelled()
        finally:
            self._idle.clear()

    async def _work(self, work: Callable[[K], Awaitable[None]]) -> None:
        queue, clock = self.queue, self._clock
        while True:
            # Also the point where other tasks get their turn: work in one process may never have to wait.
            await anyio.lowlevel.checkpoint()
            key = queue.take(clock.monotonic())
            if key is None:
                called = anyio.Event()
                self._idle.append(called)
                await called.wait()
                continue
            with anyio.CancelScope(shield=True) as scope:
                self._busy[key] = scope
                try:
                    await work(key)
                finally:
                    del self._busy[key]
            self._end(key)
            self.wake()

    def _next_alarm(self) -> float | None:
        late = next(iter(self._held.values()), None)
        times = (late, self.queue.next_due(), min(self._paused.values(), default=None))
        return min((time for time in times if time is not None), default=None)

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
            for key in [key for key, until in self._held.items() if until <= now]:
                del self._held[key]
                self._on_late(key)
                self.queue.add(key)
                self._end(key)
            for key in [key for key, until in self._paused.items() if until <= now]:
                del self._paused[key]
                self._end(key)
            self.queue.wake(now)
            self.wake()

    async def _until_cancelled(self) -> None:
        try:
            await anyio.Event().wait()
        finally:
            deadline = anyio.current_time() + DRAIN_SECONDS
            for scope in self._busy.values():
                scope.deadline = min(scope.deadline, deadline)
