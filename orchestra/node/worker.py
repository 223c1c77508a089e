"""The worker of one Pod: it observes, decides by `next_actions`, acts, and reports, until the Pod is gone.

Everything about a Pod happens in its worker's task group: the loop of steps, the writer of its status, its probes and
the containers that are being killed. A step never runs twice at once; anything that may have changed something wakes
the loop, and a Pod at rest costs nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import anyio
import attrs
from anyio.abc import TaskGroup

from orchestra._proto.cri.v1 import api_pb2 as pb
from orchestra.api.core import Pod
from orchestra.backoff import Backoff
from orchestra.client.interface import DeleteOptions, Preconditions
from orchestra.errors import APIError, Conflict, NotFound, RuntimeServiceError
from orchestra.node.actions import Actions, Kill, Start, next_actions
from orchestra.node.configs import sandbox_config
from orchestra.node.context import NodeContext
from orchestra.node.model import ObservedContainer, ObservedPod, PodMemory, Refusal
from orchestra.node.naming import container_named, has_container
from orchestra.node.observing import Observer
from orchestra.node.probes import ProbeTarget
from orchestra.node.probing import PodProbes
from orchestra.node.publishing import StatusWriter
from orchestra.node.starting import log_directory, start_container
from orchestra.node.stopping import grace_of, stop_all, stop_run
from orchestra.node.telling import announce_delays
from orchestra.node.termination import message_file, read_message, wants_message
from orchestra.node.volumes import MountError, refreshes

REFRESH_SECONDS = 60.0
"""How often volumes are brought up to date with the objects that they show."""

KEPT_RUNS = 2
"""How many runs of a container are kept for `lastState` and `logs --previous`."""

RETRY = Backoff(initial_seconds=0.5, factor=2.0, max_seconds=30.0, jitter=0.2)
"""Pause after a step that failed because the server or the runtime did not answer."""

MOUNT_RETRY = Backoff(initial_seconds=0.5, factor=2.0, max_seconds=10.0, jitter=0.0)
"""Pause after volumes could not be set up."""

EXPIRED = "Pod was active on the node longer than the specified deadline"


class PodWorker:
    """Owns one Pod on one node; `sandboxes` are those that the runtime had of it before."""

    def __init__(self, node: NodeContext, pod: Pod, sandboxes: Iterable[str] = ()) -> None:
        self.node = node
        self.pod = pod
        self.memory = PodMemory()
        known = tuple(sandboxes)
        if pod.status.start_time is not None:
            self.memory.start_time = pod.status.start_time
            self.memory.ip = pod.status.pod_ip
        self.memory.reported_end = pod.status.phase in {"Succeeded", "Failed"}
        self.memory.finished = self.memory.reported_end and not known
        self.admitted = bool(known) or self.memory.finished
        self.observed = ObservedPod()
        self._gone = False
        self._over = False
        self._killing: dict[str, anyio.Event] = {}
        self._resting: set[str] = set()
        self._refusals: dict[str, int] = {}
        self._scope: anyio.CancelScope | None = None
        self._stopping = self._hurried = False
        self._wake = anyio.Event()
        self._observer = Observer(node.runtime, pod.metadata.uid, known, self._complete)
        self._status = StatusWriter(self)
        self._probes = PodProbes(self)
        self._refreshed_at: datetime | None = None
        self._mount_failures = 0

    @property
    def takes_room(self) -> bool:
        """Whether the Pod's requests and ports count on this node."""
        return self.admitted and not self.memory.finished

    def update(self, pod: Pod) -> None:
        """Take a newer state of the Pod."""
        old, new = self.pod.metadata, pod.metadata
        if int(new.resource_version or 0) <= int(old.resource_version or 0):
            return
        self.pod = pod
        if new.deletion_timestamp is not None and old.deletion_timestamp is None:
            self._interrupt()
        if (new.generation, new.deletion_grace_period_seconds, new.deletion_timestamp) != (
            old.generation,
            old.deletion_grace_period_seconds,
            old.deletion_timestamp,
        ) or (new.finalizers != old.finalizers and new.deletion_timestamp is not None):
            self.wake()
        elif not self._status.is_own(pod.status):
            self.publish()

    def lose(self) -> None:
        """The Pod is gone from the server: end what runs and forget it."""
        if not self._gone:
            self._hurried = self._stopping
            self._interrupt()
        self._gone = True
        self.wake()

    def _interrupt(self) -> None:
        # A stop under way goes on with the grace period that it began with, unless the Pod is gone.
        if self._scope is not None and (self._hurried or not self._stopping):
            self._scope.cancel()

    @contextmanager
    def _interruptible(self, *, stopping: bool = False) -> Iterator[anyio.CancelScope]:
        """Do something long that is given up when the Pod is to end meanwhile."""
        with anyio.CancelScope() as scope:
            self._scope, self._stopping = scope, stopping
            if not stopping and (self._gone or self.pod.metadata.deletion_timestamp is not None):
                scope.cancel()
            try:
                yield scope
            finally:
                self._scope, self._stopping = None, False

    def wake(self) -> None:
        """Look again: something may have changed."""
        self._wake.set()

    def look_everywhere(self) -> None:
        """Look again, and take nothing that was known of the runtime for granted."""
        self._observer.distrust()
        self.wake()

    def publish(self) -> None:
        """Report the status again, if it has changed."""
        self._status.request()

    async def run(self) -> None:
        """Work until the Pod is gone from the server and from the node."""
        async with anyio.create_task_group() as group:
            group.start_soon(self._status.run)
            failures = 0
            while not self._over:
                self._wake = anyio.Event()
                pause: float | None = None
                try:
                    wake_at = await self._step(group)
                    failures = 0
                    if wake_at is not None:
                        pause = max((wake_at - self.node.clock.now()).total_seconds(), 0)
                except Exception as error:  # one Pod's trouble is logged and retried, never the node's end
                    # Mostly the server or the runtime is away: what was done is observed again after a pause.
                    failures += 1
                    pause = RETRY.delay_seconds(failures, self.node.clock.random)
                    self._observer.distrust()
                    unforeseen = not isinstance(error, APIError | RuntimeServiceError)
                    text = {"pod": self.pod.key, "error": str(error), "failures": failures}
                    self.node.log.warning("pod step failed", **text, exc_info=unforeseen)
                if not self._over:
                    with anyio.move_on_after(pause):
                        await self._wake.wait()
            group.cancel_scope.cancel()

    async def observe(self) -> None:
        """Look at the runtime."""
        self.observed = await self._observer.observe()
        if self.pod.spec.host_network:
            self.memory.ip = self.node.host_ip
        elif self.observed.sandboxes and self.observed.sandboxes[0].ip:
            self.memory.ip = self.observed.sandboxes[0].ip

    async def _step(self, group: TaskGroup) -> datetime | None:
        """Do what is to be done now; return when to look again, None for only when something has changed."""
        await self.observe()
        now = self.node.clock.now()
        if self._gone:
            await self._end()
            await self._forget()
            return None
        if self.pod.metadata.deletion_timestamp is not None:
            await self._delete()
            return None
        if not self.admitted:
            self._admit()
        if self.memory.start_time is None:
            self.memory.start_time = now
        self.publish()
        if self.memory.finished:
            return None
        if self.memory.refusal is not None or self.memory.reported_end:
            await self._finish()  # what an ended Pod has left behind is ended, and nothing of it starts again
            return None
        actions = next_actions(self.pod, self.observed, self.memory, now)
        refresh_at = await self._refresh(now)
        again_at = await self._act(group, actions)
        self._probes.sync(group)
        self.publish()
        return min((time for time in (again_at, actions.wake_at, refresh_at) if time is not None), default=None)

    def _admit(self) -> None:
        """Ask once whether the node takes the Pod on."""
        self.admitted = True
        refusal = self.node.admit(self.pod)
        if refusal is None:
            return
        self.node.events.warning(self.pod, refusal.reason, refusal.message)
        self.memory.refusal = attrs.evolve(refusal, message=f"Pod was rejected: {refusal.message}")
        self.memory.finished = True

    async def _act(self, group: TaskGroup, actions: Actions) -> datetime | None:
        """Carry out one set of actions; return when to look at what came of them."""
        now = self.node.clock.now()
        announce_delays(self.node, self.pod, self.memory, actions)
        if actions.expired:
            self.node.events.normal(self.pod, "DeadlineExceeded", EXPIRED)
            self.memory.refusal = Refusal("DeadlineExceeded", EXPIRED, admitted=True)
            return now
        for kill in actions.kill:
            self._kill(group, kill)
        if actions.create_sandbox:
            return await self._create_sandbox(actions.sandbox_attempt)
        for start in actions.start:
            await self._start(start)
        if actions.finish and not self._killing:
            await self._finish()
        return now if actions.start else None

    async def _start(self, start: Start) -> None:
        sandbox = self.observed.sandbox
        if sandbox is None or self._gone or self.pod.metadata.deletion_timestamp is not None:
            return
        memory = self.memory.of(start.name)
        await start_container(self.node, self.pod, start, sandbox, memory, interruptible=self._interruptible)
        for run in self.observed.runs(start.name):
            # Runs that nothing shows any more go, so that a crash loop does not fill the disk.
            if run.attempt <= start.attempt - KEPT_RUNS:
                self._remove_files(run)
                await self.node.runtime.remove_container(pb.RemoveContainerRequest(container_id=run.id))

    def _remove_files(self, run: ObservedContainer) -> None:
        logs = Path(log_directory(self.node, self.pod)) / run.name
        message = message_file(self.node.volumes.pod_directory(self.pod.metadata.uid), run.name, run.attempt)
        try:
            for path in (*sorted(logs.glob(f"{run.attempt}.log*")), message):
                path.unlink(missing_ok=True)
        except OSError as error:
            self.node.log.warning("files of a run not removed", pod=self.pod.key, error=str(error))

    def _kill(self, group: TaskGroup, kill: Kill) -> None:
        run = next((c for c in self.observed.running if c.id == kill.container_id), None)
        if run is None or run.id in self._killing or run.id in self._resting:
            return
        self._killing[run.id] = anyio.Event()
        container = container_named(self.pod, run.name)
        memory = self.memory.of(run.name)
        policy = container.restart_policy or self.pod.spec.restart_policy
        if kill.restart or kill.replace:
            memory.ended_run, memory.replaced = run.id, kill.replace or policy != "Never"
        grace = grace_of(self.pod) if kill.grace_seconds is None else kill.grace_seconds
        stays_down = kill.restart and policy == "Never"
        target = ProbeTarget(pod=self.pod, container=container, container_id=run.id, ip=self.memory.ip)
        message = f"Stopping container {run.name}" if stays_down else kill.message
        group.start_soon(self._killed, target, grace, message)

    async def _killed(self, target: ProbeTarget, grace: int, message: str) -> None:
        stopped, run_id = False, target.container_id
        try:
            stopped = await stop_run(self.node, target, grace, message)
        except Exception as error:  # logged and tried again
            self.node.log.warning("container not stopped", pod=self.pod.key, error=str(error), exc_info=True)
        finally:
            self._killing.pop(run_id).set()
            self.wake()
        if stopped:
            self._refusals.pop(run_id, None)
            return
        failures = self._refusals[run_id] = self._refusals.get(run_id, 0) + 1
        self._resting.add(run_id)  # a runtime that refuses is not asked again at once
        await anyio.sleep(RETRY.delay_seconds(failures, self.node.clock.random))
        self._resting.discard(run_id)
        self.wake()

    async def _create_sandbox(self, attempt: int) -> datetime:
        now = self.node.clock.now()
        if attempt:
            text = "Pod sandbox changed, it will be killed and re-created."
            self.node.events.normal(self.pod, "SandboxChanged", text)
        if not await self._prepare_volumes():
            self._mount_failures += 1
            return now + timedelta(seconds=MOUNT_RETRY.delay_seconds(self._mount_failures, self.node.clock.random))
        self._mount_failures = 0
        config = sandbox_config(self.pod, attempt, log_directory(self.node, self.pod))
        try:
            answer = await self.node.runtime.run_pod_sandbox(pb.RunPodSandboxRequest(config=config))
        except RuntimeServiceError as error:
            text = f"Failed to create pod sandbox: {error.message}"
            self.node.events.warning(self.pod, "FailedCreatePodSandBox", text)
            raise
        self._observer.expect(answer.pod_sandbox_id)
        return now

    async def _prepare_volumes(self) -> bool:
        """Set up the Pod's volumes or bring them up to date; say whether all are there."""
        self._refreshed_at = self.node.clock.now()
        if not self.pod.spec.volumes:
            return True
        sources = await self.node.sources(self.pod)
        try:
            self.node.volumes.prepare(self.pod, sources, self.node.place(self.memory.ip))
        except MountError as error:
            self.node.events.warning(self.pod, "FailedMount", str(error))
            return False
        return True

    async def _refresh(self, now: datetime) -> datetime | None:
        """Bring volumes up to date now and then; return when they are due again."""
        if self.observed.sandbox is None or not refreshes(self.pod):
            return None
        due = timedelta(seconds=REFRESH_SECONDS)
        if self._refreshed_at is None or now - self._refreshed_at >= due:
            await self._prepare_volumes()
        return (self._refreshed_at or now) + due

    def _complete(self, run: ObservedContainer) -> ObservedContainer:
        """Add to a run that is over what it said of its own end."""
        if not has_container(self.pod, run.name):
            return run
        container = container_named(self.pod, run.name)
        if not wants_message(container):
            return run
        file = message_file(self.node.volumes.pod_directory(self.pod.metadata.uid), run.name, run.attempt)
        log = Path(log_directory(self.node, self.pod)) / run.name / f"{run.attempt}.log"
        own = read_message(self.pod, container, file, log, run.exit_code)
        return attrs.evolve(run, message=": ".join(text for text in (run.message, own) if text))

    async def _finish(self) -> None:
        """Bring a Pod that has come to its end to rest: stop its sandbox, then report the end."""
        await self._end()
        self._probes.end_all()
        self.memory.finished = True
        self.publish()

    async def _end(self) -> None:
        """End every container and stop the sandboxes."""
        self._probes.end_health()
        await self.observe()
        ending = tuple(run for run in self.observed.running if run.id not in self._killing)
        with self._interruptible(stopping=True):
            if ending:
                await stop_all(self.node, self.pod, ending, self.memory.ip, grace_of(self.pod))
            for ended in tuple(self._killing.values()):
                await ended.wait()
        if self._hurried:
            await self.observe()
            await stop_all(self.node, self.pod, self.observed.running, self.memory.ip, 0)
        for sandbox in self.observed.sandboxes:
            if sandbox.ready:
                await self.node.runtime.stop_pod_sandbox(pb.StopPodSandboxRequest(pod_sandbox_id=sandbox.id))
        await self.observe()

    async def _delete(self) -> None:
        """End a Pod that is being deleted, report its end, and let the server forget it."""
        if self.memory.start_time is None:
            self.memory.start_time = self.node.clock.now()
        if not self.memory.finished:
            self.publish()
            await self._end()
            self._probes.end_all()
            self.memory.finished = True
        if not self._gone:
            await self._status.write()
        if not self._gone:
            meta = self.pod.metadata
            options = DeleteOptions(grace_period_seconds=0, preconditions=Preconditions(uid=meta.uid))
            try:
                deleted = await self.node.client.delete(Pod, meta.name, namespace=meta.namespace, options=options)
            except (NotFound, Conflict):
                self._gone = True
            else:
                self._gone = deleted.gone
        if self._gone:  # else a finalizer keeps the object: nothing is left to do here but to wait for its end
            await self._forget()

    async def _forget(self) -> None:
        """Remove everything that the node keeps of the Pod."""
        for sandbox in self.observed.sandboxes:
            await self.node.runtime.remove_pod_sandbox(pb.RemovePodSandboxRequest(pod_sandbox_id=sandbox.id))
        self.node.volumes.remove(self.pod.metadata.uid)
        self._over = True
