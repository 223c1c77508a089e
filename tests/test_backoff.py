from __future__ import annotations

import random

import pytest

from orchestra.backoff import Backoff


def test_delays_grow_by_the_factor_up_to_the_maximum() -> None:
    backoff = Backoff(initial_seconds=1, factor=2, max_seconds=5)
    assert [backoff.delay_seconds(n) for n in range(5)] == [0, 1, 2, 4, 5]


def test_jitter_only_adds_and_at_most_its_fraction() -> None:
    backoff = Backoff(initial_seconds=1, factor=1, max_seconds=1, jitter=0.5)
    delays = [backoff.delay_seconds(1, random.Random(seed)) for seed in range(50)]
    assert min(delays) >= 1
    assert max(delays) <= 1.5
    assert len(set(delays)) > 1


@pytest.mark.parametrize("failures", [10**3, 10**6])
def test_very_many_failures_do_not_overflow(failures: int) -> None:
    assert Backoff(initial_seconds=0.005, max_seconds=1000).delay_seconds(failures) == 1000
