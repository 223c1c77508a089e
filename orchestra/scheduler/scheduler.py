"""The driver: feeds the queue from informers, runs cycles, binds, and reports.

Deciding never waits: a batch of Pods is taken from the queue and placed one after another on the table, where each is
assumed at once. Binding waits: a fixed number of workers does it, behind a bounded buffer, so that deciding goes on
meanwhile but never runs far ahead. A Pod that was assumed and could not be bound is forgotten again; when the answer of
the server leaves open whether it was bound, the server is asked before anything else happens to the Pod.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

import anyio
import attrs

from orchestra._log import get_logger
from orchestra.backoff import Backoff
from orchestra.errors import ConfigurationError
from orchestra.scheduler.binding import Binder, Buffer, Placement
from orchestra.scheduler.cycle import Cycle, Failed, Placed, Unplaced
from orchestra.scheduler.feed import Feed
from orchestra.scheduler.interface import MAX_PERMIT_WAIT_SECONDS, CycleState, Verdict
from orchestra.scheduler.nodetable import NodeTable
from orchestra.scheduler.preempting import Preemptor
from orchestra.scheduler.profile import Profile
from orchestra.scheduler.queue import FLUSH_SECONDS, POD_BACKOFF, QueuedPod, SchedulingQueue
from orchestra.scheduler.reporting import Reporter

if TYPE_CHECKING:
    from anyio.abc import TaskStatus

    from orchestra.client.interface import Client
    from orchestra.clock import Clock
    from orchestra.controller.interface import Recorder, Surroundings

BATCH: Final = 64
"""Pods that are placed before other tasks of the process get their turn."""
BINDERS: Final = 64
"""Bindings that are under way at the same time."""
BUFFER: Final = 256
"""Placed Pods that wait for a binder; deciding pauses when there are more."""

_log = get_logger("scheduler")


@attrs.frozen(eq=False)
class _Permitted:
    """A placed Pod that a Permit plugin keeps waiting, and until when at most."""

    placement: Placement
    deadline: float


class Scheduler:
    """Places Pods of one or several profiles. The constructor only configures; `run` does the work."""

    name = "scheduler"

    def __init__(
        self,
        profiles: Iterable[Profile] = (),
        *,
        backoff: Backoff = POD_BACKOFF,
        flush_seconds: float = FLUSH_SECONDS,
        binders: int = BINDERS,
    ) -> None:
        """Take the profiles, the default one when there are none.

        `backoff` is how long a Pod rests between attempts, `flush_seconds` how long a refused Pod waits at most
        although no event helped it. Raises ConfigurationError for profiles with one name.
        """
        chosen = tuple(profiles) or (Profile(),)
        self.profiles = {profile.name: profile for profile in chosen}
        if len(self.profiles) < len(chosen):
            raise ConfigurationError("profiles of one scheduler must have different names")
        self._backoff = backoff
        self._flush_seconds = flush_seconds
        self._binders = binders

    async def run(
        self, surroundings: Surroundings, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED
    ) -> None:
        """Place Pods until cancelled; ready when the caches are and the first Pods can be placed."""
        queue = SchedulingQueue(self.profiles, backoff=self._backoff, flush_seconds=self._flush_seconds)
        run = _Run(self.profiles, queue, surroundings.client, surroundings.clock, surroundings.recorder)
        unsubscribe = []
        try:
            for kind, handler in run.feed.handlers():
                unsubscribe.append(surroundings.informers.informer(kind).subscribe(handler))
            await surroundings.informers.wait_synced()
            async with anyio.create_task_group() as tasks:
                for _ in range(self._binders):
                    tasks.start_soon(run.bind_forever)
                tasks.start_soon(run.report_forever)
                tasks.start_soon(run.preempt_forever)
                task_status.started()
                await run.place_forever()
        finally:
            for end in unsubscribe:
                end()


class _Run:
    """One run: its table, its queue, and the tasks that work on them."""

    def __init__(
        self,
        profiles: dict[str, Profile],
        queue: SchedulingQueue,
        client: Client,
        clock: Clock,
        recorder: Recorder,
    ) -> None:
        self.table = NodeTable()
        self.queue = queue
        self.feed = Feed(self.table, queue, profiles, clock.monotonic, self._wake_up)
        self._clock = clock
        self._cycles = {name: Cycle(profile, self.table, clock.random) for name, profile in profiles.items()}
        self._reporter = Reporter(client, clock, recorder)
        self._binder = Binder(client, clock, self.table, queue, self._reporter, self._wake_up)
        self._preemptor = Preemptor(client, clock, self.table, self._reporter)
        self._to_bind = Buffer(BUFFER)
        self._awake = anyio.Event()
        self._permitted: dict[str, _Permitted] = {}

    def _wake_up(self) -> None:
        self._awake.set()

    async def place_forever(self) -> None:
        """Take Pods from the queue and place them; sleep until something happens when there are none."""
        while True:
            self._awake = anyio.Event()
            now = self._clock.monotonic()
            self.queue.flush(now)
            await self._ask_permission(now)
            batch = self.queue.pop(BATCH)
            for pod in batch:
                placement = self._place(pod)
                if placement is not None:
                    self._to_bind.put(placement)
            await self._to_bind.room()
            if batch:
                await anyio.lowlevel.checkpoint()
            else:
                await self._sleep()

    async def _sleep(self) -> None:
        times = [
            at for at in (self.queue.next_time(), *(p.deadline for p in self._permitted.values())) if at is not None
        ]
        wait = max(0.0, min(times) - self._clock.monotonic()) if times else None
        with anyio.move_on_after(wait):
            await self._awake.wait()

    def _place(self, pod: QueuedPod) -> Placement | None:
        """Run one cycle; returns the placement to bind, if there is one and nobody objects."""
        now = self._clock.monotonic()
        outcome = self._cycles[pod.profile.name].schedule(pod.info)
        match outcome:
            case Placed(node=node):
                return self._reserve(Placement(pod, node, CycleState()), now)
            case Unplaced(diagnosis=diagnosis, post_filter=found):
                self.queue.refuse(pod, diagnosis.plugins, now)
                if not found.keep:
                    self._preemptor.begin(pod, found)
                self._reporter.refused(pod, diagnosis.message, nominated=None if found.keep else found.node)
            case Failed(error=error):
                _log.error("plugin failed", pod=pod.info.key, plugin=error.plugin, error=str(error))
                self.queue.retry(pod, now)
                self._reporter.failed(pod, str(error))
        return None

    def _reserve(self, placement: Placement, now: float) -> Placement | None:
        pod = placement.pod
        for plugin in pod.profile.reserves:
            status = plugin.reserve(placement.state, pod.info, placement.node)
            if status is not None and not status.success:
                self._binder.undo(placement)
                self.queue.refuse(pod, (plugin.name,), now)
                self._reporter.refused(pod, ", ".join(status.reasons))
                return None
        return self._permit(_Permitted(placement, now + MAX_PERMIT_WAIT_SECONDS), now)

    def _permit(self, waiting: _Permitted, now: float) -> Placement | None:
        """Ask the Permit plugins; one that says WAIT is asked again whenever something happens, until its bound."""
        placement = waiting.placement
        pod = placement.pod
        self._permitted.pop(pod.info.uid, None)
        for plugin in pod.profile.permits:
            status = plugin.permit(placement.state, pod.info, placement.node)
            if status is None or status.success:
                continue
            deadline = min(waiting.deadline, now + status.wait_seconds) if status.wait_seconds else waiting.deadline
            if status.verdict is Verdict.WAIT and now < deadline:
                kept = waiting if placement.asked else _Permitted(attrs.evolve(placement, asked=True), deadline)
                if now < kept.deadline:
                    self._permitted[pod.info.uid] = kept
                    return None
            self._binder.undo(placement)
            self.queue.refuse(pod, (plugin.name,), now)
            self._reporter.refused(pod, ", ".join(status.reasons) or f"{plugin.name} did not permit the Pod in time")
            return None
        return placement

    async def _ask_permission(self, now: float) -> None:
        for waiting in list(self._permitted.values()):
            placement = self._permit(waiting, now)
            if placement is not None:
                self._to_bind.put(placement)
                await self._to_bind.room()

    async def bind_forever(self) -> None:
        """Bind what was placed, one after another; several of these run side by side."""
        while True:
            await self._binder.bind(await self._to_bind.take())

    async def preempt_forever(self) -> None:
        """Evict the Pods that have to go for more important ones."""
        await self._preemptor.run()

    async def report_forever(self) -> None:
        """Write the conditions of Pods that were refused."""
        await self._reporter.run()
