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
from orchestra.scheduler.podindex import TallyKey
from orchestra.scheduler.podinfo import PodInfo, PodTerm, SpreadConstraint, spread_constraint
from orchestra.scheduler.selecting import required_mask, tolerated_mask
from orchestra.scheduler.view import Nodes

HOSTNAME: Final = "kubernetes.io/hostname"
ZONE: Final = "topology.kubernetes.io/zone"

_STATE: Final = "PodTopologySpread/prepared"
_LAST: Final = "PodTopologySpread/verdicts"
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
class _Counted:
    """One constraint with what Pods that come and go cannot change: which nodes, and so which domains, count.

    `pods` are those that count: of the Pod's namespace, matching, not being deleted; None: there can be none.
    `eligible` is None where all nodes do that have the label; `there` says which domains have such a node. `own` is 1
    when the Pod itself is one of those that are counted.
    """

    constraint: SpreadConstraint
    pods: TallyKey | None
    places: NDArray[np.intp]
    eligible: Bools | None
    there: Bools
    own: int

    def sums(self, table: NodeTable, eligible: Bools | None) -> Ints:
        """Return how many Pods the eligible nodes of each domain have; a last entry, of nodes without, is not used."""
        if self.pods is None:
            return np.zeros(len(self.there) + 1, dtype=np.int64)
        tally = table.index.tally_of(self.pods)
        if eligible is None:
            return tally.by_domain(table.labels, self.constraint.topology_key)
        counts = tally.counts[: table.size][eligible]
        return np.bincount(self.places[eligible], weights=counts, minlength=len(self.there) + 1).astype(np.int64)


@attrs.frozen(eq=False)
class _Wanted:
    """Which nodes are rated, and of which domains: as long as `feasible` is what it was."""

    feasible: Bools
    ignored: Bools | None
    scored: int
    domains: tuple[tuple[Bools, int], ...]
    """For each constraint which domains have a rated node, and how many have, the one without label among them."""


@attrs.frozen(eq=False)
class _Prepared:
    """What is kept while no node changes: the constraints, and where all nodes must have the labels, which do."""

    hard: tuple[_Counted, ...]
    soft: tuple[_Counted, ...]
    labelled: Bools | None


@attrs.frozen
class PodTopologySpread(Plugin):
    """Keeps Pods that a selector matches evenly spread over the values of a node label."""

    arguments: ClassVar[type[PodTopologySpreadArgs]] = PodTopologySpreadArgs
    name: ClassVar[str] = "PodTopologySpread"
    core_shape_only: ClassVar[bool] = True
    skip_holds: ClassVar[bool] = True
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

    def pre_filter(self, state: CycleState, pod: PodInfo, table: NodeTable) -> PreFilterResult:
        """Skip Pods without hard constraints."""
        return None if self._prepared(state, pod, table).hard else SKIP

    def pods_version(self, state: CycleState, pod: PodInfo, table: NodeTable) -> Hashable:
        """Return when the Pods that the constraints count last changed."""
        known = self._prepared(state, pod, table)
        if not known.hard and not known.soft:
            return ()
        counted = [each.pods for each in (*known.hard, *known.soft) if each.pods is not None]
        return tuple([table.index.tally_of(pods).version for pods in counted])

    def filter(self, state: CycleState, pod: PodInfo, nodes: Nodes) -> Rejections:
        """Refuse nodes that lack a label or whose domain is too full; the first broken constraint is the reason."""
        table = nodes.table
        hard = self._prepared(state, pod, table).hard
        verdicts = [_verdicts(each, table) for each in hard]
        before: tuple[list[Ints], Rejections] | None = state.find(_LAST)
        if before is not None and nodes.rows is None and all(map(np.array_equal, before[0], verdicts)):
            return before[1]
        codes = np.zeros(table.size, dtype=np.int64)
        for each, verdict in zip(hard, verdicts, strict=True):
            broken = verdict.take(each.places)
            codes = broken if each is hard[0] else np.where(codes == 0, broken, codes)
        if nodes.rows is not None:
            return Rejections(codes[nodes.rows], _REJECTIONS)
        state.write(_LAST, (verdicts, answer := Rejections(codes, _REJECTIONS)))
        return answer

    def _prepared(self, state: CycleState, pod: PodInfo, table: NodeTable) -> _Prepared:
        known: _Prepared | None = state.find(_STATE)
        if known is None:
            hard = self._constraints(pod, table, hard=True)
            soft = self._constraints(pod, table, hard=False)
            need_all = bool(pod.pod.spec.topology_spread_constraints) or not self.system_defaults
            nodes = Nodes(table)
            labelled = _with_labels(nodes, soft) if soft and need_all else None
            masks = _Policies(nodes, pod)
            known = _Prepared(
                _counted(pod, nodes, hard, masks, _with_labels(nodes, hard) if hard else None),
                _counted(pod, nodes, soft, masks, labelled),
                None if labelled is None or labelled.all() else labelled,
            )
            state.write(_STATE, known)
        return known

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
        """Find out which nodes are rated; skip Pods without soft constraints."""
        known = self._prepared(state, pod, nodes.table)
        if not known.soft:
            return SKIP
        before: _Wanted | None = state.find(self.name)
        if before is None or not np.array_equal(before.feasible, feasible):
            scored = feasible if known.labelled is None else feasible & known.labelled
            domains = []
            for each in known.soft:
                # Number -1, the label is missing, is a domain of its own where missing labels are put up with.
                rated = np.bincount(each.places[scored] + 1, minlength=len(each.there) + 1) > 0
                domains.append((rated[1:], int(np.count_nonzero(rated))))
            ignored = None if known.labelled is None else feasible & ~known.labelled
            state.write(self.name, _Wanted(feasible.copy(), ignored, int(np.count_nonzero(scored)), tuple(domains)))
        return None

    def score(self, state: CycleState, pod: PodInfo, nodes: Nodes) -> Ints:
        """Add up the weighted counts of the domains that a node is in: the lower the better."""
        table = nodes.table
        known, wanted = self._prepared(state, pod, table), state.read(self.name)
        total: NDArray[np.float64] | float = 0.0
        for each, (rated, number) in zip(known.soft, wanted.domains, strict=True):
            skew = each.constraint.max_skew - 1
            if each.constraint.topology_key == HOSTNAME:
                counts = 0 if each.pods is None else table.index.tally_of(each.pods).counts[: table.size]
                share = counts * math.log(wanted.scored + 2) + skew
                total = total + np.where(each.places >= 0, share, 0.0)
                continue
            sums = each.sums(table, each.eligible)
            shares = np.where(rated, sums[:-1], 0) * math.log(number + 2) + skew
            total = total + np.append(shares, 0.0).take(each.places)
        scores = np.floor(total + 0.5).astype(np.int64)
        if wanted.ignored is not None:
            scores = np.where(wanted.ignored, 0, scores)
        return scores if nodes.rows is None else scores[nodes.rows]

    def normalize(self, state: CycleState, _pod: PodInfo, scores: Ints, rows: NDArray[np.int64]) -> Ints:
        """Turn the scale around; nodes that lack a label get 0."""
        wanted: _Wanted = state.read(self.name)
        ignored = None if wanted.ignored is None else wanted.ignored[rows]
        rated = scores if ignored is None else scores[~ignored]
        highest = int(rated.max(initial=0))
        lowest = int(rated.min()) if len(rated) else 0
        if not highest:
            found = np.full(len(scores), MAX_SCORE, dtype=np.int64)
        else:
            found = MAX_SCORE * (highest + lowest - scores) // highest
        return found if ignored is None else np.where(ignored, 0, found)


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


def _counted(
    pod: PodInfo, nodes: Nodes, constraints: tuple[SpreadConstraint, ...], masks: _Policies, labelled: Bools | None
) -> tuple[_Counted, ...]:
    """Work out which nodes count for each constraint; those that are not in `labelled` do not."""
    found = []
    for constraint in constraints:
        key = constraint.topology_key
        there = np.zeros(len(nodes.label_values(key)) + 1, dtype=np.bool_)
        places = nodes.label_places(key)
        eligible = masks.of(constraint) if labelled is None else masks.of(constraint) & labelled
        there[places[eligible]] = True
        everywhere = bool(np.array_equal(eligible & (places >= 0), places >= 0))
        own = int(constraint.selector.matches(pod.labels))
        # A selector that restricts nothing counts no Pods, as in kube-scheduler (countPodsMatchSelector).
        term = PodTerm(frozenset((pod.namespace,)), constraint.selector)
        pods = None if constraint.selector.empty else TallyKey((term,), skip_terminating=True)
        found.append(_Counted(constraint, pods, places, None if everywhere else eligible, there[:-1], own))
    return tuple(found)


def _verdicts(counted: _Counted, table: NodeTable) -> Ints:
    """Return the code of the nodes of each domain, and as the last one that of nodes without the label."""
    constraint, there = counted.constraint, counted.there
    sums = counted.sums(table, counted.eligible)[:-1]
    inside = sums[there]
    lowest = int(inside.min()) if len(inside) >= max(constraint.min_domains, 1) else 0
    # Domains without an eligible node count as empty.
    too_full = np.where(there, sums, 0) + (counted.own - lowest) > constraint.max_skew
    return np.append(np.where(too_full, _TOO_UNEVEN, 0), _MISSING_LABEL)
