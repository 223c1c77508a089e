"""The row of a Pod, and the one word that says how it is (Kubernetes `pkg/printers/internalversion`, printPod)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING

import attrs

from orchestra.api.rules.conditions import condition, condition_true, is_terminal
from orchestra.api.rules.resources import is_sidecar
from orchestra.api.tables.durations import human_age
from orchestra.api.tables.model import NONE, Cell, Printer, RowCondition, columns

if TYPE_CHECKING:
    from orchestra.api.core.container_status import ContainerState, ContainerStatus
    from orchestra.api.core.pod import Pod

COLUMNS = columns("Name|Ready|Status|Restarts|Age|*IP|*Node|*Nominated Node|*Readiness Gates")

_ENDED = {
    "Succeeded": RowCondition(
        type="Completed", status="True", reason="Succeeded", message="The pod has completed successfully."
    ),
    "Failed": RowCondition(type="Completed", status="True", reason="Failed", message="The pod failed."),
}


@attrs.frozen(kw_only=True)
class PodSummary:
    """How a Pod is doing, in brief."""

    status: str
    ready: int
    total: int
    restarts: int
    last_restart: datetime | None


def summarize(pod: Pod) -> PodSummary:
    """Return a Pod's state in brief: the first init container that is not done decides, else its containers do."""
    sidecars = [c.name for c in pod.spec.init_containers if is_sidecar(c)]
    statuses = pod.status.init_container_statuses
    init, done = _init_word(pod, frozenset(sidecars))
    ready = sum(1 for s in statuses[:done] if s.name in sidecars and s.ready and s.state.terminated is None)
    word, counted = init or _phase_word(pod), list(statuses)
    if init is None or condition_true(pod, "Initialized"):
        word, running = _container_word(word, pod.status.container_statuses)
        ready += running
        if word == "Completed" and running:
            word = "Running" if condition_true(pod, "Ready") else "NotReady"
        counted = [s for s in statuses if s.name in sidecars] + list(pod.status.container_statuses)
    if pod.metadata.deletion_timestamp is not None:
        if pod.status.reason == "NodeLost":
            word = "Unknown"
        elif not is_terminal(pod):
            word = "Terminating"
    return PodSummary(
        status=word,
        ready=ready,
        total=len(pod.spec.containers) + len(sidecars),
        restarts=sum(s.restart_count for s in counted),
        last_restart=_last_end(counted),
    )


def cells(pod: Pod, now: datetime) -> tuple[Cell, ...]:
    """Return a Pod's row."""
    brief = summarize(pod)
    restarts = str(brief.restarts)
    if brief.restarts and brief.last_restart is not None:
        restarts += f" ({human_age(brief.last_restart, now)} ago)"
    gates = pod.spec.readiness_gates
    passed = sum(1 for gate in gates if condition_true(pod, gate.condition_type))
    return (
        pod.metadata.name,
        f"{brief.ready}/{brief.total}",
        brief.status,
        restarts,
        human_age(pod.metadata.creation_timestamp, now),
        pod.status.pod_ips[0].ip if pod.status.pod_ips else NONE,
        pod.spec.node_name or NONE,
        pod.status.nominated_node_name or NONE,
        f"{passed}/{len(gates)}" if gates else NONE,
    )


def conditions(pod: Pod) -> tuple[RowCondition, ...]:
    """Return the remark on a Pod that has ended."""
    ended = _ENDED.get(pod.status.phase)
    return (ended,) if ended is not None else ()


PRINTER = Printer(COLUMNS, cells, conditions)


def _phase_word(pod: Pod) -> str:
    scheduled = condition(pod, "PodScheduled")
    if scheduled is not None and scheduled.reason == "SchedulingGated":
        return "SchedulingGated"
    return pod.status.reason or pod.status.phase


def _init_word(pod: Pod, sidecars: frozenset[str]) -> tuple[str | None, int]:
    """Return the word of the first init container that is not done, None when there is none, and how many are done."""
    for index, status in enumerate(pod.status.init_container_statuses):
        ended, waiting = status.state.terminated, status.state.waiting
        if ended is not None and ended.exit_code == 0:
            continue
        if status.name in sidecars and status.started:
            continue
        if ended is not None:
            return f"Init:{_end_word(status.state)}", index
        if waiting is not None and waiting.reason not in ("", "PodInitializing"):
            return f"Init:{waiting.reason}", index
        return f"Init:{index}/{len(pod.spec.init_containers)}", index
    return None, len(pod.status.init_container_statuses)


def _container_word(word: str, statuses: Iterable[ContainerStatus]) -> tuple[str, int]:
    """Return the word of the first container that has one, and how many containers run and are ready."""
    running = 0
    for status in reversed(list(statuses)):
        waiting, ended = status.state.waiting, status.state.terminated
        if waiting is not None and waiting.reason:
            word = waiting.reason
        elif ended is not None:
            word = _end_word(status.state)
        elif status.ready and status.state.running is not None:
            running += 1
    return word, running


def _end_word(state: ContainerState) -> str:
    ended = state.terminated
    assert ended is not None
    return ended.reason or (f"Signal:{ended.signal}" if ended.signal else f"ExitCode:{ended.exit_code}")


def _last_end(statuses: Iterable[ContainerStatus]) -> datetime | None:
    ends = [s.last_state.terminated.finished_at for s in statuses if s.last_state.terminated is not None]
    return max((end for end in ends if end is not None), default=None)
