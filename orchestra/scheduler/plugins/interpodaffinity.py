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
from orchestra.scheduler.podindex import TermRecord
from orchestra.scheduler.podinfo import AffinityTerm, PodInfo, PodTerm
from orchestra.scheduler.view import Nodes

_EXISTING: Final = 1
_ANTI: Final = 2
_AFFINITY: Final = 3
"""Codes, the higher the sooner it is looked at: the highest of a node is the reason."""
_REJECTIONS: Final = ByCode(
    (
        Rejection(("node(s) didn't satisfy existing pods anti-affinity rules",)),
        Rejection(("node(s) didn't match pod anti-affinity rules",)),
        Rejection(("node(s) didn't match pod affinity rules",), resolvable=False),
    )
)


def _of_kind(pod: PodInfo, kind: str) -> tuple[AffinityTerm, ...]:
    return tuple(term for term in pod.affinity_terms if term.kind == kind)


@attrs.frozen
class InterPodAffinity(Plugin):
    """Refuses and prefers nodes by the Pods that run in the same place, a place being a value of a node label."""

    name: ClassVar[str] = "InterPodAffinity"
    core_shape_only: ClassVar[bool] = True
    skip_holds: ClassVar[bool] = True
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
        """Return when the Pods that have terms about this one, and those that its own terms are about, last changed."""
        index = table.index
        records = tuple([record.version for record in index.matching(pod)])
        return records, tuple([index.tally(*terms).version for terms in _asked(pod)])

    def filter(self, _state: CycleState, pod: PodInfo, nodes: Nodes) -> Rejections:
        """Refuse nodes by the Pod's own affinity, its own anti-affinity, and that of Pods that run, in this order."""
        table = nodes.table
        verdicts: dict[str, Ints] = {}
        for record in _live(table.index.matching(pod), "anti-required"):
            _note(
                verdicts,
                record.term.topology_key,
                record.by_domain(table.labels, record.term.topology_key) > 0,
                _EXISTING,
            )
        for term in _of_kind(pod, "anti-required"):
            counts = table.index.tally(term.pods).by_domain(table.labels, term.topology_key)
            _note(verdicts, term.topology_key, counts > 0, _ANTI)
        required = _of_kind(pod, "required")
        if required:
            for key, far in _far_from_required(table, pod, required).items():
                _note(verdicts, key, far, _AFFINITY)
        codes = [verdict.take(nodes.label_places(key)) for key, verdict in verdicts.items()]
        worst: Ints = np.maximum.reduce(codes) if codes else np.zeros(nodes.count, dtype=np.int64)
        return Rejections(worst, _REJECTIONS)

    def pre_score(self, state: CycleState, pod: PodInfo, nodes: Nodes, _feasible: Bools) -> Status | None:
        """Add up, by place, what the Pod thinks of the Pods there and they of it; skip when there is nothing."""
        index, labels = nodes.table.index, nodes.table.labels
        has_wishes = any(term.weight for term in pod.affinity_terms)
        if not has_wishes and (self.ignore_wishes_of_others or not index.matching(pod)):
            return SKIP
        counted: list[tuple[str, Ints, int]] = []
        for term in pod.affinity_terms:
            if term.weight:
                sums = index.tally(term.pods).by_domain(labels, term.topology_key)
                counted.append((term.topology_key, sums, term.weight if term.kind == "preferred" else -term.weight))
        for record in index.matching(pod):
            key, weight = record.term.topology_key, self._weight_of(record.term)
            if weight and record.rows:
                counted.append((key, record.by_domain(labels, key), weight))
        counted = [each for each in counted if each[1].any()]
        if not counted:
            return SKIP
        by_key: dict[str, Ints] = {}
        for key, sums, weight in counted:
            by_key[key] = by_key[key] + sums * weight if key in by_key else sums * weight
        everywhere = Nodes(nodes.table)
        parts = [sums.take(everywhere.label_places(key)) for key, sums in by_key.items()]
        state.write(self.name, sum(parts[1:], start=parts[0]))
        return None

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


def _asked(pod: PodInfo) -> Iterable[tuple[PodTerm, ...]]:
    """Return what the Pod's own terms ask the index: each by itself, the required ones also together."""
    if not pod.affinity_terms:
        return ()
    alone = [(term.pods,) for term in pod.affinity_terms if term.kind != "required"]
    together = tuple(dict.fromkeys(term.pods for term in _of_kind(pod, "required")))
    return [*alone, together] if together else alone


def _note(verdicts: dict[str, Ints], key: str, domains: Bools, code: int) -> None:
    """Note a code for some values of a label; the last entry is for the nodes that lack it."""
    known = verdicts.get(key)
    verdicts[key] = domains * code if known is None else np.maximum(known, domains * code)


def _far_from_required(table: NodeTable, pod: PodInfo, required: tuple[AffinityTerm, ...]) -> dict[str, Bools]:
    """Return by label the values where a required term finds no Pod that matches all of them.

    The first Pod of a kind that wants to be near its own kind may go anywhere that has the labels.
    """
    matching = table.index.tally(*dict.fromkeys(term.pods for term in required))
    far = {term.topology_key: matching.by_domain(table.labels, term.topology_key) == 0 for term in required}
    if all(domains.all() for domains in far.values()) and _matches_itself(table, pod, required):
        for domains in far.values():
            domains[:-1] = False
    return far


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
