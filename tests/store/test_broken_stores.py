from __future__ import annotations

from collections import Counter

import pytest

from orchestra.errors import StoreError
from orchestra.store import MemoryStore
from orchestra.testing import STORE_CHECKS, check_history
from orchestra.testing.store_traffic import Traffic, record
from tests.store.broken_stores import FOUND_BY

CHECKS = {check.__name__: check for check in STORE_CHECKS}


def _reasons(error: BaseException) -> list[BaseException]:
    inner = error.exceptions if isinstance(error, BaseExceptionGroup) else None
    return [error] if inner is None else [reason for one in inner for reason in _reasons(one)]


@pytest.mark.parametrize("broken", list(FOUND_BY), ids=lambda broken: broken.__name__)
@pytest.mark.virtual_time
async def test_a_store_that_breaks_the_contract_is_found_out(broken: type[MemoryStore]) -> None:
    store = broken()
    with pytest.raises(BaseException) as found:
        await CHECKS[FOUND_BY[broken]](lambda: store)
    reasons = _reasons(found.value)
    assert all(isinstance(reason, AssertionError | StoreError | pytest.fail.Exception) for reason in reasons), reasons


@pytest.mark.virtual_time
@pytest.mark.parametrize("seed", range(6))
async def test_the_traffic_meets_everything_that_can_happen(seed: int) -> None:
    store = MemoryStore()
    history = await record(lambda: store, Traffic(seed=seed, phases=3, operations=500))
    assert check_history(history) == ()
    answers = Counter(type(op.answer).__name__ for op in history.operations if op.returned is not None)
    ends = Counter(type(watch.error).__name__ for watch in history.watches)
    for outcome in ("TxnResult", "RangeResult", "StaleFence", "Compacted", "StoreClosed"):
        assert answers[outcome], answers
    for end in ("WatchOverflow", "Compacted", "StoreClosed", "NoneType"):
        assert ends[end], ends
    assert any(op.returned is None for op in history.operations)


@pytest.mark.virtual_time
async def test_a_recording_can_be_repeated_by_its_seed() -> None:
    histories = []
    for _ in range(2):
        store = MemoryStore()
        history = await record(lambda store=store: store, Traffic(seed=9, phases=2, operations=200))  # type: ignore[misc]
        histories.append([(op.client, op.called, op.returned) for op in history.operations])
    assert histories[0] == histories[1]
