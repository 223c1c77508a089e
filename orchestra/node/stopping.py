"""Ending containers: preStop hook, signal, grace period, in the right order."""

from __future__ import annotations

import anyio

from orchestra._proto.cri.v1 import api_pb2 as pb
from orchestra.api.core import Pod
from orchestra.errors import RuntimeServiceError
from orchestra.node.actions import is_sidecar
from orchestra.node.context import NodeContext
from orchestra.node.hooks import HookError, run_hook
from orchestra.node.model import ObservedContainer
from orchestra.node.naming import container_named, field_path, has_container
from orchestra.node.probes import ProbeTarget

MINIMUM_GRACE_SECONDS = 2
"""What a container gets between its signal and the kill in any case, so that a well-behaved one is not killed."""


def grace_of(pod: Pod) -> int:
    """Return the grace period that is in force for a Pod: that of its deletion, or its own; at least one second.

    A forced deletion (0) takes the object away at once, but leaves the containers the Pod's own grace period.
    """
    own = pod.spec.termination_grace_period_seconds
    return max(pod.metadata.deletion_grace_period_seconds or (30 if own is None else own), 1)


async def stop_run(node: NodeContext, target: ProbeTarget, grace_seconds: int, message: str) -> bool:
    """End one run of a container: event, preStop hook and signal within the grace period, then the kill.

    Returns False when the runtime refused: that is left to the next try, and what it says goes into an event.
    """
    pod, container = target.pod, target.container
    field = field_path(pod, container)
    if message:
        node.events.normal(pod, "Killing", message, field_path=field)
    began = node.clock.monotonic()
    hook = container.lifecycle.pre_stop if container.lifecycle else None
    if hook is not None and grace_seconds > 0:
        with anyio.move_on_after(grace_seconds) as scope:
            try:
                await run_hook(node.runtime, target, hook, "preStop")
            except HookError:
                node.events.warning(pod, "FailedPreStopHook", "PreStopHook failed", field_path=field)
        if scope.cancelled_caught:
            node.events.warning(pod, "FailedPreStopHook", "PreStopHook failed", field_path=field)
    left = max(int(grace_seconds - (node.clock.monotonic() - began)), MINIMUM_GRACE_SECONDS)
    return await stop_container(node, pod, target.container_id, left, field)


async def stop_container(node: NodeContext, pod: Pod, container_id: str, grace_seconds: int, field: str) -> bool:
    """Send the signal, and kill after the grace period; say whether the runtime has done so."""
    try:
        await node.runtime.stop_container(pb.StopContainerRequest(container_id=container_id, timeout=grace_seconds))
    except RuntimeServiceError as error:
        node.events.warning(pod, "FailedKillPod", f"error killing container: {error.message}", field_path=field)
        return False
    return True


async def stop_all(
    node: NodeContext, pod: Pod, running: tuple[ObservedContainer, ...], ip: str, grace_seconds: int
) -> None:
    """End containers of a Pod: the main ones together, then the sidecars, the last one first.

    All of it shares one grace period; the events come at once, as a kubelet's do.
    """
    known = {run.name: run for run in running if has_container(pod, run.name)}
    strangers = [run for run in running if run.name not in known]
    sidecars = [c for c in pod.spec.init_containers if is_sidecar(c) and c.name in known]
    order = [c for c in (*pod.spec.init_containers, *pod.spec.containers) if c.name in known]
    for container in order:
        field = field_path(pod, container)
        node.events.normal(pod, "Killing", f"Stopping container {container.name}", field_path=field)

    def target(name: str) -> ProbeTarget:
        return ProbeTarget(pod=pod, container=container_named(pod, name), container_id=known[name].id, ip=ip)

    deadline = node.clock.monotonic() + grace_seconds
    async with anyio.create_task_group() as group:
        for run in strangers:
            group.start_soon(stop_container, node, pod, run.id, grace_seconds, "")
        for container in order:
            if container not in sidecars:
                group.start_soon(stop_run, node, target(container.name), grace_seconds, "")
    for container in reversed(sidecars):
        left = max(int(deadline - node.clock.monotonic()), MINIMUM_GRACE_SECONDS)
        await stop_run(node, target(container.name), left, "")
