"""The operations of a history done again, one revision after another, on the plain model. Pure."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from orchestra.errors import FutureRevision, LeaseNotFound, StoreError
from orchestra.store import Event, KeyValue, Range, RangeResult, Txn, TxnResult
from orchestra.store.rules import check_range, check_txn
from orchestra.testing import store_reference as reference
from orchestra.testing.linearizability import Operation
from orchestra.testing.store_history import History, Revoke, puts_with_lease, ranges_of, same_answer, show


class _NotRevoked:
    """Leases as far as a history knows them: one exists unless it was revoked."""

    def __init__(self) -> None:
        self.revoked: set[int] = set()

    def __contains__(self, lease: object) -> bool:
        return lease not in self.revoked


class Replay:
    """The keyspace as it was, moving on from revision to revision."""

    def __init__(self, history: History, asked: set[int]) -> None:
        self.revision = self._begin = history.revision
        self.keys: dict[bytes, KeyValue] = {kv.key: kv for kv in history.keys}
        self.events: dict[int, tuple[Event, ...]] = {}
        """What each revision changed, in order."""
        self.calls: dict[int, float] = {}
        """When the write of a revision was called, where that is known."""
        self._asked = asked
        self._saved: dict[int, dict[bytes, KeyValue]] = {}
        self._leases = _NotRevoked()
        self._save()

    def write(self, op: Operation) -> str | None:
        """Do an answered write, which makes the next revision; return what is wrong with its answer."""
        try:
            applied = self._apply(op)
        except StoreError as error:
            return f"at revision {self.revision} a store refuses this ({error}): {show(op)}"
        if isinstance(op.request, Revoke):
            self._leases.revoked.add(op.request.lease)
        elif not applied.events or not (
            self._asks_about_before(op) or same_answer(op.request, applied.result, op.answer)
        ):
            found = attrs.evolve(op, answer=applied.result)
            return f"it stands where only another answer is right: {show(op)}; right is {show(found)}\n  {op.answer}"
        self.calls[self.revision + 1] = op.called
        self._move(applied.keys, applied.events)
        return None

    def would_be(self, op: Operation, events: tuple[Event, ...]) -> bool:
        """Return whether an unanswered operation, done now, makes just these events."""
        try:
            applied = self._apply(op)
        except StoreError:
            return False
        return bool(applied.events) and _kvs(applied.events) == _kvs(events)

    def take(self, events: tuple[Event, ...]) -> None:
        """Move on by what watches told of the next revision."""
        keys = dict(self.keys)
        whole: list[Event] = []
        for event in events:
            whole.append(Event(event.kv, keys.get(event.kv.key)))
            if event.is_delete:
                keys.pop(event.kv.key, None)
            else:
                keys[event.kv.key] = event.kv
        self._move(keys, tuple(whole))

    def read(self, op: Operation) -> str | None:
        """Return what is wrong with the answer of an operation that changed nothing at this revision."""
        if isinstance(op.request, Revoke):
            held = [kv.key for kv in self.keys.values() if kv.lease == op.request.lease]
            self._leases.revoked.add(op.request.lease)
            return f"{show(op)}, but keys were attached: {held}" if held else None
        if self._asks_about_before(op):
            return None
        try:
            expected: RangeResult | TxnResult
            if isinstance(op.request, Range):
                expected = reference.read(op.request, self._past(op.request.revision), self.revision)
                right = same_answer(op.request, expected, op.answer)
            else:
                applied = self._apply(op)
                expected, right = applied.result, same_answer(op.request, applied.result, op.answer)
                if applied.events:
                    return f"it says that nothing changed, but it should have: {show(op)}"
        except StoreError as error:
            return f"at revision {self.revision} a store refuses this ({error}): {show(op)}"
        if right:
            return None
        found = attrs.evolve(op, answer=expected)
        return f"wrong answer: {show(op)}; right is {show(found)}\n  {op.answer}\n  {expected}"

    def refuses(self, op: Operation) -> bool:
        """Return whether what an operation was refused with is right at this revision."""
        if isinstance(op.answer, LeaseNotFound):
            return puts_with_lease(op.request)
        try:
            if isinstance(op.request, Range):
                check_range(op.request)
                self._past(op.request.revision)
            else:
                self._apply(op)
        except StoreError as error:
            return isinstance(error, (type(op.answer), LeaseNotFound))
        return False

    def _apply(self, op: Operation) -> reference.Applied:
        if isinstance(op.request, Revoke):
            return reference.revoke(op.request.lease, self.keys, self.revision)
        assert isinstance(op.request, Txn)
        check_txn(op.request)
        return reference.apply(op.request, self.keys, self.revision, self._past, self._leases)

    def _asks_about_before(self, op: Operation) -> bool:
        """Return whether an operation reads a revision from before the recording, of which nothing is known."""
        return any(0 < request.revision < self._begin for request in ranges_of(op.request))

    def _past(self, revision: int) -> Mapping[bytes, KeyValue]:
        if not revision or revision == self.revision:
            return self.keys
        if revision > self.revision:
            raise FutureRevision(revision, self.revision)
        return self._saved.get(revision, {})

    def _move(self, keys: dict[bytes, KeyValue], events: tuple[Event, ...]) -> None:
        self.revision += 1
        self.keys = keys
        self.events[self.revision] = events
        self._save()

    def _save(self) -> None:
        if self.revision in self._asked:
            self._saved[self.revision] = self.keys


def _kvs(events: tuple[Event, ...]) -> tuple[KeyValue, ...]:
    return tuple(event.kv for event in events)
