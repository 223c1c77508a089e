"""Does a recorded history of a store keep the contract? Linearizability of its keys, and etcd's watch guarantees. Pure.

A store says with every answer at which revision it was given, so the order of the writes is known and no search is
needed: with a known order of writes the question is decided in O(n log n) (Gibbons and Korach, "Testing shared
memories", 1997). What is checked is exact for answered operations:

1. The order of revisions is that of real time: what had returned before another was called comes before it.
2. Done one after another in this order on a plain model, the operations get the answers that they got.
3. A write whose outcome was never known may stand behind a revision that no answered one made, once, at any moment
   after its call: revisions and such writes are matched (Kuhn's algorithm for bipartite matching).
4. What watches told is this order of events, whole and once each (`store_watch_guarantees`).

etcd checks itself in the same spirit: its robustness tests replay the operations in the order that watches saw. For
histories whose answers carry no revisions there is the search in `linearizability`.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Final

import attrs

from orchestra.errors import (
    Compacted,
    FutureRevision,
    InvalidTxn,
    LeaseNotFound,
    StaleFence,
    StoreError,
)
from orchestra.store import RangeResult, Txn, TxnResult
from orchestra.testing.linearizability import Operation
from orchestra.testing.store_history import (
    Compact,
    History,
    Revoke,
    Violation,
    has_changed,
    ranges_of,
    show,
    show_event,
)
from orchestra.testing.store_replay import Replay
from orchestra.testing.store_watch_guarantees import Compactions, Seen, check_watches, events_seen

_NEVER: Final = float("inf")


def check_history(history: History) -> tuple[Violation, ...]:
    """Return the rules that `history` breaks, the first of each kind; nothing when it keeps the contract."""
    return tuple(_Check(history).run())


@attrs.frozen(eq=False)
class Mark:
    """That somebody knew, between two moments, how far the store was.

    `position` is twice the revision that a write made, and one more for whoever saw that revision as the current one.
    """

    position: int
    called: float
    returned: float
    text: str


class _Check:
    def __init__(self, history: History) -> None:
        self.history = history
        self.seen: Seen = {}
        self.writes: dict[int, Operation] = {}
        """The answered operation that made each revision."""
        self.reads: dict[int, list[Operation]] = {}
        """Operations that changed nothing, and revokes, by the revision that they say is the current one."""
        self.unknown = [op for op in history.operations if op.returned is None and isinstance(op.request, Txn | Revoke)]
        self.refused = [op for op in history.operations if _is_refusal(op)]
        self.marks: list[Mark] = []
        self.earliest: list[float] = []
        """At n: when the first of the last n marks was known."""

    def run(self) -> Iterator[Violation]:
        """Yield what is broken. Later steps rest on earlier ones, so the first that finds something is the last."""
        for step in (self._collect, self._keep_time, self._compactions, self._replay):
            found = list(step())
            yield from found
            if found:
                return

    # What was answered

    def _collect(self) -> Iterator[Violation]:
        self.seen, disagreement = events_seen(self.history.watches)
        yield from disagreement
        for op in self.history.operations:
            if op.returned is None or isinstance(op.request, Compact) or isinstance(op.answer, Exception):
                continue
            revision: int = op.answer if isinstance(op.request, Revoke) else op.answer.revision
            if not isinstance(op.answer, TxnResult) or not has_changed(op.answer):
                self.reads.setdefault(revision, []).append(op)
                continue
            if revision in self.writes:
                both = f"{show(self.writes[revision])} and {show(op)}"
                yield Violation("a revision is used once", f"two writes made revision {revision}: {both}")
            self.writes[revision] = op

    # Real time

    def _keep_time(self) -> Iterator[Violation]:
        writes = {revision: [op] for revision, op in self.writes.items()}
        for kind, found in ((0, writes), (1, self.reads)):
            for revision, ops in found.items():
                for op in ops:
                    assert op.returned is not None
                    self.marks.append(Mark(2 * revision + kind, op.called, op.returned, show(op)))
        for watch in self.history.watches:
            if watch.revision is not None:
                text = f"{watch} was opened at revision {watch.revision}"
                self.marks.append(Mark(2 * watch.revision + 1, watch.called, watch.returned, text))
            for received in watch.received:
                text = f"{watch} was told of revision {received.batch.revision} at {received.at:g}"
                self.marks.append(Mark(2 * received.batch.revision + 1, -_NEVER, received.at, text))
        self.marks.sort(key=lambda mark: mark.position)
        self.earliest = list(accumulate((mark.returned for mark in reversed(self.marks)), min, initial=_NEVER))
        first: Mark | None = None
        waiting: list[Mark] = []
        for mark in reversed(self.marks):
            if waiting and waiting[0].position > mark.position:
                first = min([*waiting, *([first] if first else [])], key=lambda known: known.returned)
                waiting = []
            waiting.append(mark)
            if first is not None and mark.called > first.returned:
                late = "a write is ordered before" if mark.position % 2 == 0 else "an answer is older than"
                yield Violation("real time", f"{late} what was known when it was called: {mark.text}; but {first.text}")
                return

    # Compactions

    def _compactions(self) -> Iterator[Violation]:
        compactions = Compactions(self.history)
        for op in self.history.operations:
            asked = [request.revision for request in ranges_of(op.request) if request.revision]
            if not asked or op.returned is None:
                continue
            if isinstance(op.answer, Compacted):
                told = op.answer.compact_revision
                if told > compactions.at_most(op.returned) or min(asked) >= told:
                    yield Violation("compaction", f"what nobody compacted was refused: {show(op)}")
            elif isinstance(op.answer, RangeResult) and asked[0] < (done := compactions.at_least(op.called)):
                yield Violation("compaction", f"what was compacted at {done} was read: {show(op)}")

    # The order of revisions, one after another

    def _replay(self) -> Iterator[Violation]:
        history = self.history
        top = max([history.revision, *self.writes, *self.seen])
        beyond = [op for revision, ops in self.reads.items() if revision > top for op in ops]
        if beyond:
            yield Violation("a revision has its write", f"nobody made the revision of this answer: {show(beyond[0])}")
            return
        windows = self._windows(top)
        refusals: dict[int, list[int]] = {}
        for number, (_, low, high) in enumerate(windows):
            for revision in range(low, high + 1):
                refusals.setdefault(revision, []).append(number)
        replay = Replay(history, {request.revision for op in history.operations for request in ranges_of(op.request)})
        candidates: dict[int, list[int]] = {}
        possible: dict[int, list[int]] = {number: [] for number in range(len(windows))}
        for revision in range(history.revision, top + 1):
            wrong = self._move(replay, revision, candidates) if revision > history.revision else None
            if wrong is None:
                wrong = self._wrong(next(filter(None, map(replay.read, self.reads.get(revision, ()))), None))
            if wrong is not None:
                yield wrong
                return
            for number in refusals.get(revision, ()):
                if replay.refuses(windows[number][0]):
                    possible[number].append(revision)
        yield from self._matched(candidates)
        yield from self._placed(windows, possible)
        yield from check_watches(history, replay.events, replay.calls)

    def _move(self, replay: Replay, revision: int, candidates: dict[int, list[int]]) -> Violation | None:
        """Let `replay` make `revision`; return what is wrong."""
        if revision in self.writes:
            return self._wrong(replay.write(self.writes[revision]))
        if revision not in self.seen:
            text = f"revision {revision} was made by no answered write and told by no watch"
            return Violation("a revision has its write", text)
        events = tuple(event for event, _ in self.seen[revision].values())
        for op in self.reads.get(revision, ()):
            if isinstance(op.request, Revoke) and replay.would_be(op, events):
                self.reads[revision].remove(op)
                return self._wrong(replay.write(op))
        latest = self._called_before(2 * revision)
        candidates[revision] = [
            number for number, op in enumerate(self.unknown) if op.called < latest and replay.would_be(op, events)
        ]
        replay.take(events)
        return None

    def _wrong(self, text: str | None) -> Violation | None:
        return None if text is None else Violation("the answers of one store", text)

    def _called_before(self, position: int) -> float:
        """Return by when a write at a position must have been called."""
        return self.earliest[len(self.marks) - bisect_right(self.marks, position, key=lambda mark: mark.position)]

    def _matched(self, candidates: dict[int, list[int]]) -> Iterator[Violation]:
        """Find a write of its own for each revision that no answered one made."""
        taken: dict[int, int] = {}

        def find(revision: int, tried: set[int]) -> bool:
            for number in candidates[revision]:
                if number not in tried:
                    tried.add(number)
                    if number not in taken or find(taken[number], tried):
                        taken[number] = revision
                        return True
            return False

        for revision, fitting in candidates.items():
            if not find(revision, set()):
                events = ", ".join(show_event(event) for event, _ in self.seen[revision].values())
                alike = [show(self.unknown[number]) for number in fitting]
                others = "; ".join(f"{text} made another revision" for text in alike) or "no unanswered one fits"
                yield Violation(
                    "a revision has its write", f"no answered write made revision {revision} ({events}), and {others}"
                )
                return

    # Refusals carry no revision: there must be one at which each is right

    def _windows(self, top: int) -> list[tuple[Operation, int, int]]:
        """Return for each refused operation between which revisions it can have been refused."""
        returns = sorted((mark.returned, mark.position // 2) for mark in self.marks)
        lows = list(accumulate((revision for _, revision in returns), max, initial=self.history.revision))
        calls = sorted((mark.called, (mark.position - 1) // 2) for mark in self.marks)
        highs = list(accumulate((revision for _, revision in reversed(calls)), min, initial=top))
        windows = []
        for op in sorted(self.refused, key=lambda op: op.called):
            low = lows[bisect_left(returns, (op.called, 0))]
            high = highs[len(calls) - bisect_right(calls, (op.returned or _NEVER, top + 1))]
            windows.append((op, low, high))
        return windows

    def _placed(
        self, windows: Sequence[tuple[Operation, int, int]], possible: dict[int, list[int]]
    ) -> Iterator[Violation]:
        placed: list[tuple[float, int]] = []
        for number, (op, low, high) in enumerate(windows):
            least = max((revision for returned, revision in placed if returned < op.called), default=low)
            fit = [revision for revision in possible[number] if revision >= least]
            if not fit:
                text = f"it was right at no revision from {max(low, least)} to {high}: {show(op)}"
                yield Violation("a refusal has its reason", text)
                return
            assert op.returned is not None
            placed.append((op.returned, fit[0]))


def _is_refusal(op: Operation) -> bool:
    """Return whether an operation was refused for a reason that the keys of some revision must show."""
    answer = op.answer
    return (
        op.returned is not None
        and isinstance(answer, InvalidTxn | StaleFence | LeaseNotFound | FutureRevision)
        and isinstance(answer, StoreError)
        and not isinstance(op.request, Compact | Revoke)
    )
