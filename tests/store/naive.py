"""A model of the store that is slow and obviously right: every revision is a whole dict."""

from __future__ import annotations

from orchestra.errors import Compacted, FutureRevision
from orchestra.store import KeyValue, Range, RangeResult, Txn, TxnResult
from orchestra.testing import store_reference as reference


class NaiveStore:
    def __init__(self) -> None:
        self.revisions: list[dict[bytes, KeyValue]] = [{}, {}]
        """The keyspace at each revision; an empty store is at revision 1."""
        self.compact_revision = 0
        self.leases: dict[int, int] = {}

    @property
    def revision(self) -> int:
        return len(self.revisions) - 1

    def past(self, revision: int) -> dict[bytes, KeyValue]:
        if revision > self.revision:
            raise FutureRevision(revision, self.revision)
        if revision < self.compact_revision:
            raise Compacted(self.compact_revision)
        return self.revisions[revision]

    def range(self, request: Range) -> RangeResult:
        keys = self.past(request.revision) if request.revision else self.revisions[-1]
        return reference.read(request, keys, self.revision)

    def txn(self, request: Txn) -> TxnResult:
        applied = reference.apply(request, self.revisions[-1], self.revision, self.past, self.leases)
        if applied.events:
            self.revisions.append(applied.keys)
        return applied.result

    def grant(self, lease: int, ttl_seconds: int) -> None:
        self.leases[lease] = ttl_seconds

    def revoke(self, lease: int) -> None:
        applied = reference.revoke(lease, self.revisions[-1], self.revision)
        del self.leases[lease]
        if applied.events:
            self.revisions.append(applied.keys)

    def held(self, lease: int) -> set[bytes]:
        return {kv.key for kv in self.revisions[-1].values() if kv.lease == lease}

    def changes(self, revision: int) -> dict[bytes, KeyValue | None]:
        """What a revision changed: the key as it became, None if it was deleted."""
        old, new = self.revisions[revision - 1], self.revisions[revision]
        return {key: new.get(key) for key in sorted({*old, *new}) if old.get(key) != new.get(key)}
