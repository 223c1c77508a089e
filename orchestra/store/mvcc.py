"""The engine of a store: multi-version concurrency control, synchronous and without any I/O.

A request is *staged*: it is decided against everything staged before it and gets its revision. Nobody can read it
yet. Once the log has it, it is *published*, in order. If the log refuses, everything that is not published is *taken
back*, and the engine is as if it had never been asked.

          published                 staged
    ... 41   42   43   |   44   45   46
                    revision        head

A store without a log publishes at once.
"""

from __future__ import annotations

import hashlib
import operator
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from orchestra.errors import Compacted, FutureRevision, InvalidTxn, LeaseExists, LeaseNotFound, StaleFence
from orchestra.store.changes import Change, Contents, Lease, Staged, said_at
from orchestra.store.keyspace import Keyspace
from orchestra.store.loading import FIRST_REVISION, History
from orchestra.store.model import (
    Compare,
    Delete,
    DeleteResult,
    Event,
    Fence,
    KeyspaceHash,
    KeyValue,
    OpResult,
    Put,
    PutResult,
    Range,
    RangeResult,
    Txn,
    TxnResult,
)
from orchestra.store.rules import check_lease, check_range, check_txn, interval

MAX_LOOK_BACK: Final = 1_000
"""Revisions that are looked through to count keys at a revision before the newest; further back keys are counted."""

_OPERATORS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
}


class Engine:
    """Keys, history and leases; see the module for staging. Deadlines of leases are not here."""

    def __init__(self) -> None:
        self.revision = FIRST_REVISION
        self.head = FIRST_REVISION
        self.compact_revision = 0
        self.leases: dict[int, Lease] = {}
        self._keyspace = Keyspace()
        self._log: list[tuple[Event, ...]] = []
        """The events of each revision, without gaps, from `_log_start` on."""
        self._log_start = FIRST_REVISION + 1
        self._staged: deque[Change] = deque()
        self._dead: list[KeyValue] = []
        """Versions that the log still had although a compaction had freed them: for the first sweep."""

    @classmethod
    def load(cls, contents: Contents) -> Engine:
        """Return the engine that wrote `contents`. Raises `CorruptStore` if they cannot be whole."""
        engine, history = cls(), History(contents)
        engine.compact_revision = history.compact_revision
        engine.revision = engine.head = history.revision
        engine.leases, engine._keyspace = history.leases, history.keyspace
        engine._log, engine._log_start, engine._dead = history.log, history.start, history.dead
        return engine

    # Reading what is published

    def range(self, request: Range) -> RangeResult:
        """Read at a published revision."""
        check_range(request)
        return self._range(request, self.revision)

    def read(self, request: Txn) -> TxnResult:
        """Run a txn that can change nothing on what is published."""
        check_txn(request)
        self._check_fence(request.fence, self.revision)
        return self._run(request, iter(self._choose(request, self.revision)), self.revision, [])

    def events_from(self, revision: int, limit: int) -> Iterator[tuple[Event, ...]]:
        """Yield the events of each published revision from `revision` on, stopping after about `limit` events.

        Raises `Compacted` when the first is asked for.
        """
        if revision < self.compact_revision:
            raise Compacted(self.compact_revision)
        for place in range(max(revision - self._log_start, 0), self.revision - self._log_start + 1):
            events = self._log[place]
            yield events
            limit -= len(events)
            if limit <= 0:
                return

    @property
    def keys(self) -> int:
        """How many keys exist."""
        return self._keyspace.live

    @property
    def dirty(self) -> bool:
        """Whether something is staged and not published."""
        return bool(self._staged)

    def contents(self) -> Iterator[KeyValue]:
        """Yield the published keys as they are now, in order of their keys."""
        return iter(self._keyspace.scan(b"", None, self.revision))

    def published_leases(self) -> dict[int, int]:
        """Return the whole time in seconds of each published lease, by id."""
        leases = {lease.id: lease.ttl_seconds for lease in self.leases.values()}
        for change in reversed(self._staged):
            if change.granted is not None:
                del leases[change.granted.id]
            if change.revoked is not None:
                leases[change.revoked.id] = change.revoked.ttl_seconds
        return leases

    def published_lease(self, lease_id: int) -> Lease:
        """Return a lease as it is published, with its keys. Raises `LeaseNotFound`."""
        if not self._staged:
            return self.lease(lease_id)
        published = self.published_leases()
        if lease_id not in published:
            raise LeaseNotFound(f"lease {lease_id} not found")
        lease = self.leases.get(lease_id)
        keys = dict(lease.keys) if lease is not None else {}
        for change in reversed(self._staged):
            for event in reversed(change.events):
                if event.kv.lease == lease_id:
                    keys.pop(event.kv.key, None)
                if event.prev_kv is not None and event.prev_kv.lease == lease_id:
                    keys[event.kv.key] = None
        return Lease(lease_id, published[lease_id], keys)

    def hash(self, revision: int = 0) -> KeyspaceHash:
        """Hash the history that is readable up to `revision`."""
        revision = self._readable(revision, self.revision)
        digest = hashlib.sha256()
        for kv in self._keyspace.history(self.compact_revision, revision):
            numbers = (len(kv.key), len(kv.value), kv.create_revision, kv.mod_revision, kv.version, kv.lease)
            digest.update(b"%d %d %d %d %d %d\n" % numbers)
            digest.update(kv.key)
            digest.update(kv.value)
        return KeyspaceHash(hash=digest.hexdigest(), revision=revision, compact_revision=self.compact_revision)

    # Staging

    def stage(self, request: Txn) -> Staged:
        """Decide `request`; nothing has happened if this raises."""
        check_txn(request)
        head = self.head
        if request.fence is not None:
            self._check_fence(request.fence, head)
        events: list[Event] = []
        try:
            result = self._run(request, iter(self._choose(request, head)), head, events)
        except BaseException:
            self._undo(events)
            raise
        if not events:
            return Staged(result)
        if len(result.results) > 1:
            result = TxnResult(head + 1, result.succeeded, tuple(said_at(one, head + 1) for one in result.results))
        return Staged(result, self._append(Change(head + 1, tuple(events))))

    def stage_grant(self, lease_id: int, ttl_seconds: int) -> Staged:
        """Stage a new lease."""
        check_lease(lease_id, ttl_seconds)
        if lease_id in self.leases:
            raise LeaseExists(f"lease {lease_id} already exists")
        lease = self.leases[lease_id] = Lease(lease_id, ttl_seconds)
        change = self._append(Change(self.head, granted=lease))
        return Staged(TxnResult(self.head, True, ()), change)

    def stage_revoke(self, lease_id: int) -> Staged:
        """Stage the end of a lease; its keys go in one revision, in order."""
        lease = self.lease(lease_id)
        events: list[Event] = []
        for key in sorted(lease.keys):
            self._delete_key(key, self.head + 1, events)
        del self.leases[lease_id]
        change = self._append(Change(self.head + bool(events), tuple(events), revoked=lease))
        return Staged(TxnResult(self.head, True, ()), change)

    def lease(self, lease_id: int) -> Lease:
        """Return a lease. Raises `LeaseNotFound`."""
        lease = self.leases.get(lease_id)
        if lease is None:
            raise LeaseNotFound(f"lease {lease_id} not found")
        return lease

    def publish(self) -> Change:
        """Let everybody see the oldest staged change."""
        change = self._staged.popleft()
        self.revision = change.revision
        return change

    def take_back(self) -> None:
        """Undo everything staged and not published, newest first."""
        while self._staged:
            change = self._staged.pop()
            if change.granted is not None:
                del self.leases[change.granted.id]
            if change.revoked is not None:
                self.leases[change.revoked.id] = change.revoked
            if change.events:
                self._log.pop()
                self._undo(change.events)
        self.head = self.revision

    # Compaction

    def check_compact(self, revision: int) -> None:
        """Raise if history cannot be compacted at `revision`."""
        if revision <= self.compact_revision:
            raise Compacted(self.compact_revision)
        if revision > self.revision:
            raise FutureRevision(revision, self.revision)

    def compact(self, revision: int) -> None:
        """Refuse reads below `revision` from now on; `sweep` then frees what only they could see."""
        self.check_compact(revision)
        self.compact_revision = revision

    def sweep(self, max_revisions: int) -> list[KeyValue] | None:
        """Free what is dead in the next `max_revisions` revisions and return it; None when all is swept."""
        if self._dead:
            dead, self._dead = self._dead, []
            return dead
        behind = self.compact_revision - self._log_start
        if behind <= 0:
            return None
        count = min(behind, max_revisions)
        # The events at the compact revision itself stay in the log, but what they replaced is dead.
        swept = self._log[: count + (count == behind)]
        del self._log[:count]
        self._log_start += count
        dead = []
        for events in swept:
            for event in events:
                dead += self._keyspace.forget(event.kv.key, self.compact_revision)
        return dead

    # Inside

    def _readable(self, revision: int, newest: int) -> int:
        if not revision:
            return newest
        if revision > newest:
            raise FutureRevision(revision, newest)
        if revision < self.compact_revision:
            raise Compacted(self.compact_revision)
        return revision

    def _range(self, request: Range, newest: int, now: int | None = None) -> RangeResult:
        """Read at a revision up to `newest`; inside a txn `now` is its own, which cannot be asked for by number."""
        current = newest if now is None else now
        revision = self._readable(request.revision, newest) if request.revision else current
        behind = self._log_start + len(self._log) - 1 - revision
        # What a txn has changed itself is not in the log: it sees all there is, and what was before is counted.
        counted = behind > MAX_LOOK_BACK or (request.revision and now is not None)
        return self._keyspace.range(request, revision, current, None if counted else self._changed_since(revision))

    def _changed_since(self, revision: int) -> Iterator[bytes]:
        for events in self._log[max(revision + 1 - self._log_start, 0) :]:
            for event in events:
                yield event.kv.key

    def _check_fence(self, fence: Fence | None, view: int) -> None:
        if fence is None:
            return
        kv = self._keyspace.at(fence.key, view)
        if kv is None or kv.create_revision != fence.create_revision:
            now = f"was created at {kv.create_revision}" if kv else "is gone"
            raise StaleFence(f"fence key {fence.key!r} {now}; this writer's is of {fence.create_revision}")

    def _choose(self, request: Txn, view: int) -> list[bool]:
        """Return which branch each txn takes, outermost first: all compares look at the state before the txn."""
        chosen = True
        for compare in request.compare:
            chosen = chosen and self._holds(compare, view)
        path = [chosen]
        for op in request.success if chosen else request.failure:
            if type(op) is Txn:
                path += self._choose(op, view)
        return path

    def _holds(self, compare: Compare, view: int) -> bool:
        check, operand, target = _OPERATORS[compare.operator], compare.operand, compare.target
        if compare.range_end:
            kvs = self._keyspace.scan(*interval(compare.key, compare.range_end), view)
            if kvs:
                return all(check(getattr(kv, target), operand) for kv in kvs)
        else:
            kv = self._keyspace.at(compare.key, view)
            if kv is not None:
                return check(getattr(kv, target), operand)
        return target != "value" and check(0, operand)

    def _run(self, request: Txn, path: Iterator[bool], view: int, events: list[Event]) -> TxnResult:
        """Do the branch that `path` names at revision `view` + 1, adding to `events`."""
        succeeded = next(path)
        results: list[OpResult] = []
        for op in request.success if succeeded else request.failure:
            kind = type(op)
            if kind is Put:
                results.append(self._put(op, view + 1, events))  # type: ignore[arg-type]
            elif kind is Range:
                results.append(self._range(op, view, view + bool(events)))  # type: ignore[arg-type]
            elif kind is Delete:
                results.append(self._delete(op, view + 1, events))  # type: ignore[arg-type]
            else:
                results.append(self._run(op, path, view, events))  # type: ignore[arg-type]
        return TxnResult(view + 1 if events else view, succeeded, tuple(results))

    def _put(self, op: Put, revision: int, events: list[Event]) -> PutResult:
        key, value, lease = op.key, op.value, op.lease
        prev = self._keyspace.latest(key)
        if op.ignore_value or op.ignore_lease:
            if prev is None:
                raise InvalidTxn(f"key not found: {key!r} must exist for its value or lease to be kept")
            value = prev.value if op.ignore_value else value
            lease = prev.lease if op.ignore_lease else lease
        if lease and lease not in self.leases:
            raise LeaseNotFound(f"lease {lease} not found")
        if prev is None:
            kv = KeyValue(key, value, revision, revision, 1, lease)
        else:
            kv = KeyValue(key, value, prev.create_revision, revision, prev.version + 1, lease)
            if prev.lease:
                self.leases[prev.lease].keys.pop(key, None)
        self._keyspace.push(kv)
        if lease:
            self.leases[lease].keys[key] = None
        events.append(Event(kv, prev))
        return PutResult(revision, prev if op.prev_kv else None)

    def _delete(self, op: Delete, revision: int, events: list[Event]) -> DeleteResult:
        if op.range_end:
            doomed = self._keyspace.scan(*interval(op.key, op.range_end), revision)
        else:
            kv = self._keyspace.latest(op.key)
            doomed = [kv] if kv is not None else []
        for kv in doomed:
            self._delete_key(kv.key, revision, events)
        return DeleteResult(revision if events else revision - 1, len(doomed), tuple(doomed) if op.prev_kv else ())

    def _delete_key(self, key: bytes, revision: int, events: list[Event]) -> None:
        prev = self._keyspace.latest(key)
        assert prev is not None
        kv = KeyValue(key, b"", 0, revision, 0, 0)
        if prev.lease:
            self.leases[prev.lease].keys.pop(key, None)
        self._keyspace.push(kv)
        events.append(Event(kv, prev))

    def _append(self, change: Change) -> Change:
        self._staged.append(change)
        if change.events:
            self._log.append(change.events)
            self.head = change.revision
        return change

    def _undo(self, events: Iterable[Event]) -> None:
        for event in reversed(tuple(events)):
            key = event.kv.key
            self._keyspace.pop(key)
            if event.kv.lease:
                self.leases[event.kv.lease].keys.pop(key, None)
            if event.prev_kv is not None and event.prev_kv.lease:
                self.leases[event.prev_kv.lease].keys[key] = None
