"""Conditions of objects, and what Pods are by theirs: ready, available, finished."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import attrs

if TYPE_CHECKING:
    from orchestra.api.core.pod import Pod


class ConditionLike(Protocol):
    """What the conditions of all kinds have in common."""

    @property
    def type(self) -> str:
        """Which aspect of the object it is about."""
        ...

    @property
    def status(self) -> str:
        """`True`, `False` or `Unknown`."""
        ...


C = TypeVar("C", bound=ConditionLike)

_WITHOUT_TIMES = ("last_transition_time", "last_update_time", "last_probe_time", "last_heartbeat_time")


def condition(obj: Any, kind: str) -> Any:
    """Return the condition of that type in an object's status, or None."""
    for item in obj.status.conditions if obj.status is not None else ():
        if item.type == kind:
            return item
    return None


def condition_true(obj: Any, kind: str) -> bool:
    """Say whether an object has that condition with status True."""
    found = condition(obj, kind)
    return found is not None and found.status == "True"


def set_condition(conditions: tuple[C, ...], new: C, now: datetime) -> tuple[C, ...]:
    """Return `conditions` with `new` in the place of the one of its type, or at the end.

    `last_transition_time` becomes `now` when the status changes and is kept otherwise. The same tuple comes back when
    nothing but times would change, so that `is` tells whether there is something to write.
    """
    for index, old in enumerate(conditions):
        if old.type == new.type:
            since = now if old.status != new.status else getattr(old, "last_transition_time", None) or now
            stamped = attrs.evolve(new, last_transition_time=since)  # type: ignore[misc]
            if _same(old, stamped):
                return conditions
            return (*conditions[:index], stamped, *conditions[index + 1 :])
    since = getattr(new, "last_transition_time", None) or now
    return (*conditions, attrs.evolve(new, last_transition_time=since))  # type: ignore[misc]


def _same(old: Any, new: Any) -> bool:
    kept = {name: getattr(old, name) for name in _WITHOUT_TIMES if hasattr(old, name)}
    return bool(attrs.evolve(new, **kept) == old)


def is_ready(pod: Pod) -> bool:
    """Say whether a Pod can serve: its Ready condition is True."""
    return condition_true(pod, "Ready")


def is_available(pod: Pod, min_ready_seconds: int, now: datetime) -> bool:
    """Say whether a Pod has been ready for `min_ready_seconds` without a break."""
    ready = condition(pod, "Ready")
    if ready is None or ready.status != "True":
        return False
    if min_ready_seconds <= 0:
        return True
    since = ready.last_transition_time
    return since is not None and since + timedelta(seconds=min_ready_seconds) <= now


def is_terminal(pod: Pod) -> bool:
    """Say whether a Pod has ended for good: its phase is Succeeded or Failed."""
    return pod.status.phase in ("Succeeded", "Failed")


def is_active(pod: Pod) -> bool:
    """Say whether a Pod counts as a replica: it has not ended and nobody has deleted it."""
    return not is_terminal(pod) and pod.metadata.deletion_timestamp is None
