"""The worker of one Pod: it observes, decides by `next_actions`, acts, and reports, until the Pod is gone.

Everything about a Pod happens in its worker's task group: the loop of steps, the writer of its status, its probes and
the containers that are being killed. A step never runs twice at once; anything that may have changed something wakes
the loop.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import anyio
from anyio.abc import TaskGroup

from orchestra._proto.cri.v1 import api_pb2 as pb
from orchestra.api.core import Pod
from orchestra.backoff import Backoff
from orchestra.client.interface import DeleteOptions, Preconditions
from orchestra.errors import APIError, Conflict, NotFound, RuntimeServiceError
from orchestra.node.actions import Actions, Kill, Start, next_actions
from orchestra.node.configs import sandbox_config
from orchestra.node.context import NodeContext
from orchestra.node.model import ObservedContainer, ObservedPod, PodMemory, Waiting
from orchestra.node.observing import Observer
from orchestra.node.probing import PodProbes
from orchestra.node.publishing import StatusWriter
from orchestra.node.starting import container_named, field_path, log_directory, start_container
from orchestra.node.stopping import grace_of, stop_all, stop_run

RESYNC_SECONDS = 60.0
"""A Pod is looked at this often even when nothing seems to happen; volumes are brought up to date then."""

KEPT_RUNS = 2
"""How many runs of a container are kept for `lastState` and `logs --previous`."""

RETRY = Backoff(initial_seconds=0.5, factor=2.0, max_seconds=30.0, jitter=0.2)
"""Pause after a step that failed because the server or the runtime did not answer."""


class PodWorker:
    """Owns one Pod on one node."""

    def __init__(self, node: NodeContext, pod: Pod) -> None:
        self.node = node
        self.pod = pod
        self.memory = PodMemory()
        if pod.status.start_time is not None:
            self.memory.start_time = pod.status.start_time
            self.memory.ip = pod.status.pod_ip
        self.memory.finished = pod.status.phase in {"Succeeded", "Failed"}
        self.observed = ObservedPod()
        self._gone = False
        self._killing: set[str] = set()
        self._wake = anyio.Event()
        self._observer = Observer(node.runtime, pod.metadata.uid)
        self._status = StatusWriter(self)
        self._probes = PodProbes(self)
        self._announced: set[str] = set()

    def update(self, pod: Pod) -> None:
        """Take a newer state of the Pod."""
        if int(pod.metadata.resource_version or 0) >= int(self.pod.metadata.resource_version or 0):
            self.pod = pod
            self.wake()

    def lose(self) -> None:
        """The Pod is gone from the server: end what runs and forget it."""
        self._gone = True
        self.wake()

    def wake(self) -> None:
        """Look again: something may have changed."""
        self._wake.set()

    def publish(self) -> None:
        """Report the status again, if it has changed."""
        self._status.request()

    async def run(self) -> None:
        """Work until the Pod is gone from the server and from the node."""
        async with anyio.create_task_group() as group:
            group.start_soon(self._status.run)
            failures = 0
            while True:
                self._wake = anyio.Event()
                try:
                    wake_at = await self._step(group)
                    failures = 0
                except (APIError, RuntimeServiceError) as error:
                    # The server or the runtime is away: what was done is observed again after a pause.
                    failures += 1
                    pause = RETRY.delay_seconds(failures, self.node.clock.random)
                    wake_at = self.node.clock.now() + timedelta(seconds=pause)
                    self.node.log.warning("pod step failed", pod=self.pod.key, error=str(error), failures=failures)
                if wake_at is None:
                    break
                with anyio.move_on_after(max((wake_at - self.node.clock.now()).total_seconds(), 0)):
                    await self._wake.wait()
            group.cancel_scope.cancel()

    async def observe(self) -> None:
        """Look at the runtime."""
        self.observed = await self._observer.observe()
        if self.observed.sandboxes and self.observed.sandboxes[0].ip:
            self.memory.ip = self.observed.sandboxes[0].ip

    async def _step(self, group: TaskGroup) -> datetime | None:
        """Do what is to be done now; return when to look again, or None when the Pod is gone."""
        await self.observe()
        now = self.node.clock.now()
        if self._gone:
            await self._end(0 if self.pod.metadata.deletion_timestamp is None else grace_of(self.pod))
            await self._forget()
            return None
        if self.pod.metadata.deletion_timestamp is not None:
            return await self._delete()
        if self.memory.start_time is None:
            self.memory.start_time = now
        self.publish()
        if self.memory.rejected is not None:
            if not self.memory.finished:
                await self._finish()
            return now + timedelta(seconds=RESYNC_SECONDS)
        actions = next_actions(self.pod, self.observed, self.memory, now)
        again = await self._act(group, actions)
        self._probes.sync(group)
        self.publish()
        resync = now + timedelta(seconds=RESYNC_SECONDS)
        return now if again else min(actions.wake_at or resync, resync)

    async def _act(self, group: TaskGroup, actions: Actions) -> bool:
        """Carry out one set of actions; say whether to look again at once."""
        self._announce_backoff(actions)
        if actions.expired:
            text = "Pod was active on the node longer than the specified deadline"
            self.node.events.normal(self.pod, "DeadlineExceeded", text)
            self.memory.rejected = Waiting("DeadlineExceeded", text)
            return True
        for kill in actions.kill:
            self._kill(group, kill)
        if actions.create_sandbox:
            return await self._create_sandbox(actions.sandbox_attempt)
        for start in actions.start:
            sandbox = self.observed.sandbox
            if sandbox is not None and self.pod.metadata.deletion_timestamp is None and not self._gone:
                memory = self.memory.of(start.name)
                self._announced.discard(start.name)
                await start_container(self.node, self.pod, start, sandbox, memory)
                await self._remove_old_runs(start)
                self.publish()
        if actions.finish and not self._killing:
            await self._finish()
        return bool(actions.start)

    def _announce_backoff(self, actions: Actions) -> None:
        meta = self.pod.metadata
        for name, delay in actions.backing_off.items():
            pod_name = f"{meta.name}_{meta.namespace}({meta.uid})"
            text = f"back-off {go_duration(delay)} restarting failed container={name} pod={pod_name}"
            self.memory.of(name).waiting = Waiting("CrashLoopBackOff", text)
            if name not in self._announced:
                self._announced.add(name)
                field = field_path(self.pod, container_named(self.pod, name))
                event = f"Back-off restarting failed container {name} in pod {pod_name}"
                self.node.events.warning(self.pod, "BackOff", event, field_path=field)
        for name, memory in self.memory.containers.items():
            waiting = memory.waiting
            if waiting is not None and waiting.reason == "ErrImagePull" and memory.hold_since is not None:
                image = container_named(self.pod, name).image
                memory.waiting = Waiting("ImagePullBackOff", f'Back-off pulling image "{image}"')
                field = field_path(self.pod, container_named(self.pod, name))
                self.node.events.normal(self.pod, "BackOff", f'Back-off pulling image "{image}"', field_path=field)

    def _kill(self, group: TaskGroup, kill: Kill) -> None:
        run = next((c for c in self.observed.running if c.id == kill.container_id), None)
        if run is None or run.id in self._killing:
            return
        self._killing.add(run.id)
        grace = grace_of(self.pod) if kill.grace_seconds is None else kill.grace_seconds
        policy = container_named(self.pod, run.name).restart_policy or self.pod.spec.restart_policy
        stays_down = kill.restart and policy == "Never"
        group.start_soon(self._killed, run, grace, f"Stopping container {run.name}" if stays_down else kill.message)

    async def _killed(self, run: ObservedContainer, grace: int, message: str) -> None:
        try:
            await stop_run(self.node, self.pod, run, grace, message, self.memory.ip)
        finally:
            self._killing.discard(run.id)
            self.wake()

    async def _create_sandbox(self, attempt: int) -> bool:
        if attempt:
            text = "Pod sandbox changed, it will be killed and re-created."
            self.node.events.normal(self.pod, "SandboxChanged", text)
        config = sandbox_config(self.pod, attempt, log_directory(self.node, self.pod))
        try:
            await self.node.runtime.run_pod_sandbox(pb.RunPodSandboxRequest(config=config))
        except RuntimeServiceError as error:
            text = f"Failed to create pod sandbox: {error.message}"
            self.node.events.warning(self.pod, "FailedCreatePodSandBox", text)
            raise
        return True

    async def _remove_old_runs(self, start: Start) -> None:
        """Forget runs that nothing shows any more, so that a crash loop does not fill the disk."""
        for run in self.observed.runs(start.name):
            if run.attempt <= start.attempt - KEPT_RUNS:
                await self.node.runtime.remove_container(pb.RemoveContainerRequest(container_id=run.id))

    async def _finish(self) -> None:
        """Bring a Pod that has come to its end to rest: stop its sandbox, then report the end."""
        await self._end(grace_of(self.pod))
        self.memory.finished = True
        self.publish()

    async def _end(self, grace_seconds: int) -> None:
        """End every container and stop the sandboxes."""
        self._probes.stop(keep_readiness=self.pod.metadata.deletion_timestamp is not None)
        await self.observe()
        if self.observed.running:
            self.publish()
            await stop_all(self.node, self.pod, self.observed, grace_seconds)
        for sandbox in self.observed.sandboxes:
            if sandbox.ready:
                await self.node.runtime.stop_pod_sandbox(pb.StopPodSandboxRequest(pod_sandbox_id=sandbox.id))
        await self.observe()

    async def _delete(self) -> datetime | None:
        """End a Pod that is being deleted, report its end, and let the server forget it."""
        await self._end(grace_of(self.pod))
        self.memory.finished = True
        if not self._gone:
            await self._status.write()
            meta = self.pod.metadata
            options = DeleteOptions(grace_period_seconds=0, preconditions=Preconditions(uid=meta.uid))
            try:
                deleted = await self.node.client.delete(Pod, meta.name, namespace=meta.namespace, options=options)
            except (NotFound, Conflict):
                self._gone = True
            else:
                self._gone = deleted.gone
        if not self._gone:  # a finalizer keeps the object: nothing is left to do here but to wait for its end
            return self.node.clock.now() + timedelta(seconds=RESYNC_SECONDS)
        await self._forget()
        return None

    async def _forget(self) -> None:
        """Remove everything that the node keeps of the Pod."""
        for sandbox in self.observed.sandboxes:
            await self.node.runtime.remove_pod_sandbox(pb.RemovePodSandboxRequest(pod_sandbox_id=sandbox.id))
        self.node.volumes.remove(self.pod.metadata.uid)


def go_duration(seconds: float) -> str:
    """Return whole seconds as Go writes a duration: `10s`, `1m20s`, `5m0s`."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"
