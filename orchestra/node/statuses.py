"""The statuses of a Pod's containers, from what the runtime shows and the agent remembers. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import attrs

from orchestra.api.core import (
    ContainerState,
    ContainerStateRunning,
    ContainerStateTerminated,
    ContainerStateWaiting,
    ContainerStatus,
    Pod,
)
from orchestra.node.actions import NOTICE_SECONDS, is_sidecar, will_run_again
from orchestra.node.model import ContainerMemory, ObservedContainer, ObservedPod, PodMemory
from orchestra.node.model import ContainerState as RunState

if TYPE_CHECKING:
    from orchestra.api.core import Container

UNKNOWN_EXIT_CODE = 137
LOST = "The container could not be located when the pod was deleted.  The container used to be Running"
NEVER_SEEN = "The container could not be located when the pod was terminated"


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


def container_statuses(given: StatusInput) -> tuple[tuple[ContainerStatus, ...], tuple[ContainerStatus, ...]]:
    """Return the statuses of the init containers, in their order, and of the main ones, by name."""
    pod = given.pod
    before = {c.name: c for c in (*pod.status.init_container_statuses, *pod.status.container_statuses)}
    init = tuple(_status(given, c, before, init=True) for c in pod.spec.init_containers)
    main = tuple(_status(given, c, before, init=False) for c in pod.spec.containers)
    return init, tuple(sorted(main, key=lambda status: status.name))


def surely_terminated(
    pod: Pod, init: tuple[ContainerStatus, ...], main: tuple[ContainerStatus, ...]
) -> tuple[tuple[ContainerStatus, ...], tuple[ContainerStatus, ...]]:
    """Nothing of an ended Pod may look as if it could still run: what was never seen to end has failed."""
    if not _has_begun(pod, main, init):
        return init, main
    return tuple(_ended(status) for status in init), tuple(_ended(status) for status in main)


def _has_begun(pod: Pod, main: tuple[ContainerStatus, ...], init: tuple[ContainerStatus, ...]) -> bool:
    """Whether the init containers of a Pod have done their work, so that every main one has had its chance."""
    if not pod.spec.init_containers:
        return True
    if any(s.state.waiting is None or s.last_state.terminated is not None for s in main):
        return True
    last = init[-1].state.terminated
    return last is not None and last.exit_code == 0


def at_second(time: datetime | None) -> datetime | None:
    """Return a time as precisely as the API holds it, so that a status equals what was stored of it."""
    return None if time is None else time.replace(microsecond=0)


def _status(
    given: StatusInput, container: Container, before: Mapping[str, ContainerStatus], *, init: bool
) -> ContainerStatus:
    runs = given.observed.runs(container.name)
    run = runs[0] if runs else None
    memory = given.memory.of(container.name)
    old = before.get(container.name)
    if run is None:
        status = _unseen(given, container, old)
    elif old is not None and old.container_id.endswith(run.id) and _is_being_replaced(given, container, run):
        return old
    else:
        started = run.state is RunState.RUNNING and (container.startup_probe is None or memory.started is True)
        status = ContainerStatus(
            name=container.name,
            state=_state(given, container, run),
            last_state=_terminated(given, runs[1]) if len(runs) > 1 else ContainerState(),
            ready=_is_ready(container, run, memory, started=started, init=init),
            started=started,
            restart_count=run.attempt,
            image=run.image or container.image,
            image_id=run.image_id,
            container_id=f"{given.runtime_name}://{run.id}",
            resources=container.resources,
            allocated_resources=container.resources.requests,
            user=run.user,
        )
    return _waiting(given, container, run, status)


def _is_being_replaced(given: StatusInput, container: Container, run: ObservedContainer) -> bool:
    """Whether the agent has just ended this run to start the next one at once: nothing is told in between."""
    memory = given.memory.of(container.name)
    if not run.over or memory.ended_run != run.id or memory.waiting is not None or run.finished_at is None:
        return False
    if given.ended or given.pod.metadata.deletion_timestamp is not None:
        return False
    fresh = given.now - run.finished_at < timedelta(seconds=NOTICE_SECONDS)
    return fresh and _runs_again(given, container)


def _runs_again(given: StatusInput, container: Container) -> bool:
    return will_run_again(given.pod, container, given.observed, given.memory, given.now)


def _is_ready(
    container: Container, run: ObservedContainer, memory: ContainerMemory, *, started: bool, init: bool
) -> bool:
    if init and not is_sidecar(container):
        return run.state is RunState.EXITED and run.exit_code == 0
    return started and (container.readiness_probe is None or memory.ready is True)


def _unseen(given: StatusInput, container: Container, old: ContainerStatus | None) -> ContainerStatus:
    """The status of a container that the runtime knows no run of: not begun yet, or forgotten by the runtime."""
    if old is not None and old.state.terminated is not None:
        return attrs.evolve(old, ready=old.ready, started=False)
    reason = "PodInitializing" if given.pod.spec.init_containers else "ContainerCreating"
    state = ContainerState(waiting=ContainerStateWaiting(reason=reason))
    status = ContainerStatus(name=container.name, state=state, image=container.image, started=False)
    if old is None:
        return status
    status = attrs.evolve(status, restart_count=old.restart_count, last_state=old.last_state)
    if old.state.running is None or old.last_state.terminated is not None:
        return status
    again = given.pod.metadata.deletion_timestamp is None
    return attrs.evolve(status, restart_count=old.restart_count + again, last_state=_unknown(LOST))


def _waiting(
    given: StatusInput, container: Container, run: ObservedContainer | None, status: ContainerStatus
) -> ContainerStatus:
    """Show why a container waits for its next start, if there is going to be one."""
    waiting = given.memory.of(container.name).waiting
    if waiting is None or given.pod.metadata.deletion_timestamp is not None:
        return status
    if run is not None and (run.state is RunState.RUNNING or (run.over and not _runs_again(given, container))):
        return status
    last = status.state if status.state.terminated is not None else status.last_state
    shown = ContainerState(waiting=ContainerStateWaiting(reason=waiting.reason, message=waiting.message))
    return attrs.evolve(status, state=shown, last_state=last)


def _state(given: StatusInput, container: Container, run: ObservedContainer) -> ContainerState:
    if run.state is RunState.RUNNING:
        return ContainerState(running=ContainerStateRunning(started_at=at_second(run.started_at)))
    if run.state is RunState.CREATED:
        reason = "PodInitializing" if given.pod.spec.init_containers else "ContainerCreating"
        return ContainerState(waiting=ContainerStateWaiting(reason=reason))
    return _terminated(given, run)


def _terminated(given: StatusInput, run: ObservedContainer) -> ContainerState:
    reason = run.reason or ("Completed" if run.exit_code == 0 else "Error")
    return ContainerState(
        terminated=ContainerStateTerminated(
            exit_code=run.exit_code,
            reason=reason,
            message=run.message,
            started_at=at_second(run.started_at or run.created_at),
            finished_at=at_second(run.finished_at),
            container_id=f"{given.runtime_name}://{run.id}",
        )
    )


def _unknown(message: str) -> ContainerState:
    return ContainerState(
        terminated=ContainerStateTerminated(
            exit_code=UNKNOWN_EXIT_CODE, reason="ContainerStatusUnknown", message=message
        )
    )


def _ended(status: ContainerStatus) -> ContainerStatus:
    if status.state.terminated is not None:
        return status
    return attrs.evolve(status, state=_unknown(NEVER_SEEN), ready=False, started=False)
