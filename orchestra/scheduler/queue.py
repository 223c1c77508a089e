"""Which Pod is tried next, and when one that was refused is tried again. Pure: time is an argument.

A Pod that waits is in one of four pools:

- active: can be tried now, ordered by the profile's QueueSort;
- backoff: an event may have helped it, or its cycle failed, but it was tried a moment ago;
- unschedulable: refused, until an event helps that one of the plugins which refused it asked for;
- gated: held back by PreEnqueue, until the Pod itself changes or an event helps that the plugin asked for.

While a Pod is being tried it is in flight: events that happen then are looked at when it is refused, so that none is
lost between a decision and its outcome. No Pod can be forgotten: what the events missed, `flush` finds after
`flush_seconds`, in the gated pool too.

Nobody starves: QueueSort decides, but every `TURNS`-th attempt goes to the active Pod that has waited longest, once it
has waited for `patience_seconds`. So a Pod that became active when n others had waited longer is tried, at the latest,
`TURNS` * (n + 1) attempts after its patience has ended, however many more important Pods keep coming; and those lose
one attempt in `TURNS` at most. What it finds is another matter: room that it is refused goes to more important Pods.

Pods of one group (`GroupPlugin`) are taken out together, whichever of them is ready.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Hashable, Iterable, Mapping
from itertools import count
from typing import Any, Final

from orchestra.backoff import Backoff
from orchestra.errors import PluginError
from orchestra.scheduler.events import ClusterEvent
from orchestra.scheduler.hints import EventMemory, Hints
from orchestra.scheduler.nodetable import NodeTable
from orchestra.scheduler.podinfo import PodInfo
from orchestra.scheduler.profile import Profile
from orchestra.scheduler.queued import (
    ACTIVE,
    BACKOFF,
    GATED,
    IN_FLIGHT,
    NO_PLUGINS,
    POOLS,
    UNSCHEDULABLE,
    Outlook,
    QueuedPod,
    Unit,
)

POD_BACKOFF: Final = Backoff(initial_seconds=1.0, factor=2.0, max_seconds=10.0)
FLUSH_SECONDS: Final = 30.0
"""Longest that a refused or gated Pod waits when no event helps it (kube-scheduler waits 5 minutes, or for ever)."""
PATIENCE_SECONDS: Final = 10.0
"""How long an active Pod waits before it can have one of the attempts that go by waiting time."""
TURNS: Final = 16
"""One of so many attempts goes by waiting time."""
MAX_EVENTS_IN_FLIGHT: Final = 10_000
"""Events remembered for Pods in flight; beyond it such a Pod is tried again without looking."""
MAX_FAULTS: Final = 1_000
"""Faults of plugins that wait to be reported; further ones are dropped, the Pod's next attempt reports again."""


class SchedulingQueue:
    """All Pods that wait for a node. `table` is what PreEnqueue plugins are shown."""

    def __init__(
        self,
        profiles: Mapping[str, Profile],
        table: NodeTable | None = None,
        *,
        backoff: Backoff = POD_BACKOFF,
        flush_seconds: float = FLUSH_SECONDS,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        self._profiles = profiles
        self._table = table or NodeTable()
        self._backoff = backoff
        self._flush_seconds = flush_seconds
        self._patience_seconds = patience_seconds
        self._pods: dict[str, QueuedPod] = {}
        # The number in every heap entry keeps Pods themselves from being compared.
        self._active: list[tuple[Any, int, int, QueuedPod]] = []
        self._by_age: deque[tuple[int, QueuedPod]] = deque()
        self._waiting: list[tuple[float, int, QueuedPod]] = []
        self._resting: dict[tuple[str, frozenset[str]], dict[str, QueuedPod]] = {}
        self.hints = Hints()
        self._flush_order: list[tuple[float, int, QueuedPod]] = []
        self._groups: dict[Hashable, dict[str, QueuedPod]] = {}
        self._in_flight: dict[str, QueuedPod] = {}
        self._newly_gated: dict[str, QueuedPod] = {}
        self._events = EventMemory(MAX_EVENTS_IN_FLIGHT)
        self._number = 0
        self._turn = 0
        self._entries = count(1)
        self._faults: list[tuple[QueuedPod, PluginError]] = []
        self._a_key: tuple[int, Any] | None = None

    def __len__(self) -> int:
        return len(self._pods)

    def __contains__(self, uid: str) -> bool:
        return uid in self._pods

    def counts(self) -> dict[str, int]:
        """Return how many Pods each pool has."""
        found = dict.fromkeys(POOLS, 0)
        for pod in self._pods.values():
            found[pod.pool_name] += 1
        return found

    def outlook(self, pod: QueuedPod) -> Outlook:
        """Say when a Pod is tried again."""
        if pod.pool == BACKOFF:
            return Outlook(not_before=pod.ready_at, at_latest=pod.ready_at)
        if pod.pool not in (UNSCHEDULABLE, GATED):
            return Outlook()
        hints = self.hints.of(pod.profile.name, pod.refused_by)
        if pod.pool == GATED:
            return Outlook(hints)
        rested = pod.tried_at + self._backoff.delay_seconds(pod.attempts)
        return Outlook(hints, rested, max(rested, pod.tried_at + self._flush_seconds))

    def pods(self) -> tuple[QueuedPod, ...]:
        """Return every Pod that waits or is in flight, those that came first first."""
        return tuple(self._pods.values())

    def newly_gated(self) -> list[QueuedPod]:
        """Return the Pods that PreEnqueue has held back since the last call, and still does."""
        found, self._newly_gated = self._newly_gated, {}
        return [pod for pod in found.values() if pod.pool == GATED]

    def faults(self) -> list[tuple[QueuedPod, PluginError]]:
        """Return what plugins did wrong since the last call, and to which Pod; it is tried again after its backoff."""
        found, self._faults = self._faults, []
        return found

    # -- Pods come, change and go

    def add(self, info: PodInfo, now: float) -> None:
        """Take in a Pod that has no node, or the newest state of one."""
        known = self._pods.get(info.uid)
        if known is not None:
            self._update(known, info, now)
            return
        self._number += 1
        profile = self._profiles[info.scheduler_name]
        self.hints.know(profile)
        pod = self._pods[info.uid] = QueuedPod(info, profile, now, self._number)
        self._admit(pod, now)

    def remove(self, uid: str) -> None:
        """Forget a Pod that is bound or gone."""
        pod = self._pods.pop(uid, None)
        if pod is not None:
            self._newly_gated.pop(uid, None)
            self._leave(pod)
            self._ungroup(pod)
            pod.pool = -1

    def _update(self, pod: QueuedPod, info: PodInfo, now: float) -> None:
        changed = self.hints.changed(pod, info)
        pod.info = info
        if not changed:
            return
        if pod.pool == GATED:
            self._leave(pod)
            self._admit(pod, now)
        elif pod.pool == UNSCHEDULABLE:
            self._leave(pod)
            self._wake(pod, now)
        elif pod.pool == ACTIVE:
            self._push(pod)

    def _admit(self, pod: QueuedPod, now: float) -> None:
        """Put a Pod into the active pool, unless a PreEnqueue plugin holds it back."""
        for plugin in pod.profile.pre_enqueue:
            try:
                status = plugin.pre_enqueue(pod.info, self._table)
                gate = None if status is None or status.success else ", ".join(status.reasons)
            except Exception as error:  # noqa: BLE001 - a plugin's fault: it is reported and costs this Pod a turn
                self._fault(pod, plugin.name, "PreEnqueue", error, now)
                return
            if gate is not None:
                if pod.gate != gate:
                    self._newly_gated[pod.info.uid] = pod
                pod.gate, pod.refused_by = gate, frozenset((plugin.name,))
                self._rest(pod, GATED, now)
                return
        pod.gate = ""
        try:
            self._group(pod)
        except Exception as error:  # noqa: BLE001 - as above
            self._fault(pod, pod.profile.grouping_name, "GroupOf", error, now)
            return
        self._activate(pod, now)

    def _fault(self, pod: QueuedPod, plugin: str, point: str, error: Exception, now: float) -> None:
        self._tell(pod, plugin, point, error)
        pod.attempts += 1
        pod.tried_at = now
        self._rest_until(pod, now + self._backoff.delay_seconds(pod.attempts))

    def _tell(self, pod: QueuedPod, plugin: str, point: str, error: Exception) -> None:
        if len(self._faults) < MAX_FAULTS:
            text = f"plugin {plugin} failed in {point}: {error!r}"
            self._faults.append((pod, PluginError(text, plugin=plugin)))

    def _activate(self, pod: QueuedPod, now: float) -> None:
        pod.pool = ACTIVE
        pod.since = pod.since if pod.attempts == 0 else now
        pod.ready_at = now
        self._push(pod)
        self._by_age.append((pod.entry, pod))

    def _push(self, pod: QueuedPod) -> None:
        pod.entry = pod.entry or next(self._entries)
        try:
            key = (0, pod.profile.sort_key(pod.info, pod.since))
            self._a_key = key if self._a_key is None else self._a_key
            bool(key < self._a_key)  # keys that do not compare would break the heap later
        except Exception as error:  # noqa: BLE001 - the Pod is tried all the same, behind those that have a key
            self._tell(pod, pod.profile.sorter_name, "QueueSort", error)
            key = (1, pod.since)
        heapq.heappush(self._active, (key, pod.number, pod.entry, pod))

    def _wake(self, pod: QueuedPod, now: float) -> None:
        """Try a Pod again: now, or when it has waited long enough since it was tried last."""
        ready_at = pod.tried_at + self._backoff.delay_seconds(pod.attempts)
        if ready_at <= now:
            self._admit(pod, now)
        else:
            self._rest_until(pod, ready_at)

    def _rest_until(self, pod: QueuedPod, ready_at: float) -> None:
        pod.pool, pod.ready_at, pod.entry = BACKOFF, ready_at, next(self._entries)
        heapq.heappush(self._waiting, (ready_at, pod.entry, pod))

    def _rest(self, pod: QueuedPod, pool: int, now: float) -> None:
        """Let a Pod wait for an event that one of the plugins which refused it asked for."""
        pod.pool, pod.entry = pool, next(self._entries)
        self._resting.setdefault((pod.profile.name, pod.refused_by), {})[pod.info.uid] = pod
        heapq.heappush(self._flush_order, (now + self._flush_seconds, pod.entry, pod))

    def _leave(self, pod: QueuedPod) -> None:
        """Take a Pod out of its pool; heaps drop their entry when it comes up."""
        pod.entry = 0
        if pod.pool in (UNSCHEDULABLE, GATED):
            key = (pod.profile.name, pod.refused_by)
            resting = self._resting.get(key, {})
            resting.pop(pod.info.uid, None)
            if not resting:
                self._resting.pop(key, None)
        elif pod.pool == IN_FLIGHT:
            self._land(pod)

    # -- groups

    def _group(self, pod: QueuedPod) -> None:
        self._ungroup(pod)
        pod.group = pod.profile.group_of(pod.info, self._table)
        if pod.group is not None:
            self._groups.setdefault(pod.group, {})[pod.info.uid] = pod

    def _ungroup(self, pod: QueuedPod) -> None:
        members = self._groups.get(pod.group, {}) if pod.group is not None else {}
        members.pop(pod.info.uid, None)
        if pod.group is not None and not members:
            self._groups.pop(pod.group, None)
        pod.group = None

    # -- trying

    def pop(self, limit: int, now: float) -> list[Unit]:
        """Return about `limit` Pods to try now, in order; each must end in `done`, `refuse` or `retry`."""
        found: list[Unit] = []
        while limit > 0:
            pod = self._next(now)
            if pod is None:
                break
            unit = self._with_its_group(pod)
            for member in unit:
                self._take_off(member)
            found.append(unit)
            limit -= len(unit)
        return found

    def _next(self, now: float) -> QueuedPod | None:
        self._turn += 1
        if self._turn % TURNS == 0:
            oldest = self._oldest()
            if oldest is not None and now - oldest.ready_at >= self._patience_seconds:
                return oldest
        while self._active:
            _, _, entry, pod = heapq.heappop(self._active)
            if pod.pool == ACTIVE and pod.entry == entry:
                return pod
        return None

    def _oldest(self) -> QueuedPod | None:
        """Return the Pod that has been active for the longest."""
        while self._by_age:
            entry, pod = self._by_age[0]
            if pod.pool == ACTIVE and pod.entry == entry:
                return pod
            self._by_age.popleft()
        return None

    def _with_its_group(self, pod: QueuedPod) -> Unit:
        if pod.group is None:
            return (pod,)
        others = (m for m in self._groups[pod.group].values() if m.pool in (ACTIVE, BACKOFF, UNSCHEDULABLE))
        return tuple(sorted(others, key=lambda member: (-member.info.priority, member.number)))

    def _take_off(self, pod: QueuedPod) -> None:
        self._leave(pod)
        pod.pool = IN_FLIGHT
        pod.attempts += 1
        pod.first_event = self._events.position
        self._in_flight[pod.info.uid] = pod

    def done(self, pod: QueuedPod) -> None:
        """The Pod is bound."""
        if self._pods.get(pod.info.uid) is pod:
            self.remove(pod.info.uid)

    def refuse(self, pod: QueuedPod, plugins: Iterable[str], now: float) -> None:
        """No node can run the Pod: it waits for an event that one of `plugins` asked for."""
        if not self.in_flight(pod):
            return
        pod.tried_at, pod.refused_by = now, frozenset(plugins)
        events = self._events.since(pod.first_event)
        self._land(pod)
        if events is None or any(self.hints.help(pod.profile.name, pod.refused_by, pod.info, e) for e in events):
            self._wake(pod, now)
        else:
            self._rest(pod, UNSCHEDULABLE, now)

    def retry(self, pod: QueuedPod, now: float) -> None:
        """The cycle failed, or binding did: the Pod is tried again after its backoff."""
        if self.in_flight(pod):
            pod.tried_at, pod.refused_by = now, NO_PLUGINS
            self._land(pod)
            self._wake(pod, now)

    def in_flight(self, pod: QueuedPod) -> bool:
        """Say whether a Pod is still being tried: it is neither gone nor known to be bound."""
        return self._pods.get(pod.info.uid) is pod and pod.pool == IN_FLIGHT

    def _land(self, pod: QueuedPod) -> None:
        self._in_flight.pop(pod.info.uid, None)
        if not self._in_flight:
            self._events.clear()

    # -- events

    def on_event(self, event: ClusterEvent, now: float) -> None:
        """Wake the refused and the gated Pods that an event may help."""
        if not self.hints.wanted(event):
            return
        if self._in_flight:
            self._events.add(event)
        busy = self._table.victims.busy(event)
        for key, resting in list(self._resting.items()):
            hints = self.hints.about(*key, event)
            if hints:
                for pod in [p for u, p in resting.items() if u not in busy and self.hints.match(hints, p.info, event)]:
                    self._rouse(pod, now)

    def _rouse(self, pod: QueuedPod, now: float) -> None:
        gated = pod.pool == GATED
        self._leave(pod)
        (self._admit if gated else self._wake)(pod, now)

    def activate(self, uid: str, now: float, *, rested: bool = False) -> None:
        """Try a Pod again that was refused, as what it waited for has happened: at once, or when it has `rested`."""
        pod = self._pods.get(uid)
        if pod is not None and pod.pool in (BACKOFF, UNSCHEDULABLE):
            self._leave(pod)
            (self._wake if rested else self._admit)(pod, now)

    # -- time

    def flush(self, now: float) -> None:
        """Move Pods whose time has come: out of backoff, and out of a wait that no event has ended."""
        while self._waiting and self._waiting[0][0] <= now:
            _, entry, pod = heapq.heappop(self._waiting)
            if pod.pool == BACKOFF and pod.entry == entry:
                pod.entry = 0
                self._admit(pod, now)
        while self._flush_order and self._flush_order[0][0] <= now:
            _, entry, pod = heapq.heappop(self._flush_order)
            if pod.pool in (UNSCHEDULABLE, GATED) and pod.entry == entry:
                self._rouse(pod, now)

    def next_time(self) -> float | None:
        """Return when `flush` has something to do next, at the latest; None for never."""
        return min((heap[0][0] for heap in (self._waiting, self._flush_order) if heap), default=None)
