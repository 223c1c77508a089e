"""The work queue: each key at most once, never lost, in order of priority; time is an argument."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from orchestra.backoff import Backoff
from orchestra.controller.workqueue import WorkQueue


def queue() -> WorkQueue[str]:
    return WorkQueue(Backoff(initial_seconds=1.0, max_seconds=10.0))


def test_keys_come_out_in_the_order_they_came_and_once() -> None:
    q = queue()
    for key in "abab":
        q.add(key)
    assert [q.take(0), q.take(0), q.take(0)] == ["a", "b", None]


def test_higher_priorities_come_first_and_a_key_can_be_raised() -> None:
    q = queue()
    q.add("low", priority=-1)
    q.add("normal")
    q.add("raised", priority=-1)
    q.add("raised", priority=5)
    assert [q.take(0) for _ in range(4)] == ["raised", "normal", "low", None]


def test_a_key_that_is_taken_comes_again_only_when_done() -> None:
    q = queue()
    q.add("a")
    assert q.take(0) == "a"
    q.add("a")
    q.add("a")
    assert q.take(0) is None
    q.done("a")
    assert q.take(0) == "a"
    q.done("a")
    assert q.take(0) is None


def test_a_delayed_key_comes_at_its_time_and_the_earlier_of_two_counts() -> None:
    q = queue()
    q.add_at("a", 10.0)
    q.add_at("a", 5.0)
    q.add_at("a", 7.0)
    assert q.next_due() == 5.0
    assert q.take(4.9) is None
    assert q.take(5.0) == "a"
    q.done("a")
    assert q.take(100.0) is None


def test_taking_a_key_cancels_what_was_scheduled_for_it() -> None:
    q = queue()
    q.add_at("a", 10.0)
    q.add("a")
    assert q.take(0) == "a"
    q.done("a")
    assert q.next_due() is None


def test_failures_in_a_row_wait_longer_and_longer_until_forgotten() -> None:
    q = queue()
    assert [q.retry("a", 0.0) for _ in range(5)] == [1.0, 2.0, 4.0, 8.0, 10.0]
    assert q.worst() == ("a", 5)
    q.forget("a")
    assert q.retry("a", 0.0) == 1.0


def test_a_timer_that_ends_while_the_key_is_taken_repeats_it() -> None:
    q = queue()
    q.add("a")
    q.take(0)
    q.add_at("a", 1.0)
    q.wake(2.0)
    assert q.take(2.0) is None
    q.done("a")
    assert q.take(2.0) == "a"


Step = st.tuples(st.sampled_from(("add", "add_at", "retry", "take", "done")), st.integers(0, 4), st.integers(0, 9))


@given(st.lists(Step, max_size=200))
def test_no_key_is_lost_or_taken_twice_whatever_happens(steps: list[tuple[str, int, int]]) -> None:
    q = WorkQueue[int](Backoff(initial_seconds=1.0, max_seconds=10.0))
    now, taken, wanted = 0.0, [], set()
    for step, key, number in steps:
        now += number / 10
        match step:
            case "add":
                q.add(key, priority=number)
                wanted.add(key)
            case "add_at":
                q.add_at(key, now + number)
                wanted.add(key)
            case "retry":
                q.retry(key, now)
                wanted.add(key)
            case "take":
                got = q.take(now)
                if got is not None:
                    assert got not in taken
                    taken.append(got)
                    wanted.discard(got)
            case "done" if taken:
                q.done(taken.pop(0))
    for key in taken:
        q.done(key)
    left = set()
    while (got := q.take(now + 1000)) is not None:
        left.add(got)
        q.done(got)
    assert left == wanted
    assert len(q) == q.delayed == q.taken == 0
