"""`MemoryStore`: the engine and its watchers, nothing else. For tests, simulations and planes that may forget."""

from __future__ import annotations

from collections.abc import Callable

from orchestra.store.changes import Staged
from orchestra.store.engine_store import EngineStore
from orchestra.store.model import Txn, TxnResult


class MemoryStore(EngineStore):
    """A store in memory. It keeps its contents when it is closed and opened again, and loses them with the process.

    A txn never waits: it runs to its end, watchers told, without giving other tasks a turn.
    """

    async def txn(self, request: Txn) -> TxnResult:
        """See `Store.txn`."""
        if not self._is_open:
            raise self._closed_error()
        staged = self._engine.stage(request)
        if staged.change is not None:
            self._hub.publish(self._engine.publish().events)
        return staged.result

    async def _commit(self, stage: Callable[[], Staged]) -> TxnResult:
        staged = stage()
        if staged.change is not None:
            self._publish()
        return staged.result
