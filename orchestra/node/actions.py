"""The heart of a node: (Pod, what runs, time) -> what to do next.

One pure function decides for every worker, so the rules of a Pod's life are in one place: sandboxes before
containers, init containers one after the other, restartable init containers (sidecars) before and beside the main
ones, restarts by policy with growing delays, and the end in reverse order. Sources: Kubernetes documentation, "Pod
Lifecycle", "Init Containers" and "Sidecar Containers".
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import attrs

from orchestra.api.core import Pod
from orchestra.node.model import ContainerMemory, ContainerState, ObservedContainer, ObservedPod, PodMemory

if TYPE_CHECKING:
    from orchestra.api.core import Container

INITIAL_BACKOFF_SECONDS = 10.0
MAX_BACKOFF_SECONDS = 300.0
STABLE_SECONDS = 2 * MAX_BACKOFF_SECONDS
"""A container that fails so long after its last delay began starts again with the first delay."""

FIRST_RETRY_SECONDS = 0.5
LAST_RETRY_SECONDS = 10.0
"""Pauses between tries to create a container that lacks something: doubled from the first to the last."""

NOTICE_SECONDS = 1.0
"""How long a status shows what went wrong (the exit, the failed pull) before it shows the waiting that follows."""


@attrs.frozen(kw_only=True)
class Kill:
    """End one run of a container: `grace_seconds` None means the Pod's own grace period.

    `restart`: it did not do well, and its policy says whether it runs again; `replace`: it does so in any case.
    """

    container_id: str
    name: str
    message: str
    grace_seconds: int | None = None
    restart: bool = False
    replace: bool = False


@attrs.frozen(kw_only=True)
class Start:
    """Create and start a container as run number `attempt`."""

    name: str
    attempt: int
    init: bool = False
    remove: str = ""
    """A run that was created but never started, to be removed first."""
    counts: bool = True
    """Whether this is one more restart in a row, so that the next one waits longer."""


@attrs.frozen(kw_only=True)
class Actions:
    """What to do now, in this order: kill, create the sandbox, start; then look again no later than `wake_at`.

    `finish`: everything is over for good; stop the sandbox and report the end. `expired`: the Pod has been active for
    longer than `spec.activeDeadlineSeconds`. `backing_off` maps containers whose restart is delayed to the delay in
    seconds; `pulling_later` are those whose image could not be had and will be asked for again.
    """

    kill: tuple[Kill, ...] = ()
    create_sandbox: bool = False
    sandbox_attempt: int = 0
    start: tuple[Start, ...] = ()
    wake_at: datetime | None = None
    finish: bool = False
    expired: bool = False
    backing_off: Mapping[str, float] = attrs.field(factory=dict)
    pulling_later: tuple[str, ...] = ()


def next_actions(pod: Pod, observed: ObservedPod, memory: PodMemory, now: datetime) -> Actions:
    """Decide what the worker of a Pod that is not being deleted does next."""
    if memory.finished:
        return Actions()
    ends = _deadline(pod, memory)
    if ends is not None and now >= ends:
        return Actions(expired=True)
    if observed.sandbox is None:
        return _without_sandbox(pod, observed, ends)
    decision = _Decision(pod, observed, memory, now)
    if ends is not None:
        decision.wake(ends)
    decision.decide()
    return decision.actions()


def is_sidecar(container: Container) -> bool:
    """Whether an init container is restartable, that is, runs beside the main ones."""
    return container.restart_policy == "Always"


def restarts_after(pod: Pod, container: Container, exit_code: int) -> bool:
    """Whether a container that ended with this exit code is started again.

    Its own rules come first, then its own policy, then the Pod's (v1.Container, restartPolicyRules).
    """
    for rule in container.restart_policy_rules:
        codes = rule.exit_codes
        if codes is not None and (exit_code in codes.values) is (codes.operator == "In"):
            return True
    policy = container.restart_policy or pod.spec.restart_policy or "Always"
    return policy == "Always" or (policy == "OnFailure" and exit_code != 0)


def restarts(pod: Pod, container: Container, run: ObservedContainer) -> bool:
    """Whether a container whose newest run is over is started again."""
    return restarts_after(pod, container, run.exit_code)


def will_run_again(pod: Pod, container: Container, observed: ObservedPod, memory: PodMemory, now: datetime) -> bool:
    """Whether the end of the newest run of a container is not the container's end.

    Its policy says so, or the agent has ended it to start the next run at once; a delay that is due takes the chance.
    """
    run = observed.latest(container.name)
    if run is None or restarts(pod, container, run):
        return True
    own = memory.of(container.name)
    if not own.replaced or own.ended_run != run.id:
        return False
    return next_start(observed, own, run) <= now


def next_start(observed: ObservedPod, memory: ContainerMemory, run: ObservedContainer) -> datetime:
    """Return from when on the run after `run` may start.

    The end of a run that the agent ended itself is no failure: the delay counts from the failure before it.
    """
    failed: ObservedContainer | None = run
    if memory.ended_run == run.id:
        failed = next(iter(observed.runs(run.name)[1:]), None)
    ended = (failed or run).finished_at or run.created_at
    return ended + timedelta(seconds=0.0 if failed is None else restart_delay(memory, failed))


def restart_delay(memory: ContainerMemory, run: ObservedContainer) -> float:
    """Return the seconds between the end of `run` and the next start; the first restart is immediate."""
    since = memory.backoff_since
    if since is None or (run.finished_at or run.created_at) - since > timedelta(seconds=STABLE_SECONDS):
        return 0.0
    return memory.backoff_seconds


def note_restart(memory: ContainerMemory, now: datetime) -> None:
    """Let the next failure of a container wait longer: called when a run follows another one."""
    since = memory.backoff_since
    if since is None or now - since > timedelta(seconds=STABLE_SECONDS):
        memory.backoff_seconds = INITIAL_BACKOFF_SECONDS
    else:
        memory.backoff_seconds = min(memory.backoff_seconds * 2, MAX_BACKOFF_SECONDS)
    memory.backoff_since = now


def note_failed_pull(memory: ContainerMemory, image: str, now: datetime) -> None:
    """Let the next pull wait longer: 10 seconds, then twice as long each time, up to 5 minutes."""
    longer = memory.hold_seconds * 2 if memory.hold_image == image else 0.0
    memory.hold_seconds = min(max(longer, INITIAL_BACKOFF_SECONDS), MAX_BACKOFF_SECONDS)
    memory.hold_since, memory.hold_image = now, image


def note_failed_creation(memory: ContainerMemory, image: str, now: datetime) -> None:
    """Let the next try wait: what was missing may appear any moment, so the pauses stay short."""
    memory.hold_seconds = min(max(memory.hold_seconds * 2, FIRST_RETRY_SECONDS), LAST_RETRY_SECONDS)
    memory.hold_since, memory.hold_image = now, image


def _deadline(pod: Pod, memory: PodMemory) -> datetime | None:
    seconds = pod.spec.active_deadline_seconds
    if seconds is None or memory.start_time is None:
        return None
    return memory.start_time + timedelta(seconds=seconds)


def _without_sandbox(pod: Pod, observed: ObservedPod, deadline: datetime | None) -> Actions:
    """A Pod needs a sandbox, first or again, unless nothing in it would run any more."""
    attempt = observed.sandboxes[0].attempt + 1 if observed.sandboxes else 0
    kills = tuple(Kill(container_id=c.id, name=c.name, message="") for c in observed.running)
    if kills:
        return Actions(kill=kills, wake_at=deadline)
    if attempt and not _anything_left(pod, observed):
        return Actions(finish=True)
    return Actions(create_sandbox=True, sandbox_attempt=attempt, wake_at=deadline)


def _anything_left(pod: Pod, observed: ObservedPod) -> bool:
    """Whether any main container has not come to its end; a Pod with restartPolicy Never ends with its sandbox."""
    runs = [(c, observed.latest(c.name)) for c in pod.spec.containers]
    if pod.spec.restart_policy == "Never" and any(run is not None for _, run in runs):
        return False
    return any(run is None or restarts(pod, container, run) for container, run in runs)


class _Decision:
    """Builds the actions of one step."""

    def __init__(self, pod: Pod, observed: ObservedPod, memory: PodMemory, now: datetime) -> None:
        self.pod = pod
        self.observed = observed
        self.memory = memory
        self.now = now
        sandbox = observed.sandbox
        self.sandbox_id = sandbox.id if sandbox else ""
        self.kill: list[Kill] = []
        self.start: list[Start] = []
        self.wake_at: datetime | None = None
        self.finish = False
        self.backing_off: dict[str, float] = {}
        self.pulling_later: list[str] = []

    def actions(self) -> Actions:
        return Actions(
            kill=tuple(self.kill),
            start=tuple(self.start),
            wake_at=self.wake_at,
            finish=self.finish,
            backing_off=self.backing_off,
            pulling_later=tuple(self.pulling_later),
        )

    def decide(self) -> None:
        main_begun = any(self._in_this_sandbox(c.name) for c in self.pod.spec.containers)
        initialized = self._init_containers(main_begun)
        if self.finish or not (initialized or main_begun):
            return
        open_ends = [self._main(container) for container in self.pod.spec.containers]
        if not any(open_ends):
            self._end_sidecars()

    def _in_this_sandbox(self, name: str) -> ObservedContainer | None:
        run = self.observed.latest(name)
        return run if run is not None and run.sandbox_id == self.sandbox_id else None

    def _init_containers(self, main_begun: bool) -> bool:
        """Work through the init containers in order; say whether the main ones may start."""
        for container in self.pod.spec.init_containers:
            run = self._in_this_sandbox(container.name)
            if is_sidecar(container):
                if not self._sidecar(container, run) and not main_begun:
                    return False
            elif main_begun:
                continue
            elif not self._init(container, run):
                return False
        return True

    def _sidecar(self, container: Container, run: ObservedContainer | None) -> bool:
        """Keep a sidecar running; say whether it has started."""
        if run is None or run.state is not ContainerState.RUNNING:
            self._begin(container, init=True)
            return False
        self._kill_if_unwanted(container, run)
        memory = self.memory.of(container.name)
        return container.startup_probe is None or memory.started is True

    def _init(self, container: Container, run: ObservedContainer | None) -> bool:
        """Run an init container to its success; say whether it has come."""
        if run is not None and run.state is ContainerState.RUNNING:
            return False
        if run is not None and run.over:
            if run.exit_code == 0:
                return True
            if not restarts(self.pod, container, run):
                self._end_sidecars()
                return False
        self._begin(container, init=True)
        return False

    def _main(self, container: Container) -> bool:
        """Bring one main container into line; say whether it still has something to do."""
        run = self._in_this_sandbox(container.name)
        if run is not None and run.state is ContainerState.RUNNING:
            self._kill_if_unwanted(container, run)
            return True
        if run is not None and run.over and not self._goes_on(container, run):
            return False
        self._begin(container, init=False)
        return True

    def _goes_on(self, container: Container, run: ObservedContainer) -> bool:
        if will_run_again(self.pod, container, self.observed, self.memory, self.now):
            return True
        memory = self.memory.of(container.name)
        if memory.replaced and memory.ended_run == run.id:
            self.backing_off[container.name] = memory.backoff_seconds
        return False

    def _kill_if_unwanted(self, container: Container, run: ObservedContainer) -> None:
        memory = self.memory.of(container.name)
        if run.image and container.image and run.hash and run.hash != container_hash(container):
            text = f"Container {container.name} definition changed, will be restarted"
            self.kill.append(Kill(container_id=run.id, name=container.name, message=text, replace=True))
        elif memory.unhealthy and memory.probed_run == run.id:
            self.kill.append(
                Kill(
                    container_id=run.id,
                    name=container.name,
                    message=memory.unhealthy,
                    grace_seconds=memory.unhealthy_grace_seconds,
                    restart=True,
                )
            )

    def _begin(self, container: Container, *, init: bool) -> None:
        """Start the next run of a container, now or when its delay is over."""
        run = self.observed.latest(container.name)
        if self._is_held(container):
            return
        if run is None:
            self.start.append(Start(name=container.name, attempt=_first_attempt(self.pod, container), init=init))
            return
        if run.state is ContainerState.CREATED:
            self.start.append(Start(name=container.name, attempt=run.attempt, init=init, remove=run.id))
            return
        memory = self.memory.of(container.name)
        due = next_start(self.observed, memory, run)
        if due > self.now:
            if self._is_noticed(run.finished_at or run.created_at):
                self.backing_off[container.name] = memory.backoff_seconds
            self.wake(due)
            return
        counts = memory.ended_run != run.id or run.attempt > 0
        self.start.append(Start(name=container.name, attempt=run.attempt + 1, init=init, counts=counts))

    def _is_held(self, container: Container) -> bool:
        """Say whether a start that failed lately is not to be tried again yet."""
        memory = self.memory.of(container.name)
        if memory.hold_since is None or memory.hold_image != container.image:
            return False
        due = memory.hold_since + timedelta(seconds=memory.hold_seconds)
        if due <= self.now:
            return False
        waiting = memory.waiting
        if waiting is not None and waiting.reason == "ErrImagePull" and self._is_noticed(memory.hold_since):
            self.pulling_later.append(container.name)
        self.wake(due)
        return True

    def _is_noticed(self, since: datetime) -> bool:
        """Say whether a failure has been shown for long enough."""
        seen = since + timedelta(seconds=NOTICE_SECONDS)
        if seen > self.now:
            self.wake(seen)
        return seen <= self.now

    def _end_sidecars(self) -> None:
        """Main containers are over: end the sidecars, the last one first, and then the Pod."""
        self.start.clear()
        running = {run.name: run for run in self.observed.running}
        for container in reversed(self.pod.spec.init_containers):
            run = running.get(container.name)
            if run is not None:
                text = f"Stopping container {container.name}"
                self.kill.append(Kill(container_id=run.id, name=container.name, message=text))
        self.finish = not running

    def wake(self, when: datetime) -> None:
        self.wake_at = when if self.wake_at is None else min(self.wake_at, when)


def _first_attempt(pod: Pod, container: Container) -> int:
    """Number the first run that the runtime will know: it follows those that were reported of an earlier runtime."""
    for status in (*pod.status.init_container_statuses, *pod.status.container_statuses):
        if status.name == container.name and status.container_id:
            return status.restart_count + 1
    return 0


def container_hash(container: Container) -> str:
    """Return what identifies the definition of a container: of the fields that may change, only its image counts."""
    return f"{container.name}@{container.image}"
