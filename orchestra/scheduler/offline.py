"""A scheduler without a server: queue, cycle, Reserve and Permit as in production, on a time that is told. Pure.

Unit tests and what-if run on it. Binding always succeeds, at once; PreBind, Bind and PostBind, which wait for somebody,
are not asked. Pods that are evicted are gone at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import attrs

from orchestra.api.core.pod import Pod
from orchestra.api.diagnosis import FAILED, GATED, PLACED, REFUSED, UNSCHEDULABLE, WAITING
from orchestra.controller.interface import Change
from orchestra.errors import PluginError
from orchestra.scheduler.advice import advise
from orchestra.scheduler.answers import asking
from orchestra.scheduler.cycle import Chance, Cycle, Unplaced
from orchestra.scheduler.diagnosis import Diagnosis
from orchestra.scheduler.events import Action, ClusterEvent, Resource
from orchestra.scheduler.feed import Feed
from orchestra.scheduler.interface import PostFilterResult
from orchestra.scheduler.nodetable import NodeTable
from orchestra.scheduler.permitting import PlacedUnit, Placement
from orchestra.scheduler.placing import Helpers, Placer
from orchestra.scheduler.podinfo import PodInfo
from orchestra.scheduler.profile import Profile
from orchestra.scheduler.queue import FLUSH_SECONDS, SchedulingQueue
from orchestra.scheduler.queued import QueuedPod

BATCH: Final = 64
"""Pods that are tried together where a profile packs batches."""
LONGEST_SECONDS: Final = 3600.0
"""Longest time that `settle` lets pass."""


@attrs.frozen(eq=False)
class Tried:
    """One attempt: what it came to, in a word of `orchestra.api.diagnosis`, when, and what the cycle found."""

    pod: PodInfo
    outcome: str
    node: str = ""
    message: str = ""
    at_seconds: float = 0.0
    attempt: int = 0
    found: PostFilterResult = PostFilterResult()
    diagnosis: Diagnosis | None = None


class OneForAll(dict[str, Profile]):
    """Gives every Pod the same profile, whichever scheduler it asks for."""

    def __init__(self, profile: Profile) -> None:
        super().__init__({profile.name: profile})
        self._profile = profile

    def __missing__(self, _name: str) -> Profile:
        return self._profile

    def __contains__(self, _name: object) -> bool:
        return True


class OfflineScheduler:
    """`change` tells it what the cluster is like, `run` lets time pass, `tried` is what came of it.

    When a plugin fails, `run` raises PluginError if `strict`; else that is one attempt's outcome.
    """

    def __init__(self, profiles: Mapping[str, Profile], random: Chance, *, strict: bool = False) -> None:
        self.now_seconds = 0.0
        self.table = NodeTable()
        self.queue = SchedulingQueue(profiles, self.table)
        self.cycles = {
            profile.name: Cycle(profile, self.table, random, witness=self.witness) for profile in profiles.values()
        }
        self.placer = Placer(self.queue, self.cycles, Helpers(self, self, self))
        self.tried: list[Tried] = []
        self._feed = Feed(self.table, self.queue, profiles, lambda: self.now_seconds, lambda: None)
        self._take_in = dict(self._feed.handlers())
        self._strict = strict
        # One Pod at a time, so that each sees what became of those before; more only where a profile packs them.
        self._batch = BATCH if any(profile.batching is not None for profile in profiles.values()) else 1
        self._outcomes: dict[str, Unplaced] = {}

    # -- what happens

    def change(self, old: Any, new: Any) -> None:
        """Take in that an object came (`old` is None), changed, or went (`new` is None)."""
        handler = self._take_in.get(type(new if new is not None else old))
        if handler is not None:
            handler((Change(old, new),))

    def run(self, until_seconds: float) -> None:
        """Let time pass until then, trying every Pod when its time comes."""
        while self._step() or self._move_on(until_seconds):
            pass
        self.now_seconds = max(self.now_seconds, until_seconds)

    def settle(self) -> None:
        """Let time pass until no Pod can be helped by time alone, LONGEST_SECONDS at most.

        At the end every Pod that waits is tried once more, so that each has its reasons for the cluster as it is then.
        """
        end = self.now_seconds + LONGEST_SECONDS
        placed = -1
        while placed != len(self.table.placed) and self.now_seconds <= end:
            placed = len(self.table.placed)
            while self._step() or (self._restless() and self._move_on(end)):
                pass
            self.run(self.now_seconds + FLUSH_SECONDS)

    def _move_on(self, until_seconds: float) -> bool:
        """Let time pass until there is something to do; returns False when that would be too late."""
        times = [at for at in (self.queue.next_time(), self.placer.permits.next_time()) if at is not None]
        if not times or min(times) > until_seconds:
            return False
        self.now_seconds = max(self.now_seconds, min(times))
        return True

    def _step(self) -> bool:
        """Do what can be done now; returns whether a Pod was tried."""
        now = self.now_seconds
        self.queue.flush(now)
        self._tell_gated()
        for unit in self.placer.ask_again(now):
            self._bind(unit)
        batch = self.queue.pop(self._batch, now)
        for unit in self.placer.place_all(batch, now):
            self._bind(unit)
        self.placer.report_faults(now)
        return bool(batch)

    def _restless(self) -> bool:
        counts = self.queue.counts()
        return bool(counts["active"] or counts["backoff"] or counts["in_flight"])

    def _tell_gated(self) -> None:
        for pod in self.queue.newly_gated():
            self._note(pod, GATED, pod.gate)

    def _bind(self, unit: PlacedUnit) -> None:
        for placement in unit.placements:
            old = placement.pod.info.pod
            new = attrs.evolve(old, spec=attrs.evolve(old.spec, node_name=placement.node))
            self.queue.done(placement.pod)
            self._note(placement.pod, PLACED, "", node=placement.node)
            self.change(old, new)
            self.on_placed(new)

    def _note(self, pod: QueuedPod, outcome: str, message: str, *, node: str = "", **more: Any) -> None:
        self.tried.append(Tried(pod.info, outcome, node, message, self.now_seconds, pod.attempts, **more))

    # -- for those who want to know at once

    def witness(self, _pod: PodInfo, _evaluation: Any, _row: int, _ties: int) -> None:
        """See a choice before the Pod is counted."""

    def on_placed(self, pod: Pod) -> None:
        """See a Pod that has its node now."""

    def on_evicted(self, _pod: PodInfo, _node: str) -> Pod | None:
        """Return the Pod that waits in the place of an evicted one, if its controller makes one."""
        return None

    # -- what the placer tells (`placing.Reports`, `Undo` and `Preempts`)

    def chosen(self, pod: QueuedPod, _node: str) -> None:
        """Take note that a node was chosen."""
        self._outcomes.pop(pod.info.uid, None)

    def considered(self, pod: QueuedPod, outcome: Unplaced | None) -> None:
        """Take note of why no node was chosen."""
        if outcome is None:
            self._outcomes.pop(pod.info.uid, None)
        else:
            advice = () if pod.group else advise(outcome.diagnosis, pod.info, self.table, pod.profile)
            self._outcomes[pod.info.uid] = attrs.evolve(
                outcome, diagnosis=attrs.evolve(outcome.diagnosis, advice=advice)
            )

    def waiting(self, pod: QueuedPod, message: str) -> None:
        """Take note that a Pod waits for permission."""
        self._note(pod, WAITING, message)

    def refused(self, pod: QueuedPod, message: str, *, nominated: str | None = None) -> None:
        """Take note of a refusal."""
        outcome = self._outcomes.pop(pod.info.uid, None)
        if outcome is None:
            self._note(pod, REFUSED, message)
            return
        found = outcome.post_filter if nominated else PostFilterResult()
        self._note(pod, UNSCHEDULABLE, message, found=found, diagnosis=outcome.diagnosis)

    def failed(self, pod: QueuedPod, message: str) -> None:
        """Take note of a failure, or raise it."""
        if self._strict:
            raise PluginError(message, plugin="")
        self._note(pod, FAILED, message)

    def undo(self, placement: Placement) -> None:
        """Give back what was set aside for a Pod."""
        pod = placement.pod
        for plugin in reversed(pod.profile.reserves):
            try:
                asking(plugin, "Unreserve", plugin.unreserve, placement.state, pod.info, placement.node)
            except PluginError as error:
                self.failed(pod, str(error))
        if pod.info.uid in self.table.assumed:
            self.table.forget(pod.info.uid)
            event = ClusterEvent(Resource.ASSIGNED_POD, Action.DELETE, pod.info.pod, None)
            self.queue.on_event(event, self.now_seconds)

    def begin(self, pod: QueuedPod, found: PostFilterResult) -> None:
        """Keep the room for a Pod, and evict those who have it."""
        self.table.nominate(pod.info, found.node)
        for victim in found.victims:
            self.change(victim.pod, None)
            replacement = self.on_evicted(victim, found.node)
            if replacement is not None:
                self.change(None, replacement)
