"""From an evaluation to the record of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from orchestra.scheduler.diagnosis import Diagnosis, FilterPart, ScorePart
from orchestra.scheduler.interface import Rejection, Rejections

if TYPE_CHECKING:
    from orchestra.scheduler.crowd import Beside
    from orchestra.scheduler.evaluation import Evaluation


def diagnosis_of(evaluation: Evaluation, beside: Beside | None = None) -> Diagnosis:
    """Return a record of the present answers that later changes do not touch.

    Rows that nominated Pods are to come to are judged by what is said in `beside`.
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
    if beside is not None:
        refused_by = np.minimum(evaluation.other_refusal[beside.rows], beside.first)
        first[beside.rows] = np.where(refused_by == len(filters), -1, refused_by)
        for position, codes in beside.codes.items():
            filters[position].rejections.codes[beside.rows] = codes
        rows = rows[first[rows] < 0]
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
