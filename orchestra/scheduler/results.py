"""From an evaluation to the record of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from orchestra.scheduler.diagnosis import Diagnosis, FilterPart, ScorePart
from orchestra.scheduler.interface import Rejection, Rejections
from orchestra.scheduler.noderow import NodeRow

if TYPE_CHECKING:
    from orchestra.scheduler.evaluation import Evaluation


def diagnosis_of(evaluation: Evaluation, instead: Iterable[NodeRow] = ()) -> Diagnosis:
    """Return a record of the present answers that later changes do not touch.

    `instead` are rows in thought: they are judged as they are there. Only for an evaluation that is `alone`.
    """
    table = evaluation.table
    rows = np.flatnonzero(evaluation.feasible)
    evaluation.rows.settle()
    # Positions in `first_refusal` count every filter, so those that skip the Pod keep their place.
    nothing = Rejections(np.zeros(table.size, dtype=np.int64), lambda _code: Rejection(()))
    filters = tuple(
        FilterPart(
            f.plugin.name,
            nothing if f.rejections is None else Rejections(f.rejections.codes.copy(), f.rejections.explain),
        )
        for f in evaluation.filters
    )
    first = evaluation.first_refusal if evaluation.refused is None else np.full(table.size, -1, dtype=np.int64)
    for node in instead:
        for position, code in evaluation.rows.codes_of(node):
            filters[position].rejections.codes[node.index] = code
        refused_by = [at for at, part in enumerate(filters) if part.rejections.codes[node.index]]
        first[node.index] = refused_by[0] if refused_by else -1
        if refused_by:
            rows = rows[rows != node.index]
    parts: tuple[ScorePart, ...] = ()
    if len(rows) > 1:
        parts = tuple(
            ScorePart(s.plugin.name, s.weight, s.raw[rows], s.normalized[rows])
            for s in evaluation.scores
            if not s.skipped
        )
    return Diagnosis(
        names=table.names(),
        active=table.active[: table.size].copy(),
        filters=filters,
        first_refusal=first,
        feasible_rows=rows,
        considered=evaluation.considered,
        left_out=evaluation.left_out,
        pre_filter=evaluation.refused[1] if evaluation.refused else None,
        pre_filter_plugin=evaluation.refused[0] if evaluation.refused else "",
        parts=parts,
        total=evaluation.total[rows],
    )
