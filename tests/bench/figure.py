"""One measured number beside its goal."""

from __future__ import annotations

import attrs


@attrs.frozen
class Figure:
    """`met` is None where there is no goal to meet, or it cannot be judged here."""

    name: str
    value: float
    unit: str
    goal: str
    met: bool | None
