"""Scheduling a cluster state by what runs in production: queue, cycle, Reserve and Permit, on a time of its own. Pure.

The waiting Pods go into the queue, the older ones first, and time passes until it can help none of them any more. Pods
that are evicted for others wait again, if their controller replaces them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import attrs

from orchestra.api.core.pod import Pod
from orchestra.api.diagnosis import PLACED, PodDiagnosis
from orchestra.api.object import Object
from orchestra.api.scheduling import PriorityClass
from orchestra.clock import SystemClock
from orchestra.controller.interface import Change
from orchestra.errors import ConfigurationError
from orchestra.scheduler.cycle import Chance
from orchestra.scheduler.explaining import Attempt, of_diagnosis, record
from orchestra.scheduler.feed import Feed
from orchestra.scheduler.nodetable import NodeTable
from orchestra.scheduler.offline import OfflineScheduler, OneForAll, Tried
from orchestra.scheduler.podinfo import PodInfo
from orchestra.scheduler.priorities import Priorities
from orchestra.scheduler.profile import Profile
from orchestra.scheduler.queue import SchedulingQueue

if TYPE_CHECKING:
    from orchestra.scheduler.clusterstate import ClusterState

_OLDEST: Final = datetime.min.replace(tzinfo=UTC)


@attrs.frozen
class Plan:
    """What scheduling a state comes to: `placements` of the Pods that waited, and why each in `pending` still does.

    `victims` were evicted, each from the node that is named. `skipped` ask for a scheduler that was not simulated.
    `state` is the cluster afterwards.
    """

    state: ClusterState
    placements: Mapping[str, str]
    pending: Mapping[str, PodDiagnosis]
    victims: Mapping[str, str]
    skipped: tuple[str, ...] = ()


def table_of(state: ClusterState) -> NodeTable:
    """Return the node table of a state."""
    table = NodeTable()
    feed = Feed(table, SchedulingQueue({}), {}, lambda: 0.0, lambda: None)
    for kind, handle in feed.handlers():
        objects: Iterable[Object] = state.all(kind)
        changes: tuple[Change[Any], ...] = tuple(Change(None, obj) for obj in objects)
        handle(changes)
    return table


def simulate(state: ClusterState, profiles: Profile | Iterable[Profile] = (), *, seed: int = 0) -> Plan:
    """Place the waiting Pods of a state; see `ClusterState.schedule`."""
    chosen = (profiles,) if isinstance(profiles, Profile) else tuple(profiles) or (Profile(),)
    by_name = {profile.name: profile for profile in chosen}
    if len(by_name) < len(chosen):
        raise ConfigurationError("profiles of one scheduler must have different names")
    simulation = _Simulation(
        state.fork(), OneForAll(chosen[0]) if len(chosen) == 1 else by_name, SystemClock(seed).random
    )
    return simulation.plan()


class _Simulation(OfflineScheduler):
    def __init__(self, state: ClusterState, profiles: Mapping[str, Profile], random: Chance) -> None:
        super().__init__(profiles, random)
        self._state = state
        self._victims: dict[str, str] = {}
        self._priorities = Priorities(state.all(PriorityClass))
        waiting = sorted(state.pending, key=lambda pod: (pod.metadata.creation_timestamp or _OLDEST, pod.key))
        self._skipped = tuple(pod.key for pod in waiting if PodInfo(pod).scheduler_name not in profiles)
        pending = {pod.key for pod in waiting}
        for obj in state.objects():
            if not isinstance(obj, Pod) or obj.key not in pending:
                self.change(None, obj)
        for pod in waiting:
            self.change(None, self._priorities.given_to(pod))

    def plan(self) -> Plan:
        """Let time pass, and say what came of it."""
        self.settle()
        last = {tried.pod.key: tried for tried in self.tried}
        placed = {key: node for key, node in self._state.placements().items() if node and key in last}
        pending = {key: _record(tried) for key, tried in last.items() if tried.outcome != PLACED and key not in placed}
        return Plan(self._state, placed, pending, self._victims, self._skipped)

    def on_placed(self, pod: Pod) -> None:
        """Put the Pod on its node."""
        known = self._state.get(Pod, pod.key)
        self._state.add(attrs.evolve(known, spec=attrs.evolve(known.spec, node_name=pod.spec.node_name)))

    def on_evicted(self, pod: PodInfo, node: str) -> Pod | None:
        """Take a Pod off its node; return the one that waits in its place."""
        self._victims[pod.key] = node
        if not self._state.evict(self._state.get(Pod, pod.key)):
            return None
        return self._priorities.given_to(self._state.get(Pod, pod.key))


def _record(tried: Tried) -> PodDiagnosis:
    meta = tried.pod.pod.metadata
    decision = None if tried.diagnosis is None else of_diagnosis(tried.diagnosis, tried.found)
    attempt = Attempt(tried.pod.scheduler_name, tried.outcome, tried.message, tried.attempt)
    return record((meta.namespace, meta.name, meta.uid), decision, attempt)
