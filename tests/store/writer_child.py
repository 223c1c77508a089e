"""Writes to a store from 16 tasks until it is killed; prints each txn after it was acknowledged."""

from __future__ import annotations

import os
import sys

import anyio

from orchestra.store import Put, SQLiteStore, Txn

WRITERS = 16


async def write(store: SQLiteStore, writer: int) -> None:
    newest = await store.get(b"hot/%d" % writer)
    number = int(newest.value) if newest else 0
    while True:
        number += 1
        text = b"%d" % number
        ops = (Put(b"log/%d/%d" % (writer, number), bytes(200)), Put(b"hot/%d" % writer, text))
        result = await store.txn(Txn(success=ops))
        os.write(1, b"%d %d %d\n" % (writer, number, result.revision))


async def compact(store: SQLiteStore) -> None:
    while True:
        await anyio.sleep(0.02)
        status = await store.status()
        if status.revision - 100 > status.compact_revision:
            await store.compact(status.revision - 50)


async def main(path: str, compacting: bool) -> None:
    async with SQLiteStore(path) as store, anyio.create_task_group() as tasks:
        if compacting:
            tasks.start_soon(compact, store)
        for writer in range(WRITERS):
            tasks.start_soon(write, store, writer)


if __name__ == "__main__":
    anyio.run(main, sys.argv[1], sys.argv[2] == "compact")
