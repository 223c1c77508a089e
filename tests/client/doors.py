"""Servers with a door, for the tests of the remote way in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio

from orchestra.apiserver import APIServer
from orchestra.apiserver.grpc_front import GRPCFront
from orchestra.apiserver.interface import Authorizer
from orchestra.store.memory import MemoryStore


@asynccontextmanager
async def door(server: APIServer, front: GRPCFront) -> AsyncIterator[GRPCFront]:
    """Run a front while the context is open; it ends in order."""
    async with anyio.create_task_group() as tasks:
        await tasks.start(front.run, server)
        try:
            yield front
        finally:
            tasks.cancel_scope.cancel()


@asynccontextmanager
async def running(front: GRPCFront, authorizer: Authorizer | None = None) -> AsyncIterator[APIServer]:
    """Run a server on an empty store, with a front."""
    async with MemoryStore() as store, APIServer(store, authorizer=authorizer) as server, door(server, front):
        yield server


def socket_in(folder: Path) -> str:
    return f"unix:{folder / 'run' / 'api.sock'}"
