"""An orderly stop: what is cancelled gets the time to put things away before its own tasks end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio


@asynccontextmanager
async def orderly_stop() -> AsyncIterator[anyio.Event]:
    """Shield the body from cancellation, and set the event that it is given when one comes.

    The body must end by itself soon after that, taking its parts down in the order that it wants. Everything that it
    waits for on the way should be bounded.
    """
    stop = anyio.Event()
    async with anyio.create_task_group() as group:
        group.start_soon(_set_when_cancelled, stop)
        with anyio.CancelScope(shield=True):
            yield stop
        group.cancel_scope.cancel()


async def cancel_at(stop: anyio.Event, scope: anyio.CancelScope) -> None:
    """Cancel `scope` when `stop` is set."""
    await stop.wait()
    scope.cancel()


async def _set_when_cancelled(stop: anyio.Event) -> None:
    try:
        await anyio.Event().wait()
    finally:
        stop.set()
