"""Placing a batch of Pods at once, better than one after another. Pure.

    outcomes = place_batch(cycle, pods, optimiser)

More important Pods go first, as always: the batch is done by priority, the highest first. Of one priority, Pods whose
feasible nodes depend on where other Pods are (affinity, spreading, host ports, a filter that says nothing else) are
placed one by one. The others are first placed one by one in thought, as the profile's scores say; then the optimiser
looks for a better solution, which is taken only when it is one: more Pods placed, or as many on fewer empty nodes.
Whatever it proposes passes every filter once more before it counts.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, Final

import attrs
import numpy as np
from numpy.typing import NDArray

from orchestra.errors import PluginError
from orchestra.scheduler.answers import asking
from orchestra.scheduler.cycle import Cycle, Outcome, Placed, check_row
from orchestra.scheduler.interface import CycleState, Status, Verdict
from orchestra.scheduler.packing import BatchPlugin, Problem
from orchestra.scheduler.podinfo import PodInfo
from orchestra.scheduler.resources import PODS
from orchestra.scheduler.view import Nodes

MAX_NODES: Final = 128
"""Nodes that the optimiser chooses among: those that the Pods would go to one by one, and then the fullest ones."""
FIT: Final = "NodeResourcesFit"


def place_batch(cycle: Cycle, pods: Sequence[PodInfo], optimiser: BatchPlugin) -> dict[str, Outcome]:
    """Place Pods; returns the outcome of each by uid. Raises PluginError when the optimiser fails."""
    outcomes: dict[str, Outcome] = {}
    for priority in sorted({pod.priority for pod in pods}, reverse=True):
        together = []
        for pod in (each for each in pods if each.priority == priority):
            if not cycle.table.nominated and _is_on_its_own(cycle, pod):
                together.append(pod)
            else:
                outcomes[pod.uid] = cycle.schedule(pod)
        outcomes.update(_place_together(cycle, together, optimiser))
    return outcomes


def _is_on_its_own(cycle: Cycle, pod: PodInfo) -> bool:
    """Say whether nothing but room connects a Pod's feasible nodes with the Pods that are there."""
    for plugin in cycle.profile.filters:
        if not plugin.reads_pods or plugin.name == FIT:
            continue
        if plugin not in cycle.profile.pre_filters:
            return False
        answer = asking(plugin, "PreFilter", plugin.pre_filter, CycleState(), pod, cycle.table)
        if not isinstance(answer, Status) or answer.verdict is not Verdict.SKIP:
            return False
    return cycle.profile.checks_room


def _place_together(cycle: Cycle, pods: Sequence[PodInfo], optimiser: BatchPlugin) -> dict[str, Outcome]:
    if len(pods) < 2:
        return {pod.uid: cycle.schedule(pod) for pod in pods}
    try:
        batch = _Batch(cycle, pods)
    except PluginError:  # that Pod's own cycle says which one it is
        return {pod.uid: cycle.schedule(pod) for pod in pods}
    outcomes = {pod.uid: cycle.schedule(pod) for pod in pods}
    nodes = {uid: each.node for uid, each in outcomes.items() if isinstance(each, Placed)}
    for uid in nodes:
        cycle.table.forget(uid)
    better = batch.improved(nodes, optimiser)
    chosen = nodes if better is None else better
    if better is not None and not _all_pass(cycle, pods, better):
        chosen = nodes
    for pod in pods:
        if pod.uid in chosen and pod.uid not in cycle.table.placed:
            cycle.table.assume(pod, chosen[pod.uid])
    if chosen is nodes:
        return outcomes
    placed: dict[str, Outcome] = {p.uid: Placed(p, chosen[p.uid]) for p in pods if p.uid in chosen}
    return {**placed, **{pod.uid: cycle.schedule(pod) for pod in pods if pod.uid not in chosen}}


def _all_pass(cycle: Cycle, pods: Sequence[PodInfo], chosen: dict[str, str]) -> bool:
    """Place everybody, asking all filters each time; takes all back when one refuses."""
    done: list[str] = []
    for pod in pods:
        node = chosen.get(pod.uid)
        if node is None:
            continue
        row = cycle.table.by_name.get(node)
        if row is None or row.node is None or check_row(cycle.profile, pod, cycle.table, row) is not None:
            for uid in done:
                cycle.table.forget(uid)
            return False
        cycle.table.assume(pod, node)
        done.append(pod.uid)
    return True


def _improved(optimiser: Any, problem: Problem, start: NDArray[np.int64]) -> NDArray[np.int64]:
    found = asking(optimiser, "Improve", optimiser.improve, problem, start.copy())
    if not isinstance(found, np.ndarray) or found.shape != start.shape or found.dtype.kind not in "iu":
        wrong = f"plugin {optimiser.name} returned no whole numbers of shape {start.shape} from Improve"
        raise PluginError(wrong, plugin=optimiser.name)
    return found


@attrs.define(eq=False)
class _Kind:
    """Pods that are interchangeable, and where they may go."""

    pods: list[PodInfo]
    feasible: NDArray[np.bool_]


class _Batch:
    """The kinds of a batch on the table as it is before any of them is placed."""

    def __init__(self, cycle: Cycle, pods: Sequence[PodInfo]) -> None:
        self._table = cycle.table
        self._kinds: dict[Hashable, _Kind] = {}
        for pod in pods:
            key = cycle.profile.shape_of(pod)
            known = self._kinds.get(key)
            if known is None:
                self._kinds[key] = _Kind([pod], cycle.evaluate(pod).feasible.copy())
            else:
                known.pods.append(pod)

    def improved(self, nodes: dict[str, str], optimiser: BatchPlugin) -> dict[str, str] | None:
        """Return better nodes by uid than those that are known; None when there are none."""
        kinds = list(self._kinds.values())
        rows = self._rows(kinds, nodes)
        if not len(rows):
            return None
        problem = self._problem(kinds, rows)
        start = self._start(kinds, rows, nodes)
        found = _improved(optimiser, problem, start)
        if not problem.fits(found) or problem.value(found) <= problem.value(start):
            return None
        better: dict[str, str] = {}
        for kind, row_counts in zip(kinds, found.tolist(), strict=True):
            waiting = iter(kind.pods)
            for row, count in zip(rows.tolist(), row_counts, strict=True):
                better.update({next(waiting).uid: self._table.rows[row].name for _ in range(count)})
        return better

    def _rows(self, kinds: list[_Kind], nodes: dict[str, str]) -> NDArray[np.intp]:
        """Return the rows to choose among."""
        known = sorted({self._table.by_name[name].index for name in nodes.values()})
        anybody = np.logical_or.reduce([kind.feasible for kind in kinds])
        others = np.setdiff1d(np.flatnonzero(anybody), known)
        everywhere = Nodes(self._table)
        share = self._fullness(everywhere)[others]
        fullest = others[np.argsort(-share, kind="stable")][: max(0, MAX_NODES - len(known))]
        return np.sort(np.concatenate([np.array(known, dtype=np.intp), fullest.astype(np.intp)]))

    def _fullness(self, nodes: Nodes) -> NDArray[np.float64]:
        """How full nodes are by the resource that is used most."""
        highest = np.zeros(nodes.count)
        for name in self._resources():
            there = nodes.allocatable(name)
            share = nodes.requested(name) / np.maximum(there, 1)
            highest = np.maximum(highest, np.where(there > 0, share, 0.0))
        return highest

    def _resources(self) -> list[str]:
        return sorted({name for kind in self._kinds.values() for name, _ in kind.pods[0].requests.amounts} - {PODS})

    def _problem(self, kinds: list[_Kind], rows: NDArray[np.intp]) -> Problem:
        nodes = Nodes(self._table, rows)
        names = self._resources()
        wants = [[*(kind.pods[0].requests.get(name) for name in names), 1] for kind in kinds]
        room = [*(nodes.allocatable(n) - nodes.requested(n) for n in names), nodes.pod_limit - nodes.pod_count]
        return Problem(
            wants=np.array(wants, dtype=np.int64),
            counts=np.array([len(kind.pods) for kind in kinds], dtype=np.int64),
            allowed=np.array([kind.feasible[rows] for kind in kinds]),
            room=np.stack(room, axis=1),
            empty=nodes.pod_count == 0,
        )

    def _start(self, kinds: list[_Kind], rows: NDArray[np.intp], nodes: dict[str, str]) -> NDArray[np.int64]:
        place = {row: index for index, row in enumerate(rows.tolist())}
        start = np.zeros((len(kinds), len(rows)), dtype=np.int64)
        for number, kind in enumerate(kinds):
            for pod in kind.pods:
                if pod.uid in nodes:
                    start[number, place[self._table.by_name[nodes[pod.uid]].index]] += 1
        return start
