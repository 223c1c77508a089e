from __future__ import annotations

import anyio
import pytest

from orchestra._stop import cancel_at, orderly_stop


async def test_a_cancelled_body_gets_the_time_to_put_things_away() -> None:
    seen: list[str] = []

    async def part() -> None:
        async with orderly_stop() as stop:
            await stop.wait()
            await anyio.lowlevel.checkpoint()
            seen.append("put away")

    async with anyio.create_task_group() as group:
        group.start_soon(part)
        await anyio.wait_all_tasks_blocked()
        group.cancel_scope.cancel()
    assert seen == ["put away"]


async def test_without_a_cancellation_nothing_stops_the_body() -> None:
    async with orderly_stop() as stop:
        assert not stop.is_set()


async def test_an_error_of_the_body_is_not_lost() -> None:
    with pytest.raises(ExceptionGroup) as caught:
        async with orderly_stop():
            raise ValueError("broken")
    assert caught.group_contains(ValueError)


async def test_a_scope_is_cancelled_when_the_stop_comes() -> None:
    stop = anyio.Event()
    async with anyio.create_task_group() as group:
        with anyio.CancelScope() as scope:
            group.start_soon(cancel_at, stop, scope)
            stop.set()
            await anyio.sleep(60)
        assert scope.cancelled_caught
