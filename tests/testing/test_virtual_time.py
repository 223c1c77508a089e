from __future__ import annotations

import asyncio
import time

import anyio
import pytest

from orchestra.testing import SimulationError, VirtualClock, run_virtual


def test_a_week_of_waiting_passes_at_once() -> None:
    async def main() -> float:
        clock = VirtualClock()
        started = clock.now()
        await anyio.sleep(7 * 86_400)
        return (clock.now() - started).total_seconds()

    begun = time.perf_counter()
    assert run_virtual(main) == 7 * 86_400
    assert time.perf_counter() - begun < 5


def test_timers_fire_in_the_order_of_their_times() -> None:
    async def main() -> list[str]:
        seen: list[str] = []

        async def note(name: str, seconds: float) -> None:
            await anyio.sleep(seconds)
            seen.append(name)

        async with anyio.create_task_group() as group:
            group.start_soon(note, "late", 60)
            group.start_soon(note, "early", 0.001)
            group.start_soon(note, "middle", 1)
        return seen

    assert run_virtual(main) == ["early", "middle", "late"]


def test_a_timeout_ends_a_wait_that_has_no_end() -> None:
    async def main() -> bool:
        with anyio.move_on_after(3600) as scope:
            await anyio.sleep_forever()
        return scope.cancelled_caught

    assert run_virtual(main)


def test_a_deadlock_is_reported_and_not_waited_for() -> None:
    with pytest.raises(SimulationError, match=r"deadlock at 5\.000 s"):
        run_virtual(_wait_for_nothing)


async def _wait_for_nothing() -> None:
    await anyio.sleep(5)
    await anyio.Event().wait()


def test_sleeping_for_ever_alone_is_a_deadlock() -> None:
    with pytest.raises(SimulationError, match="deadlock"):
        run_virtual(anyio.sleep_forever)


def test_sockets_are_refused() -> None:
    async def main() -> None:
        await asyncio.open_connection("127.0.0.1", 1)

    with pytest.raises(SimulationError, match="threads and sockets"):
        run_virtual(main)


@pytest.mark.virtual_time
async def test_a_marked_test_runs_on_virtual_time() -> None:
    clock = VirtualClock()
    before = clock.monotonic()
    await anyio.sleep(86_400)
    assert clock.monotonic() - before == 86_400


def test_the_same_seed_gives_the_same_uids() -> None:
    assert [VirtualClock(7).uid() for _ in range(3)] == [VirtualClock(7).uid() for _ in range(3)]
    assert VirtualClock(7).uid() != VirtualClock(8).uid()
