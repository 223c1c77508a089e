"""When a Pod must leave its node because of taints: pure, after the taint eviction controller."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from orchestra.api.core import Pod, Taint
from orchestra.api.rules.taints import tolerates

if TYPE_CHECKING:
    from orchestra.api.core import Toleration


def evicting_taints(taints: Iterable[Taint]) -> tuple[Taint, ...]:
    """Return the taints that Pods have to leave for."""
    return tuple(taint for taint in taints if taint.effect == "NoExecute")


def may_stay_seconds(pod: Pod, taints: Iterable[Taint]) -> float | None:
    """Return how long a Pod may stay on a node with these taints: 0 is not at all, None is for ever."""
    used: list[Toleration] = []
    for taint in evicting_taints(taints):
        matching = [toleration for toleration in pod.spec.tolerations if tolerates(toleration, taint)]
        if not matching:
            return 0.0
        used += matching
    limits = [toleration.toleration_seconds for toleration in used if toleration.toleration_seconds is not None]
    return max(0.0, float(min(limits))) if limits else None
