"""Runs controllers and parts over shared informers: start, readiness, restart, health, stop."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

import anyio

from orchestra.api.object import Object
from orchestra.client.interface import Client, Fence
from orchestra.clock import Clock
from orchestra.controller.health import Health
from orchestra.controller.informer import SharedInformers
from orchestra.controller.interface import Controller, Informer, Part, Surroundings
from orchestra.controller.recorder import EventRecorder
from orchestra.controller.runner import ControllerRunner
from orchestra.controller.supervise import Supervisor
from orchestra.errors import ConfigurationError

if TYPE_CHECKING:
    from anyio.abc import TaskStatus

    from orchestra.controller.election import Election

O = TypeVar("O", bound=Object)  # noqa: E741 - the type of an object


class Manager:
    """A set of controllers in one task group.

    `informers` and `recorder` are those of the process, run by whoever made them; without them the manager makes and
    runs its own. With an `election` controllers and parts run only while this process leads, and their writes carry
    the fence of the term.
    """

    def __init__(
        self,
        client: Client,
        *,
        clock: Clock,
        controllers: Iterable[Controller[Any] | Part] = (),
        informers: SharedInformers | None = None,
        recorder: EventRecorder | None = None,
        election: Election | None = None,
    ) -> None:
        self.client = client
        self.clock = clock
        self.informers = informers or SharedInformers(client, clock=clock)
        self.recorder = recorder or EventRecorder(client, clock=clock)
        self.runners: dict[str, ControllerRunner[Any]] = {}
        """The controllers that are running, by name, with their counters."""
        self._own: list[Callable[..., Any]] = []
        if informers is None:
            self._own.append(self.informers.run)
        if recorder is None:
            self._own.append(self.recorder.run)
        self._controllers = tuple(controllers)
        self._election = election
        self._supervisors: list[Supervisor] = []
        names = [one.name for one in self._controllers]
        for name in names:
            if names.count(name) > 1:
                raise ConfigurationError(f"two controllers are called {name!r}")

    def informer(self, kind: type[O]) -> Informer[O]:
        """Return the shared informer of a kind."""
        return self.informers.informer(kind)

    def health(self) -> tuple[Health, ...]:
        """Say of every part how it is doing."""
        parts = [supervisor.health() for supervisor in self._supervisors]
        parts += [runner.health() for runner in self.runners.values()]
        return (*self.informers.health(), self.recorder.health(), *parts)

    @property
    def idle(self) -> bool:
        """Whether no controller has anything to do now; timers may be set."""
        return all(runner.idle for runner in self.runners.values())

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Run until cancelled; ready when every controller is, or with an election when this process is a candidate."""
        async with anyio.create_task_group() as background:
            for run in self._own:
                await background.start(run)
            # The controllers end first: their group is inside the one of what they need.
            if self._election is None:
                await self._run_parts(None, task_status=task_status)
            else:
                await self._election.run(self._run_parts, task_status=task_status)

    async def _run_parts(
        self, fence: Fence | None, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED
    ) -> None:
        surroundings = Surroundings(
            client=self.client, informers=self.informers, clock=self.clock, recorder=self.recorder, fence=fence
        )
        self.runners.clear()
        self._supervisors = [self._supervisor(one, surroundings) for one in self._controllers]
        async with anyio.create_task_group() as tasks:
            for supervisor in self._supervisors:
                tasks.start_soon(supervisor.run, name=supervisor.name)
            for supervisor in self._supervisors:
                await supervisor.wait_ready()
            task_status.started()
            await anyio.Event().wait()

    def _supervisor(self, one: Controller[Any] | Part, surroundings: Surroundings) -> Supervisor:
        part: Part
        if isinstance(one, Controller):
            part = self.runners[one.name] = ControllerRunner(one, self.informers, self.clock, fence=surroundings.fence)
        else:
            part = one
        return Supervisor(one.name, functools.partial(part.run, surroundings), self.clock)
