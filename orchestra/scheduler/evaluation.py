"""What all plugins say of Pods of one shape, kept current as the cluster changes.

Computing from scratch and keeping current must give the same arrays; the second only avoids work. By what their
answers depend on there are three sorts of plugins:

- fixed ones (not `reads_pods`) are asked again only when a node changed;
- local ones (`node_local`) are asked again only for the rows that changed, those with functions for rows in Python;
- the others are asked again for everything, unless their `pods_version` says that nothing came or went for them.

Each row has the position of the first Filter that refuses it, and its total. Both are kept in two parts, that of the
functions for rows and that of everything else, so that a row which changed costs no array operation.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from orchestra.scheduler.answers import (
    FilterAnswer,
    ScoreAnswer,
    as_rejections,
    asking,
    checked,
    merged,
    plugin_failed,
    refuse_alike,
)
from orchestra.scheduler.crowd import Beside, Crowd
from orchestra.scheduler.diagnosis import Diagnosis, Refused, refused_nodes
from orchestra.scheduler.interface import (
    SUCCESS,
    Bools,
    CycleState,
    Ints,
    OnlyNodes,
    PreFilterResult,
    Rejection,
    Rejections,
    Verdict,
)
from orchestra.scheduler.localrows import MAX_ROWS_ONE_BY_ONE, LocalRows, RowAnswer
from orchestra.scheduler.nodetable import NodeTable
from orchestra.scheduler.podinfo import PodInfo
from orchestra.scheduler.profile import Profile
from orchestra.scheduler.ranking import INFEASIBLE, Ranking
from orchestra.scheduler.results import diagnosis_of
from orchestra.scheduler.shared import Shared, SharedAnswers
from orchestra.scheduler.trials import Memory
from orchestra.scheduler.view import Nodes


class Evaluation:
    """The answers for one shape; `pod` stands for all Pods of it."""

    def __init__(self, profile: Profile, pod: PodInfo, table: NodeTable, shared: SharedAnswers | None = None) -> None:
        self.pod = pod
        self.table = table
        self.profile = profile
        self.state = CycleState()
        self.position = -1
        self.asked_at = 0
        """For whoever keeps evaluations: when this one was wanted last."""
        self.refused: tuple[str, Rejection] | None = None
        self.considered: Bools | None = None
        self.left_out: tuple[str, ...] = ()
        self.feasible: Bools = np.zeros(0, dtype=np.bool_)
        self.feasible_count = 0
        """How many nodes passed every filter."""
        self._shared_answers = shared or SharedAnswers(profile, table)
        self.filters = [FilterAnswer(plugin) for plugin in profile.filters]
        self.scores = [ScoreAnswer(plugin, profile.weight(plugin.name)) for plugin in profile.scores]
        self.rows = LocalRows(table, self.filters, self.scores)
        self._ranking = Ranking()
        self._versions: dict[str, Any] = {}
        self.remembered: dict[int, Memory] = {}
        """What trials found out about rows for Pods of each priority, since a node changed."""
        self.crowds: dict[int, Crowd] = {}
        """The nominated Pods that are in the way of Pods of each priority."""
        self.skipping: set[str] = set()
        self._shared: Shared | None = None
        self._usable: Bools = self.feasible
        self._free: Bools = self.feasible
        """The rows that no Filter refuses, but for those with a function for rows."""
        self.merges = any(f.follows and f.plugin.node_local and not f.by_row for f in self.filters)
        self._asks_always = any(s.follows and s.plugin.node_local and not s.by_row for s in self.scores)
        self.other_refusal: Ints = np.zeros(0, dtype=np.int64)
        """The first Filter that refuses a row, of those without a function for rows."""
        self._other_total: Ints = self.other_refusal

    # -- keeping current

    def refresh(self) -> None:
        """Bring every answer up to the state of the table; raises PluginError."""
        if self.position == self.table.position:
            return
        changes = self.table.changes_since(self.position)
        self.position = -1  # should a plugin fail half way, the next refresh starts from scratch
        if changes.everything or changes.node_rows or self.refused is not None or self.considered is not None:
            self._from_scratch()
        else:
            self._follow(changes.pod_rows)
        self.position = changes.position

    def _from_scratch(self) -> None:
        self.state = CycleState()
        self._versions.clear()
        self.remembered.clear()
        self.crowds.clear()
        self._shared = self._shared_answers.of(self.pod)
        self.considered, self.left_out = None, ()
        self.skipping, self.refused = self._pre_filter()
        size = self.table.size
        if self.refused is not None:
            self.feasible, self.feasible_count = np.zeros(size, dtype=np.bool_), 0
            self._ranking.replace(np.full(size, INFEASIBLE, dtype=np.int64))
            return
        active = self.table.active[:size]
        self._usable = active.copy() if self.considered is None else active & self.considered
        nodes = Nodes(self.table)
        for item in self.filters:
            self._ask_filter(item, nodes)
        self.rows.ask_filters(self.state, self.pod)
        self._combine()
        for score in self.scores:
            self._ask_score(score, nodes)
        self.rows.ask_scores(self.state, self.pod, self.feasible)
        self._sum(anew=True)
        self._touched()

    def _follow(self, rows: tuple[int, ...]) -> None:
        """Take in that Pods came to or left `rows`."""
        touched = self._touched()
        changed = self._follow_filters(touched, rows) if touched or self.merges else False
        if changed is None:
            self._from_scratch()
            return
        many = len(rows) > MAX_ROWS_ONE_BY_ONE
        if many:
            self.rows.ask_filters(self.state, self.pod)
            self.rows.ask_scores(self.state, self.pod, self.feasible)
        now = () if many else self.rows.follow(rows)
        moved = self._combine() if many or changed else self._combine_rows(now)
        anew = bool(moved or touched or self._asks_always) and self._follow_scores(touched, moved=moved)
        if many or moved or anew:
            self._sum(anew=anew)
            return
        other, feasible, put = self._other_total.item, self.feasible.item, self._ranking.put
        for row, _, total in now:
            put(row, other(row) + total if feasible(row) else INFEASIBLE)

    def _touched(self) -> set[str]:
        """Return the plugins that look beyond a node and for which something came or went."""
        found = set()
        versions, state, pod, table = self._versions, self.state, self.pod, self.table
        for plugin in self._shared_answers.beyond:
            try:
                version = plugin.pods_version(state, pod, table)
            except Exception as error:
                raise plugin_failed(plugin, "pods_version", error) from error
            if version is None or versions.get(plugin.name) != version:
                found.add(plugin.name)
                versions[plugin.name] = version
        return found

    # -- filters

    def _pre_filter(self) -> tuple[set[str], tuple[str, Rejection] | None]:
        """Ask every PreFilter: the names of those that skip the Pod, and the refusal of one that refuses it."""
        assert self._shared is not None
        skipping: set[str] = set()
        for plugin in self.profile.pre_filters:
            known = self._shared.by_name.get(plugin.name)
            answer = self._ask_pre_filter(plugin) if known is None else known.pre_filter
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

    def _ask_pre_filter(self, plugin: Any) -> PreFilterResult:
        result: PreFilterResult = asking(plugin, "PreFilter", plugin.pre_filter, self.state, self.pod, self.table)
        return result

    def _ask_filter(self, item: FilterAnswer, nodes: Nodes) -> None:
        assert self._shared is not None
        name = item.plugin.name
        known = self._shared.by_name.get(name)
        item.shared = known is not None
        item.skipped = name in self.skipping
        if item.by_row:
            return
        if known is not None:
            item.rejections = known.rejections
        else:
            item.rejections = None if item.skipped else self._asked(item.plugin, nodes)

    def _asked(self, plugin: Any, nodes: Nodes) -> Rejections:
        answer = asking(plugin, "Filter", plugin.filter, self.state, self.pod, nodes)
        return as_rejections(plugin, answer, nodes.count)

    def _follow_filters(self, touched: set[str], rows: tuple[int, ...]) -> bool | None:
        """Ask again those Filters without a function for rows that read Pods: whether one says something else now.

        None when a PreFilter wants more than to skip or to go on: then everything is computed anew.
        """
        for plugin in self.profile.pre_filters:
            if plugin.name in touched:
                answer = self._ask_pre_filter(plugin)
                self.skipping.discard(plugin.name)
                if answer is not None and answer != SUCCESS:
                    if isinstance(answer, OnlyNodes) or answer.verdict is not Verdict.SKIP:
                        return None
                    self.skipping.add(plugin.name)
        changed = False
        for item in self.filters:
            if item.by_row or not item.follows:
                continue
            before = item.rejections
            if item.plugin.node_local:
                if before is not None:
                    index = np.array(rows, dtype=np.intp)
                    item.rejections = merged(before, index, self._asked(item.plugin, Nodes(self.table, index)))
                    changed = True
            elif item.plugin.name in touched:
                item.skipped = item.plugin.name in self.skipping
                item.rejections = None if item.skipped else self._asked(item.plugin, Nodes(self.table))
                changed = changed or not refuse_alike(before, item.rejections)
        return changed

    def _combine(self) -> bool:
        """Find the first Filter that refuses each row; returns whether a row became feasible or is no more."""
        assert self._shared is not None
        nobody = len(self.filters)
        other = self._shared.refusal
        for position, item in enumerate(self.filters):
            if not item.by_row and not item.shared and item.rejections is not None:
                other = np.minimum(other, np.where(item.rejections.codes != 0, position, nobody))
        self.other_refusal = other
        before = self.feasible
        self._free = (other == nobody) & self._usable
        self.feasible = (self.rows.refusal == nobody) & self._free
        self.feasible_count = int(np.count_nonzero(self.feasible))
        return not np.array_equal(before, self.feasible)

    def _combine_rows(self, rows: Iterable[RowAnswer]) -> bool:
        """Do what `_combine` does for some rows."""
        moved = False
        nobody = len(self.filters)
        feasible, free = self.feasible, self._free.item
        for row, refusal, _ in rows:
            fits = refusal == nobody and free(row)
            if fits != feasible.item(row):
                feasible[row] = fits
                self.feasible_count += 1 if fits else -1
                moved = True
        return moved

    # -- scores

    def _ask_score(self, item: ScoreAnswer, nodes: Nodes) -> None:
        assert self._shared is not None
        plugin = item.plugin
        if item.by_row:
            return
        known = self._shared.by_name.get(plugin.name)
        item.shared = known is not None
        if known is not None:
            item.skipped = known.raw is None
            if known.raw is None:
                return
            item.raw, item.even = known.raw, known.even is not None
            if known.normalized is not None:
                item.normalized = known.normalized
                return
        else:
            item.skipped, item.even = False, False
            if item.prepares:
                answer = asking(plugin, "PreScore", plugin.pre_score, self.state, self.pod, nodes, self.feasible)
                item.skipped = answer is not None and answer.verdict is Verdict.SKIP
            if item.skipped:
                return
            item.raw = checked(plugin, asking(plugin, "Score", plugin.score, self.state, self.pod, nodes), nodes.count)
        self._normalize(item)

    def _normalize(self, item: ScoreAnswer) -> None:
        plugin = item.plugin
        if not item.normalizes:
            item.normalized = item.raw
            return
        everywhere = self.feasible_count == self.table.size
        rows = np.arange(self.table.size) if everywhere else np.flatnonzero(self.feasible)
        raw = item.raw if everywhere else item.raw[rows]
        scores = asking(plugin, "NormalizeScore", plugin.normalize, self.state, self.pod, raw, rows)
        scores = checked(plugin, scores, len(rows), normalized=True)
        if everywhere:
            item.normalized = scores
        else:
            item.normalized = np.zeros(self.table.size, dtype=np.int64)
            item.normalized[rows] = scores

    def _follow_scores(self, touched: set[str], *, moved: bool) -> bool:
        """Ask again those Scores without a function for rows that may say something else: whether any was asked."""
        anew = False
        nodes = Nodes(self.table)
        for item in self.scores:
            if item.by_row:
                continue
            if item.follows and (moved or item.plugin.node_local or item.plugin.name in touched):
                before = item.skipped
                self._ask_score(item, nodes)
                anew |= not (before and item.skipped)
            elif moved and item.normalizes and not item.skipped and not item.even:
                self._normalize(item)
                anew = True
        return anew

    def _sum(self, *, anew: bool) -> None:
        """Add everything up; what the functions for rows say is kept apart, so that a row can be added up anew."""
        assert self._shared is not None
        if anew:
            total = self._shared.total
            for item in self.scores:
                if not (item.by_row or item.skipped or (item.shared and (item.even or not item.normalizes))):
                    total = total + (item.normalized * item.weight if item.weight != 1 else item.normalized)
            self._other_total = total
        self._ranking.replace(np.where(self.feasible, self._other_total + self.rows.total, INFEASIBLE))

    # -- results

    @property
    def total(self) -> Ints:
        """The weighted sum of all scores of each row; `INFEASIBLE` where no Pod of the shape can go."""
        return self._ranking.total

    def scores_of(self, row: int) -> tuple[tuple[str, int, int, int], ...]:
        """Return what each Score plugin says of one row: its name, its weight, the raw and the normalised score."""
        asked = self.rows.scores_of(row)
        found = []
        for item in self.scores:
            if not item.skipped:
                name = item.plugin.name
                raw = asked[name] if item.by_row else item.raw.item(row)
                found.append((name, item.weight, raw, raw if item.by_row else item.normalized.item(row)))
        return tuple(found)

    def refused_nodes(self) -> tuple[Refused, ...]:
        """Return the refused nodes, by plugin and reasons."""
        self.rows.settle()
        parts = [(item.plugin.name, item.rejections) for item in self.filters]
        active = self.table.active[: self.table.size]
        return refused_nodes(parts, self.first_refusal, active, self.considered, self.left_out)

    @property
    def first_refusal(self) -> Ints:
        """The position of the Filter that refuses each row first; -1 where none does."""
        first = np.minimum(self.other_refusal, self.rows.refusal)
        return np.where(first == len(self.filters), -1, first)

    def best_rows(self) -> list[int] | Ints:
        """Return the rows with the highest total, in order; there must be a feasible one."""
        return self._ranking.best()

    def diagnosis(self, beside: Beside | None = None) -> Diagnosis:
        """Return a record of the present answers; see `diagnosis_of`."""
        return diagnosis_of(self, beside)
