"""Ending containers: preStop hook, signal, grace period, in the right order."""

from __future__ import annotations

import anyio

from orchestra._proto.cri.v1 import api_pb2 as pb
from orchestra.api.core import Pod
from orchestra.errors import RuntimeServiceError
from orchestra.node.actions import is_sidecar
from orchestra.node.context import NodeContext
from orchestra.node.hooks import HookError, run_hook
from orchestra.node.model import ObservedContainer, ObservedPod
from orchestra.node.starting import container_named, field_path

MINIMUM_GRACE_SECONDS = 2
"""What a container gets between its signal and the kill when its preStop hook has used up the grace period."""


def grace_of(pod: Pod) -> int:
    """Return the grace period that is in force for a Pod: that of its deletion, or its own."""
    meta = pod.metadata
    if meta.deletion_grace_period_seconds is not None:
        return meta.deletion_grace_period_seconds
    own = pod.spec.termination_grace_period_seconds
    return 30 if own is None else own


async def stop_run(
    node: NodeContext, pod: Pod, run: ObservedContainer, grace_seconds: int, message: str, ip: str = ""
) -> None:
    """End one run of a container: event, preStop hook and signal within the grace period, then the kill.

    A runtime that does not answer is left to the next try; what it says goes into an event.
    """
    names = {c.name for c in (*pod.spec.init_containers, *pod.spec.containers)}
    container = container_named(pod, run.name) if run.name in names else None
    field = field_path(pod, container) if container else ""
    if message:
        node.events.normal(pod, "Killing", message, field_path=field)
    began = node.clock.monotonic()
    hook = container.lifecycle.pre_stop if container and container.lifecycle else None
    if container is not None and hook is not None and grace_seconds > 0:
        with anyio.move_on_after(grace_seconds) as scope:
            try:
                await run_hook(node.runtime, container, hook, run.id, ip)
            except HookError:
                node.events.warning(pod, "FailedPreStopHook", "PreStopHook failed", field_path=field)
        if scope.cancelled_caught:
            node.events.warning(pod, "FailedPreStopHook", "PreStopHook failed", field_path=field)
        grace_seconds = max(int(grace_seconds - (node.clock.monotonic() - began)), MINIMUM_GRACE_SECONDS)
    try:
        await node.runtime.stop_container(pb.StopContainerRequest(container_id=run.id, timeout=grace_seconds))
    except RuntimeServiceError as error:
        node.events.warning(pod, "FailedKillPod", f"error killing container: {error.message}", field_path=field)


async def stop_all(node: NodeContext, pod: Pod, observed: ObservedPod, grace_seconds: int) -> None:
    """End every container of a Pod: the main ones together, then the sidecars, the last one first.

    All of it shares one grace period; the events come at once, as a kubelet's do.
    """
    sidecars = [c.name for c in pod.spec.init_containers if is_sidecar(c)]
    running = {run.name: run for run in observed.running}
    for name in running:
        known = any(c.name == name for c in (*pod.spec.init_containers, *pod.spec.containers))
        field = field_path(pod, container_named(pod, name)) if known else ""
        node.events.normal(pod, "Killing", f"Stopping container {name}", field_path=field)
    deadline = node.clock.monotonic() + grace_seconds
    ip = observed.sandboxes[0].ip if observed.sandboxes else ""
    async with anyio.create_task_group() as group:
        for name, run in running.items():
            if name not in sidecars:
                group.start_soon(stop_run, node, pod, run, grace_seconds, "", ip)
    for name in reversed(sidecars):
        if name in running:
            left = max(int(deadline - node.clock.monotonic()), 0 if grace_seconds == 0 else MINIMUM_GRACE_SECONDS)
            await stop_run(node, pod, running[name], left, "", ip)
