"""Which key to work on next: a pure queue, told the time by its caller.

A key is in one of four places: ready, delayed, taken (being worked on), or nowhere. Adding a key that is ready does
nothing but raise its priority; adding one that is taken marks it to become ready again when it is done. So a key is
never worked on twice at once and a change is never lost, however many changes come:

    queue.add(a); queue.add(a)         ready: a
    queue.take(now)                    taken: a
    queue.add(a)                       taken: a, to be repeated
    queue.done(a)                      ready: a

Taking a key cancels what was scheduled for it: every attempt ends by saying anew when the next one is due.
"""

from __future__ import annotations

import heapq
from collections.abc import Hashable
from typing import Generic, TypeVar

from orchestra.backoff import Backoff, Chance

K = TypeVar("K", bound=Hashable)

_SLACK = 64
"""How many outdated entries a heap may hold, beyond as many as there are live ones, before it is rebuilt."""


class WorkQueue(Generic[K]):
    """Keys that want work, each at most once; higher priorities first, then first come, first served.

    Its size is bounded by the number of distinct keys.
    """

    def __init__(self, backoff: Backoff) -> None:
        self._backoff = backoff
        self._order = 0
        self._heap: list[tuple[int, int, K]] = []
        self._ready: dict[K, tuple[int, int]] = {}  # key -> (negated priority, order) of its valid heap entry
        self._timers: list[tuple[float, int, K]] = []
        self._delayed: dict[K, tuple[float, int, int]] = {}  # key -> (due, order, priority)
        self._taken: dict[K, int | None] = {}  # key -> priority to repeat it with, or None
        self._failures: dict[K, int] = {}
        self.added = 0
        """How many times a key became ready or was marked to be repeated."""

    def __len__(self) -> int:
        """How many keys are ready."""
        return len(self._ready)

    @property
    def delayed(self) -> int:
        """How many keys wait for their time."""
        return len(self._delayed)

    @property
    def taken(self) -> int:
        """How many keys are being worked on."""
        return len(self._taken)

    def add(self, key: K, *, priority: int = 0) -> None:
        """Ask for work on `key` as soon as possible."""
        if key in self._taken:
            known = self._taken[key]
            if known is None or known < priority:
                self._taken[key] = priority
                self.added += known is None
            return
        self.added += key not in self._ready
        self._make_ready(key, priority)

    def add_at(self, key: K, due: float, *, priority: int = 0) -> None:
        """Ask for work on `key` at the time `due`; of two dues the earlier one counts."""
        known = self._delayed.get(key)
        if key in self._ready or (known is not None and known[0] <= due):
            return
        self._order += 1
        self._delayed[key] = (due, self._order, priority)
        heapq.heappush(self._timers, (due, self._order, key))
        if len(self._timers) > _SLACK + 2 * len(self._delayed):
            self._timers = [(at, order, item) for item, (at, order, _) in self._delayed.items()]
            heapq.heapify(self._timers)

    def retry(self, key: K, now: float, *, priority: int = 0, chance: Chance | None = None) -> float:
        """Ask for work on `key` after a failure and return the delay in seconds, which grows with each in a row."""
        failures = self._failures.get(key, 0) + 1
        self._failures[key] = failures
        delay = self._backoff.delay_seconds(failures, chance)
        self.add_at(key, now + delay, priority=priority)
        return delay

    def failures(self, key: K) -> int:
        """Return how many times in a row `key` has failed."""
        return self._failures.get(key, 0)

    @property
    def failing(self) -> int:
        """How many keys failed at their last attempt."""
        return len(self._failures)

    def forget(self, key: K) -> None:
        """End a row of failures: the next one is the first again."""
        self._failures.pop(key, None)

    def take(self, now: float) -> K | None:
        """Return the key to work on now, or None; it stays taken until `done`."""
        self.wake(now)
        while self._heap:
            negated, order, key = heapq.heappop(self._heap)
            if self._ready.get(key) != (negated, order):
                continue  # outdated: the key was taken, or raised to a higher priority
            del self._ready[key]
            self._delayed.pop(key, None)
            self._taken[key] = None
            return key
        return None

    def done(self, key: K) -> None:
        """Say that the work on a taken key has ended; what asked for it meanwhile makes it ready."""
        repeat = self._taken.pop(key)
        if repeat is not None:
            self._make_ready(key, repeat)

    def next_due(self) -> float | None:
        """Return when the first delayed key becomes ready, or None when none is delayed."""
        while self._timers:
            due, order, key = self._timers[0]
            known = self._delayed.get(key)
            if known is not None and known[:2] == (due, order):
                return due
            heapq.heappop(self._timers)
        return None

    def worst(self) -> tuple[K, int] | None:
        """Return the key with the longest row of failures, and its length; None when no key is failing."""
        return max(self._failures.items(), key=lambda item: item[1], default=None)

    def wake(self, now: float) -> None:
        """Make ready every delayed key whose time has come."""
        while (due := self.next_due()) is not None and due <= now:
            key = heapq.heappop(self._timers)[2]
            priority = self._delayed.pop(key)[2]
            self.add(key, priority=priority)

    def _make_ready(self, key: K, priority: int) -> None:
        entry = self._ready.get(key)
        if entry is not None and -entry[0] >= priority:
            return
        self._delayed.pop(key, None)
        self._order += 1
        self._ready[key] = (-priority, self._order)
        heapq.heappush(self._heap, (-priority, self._order, key))
        if len(self._heap) > _SLACK + 2 * len(self._ready):
            self._heap = [(negated, order, item) for item, (negated, order) in self._ready.items()]
            heapq.heapify(self._heap)
