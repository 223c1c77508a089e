from __future__ import annotations

from collections.abc import AsyncIterator

import anyio
import pytest

from orchestra.apiserver import APIServer
from orchestra.controller import Manager
from orchestra.lifecycle import MonitorSettings, lifecycle_controllers
from orchestra.store import MemoryStore
from orchestra.testing import VirtualClock

MONITOR = MonitorSettings(
    grace_seconds=4,
    startup_grace_seconds=5,
    period_seconds=1,
    evictions_per_second=10,
    secondary_evictions_per_second=10,
)


@pytest.fixture
async def server() -> AsyncIterator[APIServer]:
    """A server with the lifecycle controllers at work, in virtual time."""
    clock = VirtualClock()
    async with MemoryStore(clock=clock) as store, APIServer(store, clock=clock) as api, anyio.create_task_group() as tg:
        manager = Manager(api, clock=clock, controllers=lifecycle_controllers(nodes=MONITOR))
        await tg.start(manager.run)
        yield api
        tg.cancel_scope.cancel()
