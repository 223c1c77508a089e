"""`KeyValues`: a store's keys as a model for `linearize`, without revisions, so that keys are independent. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, TypeAlias

import attrs

from orchestra.errors import StoreError
from orchestra.store import (
    Delete,
    DeleteResult,
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
from orchestra.testing import store_reference as reference
from orchestra.testing.linearizability import Operation

Values: TypeAlias = tuple[KeyValue, ...]

_REVISIONS: Final = frozenset({"create_revision", "mod_revision"})


class KeyValues:
    """Keys with their values, versions and leases. Refused operations are taken to have done nothing.

    It models neither leases that end nor anything that asks for a revision; `parts` refuses such histories.
    """

    def __init__(self, keys: Iterable[KeyValue] = ()) -> None:
        self.initial: Values = _stripped(sorted(keys, key=lambda kv: kv.key))

    def step(self, state: Values, operation: Operation) -> Values | None:
        """Return the keys after `operation`, None if its answer is not right for `state`."""
        if operation.returned is not None and isinstance(operation.answer, StoreError):
            return state
        keys = {kv.key: kv for kv in state}
        if isinstance(operation.request, Range):
            expected = reference.read(operation.request, keys, 0)
            return state if operation.returned is None or expected == _bare(operation.answer) else None
        try:
            applied = reference.apply(operation.request, keys, 0, lambda _: keys, _Any())
        except StoreError:
            return None
        if operation.returned is not None and _bare(applied.result) != _bare(operation.answer):
            return None
        return _stripped(applied.keys[key] for key in sorted(applied.keys))

    @staticmethod
    def parts(operations: Iterable[Operation]) -> list[list[Operation]]:
        """Split a history into parts that can be checked one by one: no operation touches keys of two of them.

        Raises ValueError if an operation asks about revisions or a lease's end, which concern all keys at once.
        """
        ops = list(operations)
        known = sorted({key for op in ops for key, end in _touched(op.request) if not end})
        parent = {key: key for key in known}

        def root(key: bytes) -> bytes:
            while parent[key] != key:
                parent[key] = parent[parent[key]]
                key = parent[key]
            return key

        homes: list[bytes] = []
        for op in ops:
            keys = [key for low, end in _touched(op.request) for key in known if reference.within(key, low, end)]
            for key in keys:
                parent[root(key)] = root(keys[0])
            homes.append(keys[0] if keys else b"")
        parts: dict[bytes, list[Operation]] = {}
        for op, home in zip(ops, homes, strict=True):
            parts.setdefault(root(home) if home else b"", []).append(op)
        return list(parts.values())


class _Any:
    def __contains__(self, _: object) -> bool:
        return True


def _touched(request: Op) -> Iterator[tuple[bytes, bytes]]:
    """Yield key and range end of everything that a request reads or writes."""
    match request:
        case Range() if not _asks_for_revisions(request):
            yield request.key, request.range_end
        case Put():
            yield request.key, b""
        case Delete():
            yield request.key, request.range_end
        case Txn() if not any(compare.target in _REVISIONS for compare in request.compare) and not request.fence:
            for compare in request.compare:
                yield compare.key, compare.range_end
            for op in (*request.success, *request.failure):
                yield from _touched(op)
        case _:
            raise ValueError(f"this concerns all keys at once, so there are no parts: {request}")


def _asks_for_revisions(request: Range) -> bool:
    return request != attrs.evolve(
        request,
        revision=0,
        sort_by="key" if request.sort_by in _REVISIONS else request.sort_by,
        min_mod_revision=0,
        max_mod_revision=0,
        min_create_revision=0,
        max_create_revision=0,
    )


def _stripped(kvs: Iterable[KeyValue]) -> Values:
    return tuple(attrs.evolve(kv, create_revision=0, mod_revision=0) for kv in kvs)


def _bare(answer: OpResult) -> OpResult:
    """Return an answer without its revisions."""
    match answer:
        case RangeResult():
            return attrs.evolve(answer, revision=0, kvs=_stripped(answer.kvs))
        case PutResult():
            return PutResult(0, None if answer.prev_kv is None else _stripped([answer.prev_kv])[0])
        case DeleteResult():
            return DeleteResult(0, answer.deleted, _stripped(answer.prev_kvs))
        case TxnResult():
            return TxnResult(0, answer.succeeded, tuple(_bare(result) for result in answer.results))
