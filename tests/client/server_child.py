"""A server in a process of its own, to be killed: `python -m tests.client.server_child DATABASE ADDRESS`."""

from __future__ import annotations

import sys

import anyio

from orchestra.apiserver import APIServer
from orchestra.apiserver.grpc_front import GRPCFront
from orchestra.store.sqlite import SQLiteStore


async def main(database: str, address: str) -> None:
    async with SQLiteStore(database) as store, APIServer(store) as server, anyio.create_task_group() as tasks:
        await tasks.start(GRPCFront(address).run, server)
        sys.stdout.write("ready\n")
        sys.stdout.flush()


if __name__ == "__main__":
    anyio.run(main, sys.argv[1], sys.argv[2])
