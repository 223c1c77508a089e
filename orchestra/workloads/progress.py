"""What a Deployment reports: counts, and the conditions Available, Progressing and ReplicaFailure. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import attrs

from orchestra.api.apps import Deployment, DeploymentCondition, DeploymentStatus, ReplicaSet
from orchestra.workloads.rollout import available, max_unavailable, replicas_of, total

PROGRESSING, AVAILABLE, FAILURE = "Progressing", "Available", "ReplicaFailure"
NEW_AVAILABLE, UPDATED, TIMED_OUT = "NewReplicaSetAvailable", "ReplicaSetUpdated", "ProgressDeadlineExceeded"
PAUSED, RESUMED = "DeploymentPaused", "DeploymentResumed"
NO_DEADLINE_SECONDS = 2**31 - 1

Conditions = tuple[DeploymentCondition, ...]


def new_condition(kind: str, status: str, reason: str, message: str, now: datetime) -> DeploymentCondition:
    """Return a condition that begins now."""
    now = now.replace(microsecond=0)
    return DeploymentCondition(
        type=kind, status=status, reason=reason, message=message, last_update_time=now, last_transition_time=now
    )


def find(conditions: Conditions, kind: str) -> DeploymentCondition | None:
    """Return the condition of a type."""
    return next((c for c in conditions if c.type == kind), None)


def without(conditions: Conditions, kind: str) -> Conditions:
    """Return the conditions but for one type."""
    return tuple(c for c in conditions if c.type != kind)


def with_condition(conditions: Conditions, new: DeploymentCondition) -> Conditions:
    """Set a condition; one of the same status and reason stays as it is, and an equal status keeps its time."""
    old = find(conditions, new.type)
    if old is not None and (old.status, old.reason) == (new.status, new.reason):
        return conditions
    if old is not None and old.status == new.status:
        new = attrs.evolve(new, last_transition_time=old.last_transition_time)
    return (*without(conditions, new.type), new)


def has_deadline(deployment: Deployment) -> bool:
    """Say whether the Deployment reports on its progress at all."""
    seconds = deployment.spec.progress_deadline_seconds
    return seconds is not None and seconds != NO_DEADLINE_SECONDS


def counted(
    deployment: Deployment, sets: Sequence[ReplicaSet], newest: ReplicaSet | None, now: datetime
) -> DeploymentStatus:
    """Return the status with fresh counts and the condition Available; the other conditions are kept."""
    ready_now = available(sets)
    enough = ready_now >= replicas_of(deployment) - max_unavailable(deployment)
    condition = (
        new_condition(AVAILABLE, "True", "MinimumReplicasAvailable", "Deployment has minimum availability.", now)
        if enough
        else new_condition(
            AVAILABLE, "False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability.", now
        )
    )
    return attrs.evolve(
        deployment.status,
        observed_generation=deployment.metadata.generation,
        replicas=sum(rs.status.replicas for rs in sets),
        updated_replicas=newest.status.replicas if newest is not None else 0,
        ready_replicas=sum(rs.status.ready_replicas for rs in sets),
        available_replicas=ready_now,
        unavailable_replicas=max(total(sets) - ready_now, 0),
        terminating_replicas=sum(rs.status.terminating_replicas or 0 for rs in sets),
        conditions=with_condition(deployment.status.conditions, condition),
    )


def is_complete(deployment: Deployment, status: DeploymentStatus) -> bool:
    """Say whether every replica is of the newest template and available, and no old one is left."""
    wanted = replicas_of(deployment)
    return (
        status.updated_replicas == status.replicas == status.available_replicas == wanted
        and status.observed_generation >= deployment.metadata.generation
    )


def _moved(old: DeploymentStatus, new: DeploymentStatus) -> bool:
    return (
        new.updated_replicas > old.updated_replicas
        or new.replicas - new.updated_replicas < old.replicas - old.updated_replicas
        or new.ready_replicas > old.ready_replicas
        or new.available_replicas > old.available_replicas
    )


def is_timed_out(deployment: Deployment, status: DeploymentStatus, now: datetime) -> bool:
    """Say whether a rollout has made no progress for longer than `spec.progressDeadlineSeconds`."""
    condition = find(status.conditions, PROGRESSING)
    if condition is None or condition.reason == NEW_AVAILABLE:
        return False
    if condition.reason == TIMED_OUT:
        return True
    seconds, since = deployment.spec.progress_deadline_seconds, condition.last_update_time
    return seconds is not None and since is not None and since + timedelta(seconds=seconds) < now


def progressed(
    deployment: Deployment, sets: Sequence[ReplicaSet], newest: ReplicaSet | None, now: datetime
) -> DeploymentStatus:
    """Return the status of a Deployment in or after a rollout, with Progressing and ReplicaFailure."""
    status = counted(deployment, sets, newest, now)
    conditions = status.conditions
    if not has_deadline(deployment):
        conditions = without(conditions, PROGRESSING)
    current = find(conditions, PROGRESSING)
    settled = status.replicas == status.updated_replicas and current is not None and current.reason == NEW_AVAILABLE
    if has_deadline(deployment) and not settled:
        conditions = _with_progress(deployment, status, newest, now)
    failure = _failure(sets, newest)
    conditions = (
        with_condition(without(conditions, FAILURE) if _changed(conditions, failure) else conditions, failure)
        if failure is not None
        else without(conditions, FAILURE)
    )
    return attrs.evolve(status, conditions=conditions)


def _changed(conditions: Conditions, failure: DeploymentCondition | None) -> bool:
    old = find(conditions, FAILURE)
    return old is not None and failure is not None and old.message != failure.message


def _with_progress(
    deployment: Deployment, status: DeploymentStatus, newest: ReplicaSet | None, now: datetime
) -> Conditions:
    subject = (
        f'ReplicaSet "{newest.metadata.name}"' if newest is not None else f'Deployment "{deployment.metadata.name}"'
    )
    conditions, current = status.conditions, find(status.conditions, PROGRESSING)
    if is_complete(deployment, status):
        text = f"{subject} has successfully progressed."
        return with_condition(conditions, new_condition(PROGRESSING, "True", NEW_AVAILABLE, text, now))
    if _moved(deployment.status, status):
        fresh = new_condition(PROGRESSING, "True", UPDATED, f"{subject} is progressing.", now)
        if current is None:
            return with_condition(conditions, fresh)
        if current.status == "True":
            fresh = attrs.evolve(fresh, last_transition_time=current.last_transition_time)
        return (*without(conditions, PROGRESSING), fresh)  # the time of the last update is what counts
    if is_timed_out(deployment, status, now):
        text = f"{subject} has timed out progressing."
        return with_condition(conditions, new_condition(PROGRESSING, "False", TIMED_OUT, text, now))
    return conditions


def _failure(sets: Sequence[ReplicaSet], newest: ReplicaSet | None) -> DeploymentCondition | None:
    """Return the failure that a ReplicaSet reports, the newest one's first."""
    ordered = ([newest] if newest is not None else []) + [rs for rs in sets if rs is not newest]
    for rs in ordered:
        for condition in rs.status.conditions:
            if condition.type == FAILURE:
                return DeploymentCondition(
                    type=FAILURE,
                    status=condition.status,
                    reason=condition.reason,
                    message=condition.message,
                    last_update_time=condition.last_transition_time,
                    last_transition_time=condition.last_transition_time,
                )
    return None


def seconds_to_deadline(deployment: Deployment, status: DeploymentStatus, now: datetime) -> float | None:
    """Return when to look again for a rollout that may be stuck; None when nothing can time out."""
    condition = find(status.conditions, PROGRESSING)
    seconds = deployment.spec.progress_deadline_seconds
    if condition is None or seconds is None or not has_deadline(deployment):
        return None
    if is_complete(deployment, status) or condition.reason in {TIMED_OUT, NEW_AVAILABLE}:
        return None
    since = condition.last_update_time or now
    return max((since + timedelta(seconds=seconds) - now).total_seconds(), 0.0) + 1.0


def paused_conditions(deployment: Deployment, now: datetime) -> Conditions | None:
    """Return the conditions after a pause or resume; None when they need no change."""
    if not has_deadline(deployment):
        return None
    current = find(deployment.status.conditions, PROGRESSING)
    if current is not None and current.reason == TIMED_OUT:
        return None
    is_marked = current is not None and current.reason == PAUSED
    if deployment.spec.paused and not is_marked:
        fresh = new_condition(PROGRESSING, "Unknown", PAUSED, "Deployment is paused", now)
    elif not deployment.spec.paused and is_marked:
        fresh = new_condition(PROGRESSING, "Unknown", RESUMED, "Deployment is resumed", now)
    else:
        return None
    return with_condition(deployment.status.conditions, fresh)
