"""`FakeRuntime`: the CRI without any process."""

from __future__ import annotations

from types import TracebackType
from typing import Self

import anyio
import attrs
from anyio.abc import TaskGroup

from orchestra._proto.cri.v1 import api_pb2 as pb
from orchestra.clock import Clock, SystemClock
from orchestra.cri.book import Container
from orchestra.cri.fake.script import ContainerScript, Script
from orchestra.cri.recording import RecordingRuntime
from orchestra.errors import RuntimeServiceError

KILLED = 137


@attrs.define(eq=False)
class _Life:
    """What a container is doing: its script, whether it is starting, and the timer of its end."""

    script: ContainerScript
    starting: bool = False
    timer: anyio.CancelScope | None = None
    ended: anyio.Event | None = None


class FakeRuntime(RecordingRuntime):
    """Plays `script` instead of running containers; waits are `anyio.sleep`, so a virtual clock works.

    Nothing is on disk. Sandboxes and containers stay when the runtime is closed and are there when it is entered
    again, as a runtime's are when its control plane restarts. Configurations are kept without a copy: do not change a
    message after passing it.
    """

    runtime_name = "orchestra-fake"
    images_have_commands = True

    def __init__(self, *, clock: Clock | None = None, script: Script | None = None) -> None:
        super().__init__(clock or SystemClock())
        self.script = script or Script()
        self._tasks: TaskGroup | None = None

    async def __aenter__(self) -> Self:
        """Go on with the lives of the containers."""
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        for container in self._book.containers.values():
            if container.state == pb.CONTAINER_RUNNING:
                self._arm(container)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Keep the containers as they are."""
        self._hub.close()
        tasks, self._tasks = self._tasks, None
        if tasks is not None:
            tasks.cancel_scope.cancel()
            # The body's own error goes on as it is; given to the group it would come out wrapped in another one.
            own = error is not None and not isinstance(error, anyio.get_cancelled_exc_class())
            await tasks.__aexit__(*((None, None, None) if own else (kind, error, trace)))

    # ---- for tests

    def end_container(self, container_id: str, *, exit_code: int = KILLED, reason: str = "", message: str = "") -> None:
        """End a running container now, as if its process had exited, been killed, or run out of memory."""
        container = self._book.container(container_id)
        if container.state == pb.CONTAINER_RUNNING:
            self._end(container, exit_code, reason, message)

    # ---- sandboxes

    async def run_pod_sandbox(self, request: pb.RunPodSandboxRequest) -> pb.RunPodSandboxResponse:
        """Record a sandbox and give it an address."""
        sandbox = self._book.new_sandbox(request.config, request.runtime_handler, self.new_id(), self.now_ns())
        self._book.add_sandbox(sandbox)
        return pb.RunPodSandboxResponse(pod_sandbox_id=sandbox.id)

    async def stop_pod_sandbox(self, request: pb.StopPodSandboxRequest) -> pb.StopPodSandboxResponse:
        """End the sandbox's containers and give back its address."""
        sandbox = self._book.sandboxes.get(request.pod_sandbox_id)
        if sandbox is not None:
            for container in sandbox.containers.values():
                if container.state == pb.CONTAINER_RUNNING:
                    self._end(container, KILLED)
            sandbox.ready = False
            self._book.release_address(sandbox)
        return pb.StopPodSandboxResponse()

    async def remove_pod_sandbox(self, request: pb.RemovePodSandboxRequest) -> pb.RemovePodSandboxResponse:
        """Remove the sandbox and its containers."""
        sandbox = self._book.sandboxes.get(request.pod_sandbox_id)
        if sandbox is not None:
            for container in list(sandbox.containers.values()):
                self._remove(container)
            self._book.forget_sandbox(sandbox)
        return pb.RemovePodSandboxResponse()

    # ---- containers

    async def create_container(self, request: pb.CreateContainerRequest) -> pb.CreateContainerResponse:
        """Record a container, or refuse it as its script says."""
        sandbox = self._book.sandbox(request.pod_sandbox_id)
        container = self._book.new_container(sandbox, request.config, self.new_id(), self.now_ns())
        script = self.script.container(sandbox.config, request.config)
        if script.create_error:
            raise RuntimeServiceError(script.create_error, code="Unknown", reason="CreateContainerError")
        container.driver = _Life(script)
        self._book.add_container(container)
        self.announce(container, pb.CONTAINER_CREATED_EVENT)
        return pb.CreateContainerResponse(container_id=container.id)

    async def start_container(self, request: pb.StartContainerRequest) -> pb.StartContainerResponse:
        """Start a created container after its script's delay."""
        container = self._book.container(request.container_id)
        life = _life(container)
        if container.state != pb.CONTAINER_CREATED or life.starting:
            state = "starting" if life.starting else f"in {pb.ContainerState.Name(container.state)} state"
            raise RuntimeServiceError(
                f'container "{container.id}" is {state}', code="FailedPrecondition", reason="RunContainerError"
            )
        if life.script.start_seconds:
            life.starting = True
            try:
                await anyio.sleep(life.script.start_seconds)
            finally:
                life.starting = False
            self._book.container(container.id)  # it may have been removed meanwhile
        if life.script.start_error:
            self._end(container, 128, "StartError", life.script.start_error)
            raise RuntimeServiceError(life.script.start_error, code="Unknown", reason="RunContainerError")
        container.state = pb.CONTAINER_RUNNING
        container.started_at = self.now_ns()
        self._arm(container)
        self.announce(container, pb.CONTAINER_STARTED_EVENT)
        return pb.StartContainerResponse()

    async def stop_container(self, request: pb.StopContainerRequest) -> pb.StopContainerResponse:
        """End a running container after its script's delay, or at the timeout."""
        container = self._book.containers.get(request.container_id)
        if container is None or container.state != pb.CONTAINER_RUNNING:
            return pb.StopContainerResponse()
        life = _life(container)
        seconds = min(life.script.stop_seconds, request.timeout)
        if seconds > 0:
            if life.ended is None:
                life.ended = anyio.Event()
            with anyio.move_on_after(seconds):
                await life.ended.wait()
        if container.state == pb.CONTAINER_RUNNING:
            obeys = request.timeout > 0 and life.script.stop_seconds <= request.timeout
            self._end(container, life.script.stop_exit_code if obeys else KILLED)
        return pb.StopContainerResponse()

    async def remove_container(self, request: pb.RemoveContainerRequest) -> pb.RemoveContainerResponse:
        """Remove a container; one that runs is killed."""
        container = self._book.containers.get(request.container_id)
        if container is not None:
            self._remove(container)
        return pb.RemoveContainerResponse()

    async def reopen_container_log(self, request: pb.ReopenContainerLogRequest) -> pb.ReopenContainerLogResponse:
        """Accept for a running container; nothing is logged."""
        self._running(request.container_id)
        return pb.ReopenContainerLogResponse()

    async def exec_sync(self, request: pb.ExecSyncRequest) -> pb.ExecSyncResponse:
        """Answer a command as the container's script says."""
        container = self._running(request.container_id)
        result = _life(container).script.run_command(tuple(request.cmd), self._running_seconds(container))
        if request.timeout and result.seconds > request.timeout:
            await anyio.sleep(request.timeout)
            text = f"failed to exec in container: timeout {request.timeout}s exceeded: context deadline exceeded"
            raise RuntimeServiceError(text, code="DeadlineExceeded")
        if result.seconds:
            await anyio.sleep(result.seconds)
        if result.error:
            raise RuntimeServiceError(f"failed to exec in container: {result.error}", code="Unknown")
        return pb.ExecSyncResponse(stdout=result.stdout, stderr=result.stderr, exit_code=result.exit_code)

    async def probe(self, container_id: str, kind: str) -> str:
        """Answer a probe as the container's script says (`Probing`)."""
        container = self._running(container_id)
        return _life(container).script.probe(kind, self._running_seconds(container))

    async def pull_image(self, request: pb.PullImageRequest) -> pb.PullImageResponse:
        """Record an image, or fail, as the script says."""
        result = self.script.pull(request.image.image)
        if result.seconds:
            await anyio.sleep(result.seconds)
        if result.error:
            raise RuntimeServiceError(result.error, code="NotFound", reason="ErrImagePull")
        return pb.PullImageResponse(image_ref=self._book.images.pull(request.image.image).id)

    # ---- statistics

    async def container_stats(self, request: pb.ContainerStatsRequest) -> pb.ContainerStatsResponse:
        """Return that the container uses nothing."""
        return pb.ContainerStatsResponse(stats=self._stats(self._book.container(request.container_id)))

    async def list_container_stats(self, request: pb.ListContainerStatsRequest) -> pb.ListContainerStatsResponse:
        """Return that the matching running containers use nothing."""
        found = self._book.matching_containers(request.filter)
        return pb.ListContainerStatsResponse(
            stats=[self._stats(container) for container in found if container.state == pb.CONTAINER_RUNNING]
        )

    def _stats(self, container: Container) -> pb.ContainerStats:
        config = container.config
        none, now = pb.UInt64Value(value=0), self.now_ns()
        return pb.ContainerStats(
            attributes=pb.ContainerAttributes(
                id=container.id, metadata=config.metadata, labels=config.labels, annotations=config.annotations
            ),
            cpu=pb.CpuUsage(timestamp=now, usage_core_nano_seconds=none),
            memory=pb.MemoryUsage(timestamp=now, working_set_bytes=none, rss_bytes=none),
        )

    # ---- playing the script

    def _running(self, container_id: str) -> Container:
        container = self._book.container(container_id)
        if container.state != pb.CONTAINER_RUNNING:
            state = pb.ContainerState.Name(container.state)
            raise RuntimeServiceError(f"failed to exec in container: container is in {state} state", code="Unknown")
        return container

    def _running_seconds(self, container: Container) -> float:
        return (self.now_ns() - container.started_at) / 1e9

    def _arm(self, container: Container) -> None:
        """Set the timer of a container that ends by itself."""
        life = _life(container)
        if life.script.run_seconds is None:
            return
        if self._tasks is None:
            raise RuntimeServiceError("the runtime is not open", code="Unavailable")
        left = life.script.run_seconds - self._running_seconds(container)
        life.timer = anyio.CancelScope()
        self._tasks.start_soon(self._end_later, container, life, max(0.0, left))

    async def _end_later(self, container: Container, life: _Life, seconds: float) -> None:
        assert life.timer is not None
        with life.timer:
            await anyio.sleep(seconds)
            life.timer = None
            self._end(container, life.script.exit_code, life.script.reason, life.script.message)

    def _end(self, container: Container, exit_code: int, reason: str = "", message: str = "") -> None:
        life = _life(container)
        if life.timer is not None:
            life.timer.cancel()
            life.timer = None
        container.state = pb.CONTAINER_EXITED
        container.exit_code = exit_code
        container.reason = reason or ("Completed" if exit_code == 0 else "Error")
        container.message = message
        container.finished_at = self.now_ns()
        if life.ended is not None:
            life.ended.set()
        self.announce(container, pb.CONTAINER_STOPPED_EVENT)

    def _remove(self, container: Container) -> None:
        if container.state == pb.CONTAINER_RUNNING:
            self._end(container, KILLED)
        self._book.forget_container(container)
        self.announce(container, pb.CONTAINER_DELETED_EVENT)


def _life(container: Container) -> _Life:
    life = container.driver
    assert isinstance(life, _Life)
    return life
