"""The checks of `store_conformance` that judge recordings of many clients at once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from orchestra.store import TxnResult
from orchestra.testing.linearizability import linearize
from orchestra.testing.store_history import History
from orchestra.testing.store_history_check import check_history
from orchestra.testing.store_traffic import StoreFactory, Traffic, record
from orchestra.testing.store_values import KeyValues


def _judge(history: History) -> None:
    written = {op.answer.revision for op in history.operations if isinstance(op.answer, TxnResult)}
    assert len(written) > 100, "hardly a write was answered, so nothing is proven"
    broken = check_history(history)
    assert not broken, "\n".join(map(str, broken))


async def concurrent_clients_see_one_linearizable_history(open_store: StoreFactory) -> None:
    """KV linearizability by revisions, and the six guarantees of watches that stall, overflow, leave and resume."""
    _judge(await record(open_store, Traffic(seed=1, phases=1, operations=1_000)))


async def histories_go_on_over_restarts(open_store: StoreFactory) -> None:
    """The same while the store is closed under its clients and opened again."""
    _judge(await record(open_store, Traffic(seed=2, phases=4, operations=250)))


async def keys_are_linearizable_whatever_revisions_say(open_store: StoreFactory) -> None:
    """Decided by search, without believing any revision that the store told."""
    history = await record(open_store, Traffic(seed=3, phases=1, operations=600, watchers=1, revisions=False))
    calls = [op for op in history.operations if op.client.startswith("writer")]
    for part in KeyValues.parts(calls):
        verdict = linearize(part, KeyValues(history.keys))
        assert verdict.linearizable, verdict.explanation


HISTORY_CHECKS: Final[tuple[Callable[[StoreFactory], Awaitable[None]], ...]] = (
    concurrent_clients_see_one_linearizable_history,
    histories_go_on_over_restarts,
    keys_are_linearizable_whatever_revisions_say,
)
