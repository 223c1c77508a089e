from __future__ import annotations

from bisect import bisect_left

import pytest
from hypothesis import given
from hypothesis import strategies as st

import orchestra.store
from orchestra.store import FROM_KEY, prefix_end
from orchestra.store.deadlines import Deadlines
from orchestra.store.sorted_keys import BLOCK_KEYS, SortedKeys


@given(st.lists(st.integers(0, 3000), max_size=3000), st.integers(0, 3000), st.integers(0, 3000))
def test_sorted_keys_are_what_a_sorted_list_would_be(numbers: list[int], low: int, high: int) -> None:
    keys = SortedKeys()
    model: list[bytes] = []
    for number in numbers:
        key = b"%04d" % number
        place = bisect_left(model, key)
        if place < len(model) and model[place] == key:
            del model[place]
            keys.remove(key)
        else:
            model.insert(place, key)
            keys.add(key)
    assert len(keys) == len(model)
    first, last = b"%04d" % low, b"%04d" % high
    inside = [key for chunk in keys.chunks(first, last) for key in chunk]
    assert inside == [key for key in model if first <= key < last]
    assert [key for chunk in keys.chunks(b"", None) for key in chunk] == model
    assert keys.count(first, last) == len(inside)
    assert keys.count(first, None) == len([key for key in model if key >= first])


def test_blocks_of_keys_split_and_vanish() -> None:
    keys = SortedKeys()
    everything = [b"%06d" % number for number in range(5 * BLOCK_KEYS)]
    for key in everything:
        keys.add(key)
    chunks = list(keys.chunks(b"", None))
    assert max(map(len, chunks)) < 2 * BLOCK_KEYS
    assert [key for chunk in chunks for key in chunk] == everything
    for key in everything:
        keys.remove(key)
    assert list(keys.chunks(b"", None)) == []
    assert [list(chunk) for chunk in SortedKeys([b"b", b"a"]).chunks(b"", None)] == [[b"a", b"b"]]


@pytest.mark.parametrize(
    ("prefix", "end"), [(b"/pods/", b"/pods0"), (b"a\xff", b"b"), (b"\xff\xff", FROM_KEY), (b"", FROM_KEY)]
)
def test_the_end_of_a_prefix_is_the_next_prefix(prefix: bytes, end: bytes) -> None:
    assert prefix_end(prefix) == end


def test_a_deadline_that_was_moved_does_not_come_up() -> None:
    deadlines = Deadlines()
    deadlines.set(1, 10.0)
    deadlines.set(2, 12.0)
    deadlines.set(1, 20.0)
    assert deadlines.next() == 12.0
    assert deadlines.take_over(15.0) == [2]
    assert deadlines.remaining_seconds(1, 15.0) == 5.0
    deadlines.drop(1)
    assert deadlines.next() is None


def test_renewals_do_not_pile_up() -> None:
    deadlines = Deadlines()
    for number in range(10_000):
        deadlines.set(number % 3, float(number))
    assert len(deadlines._heap) < 100
    assert deadlines.take_over(10_000.0) == [1, 2, 0]


def test_everything_exported_exists() -> None:
    assert all(getattr(orchestra.store, name) is not None for name in orchestra.store.__all__)
