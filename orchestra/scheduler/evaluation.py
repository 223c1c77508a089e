"""What all plugins say of Pods of one shape, kept current as the cluster changes.

Computing from scratch and keeping current must give the same arrays; the second only avoids work:

- plugins that do not read Pods are asked again only when a node changed;
- node-local plugins are asked again only for the rows that changed;
- the others are asked again for everything, as they may answer differently anywhere.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import Any, Final

import numpy as np

from orchestra.scheduler.answers import FilterAnswer, ScoreAnswer, as_rejections, asking, checked, merged, plugin_failed
from orchestra.scheduler.diagnosis import Diagnosis, FilterPart, ScorePart
from orchestra.scheduler.interface import (
    SUCCESS,
    Bools,
    CycleState,
    Ints,
    OnlyNodes,
    Rejection,
    Rejections,
    Status,
    Verdict,
)
from orchestra.scheduler.nodetable import NodeTable
from orchestra.scheduler.podinfo import PodInfo
from orchestra.scheduler.profile import Profile
from orchestra.scheduler.view import Nodes

MAX_ROWS_ONE_BY_ONE: Final = 16
"""Up to so many changed rows are recomputed one by one; more of them as arrays."""
INFEASIBLE: Final = -1
"""Total of rows that no Pod of the shape can go to."""


class Evaluation:
    """The answers for one shape; `pod` stands for all Pods of it."""

    def __init__(self, profile: Profile, pod: PodInfo, table: NodeTable) -> None:
        self.pod = pod
        self.table = table
        self.profile = profile
        self.state = CycleState()
        self.position = -1
        self.refused: tuple[str, Rejection] | None = None
        self.considered: Bools | None = None
        self.left_out: tuple[str, ...] = ()
        self.first_refusal: Ints = np.zeros(0, dtype=np.int64)
        self.feasible: Bools = np.zeros(0, dtype=np.bool_)
        self.total: Ints = np.zeros(0, dtype=np.int64)
        self._filters = [FilterAnswer(plugin) for plugin in profile.filters]
        self._scores = [ScoreAnswer(plugin, profile.weight(plugin.name)) for plugin in profile.scores]
        self._feasible_count = 0
        self._fixed_refusal: Ints = self.first_refusal
        self._fixed_total: Ints = self.total
        # Every row whose total is at least `_floor`, by total: so the best are known although totals change.
        self._by_total: dict[int, list[int]] = {}
        self._floor = 0
        self._summed = False

    # -- keeping current

    def refresh(self) -> None:
        """Bring every answer up to the state of the table; raises PluginError."""
        changes = self.table.changes_since(self.position)
        if changes.position == self.position:
            return
        self.position = -1  # should a plugin fail half way, the next refresh starts from scratch
        if changes.everything or changes.node_rows or self.refused is not None or self.considered is not None:
            self._from_scratch()
        else:
            self._follow(changes.pod_rows)
        self.position = changes.position

    def _from_scratch(self) -> None:
        self.state = CycleState()
        nodes = Nodes(self.table)
        self.considered, self.left_out = None, ()
        skipping, self.refused = self._pre_filter()
        if self.refused is not None:
            self.feasible = np.zeros(self.table.size, dtype=np.bool_)
            self.total = np.full(self.table.size, INFEASIBLE, dtype=np.int64)
            self._feasible_count = 0
            self._by_total.clear()
            return
        for item in self._filters:
            item.row = None
            self._ask_filter(item, nodes, skips=item.plugin.name in skipping)
        self._combine()
        self._score_everything()

    def _follow(self, rows: tuple[int, ...]) -> None:
        """Take in that Pods came to or left `rows`."""
        skipping = self._still_skipping()
        if skipping is None:
            self._from_scratch()
            return
        everywhere = False
        one_by_one = len(rows) <= MAX_ROWS_ONE_BY_ONE
        for item in self._filters:
            if not item.follows:
                continue
            if not item.local:
                skips = item.plugin.name in skipping
                everywhere |= not skips or item.rejections is not None
                self._ask_filter(item, Nodes(self.table), skips=skips)
            elif item.rejections is not None:
                self._update_rows(item, rows, one_by_one)
        if everywhere or not one_by_one:
            before = self.feasible
            self._combine()
            moved = not np.array_equal(before, self.feasible)
            self._follow_scores(rows, moved=moved, one_by_one=one_by_one, everything=moved or not one_by_one)
        else:
            moved = self._combine_rows(rows)
            self._follow_scores(rows, moved=moved, one_by_one=True, everything=False)

    # -- filters

    def _pre_filter(self) -> tuple[set[str], tuple[str, Rejection] | None]:
        """Ask every PreFilter: the names of those that skip the Pod, and the refusal of one that refuses it."""
        skipping: set[str] = set()
        for plugin in self.profile.pre_filters:
            answer = asking(plugin, "PreFilter", plugin.pre_filter, self.state, self.pod, self.table)
            if answer is None:
                continue
            if isinstance(answer, OnlyNodes):
                rows = [self.table.by_name[n].index for n in sorted(answer.names) if n in self.table.by_name]
                mask = np.zeros(self.table.size, dtype=np.bool_)
                mask[rows] = True
                self.considered = mask if self.considered is None else self.considered & mask
                self.left_out = (*self.left_out, plugin.name)
            elif answer.verdict is Verdict.SKIP:
                skipping.add(plugin.name)
            elif answer.verdict is not Verdict.SUCCESS:
                rejection = Rejection(answer.reasons, resolvable=answer.verdict is Verdict.UNSCHEDULABLE)
                return skipping, (plugin.name, rejection)
        return skipping, None

    def _ask_filter(self, item: FilterAnswer, nodes: Nodes, *, skips: bool) -> None:
        item.rejections, item.refuses = None, False
        if not skips:
            item.rejections = self._asked(item.plugin, nodes)
            item.refuses = bool(item.rejections.codes.any())

    def _asked(self, plugin: Any, nodes: Nodes) -> Rejections:
        answer = asking(plugin, "Filter", plugin.filter, self.state, self.pod, nodes)
        return as_rejections(plugin, answer, nodes.count)

    def _still_skipping(self) -> set[str] | None:
        """Ask PreFilters again whose answer the Pods on other nodes can change: the names of those that skip the Pod.

        None when one of them wants more than to skip or to go on: then everything is computed anew.
        """
        skipping: set[str] = set()
        for plugin in self.profile.pre_filters:
            if plugin.node_local or not plugin.reads_pods:
                continue
            answer = asking(plugin, "PreFilter", plugin.pre_filter, self.state, self.pod, self.table)
            if isinstance(answer, Status) and answer.verdict is Verdict.SKIP:
                skipping.add(plugin.name)
            elif answer is not None and answer != SUCCESS:
                return None
        return skipping

    def _update_rows(self, item: FilterAnswer, rows: tuple[int, ...], one_by_one: bool) -> None:
        rejections = item.rejections
        if rejections is None:
            return
        if one_by_one and item.by_row:
            if item.row is None:
                item.row = asking(item.plugin, "Filter", item.plugin.row_filter, self.state, self.pod)
            codes, table_rows = rejections.codes, self.table.rows
            try:
                for row in rows:
                    codes[row] = code = item.row(table_rows[row])
                    item.refuses = item.refuses or code != 0
            except Exception as error:
                raise plugin_failed(item.plugin, "Filter", error) from error
            return
        index = np.array(rows, dtype=np.intp)
        item.rejections = merged(rejections, index, self._asked(item.plugin, Nodes(self.table, index)))
        item.refuses = True

    def _combine(self) -> None:
        table = self.table
        first = np.full(table.size, -1, dtype=np.int64)
        self._fixed_refusal = np.full(table.size, len(self._filters), dtype=np.int64)
        for position in range(len(self._filters) - 1, -1, -1):
            item = self._filters[position]
            if item.rejections is not None and item.refuses:
                refused = item.rejections.codes != 0
                first[refused] = position
                if not (item.follows and item.local):
                    self._fixed_refusal[refused] = position
        self.first_refusal = first
        feasible = (first < 0) & table.active[: table.size]
        self.feasible = feasible if self.considered is None else feasible & self.considered
        self._feasible_count = int(np.count_nonzero(self.feasible))

    def _combine_rows(self, rows: tuple[int, ...]) -> bool:
        """Do what `_combine` does for some rows; returns whether one became feasible or is no more."""
        moved = False
        nobody = len(self._filters)
        following = [
            (position, item.rejections.codes)
            for position, item in enumerate(self._filters)
            if item.follows and item.local and item.rejections is not None and item.refuses
        ]
        for row in rows:
            refused_by = int(self._fixed_refusal[row])
            for position, codes in following:
                if position >= refused_by:
                    break
                if codes[row]:
                    refused_by = position
            fits = refused_by == nobody and bool(self.table.active[row])
            self.first_refusal[row] = -1 if refused_by == nobody else refused_by
            if fits != bool(self.feasible[row]):
                self.feasible[row] = fits
                self._feasible_count += 1 if fits else -1
                moved = True
        return moved

    # -- scores

    def _score_everything(self) -> None:
        for item in self._scores:
            self._ask_score(item)
        self._sum()

    def _ask_score(self, item: ScoreAnswer) -> None:
        plugin, nodes = item.plugin, Nodes(self.table)
        item.skipped, item.row = False, None
        if item.prepares:
            answer = asking(plugin, "PreScore", plugin.pre_score, self.state, self.pod, nodes, self.feasible)
            item.skipped = answer is not None and answer.verdict is Verdict.SKIP
        if not item.skipped:
            item.raw = checked(plugin, asking(plugin, "Score", plugin.score, self.state, self.pod, nodes), nodes.count)
            self._normalize(item)

    def _normalize(self, item: ScoreAnswer) -> None:
        plugin = item.plugin
        item.even = False
        if not item.normalizes:
            item.normalized = item.raw
            return
        rows = np.flatnonzero(self.feasible)
        raw = item.raw[rows]
        scores = asking(plugin, "NormalizeScore", plugin.normalize, self.state, self.pod, raw, rows)
        scores = checked(plugin, scores, len(rows))
        item.normalized = np.zeros(self.table.size, dtype=np.int64)
        item.normalized[rows] = scores
        if plugin.even_stays_even and len(rows) and not item.follows:
            active = item.raw[self.table.active[: self.table.size]]
            if active.min() == active.max():
                item.even = True
                item.normalized[:] = scores[0]

    def _sum(self) -> None:
        """Add everything up; what no Pod can change is kept apart, so that a row can be added up anew."""
        self._fixed_total = np.zeros(self.table.size, dtype=np.int64)
        for item in self._scores:
            if not item.skipped and not item.by_row:
                self._fixed_total += item.normalized * item.weight if item.weight != 1 else item.normalized
        total = self._fixed_total.copy()
        for item in self._scores:
            if not item.skipped and item.by_row:
                total += item.normalized * item.weight if item.weight != 1 else item.normalized
        total[~self.feasible] = INFEASIBLE
        self.total = total
        self._by_total.clear()
        self._summed = True

    def _follow_scores(self, rows: tuple[int, ...], *, moved: bool, one_by_one: bool, everything: bool) -> None:
        for item in self._scores:
            if item.follows and not (one_by_one and item.by_row):
                before = item.skipped
                self._ask_score(item)
                everything |= not (before and item.skipped)
            elif moved and item.normalizes and not item.skipped and not item.even:
                self._normalize(item)
                everything = True
        if one_by_one:
            self._follow_rows(rows)
        if everything:
            self._sum()

    def _follow_rows(self, rows: tuple[int, ...]) -> None:
        """Ask again for some rows, and add those up."""
        asked = []
        for item in self._scores:
            if item.by_row and not item.skipped:
                if item.row is None:
                    item.row = asking(item.plugin, "Score", item.plugin.row_score, self.state, self.pod)
                asked.append((item.plugin, item.row, item.raw, item.weight))
        for index in rows:
            row = self.table.rows[index]
            total = int(self._fixed_total[index])
            plugin: Any = None
            try:
                for plugin, function, raw, weight in asked:  # noqa: B007 - named in the error
                    raw[index] = score = function(row)
                    total += score * weight
            except Exception as error:
                raise plugin_failed(plugin, "Score", error) from error
            self._set_total(index, total if self.feasible[index] else INFEASIBLE)

    # -- the best nodes

    def _set_total(self, row: int, total: int) -> None:
        old = int(self.total[row])
        if old == total:
            return
        self.total[row] = total
        if not self._by_total:
            return
        if old >= self._floor:
            same = self._by_total[old]
            del same[bisect_left(same, row)]
            if not same:
                del self._by_total[old]
        if total >= self._floor:
            insort(self._by_total.setdefault(total, []), row)

    def best_rows(self) -> list[int] | Ints:
        """Return the rows with the highest total, in order; there must be a feasible one."""
        if not self._by_total:
            self._floor = int(self.total.max())
            best = np.flatnonzero(self.total == self._floor)
            if self._summed:
                self._summed = False  # a list pays only when the totals live longer than one Pod
                return best
            self._by_total[self._floor] = best.tolist()
        return self._by_total[max(self._by_total)]

    # -- results

    @property
    def feasible_count(self) -> int:
        """How many nodes passed every filter."""
        return self._feasible_count

    def diagnosis(self, *, post_filter: str = "") -> Diagnosis:
        """Return a record of the present answers that later changes do not touch."""
        table = self.table
        rows = np.flatnonzero(self.feasible)
        parts: tuple[ScorePart, ...] = ()
        if len(rows) > 1:
            parts = tuple(
                ScorePart(s.plugin.name, s.weight, s.raw[rows], s.normalized[rows])
                for s in self._scores
                if not s.skipped
            )
        # Positions in `first_refusal` count every filter, so those that skip the Pod keep their place.
        nothing = Rejections(np.zeros(table.size, dtype=np.int64), lambda _code: Rejection(()))
        filters = tuple(
            FilterPart(
                f.plugin.name,
                nothing if f.rejections is None else Rejections(f.rejections.codes.copy(), f.rejections.explain),
            )
            for f in self._filters
        )
        return Diagnosis(
            names=tuple(row.name for row in table.rows),
            active=table.active[: table.size].copy(),
            filters=filters,
            first_refusal=self.first_refusal.copy(),
            feasible_rows=rows,
            considered=self.considered,
            left_out=self.left_out,
            pre_filter=self.refused[1] if self.refused else None,
            pre_filter_plugin=self.refused[0] if self.refused else "",
            parts=parts,
            total=self.total[rows],
            post_filter=post_filter,
        )
