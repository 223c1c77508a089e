"""What all plugins say of Pods of one shape, kept current as the cluster changes.

Computing from scratch and keeping current must give the same arrays; the second only avoids work:

- plugins that do not read Pods are asked again only when a node changed;
- node-local plugins are asked again only for the rows that changed;
- the others are asked again for everything, as they may answer differently anywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from orchestra.errors import PluginError
from orchestra.scheduler.diagnosis import Diagnosis, FilterPart, ScorePart
from orchestra.scheduler.interface import (
    SUCCESS,
    Bools,
    ByCode,
    CycleState,
    Ints,
    NormalizePlugin,
    OnlyNodes,
    PreScorePlugin,
    Rejection,
    Rejections,
    RowFilter,
    RowScore,
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


class _Filter:
    """One Filter plugin: `rejections` is None while it skips the Pod."""

    __slots__ = ("by_row", "plugin", "rejections")

    def __init__(self, plugin: Any) -> None:
        self.plugin = plugin
        self.by_row = isinstance(plugin, RowFilter)
        self.rejections: Rejections | None = None


class _Score:
    """One Score plugin. `even` is the one normalised score of all nodes, when its raw scores are all the same."""

    __slots__ = ("by_row", "even", "normalized", "normalizes", "plugin", "prepares", "raw", "skipped", "weight")

    def __init__(self, plugin: Any, weight: int) -> None:
        self.plugin = plugin
        self.weight = weight
        self.prepares = isinstance(plugin, PreScorePlugin)
        self.normalizes = isinstance(plugin, NormalizePlugin)
        self.by_row = plugin.node_local and isinstance(plugin, RowScore)
        self.skipped = False
        self.raw: Ints = np.zeros(0, dtype=np.int64)
        self.normalized: Ints = self.raw
        self.even: int | None = None


def asking(plugin: Any, point: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a plugin; whatever it raises becomes a PluginError that names it."""
    try:
        return function(*arguments)
    except Exception as error:
        raise PluginError(f"plugin {plugin.name} failed in {point}: {error!r}", plugin=plugin.name) from error


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
        self._filters = [_Filter(plugin) for plugin in profile.filters]
        self._scores = [_Score(plugin, profile.weight(plugin.name)) for plugin in profile.scores]
        self._feasible_count = 0

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
            return
        for item in self._filters:
            item.rejections = None if item.plugin.name in skipping else self._ask_filter(item.plugin, nodes)
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
            if not item.plugin.reads_pods:
                continue
            if not item.plugin.node_local:
                skips = item.plugin.name in skipping
                everywhere |= not skips or item.rejections is not None
                item.rejections = None if skips else self._ask_filter(item.plugin, Nodes(self.table))
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

    def _ask_filter(self, plugin: Any, nodes: Nodes) -> Rejections:
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

    def _update_rows(self, item: _Filter, rows: tuple[int, ...], one_by_one: bool) -> None:
        plugin, rejections = item.plugin, item.rejections
        if rejections is None:
            return
        if one_by_one and item.by_row:
            for row in rows:
                code = asking(plugin, "Filter", plugin.filter_row, self.state, self.pod, self.table.rows[row])
                rejections.codes[row] = code
            return
        index = np.array(rows, dtype=np.intp)
        answer = self._ask_filter(plugin, Nodes(self.table, index))
        item.rejections = _merged(rejections, index, answer)

    def _combine(self) -> None:
        table = self.table
        first = np.full(table.size, -1, dtype=np.int64)
        for position in range(len(self._filters) - 1, -1, -1):
            rejections = self._filters[position].rejections
            if rejections is not None:
                first[rejections.codes != 0] = position
        self.first_refusal = first
        feasible = (first < 0) & table.active[: table.size]
        self.feasible = feasible if self.considered is None else feasible & self.considered
        self._feasible_count = int(np.count_nonzero(self.feasible))

    def _combine_rows(self, rows: tuple[int, ...]) -> bool:
        """Do what `_combine` does for some rows; returns whether one became feasible or is no more."""
        moved = False
        for row in rows:
            refused_by = -1
            for position, item in enumerate(self._filters):
                if item.rejections is not None and item.rejections.codes[row]:
                    refused_by = position
                    break
            self.first_refusal[row] = refused_by
            fits = refused_by < 0 and bool(self.table.active[row])
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

    def _ask_score(self, item: _Score) -> None:
        plugin, nodes = item.plugin, Nodes(self.table)
        item.skipped = False
        if item.prepares:
            answer = asking(plugin, "PreScore", plugin.pre_score, self.state, self.pod, nodes, self.feasible)
            item.skipped = answer is not None and answer.verdict is Verdict.SKIP
        if not item.skipped:
            item.raw = _checked(plugin, asking(plugin, "Score", plugin.score, self.state, self.pod, nodes), nodes.count)
            self._normalize(item)

    def _normalize(self, item: _Score) -> None:
        plugin = item.plugin
        item.even = None
        if not item.normalizes:
            item.normalized = item.raw
            return
        rows = np.flatnonzero(self.feasible)
        raw = item.raw[rows]
        scores = asking(plugin, "NormalizeScore", plugin.normalize, self.state, self.pod, raw, rows)
        scores = _checked(plugin, scores, len(rows))
        item.normalized = np.zeros(self.table.size, dtype=np.int64)
        item.normalized[rows] = scores
        if plugin.even_stays_even and len(rows) and not plugin.reads_pods:
            active = item.raw[self.table.active[: self.table.size]]
            if active.min() == active.max():
                item.even = int(scores[0])
                item.normalized[:] = item.even

    def _sum(self) -> None:
        total = np.zeros(self.table.size, dtype=np.int64)
        for item in self._scores:
            if not item.skipped:
                total += item.normalized * item.weight if item.weight != 1 else item.normalized
        total[~self.feasible] = INFEASIBLE
        self.total = total

    def _follow_scores(self, rows: tuple[int, ...], *, moved: bool, one_by_one: bool, everything: bool) -> None:
        for item in self._scores:
            plugin = item.plugin
            if plugin.reads_pods and not (one_by_one and item.by_row):
                before = item.skipped
                self._ask_score(item)
                everything |= not (before and item.skipped)
            elif plugin.reads_pods and not item.skipped:
                for row in rows:
                    item.raw[row] = asking(
                        plugin, "Score", plugin.score_row, self.state, self.pod, self.table.rows[row]
                    )
            stale = moved or (plugin.reads_pods and plugin.node_local)
            if stale and item.normalizes and not item.skipped and item.even is None:
                self._normalize(item)
                everything = True
        if everything:
            self._sum()
            return
        for row in rows:
            if not self.feasible[row]:
                self.total[row] = INFEASIBLE
                continue
            self.total[row] = sum(int(s.normalized[row]) * s.weight for s in self._scores if not s.skipped)

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


def as_rejections(plugin: Any, answer: Any, count: int) -> Rejections:
    """Return the answer of a Filter in its full form; raises PluginError when it is not one answer for each node."""
    if isinstance(answer, np.ndarray) and answer.dtype == np.bool_:
        rejection = Rejection((f"node(s) didn't satisfy plugin {plugin.name}",))
        answer = Rejections((~answer).astype(np.int64), ByCode((rejection,)))
    if not isinstance(answer, Rejections):
        wrong = f"plugin {plugin.name} returned neither booleans nor Rejections from Filter"
        raise PluginError(wrong, plugin=plugin.name)
    if answer.codes.shape != (count,):
        wrong = f"plugin {plugin.name} returned shape {answer.codes.shape} from Filter, wanted ({count},)"
        raise PluginError(wrong, plugin=plugin.name)
    return answer


def _merged(old: Rejections, rows: NDArray[np.intp], new: Rejections) -> Rejections:
    """Return `old` with the answers for `rows` replaced; codes that mean different things are numbered anew."""
    if old.explain == new.explain or not new.codes.any():
        old.codes[rows] = new.codes
        return old
    known: dict[Rejection, int] = {}
    codes = np.zeros(len(old.codes), dtype=np.int64)
    for code in np.unique(old.codes).tolist():
        if code:
            codes[old.codes == code] = known.setdefault(old.explain(code), len(known) + 1)
    codes[rows] = [known.setdefault(new.explain(c), len(known) + 1) if c else 0 for c in new.codes.tolist()]
    return Rejections(codes, ByCode(tuple(known)))


def _checked(plugin: Any, scores: Any, count: int) -> Ints:
    """Return scores as int64; raises PluginError when they are not whole numbers, one for each node."""
    if not isinstance(scores, np.ndarray) or scores.dtype.kind not in "iu":
        kind = getattr(scores, "dtype", type(scores).__name__)
        raise PluginError(f"plugin {plugin.name} returned {kind} from Score, wanted integers", plugin=plugin.name)
    if scores.shape != (count,):
        raise PluginError(
            f"plugin {plugin.name} returned shape {scores.shape} from Score, wanted ({count},)", plugin=plugin.name
        )
    return scores.astype(np.int64, copy=False)
