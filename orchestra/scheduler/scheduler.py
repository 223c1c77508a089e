"""The driver: feeds the queue from informers, runs cycles, binds, and reports.

Deciding never waits: a batch of Pods is taken from the queue and placed one after another on the table, where each is
assumed at once. Binding waits: a fixed number of workers does it, behind a bounded buffer, so that deciding goes on
meanwhile but never runs far ahead. Where plugins of a profile take part in binding, its Pods are bound in tasks of
their own, so that a plugin that hangs holds up nobody else.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

import anyio

from orchestra._log import get_logger
from orchestra.backoff import Backoff
from orchestra.errors import ConfigurationError
from orchestra.scheduler.binding import PLUGIN_SECONDS, Binder
from orchestra.scheduler.buffer import Buffer
from orchestra.scheduler.cycle import Cycle
from orchestra.scheduler.feed import Feed
from orchestra.scheduler.interface import QueueSortPlugin
from orchestra.scheduler.nodetable import NodeTable
from orchestra.scheduler.permitting import PlacedUnit, WaitingPod
from orchestra.scheduler.placing import Helpers, Placer
from orchestra.scheduler.plugins.preemption import DefaultPreemption
from orchestra.scheduler.preempting import Preemptor
from orchestra.scheduler.profile import Profile
from orchestra.scheduler.queue import FLUSH_SECONDS, PATIENCE_SECONDS, POD_BACKOFF, SchedulingQueue
from orchestra.scheduler.recording import DiagnosisRecorder
from orchestra.scheduler.reporting import Reporter
from orchestra.scheduler.watchdog import Watchdog

if TYPE_CHECKING:
    from anyio.abc import TaskGroup, TaskStatus

    from orchestra.controller.interface import Surroundings
    from orchestra.scheduler.configuration import Configuration

BATCH: Final = 64
"""Pods that are placed before other tasks of the process get their turn."""
BINDERS: Final = 64
"""Bindings that are under way at the same time."""
BUFFER: Final = 256
"""Placed Pods that wait for a binder; deciding pauses when there are more."""
MAX_SLOW: Final = 256
"""Units of one profile whose plugins are being asked to bind them; further ones are tried again after their backoff."""

_log = get_logger("scheduler")


class Scheduler:
    """Places Pods of one or several profiles. The constructor only configures; `run` does the work."""

    name = "scheduler"

    def __init__(
        self,
        profiles: Iterable[Profile] = (),
        *,
        backoff: Backoff = POD_BACKOFF,
        flush_seconds: float = FLUSH_SECONDS,
        patience_seconds: float = PATIENCE_SECONDS,
        plugin_seconds: float = PLUGIN_SECONDS,
        binders: int = BINDERS,
    ) -> None:
        """Take the profiles, the default one when there are none.

        `backoff` is how long a Pod rests between attempts, `flush_seconds` how long a refused Pod waits at most
        although no event helped it, `patience_seconds` how long a Pod can be passed over by more important ones before
        it has a turn, `plugin_seconds` how long PreBind and Bind of a plugin may take. Raises ConfigurationError for
        profiles with one name, and for profiles that sort their Pods in different ways, as all wait in one queue.
        """
        chosen = tuple(profiles) or (Profile(),)
        self.profiles = {profile.name: profile for profile in chosen}
        if len(self.profiles) < len(chosen):
            raise ConfigurationError("profiles of one scheduler must have different names")
        sorters = {profile.name: tuple(type(p) for p in profile.having(QueueSortPlugin)) for profile in chosen}
        if len(set(sorters.values())) > 1:
            raise ConfigurationError(f"profiles of one scheduler must have the same QueueSort: {', '.join(sorters)}")
        self._backoff = backoff
        self._flush_seconds = flush_seconds
        self._patience_seconds = patience_seconds
        self._plugin_seconds = plugin_seconds
        self._binders = binders
        self._run: _Run | None = None

    @classmethod
    def configured(cls, configuration: Configuration) -> Scheduler:
        """Return a scheduler with what a document says (`load_configuration`)."""
        if configuration.ignored:
            _log.warning("settings without meaning here", settings=configuration.ignored)
        return cls(configuration.profiles, backoff=configuration.backoff)

    async def run(
        self, surroundings: Surroundings, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED
    ) -> None:
        """Place Pods until cancelled; ready when the caches are and the first Pods can be placed."""
        table = NodeTable()
        queue = SchedulingQueue(
            self.profiles,
            table,
            backoff=self._backoff,
            flush_seconds=self._flush_seconds,
            patience_seconds=self._patience_seconds,
        )
        unsubscribe = []
        try:
            async with anyio.create_task_group() as tasks:
                run = self._run = _Run(self.profiles, table, queue, surroundings, tasks, self._plugin_seconds)
                for kind, handler in run.feed.handlers():
                    unsubscribe.append(surroundings.informers.informer(kind).subscribe(handler))
                await surroundings.informers.wait_synced()
                for worker in range(self._binders):
                    tasks.start_soon(run.bind_forever, worker)
                tasks.start_soon(run.watchdog.run)
                tasks.start_soon(run.reporter.run)
                tasks.start_soon(run.records.run)
                tasks.start_soon(run.preemptor.run)
                task_status.started()
                await run.place_forever()
        finally:
            self._run = None
            for end in unsubscribe:
                end()

    # -- Pods that wait for permission

    def waiting_pods(self) -> tuple[WaitingPod, ...]:
        """Return the placed Pods that Permit plugins keep waiting; none when the scheduler does not run."""
        return () if self._run is None else self._run.placer.permits.waiting()

    def approve(self, uid: str, plugin: str = "") -> bool:
        """Let a waiting Pod go as far as `plugin` is concerned, or all plugins; says whether it waited for that."""
        run = self._run
        found = run is not None and run.placer.permits.approve(uid, plugin)
        if found and run is not None:
            run.wake_up()
        return found

    def deny(self, uid: str, plugin: str, message: str = "denied") -> bool:
        """Take a waiting Pod's room back on behalf of `plugin`; says whether it waited.

        The Pod's condition says `message`, and it is tried again after an event that the plugin asked for.
        """
        run = self._run
        return run is not None and run.deny(uid, plugin, message)


class _Run:
    """One run: its table, its queue, and the tasks that work on them."""

    def __init__(
        self,
        profiles: dict[str, Profile],
        table: NodeTable,
        queue: SchedulingQueue,
        surroundings: Surroundings,
        tasks: TaskGroup,
        plugin_seconds: float,
    ) -> None:
        client, clock = surroundings.client, surroundings.clock
        self.queue = queue
        self.feed = Feed(table, queue, profiles, clock.monotonic, self.wake_up)
        self._clock = clock
        self._table = table
        self._tasks = tasks
        self.records = DiagnosisRecorder(client, clock, table, queue)
        self.reporter = Reporter(client, clock, surroundings.recorder, self.records)
        self.preemptor = Preemptor(client, clock, table, self.reporter, self)
        self._binder = Binder(
            client, clock, table, queue, self.reporter, wake=self.wake_up, plugin_seconds=plugin_seconds
        )
        witness = self.records.witness
        cycles = {name: Cycle(each, table, clock.random, witness=witness) for name, each in profiles.items()}
        self.placer = Placer(queue, cycles, Helpers(self.reporter, self._binder, self.preemptor))
        self._to_bind = Buffer(BUFFER)
        self.watchdog = Watchdog(plugin_seconds, clock.monotonic)
        self._slow = dict.fromkeys(profiles, 0)
        self._awake = anyio.Event()

    def wake_up(self) -> None:
        """There may be something to do."""
        self._awake.set()

    def deny(self, uid: str, plugin: str, message: str) -> bool:
        """Take a waiting Pod's room back."""
        return self.placer.deny(uid, plugin, message, self._clock.monotonic())

    def reject(self, uid: str) -> bool:
        """Take the room of a waiting Pod back for a more important one."""
        return self.deny(uid, DefaultPreemption.name, "preempted")

    def spare(self, uid: str) -> None:
        """Nobody waits any more for a Pod to go."""
        preemptor = self._table.victims.discard(uid)
        if preemptor:
            self.queue.activate(preemptor, self._clock.monotonic(), rested=True)
            self.wake_up()

    async def place_forever(self) -> None:
        """Take Pods from the queue and place them; sleep until something happens when there are none."""
        while True:
            self._awake = anyio.Event()
            now = self._clock.monotonic()
            self.queue.flush(now)
            for placed in self.placer.ask_again(now):
                self._bind(placed)
            self.records.begin_batch(now)
            batch = self.queue.pop(BATCH, now)
            for placed in self.placer.place_all(batch, now):
                self._bind(placed)
            self.placer.report_faults(now)
            await self._to_bind.room()
            if batch:
                await anyio.lowlevel.checkpoint()
            else:
                await self._sleep()

    async def _sleep(self) -> None:
        times = [at for at in (self.queue.next_time(), self.placer.permits.next_time()) if at is not None]
        wait = max(0.0, min(times) - self._clock.monotonic()) if times else None
        with anyio.move_on_after(wait):
            await self._awake.wait()

    def _bind(self, unit: PlacedUnit) -> None:
        profile = unit.placements[0].pod.profile
        if profile.binds_plainly:
            self._to_bind.put(unit)
        elif self._slow[profile.name] < MAX_SLOW:
            self._slow[profile.name] += 1
            self._tasks.start_soon(self._bind_slowly, unit, profile.name)
        else:
            self._binder.put_off(unit, f"{MAX_SLOW} Pods of the profile are being bound")

    async def _bind_slowly(self, unit: PlacedUnit, profile: str) -> None:
        try:
            await self._binder.bind(unit)
        finally:
            self._slow[profile] -= 1

    async def bind_forever(self, worker: int) -> None:
        """Bind what was placed, one after another; several of these run side by side."""
        while True:
            unit: PlacedUnit | None = None
            with anyio.CancelScope() as scope:
                watch = self.watchdog.watch(worker, scope)
                while True:
                    unit = await self._to_bind.take()
                    await self._binder.bind(unit, watch)
            if unit is not None:
                await self._binder.overdue(unit)
