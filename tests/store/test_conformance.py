from __future__ import annotations

from pathlib import Path

import pytest

from orchestra.store import MemoryStore, SQLiteStore
from orchestra.testing.store_conformance import StoreConformance, StoreFactory


class TestMemoryStore(StoreConformance):
    @pytest.fixture
    def open_store(self) -> StoreFactory:
        store = MemoryStore()
        return lambda: store


class TestSQLiteStore(StoreConformance):
    @pytest.fixture
    def open_store(self, tmp_path: Path) -> StoreFactory:
        return lambda: SQLiteStore(tmp_path / "data" / "cluster.db")
