"""What passes between the engine, the log and the store: staged changes, and what a log has kept."""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from orchestra.store.model import DeleteResult, Event, KeyValue, OpResult, PutResult, RangeResult, TxnResult


@attrs.define(eq=False)
class Lease:
    """A lease and the keys attached to it (a dict for its order)."""

    id: int
    ttl_seconds: int
    keys: dict[bytes, None] = attrs.field(factory=dict)


@attrs.define(eq=False)
class Change:
    """What a staged request changes, as a log keeps it; `revision` is the store's once it is published."""

    revision: int
    events: tuple[Event, ...] = ()
    granted: Lease | None = None
    revoked: Lease | None = None


@attrs.define(eq=False)
class Staged:
    """The answer to a staged request, to be given when `change` is published; None if it changes nothing."""

    result: TxnResult
    change: Change | None = None


@attrs.frozen
class Contents:
    """What a log has kept: versions in order of their revisions (a deleted key has version 0), leases as (id, ttl)."""

    kvs: Iterable[KeyValue] = ()
    leases: Iterable[tuple[int, int]] = ()
    compact_revision: int = 0


@attrs.frozen
class LogSize:
    """Bytes that a log takes, and those of them that hold something."""

    size_bytes: int = 0
    in_use_bytes: int = 0


def said_at(result: OpResult, revision: int) -> OpResult:
    """Return what was answered inside a txn, saying the revision that the txn turned out to make."""
    match result:
        case PutResult():
            return result
        case RangeResult():
            return RangeResult(revision, result.kvs, result.more, result.count)
        case DeleteResult():
            return DeleteResult(revision, result.deleted, result.prev_kvs)
        case TxnResult():
            results = tuple(said_at(inner, revision) for inner in result.results)
            return TxnResult(revision, result.succeeded, results)
