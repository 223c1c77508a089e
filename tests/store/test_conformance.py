from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from orchestra.store import MemoryStore, SQLiteStore
from orchestra.testing import StoreConformance, StoreFactory, VirtualTimeLoop


class TestMemoryStore(StoreConformance):
    @pytest.fixture
    def open_store(self) -> StoreFactory:
        store = MemoryStore()
        return lambda: store


class TestMemoryStoreInVirtualTime(TestMemoryStore):
    """Where waiting costs nothing; the thread that writes snapshots does not follow that time."""

    snapshots = False
    waits_for_progress = True

    @pytest.fixture
    def anyio_backend(self) -> tuple[str, dict[str, Any]]:
        return "asyncio", {"loop_factory": VirtualTimeLoop}


class TestSQLiteStore(StoreConformance):
    @pytest.fixture
    def open_store(self, tmp_path: Path) -> StoreFactory:
        return lambda: SQLiteStore(tmp_path / "data" / "cluster.db")
