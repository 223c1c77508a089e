"""What a table is made of (metav1.Table)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeAlias

import attrs

Cell: TypeAlias = str | int

NONE = "<none>"
UNKNOWN = "<unknown>"
UNSET = "<unset>"


@attrs.frozen
class Column:
    """One column. Those with a `priority` above 0 are shown only in the wide form."""

    name: str
    priority: int = 0
    type: str = "string"
    format: str = ""


@attrs.frozen(kw_only=True)
class RowCondition:
    """A remark about a whole row, such as that a Pod has completed (metav1.TableRowCondition)."""

    type: str
    status: str
    reason: str
    message: str


def _no_conditions(_obj: Any) -> tuple[RowCondition, ...]:
    return ()


@attrs.frozen
class Printer:
    """How one kind is printed: its columns, and `cells(obj, now)` for each row."""

    columns: tuple[Column, ...]
    cells: Callable[[Any, datetime], tuple[Cell, ...]]
    conditions: Callable[[Any], tuple[RowCondition, ...]] = _no_conditions


def columns(text: str) -> tuple[Column, ...]:
    """Return columns from their names, separated by `|`.

    `*` before a name makes it a wide one, `#` one of integers, `?` one of booleans. The one called Name has the format
    `name`.
    """
    result: list[Column] = []
    for word in text.split("|"):
        name = word.lstrip("*#?")
        kind = "integer" if "#" in word else "boolean" if "?" in word else "string"
        result.append(Column(name, int("*" in word), kind, "name" if name == "Name" else ""))
    return tuple(result)
