"""The answers of plugins that have functions for single rows, for Pods of one shape: kept current row by row.

A row is asked about in Python, which is faster than arrays for a few rows, and not at all when the functions read
nothing but amounts (`Plugin.amounts_only`) and have seen the same amounts before. What each plugin said of a row is
put into its arrays only when somebody wants to see them (`settle`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final, TypeAlias

import numpy as np

from orchestra.scheduler.answers import FilterAnswer, ScoreAnswer, as_rejections, asking, checked, plugin_failed
from orchestra.scheduler.interface import Bools, CycleState, Ints, Verdict
from orchestra.scheduler.noderow import NodeRow
from orchestra.scheduler.nodetable import NodeTable
from orchestra.scheduler.podinfo import PodInfo
from orchestra.scheduler.view import Nodes

MAX_ROWS_ONE_BY_ONE: Final = 64
"""Up to so many changed rows are asked about one by one; more of them as arrays."""
MAX_REMEMBERED: Final = 4096
"""Amounts whose answers are remembered for a shape; when there are more all are forgotten."""

RowAnswer: TypeAlias = tuple[int, int, int]
"""A row, the position of the first Filter that refuses it (the number of Filters: none does), and its total."""


class LocalRows:
    """`refusal` and `total` of all rows, as far as functions for rows decide them."""

    def __init__(self, table: NodeTable, filters: list[FilterAnswer], scores: list[ScoreAnswer]) -> None:
        self._table = table
        self._nobody = len(filters)
        self._filters = [(position, item) for position, item in enumerate(filters) if item.by_row]
        self._scores = [item for item in scores if item.by_row]
        self._amounts_only = False
        self.refusal: Ints = np.zeros(0, dtype=np.int64)
        self.total: Ints = self.refusal
        self._refusers: list[tuple[int, Any, Callable[[NodeRow], int]]] = []
        self._raters: list[tuple[int, Any, Callable[[NodeRow], int]]] = []
        self._remembered: dict[int, tuple[int, int]] = {}
        self._behind: set[int] = set()

    def ask_filters(self, state: CycleState, pod: PodInfo) -> None:
        """Ask the Filters about all rows."""
        self._remembered.clear()
        self._refusers = []
        self._behind.clear()
        nodes = Nodes(self._table)
        refusal = np.full(nodes.count, self._nobody, dtype=np.int64)
        for position, item in reversed(self._filters):
            plugin = item.plugin
            item.rejections = None
            if not item.skipped:
                answer = asking(plugin, "Filter", plugin.filter, state, pod, nodes)
                item.rejections = as_rejections(plugin, answer, nodes.count)
                refusal[item.rejections.codes != 0] = position
                function = asking(plugin, "Filter", plugin.row_filter, state, pod)
                self._refusers.append((position, plugin, function))
        self._refusers.reverse()
        self.refusal = refusal

    def ask_scores(self, state: CycleState, pod: PodInfo, feasible: Bools) -> None:
        """Ask the Scores about all rows; `ask_filters` comes before."""
        self._raters = []
        nodes = Nodes(self._table)
        total = np.zeros(nodes.count, dtype=np.int64)
        for item in self._scores:
            plugin = item.plugin
            item.skipped = False
            if item.prepares:
                answer = asking(plugin, "PreScore", plugin.pre_score, state, pod, nodes, feasible)
                item.skipped = answer is not None and answer.verdict is Verdict.SKIP
            if not item.skipped:
                item.raw = checked(plugin, asking(plugin, "Score", plugin.score, state, pod, nodes), nodes.count)
                item.normalized = item.raw
                total += item.raw * item.weight if item.weight != 1 else item.raw
                function = asking(plugin, "Score", plugin.row_score, state, pod)
                self._raters.append((item.weight, plugin, function))
        self.total = total
        self._amounts_only = all(plugin.amounts_only for _, plugin, _ in (*self._refusers, *self._raters))

    def follow(self, rows: Iterable[int]) -> list[RowAnswer]:
        """Ask about these rows only, and return what is true of them now."""
        found = []
        nodes, remembered = self._table.rows, self._remembered
        refusals, totals = self.refusal, self.total
        for row in rows:
            node = nodes[row]
            known = remembered.get(node.amounts or self._table.amounts_of(node))
            if known is None:
                known = self._ask(node)
                if self._amounts_only:
                    if len(remembered) >= MAX_REMEMBERED:
                        remembered.clear()
                    remembered[node.amounts] = known
            refusals[row] = refusal = known[0]
            totals[row] = total = known[1]
            found.append((row, refusal, total))
        self._behind.update(rows)
        return found

    def _ask(self, node: NodeRow) -> tuple[int, int]:
        plugin: Any = None
        point = "Filter"
        refusal, total = self._nobody, 0
        try:
            for position, plugin, function in self._refusers:  # noqa: B007 - named in the error
                if function(node):
                    refusal = position
                    break
            point = "Score"
            for weight, plugin, function in self._raters:  # noqa: B007 - named in the error
                total += function(node) * weight
        except Exception as error:
            raise plugin_failed(plugin, point, error) from error
        return refusal, total

    def codes_of(self, node: NodeRow) -> list[tuple[int, int]]:
        """Return what the Filters say of a row, which may be one in thought: the position and code of each."""
        plugin: Any = None
        try:
            found = []
            for position, plugin, function in self._refusers:  # noqa: B007 - named in the error
                found.append((position, function(node)))
        except Exception as error:
            raise plugin_failed(plugin, "Filter", error) from error
        return found

    def scores_of(self, row: int) -> dict[str, int]:
        """Return what the functions for scores say of one row."""
        if row not in self._behind:
            return {score.plugin.name: score.raw.item(row) for score in self._scores if not score.skipped}
        node, plugin = self._table.rows[row], None
        try:
            found = {}
            for _, plugin, function in self._raters:
                found[plugin.name] = function(node)
        except Exception as error:
            raise plugin_failed(plugin, "Score", error) from error
        return found

    def settle(self) -> None:
        """Bring the arrays of the single plugins up to date."""
        if not self._behind:
            return
        rows = [self._table.rows[row] for row in sorted(self._behind)]
        functions = {plugin.name: function for _, plugin, function in self._refusers}
        for _, item in self._filters:
            if item.rejections is not None:
                for row in rows:
                    item.rejections.codes[row.index] = functions[item.plugin.name](row)
        functions = {plugin.name: function for _, plugin, function in self._raters}
        for score in self._scores:
            if not score.skipped:
                for row in rows:
                    score.raw[row.index] = functions[score.plugin.name](row)
        self._behind.clear()
