"""What a store must answer, as slow and plain functions that are obviously right. Pure.

A keyspace is a dict of the keys that exist. The functions take one and return another; a store is compared with them.
Rules: etcd.io/docs/v3.6/learning/api, as `orchestra.store.model` words them.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Container, Mapping
from typing import Any, Final, TypeAlias

import attrs

from orchestra.errors import InvalidTxn, LeaseNotFound, StaleFence
from orchestra.store import (
    FROM_KEY,
    Compare,
    Delete,
    DeleteResult,
    Event,
    KeyValue,
    Op,
    OpResult,
    Put,
    PutResult,
    Range,
    RangeResult,
    Txn,
    TxnResult,
)

Keys: TypeAlias = Mapping[bytes, KeyValue]

Past: TypeAlias = Callable[[int], Keys]
"""Gives the keyspace of a past revision; raises `Compacted` or `FutureRevision`."""

_OPERATORS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
}


def within(key: bytes, low: bytes, range_end: bytes) -> bool:
    """Return whether `key` is in the range that `low` and `range_end` mean."""
    if not range_end:
        return key == low
    return key >= low and (range_end == FROM_KEY or key < range_end)


def read(request: Range, keys: Keys, revision: int) -> RangeResult:
    """Answer `request` on `keys`, saying that the store is at `revision`. Equal keys come in the order of the keys."""
    found = [keys[key] for key in sorted(keys) if within(key, request.key, request.range_end)]
    count = len(found)
    if request.count_only:
        return RangeResult(revision, (), False, count)
    found = [
        kv
        for kv in found
        if kv.mod_revision >= request.min_mod_revision
        and kv.create_revision >= request.min_create_revision
        and (not request.max_mod_revision or kv.mod_revision <= request.max_mod_revision)
        and (not request.max_create_revision or kv.create_revision <= request.max_create_revision)
    ]
    found.sort(key=operator.attrgetter(request.sort_by), reverse=request.descending)
    more = 0 < request.limit < len(found)
    if more:
        found = found[: request.limit]
    if request.keys_only:
        found = [attrs.evolve(kv, value=b"") for kv in found]
    return RangeResult(revision, tuple(found), more, count)


def holds(compare: Compare, keys: Keys) -> bool:
    """Return whether a condition is true of `keys`."""
    check = _OPERATORS[compare.operator]
    kvs = [kv for kv in keys.values() if within(kv.key, compare.key, compare.range_end)]
    if not kvs:
        return compare.target != "value" and check(0, compare.operand)
    return all(check(getattr(kv, compare.target), compare.operand) for kv in kvs)


@attrs.frozen
class Applied:
    """What a txn does to a keyspace: the keys after it, its events in order, and its answer."""

    keys: dict[bytes, KeyValue]
    events: tuple[Event, ...]
    result: TxnResult


def apply(request: Txn, keys: Keys, revision: int, past: Past, leases: Container[int]) -> Applied:
    """Do `request` on the keyspace of `revision`. Raises what a store would; refuses no txn for its shape."""
    fence = request.fence
    if fence is not None:
        kv = keys.get(fence.key)
        if kv is None or kv.create_revision != fence.create_revision:
            raise StaleFence(f"{fence} is stale at revision {revision}")
    applying = _Applying(dict(keys), dict(keys), revision, past, leases)
    applying.txn(request)
    # Once more, now that it is known which revision all the answers have to say.
    again = _Applying(dict(keys), dict(keys), revision, past, leases, says=applying.now)
    return Applied(applying.keys, tuple(applying.events), again.txn(request))


def revoke(lease: int, keys: Keys, revision: int) -> Applied:
    """End a lease at the keyspace of `revision`: its keys go, in order, in one revision."""
    doomed = tuple(Delete(key) for key in sorted(keys) if keys[key].lease == lease)
    return apply(Txn(success=doomed), keys, revision, lambda _: keys, ())


@attrs.define
class _Applying:
    before: Keys
    keys: dict[bytes, KeyValue]
    revision: int
    past: Past
    leases: Container[int]
    says: int = 0
    """The revision that all answers say."""
    events: list[Event] = attrs.field(factory=list)

    @property
    def now(self) -> int:
        """The revision after what was done so far."""
        return self.revision + bool(self.events)

    def txn(self, request: Txn) -> TxnResult:
        succeeded = all(holds(compare, self.before) for compare in request.compare)
        results = tuple(self.do(op) for op in (request.success if succeeded else request.failure))
        return TxnResult(self.says, succeeded, results)

    def do(self, op: Op) -> OpResult:
        match op:
            case Range():
                return read(op, self.past(op.revision) if op.revision else self.keys, self.says)
            case Put():
                return self.put(op)
            case Delete():
                doomed = [self.keys[key] for key in sorted(self.keys) if within(key, op.key, op.range_end)]
                for kv in doomed:
                    del self.keys[kv.key]
                    self.events.append(Event(KeyValue(kv.key, b"", 0, self.revision + 1, 0), kv))
                return DeleteResult(self.says, len(doomed), tuple(doomed) if op.prev_kv else ())
            case Txn():
                return self.txn(op)

    def put(self, op: Put) -> PutResult:
        old = self.keys.get(op.key)
        if old is None and (op.ignore_value or op.ignore_lease):
            raise InvalidTxn(f"{op.key!r} does not exist")
        value = old.value if old is not None and op.ignore_value else op.value
        lease = old.lease if old is not None and op.ignore_lease else op.lease
        if lease and lease not in self.leases:
            raise LeaseNotFound(f"lease {lease} not found")
        new = self.revision + 1
        created, version = (old.create_revision, old.version + 1) if old is not None else (new, 1)
        kv = self.keys[op.key] = KeyValue(op.key, value, created, new, version, lease)
        self.events.append(Event(kv, old))
        return PutResult(new, old if op.prev_kv else None)
