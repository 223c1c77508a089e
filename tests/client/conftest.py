"""The clients on which the contract suite runs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest

from orchestra.apiserver import APIServer
from orchestra.apiserver.grpc_front import GRPCFront
from orchestra.client.interface import Client
from orchestra.client.remote import RemoteClient
from orchestra.store.memory import MemoryStore


@pytest.fixture
async def server() -> AsyncIterator[APIServer]:
    async with MemoryStore() as store, APIServer(store) as server:
        yield server


@pytest.fixture(params=["in_process", "grpc"])
async def client(request: pytest.FixtureRequest, server: APIServer, tmp_path: Path) -> AsyncIterator[Client]:
    if request.param == "in_process":
        yield server
        return
    front = GRPCFront(f"unix:{tmp_path / 'run' / 'api.sock'}")
    async with anyio.create_task_group() as tasks:
        await tasks.start(front.run, server)
        async with RemoteClient(front.address) as remote:
            yield remote
        tasks.cancel_scope.cancel()
