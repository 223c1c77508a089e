from __future__ import annotations

import itertools
import math
import random
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestra.errors import CommitFailed
from orchestra.store import Compare, Delete, Fence, KeyValue, Put, Range, Txn
from orchestra.testing import KeyValues, Operation, SearchTooLarge, linearize
from tests.store.naive import NaiveStore


class Register:
    """A register that is read (request None) and written (any other request)."""

    initial = 0

    def step(self, state: int, operation: Operation) -> int | None:
        if operation.request is not None:
            return int(operation.request)
        return state if operation.returned is None or operation.answer == state else None


def write(client: str, value: int, called: float, returned: float | None) -> Operation:
    return Operation(client, value, None, called, returned)


def read(client: str, value: int, called: float, returned: float | None) -> Operation:
    return Operation(client, None, value, called, returned)


def test_overlapping_operations_may_have_happened_in_either_order() -> None:
    history = [write("a", 1, 0, 10), write("b", 2, 1, 9), read("c", 1, 11, 12)]
    verdict = linearize(history, Register())
    assert verdict.order is not None
    assert [op.client for op in verdict.order] == ["b", "a", "c"]


def test_a_read_of_an_overwritten_value_is_explained() -> None:
    history = [write("a", 1, 0, 1), write("b", 2, 2, 3), read("c", 1, 4, 5)]
    verdict = linearize(history, Register())
    assert not verdict.linearizable
    assert "no order explains this operation: c [4..5] None -> 1" in verdict.explanation
    assert "b [2..3] 2" in verdict.explanation
    assert "which leave: 2" in verdict.explanation


def test_an_unanswered_write_may_happen_late_or_never_but_once() -> None:
    unknown = write("a", 1, 0, None)
    for values in ([0, 0], [0, 1], [1, 1]):
        history = [unknown, *(read("b", value, 10 * n + 1, 10 * n + 2) for n, value in enumerate(values))]
        assert linearize(history, Register()).linearizable
    history = [unknown, read("b", 1, 1, 2), write("c", 2, 3, 4), read("b", 1, 5, 6)]
    assert not linearize(history, Register()).linearizable


def test_a_search_that_grows_beyond_its_bound_is_given_up() -> None:
    history = [write(f"{n}", n, 0, 100) for n in range(12)] + [read("r", 99, 50, 60)]
    with pytest.raises(SearchTooLarge, match="500"):
        linearize(history, Register(), max_configurations=500)


def _explained(operations: list[Operation]) -> bool:
    unknown = [op for op in operations if op.returned is None]
    known = [op for op in operations if op.returned is not None]
    for count in range(len(unknown) + 1):
        for chosen in itertools.combinations(unknown, count):
            for order in itertools.permutations([*known, *chosen]):
                latest, state, register = -math.inf, 0, Register()
                for op in order:
                    following = register.step(state, op)
                    if following is None or (op.returned is not None and op.returned < latest):
                        break
                    latest, state = max(latest, op.called), following
                else:
                    return True
    return False


TIMES = st.integers(0, 12).map(float)


@st.composite
def registers(draw: st.DrawFn) -> list[Operation]:
    operations = []
    for number in range(draw(st.integers(1, 5))):
        called, lasted = draw(TIMES), draw(st.one_of(st.none(), TIMES))
        request = draw(st.sampled_from([None, 1, 2]))
        # No two moments are the same, so that "before" has one meaning.
        returned = None if lasted is None else called + lasted + 0.5 + number / 100
        operations.append(Operation(f"{number}", request, draw(st.integers(0, 2)), called + number / 1000, returned))
    return operations


@settings(max_examples=500, deadline=None)
@given(registers())
def test_the_verdict_on_a_register_is_that_of_trying_every_order(operations: list[Operation]) -> None:
    verdict = linearize(operations, Register())
    assert verdict.linearizable == _explained(operations)
    if verdict.order is not None:
        assert {op for op in operations if op.returned is not None} <= set(verdict.order)


# Keys of a store


def _request(chance: random.Random, number: int) -> Range | Txn:
    key = b"k%d" % chance.randrange(6)
    other = key[:-1] + bytes((key[-1] ^ 1,))
    match chance.randrange(5):
        case 0:
            return Range(key)
        case 1:
            return Txn((Compare(key, "version", "=", chance.randrange(4)),), (Put(key, b"%d" % number),), (Range(key),))
        case 2:
            return Txn((Compare(other, "value", ">", b"3"),), (Put(key, b"%d" % number), Put(other, b"%d" % number)))
        case 3:
            return Txn(success=(Delete(key, prev_kv=True),))
    return Txn(success=(Put(key, b"%d" % number, prev_kv=True),))


def _history(seed: int, count: int, overlap: float = 4.0) -> list[Operation]:
    chance, store, operations = random.Random(seed), NaiveStore(), []
    for number in range(count):
        request = _request(chance, number)
        unknown = chance.random() < 0.03
        happened = not unknown or chance.random() < 0.5
        answer: Any = None
        if happened:
            answer = store.range(request) if isinstance(request, Range) else store.txn(request)
        called, returned = number - overlap * chance.random(), number + overlap * chance.random()
        operations.append(
            Operation(f"{number}", request, None if unknown else answer, called, None if unknown else returned)
        )
    return operations


@pytest.mark.parametrize("seed", range(20))
def test_keys_that_were_used_one_after_another_are_linearizable_in_parts_and_as_a_whole(seed: int) -> None:
    history = _history(seed, 120)
    parts = KeyValues.parts(history)
    assert len(parts) == 3
    assert sum(map(len, parts)) == len(history)
    for part in (*parts, history):
        verdict = linearize(part, KeyValues())
        assert verdict.linearizable, verdict.explanation


def test_thousands_of_operations_on_keys_are_checked_in_parts() -> None:
    for part in KeyValues.parts(_history(1, 3_000)):
        assert linearize(part, KeyValues()).linearizable


def test_keys_that_any_operation_joins_are_one_part() -> None:
    pairs = [(4, 5), (2, 3), (0, 1), (3, 4), (1, 2), (6, 7)]
    history = [
        Operation(f"{number}", Txn(success=tuple(Put(b"k%d" % key) for key in keys)), None, number, None)
        for number, keys in enumerate([*pairs, *((key, key + 10) for key in range(8))])
    ]
    parts = [{op.client for op in part} for part in KeyValues.parts(history)]
    assert sorted(map(len, parts)) == [3, 11]


def test_a_lost_update_of_a_key_is_found_in_its_part_alone() -> None:
    swap = Txn((Compare(b"k0", "version", "=", 1),), (Put(b"k0", b"new"),))
    history = [op for op in _history(3, 100) if not any(key in str(op.request) for key in ("k0", "k1"))]
    store = NaiveStore()
    history.append(
        Operation("first", Txn(success=(Put(b"k0", b"0"),)), store.txn(Txn(success=(Put(b"k0"),))), 200, 201)
    )
    won = store.txn(swap)
    history += [Operation(client, swap, won, 202, 205) for client in ("b", "c")]
    verdicts = [linearize(part, KeyValues()) for part in KeyValues.parts(history)]
    assert [verdict.linearizable for verdict in verdicts].count(False) == 1
    explanation = next(verdict.explanation for verdict in verdicts if not verdict.linearizable)
    assert "first [200..201]" in explanation
    assert "c [202..205]" in explanation


def test_a_refused_operation_has_done_nothing() -> None:
    refused = Operation("a", Txn(success=(Put(b"k", b"1"),)), CommitFailed("disk full"), 0, 1)
    empty = NaiveStore().range(Range(b"k"))
    assert linearize([refused, Operation("b", Range(b"k"), empty, 2, 3)], KeyValues()).linearizable
    kept = KeyValues([KeyValue(b"k", b"0", 7, 9, 3)])
    assert not linearize([refused, Operation("b", Range(b"k"), empty, 2, 3)], kept).linearizable


@pytest.mark.parametrize(
    "request_",
    [
        Range(b"k", revision=3),
        Range(b"k", min_mod_revision=3),
        Txn((Compare(b"k", "mod_revision", "=", 3),)),
        Txn(fence=Fence(b"k", 3)),
    ],
)
def test_what_asks_for_revisions_has_no_parts(request_: Range | Txn) -> None:
    with pytest.raises(ValueError, match="all keys at once"):
        KeyValues.parts([Operation("a", request_, None, 0, None)])


@settings(max_examples=200, deadline=None)
@given(seed=st.integers(0, 2**32), place=st.integers(0, 7), shift=st.floats(-6, 6))
def test_parts_and_whole_have_one_verdict(seed: int, place: int, shift: float) -> None:
    history = _history(seed, 8)
    op = history[place]
    if op.returned is not None:
        history[place] = attrs.evolve(op, called=op.called + shift, returned=op.returned + shift)
    whole = linearize(history, KeyValues()).linearizable
    assert whole == all(linearize(part, KeyValues()).linearizable for part in KeyValues.parts(history))
