"""The best nodes of one shape, known although totals change one after the other."""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import Final

import numpy as np

from orchestra.scheduler.interface import Ints

INFEASIBLE: Final = -1
"""Total of rows that no Pod of the shape can go to."""


class Ranking:
    """Totals by row. The rows with high ones are kept by total too: the best are found without looking at all.

    A worked example: of the totals 7 9 9 3 the best rows are 1 and 2. When row 1 falls to 8 the best is row 2; when
    that falls to 8 too, nothing that was as high as 9 is left, and all totals are looked at again.
    """

    __slots__ = ("_by_total", "_floor", "_fresh", "total")

    def __init__(self) -> None:
        self.total: Ints = np.zeros(0, dtype=np.int64)
        self._by_total: dict[int, list[int]] = {}
        """Every row whose total is at least `_floor`, by total, in order."""
        self._floor = 0
        self._fresh = True

    def replace(self, total: Ints) -> None:
        """Take other totals for all rows."""
        self.total = total
        self._by_total.clear()
        self._fresh = True

    def put(self, row: int, total: int) -> None:
        """Change the total of one row."""
        old = self.total.item(row)
        if old == total:
            return
        self.total[row] = total
        by_total = self._by_total
        if not by_total:
            return
        if old >= self._floor:
            same = by_total[old]
            del same[bisect_left(same, row)]
            if not same:
                del by_total[old]
        if total >= self._floor:
            same_now = by_total.get(total)
            if same_now is None:
                by_total[total] = [row]
            else:
                insort(same_now, row)

    def best(self) -> list[int] | Ints:
        """Return the rows with the highest total, in order; there must be a feasible one."""
        if not self._by_total:
            self._floor = int(self.total.max())
            best = np.flatnonzero(self.total == self._floor)
            if self._fresh:
                self._fresh = False  # a list pays only when the totals live longer than one Pod
                return best
            self._by_total[self._floor] = best.tolist()
        return self._by_total[max(self._by_total)]
