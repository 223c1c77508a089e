"""What Deployments report of themselves."""

from __future__ import annotations

from datetime import timedelta

import attrs

from orchestra.api.apps import Deployment, DeploymentStatus, ReplicaSet, ReplicaSetCondition
from orchestra.workloads import progress
from tests.workloads.making import NOW, deployment, replica_set


def said(status: DeploymentStatus, kind: str) -> tuple[str, str] | None:
    found = progress.find(status.conditions, kind)
    return None if found is None else (found.status, found.reason)


def with_status(subject: Deployment, status: DeploymentStatus) -> Deployment:
    return attrs.evolve(subject, status=status)


def rolling(seconds_ago: int = 0, *, reason: str = "ReplicaSetUpdated", **counts: int) -> Deployment:
    """Return a Deployment of 3 whose condition Progressing is that old."""
    condition = progress.new_condition("Progressing", "True", reason, "", NOW - timedelta(seconds=seconds_ago))
    return deployment(3, status=DeploymentStatus(conditions=(condition,), observed_generation=1, **counts))


def of(subject: Deployment, *sets: ReplicaSet) -> DeploymentStatus:
    return progress.progressed(subject, sets, sets[-1], NOW)


def test_available_as_long_as_no_more_are_missing_than_may_be() -> None:
    subject = deployment(4, surge=1, unavailable=1)
    assert said(of(subject, replica_set("a", 4, 3)), "Available") == ("True", "MinimumReplicasAvailable")
    assert said(of(subject, replica_set("a", 4, 2)), "Available") == ("False", "MinimumReplicasUnavailable")


def test_counts_are_summed_and_updated_ones_are_those_of_the_newest() -> None:
    status = of(deployment(3), replica_set("old", 2), replica_set("new", 2, 1))
    assert (status.replicas, status.updated_replicas, status.ready_replicas) == (4, 2, 3)
    assert (status.available_replicas, status.unavailable_replicas) == (3, 1)


def test_every_step_forward_is_progress_and_starts_the_deadline_anew() -> None:
    before = rolling(599, replicas=3, updated_replicas=1, ready_replicas=2, available_replicas=2)
    condition = progress.find(of(before, replica_set("old", 2), replica_set("new", 1)).conditions, "Progressing")
    assert condition is not None
    assert condition.reason == "ReplicaSetUpdated"
    assert condition.last_update_time == NOW
    assert condition.last_transition_time == NOW - timedelta(seconds=599)


def test_without_progress_the_deadline_ends_a_rollout() -> None:
    counts = {"replicas": 3, "updated_replicas": 1, "ready_replicas": 2, "available_replicas": 2}
    sets = (replica_set("old", 2), replica_set("new", 1, 0))
    assert said(of(rolling(600, **counts), *sets), "Progressing") == ("True", "ReplicaSetUpdated")
    assert said(of(rolling(601, **counts), *sets), "Progressing") == ("False", "ProgressDeadlineExceeded")


def test_the_deadline_of_a_finished_rollout_never_ends() -> None:
    done = rolling(9999, reason="NewReplicaSetAvailable", replicas=3, updated_replicas=3, available_replicas=3)
    status = of(done, replica_set("new", 3, 0))
    assert said(status, "Progressing") == ("True", "NewReplicaSetAvailable")
    assert progress.seconds_to_deadline(with_status(done, status), status, NOW) is None


def test_a_rollout_is_complete_when_all_are_new_and_available_and_no_old_one_is_left() -> None:
    status = of(rolling(), replica_set("old", 0), replica_set("new", 3))
    assert said(status, "Progressing") == ("True", "NewReplicaSetAvailable")
    assert not progress.is_complete(deployment(3), of(rolling(), replica_set("old", 1), replica_set("new", 3)))


def test_without_a_deadline_nothing_is_said_about_progress() -> None:
    subject = deployment(3, progress_deadline_seconds=2**31 - 1)
    assert said(of(subject, replica_set("new", 3)), "Progressing") is None


def test_somebody_looks_again_when_the_deadline_can_have_passed() -> None:
    subject = rolling(100)
    assert progress.seconds_to_deadline(subject, subject.status, NOW) == 501.0


def test_a_pause_is_told_and_the_deadline_begins_anew_with_the_resumption() -> None:
    paused = deployment(3, paused=True)
    conditions = progress.paused_conditions(paused, NOW)
    assert conditions is not None
    assert [(c.status, c.reason) for c in conditions] == [("Unknown", "DeploymentPaused")]
    marked = deployment(3, status=DeploymentStatus(conditions=conditions))
    resumed = progress.paused_conditions(marked, NOW + timedelta(hours=1))
    assert resumed is not None
    assert [(c.reason, c.last_update_time) for c in resumed] == [("DeploymentResumed", NOW + timedelta(hours=1))]
    assert progress.paused_conditions(attrs.evolve(paused, status=marked.status), NOW) is None


def test_a_rollout_that_timed_out_is_not_marked_as_paused() -> None:
    condition = progress.new_condition("Progressing", "False", "ProgressDeadlineExceeded", "", NOW)
    subject = deployment(3, paused=True, status=DeploymentStatus(conditions=(condition,)))
    assert progress.paused_conditions(subject, NOW) is None


def test_the_failure_of_a_replica_set_is_passed_on_and_goes_with_it() -> None:
    failure = ReplicaSetCondition(type="ReplicaFailure", status="True", reason="FailedCreate", message="no quota")
    new = replica_set("new", 3, 0)
    failing = attrs.evolve(new, status=attrs.evolve(new.status, conditions=(failure,)))
    status = of(deployment(3), failing)
    found = progress.find(status.conditions, "ReplicaFailure")
    assert found is not None
    assert (found.reason, found.message) == ("FailedCreate", "no quota")
    assert said(of(with_status(deployment(3), status), new), "ReplicaFailure") is None


def test_a_condition_of_equal_status_and_reason_stays_as_it_is() -> None:
    first = progress.new_condition("Available", "True", "R", "m", NOW)
    again = progress.new_condition("Available", "True", "R", "other words", NOW + timedelta(hours=1))
    assert progress.with_condition((first,), again) == (first,)
