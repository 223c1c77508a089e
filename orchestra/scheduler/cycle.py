"""One scheduling cycle: the table and a Pod in, a node or the reasons why not out. Pure.

Production, unit tests, simulation and what-if run this same code. Pods of one shape share an `Evaluation`; placing a
Pod changes one row, so the next Pod of the shape costs the recomputation of that row and a search for the maximum.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Final, Protocol, TypeAlias

import attrs
import numpy as np

from orchestra.errors import PluginError
from orchestra.scheduler.answers import as_rejections, asking
from orchestra.scheduler.crowd import Crowd, allowed_by
from orchestra.scheduler.diagnosis import Diagnosis
from orchestra.scheduler.evaluation import Evaluation
from orchestra.scheduler.interface import Bools, CycleState, OnlyNodes, PostFilterResult, Rejection, Verdict
from orchestra.scheduler.noderow import NodeRow
from orchestra.scheduler.nodetable import NodeTable
from orchestra.scheduler.podinfo import PodInfo
from orchestra.scheduler.profile import Profile
from orchestra.scheduler.shared import SharedAnswers
from orchestra.scheduler.trials import Checks
from orchestra.scheduler.view import Nodes

MAX_CACHED_ROWS: Final = 1_000_000
"""Rows of all shapes together that are kept; when there are more, half of the shapes go."""
MIN_SHAPES: Final = 16


@attrs.frozen
class Placed:
    """The Pod goes to `node`, and is counted there already."""

    pod: PodInfo
    node: str


@attrs.frozen(eq=False)
class Unplaced:
    """No node can run the Pod now."""

    pod: PodInfo
    diagnosis: Diagnosis
    post_filter: PostFilterResult = PostFilterResult()


@attrs.frozen
class Failed:
    """The cycle of this Pod failed because of a plugin; others go on."""

    pod: PodInfo
    error: PluginError


Outcome = Placed | Unplaced | Failed


class Chance(Protocol):
    """The one thing that a cycle needs of a `random.Random`."""

    def randrange(self, stop: int, /) -> int:
        """Return a whole number from 0 up to, but not including, `stop`."""
        ...


Witness: TypeAlias = Callable[[PodInfo, Evaluation, int, int], None]
"""Sees each choice before the Pod is counted: what was said of all nodes, the chosen row, how many were as good."""


class Cycle:
    """Schedules Pods of one profile onto a table, one after another. `random` breaks ties among the best nodes."""

    def __init__(self, profile: Profile, table: NodeTable, random: Chance, *, witness: Witness | None = None) -> None:
        self.profile = profile
        self.table = table
        self._random = random
        self._witness = witness
        self._shapes: dict[Hashable, Evaluation] = {}
        self._asked = 0
        self._shared = SharedAnswers(profile, table)

    def evaluate(self, pod: PodInfo) -> Evaluation:
        """Return the present answers of all plugins; raises PluginError."""
        shape = self.profile.shape_of(pod)
        known = self._shapes.get(shape)
        self._asked += 1
        if known is None:
            # Its own view of the Pod: the one given will be told when the Pod is bound, which the others of its shape
            # are not, and rows are asked for again long after that.
            known = Evaluation(self.profile, PodInfo(pod.pod), self.table, self._shared)
            if len(self._shapes) >= max(MIN_SHAPES, MAX_CACHED_ROWS // max(self.table.size, 1)):
                self._forget_shapes()
            self._shapes[shape] = known
        known.asked_at = self._asked
        known.refresh()
        return known

    def _forget_shapes(self) -> None:
        """Forget the half of the shapes that was not asked for the longest."""
        by_age = sorted(self._shapes.items(), key=lambda item: item[1].asked_at)
        self._shapes = dict(by_age[len(by_age) // 2 :])

    def diagnose(self, pod: PodInfo) -> Diagnosis:
        """Say where a Pod could go and how good that would be, without placing it; raises PluginError."""
        found = self.evaluate(pod)
        return found.diagnosis() if found.feasible_count else self._help(pod, found.diagnosis(), found).diagnosis

    def schedule(self, pod: PodInfo) -> Outcome:
        """Choose a node for a Pod and count it there (`NodeTable.assume`), or say why there is none."""
        try:
            if self.table.nominated and any(self._is_above(pod, other) for other, _ in self.table.nominated):
                return self._place_beside(pod)
            evaluation = self.evaluate(pod)
            if evaluation.feasible_count:
                return self._place(pod, evaluation)
            return self._help(pod, evaluation.diagnosis(), evaluation)
        except PluginError as error:
            return Failed(pod, error)

    def _place(self, pod: PodInfo, evaluation: Evaluation, allowed: Bools | None = None) -> Placed:
        best = evaluation.best_rows()
        if allowed is not None:
            rows = np.flatnonzero(allowed & evaluation.feasible)
            totals = evaluation.total[rows]
            best = rows[totals == totals.max()]
        # Like kube-scheduler's selectHost: each of the best nodes is as likely as any other.
        choice = int(best[self._random.randrange(len(best))] if len(best) > 1 else best[0])
        if self._witness is not None:
            self._witness(pod, evaluation, choice, len(best))
        node = self.table.rows[choice].name
        self.table.assume(pod, node)
        return Placed(pod, node)

    def _place_beside(self, pod: PodInfo) -> Placed | Unplaced:
        """Place a Pod where it fits both with and without the nominated Pods that are at least as important."""
        evaluation = self.evaluate(pod)
        checks = self._checks(pod, evaluation)
        crowd = evaluation.crowds.get(pod.priority)
        if crowd is None:
            crowd = evaluation.crowds[pod.priority] = Crowd(self.table, len(self.profile.filters))
        beside = crowd.of(checks, pod.uid) if checks.thinks else None
        if beside is None:
            allowed_really = self._allowed_beside(pod, evaluation, checks)
            if allowed_really is not None:
                return self._place(pod, evaluation, allowed_really)
            return self._refused_beside(pod, self._nominated_above(pod))
        allowed = allowed_by(evaluation, beside)
        if allowed.any():
            return self._place(pod, evaluation, None if allowed is evaluation.feasible else allowed)
        return self._help(pod, evaluation.diagnosis(beside), evaluation)

    def _allowed_beside(self, pod: PodInfo, evaluation: Evaluation, checks: Checks) -> Bools | None:
        """Return rows the best of which the Pod can go to, None when there are none.

        As in kube-scheduler, a node is asked about with the Pods that are nominated for that node alone. Only those
        that could be chosen are asked about, as on the table itself it is dear.
        """
        names = [name for name in self.table.nominated.nodes() if name in self.table.by_name and checks.beside(name)]
        unsure = {self.table.by_name[name].index for name in names}
        allowed = evaluation.feasible.copy()
        while allowed.any():
            rows = np.flatnonzero(allowed)
            totals = evaluation.total[rows]
            asked = [row for row in rows[totals == totals.max()].tolist() if row in unsure]
            if not asked:
                return allowed
            unsure.difference_update(asked)
            for row in asked:
                allowed[row] = checks(self.table.rows[row].name) is None
        return None

    def _refused_beside(self, pod: PodInfo, nominated: list[tuple[PodInfo, str]]) -> Unplaced:
        """Say why a Pod fits nowhere beside the nominated ones."""
        for other, node in nominated:
            self.table.assume(other, node)
        try:
            crowded = self.evaluate(pod)
            refused = None if crowded.feasible_count else crowded.diagnosis()
        finally:
            for other, node in nominated:
                self.table.forget(other.uid)
                self.table.nominate(other, node)
        evaluation = self.evaluate(pod)
        return self._help(pod, refused or evaluation.diagnosis(), None if refused else evaluation)

    def _nominated_above(self, pod: PodInfo) -> list[tuple[PodInfo, str]]:
        return [(other, node) for other, node in self.table.nominated if self._is_above(pod, other)]

    def _is_above(self, pod: PodInfo, other: PodInfo) -> bool:
        return other.priority >= pod.priority and other.uid != pod.uid and other.uid not in self.table.placed

    def _help(self, pod: PodInfo, diagnosis: Diagnosis, evaluation: Evaluation | None) -> Unplaced:
        messages: list[str] = []
        found = PostFilterResult()
        check = self._checks(pod, evaluation)
        for plugin in self.profile.post_filters:
            found = asking(plugin, "PostFilter", plugin.post_filter, pod, self.table, diagnosis, check)
            if found.message:
                messages.append(found.message)
            if found.node:
                messages.clear()
                break
        return Unplaced(pod, attrs.evolve(diagnosis, post_filter=", ".join(messages)), found)

    def _checks(self, pod: PodInfo, evaluation: Evaluation | None) -> Checks:
        return Checks(self.table, pod, evaluation, lambda row: check_row(self.profile, pod, self.table, row))


def check_row(profile: Profile, pod: PodInfo, table: NodeTable, row: NodeRow) -> Rejection | None:
    """Run all filters for one node: why it is refused, or None."""
    state = CycleState()
    nodes = Nodes(table, np.array([row.index], dtype=np.intp))
    skipping = set()
    for plugin in profile.pre_filters:
        answer = asking(plugin, "PreFilter", plugin.pre_filter, state, pod, table)
        if isinstance(answer, OnlyNodes):
            if row.name not in answer.names:
                return Rejection((f"node(s) didn't satisfy plugin(s) [{plugin.name}]",), resolvable=False)
        elif answer is not None and answer.verdict is Verdict.SKIP:
            skipping.add(plugin.name)
        elif answer is not None and answer.verdict is not Verdict.SUCCESS:
            return Rejection(answer.reasons, resolvable=answer.verdict is Verdict.UNSCHEDULABLE)
    for plugin in profile.filters:
        if plugin.name not in skipping:
            found = as_rejections(plugin, asking(plugin, "Filter", plugin.filter, state, pod, nodes), 1)
            if found.codes[0]:
                return found.explain(int(found.codes[0]))
    return None
