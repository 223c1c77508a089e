"""Does the Pod fit, and how full and how even would the node be: NodeResourcesFit, NodeResourcesBalancedAllocation."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import ClassVar, Final

import attrs
import numpy as np
from numpy.typing import NDArray

from orchestra.scheduler.arguments import NodeResourcesBalancedAllocationArgs, NodeResourcesFitArgs
from orchestra.scheduler.events import Action, ClusterEvent, EventHint, Resource
from orchestra.scheduler.interface import (
    MAX_SCORE,
    SKIP,
    Bools,
    CycleState,
    Ints,
    Plugin,
    Rejection,
    Rejections,
    Status,
)
from orchestra.scheduler.noderow import NodeRow
from orchestra.scheduler.plugins.scoring import COUNTED_UNASKED, Scoring, is_extended
from orchestra.scheduler.podinfo import PodInfo
from orchestra.scheduler.resources import CPU, MEMORY, amount
from orchestra.scheduler.view import Nodes

MAX_KINDS = 30
"""Kinds of resources of one Pod that a code tells apart; further ones are reported as the last of these."""


def _bits(position: int) -> tuple[int, int]:
    """Return the bit for 'not enough is free' and the one for 'the node is too small' of a Pod's nth resource."""
    shift = 2 * min(position, MAX_KINDS - 1) + 1
    return 1 << shift, 1 << (shift + 1)


@attrs.frozen
class NodeResourcesFit(Plugin):
    """Refuses nodes without enough free resources; prefers empty ones, full ones, or what a curve says.

    Codes are bits: 1 for too many Pods, and two for each resource that the Pod asks for. Extended resources that are
    named in `ignored_resources`, or whose group (what stands before the slash) is in `ignored_groups`, refuse no node.
    """

    arguments: ClassVar[type[NodeResourcesFitArgs]] = NodeResourcesFitArgs

    name: ClassVar[str] = "NodeResourcesFit"
    core_shape_only: ClassVar[bool] = True
    node_local: ClassVar[bool] = True
    amounts_only: ClassVar[bool] = True
    scoring: Scoring = Scoring()
    ignored_resources: frozenset[str] = frozenset()
    ignored_groups: frozenset[str] = frozenset()

    @classmethod
    def configured(cls, arguments: NodeResourcesFitArgs) -> NodeResourcesFit:
        """Return the plugin with a profile's arguments."""
        ignored, groups = frozenset(arguments.ignored_resources), frozenset(arguments.ignored_resource_groups)
        return cls(Scoring.of(arguments.scoring_strategy), ignored, groups)

    def events(self) -> tuple[EventHint, ...]:
        """A Pod that goes or shrinks, or a node that comes or grows."""
        return (
            EventHint(Resource.ASSIGNED_POD, Action.DELETE | Action.UPDATE_SCALE_DOWN),
            EventHint(Resource.NODE, Action.ADD | Action.UPDATE_ALLOCATABLE, self._large_enough),
        )

    def _wanted(self, pod: PodInfo) -> tuple[tuple[str, int], ...]:
        amounts = pod.requests.amounts
        if not self.ignored_resources and not self.ignored_groups:
            return amounts
        return tuple((name, value) for name, value in amounts if not self._ignores(name))

    def _ignores(self, name: str) -> bool:
        if not is_extended(name):
            return False
        return name in self.ignored_resources or name.partition("/")[0] in self.ignored_groups

    def _large_enough(self, pod: PodInfo, event: ClusterEvent) -> bool:
        """Say whether the node that came or grew could hold the Pod if it were empty."""
        allocatable = event.new.status.allocatable
        return all(
            name in allocatable and amount(name, allocatable[name]) >= wanted for name, wanted in self._wanted(pod)
        )

    def filter(self, _state: CycleState, pod: PodInfo, nodes: Nodes) -> Rejections:
        """Refuse nodes where a resource or the number of Pods would be exceeded."""
        codes = (nodes.pod_count >= nodes.pod_limit).astype(np.int64)
        for position, (name, wanted) in enumerate(self._wanted(pod)):
            insufficient, too_small = _bits(position)
            alloc = nodes.allocatable(name)
            lacking = alloc - nodes.requested(name) < wanted
            if lacking.any():
                codes |= np.where(lacking, insufficient, 0)
                codes |= np.where(lacking & (wanted > alloc), too_small, 0)
        return Rejections(codes, _Explain(tuple(name for name, _ in self._wanted(pod))))

    def row_filter(self, _state: CycleState, pod: PodInfo) -> Callable[[NodeRow], int]:
        """Do what `filter` does, row by row."""
        wants = [(name, wanted, *_bits(position)) for position, (name, wanted) in enumerate(self._wanted(pod))]

        def answer(row: NodeRow) -> int:
            code = 1 if row.pod_count >= row.pod_limit else 0
            columns, allocs, used = row.columns, row.alloc, row.used
            for name, wanted, insufficient, too_small in wants:
                column = columns[name]
                alloc = allocs[column]
                if wanted > alloc - used[column]:
                    code |= insufficient | too_small if wanted > alloc else insufficient
            return code

        return answer

    def score(self, _state: CycleState, pod: PodInfo, nodes: Nodes) -> Ints:
        """Rate by the share of each resource that would be taken, weighted, as the strategy says."""
        total = np.zeros(nodes.count, dtype=np.int64)
        weights: Ints | int = 0
        for name, weight in self.scoring.rated(pod):
            alloc = nodes.allocatable(name)
            requested = nodes.nonzero_requested(name) + _nonzero(pod, name)
            share = self.scoring.of_columns(requested, np.maximum(alloc, 1))
            if self.scoring.only_positive or not alloc.all():
                counted = (alloc > 0) & (share > 0) if self.scoring.only_positive else alloc > 0
                total += np.where(counted, share * weight, 0)
                weights = weights + np.where(counted, weight, 0)
            else:
                total += share * weight if weight != 1 else share
                weights = weights + weight
        divisor = np.maximum(weights, 1)
        return (2 * total + divisor) // (2 * divisor) if self.scoring.only_positive else total // divisor

    def row_score(self, _state: CycleState, pod: PodInfo) -> Callable[[NodeRow], int]:
        """Do what `score` does, row by row."""
        of_row, only_positive = self.scoring.of_row, self.scoring.only_positive
        wants = [(name, weight, _nonzero(pod, name)) for name, weight in self.scoring.rated(pod)]

        def answer(row: NodeRow) -> int:
            total = weights = 0
            for name, weight, asked in wants:
                column = row.columns[name]
                alloc = row.alloc[column]
                if not alloc:
                    continue
                if name == CPU:
                    requested = asked + row.nonzero_cpu
                elif name == MEMORY:
                    requested = asked + row.nonzero_memory
                else:
                    requested = asked + row.used[column]
                share = of_row(requested, alloc)
                if share > 0 or not only_positive:
                    total += share * weight
                    weights += weight
            if not weights:
                return 0
            return (2 * total + weights) // (2 * weights) if only_positive else total // weights

        return answer


def _nonzero(pod: PodInfo, name: str) -> int:
    if name == CPU:
        return pod.requests.nonzero_cpu
    if name == MEMORY:
        return pod.requests.nonzero_memory
    return pod.requests.get(name)


@attrs.frozen
class _Explain:
    """Spells out the bits of a code for a Pod that asks for `names`."""

    names: tuple[str, ...]

    def __call__(self, code: int) -> Rejection:
        reasons = ["Too many pods"] if code & 1 else []
        resolvable = True
        for position, name in enumerate(self.names):
            insufficient, too_small = _bits(position)
            if code & insufficient:
                reasons.append(f"Insufficient {name}")
                resolvable = resolvable and not code & too_small
        return Rejection(tuple(reasons), resolvable)


@attrs.frozen
class NodeResourcesBalancedAllocation(Plugin):
    """Prefers nodes that the Pod makes more evenly used, evenness being 1 minus the deviation of the used shares.

    Kubernetes 1.36 compares the node with and without the Pod, so that a node is not praised for what it was before.
    With three or more resources a node that lacks some of them is rated by those that it has.
    """

    arguments: ClassVar[type[NodeResourcesBalancedAllocationArgs]] = NodeResourcesBalancedAllocationArgs
    name: ClassVar[str] = "NodeResourcesBalancedAllocation"
    core_shape_only: ClassVar[bool] = True
    node_local: ClassVar[bool] = True
    amounts_only: ClassVar[bool] = True
    resources: tuple[str, ...] = (CPU, MEMORY)

    @classmethod
    def configured(cls, arguments: NodeResourcesBalancedAllocationArgs) -> NodeResourcesBalancedAllocation:
        """Return the plugin with a profile's arguments."""
        return cls(tuple(each.name for each in arguments.resources))

    def _rated(self, pod: PodInfo) -> list[str]:
        """Return the resources that count for a Pod: extended ones only where it asks for them."""
        return [name for name in self.resources if name in COUNTED_UNASKED or pod.requests.get(name)]

    def pre_score(self, _state: CycleState, pod: PodInfo, _nodes: Nodes, _feasible: Bools) -> Status | None:
        """Skip Pods that ask for nothing, which would all go to one node."""
        return None if any(pod.requests.get(name) for name in self.resources) else SKIP

    def score(self, _state: CycleState, pod: PodInfo, nodes: Nodes) -> Ints:
        """Rate each node by how much more even, or less, the shares would be with the Pod on it."""
        there, with_pod, without = [], [], []
        for name in self._rated(pod):
            alloc = nodes.allocatable(name)
            there.append(alloc > 0)
            whole = np.maximum(alloc, 1).astype(np.float64)
            taken = nodes.requested(name).astype(np.float64)
            without.append(np.minimum(taken / whole, 1.0))
            with_pod.append(np.minimum((taken + pod.requests.get(name)) / whole, 1.0))
        return (_EVEN_BASE + _evenness_of_columns(with_pod, there) - _evenness_of_columns(without, there)) >> 1

    def row_score(self, _state: CycleState, pod: PodInfo) -> Callable[[NodeRow], int]:
        """Do what `score` does, row by row."""
        wants = [(name, pod.requests.get(name)) for name in self._rated(pod)]

        def answer(row: NodeRow) -> int:
            with_pod, without = [], []
            for name, asked in wants:
                column = row.columns[name]
                alloc = row.alloc[column]
                if alloc:
                    used = row.used[column]
                    share = (used + asked) / alloc
                    with_pod.append(min(1.0, share))
                    share = used / alloc
                    without.append(min(1.0, share))
            return (_EVEN_BASE + _evenness_of(with_pod) - _evenness_of(without)) // 2

        return answer


_EVEN_BASE: Final = MAX_SCORE + MAX_SCORE // 2
"""A Pod that changes nothing rates three quarters of MAX_SCORE."""


def _evenness_of(shares: list[float]) -> int:
    if len(shares) < 2:
        return MAX_SCORE
    if len(shares) == 2:
        return int((1 - abs((shares[0] - shares[1]) / 2)) * MAX_SCORE)
    mean = sum(shares) / len(shares)
    return int((1 - math.sqrt(sum((share - mean) ** 2 for share in shares) / len(shares))) * MAX_SCORE)


def _evenness_of_columns(shares: list[NDArray[np.float64]], there: list[Bools]) -> Ints:
    """Do what `_evenness_of` does, for columns; `there` says which nodes have each resource at all."""
    if len(shares) == 2:
        # The general formula gives the same up to rounding, and the scores must be equal to the last digit.
        deviation = np.abs((shares[0] - shares[1]) / 2)
        both = there[0] & there[1]
        if not both.all():
            deviation = np.where(both, deviation, 0.0)
    else:
        known = np.array(there)
        values = np.where(known, np.array(shares), 0.0)
        number = np.maximum(known.sum(axis=0), 1)
        variance = np.where(known, (values - values.sum(axis=0) / number) ** 2, 0.0).sum(axis=0) / number
        apart = values.max(axis=0) - np.where(known, values, 1.0).min(axis=0)
        deviation = np.where(number > 2, np.sqrt(variance), np.where(number == 2, apart / 2, 0.0))
    return ((1 - deviation) * MAX_SCORE).astype(np.int64)
