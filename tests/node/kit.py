"""Builders of Pods and of what a runtime shows of them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from orchestra.api.builders import EPOCH
from orchestra.api.core import Container, Pod, PodSpec, PodStatus
from orchestra.api.object import ObjectMeta
from orchestra.node.actions import container_hash
from orchestra.node.model import ContainerState, ObservedContainer, ObservedPod, ObservedSandbox, PodMemory
from orchestra.node.status import StatusInput

NOW = EPOCH + timedelta(hours=1)


def at(seconds: float) -> datetime:
    """A time so many seconds after NOW."""
    return NOW + timedelta(seconds=seconds)


def container(name: str = "c", **fields: Any) -> Container:
    fields.setdefault("image", "i:1")
    return Container(name=name, **fields)


def pod(*containers: Container, status: PodStatus | None = None, **spec: Any) -> Pod:
    meta = ObjectMeta(name="p", namespace="default", uid="u", generation=1, resource_version="1")
    spec.setdefault("containers", containers or (container(),))
    return Pod(metadata=meta, spec=PodSpec(**spec), status=status or PodStatus())


def sandbox(attempt: int = 0, *, ready: bool = True) -> ObservedSandbox:
    return ObservedSandbox(id=f"sandbox-{attempt}", attempt=attempt, ready=ready, ip="127.1.2.3", created_at=NOW)


def run(
    of: Container | str = "c", attempt: int = 0, *, exit_code: int | None = None, ended: float = 0.0, box: int = 0
) -> ObservedContainer:
    """One run; with an exit code it ended `ended` seconds after NOW."""
    declared = container(of) if isinstance(of, str) else of
    over = exit_code is not None
    return ObservedContainer(
        id=f"{declared.name}-{attempt}",
        name=declared.name,
        sandbox_id=f"sandbox-{box}",
        attempt=attempt,
        state=ContainerState.EXITED if over else ContainerState.RUNNING,
        created_at=at(ended - 1),
        started_at=at(ended - 1),
        finished_at=at(ended) if over else None,
        exit_code=exit_code or 0,
        image=declared.image,
        image_id="sha256:1",
        hash=container_hash(declared),
    )


def seen(*runs: ObservedContainer, boxes: tuple[ObservedSandbox, ...] | None = None) -> ObservedPod:
    newest_first = tuple(sorted(runs, key=lambda one: -one.attempt))
    return ObservedPod(sandboxes=(sandbox(),) if boxes is None else boxes, containers=newest_first)


def given(of: Pod, observed: ObservedPod, memory: PodMemory | None = None, **fields: Any) -> StatusInput:
    memory = memory or PodMemory(start_time=NOW)
    fields.setdefault("now", NOW)
    return StatusInput(pod=of, observed=observed, memory=memory, host_ip="127.0.0.1", runtime_name="fake", **fields)
