"""Dividing by floats is only faster: whatever the amounts, the score is that of integers."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from orchestra.scheduler.plugins.scoring import EXACT_BELOW, Scoring

WHOLE = st.integers(min_value=1, max_value=EXACT_BELOW - 1) | st.integers(min_value=1, max_value=2**52)


@given(whole=WHOLE, hundredths=st.integers(min_value=0, max_value=100), off=st.integers(min_value=-2, max_value=2))
def test_a_share_just_beside_a_whole_number_is_cut_as_integers_are(whole: int, hundredths: int, off: int) -> None:
    taken = min(max(whole * hundredths // 100 + off, 0), whole)
    for strategy in ("LeastAllocated", "MostAllocated"):
        scoring = Scoring(strategy)
        found = scoring.of_columns(np.array([taken]), np.array([whole]))
        assert found.tolist() == [scoring.of_row(taken, whole)]
