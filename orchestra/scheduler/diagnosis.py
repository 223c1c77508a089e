"""Why a Pod was placed where it was, or nowhere: the record of one attempt, as data.

A diagnosis is arrays while it is cheap to keep them and words when somebody asks: nothing is formatted before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any, Final

import attrs
import numpy as np
from numpy.typing import NDArray

from orchestra.api.diagnosis import Advice, PluginScore
from orchestra.scheduler.interface import Bools, Ints, Rejection, Rejections

NOT_EVALUATED: Final = "node(s) didn't satisfy plugin(s) [{}]"
"""Kubernetes' word for nodes that a PreFilter left out; the names of the plugins go in."""
MAX_COUNTED: Final = 65_536
"""Up to so large numbers are counted in an array with a place for each."""


@attrs.frozen
class ScorePart:
    """What one Score plugin said: raw and normalised scores of the feasible nodes, in their order."""

    plugin: str
    weight: int
    raw: Ints = attrs.field(eq=False)
    normalized: Ints = attrs.field(eq=False)

    def score(self, index: int) -> PluginScore:
        """Return what it said of the feasible node at a position."""
        raw, normalized = int(self.raw[index]), int(self.normalized[index])
        return PluginScore(
            plugin=self.plugin, weight=self.weight, raw=raw, normalized=normalized, weighted=normalized * self.weight
        )


@attrs.frozen(eq=False)
class FilterPart:
    """What one Filter plugin said of all rows."""

    plugin: str
    rejections: Rejections


@attrs.frozen(eq=False)
class Refused:
    """Nodes that one plugin refused for the same reasons; they stand at `rows`."""

    plugin: str
    rejection: Rejection
    rows: NDArray[np.intp]

    @property
    def count(self) -> int:
        """How many they are."""
        return len(self.rows)


def distinct(numbers: NDArray[Any]) -> tuple[Ints, Ints]:
    """Return the different numbers, none negative, and how often each occurs.

    As numpy.unique, but mostly without sorting, which costs ten times as much.
    """
    if len(numbers) and int(numbers.max()) < MAX_COUNTED:
        counts = np.bincount(numbers)
        values = np.flatnonzero(counts)
        return values, counts[values]
    return np.unique(numbers, return_counts=True)


def refused_nodes(
    filters: Iterable[tuple[str, Rejections | None]],
    first_refusal: Ints,
    active: Bools,
    considered: Bools | None,
    left_out: tuple[str, ...],
) -> tuple[Refused, ...]:
    """Return the refused nodes, by the plugin that refused them first and its reasons; see `Diagnosis`."""
    found: list[Refused] = []
    if considered is not None:
        left = np.flatnonzero(active & ~considered)
        if len(left):
            reason = NOT_EVALUATED.format(" ".join(left_out))
            found.append(Refused(left_out[0], Rejection((reason,), resolvable=False), left))
        active = active & considered
    for position, (plugin, rejections) in enumerate(filters):
        if rejections is None:
            continue
        rows = np.flatnonzero(active & (first_refusal == position))
        if len(rows):
            codes = rejections.codes[rows]
            found += [
                Refused(plugin, rejections.explain(code), rows[codes == code]) for code in distinct(codes)[0].tolist()
            ]
    return tuple(found)


@attrs.frozen(eq=False, slots=False)
class Diagnosis:
    """One attempt. `names` are the node names by row, `first_refusal` the position in `filters` that refused a row
    first (-1: none did), `feasible_rows` the rows that are left.

    `pre_filter` is set when a PreFilter refused the Pod outright, and `left_out` names the plugins that narrowed the
    nodes before Filter. `post_filter` is what PostFilter had to say, and `advice` what would make the Pod fit.
    """

    names: tuple[str, ...]
    active: Bools
    filters: tuple[FilterPart, ...]
    first_refusal: Ints
    feasible_rows: Ints
    considered: Bools | None = None
    left_out: tuple[str, ...] = ()
    pre_filter: Rejection | None = None
    pre_filter_plugin: str = ""
    parts: tuple[ScorePart, ...] = ()
    total: Ints | None = None
    post_filter: str = ""
    advice: tuple[Advice, ...] = ()

    @cached_property
    def feasible(self) -> tuple[str, ...]:
        """The names of the nodes that passed every filter."""
        return tuple(self.names[row] for row in self.feasible_rows)

    @property
    def node_count(self) -> int:
        """How many nodes there were."""
        return int(self.active.sum())

    def row_of(self, node: str) -> int:
        """Return the row of a node; raises KeyError when there was none of that name."""
        rows = self._rows
        if node not in rows:
            raise KeyError(f"there was no node {node!r}")
        return rows[node]

    @cached_property
    def _rows(self) -> Mapping[str, int]:
        return {self.names[row]: row for row in np.flatnonzero(self.active).tolist()}

    @cached_property
    def scores(self) -> Mapping[str, Mapping[str, int]]:
        """Weighted normalised score by node and plugin; empty when there was nothing to choose from."""
        found: dict[str, dict[str, int]] = {}
        for index, row in enumerate(self.feasible_rows):
            if self.parts:
                found[self.names[row]] = {p.plugin: int(p.normalized[index]) * p.weight for p in self.parts}
        return found

    @cached_property
    def details(self) -> Mapping[str, Mapping[str, PluginScore]]:
        """What each Score plugin said of each feasible node, raw, normalised and weighted."""
        if not self.parts:
            return {}
        return {
            self.names[row]: {part.plugin: part.score(index) for part in self.parts}
            for index, row in enumerate(self.feasible_rows)
        }

    def refusal(self, row: int) -> tuple[str, Rejection] | None:
        """Return the plugin that refused the node at `row`, and why; None when none did."""
        if self.pre_filter is not None:
            return self.pre_filter_plugin, self.pre_filter
        if self.considered is not None and not self.considered[row]:
            reason = NOT_EVALUATED.format(" ".join(self.left_out))
            return self.left_out[0], Rejection((reason,), resolvable=False)
        position = int(self.first_refusal[row])
        if position < 0:
            return None
        part = self.filters[position]
        return part.plugin, part.rejections.explain(int(part.rejections.codes[row]))

    @cached_property
    def refusals(self) -> tuple[Refused, ...]:
        """The refused nodes, by the plugin that refused them first and its reasons."""
        if self.pre_filter is not None:
            return (Refused(self.pre_filter_plugin, self.pre_filter, np.flatnonzero(self.active)),)
        parts = [(part.plugin, part.rejections) for part in self.filters]
        return refused_nodes(parts, self.first_refusal, self.active, self.considered, self.left_out)

    @cached_property
    def plugins(self) -> frozenset[str]:
        """The plugins that refused at least one node: what they wait for may help."""
        return frozenset(self.left_out).union(refused.plugin for refused in self.refusals)

    @cached_property
    def reasons(self) -> Mapping[str, tuple[str, ...]]:
        """Why each refused node was refused, by its name."""
        found: dict[str, tuple[str, ...]] = {}
        for row, name in enumerate(self.names):
            if self.active[row]:
                refusal = self.refusal(row)
                if refusal is not None:
                    found[name] = refusal[1].reasons
        return found

    def why(self, node: str) -> str:
        """Return `plugin: reasons` for a refused node, the plugins' scores for another one; raises KeyError."""
        row = self.row_of(node)
        refusal = self.refusal(row)
        if refusal is not None:
            return f"{refusal[0]}: {', '.join(refusal[1].reasons)}"
        scores = self.scores.get(node, {})
        return ", ".join(f"{plugin} {score}" for plugin, score in scores.items()) or "feasible"

    @cached_property
    def counts(self) -> Mapping[str, int]:
        """How many nodes had each reason; most frequent first, then by the alphabet. A node can have several."""
        found: dict[str, int] = {}
        for refused in self.refusals:
            for reason in refused.rejection.reasons:
                found[reason] = found.get(reason, 0) + refused.count
        return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))

    @cached_property
    def message(self) -> str:
        """The text of the Pod's condition, worded and ordered as kube-scheduler's FitError; empty when feasible."""
        if len(self.feasible_rows):
            return ""
        total = self.node_count
        head = f"0/{total} nodes are available"
        if not total and self.pre_filter is None:
            return "no nodes available to schedule pods"
        parts = [f"{head}:"]
        if self.pre_filter is not None:
            parts.append(f"{', '.join(self.pre_filter.reasons)}.")
        elif self.counts:
            # kube-scheduler sorts the finished texts, numbers included.
            parts.append(f"{', '.join(sorted(f'{number} {reason}' for reason, number in self.counts.items()))}.")
        if self.post_filter:
            parts.append(self.post_filter)
        return " ".join(parts)
