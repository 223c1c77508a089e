"""Starting one container: image, environment, mounts, create, start, postStart hook; each failure in its own words."""

from __future__ import annotations

from pathlib import Path

import attrs

from orchestra._proto.cri.v1 import api_pb2 as pb
from orchestra.api.core import Container, Pod
from orchestra.errors import RuntimeServiceError
from orchestra.node.actions import Start, note_failed_start, note_restart
from orchestra.node.configs import check_image, container_config, sandbox_config
from orchestra.node.context import NodeContext
from orchestra.node.environment import ContainerConfigError, environment
from orchestra.node.hooks import HookError, run_hook
from orchestra.node.model import ContainerMemory, ObservedSandbox, Waiting
from orchestra.node.volumes import MountError, container_mounts


@attrs.frozen(kw_only=True)
class StartFailed(Exception):
    """Why a container is not running: the reason in its status and the text of the event `Failed`."""

    waiting: Waiting
    event: str
    event_reason: str = "Failed"
    hold: bool = True


async def start_container(
    node: NodeContext, pod: Pod, start: Start, sandbox: ObservedSandbox, memory: ContainerMemory
) -> None:
    """Create and start one run of a container; what went wrong is left in `memory.waiting` and in an event."""
    container = container_named(pod, start.name)
    field = field_path(pod, container)
    try:
        image = await _ensure_image(node, pod, container, field)
        container_id = await _create(node, pod, container, start, sandbox, image)
        node.events.normal(pod, "Created", "Container created", field_path=field)
        await _run(node, container_id)
    except StartFailed as failure:
        memory.waiting = failure.waiting
        if failure.hold:
            note_failed_start(memory, node.clock.now())
        if start.attempt:
            note_restart(memory, node.clock.now())
        node.events.warning(pod, failure.event_reason, failure.event, field_path=field)
        return
    node.events.normal(pod, "Started", "Container started", field_path=field)
    memory.waiting, memory.hold_since, memory.hold_seconds = None, None, 0.0
    if start.attempt:
        note_restart(memory, node.clock.now())
    await _post_start(node, pod, container, container_id, sandbox.ip, memory)


def container_named(pod: Pod, name: str) -> Container:
    """Return the container of that name."""
    return next(c for c in (*pod.spec.init_containers, *pod.spec.containers) if c.name == name)


def field_path(pod: Pod, container: Container) -> str:
    """Return how Events name a container of a Pod."""
    kind = "initContainers" if any(c.name == container.name for c in pod.spec.init_containers) else "containers"
    return f"spec.{kind}{{{container.name}}}"


async def _ensure_image(node: NodeContext, pod: Pod, container: Container, field: str) -> str:
    """Return the id of the container's image on the node, pulling it as its policy says."""
    name = container.image or ""
    try:
        check_image(name)
    except ContainerConfigError as error:
        text = str(error)
        raise StartFailed(waiting=Waiting("InvalidImageName", text), event=text, event_reason="InspectFailed") from None
    spec = pb.ImageSpec(image=name)
    held = (await node.runtime.image_status(pb.ImageStatusRequest(image=spec))).image
    policy = container.image_pull_policy or "IfNotPresent"
    if held.id and policy != "Always":
        text = f'Container image "{name}" already present on machine and can be accessed by the pod'
        node.events.normal(pod, "Pulled", text, field_path=field)
        return held.id
    if policy == "Never":
        text = f'Container image "{name}" is not present with pull policy of Never'
        raise StartFailed(waiting=Waiting("ErrImageNeverPull", text), event=text, event_reason="ErrImageNeverPull")
    node.events.normal(pod, "Pulling", f'Pulling image "{name}"', field_path=field)
    began = node.clock.monotonic()
    try:
        answer = await node.runtime.pull_image(pb.PullImageRequest(image=spec))
    except RuntimeServiceError as error:
        text = f'Failed to pull image "{name}": {error.message}'
        node.events.warning(pod, "Failed", text, field_path=field)
        raise StartFailed(waiting=Waiting("ErrImagePull", error.message), event="Error: ErrImagePull") from None
    took = int((node.clock.monotonic() - began) * 1000)
    text = f'Successfully pulled image "{name}" in {took}ms ({took}ms including waiting). Image size: 0 bytes.'
    node.events.normal(pod, "Pulled", text, field_path=field)
    return answer.image_ref


async def _create(
    node: NodeContext, pod: Pod, container: Container, start: Start, sandbox: ObservedSandbox, image: str
) -> str:
    try:
        sources = await node.sources(pod)
        place = node.place(sandbox.ip)
        variables = environment(pod, container, sources, place)
        volumes = node.volumes.prepare(pod, sources, place)
        mounts = container_mounts(container, volumes, variables)
        config = container_config(
            pod, container, attempt=start.attempt, variables=variables, mounts=mounts, image=image
        )
    except ContainerConfigError as error:
        text = str(error)
        raise StartFailed(waiting=Waiting("CreateContainerConfigError", text), event=f"Error: {text}") from None
    except MountError as error:
        raise StartFailed(waiting=Waiting("ContainerCreating"), event=str(error), event_reason="FailedMount") from None
    shared = sandbox_config(pod, sandbox.attempt, log_directory(node, pod))
    request = pb.CreateContainerRequest(pod_sandbox_id=sandbox.id, config=config, sandbox_config=shared)
    try:
        if start.remove:
            await node.runtime.remove_container(pb.RemoveContainerRequest(container_id=start.remove))
        return (await node.runtime.create_container(request)).container_id
    except RuntimeServiceError as error:
        waiting = Waiting(error.reason or "CreateContainerError", error.message)
        raise StartFailed(waiting=waiting, event=f"Error: {error.message}") from None


def log_directory(node: NodeContext, pod: Pod) -> str:
    """Return where the logs of a Pod lie, named as a kubelet names it."""
    meta = pod.metadata
    return str(Path(node.log_root) / f"{meta.namespace}_{meta.name}_{meta.uid}")


async def _run(node: NodeContext, container_id: str) -> None:
    try:
        await node.runtime.start_container(pb.StartContainerRequest(container_id=container_id))
    except RuntimeServiceError as error:
        waiting = Waiting(error.reason or "RunContainerError", error.message)
        # The run exists and has failed (exit code 128): it is retried as a crash is, not as a failed creation.
        raise StartFailed(waiting=waiting, event=f"Error: {error.message}", hold=False) from None


async def _post_start(
    node: NodeContext, pod: Pod, container: Container, container_id: str, ip: str, memory: ContainerMemory
) -> None:
    hook = container.lifecycle.post_start if container.lifecycle else None
    if hook is None:
        return
    try:
        await run_hook(node.runtime, container, hook, container_id, ip)
    except HookError as error:
        node.events.warning(pod, "FailedPostStartHook", "PostStartHook failed", field_path=field_path(pod, container))
        memory.probed_run, memory.unhealthy = container_id, "FailedPostStartHook"
        memory.waiting = Waiting("PostStartHookError", str(error))
