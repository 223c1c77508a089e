"""The status of a Pod as the API shows it, from what the runtime shows and the agent remembers.

Pure. Phases, reasons and conditions follow the Kubernetes documentation ("Pod Lifecycle") and what its kubelet
writes.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import attrs

from orchestra.api.core import (
    Container,
    ContainerState,
    ContainerStateRunning,
    ContainerStateTerminated,
    ContainerStateWaiting,
    ContainerStatus,
    HostIP,
    Pod,
    PodCondition,
    PodIP,
    PodStatus,
)
from orchestra.node.actions import is_sidecar
from orchestra.node.model import ContainerState as RunState
from orchestra.node.model import ObservedContainer, ObservedPod, PodMemory

OWN_CONDITIONS = frozenset({"PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady"})
UNKNOWN_EXIT_CODE = 137


@attrs.frozen(kw_only=True)
class StatusInput:
    """What a status is made of. `host_ip` is the node's address; `ended`: the sandbox is stopped, nothing runs."""

    pod: Pod
    observed: ObservedPod
    memory: PodMemory
    host_ip: str
    runtime_name: str
    now: datetime
    ended: bool = False


def pod_status(given: StatusInput) -> PodStatus:
    """Return the whole status of a Pod, conditions of other writers included."""
    pod, memory = given.pod, given.memory
    old = pod.status
    if memory.rejected is not None and not given.observed.containers and memory.rejected.reason != "DeadlineExceeded":
        return PodStatus(
            phase="Failed",
            reason=memory.rejected.reason,
            message=memory.rejected.message,
            start_time=old.start_time or _seconds(given.now),
            qos_class=old.qos_class,
        )
    init = tuple(_container_status(given, c, init=True) for c in pod.spec.init_containers)
    main = tuple(_container_status(given, c, init=False) for c in pod.spec.containers)
    phase = _phase(given, init, main)
    ip = given.observed.sandboxes[0].ip if given.observed.sandboxes else ""
    ip = ip or memory.ip
    failed = memory.rejected is not None
    return attrs.evolve(
        old,
        phase="Failed" if failed and given.ended else phase,
        reason=memory.rejected.reason if memory.rejected else "",
        message=memory.rejected.message if memory.rejected else "",
        observed_generation=pod.metadata.generation,
        host_ip=given.host_ip,
        host_ips=(HostIP(ip=given.host_ip),),
        pod_ip=ip,
        pod_ips=(PodIP(ip=ip),) if ip else (),
        start_time=_seconds(memory.start_time),
        init_container_statuses=init,
        container_statuses=main,
        conditions=_conditions(given, phase, init, main),
    )


def _container_status(given: StatusInput, container: Container, *, init: bool) -> ContainerStatus:
    runs = given.observed.runs(container.name)
    memory = given.memory.of(container.name)
    run = runs[0] if runs else None
    before = runs[1] if len(runs) > 1 else None
    state, last = _states(given, container, run, before)
    running = run is not None and run.state is RunState.RUNNING
    ready = running and _is_ready(given, container)
    if init and not is_sidecar(container):
        ready = run is not None and run.state is RunState.EXITED and run.exit_code == 0
    started = running and (container.startup_probe is None or memory.started is True)
    return ContainerStatus(
        name=container.name,
        state=state,
        last_state=last,
        ready=ready,
        started=started,
        restart_count=run.attempt if run else 0,
        image=(run.image if run and run.image else container.image) or "",
        image_id=run.image_id if run else "",
        container_id=f"{given.runtime_name}://{run.id}" if run else "",
        resources=container.resources if run else None,
        allocated_resources=container.resources.requests if run and container.resources else {},
    )


def _is_ready(given: StatusInput, container: Container) -> bool:
    memory = given.memory.of(container.name)
    if container.startup_probe is not None and memory.started is not True:
        return False
    return container.readiness_probe is None or memory.ready is True


def _states(
    given: StatusInput, container: Container, run: ObservedContainer | None, before: ObservedContainer | None
) -> tuple[ContainerState, ContainerState]:
    """Return `state` and `lastState` of a container."""
    waiting = given.memory.of(container.name).waiting
    last = _terminated(given, before) if before is not None else ContainerState()
    if run is None or run.state is RunState.CREATED:
        if given.ended and given.pod.metadata.deletion_timestamp is not None:
            return _never_seen(), last
        reason, message = (waiting.reason, waiting.message) if waiting else (_first_reason(given, container), "")
        return ContainerState(waiting=ContainerStateWaiting(reason=reason, message=message)), last
    if run.state is RunState.RUNNING:
        return ContainerState(running=ContainerStateRunning(started_at=_seconds(run.started_at))), last
    if waiting is not None and not given.ended:
        shown = ContainerStateWaiting(reason=waiting.reason, message=waiting.message)
        return ContainerState(waiting=shown), _terminated(given, run)
    return _terminated(given, run), last


def _first_reason(given: StatusInput, container: Container) -> str:
    """A main container of a Pod with init containers waits for them; every other one is being created."""
    is_main = any(c.name == container.name for c in given.pod.spec.containers)
    if given.pod.spec.init_containers and is_main:
        return "PodInitializing"
    first = given.pod.spec.init_containers[0].name if given.pod.spec.init_containers else container.name
    return "ContainerCreating" if is_main or container.name == first else "PodInitializing"


def _never_seen() -> ContainerState:
    text = "The container could not be located when the pod was terminated"
    return ContainerState(
        terminated=ContainerStateTerminated(exit_code=UNKNOWN_EXIT_CODE, reason="ContainerStatusUnknown", message=text)
    )


def _terminated(given: StatusInput, run: ObservedContainer) -> ContainerState:
    reason = run.reason or ("Completed" if run.exit_code == 0 else "Error")
    return ContainerState(
        terminated=ContainerStateTerminated(
            exit_code=run.exit_code,
            reason=reason,
            message=run.message,
            started_at=_seconds(run.started_at or run.created_at),
            finished_at=_seconds(run.finished_at),
            container_id=f"{given.runtime_name}://{run.id}",
        )
    )


def _seconds(time: datetime | None) -> datetime | None:
    """Return a time as precisely as the API holds it, so that a status equals what was stored of it."""
    return None if time is None else time.replace(microsecond=0)


@attrs.frozen(kw_only=True)
class _Count:
    waiting: int
    running: int
    stopped: int
    succeeded: int


def _count(statuses: Iterable[ContainerStatus]) -> _Count:
    waiting = running = stopped = succeeded = 0
    for status in statuses:
        state, last = status.state, status.last_state
        if state.running is not None:
            running += 1
        elif state.terminated is not None:
            stopped += 1
            succeeded += state.terminated.exit_code == 0
        elif last.terminated is not None:
            stopped += 1
        else:
            waiting += 1
    return _Count(waiting=waiting, running=running, stopped=stopped, succeeded=succeeded)


def _phase(given: StatusInput, init: tuple[ContainerStatus, ...], main: tuple[ContainerStatus, ...]) -> str:
    spec = given.pod.spec
    policy = spec.restart_policy or "Always"
    begun = any(given.observed.latest(c.name) is not None for c in spec.containers)
    pending = False
    for container, status in zip(spec.init_containers, init, strict=True):
        state = status.state
        if is_sidecar(container):
            pending = pending or not (status.started or state.terminated is not None)
        elif state.terminated is not None:
            if state.terminated.exit_code != 0:
                if policy == "Never":
                    return "Failed" if given.ended else "Pending"
                pending = True
        else:
            pending = True
    if pending and not begun:
        return "Failed" if given.ended and given.pod.metadata.deletion_timestamp else "Pending"
    count = _count(main)
    if given.ended and count.running == 0 and count.waiting == 0:
        return "Succeeded" if count.succeeded == count.stopped else "Failed"
    if count.waiting:
        return "Failed" if given.ended else "Pending"
    return "Running"


def _conditions(
    given: StatusInput, phase: str, init: tuple[ContainerStatus, ...], main: tuple[ContainerStatus, ...]
) -> tuple[PodCondition, ...]:
    pod = given.pod
    old = {c.type: c for c in pod.status.conditions}
    sidecars = {c.name for c in pod.spec.init_containers if is_sidecar(c)}
    counted = [s for s in init if s.name in sidecars] + list(main)
    over, reason_over = _over(given, phase, main)
    ready, reason, message = _containers_ready(counted, over, reason_over)
    gates = tuple(g.condition_type for g in pod.spec.readiness_gates)
    missing = [g for g in gates if g not in old or old[g].status != "True"]
    conditions = {
        "PodReadyToStartContainers": (given.observed.sandbox is not None and not given.ended, "", ""),
        "Initialized": _initialized(given, init, main, sidecars, phase),
        "ContainersReady": (ready, reason, message),
        "Ready": (ready, reason, message)
        if not ready or not missing
        else (False, "ReadinessGatesNotReady", _gates_text(missing, old)),
    }
    result = [
        _condition(given, name, old.get(name), status, why, text) for name, (status, why, text) in conditions.items()
    ]
    others = [c for c in pod.status.conditions if c.type not in OWN_CONDITIONS]
    if "PodScheduled" not in old:
        others.append(_condition(given, "PodScheduled", None, True, "", ""))
    return (*result, *others)


def _gates_text(missing: list[str], old: dict[str, PodCondition]) -> str:
    texts = [
        f'the status of pod readiness gate "{gate}" is not "True", but {old[gate].status}'
        if gate in old
        else f'corresponding condition of pod readiness gate "{gate}" does not exist.'
        for gate in missing
    ]
    return ", ".join(texts)


def _over(given: StatusInput, phase: str, main: tuple[ContainerStatus, ...]) -> tuple[bool, str]:
    """Whether every main container has come to its end, and the reason that conditions give for it."""
    states = [s.state.terminated for s in main]
    policy = given.pod.spec.restart_policy or "Always"
    if phase in {"Succeeded", "Failed"}:
        return True, "PodCompleted" if phase == "Succeeded" else "PodFailed"
    if policy == "Always" or any(s is None for s in states):
        return False, ""
    failed = any(s is not None and s.exit_code != 0 for s in states)
    if failed and policy == "OnFailure":
        return False, ""
    return True, "PodFailed" if failed else "PodCompleted"


def _containers_ready(counted: list[ContainerStatus], over: bool, reason_over: str) -> tuple[bool, str, str]:
    if over:
        return False, reason_over, ""
    unready = [s.name for s in counted if not s.ready]
    if unready:
        return False, "ContainersNotReady", f"containers with unready status: [{' '.join(unready)}]"
    return True, "", ""


def _initialized(
    given: StatusInput,
    init: tuple[ContainerStatus, ...],
    main: tuple[ContainerStatus, ...],
    sidecars: set[str],
    phase: str,
) -> tuple[bool, str, str]:
    if phase == "Succeeded":
        return True, "PodCompleted", ""
    if any(given.observed.latest(s.name) is not None for s in main):
        return True, "", ""
    open_ends = [s.name for s in init if not (s.started if s.name in sidecars else s.ready)]
    if open_ends:
        text = f"containers with incomplete status: [{' '.join(open_ends)}]"
        return False, "ContainersNotInitialized", text
    return True, "", ""


def _condition(
    given: StatusInput, name: str, old: PodCondition | None, status: bool, reason: str, message: str
) -> PodCondition:
    """Return a condition whose transition time changes only with its status."""
    word = "True" if status else "False"
    since = old.last_transition_time if old is not None and old.status == word else _seconds(given.now)
    return PodCondition(
        type=name,
        status=word,
        reason=reason,
        message=message,
        last_transition_time=since,
        observed_generation=given.pod.metadata.generation,
    )
