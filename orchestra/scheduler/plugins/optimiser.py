"""A profile that packs: Optimiser.

    Profile("packing").with_plugins(Optimiser(), NodeResourcesFit(Scoring("MostAllocated")))

Pods that wait at the same time are placed as a batch, so that more of them fit, and on fewer nodes that were empty. It
needs the extra `optimiser`. While a batch is being solved the scheduler does nothing else, for `seconds` at most.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import attrs

from orchestra.scheduler.interface import Plugin
from orchestra.scheduler.packing import solve, solver

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from orchestra.scheduler.packing import Problem

MAX_SECONDS = 10.0


def _positive(_instance: object, _attribute: object, value: float) -> None:
    if not 0 < value <= MAX_SECONDS:
        raise ValueError(f"seconds: {value} is not above 0 and up to {MAX_SECONDS}")


@attrs.frozen
class Optimiser(Plugin):
    """Packs the Pods of a batch; raises ConfigurationError when its solver is not installed."""

    name: ClassVar[str] = "Optimiser"
    core_shape_only: ClassVar[bool] = True
    seconds: float = attrs.field(default=0.25, validator=_positive)
    """How long one batch may be thought about."""

    def __attrs_post_init__(self) -> None:
        solver()

    def improve(self, problem: Problem, start: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return a better way to pack a batch, or the one to begin with."""
        return solve(problem, start, seconds=self.seconds)
