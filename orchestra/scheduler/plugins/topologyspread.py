"""Spread Pods over zones, hosts, or any other node label: PodTopologySpread.

Semantics: kube-scheduler 1.36 `podtopologyspread`. A hard constraint refuses a node when putting the Pod there would
make its domain hold more than `maxSkew` matching Pods above the emptiest domain; soft ones prefer emptier domains.
"""

from __future__ import annotations

import math
from collections.abc import Hashable
from typing import ClassVar, Final

import attrs
import numpy as np
from numpy.typing import NDArray

from orchestra.api.core.affinity import TopologySpreadConstraint
from orchestra.api.selectors import EVERYTHING, Selector, selector_from_labels
from orchestra.scheduler.arguments import PodTopologySpreadArgs
from orchestra.scheduler.events import Action, ClusterEvent, EventHint, Resource
from orchestra.scheduler.interface import (
    MAX_SCORE,
    SKIP,
    Bools,
    ByCode,
    CycleState,
    Ints,
    Plugin,
    PreFilterResult,
    Rejection,
    Rejections,
    Status,
)
from orchestra.scheduler.nodetable import NodeTable
from orchestra.scheduler.podindex import Tally
from orchestra.scheduler.podinfo import PodInfo, PodTerm, SpreadConstraint, spread_constraint
from orchestra.scheduler.selecting import required_mask, tolerated_mask
from orchestra.scheduler.view import Nodes

HOSTNAME: Final = "kubernetes.io/hostname"
ZONE: Final = "topology.kubernetes.io/zone"

_MISSING_LABEL: Final = 1
_TOO_UNEVEN: Final = 2
_UNEVEN: Final = "node(s) didn't match pod topology spread constraints"
_REJECTIONS: Final = ByCode(
    (Rejection((f"{_UNEVEN} (missing required label)",), resolvable=False), Rejection((_UNEVEN,)))
)


SYSTEM_DEFAULTS: Final = (
    TopologySpreadConstraint(max_skew=3, topology_key=HOSTNAME, when_unsatisfiable="ScheduleAnyway"),
    TopologySpreadConstraint(max_skew=5, topology_key=ZONE, when_unsatisfiable="ScheduleAnyway"),
)
"""The constraints of Pods that bring none of their own."""


def default_selector(table: NodeTable, pod: PodInfo) -> Selector:
    """Return what the Services and the controlling owner of a Pod select by; nothing to select by gives EVERYTHING.

    Source: kube-scheduler `helper.DefaultSelector`.
    """
    labels: dict[str, str] = {}
    services, of_owner = table.default_selectors(pod.namespace, pod.owner)
    if not services and of_owner is None:
        return EVERYTHING
    for selector in services:
        if selector and all(pod.labels.get(key) == value for key, value in selector.items()):
            labels.update(selector)
    found = selector_from_labels(labels)
    return found if of_owner is None else Selector(found.requirements + of_owner.requirements)


@attrs.frozen(eq=False)
class _Soft:
    """One soft constraint with its counts: for each node, and how much they weigh."""

    constraint: SpreadConstraint
    ids: NDArray[np.int32]
    counts: NDArray[np.float64]
    weight: float


@attrs.frozen(eq=False)
class _ScoreState:
    softs: tuple[_Soft, ...]
    ignored: Bools


@attrs.frozen
class PodTopologySpread(Plugin):
    """Keeps Pods that a selector matches evenly spread over the values of a node label."""

    arguments: ClassVar[type[PodTopologySpreadArgs]] = PodTopologySpreadArgs
    name: ClassVar[str] = "PodTopologySpread"
    core_shape_only: ClassVar[bool] = True
    defaults: tuple[TopologySpreadConstraint, ...] = SYSTEM_DEFAULTS
    system_defaults: bool = True
    """Whether `defaults` are the system's, which put up with nodes that lack a label."""

    @classmethod
    def configured(cls, arguments: PodTopologySpreadArgs) -> PodTopologySpread:
        """Return the plugin with a profile's arguments."""
        if arguments.defaulting_type == "System":
            return cls()
        return cls(arguments.default_constraints, system_defaults=False)

    def events(self) -> tuple[EventHint, ...]:
        """A matching Pod comes, goes or changes, or a node whose labels or taints make a difference."""
        pods = Action.ADD | Action.DELETE | Action.UPDATE_LABEL
        return (
            EventHint(Resource.ASSIGNED_POD, pods, self._about_same_pods),
            EventHint(Resource.NODE, Action.ADD | Action.DELETE | Action.UPDATE_LABEL | Action.UPDATE_TAINT),
        )

    def pre_filter(self, _state: CycleState, pod: PodInfo, table: NodeTable) -> PreFilterResult:
        """Skip Pods without hard constraints."""
        return None if self._constraints(pod, table, hard=True) else SKIP

    def pods_version(self, _state: CycleState, pod: PodInfo, table: NodeTable) -> Hashable:
        """Return how often the Pods that the constraints count have changed."""
        constraints = (*self._constraints(pod, table, hard=True), *self._constraints(pod, table, hard=False))
        return tuple([_tally(table, pod, each).version for each in constraints if not each.selector.empty])

    def filter(self, _state: CycleState, pod: PodInfo, nodes: Nodes) -> Rejections:
        """Refuse nodes that lack a label or whose domain is too full; the first broken constraint is the reason."""
        table = nodes.table
        hard = self._constraints(pod, table, hard=True)
        everywhere = Nodes(table)
        labelled = _with_labels(everywhere, hard)
        masks = _Policies(everywhere, pod)
        codes = np.zeros(table.size, dtype=np.int64)
        for constraint in hard:
            ids = everywhere.label_ids(constraint.topology_key)
            eligible = labelled & masks.of(constraint)
            counts = _matching(table, pod, constraint)
            domains = len(everywhere.label_values(constraint.topology_key))
            inside = ids[eligible]
            per_domain = np.bincount(inside, weights=counts[eligible], minlength=domains).astype(np.int64)
            there = np.bincount(inside, minlength=domains) > 0
            lowest = int(per_domain[there].min()) if there.any() else 0
            if int(there.sum()) < constraint.min_domains:
                lowest = 0
            own = int(constraint.selector.matches(pod.labels))
            here = np.append(per_domain, 0)[ids]
            broken = np.where(here + own - lowest > constraint.max_skew, _TOO_UNEVEN, 0)
            broken = np.where(ids < 0, _MISSING_LABEL, broken)
            codes = np.where(codes == 0, broken, codes)
        codes = codes if nodes.rows is None else codes[nodes.rows]
        return Rejections(codes, _REJECTIONS)

    def _constraints(self, pod: PodInfo, table: NodeTable, *, hard: bool) -> tuple[SpreadConstraint, ...]:
        """Return a Pod's own constraints, or the default ones when it has none."""
        if pod.pod.spec.topology_spread_constraints:
            return tuple(c for c in pod.spread_constraints if c.hard == hard)
        defaults = [d for d in self.defaults if (d.when_unsatisfiable == "DoNotSchedule") == hard]
        if not defaults:
            return ()
        selector = default_selector(table, pod)
        if selector == EVERYTHING:
            return ()
        return tuple(spread_constraint(each, selector) for each in defaults)

    def _about_same_pods(self, pod: PodInfo, event: ClusterEvent) -> bool:
        if not pod.pod.spec.topology_spread_constraints:
            return True  # it was refused by a default constraint, whose selector is not at hand
        for other in (event.old, event.new):
            if other is None or other.metadata.namespace != pod.namespace:
                continue
            if any(c.hard and c.selector.matches(other.metadata.labels) for c in pod.spread_constraints):
                return True
        return False

    def pre_score(self, state: CycleState, pod: PodInfo, nodes: Nodes, feasible: Bools) -> Status | None:
        """Count matching Pods per domain; skip Pods without soft constraints."""
        table = nodes.table
        constraints = self._constraints(pod, table, hard=False)
        if not constraints:
            return SKIP
        everywhere = Nodes(table)
        need_all = bool(pod.pod.spec.topology_spread_constraints) or not self.system_defaults
        labelled = _with_labels(everywhere, constraints) if need_all else np.ones(table.size, dtype=np.bool_)
        masks = _Policies(everywhere, pod)
        scored = feasible & labelled
        softs = tuple(self._count(pod, everywhere, c, scored, labelled & masks.of(c)) for c in constraints)
        state.write(self.name, _ScoreState(softs, feasible & ~labelled))
        return None

    def _count(self, pod: PodInfo, nodes: Nodes, constraint: SpreadConstraint, scored: Bools, eligible: Bools) -> _Soft:
        ids = nodes.label_ids(constraint.topology_key)
        counts = _matching(nodes.table, pod, constraint)
        if constraint.topology_key == HOSTNAME:
            return _Soft(constraint, ids, counts.astype(np.float64), math.log(int(scored.sum()) + 2))
        # Number -1, the label is missing, is a domain of its own where missing labels are put up with.
        domains = len(nodes.label_values(constraint.topology_key)) + 1
        shifted = ids + 1
        wanted = np.bincount(shifted[scored], minlength=domains) > 0
        inside = eligible & wanted[shifted]
        per_domain = np.bincount(shifted[inside], weights=counts[inside], minlength=domains).astype(np.float64)
        return _Soft(constraint, ids, per_domain[shifted], math.log(int(wanted.sum()) + 2))

    def score(self, state: CycleState, _pod: PodInfo, nodes: Nodes) -> Ints:
        """Add up the weighted counts of the domains that a node is in: the lower the better."""
        known: _ScoreState = state.read(self.name)
        total = np.zeros(nodes.table.size, dtype=np.float64)
        for soft in known.softs:
            share = soft.counts * soft.weight + (soft.constraint.max_skew - 1)
            total += np.where(soft.ids >= 0, share, 0.0)
        scores = np.where(known.ignored, 0, np.floor(total + 0.5)).astype(np.int64)
        return scores if nodes.rows is None else scores[nodes.rows]

    def normalize(self, state: CycleState, _pod: PodInfo, scores: Ints, rows: NDArray[np.int64]) -> Ints:
        """Turn the scale around; nodes that lack a label get 0."""
        known: _ScoreState = state.read(self.name)
        ignored = known.ignored[rows]
        rated = scores[~ignored]
        highest = int(rated.max(initial=0))
        lowest = int(rated.min()) if len(rated) else 0
        if not highest:
            return np.where(ignored, 0, MAX_SCORE)
        return np.where(ignored, 0, MAX_SCORE * (highest + lowest - scores) // highest)


class _Policies:
    """Which nodes count for a constraint, by its policies about node affinity and taints; worked out when needed."""

    def __init__(self, nodes: Nodes, pod: PodInfo) -> None:
        self._nodes = nodes
        self._pod = pod
        self._affinity: Bools | None = None
        self._taints: Bools | None = None

    def of(self, constraint: SpreadConstraint) -> Bools:
        """Return the nodes that count."""
        mask = self._nodes.active
        if constraint.honor_affinity and (
            self._pod.pod.spec.node_selector or self._pod.required_node_terms is not None
        ):
            if self._affinity is None:
                self._affinity = required_mask(self._nodes, self._pod)
            mask = mask & self._affinity
        if constraint.honor_taints:
            if self._taints is None:
                self._taints = tolerated_mask(self._nodes, self._pod)
            mask = mask & self._taints
        return mask


def _with_labels(nodes: Nodes, constraints: tuple[SpreadConstraint, ...]) -> Bools:
    mask = np.ones(nodes.count, dtype=np.bool_)
    for constraint in constraints:
        mask &= nodes.has_label(constraint.topology_key)
    return mask


def _matching(table: NodeTable, pod: PodInfo, constraint: SpreadConstraint) -> NDArray[np.int32]:
    """Return how many Pods of each row count: of the Pod's namespace, matching, not being deleted.

    A selector that restricts nothing counts no Pods, as in kube-scheduler (countPodsMatchSelector).
    """
    if constraint.selector.empty:
        return np.zeros(table.size, dtype=np.int32)
    return _tally(table, pod, constraint).counts[: table.size]


def _tally(table: NodeTable, pod: PodInfo, constraint: SpreadConstraint) -> Tally:
    term = PodTerm(frozenset((pod.namespace,)), constraint.selector)
    return table.index.tally(term, skip_terminating=True)
