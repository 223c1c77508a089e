"""Packing a batch of Pods onto nodes as an integer programme: as many Pods as fit, on as few nodes as can be. Pure.

Pods of one kind (equal requests, equal allowed nodes) are interchangeable, so a variable counts how many of a kind go
to a node. Subject to the room that each node has for each resource, the value of a solution is

    (number of Pods placed) * (nodes + 1) - (nodes used that had no Pods before)

The solver is HiGHS, by the package highspy (extra `optimiser`). It is given a limit of nodes of its search tree, which
makes answers repeatable, and one of seconds, and begins with a solution that is known, so that it can only do better.

Why this one: of 18 batches (64 or 256 Pods of 4 to 60 kinds, 20 to 128 nodes, two seconds, one thread) HiGHS and CP-SAT
of OR-tools 9.15 found values within 1 of each other in 13, and CP-SAT better ones in 5, those with the most kinds. But
OR-tools needs protobuf below 6.34, and what the project generates needs 7.35. SciPy 1.17 carries the same HiGHS in
twelve times the size, and has no way to begin with a known solution: in 4 batches it ended below the greedy one.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any, Final, Protocol, runtime_checkable

import attrs
import numpy as np
from numpy.typing import NDArray

from orchestra.errors import ConfigurationError

EXTRA: Final = "pip install 'orchestra[optimiser]'"
MAX_SEARCH_NODES: Final = 2_000
"""Nodes of the search tree of one batch."""


@attrs.frozen(eq=False)
class Problem:
    """What is to be packed: `wants[k]` is what one Pod of kind k asks of each resource, `counts[k]` how many there are,
    `allowed[k]` which nodes such a Pod may go to; `room[n]` is what is free on node n, and `empty[n]` whether it has no
    Pods yet.
    """

    wants: NDArray[np.int64]
    counts: NDArray[np.int64]
    allowed: NDArray[np.bool_]
    room: NDArray[np.int64]
    empty: NDArray[np.bool_]

    def value(self, solution: NDArray[np.int64]) -> int:
        """Return how good it is to send `solution[k, n]` Pods of kind k to node n; the more the better."""
        opened = int((self.empty & (solution.sum(axis=0) > 0)).sum())
        return int(solution.sum()) * (len(self.empty) + 1) - opened

    def fits(self, solution: NDArray[np.int64]) -> bool:
        """Say whether a solution keeps to what there is."""
        if (solution < 0).any() or (solution.sum(axis=1) > self.counts).any() or solution[~self.allowed].any():
            return False
        used = solution.T @ self.wants
        return bool(((used <= self.room) | (used == 0)).all())  # a node can be overfull of what nobody here asks for


@runtime_checkable
class BatchPlugin(Protocol):
    """Finds better places for several Pods than each of them would find by itself."""

    def improve(self, problem: Problem, start: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return how many Pods of each kind go to each node; what is not better than `start` is not used."""
        ...


def solve(problem: Problem, start: NDArray[np.int64], *, seconds: float) -> NDArray[np.int64]:
    """Return a solution that is at least as good as `start`. Raises ConfigurationError when highspy is missing."""
    highspy = solver()
    most = _most(problem)
    model = highspy.Highs()
    model.setOptionValue("output_flag", False)
    model.setOptionValue("time_limit", seconds)
    model.setOptionValue("threads", 1)
    model.setOptionValue("random_seed", 0)
    model.setOptionValue("mip_max_nodes", MAX_SEARCH_NODES)
    pairs = np.argwhere(most > 0)
    if not len(pairs):
        return start
    opened = np.flatnonzero(problem.empty & (most.max(axis=0) > 0))
    _variables(model, highspy, problem, most, pairs, opened)
    _rows(model, problem, most, pairs, opened)
    known = np.concatenate([start[pairs[:, 0], pairs[:, 1]], start.sum(axis=0)[opened] > 0]).astype(np.float64)
    model.setSolution(len(known), np.arange(len(known), dtype=np.int32), known)
    model.run()
    answer = np.array(model.getSolution().col_value)
    if not len(answer):
        return start
    found = np.zeros_like(start)
    found[pairs[:, 0], pairs[:, 1]] = np.rint(answer[: len(pairs)]).astype(np.int64)
    # Its arithmetic is that of floating point: what it says is checked with whole numbers.
    return found if problem.fits(found) and problem.value(found) > problem.value(start) else start


def solver() -> Any:
    """Return the solver's module; raises ConfigurationError when it is not installed."""
    try:
        return importlib.import_module("highspy")
    except ImportError as error:
        raise ConfigurationError(f"the optimiser needs the package highspy: {EXTRA}") from error


def _most(problem: Problem) -> NDArray[np.int64]:
    """Return how many Pods of each kind a node can take at most."""
    most = np.minimum(problem.counts[:, None], np.iinfo(np.int32).max) * problem.allowed
    for resource in range(problem.room.shape[1]):
        wanted = problem.wants[:, resource][:, None]
        there = np.maximum(problem.room[:, resource], 0)[None, :]
        most = np.where(wanted > 0, np.minimum(most, there // np.maximum(wanted, 1)), most)
    return most


def _variables(
    model: Any,
    highspy: Any,
    problem: Problem,
    most: NDArray[np.int64],
    pairs: NDArray[np.intp],
    opened: NDArray[np.intp],
) -> None:
    """Declare how many Pods of a kind go to a node, and whether an empty node is used."""
    total = len(pairs) + len(opened)
    upper = np.concatenate([most[pairs[:, 0], pairs[:, 1]], np.ones(len(opened), dtype=np.int64)])
    model.addVars(total, np.zeros(total), upper.astype(np.float64))
    worth = np.concatenate([np.full(len(pairs), -float(len(problem.empty) + 1)), np.ones(len(opened))])
    indices = np.arange(total, dtype=np.int32)
    model.changeColsCost(total, indices, worth)
    integer = np.full(total, int(highspy.HighsVarType.kInteger), dtype=np.uint8)
    model.changeColsIntegrality(total, indices, integer)


def _rows(
    model: Any, problem: Problem, most: NDArray[np.int64], pairs: NDArray[np.intp], opened: NDArray[np.intp]
) -> None:
    """Declare the limits: Pods of a kind, room of a node for a resource, and that a used node is used."""
    infinity = float("inf")
    for kind in range(len(problem.counts)):
        columns = np.flatnonzero(pairs[:, 0] == kind).astype(np.int32)
        model.addRow(-infinity, float(problem.counts[kind]), len(columns), columns, np.ones(len(columns)))
    by_node: dict[int, list[int]] = {}
    for column, (_, node) in enumerate(pairs.tolist()):
        by_node.setdefault(node, []).append(column)
    places = {int(node): len(pairs) + index for index, node in enumerate(opened)}
    for node, listed in by_node.items():
        columns = np.array(listed, dtype=np.int32)
        kinds = pairs[columns, 0]
        for resource in range(problem.room.shape[1]):
            weights, there = problem.wants[kinds, resource], max(int(problem.room[node, resource]), 0)
            if weights.any() and int((weights * most[kinds, node]).sum()) > there:
                # Scaled to the room: bytes and millicores in one matrix are poison for floating point.
                scale = max(there, 1)
                model.addRow(-infinity, there / scale, len(columns), columns, weights / scale)
        if node in places:
            for column, kind in zip(listed, kinds.tolist(), strict=True):
                pair = np.array([column, places[node]], dtype=np.int32)
                model.addRow(-infinity, 0.0, 2, pair, np.array([1.0, -float(most[kind, node])]))


def greedy(problem: Problem, order: Sequence[int]) -> NDArray[np.int64]:
    """Return what first fit finds for kinds in this order: a solution to begin with."""
    found = np.zeros(problem.allowed.shape, dtype=np.int64)
    room = problem.room.copy()
    for kind in order:
        wants = problem.wants[kind]
        for node in np.flatnonzero(problem.allowed[kind]).tolist():
            left = int(problem.counts[kind] - found[kind].sum())
            if left <= 0:
                break
            fit = min([left, *(int(room[node, r] // w) for r, w in enumerate(wants) if w > 0)])
            if fit > 0:
                found[kind, node] += fit
                room[node] -= fit * wants
    return found
