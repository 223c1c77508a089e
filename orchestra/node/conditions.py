"""The conditions of a Pod that its node decides. Pure; sources: Kubernetes documentation, "Pod Lifecycle"."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestra.api.core import PodCondition
from orchestra.node.actions import is_sidecar
from orchestra.node.statuses import StatusInput, at_second

if TYPE_CHECKING:
    from orchestra.api.core import ContainerStatus

OWN_CONDITIONS = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")

Verdict = tuple[bool, str, str]
"""Status, reason and message of a condition."""


def pod_conditions(
    given: StatusInput, phase: str, init: tuple[ContainerStatus, ...], main: tuple[ContainerStatus, ...]
) -> tuple[PodCondition, ...]:
    """Return all conditions of a Pod; `phase` is the true one, which a Pod that is ending does not show yet."""
    old = {c.type: c for c in given.pod.status.conditions}
    ready = _containers_ready(given, phase, init, main)
    verdicts: dict[str, Verdict] = {
        "PodReadyToStartContainers": (given.observed.sandbox is not None and not given.ended, "", ""),
        "Initialized": _initialized(given, phase, init, main),
        "Ready": _ready(given, ready, old),
        "ContainersReady": ready,
        "PodScheduled": (True, "", ""),
    }
    own = [_condition(given, name, old.get(name), verdicts[name]) for name in OWN_CONDITIONS]
    return (*own, *(c for c in given.pod.status.conditions if c.type not in OWN_CONDITIONS))


def _containers_ready(
    given: StatusInput, phase: str, init: tuple[ContainerStatus, ...], main: tuple[ContainerStatus, ...]
) -> Verdict:
    if phase == "Succeeded":
        return False, "PodCompleted", ""
    if phase == "Failed":
        return False, "PodFailed", ""
    sidecars = _sidecars(given)
    unready = [s.name for s in (*(s for s in init if s.name in sidecars), *_in_order(given, main)) if not s.ready]
    if unready:
        return False, "ContainersNotReady", f"containers with unready status: [{' '.join(unready)}]"
    return True, "", ""


def _ready(given: StatusInput, containers: Verdict, old: dict[str, PodCondition]) -> Verdict:
    gates = [gate.condition_type for gate in given.pod.spec.readiness_gates]
    missing = [gate for gate in gates if gate not in old or old[gate].status != "True"]
    if not containers[0] or not missing:
        return containers
    texts = [
        f'the status of pod readiness gate "{gate}" is not "True", but {old[gate].status}'
        if gate in old
        else f'corresponding condition of pod readiness gate "{gate}" does not exist.'
        for gate in missing
    ]
    return False, "ReadinessGatesNotReady", ", ".join(texts)


def _initialized(
    given: StatusInput, phase: str, init: tuple[ContainerStatus, ...], main: tuple[ContainerStatus, ...]
) -> Verdict:
    if phase == "Succeeded":
        return True, "PodCompleted", ""
    if any(s.state.running is not None or s.state.terminated is not None for s in main if s.container_id):
        return True, "", ""
    sidecars = _sidecars(given)
    open_ends = [s.name for s in init if not (s.started if s.name in sidecars else s.ready)]
    if open_ends:
        text = f"containers with incomplete status: [{' '.join(open_ends)}]"
        return False, "ContainersNotInitialized", text
    return True, "", ""


def _sidecars(given: StatusInput) -> set[str]:
    return {c.name for c in given.pod.spec.init_containers if is_sidecar(c)}


def _in_order(given: StatusInput, main: tuple[ContainerStatus, ...]) -> list[ContainerStatus]:
    by_name = {status.name: status for status in main}
    return [by_name[container.name] for container in given.pod.spec.containers]


def _condition(given: StatusInput, name: str, old: PodCondition | None, verdict: Verdict) -> PodCondition:
    """Return a condition whose transition time changes only with its status."""
    word = "True" if verdict[0] else "False"
    since = old.last_transition_time if old is not None and old.status == word else at_second(given.now)
    return PodCondition(
        type=name,
        status=word,
        reason=verdict[1],
        message=verdict[2],
        last_transition_time=since,
        observed_generation=given.pod.metadata.generation,
    )
