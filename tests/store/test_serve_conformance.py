from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from orchestra.store import EtcdStore, SQLiteStore, serve_etcd
from orchestra.testing.store_conformance import StoreConformance, StoreFactory


class Served(EtcdStore):
    """A store whose other side opens and closes with it."""

    def __init__(self, folder: Path) -> None:
        self._address = f"unix:{folder / 'run' / 'store.sock'}"
        super().__init__(self._address)
        self._path = folder / "store.db"
        self._other_side = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            store = await stack.enter_async_context(SQLiteStore(self._path))
            await stack.enter_async_context(serve_etcd(store, self._address))
            await super().__aenter__()
            self._other_side = stack.pop_all()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> bool | None:
        try:
            return await super().__aexit__(exc_type, exc, traceback)
        finally:
            await self._other_side.aclose()


class TestServedStore(StoreConformance):
    """A store keeps its contract over the wire: EtcdStore, through serve_etcd, over SQLiteStore."""

    @pytest.fixture
    def open_store(self, tmp_path: Path) -> StoreFactory:
        return lambda: Served(tmp_path)
