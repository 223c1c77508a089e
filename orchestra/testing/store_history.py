"""What clients of a store did and saw: the values that a recording is made of. Pure.

`check_history` in `store_history_check` says what a history proves; `Recorder` in `store_recorder` makes one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import attrs

from orchestra.store import (
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
    WatchBatch,
    WatchRequest,
)
from orchestra.testing.linearizability import Operation


@attrs.frozen
class Revoke:
    """The request that a lease ends; answered with the revision. One that is left unanswered may be an expiry."""

    lease: int

    def __str__(self) -> str:
        return f"revoke lease {self.lease}"


@attrs.frozen
class Compact:
    """The request to compact at a revision; answered with None when it is done."""

    revision: int

    def __str__(self) -> str:
        return f"compact at {self.revision}"


@attrs.frozen(eq=False)
class Received:
    """One batch of a watch, and when the reader got it."""

    at: float
    batch: WatchBatch


@attrs.frozen(eq=False)
class WatchRecord:
    """One watch from its opening (between `called` and `returned`) to its end, and what it told its reader.

    `revision` is the store's when it was opened, None if that was refused. `error` is what ended it or refused to open
    it (at `ended`), None if the reader left. One that resumes another is a record of its own, with a `start_revision`.
    """

    client: str
    request: WatchRequest
    called: float
    returned: float
    revision: int | None
    received: tuple[Received, ...] = ()
    error: Exception | None = None
    ended: float = math.inf

    @property
    def start(self) -> int:
        """The first revision that this watch is about."""
        return self.request.start_revision or (self.revision or 0) + 1

    @property
    def reached(self) -> int:
        """The revision up to which it has told everything."""
        return max((received.batch.revision for received in self.received), default=self.start - 1)

    def __str__(self) -> str:
        request = self.request
        return f"watch of {self.client} over {span(request.key, request.range_end)} from {self.start}"


@attrs.frozen(eq=False)
class History:
    """What was recorded, beginning with the store at `revision`, where it held `keys`.

    `Operation.request` is a `Range`, `Txn`, `Revoke` or `Compact`; `Operation.answer` is the result, or the
    `StoreError` with which it was refused. An operation whose outcome is not known has `returned` None.

    A write that was never answered can only be told from what watches saw: where there are such, record a watch of all
    keys too. Moments are of one clock for all clients. What was read at revisions before the first is not judged.
    """

    operations: tuple[Operation, ...]
    watches: tuple[WatchRecord, ...] = ()
    revision: int = 1
    keys: tuple[KeyValue, ...] = ()
    compact_revision: int = 0


@attrs.frozen
class Violation:
    """A rule that a history breaks; the text names the operations, watches and revisions that break it."""

    rule: str
    text: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.text}"


def span(key: bytes, range_end: bytes) -> str:
    """Return a key or range as text."""
    return repr(key)[1:] if not range_end else f"[{repr(key)[1:]}, {repr(range_end)[1:]})"


def show_event(event: Event) -> str:
    """Return an event as short text."""
    kv = event.kv
    return f"delete {span(kv.key, b'')}" if event.is_delete else f"put {span(kv.key, b'')}={_short(kv.value)}"


def show_events(events: tuple[Event, ...]) -> str:
    """Return events as text, each with its revision."""
    return ", ".join(f"{event.kv.mod_revision}: {show_event(event)}" for event in events) or "nothing"


def show_request(request: object) -> str:
    """Return a request as short text."""
    match request:
        case Txn():
            parts = [f"if {span(c.key, c.range_end)}.{c.target} {c.operator} {c.operand!r}" for c in request.compare]
            parts += [f"fence {span(request.fence.key, b'')}@{request.fence.create_revision}"] if request.fence else []
            parts += ["; ".join(show_request(op) for op in request.success) or "nothing"]
            parts += ["else " + "; ".join(show_request(op) for op in request.failure)] if request.failure else []
            return "txn(" + " ".join(parts) + ")"
        case Put():
            lease = f" lease {request.lease}" if request.lease else ""
            return f"put {span(request.key, b'')}={_short(request.value)}{lease}"
        case Delete():
            return f"delete {span(request.key, request.range_end)}"
        case Range():
            return f"range {span(request.key, request.range_end)}" + (
                f"@{request.revision}" if request.revision else ""
            )
    return str(request)


def show(operation: Operation) -> str:
    """Return an operation as text: who, when, what and the answer in short."""
    until = "never answered" if operation.returned is None else f"{operation.returned:g}"
    answer = operation.answer
    if isinstance(answer, RangeResult):
        kvs = ", ".join(f"{span(kv.key, b'')}={_short(kv.value)}@{kv.mod_revision}" for kv in answer.kvs[:8])
        told = f"revision {answer.revision}: {kvs or 'no keys'}, count {answer.count}"
    elif isinstance(answer, TxnResult):
        told = f"revision {answer.revision}, {'succeeded' if answer.succeeded else 'not succeeded'}"
    elif operation.returned is None:
        told = "unknown"
    else:
        told = f"{type(answer).__name__}: {answer}" if isinstance(answer, Exception) else f"{answer}"
    return f"{operation.client} [{operation.called:g}..{until}] {show_request(operation.request)} -> {told}"


def _short(value: bytes) -> str:
    return repr(value if len(value) <= 24 else value[:21] + b"...")[1:]


def ranges_of(request: object) -> Iterator[Range]:
    """Yield every range in a request, those of nested txns and of both branches too."""
    match request:
        case Range():
            yield request
        case Txn():
            for op in (*request.success, *request.failure):
                yield from ranges_of(op)


def puts_with_lease(request: object) -> bool:
    """Return whether a request could attach a key to a lease."""
    if isinstance(request, Txn):
        return any(puts_with_lease(op) for op in (*request.success, *request.failure))
    return isinstance(request, Put) and bool(request.lease)


def has_changed(result: OpResult) -> bool:
    """Return whether what was answered has changed a key."""
    match result:
        case PutResult():
            return True
        case DeleteResult():
            return result.deleted > 0
        case TxnResult():
            return any(has_changed(inner) for inner in result.results)
    return False


def same_answer(request: Op, expected: OpResult, found: object) -> bool:
    """Return whether `found` is `expected`, but for the order of keys that a range found equal in what it sorts by."""
    if isinstance(request, Txn) and isinstance(expected, TxnResult) and isinstance(found, TxnResult):
        branch = request.success if expected.succeeded else request.failure
        ends = [(result.revision, result.succeeded, len(result.results)) for result in (expected, found)]
        return ends[0] == ends[1] and all(map(same_answer, branch, expected.results, found.results))
    if not isinstance(request, Range) or request.sort_by == "key" or not isinstance(found, RangeResult):
        return expected == found
    assert isinstance(expected, RangeResult)
    told = [(result.revision, result.count, result.more, len(result.kvs)) for result in (expected, found)]
    fields = [[getattr(kv, request.sort_by) for kv in result.kvs] for result in (expected, found)]
    sorted_alike = fields[0] == fields[1] or (request.keys_only and request.sort_by == "value")
    return told[0] == told[1] and sorted_alike and (expected.more or set(expected.kvs) == set(found.kvs))
