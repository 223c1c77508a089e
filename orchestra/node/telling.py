"""Telling of starts that are delayed: the reason in the status, and an Event."""

from __future__ import annotations

from orchestra.api.core import Pod
from orchestra.node.actions import Actions
from orchestra.node.context import NodeContext
from orchestra.node.model import ContainerMemory, PodMemory, Waiting
from orchestra.node.naming import container_named, field_path


def announce_delays(node: NodeContext, pod: Pod, memory: PodMemory, actions: Actions) -> None:
    """Let status and Events say which containers wait for a restart or for another pull."""
    for name, delay in actions.backing_off.items():
        _restart(node, pod, name, memory.of(name), delay)
    for name in actions.pulling_later:
        _pull(node, pod, name, memory.of(name))


def _restart(node: NodeContext, pod: Pod, name: str, memory: ContainerMemory, delay: float) -> None:
    meta = pod.metadata
    whole = f"{meta.name}_{meta.namespace}({meta.uid})"
    text = f"back-off {go_duration(delay)} restarting failed container={name} pod={whole}"
    memory.waiting = Waiting("CrashLoopBackOff", text)
    if not memory.announced_backoff:
        memory.announced_backoff = True
        event = f"Back-off restarting failed container {name} in pod {whole}"
        node.events.warning(pod, "BackOff", event, field_path=field_path(pod, container_named(pod, name)))


def _pull(node: NodeContext, pod: Pod, name: str, memory: ContainerMemory) -> None:
    container = container_named(pod, name)
    failed = memory.waiting
    text = f'Back-off pulling image "{container.image}"'
    why = f": {failed.reason}: {failed.message}" if failed is not None else ""
    memory.waiting = Waiting("ImagePullBackOff", text + why)
    field = field_path(pod, container)
    node.events.normal(pod, "BackOff", text, field_path=field)
    node.events.warning(pod, "Failed", "Error: ImagePullBackOff", field_path=field)


def go_duration(seconds: float) -> str:
    """Return whole seconds as Go writes a duration: `10s`, `1m20s`, `5m0s`."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"
