"""The clients on which the contract suite runs."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from orchestra.apiserver import APIServer
from orchestra.client.interface import Client
from orchestra.store.memory import MemoryStore


@pytest.fixture
async def server() -> AsyncIterator[APIServer]:
    async with MemoryStore() as store, APIServer(store) as server:
        yield server


@pytest.fixture(params=["in_process"])
async def client(request: pytest.FixtureRequest, server: APIServer) -> AsyncIterator[Client]:
    assert request.param == "in_process"
    yield server
