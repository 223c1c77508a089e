"""What Filters say of the nodes where nominated Pods are to come, as if they had come already."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

from orchestra.scheduler.interface import Bools
from orchestra.scheduler.trials import Checks

if TYPE_CHECKING:
    from orchestra.scheduler.evaluation import Evaluation
    from orchestra.scheduler.nodetable import NodeTable

Codes: TypeAlias = tuple[tuple[int, int], ...]
"""Position and code of every Filter with a function for rows."""


class Beside(NamedTuple):
    """What is said of each node with nominated Pods, by row, and the rows that are refused."""

    codes: Mapping[int, Codes]
    refused: Mapping[int, None]


class Crowd:
    """The nodes with nominated Pods in thought, for Pods of one shape and priority; kept current row by row."""

    def __init__(self, table: NodeTable) -> None:
        self._table = table
        self._position = -1
        self._rows: dict[int, Codes] = {}
        self._refused: dict[int, None] = {}

    def of(self, checks: Checks, uid: str) -> Beside | None:
        """Return what is said of each such node for the Pod `uid`; None where thinking is not enough."""
        table, nominated = self._table, self._table.nominated
        if table.position != self._position:
            changes = table.changes_since(self._position)
            if changes.everything or self._position < 0:
                self._rows.clear()
                self._refused.clear()
                rows = [table.by_name[node].index for node in nominated.nodes() if node in table.by_name]
            else:
                rows = list(changes.pod_rows)
            self._position = -1
            for row in rows:
                if not self._think(checks, row):
                    return None
            self._position = table.position
        own = table.by_name.get(nominated.node_of(uid))
        if own is None:
            return Beside(self._rows, self._refused)
        # It does not stand in its own way. What is kept is for all the others.
        rows_but, refused_but = {**self._rows}, {**self._refused}
        rows_but.pop(own.index, None)
        refused_but.pop(own.index, None)
        if len(nominated.on(own.name)) > 1:
            thought = checks.thought(own)
            if thought is None:
                return None
            codes = rows_but[own.index] = checks.codes(thought)
            if any(code for _, code in codes):
                refused_but[own.index] = None
        return Beside(rows_but, refused_but)

    def _think(self, checks: Checks, index: int) -> bool:
        node = self._table.rows[index]
        self._rows.pop(index, None)
        self._refused.pop(index, None)
        if node.node is None or not self._table.nominated.on(node.name):
            return True
        thought = checks.thought(node, everybody=True)
        if thought is None:
            return False
        codes = self._rows[index] = checks.codes(thought)
        if any(code for _, code in codes):
            self._refused[index] = None
        return True


def allowed_by(evaluation: Evaluation, beside: Beside) -> Bools:
    """Return the feasible rows that are so beside the nominated Pods too: the very array when all are."""
    feasible = evaluation.feasible
    refused = list(beside.refused)
    if not refused or not feasible[refused].any():
        return feasible
    allowed = feasible.copy()
    allowed[refused] = False
    return allowed


def crowded(evaluation: Evaluation, beside: Mapping[int, Codes]) -> tuple[list[int], dict[int, list[int]], list[int]]:
    """Return the rows, their codes by the position of the Filter, and the positions of the first refusals (-1: none).

    For a record of what the nominated Pods left.
    """
    rows = list(beside)
    codes: dict[int, list[int]] = {}
    nobody = len(evaluation.filters)
    first = evaluation.other_refusal[rows]
    for said in beside.values():
        for position, code in said:
            codes.setdefault(position, []).append(code)
    for position, by_row in codes.items():
        first = np.minimum(first, np.where(np.array(by_row) != 0, position, nobody))
    return rows, codes, np.where(first == nobody, -1, first).tolist()
