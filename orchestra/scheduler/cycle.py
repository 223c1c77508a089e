"""One scheduling cycle: the table and a Pod in, a node or the reasons why not out. Pure.

Production, unit tests, simulation and what-if run this same code. Pods of one shape share an `Evaluation`; placing a
Pod changes one row, so the next Pod of the shape costs the recomputation of that row and a search for the maximum.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from random import Random
from typing import Final

import attrs
import numpy as np

from orchestra.errors import PluginError
from orchestra.scheduler.diagnosis import Diagnosis
from orchestra.scheduler.evaluation import Evaluation, asking
from orchestra.scheduler.interface import CycleState, OnlyNodes, PostFilterResult, Rejections, Verdict
from orchestra.scheduler.nodetable import NodeTable
from orchestra.scheduler.podinfo import PodInfo
from orchestra.scheduler.profile import Profile
from orchestra.scheduler.view import Nodes

MAX_CACHED_ROWS: Final = 1_000_000
"""Rows of all shapes together that are kept; the shape that was not asked for the longest goes first."""
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


class Cycle:
    """Schedules Pods of one profile onto a table, one after another. `random` breaks ties among the best nodes."""

    def __init__(self, profile: Profile, table: NodeTable, random: Random) -> None:
        self.profile = profile
        self.table = table
        self._random = random
        self._shapes: dict[Hashable, Evaluation] = {}

    def evaluate(self, pod: PodInfo) -> Evaluation:
        """Return the present answers of all plugins; raises PluginError."""
        shape = self.profile.shape_of(pod)
        known = self._shapes.pop(shape, None)
        if known is None:
            known = Evaluation(self.profile, pod, self.table)
            limit = max(MIN_SHAPES, MAX_CACHED_ROWS // max(self.table.size, 1))
            while len(self._shapes) >= limit:
                self._shapes.pop(next(iter(self._shapes)))
        known.refresh()
        self._shapes[shape] = known
        return known

    def diagnose(self, pod: PodInfo) -> Diagnosis:
        """Say where a Pod could go and how good that would be, without placing it; raises PluginError."""
        return self.evaluate(pod).diagnosis()

    def schedule(self, pod: PodInfo) -> Outcome:
        """Choose a node for a Pod and count it there (`NodeTable.assume`), or say why there is none."""
        try:
            evaluation = self.evaluate(pod)
            if evaluation.feasible_count:
                return self._place(pod, evaluation)
            return self._help(pod, evaluation)
        except PluginError as error:
            return Failed(pod, error)

    def _place(self, pod: PodInfo, evaluation: Evaluation) -> Placed | Unplaced:
        total = evaluation.total
        best = np.flatnonzero(total == total.max())
        # Like kube-scheduler's selectHost: each of the best nodes is as likely as any other.
        choice = int(best[self._random.randrange(len(best))]) if len(best) > 1 else int(best[0])
        node = self.table.rows[choice].name
        self.table.assume(pod, node)
        return Placed(pod, node)

    def _help(self, pod: PodInfo, evaluation: Evaluation) -> Unplaced:
        diagnosis = evaluation.diagnosis()
        messages: list[str] = []
        found = PostFilterResult()
        for plugin in self.profile.post_filters:
            found = asking(plugin, "PostFilter", plugin.post_filter, pod, self.table, diagnosis, self._fits(pod))
            if found.message:
                messages.append(found.message)
            if found.node:
                break
        return Unplaced(pod, attrs.evolve(diagnosis, post_filter=", ".join(messages)), found)

    def _fits(self, pod: PodInfo) -> Callable[[str], bool]:
        def fits(node: str) -> bool:
            """Run all filters for one node on the table as it is now."""
            row = self.table.by_name.get(node)
            if row is None or row.node is None:
                return False
            state = CycleState()
            nodes = Nodes(self.table, np.array([row.index], dtype=np.intp))
            skipping = set()
            for plugin in self.profile.pre_filters:
                answer = asking(plugin, "PreFilter", plugin.pre_filter, state, pod, self.table)
                if isinstance(answer, OnlyNodes):
                    if node not in answer.names:
                        return False
                elif answer is not None and answer.verdict is Verdict.SKIP:
                    skipping.add(plugin.name)
                elif answer is not None and answer.verdict is not Verdict.SUCCESS:
                    return False
            for plugin in self.profile.filters:
                if plugin.name in skipping:
                    continue
                found = asking(plugin, "Filter", plugin.filter, state, pod, nodes)
                if found.codes[0] if isinstance(found, Rejections) else not found[0]:
                    return False
            return True

        return fits
