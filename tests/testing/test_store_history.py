from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestra.errors import StoreError
from orchestra.store import (
    Range,
    RangeResult,
    Txn,
    TxnResult,
)
from orchestra.testing import History, Operation, WatchRecord, check_history
from tests.store.naive import NaiveStore
from tests.testing.bad_histories import BAD, Told
from tests.testing.made_histories import Maker

SEEDS = st.integers(0, 2**32)


@pytest.mark.parametrize("seed", range(150))
def test_a_history_that_was_made_in_order_is_accepted(seed: int) -> None:
    assert check_history(Maker(seed, unknown=0.1 * (seed % 4)).history(60)) == ()


def test_thousands_of_operations_are_checked_in_a_moment() -> None:
    assert check_history(Maker(5, keys=20).history(4000, watches=10)) == ()


@pytest.mark.parametrize(("tell", "rule", "words"), BAD, ids=[tell.__name__ for tell, *_ in BAD])
def test_a_bad_history_is_rejected_with_its_reason(
    tell: Callable[[Told], History], rule: str, words: tuple[str, ...]
) -> None:
    found = check_history(tell(Told()))
    assert [violation.rule for violation in found][:1] == [rule], found
    for word in words:
        assert word in found[0].text


# All orders of tiny histories


def _orders(operations: tuple[Operation, ...]) -> Iterator[tuple[Operation, ...]]:
    sure = [op for op in operations if op.returned is not None]
    unsure = [op for op in operations if op.returned is None]
    for count in range(len(unsure) + 1):
        for chosen in itertools.combinations(unsure, count):
            for order in itertools.permutations([*sure, *chosen]):
                last = -math.inf
                for op in order:
                    if op.returned is not None and op.returned < last:
                        break
                    last = max(last, op.called)
                else:
                    yield order


def _explains(order: tuple[Operation, ...], watch: WatchRecord) -> bool:
    """Whether these operations, done at once and in this order, get their answers, and the watch its events."""
    store, told = NaiveStore(), Told()
    told.store = store
    made: dict[int, float] = {}
    for op in order:
        try:
            answer: Any = store.range(op.request) if isinstance(op.request, Range) else store.txn(op.request)
        except StoreError as error:
            answer = error
        if op.returned is not None and isinstance(answer, StoreError):
            if type(op.answer) is not type(answer):
                return False
        elif op.returned is not None and op.answer != answer:
            return False
        made.setdefault(store.revision, op.called)
    events = [event for revision in range(2, store.revision + 1) for event in told.events(revision)]
    seen = [event for received in watch.received for event in received.batch.events]
    return {(e.kv.key, e.kv) for e in events} == {(e.kv.key, e.kv) for e in seen}


def _tiny(seed: int) -> tuple[Maker, History]:
    maker = Maker(seed, keys=2, unknown=0.25)
    maker.store.compact_revision = 0
    history = maker.history(4, watches=0)
    return maker, history


def _mutated(history: History, data: st.DataObject) -> History:
    """Change one thing about one operation, which may make the history wrong, or may not."""
    operations = list(history.operations)
    place = data.draw(st.integers(0, len(operations) - 1))
    op = operations[place]
    match data.draw(st.sampled_from(["later", "earlier", "revision", "success", "answer", "drop", "swap"])):
        case "later":
            op = attrs.evolve(op, called=op.called + 25, returned=op.returned and op.returned + 25)
        case "earlier":
            op = attrs.evolve(op, called=op.called - 25, returned=op.returned and op.returned - 25)
        case "revision" if isinstance(op.answer, RangeResult):
            op = attrs.evolve(op, answer=attrs.evolve(op.answer, revision=op.answer.revision - 1))
        case "success" if isinstance(op.answer, TxnResult):
            op = attrs.evolve(op, answer=attrs.evolve(op.answer, succeeded=not op.answer.succeeded))
        case "answer" if isinstance(op.answer, RangeResult):
            op = attrs.evolve(op, answer=RangeResult(op.answer.revision, (), False, 0))
        case "drop":
            del operations[place]
            return attrs.evolve(history, operations=tuple(operations))
        case "swap":
            other = data.draw(st.integers(0, len(operations) - 1))
            times = [(o.called, o.returned) for o in (op, operations[other])]
            if None not in (times[0][1], times[1][1]):
                operations[other] = attrs.evolve(operations[other], called=times[0][0], returned=times[0][1])
                op = attrs.evolve(op, called=times[1][0], returned=times[1][1])
    operations[place] = op
    return attrs.evolve(history, operations=tuple(operations))


def _decidable(history: History) -> bool:
    plain = all(isinstance(op.request, Range | Txn) for op in history.operations)
    return plain and not any(b"leased" in str(op.request).encode() for op in history.operations)


@settings(max_examples=400, deadline=None)
@given(seed=SEEDS, data=st.data())
def test_the_verdict_is_that_of_trying_every_order(seed: int, data: st.DataObject) -> None:
    _, history = _tiny(seed)
    if not _decidable(history):
        return
    # What the watch tells comes long after, so that it says what happened and nothing about when.
    (watch,) = history.watches
    late = tuple(attrs.evolve(received, at=received.at + 1e6) for received in watch.received)
    history = attrs.evolve(history, watches=(attrs.evolve(watch, received=late, called=-1e6, returned=-1e6),))
    for candidate in (history, _mutated(history, data)):
        expected = any(_explains(order, history.watches[0]) for order in _orders(candidate.operations))
        assert (not check_history(candidate)) == expected, check_history(candidate)
