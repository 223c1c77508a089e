"""What a worker does next, for every turn of a Pod's life."""

from __future__ import annotations

from datetime import timedelta

import attrs
import pytest

from orchestra.api.core import (
    ContainerRestartRule,
    ContainerRestartRuleOnExitCodes,
    ContainerState,
    ContainerStatus,
    ExecAction,
    Pod,
    PodStatus,
    Probe,
)
from orchestra.node.actions import (
    Actions,
    next_actions,
    note_failed_creation,
    note_failed_pull,
    note_restart,
    restart_delay,
)
from orchestra.node.model import ContainerMemory, ObservedPod, PodMemory, Waiting
from orchestra.node.model import ContainerState as RunState

from .kit import NOW, at, container, pod, run, sandbox, seen


def decide(of: Pod, observed: ObservedPod, memory: PodMemory | None = None, seconds: float = 0.0) -> Actions:
    return next_actions(of, observed, memory or PodMemory(start_time=NOW), at(seconds))


def starts(actions: Actions) -> list[tuple[str, int]]:
    return [(start.name, start.attempt) for start in actions.start]


def sidecar(name: str = "side", **fields: object) -> object:
    return container(name, restart_policy="Always", **fields)


def test_a_new_pod_gets_a_sandbox_first() -> None:
    actions = decide(pod(), seen(boxes=()))
    assert (actions.create_sandbox, actions.sandbox_attempt, actions.start) == (True, 0, ())


def test_all_main_containers_start_together() -> None:
    assert starts(decide(pod(container("a"), container("b")), seen())) == [("a", 0), ("b", 0)]


def test_init_containers_run_one_after_the_other() -> None:
    of = pod(init_containers=(container("i1"), container("i2")))
    assert starts(decide(of, seen())) == [("i1", 0)]
    assert starts(decide(of, seen(run("i1")))) == []
    assert starts(decide(of, seen(run("i1", exit_code=0)))) == [("i2", 0)]
    assert starts(decide(of, seen(run("i1", exit_code=0), run("i2", exit_code=0)))) == [("c", 0)]


def test_an_init_container_that_fails_is_run_again_unless_the_policy_is_never() -> None:
    init = (container("i1"), container("i2"))
    failed = seen(run("i1", exit_code=4))
    assert starts(decide(pod(init_containers=init, restart_policy="OnFailure"), failed)) == [("i1", 1)]
    actions = decide(pod(init_containers=init, restart_policy="Never"), failed)
    assert (starts(actions), actions.finish) == ([], True)


def test_init_containers_are_not_run_again_for_a_restart_of_a_main_one() -> None:
    of = pod(init_containers=(container("i"),))
    assert starts(decide(of, seen(run("i", exit_code=0), run(exit_code=1)))) == [("c", 1)]


def test_a_sidecar_lets_the_next_container_start_when_it_has_started() -> None:
    probe = Probe(exec=ExecAction(command=("true",)))
    of = pod(init_containers=(sidecar(startup_probe=probe),))
    memory = PodMemory(start_time=NOW)
    assert starts(decide(of, seen(), memory)) == [("side", 0)]
    assert starts(decide(of, seen(run("side")), memory)) == []
    memory.of("side").started = True
    assert starts(decide(of, seen(run("side")), memory)) == [("c", 0)]


def test_a_sidecar_is_restarted_whatever_the_pods_policy_is() -> None:
    of = pod(init_containers=(sidecar(),), restart_policy="Never")
    assert starts(decide(of, seen(run("side", exit_code=0), run()))) == [("side", 1)]


def test_sidecars_end_last_one_first_when_the_main_containers_are_over() -> None:
    of = pod(init_containers=(sidecar("s1"), sidecar("s2")), restart_policy="Never")
    over = run(exit_code=0)
    actions = decide(of, seen(run("s1"), run("s2"), over))
    assert [kill.name for kill in actions.kill] == ["s2", "s1"]
    assert not actions.finish
    assert decide(of, seen(run("s1", exit_code=0), run("s2", exit_code=0), over)).finish


@pytest.mark.parametrize(
    ("policy", "exit_code", "again"),
    [("Always", 0, True), ("Always", 1, True), ("OnFailure", 0, False), ("OnFailure", 1, True), ("Never", 1, False)],
)
def test_the_restart_policy_decides_about_another_run(policy: str, exit_code: int, again: bool) -> None:
    actions = decide(pod(restart_policy=policy), seen(run(exit_code=exit_code)))
    assert starts(actions) == ([("c", 1)] if again else [])
    assert actions.finish is not again


def test_a_containers_own_policy_and_rules_come_before_the_pods() -> None:
    codes = ContainerRestartRuleOnExitCodes(operator="In", values=(42,))
    rule = ContainerRestartRule(action="Restart", exit_codes=codes)
    ruled = container(restart_policy="Never", restart_policy_rules=(rule,))
    assert starts(decide(pod(ruled), seen(run(exit_code=42)))) == [("c", 1)]
    assert decide(pod(ruled), seen(run(exit_code=1))).finish


def test_delays_between_restarts_double_from_ten_seconds_to_five_minutes() -> None:
    memory, now, delays = ContainerMemory(), NOW, []
    for attempt in range(8):
        ended = attrs.evolve(run(attempt=attempt, exit_code=1), finished_at=now)
        delays.append(restart_delay(memory, ended))
        now += timedelta(seconds=delays[-1])
        note_restart(memory, now)
    assert delays == [0, 10, 20, 40, 80, 160, 300, 300]


def test_a_container_that_ran_long_enough_starts_again_with_the_first_delay() -> None:
    memory = ContainerMemory(backoff_seconds=300.0, backoff_since=NOW)
    assert restart_delay(memory, run(exit_code=1, ended=601)) == 0
    note_restart(memory, at(601))
    assert memory.backoff_seconds == 10


def test_a_delay_is_told_after_a_moment_and_kept() -> None:
    memory = PodMemory(start_time=NOW)
    memory.of("c").backoff_seconds, memory.of("c").backoff_since = 10.0, at(-5)
    observed = seen(run(attempt=1, exit_code=1))
    early = decide(pod(), observed, memory, 0.5)
    assert (early.start, dict(early.backing_off), early.wake_at) == ((), {}, at(1))
    later = decide(pod(), observed, memory, 1.0)
    assert (later.start, dict(later.backing_off), later.wake_at) == ((), {"c": 10.0}, at(10))
    assert starts(decide(pod(), observed, memory, 10.0)) == [("c", 2)]


def test_what_could_not_be_pulled_is_asked_for_later_and_later() -> None:
    memory = PodMemory(start_time=NOW)
    own = memory.of("c")
    own.waiting = Waiting("ErrImagePull", "no")
    note_failed_pull(own, "i:1", NOW)
    assert decide(pod(), seen(), memory, 0.5).pulling_later == ()
    held = decide(pod(), seen(), memory, 1.0)
    assert (held.pulling_later, held.start, held.wake_at) == (("c",), (), at(10))
    assert starts(decide(pod(), seen(), memory, 10.0)) == [("c", 0)]
    note_failed_pull(own, "i:1", at(10))
    assert own.hold_seconds == 20
    assert starts(decide(pod(container(image="i:2")), seen(), memory, 11.0)) == [("c", 0)]


def test_what_could_not_be_created_is_tried_again_soon() -> None:
    memory, pauses = ContainerMemory(), []
    for _ in range(7):
        note_failed_creation(memory, "i:1", NOW)
        pauses.append(memory.hold_seconds)
    assert pauses == [0.5, 1, 2, 4, 8, 10, 10]


def test_a_run_that_was_created_but_not_started_is_made_anew() -> None:
    created = attrs.evolve(run(), state=RunState.CREATED)
    actions = decide(pod(), seen(created))
    assert [(start.attempt, start.remove) for start in actions.start] == [(0, "c-0")]


def test_runs_are_numbered_on_from_those_of_a_runtime_that_forgot_them() -> None:
    status = ContainerStatus(name="c", restart_count=4, container_id="fake://old", state=ContainerState())
    assert starts(decide(pod(status=PodStatus(container_statuses=(status,))), seen())) == [("c", 5)]


def test_a_container_that_is_not_healthy_is_killed_to_be_restarted() -> None:
    memory = PodMemory(start_time=NOW)
    own = memory.of("c")
    own.unhealthy, own.probed_run, own.unhealthy_grace_seconds = "it failed", "c-0", 3
    (kill,) = decide(pod(), seen(run()), memory).kill
    assert (kill.container_id, kill.message, kill.grace_seconds, kill.restart) == ("c-0", "it failed", 3, True)
    assert decide(pod(), seen(run(attempt=1)), memory).kill == ()


def test_a_changed_image_replaces_a_container_under_every_policy() -> None:
    of = pod(container(image="i:2"), container("other"), restart_policy="Never")
    old, other = run(container(image="i:1")), run("other")
    (kill,) = decide(of, seen(old, other)).kill
    assert (kill.message, kill.replace) == ("Container c definition changed, will be restarted", True)
    memory = PodMemory(start_time=NOW)
    memory.of("c").ended_run, memory.of("c").replaced = old.id, True
    ended = run(container(image="i:1"), exit_code=0)
    (start,) = decide(of, seen(ended, other), memory).start
    assert (start.name, start.attempt, start.counts) == ("c", 1, False)


def test_a_pod_past_its_deadline_is_ended() -> None:
    of = pod(active_deadline_seconds=3)
    assert decide(of, seen(run()), seconds=2.9).wake_at == at(3)
    assert decide(of, seen(run()), seconds=3.0).expired


def test_a_pod_whose_sandbox_died_gets_another_one_and_runs_its_init_containers_again() -> None:
    of = pod(init_containers=(container("i"),))
    dead = (sandbox(ready=False),)
    actions = decide(of, seen(run("i", exit_code=0), run(exit_code=137), boxes=dead))
    assert (actions.create_sandbox, actions.sandbox_attempt) == (True, 1)
    again = (sandbox(1), *dead)
    assert starts(decide(of, seen(run("i", exit_code=0), run(exit_code=137), boxes=again))) == [("i", 1)]


def test_a_pod_that_never_restarts_ends_with_its_sandbox() -> None:
    dead = (sandbox(ready=False),)
    assert decide(pod(restart_policy="Never"), seen(run(exit_code=137), boxes=dead)).finish
    left = decide(pod(restart_policy="Never"), seen(run(), boxes=dead))
    assert ([kill.container_id for kill in left.kill], left.finish) == (["c-0"], False)


def test_nothing_is_done_about_a_pod_that_has_come_to_its_end() -> None:
    assert decide(pod(), seen(), PodMemory(finished=True)) == Actions()
