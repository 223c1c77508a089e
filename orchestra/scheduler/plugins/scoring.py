"""From how much of a resource is taken to a score: the strategies of NodeResourcesFit.

Semantics and integer arithmetic: kube-scheduler 1.36 `noderesources` (least_allocated, most_allocated,
requested_to_capacity_ratio). Every strategy is given twice: for columns, and for the numbers of one row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs
import numpy as np

from orchestra.scheduler.arguments import MAX_SHAPE_SCORE, MAX_UTILIZATION, ScoringStrategy, ScoringStrategyType
from orchestra.scheduler.interface import MAX_SCORE, Ints
from orchestra.scheduler.resources import CPU, EPHEMERAL_STORAGE, MEMORY, NATIVE

if TYPE_CHECKING:
    from orchestra.scheduler.podinfo import PodInfo

Weights = tuple[tuple[str, int], ...]
Shape = tuple[tuple[int, int], ...]
DEFAULT_RESOURCES: Final[Weights] = ((CPU, 1), (MEMORY, 1))
COUNTED_UNASKED: Final = (CPU, MEMORY, EPHEMERAL_STORAGE)
"""Resources that count although the Pod does not ask for them; extended ones do not."""


def is_extended(name: str) -> bool:
    """Say whether a resource is one that some device plugin brings, not the node itself."""
    return name not in NATIVE and "/" in name and "kubernetes.io/" not in name


@attrs.frozen
class Scoring:
    """A strategy with its resources; `shape` has the points of the curve, scores from 0 to MAX_SCORE."""

    strategy: ScoringStrategyType = "LeastAllocated"
    resources: Weights = DEFAULT_RESOURCES
    shape: Shape = ()

    @classmethod
    def of(cls, told: ScoringStrategy) -> Scoring:
        """Return what a profile's arguments say."""
        curve = told.requested_to_capacity_ratio
        factor = MAX_SCORE // MAX_SHAPE_SCORE
        shape = () if curve is None else tuple((p.utilization, p.score * factor) for p in curve.shape)
        return cls(told.type, tuple((each.name, each.weight) for each in told.resources), shape)

    @property
    def only_positive(self) -> bool:
        """Whether resources that score nothing do not count at all; the mean is then rounded, not cut."""
        return self.strategy == "RequestedToCapacityRatio"

    def rated(self, pod: PodInfo) -> Weights:
        """Return the resources that count for a Pod."""
        return tuple(
            (name, weight) for name, weight in self.resources if name in COUNTED_UNASKED or pod.requests.get(name)
        )

    def of_columns(self, requested: Ints, alloc: Ints) -> Ints:
        """Score columns; `alloc` has no zeros."""
        if self.strategy == "LeastAllocated":
            return _hundredths(np.maximum(alloc - requested, 0), alloc)
        if self.strategy == "MostAllocated":
            return _hundredths(np.minimum(requested, alloc), alloc)
        used = np.where(requested > alloc, MAX_UTILIZATION, requested * MAX_UTILIZATION // alloc)
        curve = np.array([self._on_curve(percent) for percent in range(MAX_UTILIZATION + 1)], dtype=np.int64)
        found: Ints = curve[used]
        return found

    def of_row(self, requested: int, alloc: int) -> int:
        """Score one row; `alloc` is not zero."""
        if self.strategy == "LeastAllocated":
            return 0 if requested > alloc else (alloc - requested) * MAX_SCORE // alloc
        if self.strategy == "MostAllocated":
            return min(requested, alloc) * MAX_SCORE // alloc
        return self._on_curve(MAX_UTILIZATION if requested > alloc else requested * MAX_UTILIZATION // alloc)

    def _on_curve(self, percent: int) -> int:
        """Return the score between the two points around a utilization (helper.BuildBrokenLinearFunction)."""
        for index, (utilization, score) in enumerate(self.shape):
            if percent <= utilization:
                if not index:
                    return score
                before, below = self.shape[index - 1]
                rise = (score - below) * (percent - before)
                # Go cuts towards zero where Python rounds down.
                return below + (abs(rise) // (utilization - before)) * (1 if rise >= 0 else -1)
        return self.shape[-1][1]


EXACT_BELOW: Final = 2**45
"""Of numbers below this the quotient of floats, cut to a whole number, is the quotient of integers.

A hundred times such a number is below 2**53, and a quotient up to 100 that is not whole is further from the next whole
number, at least 2**-45, than it can be rounded. (32 TiB, or more cores than anybody has.)
"""


def _hundredths(part: Ints, whole: Ints) -> Ints:
    """Return `part * 100 // whole`, by floats where they are exact: processors divide them many times faster."""
    if len(whole) and int(whole.max()) < EXACT_BELOW:
        return (part * float(MAX_SCORE) / whole).astype(np.int64)
    return part * MAX_SCORE // whole
