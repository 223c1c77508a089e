"""Which Pods a controller gives up first when there are too many.

Source: Kubernetes documentation, "ReplicaSet", scaling a ReplicaSet; the order is that of its controller, durations
on a logarithmic scale included (KEP-2185).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from orchestra.api.core import Pod
from orchestra.api.rules import condition, is_ready

DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
_PHASES = {"Pending": 0, "Unknown": 1, "Running": 2}


def rank_victims(pods: Iterable[Pod], related_on_node: Mapping[str, int], now: datetime) -> list[Pod]:
    """Return Pods in the order in which they are to be deleted.

    `related_on_node` counts the related Pods of each node: crowded nodes are relieved first.
    """

    def compare(left: Pod, right: Pod) -> int:
        return _compare(left, right, related_on_node, now)

    return sorted(pods, key=functools.cmp_to_key(compare))


def _compare(left: Pod, right: Pod, related: Mapping[str, int], now: datetime) -> int:
    """Return a negative number when `left` is to go before `right`."""
    firm = _sign(_standing(left, related), _standing(right, related))
    if firm:
        return firm
    if is_ready(left) and is_ready(right):
        by_ready = _younger(_ready_since(left), _ready_since(right), left, right, now)
        if by_ready:
            return by_ready
    restarts = _sign(_restarts(right), _restarts(left))
    if restarts:
        return restarts
    return _younger(left.metadata.creation_timestamp, right.metadata.creation_timestamp, left, right, now)


def _sign(left: tuple[int, ...], right: tuple[int, ...]) -> int:
    return (left > right) - (left < right)


def _standing(pod: Pod, related: Mapping[str, int]) -> tuple[int, ...]:
    """How much a Pod is worth: bound, running, ready, of high cost, on an empty node."""
    return (
        1 if pod.spec.node_name else 0,
        _PHASES.get(pod.status.phase, 0),
        1 if is_ready(pod) else 0,
        deletion_cost(pod),
        -related.get(pod.spec.node_name, 0),
    )


def deletion_cost(pod: Pod) -> int:
    """Return the annotated cost of deleting a Pod; what is no 32-bit integer counts as 0."""
    text = pod.metadata.annotations.get(DELETION_COST, "0")
    digits = text[1:] if text[:1] == "-" else text
    if not digits.isdecimal() or not digits.isascii() or (len(digits) > 1 and digits[0] == "0"):
        return 0
    value = int(text)
    return value if -(2**31) <= value < 2**31 else 0


def _ready_since(pod: Pod) -> datetime | None:
    ready = condition(pod, "Ready")
    return ready.last_transition_time if ready is not None else None


def _restarts(pod: Pod) -> tuple[int, ...]:
    sidecars = {c.name for c in pod.spec.init_containers if c.restart_policy == "Always"}
    main = max((s.restart_count for s in pod.status.container_statuses), default=0)
    beside = (s.restart_count for s in pod.status.init_container_statuses if s.name in sidecars)
    return (main, max(beside, default=0))


def _younger(left: datetime | None, right: datetime | None, one: Pod, other: Pod, now: datetime) -> int:
    """Prefer the younger; ages within one power of two of nanoseconds are equal, and then the uid decides."""
    if left == right:
        return 0
    if left is None or right is None:
        return -1 if left is None else 1
    difference = _magnitude(now - left) - _magnitude(now - right)
    if difference == 0:
        return -1 if one.metadata.uid < other.metadata.uid else 1
    return difference


def _magnitude(age: timedelta) -> int:
    nanoseconds = age.total_seconds() * 1e9
    return int(math.log2(nanoseconds)) if nanoseconds > 0 else -1
