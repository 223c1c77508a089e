"""What Filters say of the nodes where nominated Pods are to come, as if they had come already."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from orchestra.scheduler.interface import Bools, Ints
from orchestra.scheduler.noderow import NodeRow
from orchestra.scheduler.trials import Checks

if TYPE_CHECKING:
    from orchestra.scheduler.evaluation import Evaluation
    from orchestra.scheduler.nodetable import NodeTable


class Beside(NamedTuple):
    """What Filters with functions for rows say beside the nominated Pods, of the `rows` that those are to come to.

    `codes` by the position of the Filter, `first` the position of the first that refuses (the number of Filters: none).
    """

    rows: NDArray[np.intp]
    codes: dict[int, Ints]
    first: Ints


class Crowd:
    """The nodes with nominated Pods in thought, for Pods of one shape and priority; kept current row by row."""

    def __init__(self, table: NodeTable, filters: int) -> None:
        self._table = table
        self._nobody = filters
        self._position = -1
        self._here: Bools = np.zeros(table.size, dtype=np.bool_)
        self._first: Ints = np.full(table.size, filters, dtype=np.int64)
        self._codes: dict[int, Ints] = {}

    def of(self, checks: Checks, uid: str) -> Beside | None:
        """Return what is said for the Pod `uid`; None where thinking is not enough."""
        if not self._refresh(checks):
            return None
        nominated = self._table.nominated
        own = self._table.by_name.get(nominated.node_of(uid))
        if own is None:
            return self._beside()
        # It does not stand in its own way; what is kept is for all the others.
        kept, self._position = self._position, -1  # should a plugin fail half way, all is thought anew
        found = self._beside() if self._think(checks, own, but=uid) else None
        if not self._think(checks, own):
            return None
        self._position = kept
        return found

    def _refresh(self, checks: Checks) -> bool:
        table = self._table
        if table.position == self._position:
            return True
        changes = table.changes_since(self._position)
        if changes.everything or self._position < 0:
            self._here[:] = False
            names = table.nominated.nodes()
            nodes = [table.by_name[name] for name in names if name in table.by_name]
        else:
            nodes = [table.rows[row] for row in changes.pod_rows]
        self._position = -1
        if not all(self._think(checks, node) for node in nodes):
            return False
        self._position = table.position
        return True

    def _think(self, checks: Checks, node: NodeRow, but: str = "") -> bool:
        """Note what is said of a node; False where thinking is not enough."""
        row = node.index
        self._here[row] = False
        if node.node is None or not (self._table.nominated.on(node.name).keys() - {but}):
            return True
        thought = checks.thought(node, but)
        if thought is None:
            return False
        self._here[row] = True
        self._first[row] = self._nobody
        for position, code in reversed(checks.codes(thought)):
            if position not in self._codes:
                self._codes[position] = np.zeros(self._table.size, dtype=np.int64)
            self._codes[position][row] = code
            if code:
                self._first[row] = position
        return True

    def _beside(self) -> Beside:
        rows = np.flatnonzero(self._here)
        return Beside(rows, {position: codes[rows] for position, codes in self._codes.items()}, self._first[rows])


def allowed_by(evaluation: Evaluation, beside: Beside) -> Bools:
    """Return the feasible rows that are so beside the nominated Pods too: the very array when all are."""
    feasible = evaluation.feasible
    refused = beside.rows[beside.first < len(evaluation.filters)]
    if not feasible[refused].any():
        return feasible
    allowed = feasible.copy()
    allowed[refused] = False
    return allowed
