"""Bounds many short calls without a timer for each, which would cost as much as the calls themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import anyio
import attrs

LOOKS: Final = 4
"""How often within the time that a call may take the watchdog looks: a call is ended that much later at most."""


@attrs.define(eq=False)
class Watch:
    """One worker as the watchdog sees it: `since` is when its call began, None while it is in no call."""

    scope: anyio.CancelScope
    since: float | None = None


class Watchdog:
    """Cancels the scope of a worker whose call takes longer than `seconds`."""

    def __init__(self, seconds: float, monotonic: Callable[[], float]) -> None:
        self._seconds = seconds
        self.monotonic = monotonic
        self._watches: dict[int, Watch] = {}

    def watch(self, worker: int, scope: anyio.CancelScope) -> Watch:
        """Begin to watch a worker, in place of what was known of it."""
        found = self._watches[worker] = Watch(scope)
        return found

    async def run(self) -> None:
        """Look now and then, until cancelled."""
        while True:
            await anyio.sleep(self._seconds / LOOKS)
            now = self.monotonic()
            for watch in self._watches.values():
                if watch.since is not None and now - watch.since > self._seconds:
                    watch.scope.cancel()
