from __future__ import annotations

import anyio
import pytest

from orchestra.errors import LeaseNotFound
from orchestra.store import LoggedStore
from tests.store.held_log import HeldLog

pytestmark = pytest.mark.virtual_time


async def test_a_lease_that_is_kept_alive_while_another_ends_does_not_end_too() -> None:
    log = HeldLog()
    log.go_on.set()
    async with LoggedStore(log) as store:
        for lease in (1, 2):
            await store.lease_grant(5, lease)
        log.go_on, log.begun = anyio.Event(), anyio.Event()
        await log.begun.wait()
        assert anyio.current_time() == 5
        await store.lease_keep_alive(2)
        log.go_on.set()
        await anyio.sleep(1)
        assert await store.leases() == (2,)
        assert (await store.lease_status(2)).remaining_seconds == 4
        await anyio.sleep(4.1)
        assert await store.leases() == ()


async def test_what_a_lease_holds_is_not_shown_before_the_log_has_it() -> None:
    log = HeldLog()
    log.go_on.set()
    async with LoggedStore(log) as store:
        await store.lease_grant(60, 1)
        await store.put(b"a", b"", lease=1)
        log.go_on, log.begun = anyio.Event(), anyio.Event()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(store.delete, b"a")
            await log.begun.wait()
            tasks.start_soon(lambda: store.put(b"b", b"", lease=1))
            tasks.start_soon(store.lease_grant, 60, 2)
            await anyio.sleep(1)
            assert (await store.lease_status(1, keys=True)).keys == (b"a",)
            with pytest.raises(LeaseNotFound):
                await store.lease_status(2)
            tasks.start_soon(store.lease_revoke, 1)
            await anyio.sleep(1)
            assert (await store.lease_status(1, keys=True)).keys == (b"a",)
            log.go_on.set()
        with pytest.raises(LeaseNotFound):
            await store.lease_status(1)
        assert await store.leases() == (2,)


async def test_a_lease_whose_grant_was_given_up_ends_as_any_other() -> None:
    log = HeldLog()
    async with LoggedStore(log) as store:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(store.lease_grant, 5, 1)
            await log.begun.wait()
            tasks.cancel_scope.cancel()
        log.go_on.set()
        await store.put(b"a", b"", lease=1)
        assert (await store.lease_status(1)).remaining_seconds == 5
        await anyio.sleep(5.1)
        assert (await store.leases(), await store.get(b"a")) == ((), None)
