"""`ProcessRuntime`: the CRI over processes of the host."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from types import TracebackType
from typing import Self

import anyio
from anyio.abc import TaskGroup

from orchestra._proto.cri.v1 import api_pb2 as pb
from orchestra.clock import Clock, SystemClock
from orchestra.cri.book import Container, Sandbox
from orchestra.cri.images import resolve
from orchestra.cri.process.commands import run_command
from orchestra.cri.process.identity import describe
from orchestra.cri.process.keeper import ContainerKeeper
from orchestra.cri.process.link import ZygoteLink
from orchestra.cri.process.spec import build_spec, refuse
from orchestra.cri.process.state import StateFolder, config_of
from orchestra.cri.process.usage import measure
from orchestra.cri.recording import RecordingRuntime
from orchestra.errors import RuntimeServiceError


class ProcessRuntime(RecordingRuntime):
    """Runs each container as a process group on this (Linux) host; its files are below `root`.

    It isolates nothing but mounts: programs see the host's files, processes and network, images are only names, limits
    are not enforced. Containers go on when the runtime is closed or killed; the next one on the same root finds them,
    their exit codes and logs. `clock` gives ids and the times of creation.

    Enter it with `async with`; raises `ConfigurationError` when another runtime has the root.
    """

    runtime_name = "orchestra-process"

    def __init__(self, root: str | os.PathLike[str], *, clock: Clock | None = None) -> None:
        super().__init__(clock or SystemClock())
        self._state = StateFolder(Path(root).absolute())
        self._link = ZygoteLink(self._state.open_log)
        self._tasks: TaskGroup | None = None
        self._opened: ContainerKeeper | None = None

    @property
    def root(self) -> Path:
        """The folder that the runtime keeps everything in; its owner may keep more there."""
        return self._state.root

    async def __aenter__(self) -> Self:
        """Take the root, start the zygote, and find the containers that were left."""
        self._state.open()
        try:
            self._link.start()
            self._tasks = anyio.create_task_group()
            await self._tasks.__aenter__()
        except BaseException:
            await self._link.stop()
            self._state.close()
            raise
        try:
            self._opened = ContainerKeeper(self._state, self._link, self._tasks, self.announce, self.new_id)
            await self._load()
        except BaseException as error:
            await self.__aexit__(type(error), error, error.__traceback__)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the containers as they are and give the root back."""
        self._hub.close()
        tasks, self._tasks, self._opened = self._tasks, None, None
        try:
            if tasks is not None:
                tasks.cancel_scope.cancel()
                # The body's own error goes on as it is; given to the group it would come out wrapped in another one.
                # A cancellation does not: it may come from a watcher that failed, whose error the group then raises.
                own = error is not None and not isinstance(error, anyio.get_cancelled_exc_class())
                await tasks.__aexit__(*((None, None, None) if own else (kind, error, trace)))
        finally:
            with anyio.CancelScope(shield=True):
                await self._link.stop()
            self._state.close()

    @property
    def _keeper(self) -> ContainerKeeper:
        if self._opened is None:
            raise RuntimeServiceError("the runtime is not open", code="Unavailable")
        return self._opened

    async def _load(self) -> None:
        book = self._book
        book.addresses.configure(self._state.load("runtime").get("pod_cidr", ""))
        for reference in self._state.load("images").get("references", ()):
            book.images.pull(reference)
        for sandbox in self._state.load_sandboxes():
            book.add_sandbox(sandbox)
            book.addresses.reserve(sandbox.ip)
        orphans: list[Container] = []
        for container_id, document in self._state.load_containers():
            record = document["record"]
            config = config_of(document)
            sandbox_of = book.sandboxes.get(record["sandbox"])
            container = Container(
                id=container_id,
                # Its sandbox was being removed when the runtime was killed; the container follows it below.
                sandbox=sandbox_of
                or Sandbox(id=record["sandbox"], config=pb.PodSandboxConfig(), handler="", created_at=0, ip=""),
                config=config,
                image=resolve(record["image"]),
                created_at=record["created_at"],
                log_path=document["log_path"],
                user=describe(document["program"]["identity"]),
                stop_signal=config.stop_signal or pb.SIGNAL_SIGTERM,
                resources=config.linux.resources if config.linux.HasField("resources") else None,
            )
            book.add_container(container)
            await self._keeper.adopt(container)
            if sandbox_of is None:
                orphans.append(container)
        for container in orphans:
            await self._remove(container)

    async def keep_images(self) -> None:
        """Save the references."""
        self._state.save("images", {"references": [image.reference for image in self._book.images.all()]})

    async def keep_configuration(self) -> None:
        """Save the block of addresses."""
        self._state.save("runtime", {"pod_cidr": self._book.addresses.cidr})

    # ---- sandboxes

    async def run_pod_sandbox(self, request: pb.RunPodSandboxRequest) -> pb.RunPodSandboxResponse:
        """Record a sandbox and give it an address; it has no process."""
        _ = self._keeper
        sandbox = self._book.new_sandbox(request.config, request.runtime_handler, self.new_id(), self.now_ns())
        self._book.add_sandbox(sandbox)
        try:
            if request.config.log_directory:
                os.makedirs(request.config.log_directory, 0o755, exist_ok=True)
            await anyio.to_thread.run_sync(self._state.save_sandbox, sandbox)
        except OSError as error:
            self._book.forget_sandbox(sandbox)
            raise RuntimeServiceError(f"failed to create sandbox: {error}", code="Unknown") from error
        return pb.RunPodSandboxResponse(pod_sandbox_id=sandbox.id)

    async def stop_pod_sandbox(self, request: pb.StopPodSandboxRequest) -> pb.StopPodSandboxResponse:
        """Kill what runs in the sandbox and give back its address."""
        keeper = self._keeper
        sandbox = self._book.sandboxes.get(request.pod_sandbox_id)
        if sandbox is None:
            return pb.StopPodSandboxResponse()
        async with anyio.create_task_group() as tasks:
            for container in list(sandbox.containers.values()):
                tasks.start_soon(keeper.stop, container, 0)
        if sandbox.ready:
            sandbox.ready = False
            self._book.release_address(sandbox)
            await anyio.to_thread.run_sync(self._state.save_sandbox, sandbox)
        return pb.StopPodSandboxResponse()

    async def remove_pod_sandbox(self, request: pb.RemovePodSandboxRequest) -> pb.RemovePodSandboxResponse:
        """Remove the sandbox and its containers."""
        sandbox = self._book.sandboxes.get(request.pod_sandbox_id)
        if sandbox is not None:
            await self.stop_pod_sandbox(pb.StopPodSandboxRequest(pod_sandbox_id=sandbox.id))
            for container in list(sandbox.containers.values()):
                await self._remove(container)
            self._state.drop_sandbox(sandbox.id)
            self._book.forget_sandbox(sandbox)
        return pb.RemovePodSandboxResponse()

    # ---- containers

    async def create_container(self, request: pb.CreateContainerRequest) -> pb.CreateContainerResponse:
        """Check and record a container; its mounts are rehearsed, so one that is impossible is refused here."""
        _ = self._keeper
        sandbox = self._book.sandbox(request.pod_sandbox_id)
        container = self._book.new_container(sandbox, request.config, self.new_id(), self.now_ns())
        spec = build_spec(request.config, container.log_path)
        container.user = describe(spec["program"]["identity"])
        self._book.add_container(container)  # its name is taken from here on
        try:
            if container.log_path:
                os.makedirs(os.path.dirname(container.log_path), 0o755, exist_ok=True)
            await anyio.to_thread.run_sync(self._state.save_container, container, spec)
            if spec["mounts"]:
                folder = self._state.container_folder(container.id)
                answer = await self._link.ask("rehearse", {"dir": folder})
                if answer is None or "error" in answer:
                    why = (answer or {}).get("error", "the rehearsal was killed")
                    raise refuse(f"failed to create container: {why}", code="Unknown")
        except BaseException as error:
            self._book.forget_container(container)
            self._state.drop_container(container.id)
            if isinstance(error, OSError):
                raise refuse(f"failed to create container: {error}", code="Unknown") from error
            raise
        self.announce(container, pb.CONTAINER_CREATED_EVENT)
        return pb.CreateContainerResponse(container_id=container.id)

    async def start_container(self, request: pb.StartContainerRequest) -> pb.StartContainerResponse:
        """Start a created container; its program has been executed when this returns."""
        await self._keeper.start(self._book.container(request.container_id))
        return pb.StartContainerResponse()

    async def stop_container(self, request: pb.StopContainerRequest) -> pb.StopContainerResponse:
        """Send the stop signal to the process group, kill everything after the timeout."""
        keeper = self._keeper
        container = self._book.containers.get(request.container_id)
        if container is not None:
            await keeper.stop(container, request.timeout)
        return pb.StopContainerResponse()

    async def remove_container(self, request: pb.RemoveContainerRequest) -> pb.RemoveContainerResponse:
        """Kill a container that runs and remove its records; its log stays."""
        container = self._book.containers.get(request.container_id)
        if container is not None:
            await self._remove(container)
        return pb.RemoveContainerResponse()

    async def _remove(self, container: Container) -> None:
        keeper = self._keeper
        await keeper.stop(container, 0)
        async with keeper.driver(container).lock:
            if self._book.containers.get(container.id) is not container:
                return
            self._state.drop_container(container.id)
            self._book.forget_container(container)
        self.announce(container, pb.CONTAINER_DELETED_EVENT)

    async def reopen_container_log(self, request: pb.ReopenContainerLogRequest) -> pb.ReopenContainerLogResponse:
        """Write the log to a new file."""
        await self._keeper.reopen_log(self._book.container(request.container_id))
        return pb.ReopenContainerLogResponse()

    async def exec_sync(self, request: pb.ExecSyncRequest) -> pb.ExecSyncResponse:
        """Run a command with the container's environment, mounts, working directory and user."""
        container = self._running(request.container_id)
        folder = self._keeper.driver(container).folder
        result = await run_command(self._link, folder.path, list(request.cmd), request.timeout)
        return pb.ExecSyncResponse(stdout=result.stdout, stderr=result.stderr, exit_code=result.exit_code)

    def _running(self, container_id: str) -> Container:
        container = self._book.container(container_id)
        if container.state != pb.CONTAINER_RUNNING:
            state = pb.ContainerState.Name(container.state)
            raise RuntimeServiceError(f"failed to exec in container: container is in {state} state", code="Unknown")
        return container

    def container_facts(self, container: Container) -> dict[str, str]:
        """Return process ids and directory, as containerd's verbose status does: one JSON document under `info`."""
        driver = self._keeper.driver(container)
        facts = {
            "pid": driver.process.get("pid", 0),
            "shim": driver.process.get("shim", 0),
            "directory": driver.folder.path,
        }
        return {"info": json.dumps(facts)}

    # ---- statistics

    async def container_stats(self, request: pb.ContainerStatsRequest) -> pb.ContainerStatsResponse:
        """Return processor time and resident memory of one container."""
        return pb.ContainerStatsResponse(stats=self._stats(self._book.container(request.container_id)))

    async def list_container_stats(self, request: pb.ListContainerStatsRequest) -> pb.ListContainerStatsResponse:
        """Return what the matching running containers use."""
        found = self._book.matching_containers(request.filter)
        return pb.ListContainerStatsResponse(
            stats=[self._stats(container) for container in found if container.state == pb.CONTAINER_RUNNING]
        )

    def _stats(self, container: Container) -> pb.ContainerStats:
        config = container.config
        attributes = pb.ContainerAttributes(
            id=container.id, metadata=config.metadata, labels=config.labels, annotations=config.annotations
        )
        if container.state != pb.CONTAINER_RUNNING:
            return pb.ContainerStats(attributes=attributes)
        usage = measure(self._keeper.driver(container).process["shim"])
        now = self.now_ns()
        resident = pb.UInt64Value(value=usage.resident_bytes)
        return pb.ContainerStats(
            attributes=attributes,
            cpu=pb.CpuUsage(timestamp=now, usage_core_nano_seconds=pb.UInt64Value(value=usage.cpu_nanoseconds)),
            memory=pb.MemoryUsage(timestamp=now, working_set_bytes=resident, rss_bytes=resident, usage_bytes=resident),
        )

    async def image_fs_info(self, request: pb.ImageFsInfoRequest) -> pb.ImageFsInfoResponse:
        """Return how full the file system of the root is."""
        usage = await anyio.to_thread.run_sync(shutil.disk_usage, self._state.root)
        filesystem = pb.FilesystemUsage(
            timestamp=self.now_ns(),
            fs_id=pb.FilesystemIdentifier(mountpoint=str(self._state.root)),
            used_bytes=pb.UInt64Value(value=usage.used),
            inodes_used=pb.UInt64Value(value=0),
        )
        return pb.ImageFsInfoResponse(image_filesystems=[filesystem], container_filesystems=[filesystem])

    # ---- streaming

    async def exec(self, request: pb.ExecRequest) -> pb.ExecResponse:
        """Refuse: there is no streaming endpoint; `exec_sync` runs commands without input."""
        raise _no_streaming("exec")

    async def attach(self, request: pb.AttachRequest) -> pb.AttachResponse:
        """Refuse: there is no streaming endpoint; the log has the output."""
        raise _no_streaming("attach")

    async def port_forward(self, request: pb.PortForwardRequest) -> pb.PortForwardResponse:
        """Refuse: there is no streaming endpoint; a sandbox's address can be reached directly on its host."""
        raise _no_streaming("port-forward")


def _no_streaming(what: str) -> RuntimeServiceError:
    return RuntimeServiceError(
        f"{what} is not implemented: the process runtime serves no streams", code="Unimplemented"
    )
