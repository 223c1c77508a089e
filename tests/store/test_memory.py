from __future__ import annotations

import anyio
import pytest

from orchestra.store import PROGRESS_SECONDS, MemoryStore, WatchBatch, WatchRequest
from orchestra.testing import VirtualClock

pytestmark = pytest.mark.virtual_time


async def test_a_lease_ends_at_its_time_and_keep_alive_moves_it() -> None:
    async with MemoryStore() as store:
        await store.lease_grant(10, 1)
        await store.put(b"a", b"", lease=1)
        await anyio.sleep(9)
        assert (await store.lease_keep_alive(1)).remaining_seconds == 10
        await anyio.sleep(9.9)
        assert await store.get(b"a") is not None
        await anyio.sleep(0.2)
        assert await store.get(b"a") is None
        assert await store.leases() == ()


async def test_a_restart_gives_every_lease_its_whole_time_again() -> None:
    store = MemoryStore()
    async with store:
        await store.lease_grant(10, 1)
        await anyio.sleep(9)
    await anyio.sleep(100)
    async with store:
        assert (await store.lease_status(1)).remaining_seconds == 10


async def test_leases_that_end_together_all_end() -> None:
    async with MemoryStore() as store:
        for lease in range(1, 101):
            await store.lease_grant(5 + lease % 2, lease)
            await store.put(b"%d" % lease, b"", lease=lease)
        await anyio.sleep(5.5)
        assert len(await store.leases()) == 50
        await anyio.sleep(1)
        assert (await store.status()).keys == 0


async def test_a_quiet_watcher_is_told_the_revision_periodically() -> None:
    async with MemoryStore() as store, store.watch(WatchRequest(b"quiet")) as watch:
        await store.put(b"other", b"1")
        start = anyio.current_time()
        assert await watch.__anext__() == WatchBatch(2)
        assert anyio.current_time() - start == pytest.approx(PROGRESS_SECONDS)


async def test_lease_ids_come_from_the_clock_that_was_handed_in() -> None:
    ids = []
    for _ in range(2):
        async with MemoryStore(clock=VirtualClock(seed=7)) as store:
            ids.append((await store.lease_grant(5)).id)
    assert ids[0] == ids[1]
