"""Columns of the node table that grow: resources that appear later, labels by key, interned sets of taints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")

MAX_VALUES_PER_ROW: Final = 4
"""A label key keeps at most so many values for each row of the table: names of nodes come and go for years."""


def grown(array: NDArray[Any], capacity: int, fill: Any = 0) -> NDArray[Any]:
    """Return a longer copy of a column, new rows filled with `fill`."""
    result = np.full(capacity, fill, dtype=array.dtype)
    result[: len(array)] = array
    return result


class Interned(Generic[T]):
    """Values by small numbers; equal values share one."""

    __slots__ = ("index", "values")

    def __init__(self) -> None:
        self.index: dict[T, int] = {}
        self.values: list[T] = []

    def id_of(self, value: T) -> int:
        """Return the number of a value, a new one when it was never seen."""
        number = self.index.get(value)
        if number is None:
            number = self.index[value] = len(self.values)
            self.values.append(value)
        return number


class LabelColumn:
    """The values of one label key: `ids` has each row's value as a number, -1 where the node lacks the label."""

    __slots__ = ("ids", "values")

    def __init__(self, capacity: int) -> None:
        self.ids: NDArray[np.int32] = np.full(capacity, -1, dtype=np.int32)
        self.values: Interned[str] = Interned()

    def renumber(self) -> None:
        """Forget values that no row has."""
        old, self.values = self.values.values, Interned()
        for row, number in enumerate(self.ids):
            if number >= 0:
                self.ids[row] = self.values.id_of(old[number])


class LabelColumns:
    """One column for each label key that any node has had."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.version = 0
        """Grows with every change."""
        self._columns: dict[str, LabelColumn] = {}
        self._places: dict[str, tuple[int, NDArray[np.intp]]] = {}
        self._absent = LabelColumn(capacity)

    def grow(self, capacity: int) -> None:
        """Make room for more rows."""
        self.version += 1
        for column in (self._absent, *self._columns.values()):
            column.ids = grown(column.ids, capacity, -1)
        self.capacity = capacity

    def column(self, key: str) -> LabelColumn:
        """Return the column of a label key; one without values when no node has it."""
        return self._columns.get(key, self._absent)

    def places(self, key: str) -> NDArray[np.intp]:
        """Return the ids of a column in the form that takes from other arrays the fastest."""
        known = self._places.get(key)
        if known is None or known[0] != self.version:
            known = self._places[key] = (self.version, self.column(key).ids.astype(np.intp))
        return known[1]

    def set_row(self, row: int, old: Mapping[str, str], new: Mapping[str, str]) -> bool:
        """Replace the labels of a row; returns whether values were numbered anew, because most were used no more."""
        renumbered = False
        self.version += 1
        for key in old:
            if key not in new:
                self._columns[key].ids[row] = -1
        for key, value in new.items():
            if old.get(key) == value:
                continue
            column = self._columns.get(key)
            if column is None:
                column = self._columns[key] = LabelColumn(self.capacity)
            if len(column.values.values) > MAX_VALUES_PER_ROW * self.capacity:
                column.renumber()
                renumbered = True
            column.ids[row] = column.values.id_of(value)
        return renumbered
