"""What the server does by itself: forgets old history, lets Events expire, tells quiet watchers where they are.

An idle server does nothing of this: it compacts only when something was written, and a store's lease ends the Events.
"""

from __future__ import annotations

from typing import Final

import anyio

from orchestra._log import get_logger
from orchestra.apiserver.companions import Plan
from orchestra.apiserver.core import Core
from orchestra.apiserver.interface import Document
from orchestra.apiserver.keys import ROOT
from orchestra.apiserver.store_errors import translated
from orchestra.errors import AmbiguousCommit, CommitFailed, Compacted, StoreUnavailable
from orchestra.store import Range

BOOKMARK_SECONDS: Final = 60.0
"""How often a watcher that asked for bookmarks is told its revision, if that has moved."""

LEASE_SLICE: Final = 60
"""Seconds for which new Events share one lease; an Event can live that much longer than it must."""

log = get_logger("apiserver")


class Compactor:
    """Compacts the store to where it was one interval ago, so that a reader has at least that long to go on."""

    def __init__(self, core: Core, *, interval_seconds: float) -> None:
        self._core = core
        self._interval_seconds = interval_seconds

    async def run(self) -> None:
        """Work until cancelled."""
        target = done = 0
        while True:
            try:
                if target > done:
                    await self._compact(target)
                    done = target
                target = (await self._core.store.range(Range(ROOT))).revision
            except (CommitFailed, AmbiguousCommit, StoreUnavailable) as error:
                # A full disk refuses this as every write, and a cluster can be away; the next try will do.
                log.warning("not compacted", revision=target, error=str(error))
            await anyio.sleep(self._interval_seconds)

    async def _compact(self, revision: int) -> None:
        try:
            await self._core.store.compact(revision)
            log.info("compacted", revision=revision)
        except Compacted:
            log.debug("compacted by somebody else", revision=revision)


class Bookmarks:
    """Tells the watchers that asked for it, now and then, up to which revision they have been given everything."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            await anyio.sleep(BOOKMARK_SECONDS)
            revision = self._core.feed.revision
            for watch in self._core.feed.watches:
                if watch.bookmarks and watch.delivered < revision:
                    watch.bookmark(revision)


class EventLeases:
    """Attaches Events to leases of the store, which delete them when their time is over; a `Companion`."""

    def __init__(self, core: Core, *, ttl_seconds: int) -> None:
        self._core = core
        self._ttl_seconds = ttl_seconds
        self._lease = 0
        self._until = 0.0

    async def prepare(self) -> None:
        """Make sure that a lease is at hand for the Event that is about to be written."""
        now = self._core.clock.monotonic()
        if self._lease and now < self._until:
            return
        with translated():
            self._lease = (await self._core.store.lease_grant(self._ttl_seconds + LEASE_SLICE)).id
        self._until = now + LEASE_SLICE

    def plan(self, new: Document | None, old: Document | None, taken: frozenset[bytes]) -> Plan:
        """Return the Event with its lease."""
        return Plan(new if new is not None else {}, lease=self._lease if new is not None else 0)
