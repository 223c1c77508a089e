"""etcd's six guarantees of a watch, as checks of what watches told. Pure.

They are those of etcd.io/docs/v3.6/learning/api_guarantees: *ordered* (by revision), *unique* (no event twice),
*reliable* (none left out), *atomic* (a revision comes whole), *resumable* (from a revision, for as long as it is not
compacted) and *bookmarkable* (what a batch says about a revision is true of all events up to it). A watch that resumes
another is checked as one that begins at its revision, which is what resuming means.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from itertools import accumulate, chain
from typing import TypeAlias

from orchestra.errors import Compacted, WatchOverflow
from orchestra.store import Event, WatchRequest
from orchestra.testing.store_history import Compact, History, Received, Violation, WatchRecord, show_event, show_events
from orchestra.testing.store_reference import within

Seen: TypeAlias = dict[int, dict[bytes, tuple[Event, WatchRecord]]]
"""The event of each key at each revision, and a watch that told it."""

Events: TypeAlias = Mapping[int, tuple[Event, ...]]
"""What each revision changed, in order."""


def events_seen(watches: tuple[WatchRecord, ...]) -> tuple[Seen, tuple[Violation, ...]]:
    """Return what watches told of each revision, in the order of the one that told most; and where they disagree."""
    told: dict[int, list[tuple[WatchRecord, list[Event]]]] = {}
    for watch in watches:
        for received in watch.received:
            for event in received.batch.events:
                tellers = told.setdefault(event.kv.mod_revision, [])
                if not tellers or tellers[-1][0] is not watch:
                    tellers.append((watch, []))
                tellers[-1][1].append(event)
    seen: Seen = {}
    for revision, tellers in told.items():
        known = seen[revision] = {}
        for watch, events in sorted(tellers, key=lambda teller: -len(teller[1])):
            for event in events:
                other, by = known.setdefault(event.kv.key, (event, watch))
                if other.kv != event.kv:
                    text = f"{by} was told {other.kv}, {watch} was told {event.kv}"
                    return seen, (Violation("watches agree", f"about revision {revision} {text}"),)
    return seen, ()


def check_watches(history: History, events: Events, calls: Mapping[int, float]) -> Iterator[Violation]:
    """Compare every watch with `events`; `calls` says when the write of a revision was called. One finding each."""
    compactions = Compactions(history)
    for watch in history.watches:
        findings = chain(_check_compaction(watch, compactions), _check(watch, history, events, calls, compactions))
        finding = next(findings, None)
        if finding is not None:
            yield finding


class Compactions:
    """How far history can have been, and must have been, compacted at a moment."""

    def __init__(self, history: History) -> None:
        ops = [op for op in history.operations if isinstance(op.request, Compact)]
        self._first = history.compact_revision
        self._begun = sorted((op.called, op.request.revision) for op in ops)
        self._done = sorted(
            (op.returned, op.request.revision) for op in ops if op.returned is not None and op.answer is None
        )
        self._highest_begun = list(accumulate((revision for _, revision in self._begun), max, initial=self._first))
        self._highest_done = list(accumulate((revision for _, revision in self._done), max, initial=self._first))

    def at_most(self, moment: float) -> int:
        """Return the highest revision at which a compaction had been asked for."""
        return self._highest_begun[bisect_left(self._begun, (moment, 0))]

    def at_least(self, moment: float) -> int:
        """Return the highest revision at which a compaction had been answered."""
        return self._highest_done[bisect_left(self._done, (moment, 0))]


def _check(
    watch: WatchRecord, history: History, events: Events, calls: Mapping[int, float], compactions: Compactions
) -> Iterator[Violation]:
    said = watch.start - 1
    told: set[tuple[bytes, int]] = set()
    for received in watch.received:
        yield from _check_batch(watch, received, said, told)
        known = _selected(watch.request, events, max(said, history.revision), received.batch.revision)
        found = tuple(event for event in received.batch.events if event.kv.mod_revision > history.revision)
        yield from _compare(watch, received, known, found)
        yield from _check_before(watch, known, found, compactions.at_most(received.at))
        for event in found:
            if calls.get(event.kv.mod_revision, received.at) > received.at:
                text = f"{watch} was told of {show_event(event)} before that was called"
                yield Violation("nothing is told before it is asked for", text)
        # A watch of the future may be told of a revision that is still below its start.
        said = max(said, received.batch.revision)
    if isinstance(watch.error, WatchOverflow):
        waiting = [r for r in events if r > watch.reached and calls.get(r, watch.ended) <= watch.ended]
        count = sum(len(_selected(watch.request, events, r - 1, r)) for r in waiting)
        if count <= watch.request.buffer_events:
            text = f"{watch} was ended by {watch.error!r}, but at most {count} events waited for it"
            yield Violation("only a slow reader is ended", text)


def _check_batch(
    watch: WatchRecord, received: Received, said: int, told: set[tuple[bytes, int]]
) -> Iterator[Violation]:
    """Check what needs no knowledge of what happened."""
    revision, events = received.batch.revision, received.batch.events
    if (revision < said and said >= watch.start) or (events and revision <= said):
        yield Violation("ordered", f"{watch} was told of revision {revision} after {said}")
    previous = 0
    for event in events:
        kv = event.kv
        if (kv.key, kv.mod_revision) in told:
            yield Violation("unique", f"{watch} was told twice of {show_event(event)} at {kv.mod_revision}")
        told.add((kv.key, kv.mod_revision))
        if kv.mod_revision < watch.start:
            text = f"{watch} was told of {show_event(event)} at {kv.mod_revision}, which is before its start"
            yield Violation("resumable", text)
        if kv.mod_revision < previous:
            yield Violation("ordered", f"{watch} was told in one batch: {show_events(events)}")
        previous = kv.mod_revision
        if kv.mod_revision <= said:
            text = f"{watch} was told of {show_event(event)} at {kv.mod_revision} after it was told"
            yield Violation("bookmarkable", f"{text} that all up to {said} was known")
        if kv.mod_revision > revision:
            text = f"{watch} was told of {show_event(event)} at {kv.mod_revision} in a batch"
            yield Violation("bookmarkable", f"{text} that says it goes up to {revision}")


def _compare(
    watch: WatchRecord, received: Received, known: tuple[Event, ...], found: tuple[Event, ...]
) -> Iterator[Violation]:
    right, told = ([(event.kv, event.kv.mod_revision) for event in events] for events in (known, found))
    if right == told:
        return
    about = f"{watch} was told {show_events(found)} up to {received.batch.revision}; it should be {show_events(known)}"
    extra = [event for event in found if (event.kv, event.kv.mod_revision) not in right]
    if extra:
        yield Violation("true", f"{show_event(extra[0])} at {extra[0].kv.mod_revision} is not what happened: {about}")
    missing = [event for event in known if (event.kv, event.kv.mod_revision) not in told]
    if not missing:
        yield Violation("ordered", about)
        return
    lost = missing[0].kv.mod_revision
    here = f"{show_event(missing[0])} at {lost} is missing: {about}"
    revisions = {event.kv.mod_revision for event in found}
    if lost in revisions:
        yield Violation("atomic", here)
    elif not revisions or lost > max(revisions):
        yield Violation("bookmarkable", here)
    yield Violation("reliable", here)


def _check_before(
    watch: WatchRecord, known: tuple[Event, ...], found: tuple[Event, ...], compacted: int
) -> Iterator[Violation]:
    """Check `prev_kv`, which may only be missing where it is compacted or was not asked for."""
    for event, right in zip(found, known, strict=True):
        if event.prev_kv == right.prev_kv:
            continue
        excused = not watch.request.prev_kv or event.kv.mod_revision - 1 < compacted
        if event.prev_kv is not None or not excused:
            text = f"{watch} was told {show_event(event)} at {event.kv.mod_revision} with {event.prev_kv} before it"
            yield Violation("prev_kv", f"{text}; it was {right.prev_kv}")


def _check_compaction(watch: WatchRecord, compactions: Compactions) -> Iterator[Violation]:
    if isinstance(watch.error, Compacted):
        told = watch.error.compact_revision
        # Just at the compact revision is allowed: older etcds forget its deletes, and then say that it is gone.
        if told > compactions.at_most(watch.ended) or watch.reached + 1 > told:
            text = f"{watch} had reached {watch.reached} and was ended by {watch.error!r}"
            yield Violation("resumable", f"{text}, but nothing that it still needs was compacted")
    elif watch.received and watch.start < (done := compactions.at_least(watch.called)):
        yield Violation("compaction", f"{watch} was opened although {done} was compacted")


def _selected(request: WatchRequest, events: Events, after: int, up_to: int) -> tuple[Event, ...]:
    """Return what a watch is to be told of the revisions between."""
    return tuple(
        event
        for revision in range(after + 1, up_to + 1)
        for event in events.get(revision, ())
        if within(event.kv.key, request.key, request.range_end)
        and (request.deletes if event.is_delete else request.puts)
    )
