"""What makes a txn one that no store may accept; pure checks that every store shares.

The rules are etcd's: `checkTxnRequest` as its API reference describes it (empty keys, too many operations, a key put
twice, contradictory options).
"""

from __future__ import annotations

from typing import Final, TypeAlias, get_args

from orchestra.errors import InvalidTxn
from orchestra.store.model import (
    FROM_KEY,
    MAX_TXN_BYTES,
    MAX_TXN_OPS,
    Compare,
    CompareOperator,
    Delete,
    Op,
    Put,
    Range,
    SortTarget,
    Txn,
)

Interval: TypeAlias = tuple[bytes, bytes | None]

MAX_LEASE_TTL_SECONDS: Final = 9_000_000_000
"""etcd's own bound."""

_TARGETS: Final[dict[str, type]] = {
    "value": bytes,
    "version": int,
    "create_revision": int,
    "mod_revision": int,
    "lease": int,
}
_OPERATORS: Final = frozenset(get_args(CompareOperator))
_SORT_TARGETS: Final = frozenset(get_args(SortTarget))


def interval(key: bytes, range_end: bytes) -> Interval:
    """Return the half-open interval that `key` and `range_end` mean; an end of None is the end of all keys."""
    if not range_end:
        return key, key + b"\x00"
    return key, None if range_end == FROM_KEY else range_end


def is_read_only(request: Txn) -> bool:
    """Return whether neither branch could change anything."""
    for op in (*request.success, *request.failure):
        kind = type(op)
        if kind is Range or (kind is Txn and is_read_only(op)):  # type: ignore[arg-type]
            continue
        return False
    return True


def check_txn(request: Txn) -> None:
    """Raise `InvalidTxn` if no store may accept `request`."""
    success, failure = request.success, request.failure
    if len(success) == 1 and type(success[0]) is Put and len(request.compare) <= 1:
        other = failure[0] if len(failure) == 1 else None
        if not failure or type(other) is Range:
            # By far the most frequent shapes: one put, with or without a condition, and a look if that fails.
            put = success[0]
            _check_put(put)
            size = len(put.key) + len(put.value)
            if size > MAX_TXN_BYTES:
                raise _too_large(size)
            for compare in request.compare:
                _check_compare(compare)
            if type(other) is Range:
                check_range(other)
            return
    if (size := _check_shape(request, MAX_TXN_OPS - (request.fence is not None))) > MAX_TXN_BYTES:
        raise _too_large(size)
    _written(request)


def check_range(request: Range) -> None:
    """Raise `InvalidTxn` if no store may answer `request`."""
    if not request.key:
        raise InvalidTxn("key is not provided")
    if request.limit < 0 or request.revision < 0:
        raise InvalidTxn("a limit or revision cannot be negative")
    if request.sort_by != "key" and request.sort_by not in _SORT_TARGETS:
        raise InvalidTxn(f"no such field to sort by: {request.sort_by!r}")


def check_lease(lease_id: int, ttl_seconds: int) -> None:
    """Raise `InvalidTxn` if no store may grant such a lease."""
    if not 0 < ttl_seconds <= MAX_LEASE_TTL_SECONDS or lease_id <= 0:
        raise InvalidTxn(
            f"a lease needs an id above 0 and 1 to {MAX_LEASE_TTL_SECONDS} seconds, not {lease_id}, {ttl_seconds}"
        )


def _too_large(size: int) -> InvalidTxn:
    return InvalidTxn(f"request is too large: {size} bytes of keys and values, at most {MAX_TXN_BYTES} are allowed")


def _check_compare(compare: Compare) -> None:
    if not compare.key:
        raise InvalidTxn("key is not provided")
    if compare.target not in _TARGETS or compare.operator not in _OPERATORS:
        raise InvalidTxn(f"no such comparison: {compare.target!r} {compare.operator!r}")
    if type(compare.operand) is not _TARGETS[compare.target]:
        raise InvalidTxn(f"{compare.target} cannot be compared with {compare.operand!r}")


def _check_put(put: Put) -> None:
    if not put.key:
        raise InvalidTxn("key is not provided")
    if put.ignore_value and put.value:
        raise InvalidTxn("value is provided although it is to be ignored")
    if put.ignore_lease and put.lease:
        raise InvalidTxn("lease is provided although it is to be ignored")


def _check_shape(request: Txn, max_ops: int) -> int:
    """Check every operation by itself; return the bytes of keys and values that could be put."""
    ops = max(len(request.compare), len(request.success), len(request.failure))
    if ops > max_ops:
        raise InvalidTxn(f"too many operations in txn request, at most {MAX_TXN_OPS} are allowed")
    for compare in request.compare:
        _check_compare(compare)
    size = 0
    for op in (*request.success, *request.failure):
        match op:
            case Put():
                _check_put(op)
                size += len(op.key) + len(op.value)
            case Range():
                check_range(op)
            case Delete():
                if not op.key:
                    raise InvalidTxn("key is not provided")
            case Txn():
                if op.fence is not None:
                    raise InvalidTxn("a fence belongs to the outermost txn")
                size += _check_shape(op, max_ops - ops)
    return size


def _written(request: Txn) -> tuple[set[bytes], list[Interval]]:
    """Return the keys put and intervals deleted by either branch; the branches exclude each other."""
    puts, deletes = _written_by(request.success)
    other_puts, other_deletes = _written_by(request.failure)
    return puts | other_puts, deletes + other_deletes


def _written_by(ops: tuple[Op, ...]) -> tuple[set[bytes], list[Interval]]:
    """Return the keys put and intervals deleted by one branch; raise if a key would be changed twice."""
    puts: set[bytes] = set()
    deletes: list[Interval] = []
    for op in ops:
        if type(op) is Range:
            continue
        new_puts: set[bytes] = set()
        new_deletes: list[Interval] = []
        if type(op) is Put:
            new_puts = {op.key}
        elif type(op) is Delete:
            new_deletes = [interval(op.key, op.range_end)]
        elif type(op) is Txn:
            new_puts, new_deletes = _written(op)
        if puts & new_puts or _overlap(puts, new_deletes) or _overlap(new_puts, deletes):
            raise InvalidTxn("duplicate key given in txn request")
        puts |= new_puts
        deletes += new_deletes
    return puts, deletes


def _overlap(puts: set[bytes], deletes: list[Interval]) -> bool:
    return any(low <= key and (high is None or key < high) for low, high in deletes for key in puts)
