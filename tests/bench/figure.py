"""One measured number beside its goal."""

from __future__ import annotations

import sys
from collections.abc import Iterable

import attrs


@attrs.frozen
class Figure:
    """`met` is None where there is no goal to meet, or it cannot be judged here."""

    name: str
    value: float
    unit: str
    goal: str
    met: bool | None


def show(figures: Iterable[Figure]) -> None:
    """Print figures as a table; a goal that was not reached is marked, and nothing fails."""
    rows = list(figures)
    width = max((len(row.name) for row in rows), default=0)
    for row in rows:
        mark = {True: "met", False: "NOT MET", None: ""}[row.met]
        goal = f"goal {row.goal}" if row.goal else ""
        sys.stdout.write(f"  {row.name:<{width}}  {row.value:>12,.3f} {row.unit:<9} {goal:<22} {mark}\n")
