"""The status of a Pod, from what runs and what is remembered."""

from __future__ import annotations

import attrs
import pytest

from orchestra.api.core import (
    ContainerState,
    ContainerStateRunning,
    ContainerStatus,
    ExecAction,
    Pod,
    PodCondition,
    PodReadinessGate,
    PodStatus,
    Probe,
)
from orchestra.node.model import ObservedPod, PodMemory, Refusal, Waiting
from orchestra.node.status import pod_status

from .kit import NOW, at, container, given, pod, run, sandbox, seen

PROBE = Probe(exec=ExecAction(command=("true",)))


def conditions(status: PodStatus) -> dict[str, str]:
    return {c.type: c.status + (f" {c.reason}" if c.reason else "") for c in status.conditions}


def reason(status: PodStatus) -> str:
    waiting = status.container_statuses[0].state.waiting
    return waiting.reason if waiting else ""


def test_a_pod_that_has_just_come_waits_for_its_containers() -> None:
    status = pod_status(given(pod(), seen(boxes=())))
    assert (status.phase, reason(status), status.start_time, status.host_ip) == (
        "Pending",
        "ContainerCreating",
        NOW,
        "127.0.0.1",
    )
    assert conditions(status) == {
        "PodReadyToStartContainers": "False",
        "Initialized": "True",
        "Ready": "False ContainersNotReady",
        "ContainersReady": "False ContainersNotReady",
        "PodScheduled": "True",
    }


def test_every_container_of_a_pod_with_init_containers_waits_for_initialization() -> None:
    status = pod_status(given(pod(init_containers=(container("i"),)), seen()))
    assert status.init_container_statuses[0].state.waiting == status.container_statuses[0].state.waiting
    assert reason(status) == "PodInitializing"
    assert conditions(status)["Initialized"] == "False ContainersNotInitialized"


def test_a_running_pod_without_probes_is_ready() -> None:
    status = pod_status(given(pod(), seen(run())))
    assert (status.phase, status.pod_ip, status.container_statuses[0].ready) == ("Running", "127.1.2.3", True)
    assert conditions(status)["Ready"] == "True"
    assert status.container_statuses[0].container_id == "fake://c-0"


def test_a_container_is_ready_when_its_probes_say_so() -> None:
    memory = PodMemory(start_time=NOW)
    of = pod(container(readiness_probe=PROBE, startup_probe=PROBE))
    for started, ready, expected in (
        (None, True, False),
        (True, None, False),
        (True, False, False),
        (True, True, True),
    ):
        memory.of("c").started, memory.of("c").ready = started, ready
        status = pod_status(given(of, seen(run()), memory))
        assert status.container_statuses[0].ready is expected
        assert status.container_statuses[0].started is (started is True)


@pytest.mark.parametrize(
    ("policy", "exit_code", "phase", "why"),
    [
        ("Never", 0, "Succeeded", "PodCompleted"),
        ("Never", 1, "Failed", "PodFailed"),
        ("OnFailure", 0, "Succeeded", "PodCompleted"),
        ("OnFailure", 1, "Running", "ContainersNotReady"),
        ("Always", 0, "Running", "ContainersNotReady"),
    ],
)
def test_conditions_tell_of_an_end_before_the_phase_does(policy: str, exit_code: int, phase: str, why: str) -> None:
    of = pod(restart_policy=policy, status=PodStatus(phase="Running"))
    over = seen(run(exit_code=exit_code))
    status = pod_status(given(of, over))
    assert (status.phase, conditions(status)["Ready"]) == ("Running", f"False {why}")
    if phase != "Running":
        memory = PodMemory(start_time=NOW, finished=True)
        assert pod_status(given(of, over, memory, ended=True)).phase == phase


def test_main_containers_are_listed_by_name_and_told_of_in_their_order() -> None:
    status = pod_status(given(pod(container("good"), container("bad")), seen()))
    assert [s.name for s in status.container_statuses] == ["bad", "good"]
    ready = next(c for c in status.conditions if c.type == "Ready")
    assert ready.message == "containers with unready status: [good bad]"


def test_the_run_before_is_the_last_state_and_restarts_are_counted() -> None:
    status = pod_status(given(pod(), seen(run(attempt=3), run(attempt=2, exit_code=5))))
    shown = status.container_statuses[0]
    assert shown.restart_count == 3
    assert shown.last_state.terminated is not None
    assert (shown.last_state.terminated.exit_code, shown.last_state.terminated.reason) == (5, "Error")


def test_a_container_that_waits_for_a_restart_shows_its_end_as_last_state() -> None:
    memory = PodMemory(start_time=NOW)
    memory.of("c").waiting = Waiting("CrashLoopBackOff", "back-off 10s")
    status = pod_status(given(pod(), seen(run(exit_code=1)), memory))
    assert reason(status) == "CrashLoopBackOff"
    assert status.container_statuses[0].last_state.terminated is not None
    assert status.phase == "Running"


def test_a_reason_to_wait_is_not_shown_when_nothing_will_start_any_more() -> None:
    memory = PodMemory(start_time=NOW)
    memory.of("c").waiting = Waiting("RunContainerError", "no")
    ended = pod_status(given(pod(restart_policy="Never"), seen(run(exit_code=128)), memory))
    assert reason(ended) == ""
    deleted = pod()
    deleted = attrs.evolve(deleted, metadata=attrs.evolve(deleted.metadata, deletion_timestamp=NOW))
    assert reason(pod_status(given(deleted, seen(), memory))) == "ContainerCreating"


def test_a_container_that_never_ran_has_failed_when_its_pod_ends() -> None:
    memory = PodMemory(start_time=NOW, finished=True)
    status = pod_status(given(pod(), seen(boxes=(sandbox(ready=False),)), memory, ended=True))
    ended = status.container_statuses[0].state.terminated
    assert ended is not None
    assert (status.phase, ended.exit_code, ended.reason) == ("Failed", 137, "ContainerStatusUnknown")
    assert conditions(status)["Ready"] == "False ContainersNotReady"


def test_main_containers_stay_waiting_when_initialization_failed() -> None:
    of = pod(init_containers=(container("i"),), restart_policy="Never")
    memory = PodMemory(start_time=NOW, finished=True)
    status = pod_status(given(of, seen(run("i", exit_code=4)), memory, ended=True))
    assert (status.phase, reason(status)) == ("Failed", "PodInitializing")
    assert conditions(status)["Initialized"] == "False ContainersNotInitialized"


def test_a_sidecar_that_restarts_does_not_make_a_running_pod_pending() -> None:
    of = pod(init_containers=(container("s", restart_policy="Always"),))
    assert pod_status(given(of, seen(run("s", exit_code=1), run()))).phase == "Running"
    assert pod_status(given(of, seen(run("s")))).phase == "Pending"


def test_a_refused_pod_says_why_and_nothing_of_its_containers() -> None:
    memory = PodMemory(start_time=NOW, finished=True)
    memory.refusal = Refusal("OutOfcpu", "Pod was rejected: no", admitted=False)
    status = pod_status(given(pod(status=PodStatus(phase="Pending", qos_class="BestEffort")), seen(boxes=()), memory))
    expected = PodStatus(
        phase="Failed",
        reason="OutOfcpu",
        message="Pod was rejected: no",
        observed_generation=1,
        start_time=NOW,
        qos_class="BestEffort",
    )
    assert status == expected


def test_a_deadline_is_told_when_everything_has_ended() -> None:
    memory = PodMemory(start_time=NOW, refusal=Refusal("DeadlineExceeded", "too long", admitted=True))
    of = pod(status=PodStatus(phase="Running"))
    before = pod_status(given(of, seen(run()), memory))
    assert (before.phase, before.reason, conditions(before)["Ready"]) == ("Running", "", "False PodFailed")
    after = pod_status(given(of, seen(run(exit_code=0)), memory, ended=True))
    assert (after.phase, after.reason, after.message) == ("Failed", "DeadlineExceeded", "too long")


def test_readiness_gates_hold_a_pod_back() -> None:
    gated = pod(readiness_gates=(PodReadinessGate(condition_type="x/y"),))
    status = pod_status(given(gated, seen(run())))
    assert conditions(status)["Ready"] == "False ReadinessGatesNotReady"
    assert conditions(status)["ContainersReady"] == "True"
    opened = PodStatus(conditions=(PodCondition(type="x/y", status="True"),))
    status = pod_status(given(attrs.evolve(gated, status=opened), seen(run())))
    assert conditions(status)["Ready"] == "True"
    assert conditions(status)["x/y"] == "True"


def test_a_transition_time_changes_only_with_its_condition() -> None:
    first = pod_status(given(pod(), seen()))
    again = pod_status(given(pod(status=first), seen(), now=at(60)))
    assert again == first
    later = pod_status(given(pod(status=first), seen(run()), now=at(60)))
    times = {c.type: c.last_transition_time for c in later.conditions}
    assert (times["Ready"], times["Initialized"]) == (at(60), NOW)


def running_before() -> Pod:
    old = ContainerStatus(
        name="c", restart_count=2, container_id="fake://x", state=ContainerState(running=ContainerStateRunning())
    )
    return pod(status=PodStatus(phase="Running", container_statuses=(old,)))


def test_a_container_that_the_runtime_has_forgotten_is_told_of_as_lost() -> None:
    status = pod_status(given(running_before(), ObservedPod(), PodMemory(start_time=NOW)))
    shown = status.container_statuses[0]
    assert shown.restart_count == 3
    assert shown.last_state.terminated is not None
    assert shown.last_state.terminated.reason == "ContainerStatusUnknown"
