"""The arithmetic of a Deployment: how many replicas each of its ReplicaSets is to have next. Pure.

Source: Kubernetes documentation, "Deployment", sections on rolling updates and proportional scaling.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

import attrs

from orchestra.api.apps import Deployment, ReplicaSet
from orchestra.api.core import PodTemplateSpec
from orchestra.api.rules import scaled_value

REVISION = "deployment.kubernetes.io/revision"
REVISION_HISTORY = "deployment.kubernetes.io/revision-history"
DESIRED_REPLICAS = "deployment.kubernetes.io/desired-replicas"
MAX_REPLICAS = "deployment.kubernetes.io/max-replicas"
HASH_LABEL = "pod-template-hash"


@attrs.frozen
class Step:
    """One ReplicaSet and the number of replicas that it is to have."""

    replica_set: ReplicaSet
    replicas: int


def replicas_of(obj: Deployment | ReplicaSet) -> int:
    """Return `spec.replicas`, 1 when it is not set."""
    return 1 if obj.spec.replicas is None else obj.spec.replicas


def total(sets: Iterable[ReplicaSet]) -> int:
    """Return the sum of `spec.replicas`."""
    return sum(replicas_of(rs) for rs in sets)


def available(sets: Iterable[ReplicaSet]) -> int:
    """Return the sum of `status.availableReplicas`."""
    return sum(rs.status.available_replicas for rs in sets)


def _staying(rs: ReplicaSet) -> int:
    """Return how many available Pods there still are once a ReplicaSet has its size.

    Its status may be from before it was shrunk: whoever counts those Pods again takes away too many.
    """
    return min(rs.status.available_replicas, replicas_of(rs))


def is_rolling(deployment: Deployment) -> bool:
    """Say whether Pods are replaced little by little."""
    return deployment.spec.strategy.type != "Recreate"


def _fenceposts(deployment: Deployment) -> tuple[int, int]:
    """Return surge (rounded up) and unavailability (rounded down); both zero would never move, so one is lent."""
    rolling = deployment.spec.strategy.rolling_update
    replicas = replicas_of(deployment)
    surge_value = rolling.max_surge if rolling is not None and rolling.max_surge is not None else 0
    down_value = rolling.max_unavailable if rolling is not None and rolling.max_unavailable is not None else 0
    surge = scaled_value(surge_value, replicas, round_up=True)
    down = scaled_value(down_value, replicas, round_up=False)
    return (0, 1) if surge == 0 and down == 0 else (surge, down)


def max_surge(deployment: Deployment) -> int:
    """Return how many Pods there may be above `spec.replicas` during a rollout."""
    return _fenceposts(deployment)[0] if is_rolling(deployment) else 0


def max_unavailable(deployment: Deployment) -> int:
    """Return how many of `spec.replicas` may be unavailable during a rollout."""
    if not is_rolling(deployment) or not replicas_of(deployment):
        return 0
    return min(_fenceposts(deployment)[1], replicas_of(deployment))


def new_replicas(deployment: Deployment, sets: Iterable[ReplicaSet], current: int) -> int:
    """Return how many replicas the newest ReplicaSet, which has `current`, may have now."""
    wanted = replicas_of(deployment)
    if not is_rolling(deployment):
        return wanted
    room = wanted + max_surge(deployment) - total(sets)
    if room <= 0:
        return current
    return current + min(room, wanted - current)


def grow(deployment: Deployment, sets: Iterable[ReplicaSet], newest: ReplicaSet) -> int:
    """Return the next size of the newest ReplicaSet in a rolling update; too large a one shrinks at once."""
    wanted, current = replicas_of(deployment), replicas_of(newest)
    if current >= wanted:
        return wanted
    return new_replicas(deployment, sets, current)


def shrink(deployment: Deployment, old: Sequence[ReplicaSet], newest: ReplicaSet) -> list[Step]:
    """Return how the old ReplicaSets shrink now: first what is unhealthy, then what availability leaves free."""
    if not total(old):
        return []
    least = replicas_of(deployment) - max_unavailable(deployment)
    not_yet = replicas_of(newest) - _staying(newest)
    budget = total(old) + replicas_of(newest) - least - not_yet
    if budget <= 0:
        return []
    sizes = {rs.metadata.uid: replicas_of(rs) for rs in old}
    in_order = sorted(old, key=_created)
    for rs in in_order:
        unhealthy = sizes[rs.metadata.uid] - _staying(rs)
        taken = max(min(budget, unhealthy), 0)
        sizes[rs.metadata.uid] -= taken
        budget -= taken
    spare = sum(map(_staying, [*old, newest])) - least
    for rs in in_order:
        if spare <= 0:
            break
        taken = min(sizes[rs.metadata.uid], spare)
        sizes[rs.metadata.uid] -= taken
        spare -= taken
    return [Step(rs, sizes[rs.metadata.uid]) for rs in in_order if sizes[rs.metadata.uid] != replicas_of(rs)]


def _created(rs: ReplicaSet) -> tuple[datetime | None, str]:
    return (rs.metadata.creation_timestamp, rs.metadata.name)  # names settle equal times


def scale(deployment: Deployment, newest: ReplicaSet | None, old: Sequence[ReplicaSet]) -> list[Step]:
    """Return the sizes that follow from a changed `spec.replicas`, outside of a rollout's own steps.

    One active ReplicaSet takes all; a finished rollout empties the old ones; in the middle of one each ReplicaSet
    keeps its share.
    """
    everything = [*old, newest] if newest is not None else list(old)
    active = [rs for rs in everything if replicas_of(rs) > 0]
    wanted = replicas_of(deployment)
    if len(active) <= 1:
        only = active[0] if active else newest or max(old, key=_created, default=None)
        if only is None or (replicas_of(only) == wanted and annotated(only, DESIRED_REPLICAS) in (None, wanted)):
            return []
        return [Step(only, wanted)]
    if newest is not None and _saturated(deployment, newest):
        return [Step(rs, 0) for rs in old if replicas_of(rs) > 0]
    return _proportional(deployment, active) if is_rolling(deployment) else []


def _saturated(deployment: Deployment, rs: ReplicaSet) -> bool:
    wanted = replicas_of(deployment)
    desired = annotated(rs, DESIRED_REPLICAS)
    return replicas_of(rs) == wanted == desired and rs.status.available_replicas == wanted


def _proportional(deployment: Deployment, active: list[ReplicaSet]) -> list[Step]:
    wanted = replicas_of(deployment)
    allowed = wanted + max_surge(deployment) if wanted else 0
    to_add = allowed - total(active)
    newer_first = to_add > 0
    ordered = sorted(active, key=_created, reverse=newer_first)
    ordered.sort(key=replicas_of, reverse=True)
    added, sizes = 0, []
    for rs in ordered:
        part = _share(deployment, rs, to_add, added) if to_add else 0
        added += part
        sizes.append(replicas_of(rs) + part)
    if to_add and sizes:
        sizes[0] = max(sizes[0] + to_add - added, 0)
    return [Step(rs, size) for rs, size in zip(ordered, sizes, strict=True)]


def _share(deployment: Deployment, rs: ReplicaSet, to_add: int, added: int) -> int:
    """Return what one ReplicaSet gets (or gives) of a change: as much as its part of the whole."""
    if not replicas_of(rs) or to_add == added:
        return 0
    wanted = replicas_of(deployment)
    if not wanted:
        fraction = -replicas_of(rs)
    else:
        before = annotated(rs, MAX_REPLICAS)
        whole = deployment.status.replicas if before is None else before
        if not whole:
            return 0
        fraction = _round(replicas_of(rs) * (wanted + max_surge(deployment)) / whole) - replicas_of(rs)
    left = to_add - added
    return min(fraction, left) if to_add > 0 else max(fraction, left)


def _round(value: float) -> int:
    """Round half away from zero."""
    return int(value + 0.5) if value >= 0 else int(value - 0.5)


def annotated(rs: ReplicaSet, name: str) -> int | None:
    """Return the number in an annotation; None when there is none."""
    text = rs.metadata.annotations.get(name, "")
    return int(text) if text.isdecimal() else None


def revision_of(obj: ReplicaSet | Deployment) -> int:
    """Return the revision number of a ReplicaSet or Deployment; 0 when it has none."""
    text = obj.metadata.annotations.get(REVISION, "")
    return int(text) if text.isdecimal() else 0


def same_template(deployment: Deployment, rs: ReplicaSet) -> bool:
    """Say whether a ReplicaSet makes the Pods that the Deployment wants; the hash label is not looked at."""
    return _bare(rs.spec.template) == _bare(deployment.spec.template)


def _bare(template: PodTemplateSpec) -> PodTemplateSpec:
    meta = template.metadata
    labels = {key: value for key, value in meta.labels.items() if key != HASH_LABEL}
    return attrs.evolve(template, metadata=attrs.evolve(meta, labels=labels))


def newest_of(deployment: Deployment, sets: Iterable[ReplicaSet]) -> ReplicaSet | None:
    """Return the ReplicaSet of the current template: the oldest, should there be several."""
    return next((rs for rs in sorted(sets, key=_created) if same_template(deployment, rs)), None)


def expendable(deployment: Deployment, old: Iterable[ReplicaSet]) -> list[ReplicaSet]:
    """Return the old ReplicaSets that are beyond `spec.revisionHistoryLimit`, the oldest revision first."""
    limit = deployment.spec.revision_history_limit
    living = [rs for rs in old if rs.metadata.deletion_timestamp is None]
    if limit is None or len(living) <= limit:
        return []
    beyond = sorted(living, key=revision_of)[: len(living) - limit]
    return [
        rs
        for rs in beyond
        if not rs.status.replicas and not replicas_of(rs) and rs.metadata.generation <= rs.status.observed_generation
    ]
