"""What several tests of the driver need."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from orchestra.apiserver import APIServer
from orchestra.store import MemoryStore
from orchestra.testing import VirtualClock


@pytest.fixture
async def server() -> AsyncIterator[APIServer]:
    clock = VirtualClock()
    async with MemoryStore(clock=clock) as store, APIServer(store, clock=clock) as api:
        yield api
