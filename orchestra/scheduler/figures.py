"""How good a placement is: utilisation, fragmentation and fairness of a cluster state, as numbers.

Every figure is defined here and nowhere else:

- utilisation of a resource: what Pods on nodes request, divided by what the nodes have for Pods. Cordoned nodes count.
- balance of a resource: Jain's index of the nodes' utilisations; 1 when all are equal, 1/n when one node has it all.
- fragmentation of a resource: the share of what is free on nodes that take Pods which no Pod of the median shape can
  use. The median shape has the median requests of the Pods that wait, or of those that run when none waits; a node can
  take as many Pods of it as its scarcest resource, or its limit of Pods, allows. Measuring what is left by whether it
  fits the workload follows Weng et al., "Beware of Fragmentation: Scheduling GPU-Sharing Workloads with Fragmentation
  Gradient Descent", USENIX ATC 2023.
- dominant share of a namespace: the largest of its Pods' shares of the cluster's resources (Ghodsi et al., "Dominant
  Resource Fairness", NSDI 2011).
- fairness: Jain's index, (sum x)^2 / (n * sum x^2), over x = what a namespace got of what it asked for, both as
  dominant shares (Jain, Chiu, Hawe, DEC-TR-301, 1984). 1 when all got the same part.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from statistics import median
from typing import TYPE_CHECKING, Final

import attrs

from orchestra.api.rules.conditions import is_terminal
from orchestra.scheduler.podinfo import PodInfo
from orchestra.scheduler.resources import CPU, EPHEMERAL_STORAGE, MEMORY, PODS
from orchestra.scheduler.simulating import table_of

if TYPE_CHECKING:
    from orchestra.scheduler.clusterstate import ClusterState
    from orchestra.scheduler.nodetable import NodeTable

DIGITS: Final = 4
"""Figures are rounded to so many digits after the point."""
Amounts = Mapping[str, int]


@attrs.frozen
class Figures:
    """The figures of one state; those of resources are by name, those of namespaces too."""

    nodes: int
    nodes_in_use: int
    pods_placed: int
    pods_waiting: int
    utilisation: Mapping[str, float]
    balance: Mapping[str, float]
    fragmentation: Mapping[str, float]
    median_shape: Amounts
    dominant_shares: Mapping[str, float]
    fairness: float


def figures_of(state: ClusterState) -> Figures:
    """Return the figures of a state."""
    table = table_of(state)
    placed = [PodInfo(pod) for pod in state.pods if pod.spec.node_name and not is_terminal(pod)]
    waiting = [PodInfo(pod) for pod in state.pending]
    totals = _totals(table)
    shape = _median_shape(waiting or placed, totals)
    got, wanted = _shares(placed, totals), _shares((*placed, *waiting), totals)
    return Figures(
        nodes=table.node_count,
        nodes_in_use=sum(1 for row in table.rows if row.node is not None and row.pods),
        pods_placed=len(placed),
        pods_waiting=len(waiting),
        utilisation={name: round(used / there, DIGITS) for name, (used, there) in totals.items()},
        balance={name: _rounded(jain(_utilisations(table, name))) for name in totals},
        fragmentation=_fragmentation(table, shape),
        median_shape=shape,
        dominant_shares={name: _rounded(share) for name, share in sorted(got.items())},
        fairness=_rounded(jain([got.get(name, 0.0) / share for name, share in wanted.items() if share])),
    )


def jain(values: Iterable[float]) -> float:
    """Return Jain's index of fairness; 1 for no values, and when all are 0."""
    numbers = list(values)
    squares = sum(value * value for value in numbers)
    return sum(numbers) ** 2 / (len(numbers) * squares) if squares else 1.0


def node_utilisation(state: ClusterState, resource: str) -> dict[str, float]:
    """Return how much of a resource Pods request of what each node has, by its name; 0 where it has none."""
    table = table_of(state)
    column = table.resources.index.get(resource)
    found = {}
    for row in sorted((row for row in table.rows if row.node is not None), key=lambda row: row.name):
        alloc = row.alloc[column] if column is not None else 0
        found[row.name] = row.used[column] / alloc if column is not None and alloc else 0.0
    return found


def _rounded(value: float) -> float:
    return round(value, DIGITS)


def _totals(table: NodeTable) -> dict[str, tuple[int, int]]:
    """Return of each resource that nodes have how much is requested, and how much there is."""
    found = {}
    for name, column in table.resources.index.items():
        rows = [row for row in table.rows if row.node is not None]
        there = sum(row.alloc[column] for row in rows)
        if there and name != PODS:
            found[name] = (sum(row.used[column] for row in rows), there)
    order = {CPU: 0, MEMORY: 1, EPHEMERAL_STORAGE: 2}
    return dict(sorted(found.items(), key=lambda item: (order.get(item[0], 3), item[0])))


def _utilisations(table: NodeTable, name: str) -> list[float]:
    column = table.resources.index[name]
    rows = [row for row in table.rows if row.node is not None and row.alloc[column]]
    return [row.used[column] / row.alloc[column] for row in rows]


def _median_shape(pods: list[PodInfo], totals: Mapping[str, object]) -> dict[str, int]:
    """Return the median request of each resource, without those that the median Pod does not ask for."""
    shape = {name: int(median(pod.requests.get(name) for pod in pods)) if pods else 0 for name in totals}
    return {name: amount for name, amount in shape.items() if amount}


def _fragmentation(table: NodeTable, shape: Amounts) -> dict[str, float]:
    free, usable = dict.fromkeys(shape, 0), dict.fromkeys(shape, 0)
    for row in table.rows:
        if row.node is None or row.node.spec.unschedulable:
            continue
        left = {name: max(row.alloc[c] - row.used[c], 0) for name in shape for c in (table.resources.index[name],)}
        fits = min((left[name] // amount for name, amount in shape.items()), default=0)
        fits = max(min(fits, row.pod_limit - row.pod_count), 0)
        for name, amount in shape.items():
            free[name] += left[name]
            usable[name] += fits * amount
    return {name: _rounded(1 - usable[name] / free[name]) if free[name] else 0.0 for name in shape}


def _shares(pods: Iterable[PodInfo], totals: Mapping[str, tuple[int, int]]) -> dict[str, float]:
    """Return the dominant share of each namespace."""
    asked: dict[str, dict[str, int]] = {}
    for pod in pods:
        mine = asked.setdefault(pod.namespace, {})
        for name, amount in pod.requests.amounts:
            mine[name] = mine.get(name, 0) + amount
    return {
        namespace: max((amount / totals[name][1] for name, amount in mine.items() if name in totals), default=0.0)
        for namespace, mine in asked.items()
    }
