"""Which Pod is tried next, and when one that was refused is tried again. Pure: time is an argument.

A Pod that waits is in one of four pools:

- active: can be tried now, ordered by the profile's QueueSort;
- backoff: an event may have helped it, or its cycle failed, but it was tried a moment ago;
- unschedulable: refused, until an event helps that one of the plugins which refused it asked for;
- gated: held back by PreEnqueue until the Pod itself changes.

While a Pod is being tried it is in flight: events that happen then are remembered and looked at when it is refused, so
that none is lost between a decision and its outcome. No Pod can be forgotten: what the events missed, `flush` finds
after `flush_seconds`.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping
from itertools import count
from typing import Any, Final

import attrs

from orchestra.backoff import Backoff
from orchestra.scheduler.events import ClusterEvent, EventHint
from orchestra.scheduler.podinfo import PodInfo
from orchestra.scheduler.profile import Profile

POD_BACKOFF: Final = Backoff(initial_seconds=1.0, factor=2.0, max_seconds=10.0)
FLUSH_SECONDS: Final = 30.0
"""Longest that a refused Pod waits when no event helps it (kube-scheduler waits 5 minutes)."""
MAX_EVENTS_IN_FLIGHT: Final = 10_000
"""Events remembered for Pods in flight; beyond it such a Pod is tried again without looking."""
NO_PLUGINS: Final[frozenset[str]] = frozenset()

_ACTIVE, _BACKOFF, _UNSCHEDULABLE, _GATED, _IN_FLIGHT = range(5)


@attrs.define(eq=False)
class QueuedPod:
    """One Pod that waits or is in flight. `since` is when it began to wait, `tried_at` when it was refused last."""

    info: PodInfo
    profile: Profile
    since: float
    number: int
    attempts: int = 0
    tried_at: float = 0.0
    refused_by: frozenset[str] = NO_PLUGINS
    pool: int = _ACTIVE
    ready_at: float = 0.0
    first_event: int = 0
    gate: str = ""
    decision: Any = None
    """What the latest attempt decided, for the record of it."""


@attrs.frozen
class Outlook:
    """When a Pod that waits is tried again: after one of `hints`, not before one time and at the latest by another."""

    hints: tuple[EventHint, ...] = ()
    not_before: float | None = None
    at_latest: float | None = None


class SchedulingQueue:
    """All Pods that wait for a node."""

    def __init__(
        self, profiles: Mapping[str, Profile], *, backoff: Backoff = POD_BACKOFF, flush_seconds: float = FLUSH_SECONDS
    ) -> None:
        self._profiles = profiles
        self._backoff = backoff
        self._flush_seconds = flush_seconds
        self._pods: dict[str, QueuedPod] = {}
        # The counter in every heap entry keeps Pods themselves from being compared.
        self._active: list[tuple[Any, int, int, QueuedPod]] = []
        self._waiting: list[tuple[float, int, QueuedPod]] = []
        self._refused: dict[tuple[str, frozenset[str]], dict[str, QueuedPod]] = {}
        self._hints: dict[tuple[str, frozenset[str]], tuple[EventHint, ...]] = {}
        self._flush_order: list[tuple[float, int, QueuedPod]] = []
        self._in_flight: dict[str, QueuedPod] = {}
        self._newly_gated: dict[str, QueuedPod] = {}
        self._events: list[ClusterEvent] = []
        self._events_start = 0
        self._number = 0
        self._entries = count()

    def __len__(self) -> int:
        return len(self._pods)

    def __contains__(self, uid: str) -> bool:
        return uid in self._pods

    def counts(self) -> dict[str, int]:
        """Return how many Pods each pool has."""
        names = ("active", "backoff", "unschedulable", "gated", "in_flight")
        found = dict.fromkeys(names, 0)
        for pod in self._pods.values():
            found[names[pod.pool]] += 1
        return found

    def outlook(self, pod: QueuedPod) -> Outlook:
        """Say when a Pod is tried again."""
        if pod.pool == _BACKOFF:
            return Outlook(not_before=pod.ready_at, at_latest=pod.ready_at)
        if pod.pool == _UNSCHEDULABLE:
            rested = pod.tried_at + self._backoff.delay_seconds(pod.attempts)
            at_latest = max(rested, pod.tried_at + self._flush_seconds)
            return Outlook(self._hints_of((pod.profile.name, pod.refused_by)), rested, at_latest)
        if pod.pool == _GATED:
            return Outlook(self._hints_of((pod.profile.name, pod.refused_by)))
        return Outlook()

    def pods(self) -> tuple[QueuedPod, ...]:
        """Return every Pod that waits or is in flight, those that came first first."""
        return tuple(self._pods.values())

    def newly_gated(self) -> list[QueuedPod]:
        """Return the Pods that PreEnqueue has held back since the last call, and still does."""
        found, self._newly_gated = self._newly_gated, {}
        return [pod for pod in found.values() if pod.pool == _GATED]

    # -- Pods come, change and go

    def add(self, info: PodInfo, now: float) -> None:
        """Take in a Pod that has no node, or the newest state of one."""
        known = self._pods.get(info.uid)
        if known is not None:
            self._update(known, info, now)
            return
        self._number += 1
        profile = self._profiles[info.scheduler_name]
        pod = self._pods[info.uid] = QueuedPod(info, profile, now, self._number)
        self._admit(pod, now)

    def remove(self, uid: str) -> None:
        """Forget a Pod that is bound or gone."""
        pod = self._pods.pop(uid, None)
        self._newly_gated.pop(uid, None)
        if pod is not None:
            self._leave(pod)
            pod.pool = -1

    def _update(self, pod: QueuedPod, info: PodInfo, now: float) -> None:
        changed = pod.info.pod.spec is not info.pod.spec or pod.info.labels != info.labels
        changed = changed and (pod.info.core_shape != info.core_shape or pod.pool == _GATED)
        pod.info = info
        if pod.pool == _GATED and changed:
            self._admit(pod, now)
        elif pod.pool == _UNSCHEDULABLE and changed:
            self._leave(pod)
            self._wake(pod, now)

    def _admit(self, pod: QueuedPod, now: float) -> None:
        """Put a Pod into the active pool, unless a PreEnqueue plugin holds it back."""
        for plugin in pod.profile.pre_enqueue:
            status = plugin.pre_enqueue(pod.info)
            if status is not None and not status.success:
                pod.pool, pod.gate = _GATED, ", ".join(status.reasons)
                pod.refused_by = frozenset((plugin.name,))
                self._newly_gated[pod.info.uid] = pod
                return
        pod.gate = ""
        self._activate(pod, now)

    def _activate(self, pod: QueuedPod, now: float) -> None:
        pod.pool = _ACTIVE
        pod.since = pod.since if pod.attempts == 0 else now
        key = pod.profile.sort_key(pod.info, pod.since)
        heapq.heappush(self._active, (key, pod.number, next(self._entries), pod))

    def _wake(self, pod: QueuedPod, now: float) -> None:
        """Try a Pod again: now, or when it has waited long enough since it was tried last."""
        pod.ready_at = pod.tried_at + self._backoff.delay_seconds(pod.attempts)
        if pod.ready_at <= now:
            self._admit(pod, now)
            return
        pod.pool = _BACKOFF
        heapq.heappush(self._waiting, (pod.ready_at, next(self._entries), pod))

    def _leave(self, pod: QueuedPod) -> None:
        """Take a Pod out of its pool; heaps drop their entry when it comes up."""
        if pod.pool == _UNSCHEDULABLE:
            key = (pod.profile.name, pod.refused_by)
            group = self._refused.get(key, {})
            group.pop(pod.info.uid, None)
            if not group:
                self._refused.pop(key, None)
        elif pod.pool == _IN_FLIGHT:
            self._land(pod)

    # -- trying

    def pop(self, limit: int) -> list[QueuedPod]:
        """Return up to `limit` Pods to try now, in order; each must end in `done`, `refuse` or `retry`."""
        found: list[QueuedPod] = []
        while self._active and len(found) < limit:
            pod = heapq.heappop(self._active)[-1]
            if pod.pool != _ACTIVE:
                continue
            pod.pool = _IN_FLIGHT
            pod.attempts += 1
            pod.first_event = self._events_start + len(self._events)
            self._in_flight[pod.info.uid] = pod
            found.append(pod)
        return found

    def done(self, pod: QueuedPod) -> None:
        """The Pod is bound."""
        if self._pods.get(pod.info.uid) is pod:
            self.remove(pod.info.uid)

    def refuse(self, pod: QueuedPod, plugins: Iterable[str], now: float) -> None:
        """No node can run the Pod: it waits for an event that one of `plugins` asked for."""
        if not self._still_mine(pod):
            return
        pod.tried_at = now
        pod.refused_by = frozenset(plugins)
        events = self._events_since(pod.first_event)
        self._land(pod)
        if events is None or any(self._helps(pod, event) for event in events):
            self._wake(pod, now)
            return
        pod.pool = _UNSCHEDULABLE
        self._refused.setdefault((pod.profile.name, pod.refused_by), {})[pod.info.uid] = pod
        heapq.heappush(self._flush_order, (now + self._flush_seconds, next(self._entries), pod))

    def retry(self, pod: QueuedPod, now: float) -> None:
        """The cycle failed, or binding did: the Pod is tried again after its backoff."""
        if self._still_mine(pod):
            pod.tried_at = now
            pod.refused_by = NO_PLUGINS
            self._land(pod)
            self._wake(pod, now)

    def _still_mine(self, pod: QueuedPod) -> bool:
        return self._pods.get(pod.info.uid) is pod and pod.pool == _IN_FLIGHT

    def _land(self, pod: QueuedPod) -> None:
        self._in_flight.pop(pod.info.uid, None)
        if not self._in_flight:
            self._events_start += len(self._events)
            self._events.clear()

    # -- events

    def on_event(self, event: ClusterEvent, now: float) -> None:
        """Wake the refused Pods that an event may help."""
        if self._in_flight:
            self._remember(event)
        for key, group in list(self._refused.items()):
            hints = [hint for hint in self._hints_of(key) if hint.concerns(event)]
            if not hints:
                continue
            blind = any(hint.helps is None for hint in hints)
            for pod in list(group.values()):
                if blind or any(hint.matches(pod.info, event) for hint in hints):
                    self._leave(pod)
                    self._wake(pod, now)

    def _hints_of(self, key: tuple[str, frozenset[str]]) -> tuple[EventHint, ...]:
        hints = self._hints.get(key)
        if hints is None:
            profile, names = self._profiles[key[0]], key[1]
            hints = tuple(h for plugin in profile.plugins if plugin.name in names for h in plugin.events())
            self._hints[key] = hints
        return hints

    def _helps(self, pod: QueuedPod, event: ClusterEvent) -> bool:
        return any(hint.matches(pod.info, event) for hint in self._hints_of((pod.profile.name, pod.refused_by)))

    def _remember(self, event: ClusterEvent) -> None:
        self._events.append(event)
        if len(self._events) > MAX_EVENTS_IN_FLIGHT:
            self._events_start += len(self._events)
            self._events.clear()

    def _events_since(self, position: int) -> list[ClusterEvent] | None:
        """Return the events after a position; None when they are remembered no more."""
        if position < self._events_start:
            return None
        return self._events[position - self._events_start :]

    # -- time

    def flush(self, now: float) -> None:
        """Move Pods whose time has come: out of backoff, and out of a refusal that no event has ended."""
        while self._waiting and self._waiting[0][0] <= now:
            ready_at, _, pod = heapq.heappop(self._waiting)
            if pod.pool == _BACKOFF and pod.ready_at == ready_at:
                self._admit(pod, now)
        while self._flush_order and self._flush_order[0][0] <= now:
            at, _, pod = heapq.heappop(self._flush_order)
            if pod.pool == _UNSCHEDULABLE and pod.tried_at + self._flush_seconds == at:
                self._leave(pod)
                self._wake(pod, now)

    def next_time(self) -> float | None:
        """Return when `flush` has something to do next, at the latest; None for never."""
        times = [heap[0][0] for heap in (self._waiting, self._flush_order) if heap]
        return min(times) if times else None

    @property
    def has_active(self) -> bool:
        """Whether there may be Pods to try now."""
        return bool(self._active)
