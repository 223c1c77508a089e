"""A model of the store that is slow and obviously right: every revision is a whole dict."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from orchestra.errors import Compacted, FutureRevision, LeaseNotFound
from orchestra.store import Compare, Delete, KeyValue, Op, Put, Range, Txn

Keys = dict[bytes, KeyValue]
OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
}


def within(key: bytes, low: bytes, end: bytes) -> bool:
    if not end:
        return key == low
    return key >= low and (end == b"\x00" or key < end)


class NaiveStore:
    def __init__(self) -> None:
        self.revisions: list[Keys] = [{}, {}]
        """The keyspace at each revision; an empty store is at revision 1."""
        self.compact_revision = 0
        self.leases: set[int] = set()

    @property
    def revision(self) -> int:
        return len(self.revisions) - 1

    def range(self, request: Range) -> tuple[list[KeyValue], bool, int]:
        return self._range(request, self.revisions)

    def _range(self, request: Range, revisions: list[Keys]) -> tuple[list[KeyValue], bool, int]:
        if request.revision > len(revisions) - 1:
            raise FutureRevision(request.revision, len(revisions) - 1)
        if request.revision and request.revision < self.compact_revision:
            raise Compacted(self.compact_revision)
        keys = revisions[request.revision or -1]
        kvs = sorted(
            (kv for kv in keys.values() if within(kv.key, request.key, request.range_end)), key=lambda kv: kv.key
        )
        count = len(kvs)
        kvs = [kv for kv in kvs if kv.mod_revision >= request.min_mod_revision]
        kvs.sort(key=lambda kv: getattr(kv, request.sort_by), reverse=request.descending)
        more = bool(request.limit) and len(kvs) > request.limit
        return kvs[: request.limit] if request.limit else kvs, more, count

    def txn(self, request: Txn) -> tuple[bool, int]:
        """Apply; return whether the compares held, and the revision after."""
        before = self.revisions[-1]
        keys = dict(before)
        changed = self._apply(request, before, keys)
        held = self._holds(request, before)
        if changed:
            self.revisions.append(keys)
        return held, self.revision

    def _holds(self, request: Txn, keys: Keys) -> bool:
        return all(self._compare(compare, keys) for compare in request.compare)

    def _compare(self, compare: Compare, keys: Keys) -> bool:
        kvs = [kv for kv in keys.values() if within(kv.key, compare.key, compare.range_end)]
        if not kvs:
            return compare.target != "value" and OPERATORS[compare.operator](0, compare.operand)
        return all(OPERATORS[compare.operator](getattr(kv, compare.target), compare.operand) for kv in kvs)

    def _apply(self, request: Txn, before: Keys, keys: Keys) -> bool:
        changed = False
        for op in request.success if self._holds(request, before) else request.failure:
            changed |= self._do(op, before, keys)
        return changed

    def _do(self, op: Op, before: Keys, keys: Keys) -> bool:
        revision = len(self.revisions)
        match op:
            case Put():
                if op.lease and op.lease not in self.leases:
                    raise LeaseNotFound(str(op.lease))
                old = keys.get(op.key)
                created, version = (old.create_revision, old.version + 1) if old else (revision, 1)
                keys[op.key] = KeyValue(op.key, op.value, created, revision, version, op.lease)
                return True
            case Delete():
                doomed = [key for key in keys if within(key, op.key, op.range_end)]
                for key in doomed:
                    del keys[key]
                return bool(doomed)
            case Txn():
                return self._apply(op, before, keys)
            case Range():
                # The txn's own revision exists for its reads as soon as it has changed something.
                self._range(op, self.revisions if keys == before else [*self.revisions, keys])
        return False

    def revoke(self, lease: int) -> None:
        keys = {key: kv for key, kv in self.revisions[-1].items() if kv.lease != lease}
        self.leases.remove(lease)
        if len(keys) != len(self.revisions[-1]):
            self.revisions.append(keys)

    def changes(self, revision: int) -> dict[bytes, KeyValue | None]:
        """What a revision changed: the key as it became, None if it was deleted."""
        old, new = self.revisions[revision - 1], self.revisions[revision]
        return {key: new.get(key) for key in sorted({*old, *new}) if old.get(key) != new.get(key)}
