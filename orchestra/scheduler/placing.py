"""From a waiting Pod, or a group of them, to placements that may be bound: cycle, Reserve, Permit. Pure.

Nothing here waits. What a plugin does wrong costs the Pod its cycle and is reported under the plugin's name; everybody
else goes on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

import attrs

from orchestra._log import get_logger
from orchestra.errors import PluginError
from orchestra.scheduler.answers import asking
from orchestra.scheduler.batching import place_batch
from orchestra.scheduler.cycle import Cycle, Failed, Outcome, Placed, Unplaced
from orchestra.scheduler.grouping import GroupOutcome, place_group
from orchestra.scheduler.interface import PostFilterResult
from orchestra.scheduler.permitting import Denial, Permits, PlacedUnit, Placement
from orchestra.scheduler.queue import SchedulingQueue
from orchestra.scheduler.queued import QueuedPod, Unit

_log = get_logger("scheduler")


class Reports(Protocol):
    """What is told of every attempt, in this order: what the cycle found, and what became of it."""

    def chosen(self, pod: QueuedPod, node: str) -> None:
        """Tell that a node was chosen; a plugin can still refuse."""
        ...

    def considered(self, pod: QueuedPod, outcome: Unplaced | None) -> None:
        """Tell why no node was chosen, before anything else happens to the table; None: that is not known."""
        ...

    def waiting(self, pod: QueuedPod, message: str) -> None:
        """Tell that a placed Pod waits for permission."""
        ...

    def refused(self, pod: QueuedPod, message: str, *, nominated: str | None = None) -> None:
        """Tell that no node can run a Pod, and which one it is nominated for; None leaves that as it is."""
        ...

    def failed(self, pod: QueuedPod, message: str) -> None:
        """Tell that something went wrong."""
        ...


class Undo(Protocol):
    """Takes a placement back."""

    def undo(self, placement: Placement) -> None:
        """Give back everything that was set aside."""
        ...


class Preempts(Protocol):
    """Carries out what PostFilter chose."""

    def begin(self, pod: QueuedPod, found: PostFilterResult) -> None:
        """Nominate a Pod and evict the victims, or take its nomination back when there is no node."""
        ...


@attrs.frozen(eq=False)
class Helpers:
    """Those who act on decisions."""

    reports: Reports
    undo: Undo
    preempts: Preempts


class Placer:
    """Places Pods with the cycles of their profiles; units that Permit keeps waiting are in `permits`."""

    def __init__(self, queue: SchedulingQueue, cycles: Mapping[str, Cycle], helpers: Helpers) -> None:
        self._queue = queue
        self._cycles = cycles
        self._reports = helpers.reports
        self._undo = helpers.undo
        self._preempts = helpers.preempts
        self._now = 0.0
        self.permits = Permits(self._denied)

    def place(self, unit: Unit, now: float) -> PlacedUnit | None:
        """Try Pods that belong together; returns them when they may be bound at once."""
        self._now = now
        group = unit[0].group
        if group is None:
            return self._place_alone(unit[0])
        return self._place_together(unit)

    def place_all(self, batch: Sequence[Unit], now: float) -> Iterator[PlacedUnit]:
        """Try units in their order, those of a profile that packs batches at once; yields what may be bound at once."""
        done: set[str] = set()
        for unit in batch:
            profile = unit[0].profile
            if profile.batching is None or unit[0].group is not None:
                found = self.place(unit, now)
                if found is not None:
                    yield found
            elif profile.name not in done:
                done.add(profile.name)
                alone = [u[0] for u in batch if u[0].profile is profile and u[0].group is None]
                yield from self._place_batch(alone, now)

    def _place_batch(self, pods: list[QueuedPod], now: float) -> Iterator[PlacedUnit]:
        self._now = now
        profile = pods[0].profile
        try:
            outcomes = place_batch(self._cycles[profile.name], [pod.info for pod in pods], profile.batching)
        except Exception as error:  # noqa: BLE001 - a plugin's fault: reported, and only these Pods'
            self._all_failed(pods, error)
            return
        for pod in pods:
            found = self._proceed(pod, outcomes[pod.info.uid])
            if found is not None:
                yield found

    def ask_again(self, now: float) -> list[PlacedUnit]:
        """Return the units that have waited for permission and may be bound now."""
        self._now = now
        self.permits.forget(lambda placement: not self._queue.in_flight(placement.pod))
        return self.permits.ask_again(now)

    def deny(self, uid: str, plugin: str, message: str, now: float) -> bool:
        """Take the room of a waiting Pod back on behalf of a plugin; says whether it waited."""
        self._now = now
        return self.permits.deny(uid, plugin, message)

    def report_faults(self, now: float) -> None:
        """Report what plugins did wrong while Pods waited."""
        self._now = now
        for error in self._queue.hints.take_complaints():
            _log.error("plugin failed", plugin=error.plugin, error=str(error))
        for pod, error in self._queue.faults():
            self._reports.considered(pod, None)
            self._tell_fault(pod, error)

    # -- one Pod

    def _place_alone(self, pod: QueuedPod) -> PlacedUnit | None:
        return self._proceed(pod, self._scheduled(pod))

    def _proceed(self, pod: QueuedPod, outcome: Outcome) -> PlacedUnit | None:
        if isinstance(outcome, Placed):
            self._reports.chosen(pod, outcome.node)
            return self._reserved([Placement(pod, outcome.node)], 1)
        self._unplaced(pod, outcome)
        return None

    def _scheduled(self, pod: QueuedPod) -> Outcome:
        try:
            return self._cycles[pod.profile.name].schedule(pod.info)
        except Exception as error:  # noqa: BLE001 - whatever a plugin's answer broke: reported, and only this Pod's
            self._cycles[pod.profile.name].table.forget(pod.info.uid)
            return Failed(pod.info, _as_fault(error))

    def _unplaced(self, pod: QueuedPod, outcome: Outcome, more: frozenset[str] = frozenset()) -> None:
        match outcome:
            case Unplaced(diagnosis=diagnosis, post_filter=found):
                self._reports.considered(pod, outcome)
                self._queue.refuse(pod, diagnosis.plugins | more, self._now)
                if not found.keep:
                    self._preempts.begin(pod, found)
                self._reports.refused(pod, diagnosis.message, nominated=None if found.keep else found.node)
            case Failed(error=error):
                self._reports.considered(pod, None)
                self._queue.retry(pod, self._now)
                self._tell_fault(pod, error)

    def _tell_fault(self, pod: QueuedPod, error: PluginError) -> None:
        _log.error("plugin failed", pod=pod.info.key, plugin=error.plugin, error=str(error))
        self._reports.failed(pod, str(error))

    # -- a group

    def _place_together(self, unit: Unit) -> PlacedUnit | None:
        profile = unit[0].profile
        cycle = self._cycles[profile.name]
        try:
            missing = asking(profile.grouping, "Missing", profile.grouping.missing, unit[0].group, cycle.table)
            outcome = place_group(cycle, [pod.info for pod in unit], missing=missing)
        except Exception as error:  # noqa: BLE001 - as for one Pod
            self._all_failed(unit, error)
            return None
        by_uid = {pod.info.uid: pod for pod in unit}
        if outcome.placed or missing <= 0:  # who comes to a group that has enough is helped like anybody
            for each in outcome.refused:
                self._unplaced(by_uid[each.pod.uid], each, frozenset((profile.grouping_name,)))
            for placed in outcome.placed:
                self._reports.chosen(by_uid[placed.pod.uid], placed.node)
            return self._reserved([Placement(by_uid[p.pod.uid], p.node) for p in outcome.placed], max(missing, 1))
        self._refuse_together(unit, outcome, missing)
        return None

    def _all_failed(self, pods: Sequence[QueuedPod], error: Exception) -> None:
        fault = _as_fault(error)
        for pod in pods:
            self._cycles[pod.profile.name].table.forget(pod.info.uid)
            self._reports.considered(pod, None)
            self._queue.retry(pod, self._now)
            self._tell_fault(pod, fault)

    def _refuse_together(self, unit: Unit, outcome: GroupOutcome, missing: int) -> None:
        """Let a group wait: nominated where victims make room for it, without nomination where nothing does.

        While victims of an earlier attempt are on their way out, every member keeps the room that it is to have.
        """
        nominations = {each.pod.uid: each for each in outcome.nominations}
        failed = {each.pod.uid: each for each in outcome.refused if isinstance(each, Failed)}
        unplaced = {each.pod.uid: each for each in outcome.refused if isinstance(each, Unplaced)}
        keep = not nominations and any(each.post_filter.keep for each in unplaced.values())
        plugins = outcome.plugins | {unit[0].profile.grouping_name}
        head = f"{outcome.fitting} of the {missing} Pods that its group needs have room"
        for pod in unit:
            uid = pod.info.uid
            if uid in failed:
                self._unplaced(pod, failed[uid])
                continue
            nomination = nominations.get(uid)
            found = PostFilterResult() if nomination is None else PostFilterResult(nomination.node, nomination.victims)
            self._reports.considered(pod, unplaced.get(uid))
            self._queue.refuse(pod, plugins, self._now)
            if not keep:
                self._preempts.begin(pod, found)
            message = f"{head}: {outcome.first_reason}" if outcome.first_reason else head
            self._reports.refused(pod, message, nominated=None if keep else found.node)

    # -- Reserve and Permit

    def _reserved(self, placements: list[Placement], needed: int) -> PlacedUnit | None:
        left = [placement for placement in placements if self._reserve(placement)]
        if len(left) < needed:
            for placement in left:
                self._denied(placement, Denial("", "too few Pods of its group could be reserved"))
            return None
        unit = PlacedUnit(left, needed)
        admitted = self.permits.admit(unit, self._now)
        if admitted is None:
            for placement in unit.placements:  # those that are left wait
                self._reports.waiting(placement.pod, self.permits.reasons_of(placement.pod.info.uid))
        return admitted

    def _reserve(self, placement: Placement) -> bool:
        pod = placement.pod
        for plugin in pod.profile.reserves:
            try:
                status = asking(plugin, "Reserve", plugin.reserve, placement.state, pod.info, placement.node)
                message = None if status is None or status.success else ", ".join(status.reasons)
            except PluginError as error:
                self._denied(placement, Denial(plugin.name, str(error), error))
                return False
            if message is not None:
                self._denied(placement, Denial(plugin.name, message or f"{plugin.name} could not reserve"))
                return False
        return True

    def _denied(self, placement: Placement, denial: Denial) -> None:
        """Take a placement back because a plugin refused it, or because its group has become too small."""
        self._undo.undo(placement)
        pod = placement.pod
        if denial.error is not None:
            self._queue.retry(pod, self._now)
            self._tell_fault(pod, denial.error)
        elif denial.plugin:
            self._queue.refuse(pod, (denial.plugin,), self._now)
            self._reports.refused(pod, denial.message)
        else:
            self._queue.retry(pod, self._now)
            self._reports.refused(pod, denial.message)


def _as_fault(error: Exception) -> PluginError:
    if isinstance(error, PluginError):
        return error
    return PluginError(f"scheduling failed: {error!r}", plugin="")
