"""The cluster as columns: one row for each node, kept current by events, consistent while a cycle looks at it.

Every number stands twice: as an element of a NumPy column for the array forms of plugins, and as a Python int in the
node's `NodeRow` for decisions about a single row, where NumPy would be slower. All changes go through the methods
here, which write both and note in a journal which rows changed, so that cached answers recompute only those.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping
from typing import Final

import attrs
import numpy as np
from numpy.typing import NDArray

from orchestra.api.core.node import Node, Taint
from orchestra.api.core.pod import Pod
from orchestra.api.frozen import ABSENT_MAP
from orchestra.api.selectors import Selector
from orchestra.scheduler.budgets import DisruptionBudget
from orchestra.scheduler.columns import Interned, LabelColumns, grown
from orchestra.scheduler.journal import Changes, Journal
from orchestra.scheduler.noderow import NodeRow
from orchestra.scheduler.nominations import Nominations, Victims
from orchestra.scheduler.podgroups import PodGroups
from orchestra.scheduler.podindex import PodIndex
from orchestra.scheduler.podinfo import PodInfo
from orchestra.scheduler.resources import NATIVE, PODS, amount, counts

INITIAL_ROWS: Final = 64
MAX_ASKED_ABOUT: Final = 10_000
"""Namespaces and workloads whose selectors somebody asked for; beyond it everything is computed anew."""
MAX_AMOUNTS: Final = 65_536
"""Different amounts of rows that are numbered; when there are more all are numbered anew."""


class NodeTable:
    """All nodes and the Pods on them. Not safe to change while a cycle runs; nothing here waits, so nothing can."""

    def __init__(self) -> None:
        self.capacity = INITIAL_ROWS
        self.size = 0
        self.node_count = 0
        self.rows: list[NodeRow] = []
        self.by_name: dict[str, NodeRow] = {}
        self.placed: dict[str, tuple[PodInfo, NodeRow]] = {}
        self.assumed: set[str] = set()
        self.resources: Interned[str] = Interned()
        self.allocatable: list[NDArray[np.int64]] = []
        self.requested: list[NDArray[np.int64]] = []
        self.active = np.zeros(self.capacity, dtype=np.bool_)
        self.unschedulable = np.zeros(self.capacity, dtype=np.bool_)
        self.taint_set = np.zeros(self.capacity, dtype=np.int32)
        self.nonzero_cpu = np.zeros(self.capacity, dtype=np.int64)
        self.nonzero_memory = np.zeros(self.capacity, dtype=np.int64)
        self.pod_count = np.zeros(self.capacity, dtype=np.int64)
        self.pod_limit = np.zeros(self.capacity, dtype=np.int64)
        self.labels = LabelColumns(self.capacity)
        self.taints: Interned[tuple[Taint, ...]] = Interned()
        self.taints.id_of(())
        self.port_users: dict[tuple[str, int], dict[int, dict[str, int]]] = {}
        self.image_nodes: dict[str, dict[int, int]] = {}
        self.index = PodIndex(self.capacity)
        self.services: dict[str, dict[str, Mapping[str, str]]] = {}
        self.owner_selectors: dict[tuple[str, str, str], Selector] = {}
        self.disruption_budgets: tuple[DisruptionBudget, ...] = ()
        self.groups = PodGroups()
        self.nominated = Nominations()
        self.victims = Victims()
        self.asked_about: set[str | tuple[str, str, str]] = set()
        self._amounts: dict[Hashable, int] = {}
        self._last_amounts = 0
        self._free: list[int] = []
        self._names: tuple[str, ...] | None = None
        self._journal = Journal()
        for name in NATIVE:
            self.resource_id(name)

    # -- what changed

    @property
    def position(self) -> int:
        """Where the journal of changes stands now."""
        return self._journal.position

    def changes_since(self, position: int) -> Changes:
        """Return what changed after `position`."""
        return self._journal.since(position)

    def _note_everything(self) -> None:
        self.asked_about.clear()
        self._journal.note_everything()

    # -- rows and columns

    def resource_id(self, name: str) -> int:
        """Return the column of a resource, a new one when it was never seen."""
        known = self.resources.index.get(name)
        if known is not None:
            return known
        number = self.resources.id_of(name)
        self.allocatable.append(np.zeros(self.capacity, dtype=np.int64))
        self.requested.append(np.zeros(self.capacity, dtype=np.int64))
        for row in self.rows:
            row.alloc.append(0)
            row.used.append(0)
            row.amounts = 0
        return number

    def row_of(self, name: str) -> NodeRow:
        """Return the row of a node name, a new one when it was never seen."""
        row = self.by_name.get(name)
        if row is not None:
            return row
        if self._free:
            index = self._free.pop()
            row = self.rows[index] = NodeRow(index, name, self.resources.index)
        else:
            if self.size == self.capacity:
                self._grow()
            row = NodeRow(self.size, name, self.resources.index)
            self.rows.append(row)
            self.size += 1
            self._note_everything()  # arrays of the old length are of no use any more
        self.by_name[name] = row
        self._names = None
        return row

    def names(self) -> tuple[str, ...]:
        """Return the names of all rows, in order."""
        self._names = self._names or tuple([row.name for row in self.rows])
        return self._names

    def _grow(self) -> None:
        capacity = self.capacity * 2
        self.allocatable = [grown(column, capacity) for column in self.allocatable]
        self.requested = [grown(column, capacity) for column in self.requested]
        for name in ("active", "unschedulable", "taint_set", "nonzero_cpu", "nonzero_memory", "pod_count", "pod_limit"):
            setattr(self, name, grown(getattr(self, name), capacity))
        self.labels.grow(capacity)
        self.index.grow(capacity)
        self.capacity = capacity

    def _release_if_empty(self, row: NodeRow) -> None:
        if row.node is None and not row.pods:
            del self.by_name[row.name]
            self._free.append(row.index)

    def amounts_of(self, row: NodeRow) -> int:
        """Return the number of what a row has and gives: rows with the same number have equal amounts."""
        if not row.amounts:
            if len(self._amounts) >= MAX_AMOUNTS:
                self._amounts.clear()
            limits = (row.pod_count, row.pod_limit, row.nonzero_cpu, row.nonzero_memory)
            number = self._amounts.setdefault((limits, *row.used, *row.alloc), self._last_amounts + 1)
            self._last_amounts = max(self._last_amounts, number)
            row.amounts = number
        return row.amounts

    # -- nodes

    def set_node(self, node: Node) -> None:
        """Take in a node, new or changed; changes that no decision reads leave no trace."""
        row = self.row_of(node.metadata.name)
        old = row.node
        row.node = node
        if old is not None and _same_for_scheduling(old, node):
            return
        index = row.index
        if old is None:
            self.node_count += 1
            self.active[index] = True
        self.unschedulable[index] = bool(node.spec.unschedulable)
        self.taint_set[index] = self.taints.id_of(tuple(attrs.evolve(t, time_added=None) for t in node.spec.taints))
        if self.labels.set_row(index, row.labels, node.metadata.labels):
            self._note_everything()
        row.labels = node.metadata.labels
        self._set_allocatable(row, node)
        self._set_images(row, {n: i.size_bytes or 0 for i in node.status.images for n in i.names})
        self._journal.note(index, node=True)

    def _set_allocatable(self, row: NodeRow, node: Node) -> None:
        row.alloc = [0] * len(self.resources.values)
        for name, quantity in node.status.allocatable.items():
            if counts(name):
                column = self.resource_id(name)
                row.alloc[column] = amount(name, quantity)
        for column, value in enumerate(row.alloc):
            self.allocatable[column][row.index] = value
        row.amounts = 0
        row.pod_limit = row.alloc[self.resources.index[PODS]]
        self.pod_limit[row.index] = row.pod_limit

    def _set_images(self, row: NodeRow, images: dict[str, int]) -> None:
        for name in row.images:
            if name not in images:
                users = self.image_nodes[name]
                del users[row.index]
                if not users:
                    del self.image_nodes[name]
        for name, size in images.items():
            self.image_nodes.setdefault(name, {})[row.index] = size
        row.images = images

    def remove_node(self, name: str) -> None:
        """Take a node away; its Pods stay known until they are removed themselves."""
        row = self.by_name.get(name)
        if row is None or row.node is None:
            return
        index = row.index
        row.node = None
        self.node_count -= 1
        self.active[index] = False
        self.unschedulable[index] = False
        self.taint_set[index] = 0
        self.labels.set_row(index, row.labels, ABSENT_MAP)
        row.labels = ABSENT_MAP
        self._set_images(row, {})
        row.alloc = [0] * len(self.resources.values)
        for column in self.allocatable:
            column[index] = 0
        row.amounts = 0
        row.pod_limit = 0
        self.pod_limit[index] = 0
        self._journal.note(index, node=True)
        self._release_if_empty(row)

    # -- Pods

    def set_pod(self, pod: PodInfo, node: str) -> None:
        """Take in a Pod that is bound to a node, new or changed; confirms one that was assumed there."""
        self.assumed.discard(pod.uid)
        known = self.placed.get(pod.uid)
        if known is not None:
            old, row = known
            if row.name == node and _counts_the_same(old, pod):
                row.pods[pod.uid] = pod
                self._journal.note(row.index, node=False)
                self.placed[pod.uid] = (pod, row)
                return
            self.remove_pod(pod.uid)
        self.withdraw(pod.uid)
        row = self.row_of(node)
        row.pods[pod.uid] = pod
        self.placed[pod.uid] = (pod, row)
        self._count(pod, row, 1)

    def confirm(self, pod: Pod) -> None:
        """Take in that a Pod is bound where it was assumed: nothing about it has changed but, perhaps, its labels."""
        info, row = self.placed[pod.metadata.uid or pod.key]
        self.assumed.discard(info.uid)
        info.pod = pod
        labels = pod.metadata.labels
        if info.labels != labels and self.index.relabel(info, row.index, labels):
            self._journal.note(row.index, node=False)

    def remove_pod(self, uid: str) -> None:
        """Take a Pod away; harmless when it is not known."""
        known = self.placed.pop(uid, None)
        if known is None:
            return
        self.assumed.discard(uid)
        pod, row = known
        del row.pods[uid]
        self._count(pod, row, -1)
        self._release_if_empty(row)

    def assume(self, pod: PodInfo, node: str) -> None:
        """Count a Pod on a node before it is bound there."""
        self.set_pod(pod, node)
        self.assumed.add(pod.uid)

    def forget(self, uid: str) -> None:
        """Undo `assume`; a Pod that was confirmed in the meantime stays."""
        if uid in self.assumed:
            self.remove_pod(uid)

    def _count(self, pod: PodInfo, row: NodeRow, sign: int) -> None:
        index = row.index
        for name, _ in pod.requests.amounts:
            self.resource_id(name)
        row.count(pod, sign)
        for name, _ in pod.requests.amounts:
            column = row.columns[name]
            self.requested[column][index] = row.used[column]
        self.nonzero_cpu[index] = row.nonzero_cpu
        self.nonzero_memory[index] = row.nonzero_memory
        self.pod_count[index] = row.pod_count
        for address, protocol, number in pod.ports:
            self._count_port(index, address, (protocol, number), sign)
        self.index.add(pod, index, sign)
        self._journal.note(index, node=False)

    def _count_port(self, index: int, address: str, port: tuple[str, int], sign: int) -> None:
        users = self.port_users.setdefault(port, {})
        taken = users.setdefault(index, {})
        taken[address] = taken.get(address, 0) + sign
        if not taken[address]:
            del taken[address]
        if not taken:
            del users[index]
        if not users:
            del self.port_users[port]

    def report(self, pod: Pod) -> None:
        """Take in the newest state of a Pod that asks for what it asked for."""
        info, row = self.placed[pod.metadata.uid or pod.key]
        if info.pod.status.start_time != pod.status.start_time:
            self._journal.note(row.index, node=False)  # it decides whom preemption prefers
        info.pod = pod

    def nominate(self, pod: PodInfo, node: str) -> None:
        """Keep the room on a node that victims leave for a Pod; an empty name gives it up."""
        self.withdraw(pod.uid)
        if node:
            self.nominated.put(pod, node)
            self._note_nominated(node)

    def withdraw(self, uid: str) -> None:
        """Take a Pod's nomination back, if there is one."""
        node = self.nominated.node_of(uid)
        if node:
            self.nominated.withdraw(uid)
            self._note_nominated(node)

    def _note_nominated(self, node: str) -> None:
        row = self.by_name.get(node)
        if row is not None:
            self._journal.note(row.index, node=False)

    # -- other objects that decisions read

    def set_namespace(self, name: str, labels: Mapping[str, str] | None) -> None:
        """Note a namespace's labels; None when it is gone."""
        if self.index.set_namespace(name, labels):
            self._note_everything()

    def set_service(self, namespace: str, name: str, selector: Mapping[str, str] | None) -> None:
        """Note a Service's selector; None when it is gone or has none."""
        services = self.services.setdefault(namespace, {})
        if services.get(name) == selector:
            return
        if selector is None:
            del services[name]
        else:
            services[name] = selector
        if namespace in self.asked_about:
            self._note_everything()

    def set_owner_selector(self, kind: str, namespace: str, name: str, selector: Selector | None) -> None:
        """Note which Pods a workload selects; None when it is gone."""
        key = (kind, namespace, name)
        if self.owner_selectors.get(key) == selector:
            return
        if selector is None:
            del self.owner_selectors[key]
        else:
            self.owner_selectors[key] = selector
        if key in self.asked_about:
            self._note_everything()

    def default_selectors(
        self, namespace: str, owner: tuple[str, str] | None
    ) -> tuple[Collection[Mapping[str, str]], Selector | None]:
        """Return the selectors of a namespace's Services and of a workload in it.

        Whoever asks is told when they change: what depends on them is computed anew.
        """
        if len(self.asked_about) >= MAX_ASKED_ABOUT:
            self._note_everything()
        self.asked_about.add(namespace)
        if owner is None:
            return self.services.get(namespace, {}).values(), None
        key = (owner[0], namespace, owner[1])
        self.asked_about.add(key)
        return self.services.get(namespace, {}).values(), self.owner_selectors.get(key)


def _same_for_scheduling(old: Node, new: Node) -> bool:
    return (
        old.metadata.labels == new.metadata.labels
        and old.spec.taints == new.spec.taints
        and bool(old.spec.unschedulable) == bool(new.spec.unschedulable)
        and old.status.allocatable == new.status.allocatable
        and old.status.images == new.status.images
    )


def _counts_the_same(old: PodInfo, new: PodInfo) -> bool:
    return (
        old.namespace == new.namespace
        and old.labels == new.labels
        and old.terminating == new.terminating
        and old.requests == new.requests
        and old.ports == new.ports
        and (old.pod.spec is new.pod.spec or old.affinity_terms == new.affinity_terms)
    )
