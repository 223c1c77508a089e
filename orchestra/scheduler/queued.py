"""A Pod in the scheduling queue: the record that the queue, the driver and the reports share."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, Final

import attrs

from orchestra.scheduler.events import EventHint
from orchestra.scheduler.podinfo import PodInfo
from orchestra.scheduler.profile import Profile

ACTIVE, BACKOFF, UNSCHEDULABLE, GATED, IN_FLIGHT = range(5)
POOLS: Final = ("active", "backoff", "unschedulable", "gated", "in_flight")
NO_PLUGINS: Final[frozenset[str]] = frozenset()


@attrs.define(eq=False)
class QueuedPod:
    """One Pod that waits or is in flight.

    `since` is when it began to wait, `tried_at` when it was refused last, `ready_at` when it became active or will.
    `entry` numbers its place in a heap: entries with another number are of the past. `group` is what it is tried with.
    """

    info: PodInfo
    profile: Profile
    since: float
    number: int
    attempts: int = 0
    tried_at: float = 0.0
    refused_by: frozenset[str] = NO_PLUGINS
    pool: int = ACTIVE
    ready_at: float = 0.0
    first_event: int = 0
    gate: str = ""
    entry: int = 0
    group: Hashable | None = None
    decision: Any = None
    """What the latest attempt decided, for the record of it."""

    @property
    def pool_name(self) -> str:
        """The pool that the Pod is in; empty when it is in none."""
        return POOLS[self.pool] if self.pool >= 0 else ""


@attrs.frozen
class Outlook:
    """When a Pod that waits is tried again: after one of `hints`, not before one time and at the latest by another."""

    hints: tuple[EventHint, ...] = ()
    not_before: float | None = None
    at_latest: float | None = None


Unit = tuple[QueuedPod, ...]
"""Pods that are tried together; mostly one."""
