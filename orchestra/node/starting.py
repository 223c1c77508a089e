"""Starting one container: image, environment, mounts, create, start, postStart hook; each failure in its own words."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime
from typing import TYPE_CHECKING

from anyio import CancelScope

from orchestra._proto.cri.v1 import api_pb2 as pb
from orchestra.api.core import Pod
from orchestra.errors import RuntimeServiceError
from orchestra.node.actions import Start, note_failed_creation, note_failed_pull, note_restart
from orchestra.node.configs import container_config, sandbox_config
from orchestra.node.context import NodeContext
from orchestra.node.environment import ContainerConfigError, environment
from orchestra.node.hooks import HookError, run_hook
from orchestra.node.model import ContainerMemory, ObservedSandbox, Waiting
from orchestra.node.naming import container_named, field_path
from orchestra.node.probes import ProbeTarget
from orchestra.node.pulling import AWAY, StartFailed, ensure_image
from orchestra.node.stopping import grace_of, stop_run
from orchestra.node.termination import message_file, message_mount, wants_message
from orchestra.node.volumes import container_mounts

if TYPE_CHECKING:
    from orchestra.api.core import Container


async def start_container(
    node: NodeContext,
    pod: Pod,
    start: Start,
    sandbox: ObservedSandbox,
    memory: ContainerMemory,
    *,
    interruptible: Callable[[], AbstractContextManager[CancelScope]],
) -> None:
    """Create and start one run of a container; what went wrong is left in `memory.waiting` and in Events.

    `interruptible` gives the scopes of what may last long, the pull and the hook: cancelled, the start is given up.
    Raises APIError and RuntimeServiceError (Unavailable) when server or runtime are away: nothing was started then.
    """
    container = container_named(pod, start.name)
    field = field_path(pod, container)
    memory.announced_backoff = False
    try:
        image = ""
        with interruptible() as scope:
            image = await ensure_image(node, pod, container, field)
        if scope.cancelled_caught:
            return
        container_id = await _create(node, pod, container, start, sandbox, image)
        node.events.normal(pod, "Created", "Container created", field_path=field)
        await _run(node, container_id)
    except StartFailed as failure:
        _note_failure(memory, container, failure, node.clock.now())
        if start.attempt and not failure.hold and start.counts:
            note_restart(memory, node.clock.now())
        for reason, message in failure.events:
            node.events.warning(pod, reason, message, field_path=field)
        return
    node.events.normal(pod, "Started", "Container started", field_path=field)
    memory.waiting, memory.hold_since, memory.hold_seconds = None, None, 0.0
    if start.attempt and start.counts:
        note_restart(memory, node.clock.now())
    with interruptible():
        await _post_start(node, pod, container, container_id, sandbox.ip or node.host_ip, memory)


def _note_failure(memory: ContainerMemory, container: Container, failure: StartFailed, now: datetime) -> None:
    memory.waiting = failure.waiting
    if not failure.hold:
        memory.hold_since, memory.hold_seconds = None, 0.0
    elif failure.waiting.reason == "ErrImagePull":
        note_failed_pull(memory, container.image, now)
    else:
        note_failed_creation(memory, container.image, now)


async def _create(
    node: NodeContext, pod: Pod, container: Container, start: Start, sandbox: ObservedSandbox, image: str
) -> str:
    try:
        variables = environment(pod, container, await node.sources(pod), node.place(sandbox.ip or node.host_ip))
        mounts = list(container_mounts(container, node.volumes.paths(pod), variables))
        if wants_message(container):
            file = message_file(node.volumes.pod_directory(pod.metadata.uid), container.name, start.attempt)
            mounts.append(message_mount(file, container))
        config = container_config(
            pod, container, attempt=start.attempt, variables=variables, mounts=mounts, image=image
        )
    except (ContainerConfigError, OSError) as error:
        text = str(error)
        waiting = Waiting("CreateContainerConfigError", text)
        raise StartFailed(waiting=waiting, events=(("Failed", f"Error: {text}"),)) from None
    shared = sandbox_config(pod, sandbox.attempt, log_directory(node, pod))
    request = pb.CreateContainerRequest(pod_sandbox_id=sandbox.id, config=config, sandbox_config=shared)
    try:
        if start.remove:
            await node.runtime.remove_container(pb.RemoveContainerRequest(container_id=start.remove))
        return (await node.runtime.create_container(request)).container_id
    except RuntimeServiceError as error:
        if error.code in AWAY:
            raise
        waiting = Waiting(error.reason or "CreateContainerError", error.message)
        raise StartFailed(waiting=waiting, events=(("Failed", f"Error: {error.message}"),)) from None


def log_directory(node: NodeContext, pod: Pod) -> str:
    """Return where the logs of a Pod lie, named as a kubelet names it; below it `<container>/<attempt>.log`."""
    meta = pod.metadata
    return f"{node.log_root}/{meta.namespace}_{meta.name}_{meta.uid}"


async def _run(node: NodeContext, container_id: str) -> None:
    try:
        await node.runtime.start_container(pb.StartContainerRequest(container_id=container_id))
    except RuntimeServiceError as error:
        if error.code in AWAY:
            raise
        waiting = Waiting(error.reason or "RunContainerError", error.message)
        # The run exists and has failed (exit code 128): it is retried as a crash is, not as a failed creation.
        events = (("Failed", f"Error: {error.message}"),)
        raise StartFailed(waiting=waiting, events=events, hold=False) from None


async def _post_start(
    node: NodeContext, pod: Pod, container: Container, container_id: str, ip: str, memory: ContainerMemory
) -> None:
    """Run the postStart hook before anything else is started; a container whose hook fails is ended."""
    hook = container.lifecycle.post_start if container.lifecycle else None
    if hook is None:
        return
    target = ProbeTarget(pod=pod, container=container, container_id=container_id, ip=ip)
    try:
        await run_hook(node.runtime, target, hook, "postStart")
    except HookError as error:
        node.events.warning(pod, "FailedPostStartHook", "PostStartHook failed", field_path=field_path(pod, container))
        memory.waiting = Waiting("PostStartHookError", str(error))
        await stop_run(node, target, grace_of(pod), "FailedPostStartHook")
