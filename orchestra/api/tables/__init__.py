"""How objects look as rows of a table, as Kubernetes' server prints them (its Table form): pure functions.

What comes in: an object and the present time. What goes out: columns and cells. `table_of(info)` finds the printer of
a kind; a kind without one has its name and age. Anybody may import it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestra._lazy import lazy_exports

if TYPE_CHECKING:
    from orchestra.api.tables.durations import human_age, human_duration
    from orchestra.api.tables.model import Cell, Column, Printer, RowCondition
    from orchestra.api.tables.printers import table_of

_EXPORTS = {
    "Cell": ".model",
    "Column": ".model",
    "Printer": ".model",
    "RowCondition": ".model",
    "human_age": ".durations",
    "human_duration": ".durations",
    "table_of": ".printers",
}

__all__ = ["Cell", "Column", "Printer", "RowCondition", "human_age", "human_duration", "table_of"]
__getattr__ = lazy_exports(__name__, _EXPORTS)
