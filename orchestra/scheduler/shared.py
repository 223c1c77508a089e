"""Answers that Pods of different shapes share: those about the nodes' own fields, as most Pods look alike to them."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, Final

import attrs
import numpy as np

from orchestra.scheduler.answers import as_rejections, asking, checked
from orchestra.scheduler.interface import (
    SUCCESS,
    CycleState,
    Ints,
    NormalizePlugin,
    OnlyNodes,
    PreFilterResult,
    PreScorePlugin,
    Rejections,
    Verdict,
)
from orchestra.scheduler.nodetable import NodeTable
from orchestra.scheduler.podinfo import PodInfo
from orchestra.scheduler.profile import Profile
from orchestra.scheduler.view import Nodes

MAX_SHARED: Final = 1024
"""Answers, and combinations of them, that are kept; when there are more all are forgotten."""


@attrs.define(eq=False)
class SharedAnswer:
    """What one plugin says of Pods with the same `Plugin.fixed_key`, until a node changes."""

    pre_filter: PreFilterResult = None
    rejections: Rejections | None = None
    raw: Ints | None = None
    even: int | None = None
    """The normalised score of all nodes, when it is the same whichever of them are left."""
    normalized: Ints | None = None
    """That score, for all rows."""


@attrs.frozen(eq=False)
class Shared:
    """What all such plugins of a profile say of a Pod: `by_name`, and put together.

    `refusal` is for each row the position of the first Filter that refuses it, or the number of Filters; `total` the
    weighted sum of the scores that do not depend on which nodes are left.
    """

    by_name: dict[str, SharedAnswer]
    refusal: Ints
    total: Ints


class SharedAnswers:
    """The shared answers of one profile and table."""

    def __init__(self, profile: Profile, table: NodeTable) -> None:
        self._profile = profile
        self._table = table
        self._plugins = tuple(plugin for plugin in profile.plugins if not plugin.reads_pods)
        self.beyond = tuple(plugin for plugin in profile.plugins if plugin.reads_pods and not plugin.node_local)
        """The plugins that look beyond a node, at the Pods on others."""
        self._filters = frozenset(plugin.name for plugin in profile.filters)
        self._pre_filters = frozenset(plugin.name for plugin in profile.pre_filters)
        self._scores = frozenset(plugin.name for plugin in profile.scores)
        self._position = -1
        self._answers: dict[tuple[str, Hashable], SharedAnswer] = {}
        self._together: dict[tuple[Hashable, ...], Shared] = {}

    def of(self, pod: PodInfo) -> Shared:
        """Return the answers for a Pod; raises PluginError."""
        if self._position != self._table.position:
            changes = self._table.changes_since(self._position)
            if changes.everything or changes.node_rows or len(self._answers) > MAX_SHARED:
                self._answers.clear()
                self._together.clear()
            self._position = changes.position
        keys = tuple([plugin.fixed_key(pod) for plugin in self._plugins])
        found = self._together.get(keys)
        if found is None:
            found = self._put_together(pod, keys)
            if len(self._together) >= MAX_SHARED:
                self._together.clear()
            self._together[keys] = found
        return found

    def _put_together(self, pod: PodInfo, keys: tuple[Hashable, ...]) -> Shared:
        by_name: dict[str, SharedAnswer] = {}
        for plugin, key in zip(self._plugins, keys, strict=True):
            if key is None:
                continue
            answer = self._answers.get((plugin.name, key))
            if answer is None:
                answer = self._answers[plugin.name, key] = self._ask(plugin, pod)
            by_name[plugin.name] = answer
        size, filters = self._table.size, self._profile.filters
        refusal = np.full(size, len(filters), dtype=np.int64)
        for position in range(len(filters) - 1, -1, -1):
            answer = by_name.get(filters[position].name)
            if answer is not None and answer.rejections is not None:
                refusal[answer.rejections.codes != 0] = position
        total = np.zeros(size, dtype=np.int64)
        for plugin in self._profile.scores:
            answer = by_name.get(plugin.name)
            if answer is not None and answer.raw is not None:
                if answer.even is not None:
                    total += answer.even * self._profile.weight(plugin.name)
                elif not isinstance(plugin, NormalizePlugin):
                    total += answer.raw * self._profile.weight(plugin.name)
        return Shared(by_name, refusal, total)

    def _ask(self, plugin: Any, pod: PodInfo) -> SharedAnswer:
        found, state, nodes = SharedAnswer(), CycleState(), Nodes(self._table)
        if plugin.name in self._pre_filters:
            found.pre_filter = asking(plugin, "PreFilter", plugin.pre_filter, state, pod, self._table)
        pre = found.pre_filter
        if plugin.name in self._filters and (pre is None or isinstance(pre, OnlyNodes) or pre == SUCCESS):
            answer = as_rejections(plugin, asking(plugin, "Filter", plugin.filter, state, pod, nodes), nodes.count)
            found.rejections = answer if answer.codes.any() else None
        if plugin.name in self._scores:
            self._ask_score(plugin, pod, state, found)
        return found

    def _ask_score(self, plugin: Any, pod: PodInfo, state: CycleState, found: SharedAnswer) -> None:
        nodes, active = Nodes(self._table), self._table.active[: self._table.size]
        if isinstance(plugin, PreScorePlugin):
            status = asking(plugin, "PreScore", plugin.pre_score, state, pod, nodes, active)
            if status is not None and status.verdict is Verdict.SKIP:
                return
        raw = checked(plugin, asking(plugin, "Score", plugin.score, state, pod, nodes), nodes.count)
        found.raw = raw
        rows = np.flatnonzero(active)
        if plugin.even_stays_even and isinstance(plugin, NormalizePlugin) and len(rows):
            some = raw[rows]
            if some.min() == some.max():
                scores = asking(plugin, "NormalizeScore", plugin.normalize, state, pod, some, rows)
                found.even = int(checked(plugin, scores, len(rows), normalized=True)[0])
                found.normalized = np.full(nodes.count, found.even, dtype=np.int64)
