from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from orchestra.testing import STORE_CHECKS, StoreConformance
from orchestra.testing.store_conformance import POWERS

OTHERS = """
import pytest
from orchestra.store import MemoryStore, Range
from orchestra.testing import StoreConformance


class Forgetful(MemoryStore):
    async def get(self, key, *, revision=0):
        return None


class TestOthers(StoreConformance):
    @pytest.fixture
    def open_store(self):
        store = {store}()
        return lambda: store
"""


def _run(place: Path, store: str, chosen: str) -> subprocess.CompletedProcess[str]:
    (place / "test_others.py").write_text(OTHERS.replace("{store}", store))
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", "-k", chosen]
    return subprocess.run([*command, str(place)], cwd=place, capture_output=True, text=True, timeout=60)


def test_a_third_party_proves_its_store_with_a_class_of_five_lines(tmp_path: Path) -> None:
    done = _run(tmp_path, "MemoryStore", "a_put_makes or a_lease_takes or a_closed_store")
    assert done.returncode == 0, done.stdout
    assert "3 passed" in done.stdout


def test_a_check_that_fails_shows_what_it_compared(tmp_path: Path) -> None:
    done = _run(tmp_path, "Forgetful", "a_put_makes or a_lease_takes")
    assert "1 failed, 1 passed" in done.stdout
    assert "assert None == KeyValue(key=b'a', value=b'2', create_revision=2, mod_revision=3" in done.stdout


def test_every_check_is_run_once_and_every_power_is_an_attribute() -> None:
    names = [check.__name__ for check in STORE_CHECKS]
    assert len(set(names)) == len(names)
    assert set(POWERS) <= set(names)
    assert all(isinstance(getattr(StoreConformance, power), bool) for power in POWERS.values())
