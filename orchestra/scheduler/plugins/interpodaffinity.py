"""Near to some Pods, away from others: InterPodAffinity.

Semantics: kube-scheduler 1.36 `interpodaffinity`. Required anti-affinity is symmetric: it keeps a Pod away from Pods
that do not want it near. Preferences of the Pods that run count too, and so does their required affinity, by 1.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import ClassVar, Final

import attrs
import numpy as np
from numpy.typing import NDArray

from orchestra.scheduler.arguments import InterPodAffinityArgs
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
from orchestra.scheduler.podindex import Counts, TermRecord
from orchestra.scheduler.podinfo import AffinityTerm, PodInfo
from orchestra.scheduler.view import Nodes

_AFFINITY: Final = 1
_ANTI: Final = 2
_EXISTING: Final = 3
_REJECTIONS: Final = ByCode(
    (
        Rejection(("node(s) didn't match pod affinity rules",), resolvable=False),
        Rejection(("node(s) didn't match pod anti-affinity rules",)),
        Rejection(("node(s) didn't satisfy existing pods anti-affinity rules",)),
    )
)


def _of_kind(pod: PodInfo, kind: str) -> tuple[AffinityTerm, ...]:
    return tuple(term for term in pod.affinity_terms if term.kind == kind)


@attrs.frozen
class InterPodAffinity(Plugin):
    """Refuses and prefers nodes by the Pods that run in the same place, a place being a value of a node label."""

    name: ClassVar[str] = "InterPodAffinity"
    core_shape_only: ClassVar[bool] = True
    arguments: ClassVar[type[InterPodAffinityArgs]] = InterPodAffinityArgs
    hard_pod_affinity_weight: int = 1
    ignore_wishes_of_others: bool = False
    """Whether a Pod without wishes of its own is placed regardless of what the Pods that run wish."""

    @classmethod
    def configured(cls, arguments: InterPodAffinityArgs) -> InterPodAffinity:
        """Return the plugin with a profile's arguments."""
        return cls(arguments.hard_pod_affinity_weight, arguments.ignore_preferred_terms_of_existing_pods)

    def events(self) -> tuple[EventHint, ...]:
        """A Pod comes, goes or changes its labels, or a node comes or gets other labels."""
        pods = Action.ADD | Action.DELETE | Action.UPDATE_LABEL
        return (
            EventHint(Resource.ASSIGNED_POD, pods, _concerns),
            EventHint(Resource.NODE, Action.ADD | Action.UPDATE_LABEL),
            EventHint(Resource.NAMESPACE, Action.ALL),
        )

    def pre_filter(self, _state: CycleState, pod: PodInfo, table: NodeTable) -> PreFilterResult:
        """Skip Pods that have no required terms and are kept away by nobody."""
        if any(term.kind in ("required", "anti-required") for term in pod.affinity_terms):
            return None
        return None if any(_live(table.index.matching(pod), "anti-required")) else SKIP

    def pods_version(self, _state: CycleState, pod: PodInfo, table: NodeTable) -> Hashable:
        """Return, for Pods that no term is about, which terms there are."""
        if pod.affinity_terms or any(record.rows for record in table.index.matching(pod)):
            return None
        return table.index.terms_version

    def filter(self, _state: CycleState, pod: PodInfo, nodes: Nodes) -> Rejections:
        """Refuse nodes by the Pod's own affinity, its own anti-affinity, and that of Pods that run, in this order."""
        table = nodes.table
        codes = np.zeros(table.size, dtype=np.int64)
        for record in _live(table.index.matching(pod), "anti-required"):
            codes[_domains_of(table, record)] = _EXISTING
        for term in _of_kind(pod, "anti-required"):
            ids = table.labels.column(term.topology_key).ids[: table.size]
            codes[_spread_over(ids, table.index.tally(term.pods).counts[: table.size]) > 0] = _ANTI
        required = _of_kind(pod, "required")
        if required:
            codes[~_near_required(table, pod, required)] = _AFFINITY
        codes = codes if nodes.rows is None else codes[nodes.rows]
        return Rejections(codes, _REJECTIONS)

    def pre_score(self, state: CycleState, pod: PodInfo, nodes: Nodes, _feasible: Bools) -> Status | None:
        """Add up, by place, what the Pod thinks of the Pods there and they of it; skip when there is nothing."""
        table = nodes.table
        has_wishes = any(term.weight for term in pod.affinity_terms)
        if not has_wishes and (self.ignore_wishes_of_others or not table.index.matching(pod)):
            return SKIP
        total = np.zeros(table.size, dtype=np.int64)
        anything = False
        for term in pod.affinity_terms:
            if term.weight:
                counts = table.index.tally(term.pods).counts[: table.size]
                ids = table.labels.column(term.topology_key).ids[: table.size]
                if counts[ids >= 0].any():
                    anything = True
                    total += _spread_over(ids, counts) * (term.weight if term.kind == "preferred" else -term.weight)
        for record in table.index.matching(pod):
            weight = self._weight_of(record.term)
            if not weight or not record.rows:
                continue
            ids = table.labels.column(record.term.topology_key).ids[: table.size]
            counts = _counts_of(record, table)
            if counts[ids >= 0].any():
                anything = True
                total += _spread_over(ids, counts) * weight
        state.write(self.name, total)
        return None if anything else SKIP

    def _weight_of(self, term: AffinityTerm) -> int:
        if term.kind == "required":
            return self.hard_pod_affinity_weight
        if term.kind == "preferred":
            return term.weight
        return -term.weight

    def score(self, state: CycleState, _pod: PodInfo, nodes: Nodes) -> Ints:
        """Return what `pre_score` added up."""
        total: Ints = state.read(self.name)
        return total if nodes.rows is None else total[nodes.rows]

    def normalize(self, _state: CycleState, _pod: PodInfo, scores: Ints, _rows: NDArray[np.int64]) -> Ints:
        """Stretch the range of the scores to the whole scale."""
        if not len(scores):
            return scores
        lowest, highest = int(scores.min()), int(scores.max())
        if highest == lowest:
            return np.zeros(len(scores), dtype=np.int64)
        return (MAX_SCORE * ((scores - lowest) / (highest - lowest))).astype(np.int64)


def _live(records: Iterable[TermRecord], kind: str) -> Iterable[TermRecord]:
    return (record for record in records if record.rows and record.term.kind == kind)


def _counts_of(record: TermRecord, table: NodeTable) -> Counts:
    dense = record.dense(table.capacity)
    if dense is not None:
        return dense[: table.size]
    counts = np.zeros(table.size, dtype=np.int32)
    rows, values = record.sparse()
    counts[rows] = values
    return counts


def _spread_over(ids: NDArray[np.int32], counts: Counts) -> Ints:
    """Return for each row the sum of the counts of all rows with the same label value; 0 where the label is missing."""
    there = ids >= 0
    if not there.any():
        return np.zeros(len(ids), dtype=np.int64)
    per_domain = np.bincount(ids[there], weights=counts[there]).astype(np.int64)
    return np.append(per_domain, 0)[ids]


def _domains_of(table: NodeTable, record: TermRecord) -> Bools:
    """Return the rows that are in one place with a row that has Pods with this term."""
    column = table.labels.column(record.term.topology_key)
    ids = column.ids[: table.size]
    dense = record.dense(table.capacity)
    rows = np.flatnonzero(dense[: table.size]) if dense is not None else record.sparse()[0]
    hit = np.zeros(len(column.values.values) + 1, dtype=np.bool_)
    hit[ids[rows]] = True
    hit[-1] = False  # the rows without the label are no place
    return hit[ids]


def _near_required(table: NodeTable, pod: PodInfo, required: tuple[AffinityTerm, ...]) -> Bools:
    """Return the nodes where every required term finds a Pod that matches all of them.

    The first Pod of a kind that wants to be near its own kind may go anywhere that has the labels.
    """
    matching = table.index.tally(*dict.fromkeys(term.pods for term in required))
    counts = matching.counts[: table.size]
    labelled = np.ones(table.size, dtype=np.bool_)
    near = np.ones(table.size, dtype=np.bool_)
    nobody = True
    for term in required:
        ids = table.labels.column(term.topology_key).ids[: table.size]
        labelled &= ids >= 0
        here = _spread_over(ids, counts)
        near &= here > 0
        nobody = nobody and not here.any()
    if nobody and _matches_itself(table, pod, required):
        return labelled
    return near & labelled


def _matches_itself(table: NodeTable, pod: PodInfo, required: tuple[AffinityTerm, ...]) -> bool:
    labels = table.index.namespace_labels(pod.namespace)
    return all(term.pods.matches(pod.namespace, labels, pod.labels) for term in required)


def _concerns(pod: PodInfo, event: ClusterEvent) -> bool:
    """Say whether a Pod that came, went or changed is one that the refused Pod's terms are about, or the reverse."""
    for other in (event.old, event.new):
        if other is None:
            continue
        info = PodInfo(other)
        for term in pod.affinity_terms:
            if not term.weight and _may_match(term, info):
                return True
        if any(term.kind == "anti-required" and _may_match(term, pod) for term in info.affinity_terms):
            return True
    return False


def _may_match(term: AffinityTerm, pod: PodInfo) -> bool:
    """Match without knowing the namespaces' labels: a term that selects namespaces may mean any."""
    inside = pod.namespace in term.pods.namespaces or not term.pods.namespace_selector.nothing
    return inside and term.pods.selector.matches(pod.labels)
