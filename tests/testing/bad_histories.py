"""Histories told by hand that break a rule each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs

from orchestra.errors import Compacted, FutureRevision, StaleFence, StoreError, WatchOverflow
from orchestra.store import (
    Compare,
    Delete,
    Event,
    Fence,
    KeyValue,
    Put,
    Range,
    RangeResult,
    Txn,
    WatchBatch,
    WatchRequest,
)
from orchestra.testing import History, Operation, Received, WatchRecord
from orchestra.testing.store_history import Compact, Revoke
from tests.store.naive import NaiveStore


class Told:
    """A history told by hand: each operation is done at once on the naive store, at the next moment."""

    def __init__(self) -> None:
        self.store = NaiveStore()
        self.operations: list[Operation] = []
        self.batches: list[Received] = []
        self.now = 0.0

    def do(self, client: str, request: Any, **changes: Any) -> Operation:
        self.now += 10
        answer: Any
        try:
            answer = self.store.range(request) if isinstance(request, Range) else self.store.txn(request)
        except StoreError as error:
            answer = error
        operation = Operation(client, request, answer, self.now, self.now + 1)
        self.operations.append(attrs.evolve(operation, **changes))
        return operation

    def put(self, client: str, key: bytes, value: bytes, **changes: Any) -> Operation:
        return self.do(client, Txn(success=(Put(key, value),)), **changes)

    def events(self, revision: int) -> tuple[Event, ...]:
        before = self.store.revisions[revision - 1]
        return tuple(
            Event(kv or KeyValue(key, b"", 0, revision, 0), before.get(key))
            for key, kv in self.store.changes(revision).items()
        )

    def told(self, revision: int, *events: Event, at: float = 1000.0) -> None:
        self.batches.append(Received(at + len(self.batches), WatchBatch(revision, events)))

    def history(self, **changes: Any) -> History:
        watch = WatchRecord("w", WatchRequest(b"\x00", b"\x00"), 0.0, 0.5, 1, tuple(self.batches))
        watches = (attrs.evolve(watch, **changes),) if self.batches or changes else ()
        return History(tuple(self.operations), watches)


def lost_update(t: Told) -> History:
    seen = t.put("a", b"n", b"0").answer.revision
    for client in ("b", "c"):
        swap = Txn((Compare(b"n", "mod_revision", "=", seen),), (Put(b"n", client.encode()),))
        t.do(client, swap)
    answer = t.operations[-1].answer
    won = attrs.evolve(answer, succeeded=True, revision=4, results=(t.operations[1].answer.results[0],))
    t.operations[-1] = attrs.evolve(t.operations[-1], answer=won)
    return t.history()


def stale_read(t: Told) -> History:
    t.put("a", b"n", b"0")
    old = t.do("b", Range(b"n")).answer
    t.put("a", b"n", b"1")
    t.do("b", Range(b"n"), answer=old)
    return t.history()


def read_of_a_value_that_never_was(t: Told) -> History:
    t.put("a", b"n", b"0")
    wrong = RangeResult(2, (KeyValue(b"n", b"7", 2, 2, 1),), False, 1)
    t.do("b", Range(b"n"), answer=wrong)
    return t.history()


def reads_that_go_back(t: Told) -> History:
    """The write is still running, so either answer is right; but not the new one and then the old one."""
    t.put("a", b"n", b"0", returned=100.0)
    old = RangeResult(1, (), False, 0)
    t.do("b", Range(b"n"))
    t.do("c", Range(b"n"), answer=old)
    return t.history()


def wrong_past(t: Told) -> History:
    t.put("a", b"n", b"0")
    t.put("a", b"n", b"1")
    new = t.store.revisions[3][b"n"]
    t.do("b", Range(b"n", revision=2), answer=RangeResult(3, (new,), False, 1))
    return t.history()


def revision_used_twice(t: Told) -> History:
    first = t.put("a", b"n", b"0")
    t.do("b", Txn(success=(Put(b"m", b"1"),)), answer=first.answer)
    return t.history()


def writes_in_the_wrong_order(t: Told) -> History:
    t.put("a", b"n", b"0", called=50.0, returned=51.0)
    t.put("b", b"m", b"0", called=30.0, returned=31.0)
    return t.history()


def split_txn(t: Told) -> History:
    t.do("a", Txn(success=(Put(b"m", b"1"), Put(b"n", b"1"))))
    t.do("b", Range(b"m", b"o"), answer=RangeResult(2, (t.store.revisions[2][b"n"],), False, 1))
    return t.history()


def lost_write(t: Told) -> History:
    """It was acknowledged; another has its revision after a crash, as a watch tells."""
    t.put("a", b"n", b"0")
    t.told(2, Event(KeyValue(b"m", b"9", 2, 2, 1)))
    return t.history()


def unknown_write_that_happened_twice(t: Told) -> History:
    for _ in range(2):
        t.put("a", b"n", b"0")
    t.operations = [attrs.evolve(t.operations[0], answer=None, returned=None)]
    t.told(3, *t.events(2), *t.events(3))
    return t.history()


def unknown_write_that_happened_before_it_was_called(t: Told) -> History:
    t.put("a", b"n", b"0", answer=None, returned=None, called=500.0)
    t.put("b", b"m", b"0")
    t.told(3, *t.events(2), *t.events(3))
    return t.history()


def write_by_nobody(t: Told) -> History:
    t.put("a", b"n", b"0")
    t.put("ghost", b"m", b"0")
    t.operations.pop()
    t.told(3, *t.events(2), *t.events(3))
    return t.history()


def revision_that_is_missing(t: Told) -> History:
    for value in (b"0", b"1", b"2"):
        t.put("a", b"n", value)
    del t.operations[1]
    return t.history()


def fence_that_held_and_refused(t: Told) -> History:
    created = t.put("a", b"fence", b"").answer.revision
    t.do("a", Txn(success=(Put(b"n"),), fence=Fence(b"fence", created)), answer=StaleFence("stale"))
    return t.history()


def fence_that_was_stale_and_admitted(t: Told) -> History:
    created = t.put("a", b"fence", b"").answer.revision
    t.do("a", Txn(success=(Delete(b"fence"),)))
    admitted = t.put("a", b"n", b"").answer
    fenced = Txn(success=(Put(b"n", b""),), fence=Fence(b"fence", created))
    t.operations[-1] = attrs.evolve(t.operations[-1], request=fenced, answer=admitted)
    return t.history()


def refusal_of_a_revision_that_was_there(t: Told) -> History:
    t.put("a", b"n", b"0")
    t.do("b", Range(b"n", revision=2), answer=FutureRevision(2, 1))
    return t.history()


def refusal_of_what_was_not_compacted(t: Told) -> History:
    t.put("a", b"n", b"0")
    t.put("a", b"n", b"1")
    t.do("b", Range(b"n", revision=2), answer=Compacted(3))
    return t.history()


def read_of_what_was_compacted(t: Told) -> History:
    t.put("a", b"n", b"0")
    t.put("a", b"n", b"1")
    t.operations.append(Operation("c", Compact(3), None, 25.0, 26.0))
    t.do("b", Range(b"n", revision=2))
    return t.history()


def put_with_a_lease_that_was_revoked(t: Told) -> History:
    t.store.grant(1, 60)
    t.operations.append(Operation("a", Revoke(1), 1, 1.0, 2.0))
    t.do("b", Txn(success=(Put(b"n", lease=1),)))
    return t.history()


def key_that_outlived_its_lease(t: Told) -> History:
    t.store.grant(1, 60)
    t.do("b", Txn(success=(Put(b"n", lease=1),)))
    t.operations.append(Operation("a", Revoke(1), 2, 15.0, 16.0))
    return t.history()


def _three(t: Told) -> tuple[Event, Event, Event]:
    for key in (b"a", b"b", b"c"):
        t.put("a", key, b"")
    return t.events(2)[0], t.events(3)[0], t.events(4)[0]


def event_told_twice(t: Told) -> History:
    first, second, third = _three(t)
    t.told(3, first, second)
    t.told(4, second, third)
    return t.history()


def event_left_out(t: Told) -> History:
    first, _, third = _three(t)
    t.told(2, first)
    t.told(4, third)
    return t.history()


def events_out_of_order(t: Told) -> History:
    first, second, third = _three(t)
    t.told(4, second, first, third)
    return t.history()


def batches_out_of_order(t: Told) -> History:
    first, second, third = _three(t)
    t.told(3, first, second)
    t.told(2)
    t.told(4, third)
    return t.history()


def half_a_revision(t: Told) -> History:
    t.do("a", Txn(success=(Put(b"m", b"1"), Put(b"n", b"1"))))
    t.told(2, t.events(2)[0])
    return t.history()


def revision_in_two_batches(t: Told) -> History:
    t.do("a", Txn(success=(Put(b"m", b"1"), Put(b"n", b"1"))))
    one, other = t.events(2)
    t.told(2, one)
    t.told(3, other)
    return t.history()


def bookmark_too_early(t: Told) -> History:
    first, second, third = _three(t)
    t.told(3, first)
    t.told(4, second, third)
    return t.history()


def bookmark_beyond_everything(t: Told) -> History:
    first, second, third = _three(t)
    t.told(2, first)
    t.told(4)
    t.told(4, second, third)
    return t.history()


def event_from_before_the_start(t: Told) -> History:
    first, second, third = _three(t)
    t.told(4, first, second, third)
    return t.history(request=WatchRequest(b"\x00", b"\x00", start_revision=3))


def event_told_before_its_write(t: Told) -> History:
    _three(t)
    t.told(2, t.events(2)[0], at=5.0)
    return t.history()


def event_with_another_value(t: Told) -> History:
    first, _, third = _three(t)
    t.told(4, first, Event(KeyValue(b"b", b"other", 3, 3, 1)), third)
    return t.history()


def event_with_a_wrong_before(t: Told) -> History:
    first, second, third = _three(t)
    t.told(4, first, attrs.evolve(second, prev_kv=first.kv), third)
    return t.history()


def event_without_its_before(t: Told) -> History:
    for value in (b"0", b"1"):
        t.put("a", b"n", value)
    t.told(3, t.events(2)[0], attrs.evolve(t.events(3)[0], prev_kv=None))
    return t.history(request=WatchRequest(b"\x00", b"\x00", prev_kv=True))


def watches_that_disagree(t: Told) -> History:
    first, second, third = _three(t)
    t.told(4, first, second, third)
    history = t.history()
    other = attrs.evolve(
        history.watches[0],
        client="v",
        received=(Received(2000.0, WatchBatch(2, (Event(KeyValue(b"a", b"else", 2, 2, 1)),))),),
    )
    return attrs.evolve(history, watches=(*history.watches, other))


def answer_older_than_an_event(t: Told) -> History:
    first, second, third = _three(t)
    t.told(4, first, second, third, at=40.0)
    t.now = 100.0
    t.do("b", Range(b"c"), answer=RangeResult(3, (), False, 0))
    t.operations[2] = attrs.evolve(t.operations[2], returned=500.0)
    return t.history()


def quick_reader_that_was_ended(t: Told) -> History:
    first, _, _ = _three(t)
    t.told(2, first)
    request = WatchRequest(b"\x00", b"\x00", buffer_events=5)
    return t.history(request=request, error=WatchOverflow("too slow"), ended=2000.0)


def watch_refused_without_reason(t: Told) -> History:
    _three(t)
    request = WatchRequest(b"\x00", b"\x00", start_revision=2)
    return t.history(request=request, error=Compacted(3), ended=100.0)


def watch_of_what_was_compacted(t: Told) -> History:
    first, second, third = _three(t)
    t.operations.append(Operation("c", Compact(4), None, 45.0, 46.0))
    t.told(4, first, second, third)
    request = WatchRequest(b"\x00", b"\x00", start_revision=2)
    return t.history(request=request, called=50.0, returned=51.0, revision=4)


BAD: list[tuple[Callable[[Told], History], str, tuple[str, ...]]] = [
    (lost_update, "the answers of one store", ("c [30..31]", "put 'n'='c'")),
    (stale_read, "real time", ("b [40..41] range 'n' -> revision 2", "a [30..31]")),
    (read_of_a_value_that_never_was, "the answers of one store", ("b [20..21]", "'n'='7'", "'n'='0'")),
    (reads_that_go_back, "real time", ("c [30..31]", "b [20..21]")),
    (wrong_past, "the answers of one store", ("range 'n'@2", "'n'='1'@3", "'n'='0'@2")),
    (revision_used_twice, "a revision is used once", ("a [10..11]", "b [20..21]", "revision 2")),
    (writes_in_the_wrong_order, "real time", ("a [50..51]", "b [30..31]")),
    (split_txn, "the answers of one store", ("b [20..21]", "count 1", "count 2")),
    (lost_write, "true", ("put 'm'='9' at 2", "put 'n'='0'")),
    (unknown_write_that_happened_twice, "a revision has its write", ("revision 3", "a [10..never answered]")),
    (unknown_write_that_happened_before_it_was_called, "a revision has its write", ("revision 2", "put 'n'='0'")),
    (write_by_nobody, "a revision has its write", ("revision 3", "put 'm'='0'", "no unanswered one")),
    (revision_that_is_missing, "a revision has its write", ("revision 3", "no answered write", "no watch")),
    (fence_that_held_and_refused, "a refusal has its reason", ("a [20..21]", "fence 'fence'@2", "StaleFence")),
    (fence_that_was_stale_and_admitted, "the answers of one store", ("fence 'fence'@2", "stale at revision 3")),
    (refusal_of_a_revision_that_was_there, "a refusal has its reason", ("b [20..21]", "FutureRevision")),
    (refusal_of_what_was_not_compacted, "compaction", ("b [30..31]", "Compacted")),
    (read_of_what_was_compacted, "compaction", ("b [30..31]", "compacted at 3")),
    (put_with_a_lease_that_was_revoked, "the answers of one store", ("b [10..11]", "lease 1")),
    (key_that_outlived_its_lease, "the answers of one store", ("revoke lease 1", "attached")),
    (event_told_twice, "unique", ("twice of put 'b'='' at 3",)),
    (event_left_out, "reliable", ("put 'b'='' at 3 is missing", "watch of w")),
    (events_out_of_order, "ordered", ("3: put 'b'='', 2: put 'a'=''",)),
    (batches_out_of_order, "ordered", ("revision 2 after 3",)),
    (half_a_revision, "atomic", ("put 'n'='1' at 2 is missing",)),
    (revision_in_two_batches, "atomic", ("put 'n'='1' at 2 is missing",)),
    (bookmark_too_early, "bookmarkable", ("put 'b'='' at 3 is missing", "up to 3")),
    (bookmark_beyond_everything, "bookmarkable", ("put 'b'='' at 3 is missing", "up to 4")),
    (event_from_before_the_start, "resumable", ("put 'a'='' at 2", "before its start")),
    (event_told_before_its_write, "real time", ("a [10..11]", "told of revision 2 at 5")),
    (event_with_another_value, "true", ("put 'b'='other' at 3",)),
    (event_with_a_wrong_before, "prev_kv", ("put 'b'='' at 3",)),
    (event_without_its_before, "prev_kv", ("put 'n'='1' at 3", "None before it")),
    (watches_that_disagree, "watches agree", ("watch of w", "watch of v", "else")),
    (answer_older_than_an_event, "real time", ("b [110..111]", "told of revision 4 at 40")),
    (quick_reader_that_was_ended, "only a slow reader is ended", ("at most 2 events",)),
    (watch_refused_without_reason, "resumable", ("Compacted",)),
    (watch_of_what_was_compacted, "compaction", ("although 4 was compacted",)),
]
