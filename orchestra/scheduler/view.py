"""What a plugin sees of the node table: some rows, or all, as arrays in one order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from orchestra.scheduler.resources import CPU, MEMORY

if TYPE_CHECKING:
    from orchestra.api.core.node import Taint
    from orchestra.scheduler.noderow import NodeRow
    from orchestra.scheduler.nodetable import NodeTable


class Nodes:
    """Rows of a table. Arrays may be views of the table's columns: never write to them.

    Rows without a node (only their Pods are known) are among them; what plugins say of those is not looked at.
    """

    __slots__ = ("_select", "count", "rows", "table")

    def __init__(self, table: NodeTable, rows: NDArray[np.intp] | None = None) -> None:
        self.table = table
        self._select: slice | NDArray[np.intp] = slice(0, table.size) if rows is None else rows
        self.rows = rows
        self.count = table.size if rows is None else len(rows)

    def each(self) -> Iterator[NodeRow]:
        """Yield the rows one by one."""
        rows = self.table.rows
        return iter(rows[: self.count]) if self.rows is None else (rows[index] for index in self.rows)

    def allocatable(self, resource: str) -> NDArray[np.int64]:
        """How much of a resource each node has for Pods: millicores for cpu, bytes or pieces for others."""
        return self.table.allocatable[self.table.resource_id(resource)][self._select]

    def requested(self, resource: str) -> NDArray[np.int64]:
        """How much of it the Pods of each node ask for."""
        return self.table.requested[self.table.resource_id(resource)][self._select]

    def nonzero_requested(self, resource: str) -> NDArray[np.int64]:
        """As `requested`, with defaults for containers that ask for no cpu or memory."""
        if resource == CPU:
            return self.table.nonzero_cpu[self._select]
        if resource == MEMORY:
            return self.table.nonzero_memory[self._select]
        return self.requested(resource)

    @property
    def pod_count(self) -> NDArray[np.int64]:
        """How many Pods each node has."""
        return self.table.pod_count[self._select]

    @property
    def pod_limit(self) -> NDArray[np.int64]:
        """How many Pods each node may have."""
        return self.table.pod_limit[self._select]

    @property
    def unschedulable(self) -> NDArray[np.bool_]:
        """Which nodes take no new Pods (`spec.unschedulable`)."""
        return self.table.unschedulable[self._select]

    @property
    def active(self) -> NDArray[np.bool_]:
        """Which rows have a node."""
        return self.table.active[self._select]

    @property
    def taint_set(self) -> NDArray[np.int32]:
        """The number of each node's set of taints; `taint_sets` has what they stand for."""
        return self.table.taint_set[self._select]

    @property
    def taint_sets(self) -> list[tuple[Taint, ...]]:
        """Every set of taints that there is."""
        return self.table.taints.values

    def label_ids(self, key: str) -> NDArray[np.int32]:
        """The number of each node's value of a label, -1 where it has none."""
        return self.table.labels.column(key).ids[self._select]

    def label_places(self, key: str) -> NDArray[np.intp]:
        """As `label_ids`, in the form that takes from other arrays the fastest."""
        return self.table.labels.places(key)[self._select]

    def label_values(self, key: str) -> list[str]:
        """What the numbers of `label_ids` stand for."""
        return self.table.labels.column(key).values.values

    def has_label(self, key: str, value: str | None = None) -> NDArray[np.bool_]:
        """Which nodes have a label, with this value if one is given."""
        ids = self.label_ids(key)
        if value is None:
            return ids >= 0
        same: NDArray[np.bool_] = ids == self.table.labels.column(key).values.index.get(value, -2)
        return same

    def among(self, rows: Iterable[int]) -> NDArray[np.bool_]:
        """Which of these nodes stand at the given rows of the table."""
        mask = np.zeros(self.table.size, dtype=np.bool_)
        mask[list(rows)] = True
        return mask[self._select]
