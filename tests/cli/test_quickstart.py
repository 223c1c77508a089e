"""The quick start of a process that is a plane."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator

import pytest

from orchestra.cli import quickstart


@pytest.fixture(autouse=True)
def _as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    thresholds = gc.get_threshold()
    yield
    gc.set_threshold(*thresholds)
    gc.unfreeze()


def test_a_quick_start_collects_seldom_and_still_collects() -> None:
    before = gc.get_threshold()
    quickstart.begin()
    assert gc.isenabled()
    assert gc.get_threshold() == (quickstart.COLLECT_AFTER, *before[1:])


def test_a_quick_start_leaves_a_number_of_threads_that_somebody_chose(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "4")
    quickstart.begin()
    assert os.environ["OPENBLAS_NUM_THREADS"] == "4"


def test_settling_takes_what_exists_out_of_later_collections() -> None:
    quickstart.settle()
    assert gc.get_freeze_count() > 0
