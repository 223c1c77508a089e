from __future__ import annotations

import threading

import anyio
import pytest

from orchestra.errors import StoreError
from orchestra.store.waiting import Waiters, WorkThread


def _never() -> None:
    raise AssertionError("it was not idle for long enough")


async def test_a_waiter_that_was_cancelled_is_forgotten() -> None:
    waiters = Waiters()
    for _ in range(3):
        with anyio.move_on_after(0):
            await waiters.wait()
    assert not waiters._futures
    woken: list[int] = []

    async def wait(number: int) -> None:
        await waiters.wait()
        woken.append(number)

    async with anyio.create_task_group() as tasks:
        for number in range(3):
            tasks.start_soon(wait, number)
        await anyio.wait_all_tasks_blocked()
        waiters.wake()
    assert woken == [0, 1, 2]


async def test_jobs_are_done_in_order_in_one_thread_and_errors_come_back() -> None:
    thread = WorkThread("test", idle=_never, patience=lambda: None)
    done: list[tuple[int, int]] = []

    def work(number: int) -> None:
        done.append((number, threading.get_ident()))
        if number == 2:
            raise StoreError("two")

    async with anyio.create_task_group() as tasks:
        for number in range(2):
            tasks.start_soon(thread.run, work, number)
    with pytest.raises(StoreError, match="two"):
        await thread.run(work, 2)
    thread.stop()
    assert [number for number, _ in done] == [0, 1, 2]
    assert {ident for _, ident in done}.isdisjoint({threading.get_ident()})
    assert len({ident for _, ident in done}) == 1
    assert "test" not in [thread.name for thread in threading.enumerate()]


async def test_a_job_whose_caller_was_cancelled_is_done_all_the_same() -> None:
    thread = WorkThread("test", idle=_never, patience=lambda: None)
    go_on, done = threading.Event(), threading.Event()

    def work() -> None:
        assert go_on.wait(20)
        done.set()

    with anyio.move_on_after(0):
        await thread.run(work)
    go_on.set()
    thread.stop()
    assert done.is_set()


async def test_the_thread_rests_once_after_each_time_of_work() -> None:
    rested = threading.Semaphore(0)
    patience: list[float | None] = [None, 0.0]
    thread = WorkThread("test", idle=rested.release, patience=lambda: patience.pop(0))
    await thread.run(int)
    assert not rested.acquire(blocking=False)
    await thread.run(int)
    await anyio.to_thread.run_sync(lambda: rested.acquire(timeout=20))
    thread.stop()
    assert not rested.acquire(blocking=False)
