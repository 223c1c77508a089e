"""Pods interned by what terms can tell apart, so that topology and affinity counts are array operations.

All Pods with equal namespace, labels and deletion state are one `PodGroup` that knows how many of them each row of the
node table has. A `Tally` is a question ("Pods in these namespaces that this selector matches") with its answer per
row, kept current from the first time it is asked. A `TermRecord` is an affinity term together with the rows of the
Pods that carry it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias

import attrs
import numpy as np
from numpy.typing import NDArray

from orchestra.api.frozen import ABSENT_MAP
from orchestra.scheduler.columns import LabelColumns
from orchestra.scheduler.podinfo import AffinityTerm, PodInfo, PodTerm

MAX_TALLIES: Final = 1024
"""Tallies that are kept; the one not asked for the longest is dropped."""
SLACK: Final = 4096
"""Groups and terms without Pods that are kept before they are swept."""

Counts: TypeAlias = NDArray[np.int32]


@attrs.frozen(cache_hash=True)
class TallyKey:
    """Pods that match all of `terms`; those being deleted do not count with `skip_terminating`."""

    terms: tuple[PodTerm, ...]
    skip_terminating: bool = False


class _Domains:
    """Counts by the value of one label: `sums` by its number, and a last entry, of rows without it, that stays 0."""

    __slots__ = ("ids", "sums", "version")

    def __init__(self, ids: NDArray[np.int32], sums: NDArray[np.int64], version: int) -> None:
        self.ids = ids
        self.sums = sums
        self.version = version


class Counter:
    """Pods of rows, counted by label values too where somebody asks.

    `version` is that of the index when a Pod last came or went.
    """

    __slots__ = ("_domains", "version")

    def __init__(self, version: int) -> None:
        self.version = version
        self._domains: dict[str, _Domains] = {}

    def by_domain(self, labels: LabelColumns, key: str) -> NDArray[np.int64]:
        """Return how many Pods there are where the label `key` has each of its values, by their numbers.

        One more entry, for nodes that lack the label, is 0: number -1 finds it. Not to be changed.
        """
        known = self._domains.get(key)
        if known is None or known.version != labels.version:
            column = labels.column(key)
            sums = np.zeros(len(column.values.values) + 1, dtype=np.int64)
            rows, counts = self.sparse()
            np.add.at(sums, column.ids[rows], counts)
            sums[-1] = 0
            known = self._domains[key] = _Domains(column.ids, sums, labels.version)
        return known.sums

    def sparse(self) -> tuple[NDArray[np.intp], Counts]:
        """Return the rows that have such Pods, and how many."""
        raise NotImplementedError

    def _count_domains(self, row: int, delta: int, version: int) -> None:
        self.version = version
        for domains in self._domains.values():
            number = domains.ids.item(row)
            if 0 <= number < len(domains.sums) - 1:  # there are more values than sums if labels have changed since
                domains.sums[number] += delta


class Tally(Counter):
    """How many Pods of each row match a question."""

    __slots__ = ("counts", "key", "total")

    def __init__(self, key: TallyKey, capacity: int, version: int) -> None:
        super().__init__(version)
        self.key = key
        self.counts: Counts = np.zeros(capacity, dtype=np.int32)
        self.total = 0

    def add(self, row: int, delta: int, version: int) -> None:
        """Count Pods that come (1) or go (-1)."""
        self.counts[row] += delta
        self.total += delta
        self._count_domains(row, delta, version)

    def sparse(self) -> tuple[NDArray[np.intp], Counts]:
        """Return the rows that have matching Pods, and how many."""
        rows = np.flatnonzero(self.counts)
        return rows, self.counts[rows]


class TermRecord(Counter):
    """An affinity term that Pods carry, and how many of each row do."""

    __slots__ = ("rows", "term")

    def __init__(self, term: AffinityTerm, version: int) -> None:
        super().__init__(version)
        self.term = term
        self.rows: dict[int, int] = {}

    def add(self, row: int, delta: int, version: int) -> None:
        """Count Pods that come (1) or go (-1)."""
        count = self.rows.get(row, 0) + delta
        if count:
            self.rows[row] = count
        else:
            self.rows.pop(row, None)
        self._count_domains(row, delta, version)

    def sparse(self) -> tuple[NDArray[np.intp], Counts]:
        """Return the rows that have Pods with this term, and how many."""
        rows = np.fromiter(self.rows.keys(), dtype=np.intp, count=len(self.rows))
        return rows, np.fromiter(self.rows.values(), dtype=np.int32, count=len(self.rows))


class PodGroup:
    """Pods that no term can tell apart."""

    __slots__ = ("labels", "matches", "namespace", "rows", "seen", "tallies", "terminating")

    def __init__(self, namespace: str, labels: Mapping[str, str], terminating: bool) -> None:
        self.namespace = namespace
        self.labels = labels
        self.terminating = terminating
        self.rows: dict[int, int] = {}
        self.tallies: list[Tally] = []
        self.matches: list[TermRecord] = []
        self.seen = 0


class PodIndex:
    """All groups, tallies and terms of one node table."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.namespaces: dict[str, Mapping[str, str]] = {}
        self._groups: dict[tuple[str, Mapping[str, str], bool], PodGroup] = {}
        self._tallies: dict[TallyKey, Tally] = {}
        self._records: dict[AffinityTerm, TermRecord] = {}
        self._record_list: list[TermRecord] = []
        self._version = 0
        """Grows with every Pod and every term that comes or goes."""
        self._live_groups = 0
        self._live_records = 0

    def grow(self, capacity: int) -> None:
        """Make room for more rows."""
        for tally in self._tallies.values():
            grown = np.zeros(capacity, dtype=np.int32)
            grown[: self.capacity] = tally.counts
            tally.counts = grown
        self.capacity = capacity

    def set_namespace(self, name: str, labels: Mapping[str, str] | None) -> bool:
        """Note a namespace's labels (None: it is gone); returns whether anything that was counted may be wrong now."""
        known = self.namespaces.get(name)
        if known == labels:
            return False
        if labels is None:
            self.namespaces.pop(name, None)
        else:
            self.namespaces[name] = labels
        self._tallies.clear()
        self._forget_matches()
        for group in self._groups.values():
            group.tallies = []
        return True

    def _forget_matches(self) -> None:
        for group in self._groups.values():
            group.matches, group.seen = [], 0

    def namespace_labels(self, name: str) -> Mapping[str, str]:
        """Return the labels of a namespace; none when it is not known."""
        return self.namespaces.get(name, ABSENT_MAP)

    def group_of(self, pod: PodInfo) -> PodGroup:
        """Return the group that a Pod belongs to."""
        key = (pod.namespace, pod.labels, pod.terminating)
        group = self._groups.get(key)
        if group is None:
            if len(self._groups) > 2 * self._live_groups + SLACK:
                self._groups = {k: g for k, g in self._groups.items() if g.rows}
            group = self._groups[key] = PodGroup(*key)
            group.tallies = [tally for tally in self._tallies.values() if self._counts_in(tally.key, group)]
        return group

    def _counts_in(self, key: TallyKey, group: PodGroup) -> bool:
        if key.skip_terminating and group.terminating:
            return False
        labels = self.namespace_labels(group.namespace)
        return all(term.matches(group.namespace, labels, group.labels) for term in key.terms)

    def add(self, pod: PodInfo, row: int, delta: int = 1) -> None:
        """Count a Pod that comes to a row (1) or leaves it (-1)."""
        self._count_in(self.group_of(pod), row, delta)
        for term in pod.affinity_terms:
            self._count_term(term, row, delta)

    def relabel(self, pod: PodInfo, row: int, labels: Mapping[str, str]) -> bool:
        """Give a Pod of a row other labels; returns whether a tally counts it otherwise than before."""
        before = self.group_of(pod)
        pod.labels = labels
        after = self.group_of(pod)
        self._count_in(before, row, -1)
        self._count_in(after, row, 1)
        return set(before.tallies) != set(after.tallies)

    def _count_in(self, group: PodGroup, row: int, delta: int) -> None:
        count = group.rows.get(row, 0) + delta
        if not group.rows:
            self._live_groups += 1
        if count:
            group.rows[row] = count
        else:
            group.rows.pop(row, None)
        if not group.rows:
            self._live_groups -= 1
        self._version += 1
        for tally in group.tallies:
            tally.add(row, delta, self._version)

    def _count_term(self, term: AffinityTerm, row: int, delta: int) -> None:
        record = self._records.get(term)
        if record is None:
            if len(self._records) > 2 * self._live_records + SLACK:
                self._records = {t: r for t, r in self._records.items() if r.rows}
                self._record_list = list(self._records.values())
                self._forget_matches()
            record = self._records[term] = TermRecord(term, self._version)
            self._record_list.append(record)
        self._version += 1
        self._live_records -= bool(record.rows)
        record.add(row, delta, self._version)
        self._live_records += bool(record.rows)

    def matching(self, pod: PodInfo) -> list[TermRecord]:
        """Return the terms of other Pods that are about this Pod; some may have no Pods any more."""
        group = self.group_of(pod)
        if group.seen < len(self._record_list):
            labels = self.namespace_labels(group.namespace)
            for record in self._record_list[group.seen :]:
                if record.term.pods.matches(group.namespace, labels, group.labels):
                    group.matches.append(record)
            group.seen = len(self._record_list)
        return group.matches

    def tally(self, *terms: PodTerm, skip_terminating: bool = False) -> Tally:
        """Return the count per row of the Pods that match all of `terms`, kept current from now on."""
        return self.tally_of(TallyKey(terms, skip_terminating))

    def tally_of(self, key: TallyKey) -> Tally:
        """Do what `tally` does. Whoever keeps the result finds it out of date one day, as it was dropped."""
        tally = self._tallies.pop(key, None)
        if tally is None:
            if len(self._tallies) >= MAX_TALLIES:
                self._drop(next(iter(self._tallies)))
            tally = Tally(key, self.capacity, self._version)
            for group in self._groups.values():
                if self._counts_in(key, group):
                    group.tallies.append(tally)
                    for row, count in group.rows.items():
                        tally.counts[row] += count
                        tally.total += count
        self._tallies[key] = tally
        return tally

    def _drop(self, key: TallyKey) -> None:
        dropped = self._tallies.pop(key)
        for group in self._groups.values():
            if dropped in group.tallies:
                group.tallies.remove(dropped)
