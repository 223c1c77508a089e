"""How far quiet watches have come: never a revision whose events are still to come.

A request for progress reads the store's present revision R and is answered when all events of the watch up to R have
come, whether there are any or not. From etcd 3.4.31, 3.5.13 and 3.6 on a member says itself when that is so, behind the
events. An older one answers at once, and its answer can overtake events (etcd issue 15220). There the proof is a
second watch, the beacon: it is of all keys, and since every revision changes some key, its event of R proves that it
has seen everything up to R. If none of that was for the watch, or the last that was has come, the watch has come up
to R. So on old members there is one more stream, of the whole keyspace, from the first request on; a user that
may not read every key is told only what those members say by themselves
(`--experimental-watch-progress-notify-interval`).
"""

from __future__ import annotations

from typing import Protocol

import anyio

from orchestra._log import get_logger
from orchestra.errors import Compacted, StoreAccessDenied, StoreClosed, StoreError, StoreUnavailable, WatchOverflow
from orchestra.store.etcd.beacon import Beacon
from orchestra.store.etcd.watch import EtcdWatch
from orchestra.store.etcd.watch_stream import ASK_AGAIN_SECONDS, WatchStream

log = get_logger("store")


class AllWatches(Protocol):
    """What `Progress` asks of those who carry the watches."""

    async def present_revision(self, watch: EtcdWatch) -> int:
        """Return the store's revision, read by a key that this watch's user may read."""
        ...

    def watch_all(self, start_revision: int) -> EtcdWatch:
        """Return a watch of all keys."""
        ...

    def stream_of(self, watch: EtcdWatch) -> WatchStream | None:
        """Return the stream that carries a watch just now."""
        ...


class Progress:
    """Answers requests for progress. `run` and `run_beacon` are its tasks."""

    def __init__(self, watches: AllWatches) -> None:
        self._watches = watches
        self._asking: dict[EtcdWatch, None] = {}
        self._waiting: dict[EtcdWatch, None] = {}
        self._wake = anyio.Event()
        self._beacon = Beacon()
        self._turn = anyio.Event()
        """Set when the beacon is to begin, to go back or to end."""
        self._denied = False
        """Whether this user may not read all keys, as the beacon must."""

    def ask(self, watch: EtcdWatch) -> None:
        """Tell a watch how far it has come, as soon as that is known."""
        self._asking[watch] = None
        self._wake.set()

    def forget(self, watch: EtcdWatch) -> None:
        """Forget a watch."""
        self._asking.pop(watch, None)
        self._waiting.pop(watch, None)
        if self._beacon.forget(watch):
            self._turn.set()

    async def run(self) -> None:
        """Answer requests until cancelled."""
        while True:
            with anyio.move_on_after(ASK_AGAIN_SECONDS if self._waiting or self._asking else None):
                await self._wake.wait()
            self._wake = anyio.Event()
            await self._read_revision()
            self._waiting = {watch: None for watch in self._waiting if watch.wanted and watch.error is None}
            self._inquire()

    async def run_beacon(self) -> None:
        """See what happens to all keys, while a watch on an old member wants to know of its progress."""
        while True:
            self._turn = anyio.Event()
            if not self._beacon.next or self._denied:
                await self._turn.wait()
                continue
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._shine)
                await self._turn.wait()
                tasks.cancel_scope.cancel()

    async def _read_revision(self) -> None:
        asking, self._asking = self._asking, {}
        if not asking:
            return
        try:
            revision = await self._watches.present_revision(next(iter(asking)))
        except StoreUnavailable as error:
            log.debug("the progress of watches waits for a connection", error=str(error))
            self._asking = {**asking, **self._asking}
            return
        except StoreError as error:
            log.warning("the progress of watches cannot be asked for", error=str(error))
            return
        for watch in asking:
            if watch.is_open:
                watch.want(revision)
                self._waiting[watch] = None

    def _inquire(self) -> None:
        """Have it found out how far the waiting watches are."""
        streams: dict[WatchStream, None] = {}
        for watch in self._waiting:
            stream = self._watches.stream_of(watch)
            if stream is None:
                continue
            if stream.connection.ordered_progress:
                streams[stream] = None
            elif self._beacon.follow(watch):
                self._turn.set()
            else:
                self._beacon.prove(watch)
        for stream in streams:
            stream.ask_progress()

    async def _shine(self) -> None:
        while True:
            try:
                since = self._beacon.next
                async with self._watches.watch_all(since) as watch:
                    async for batch in watch:
                        self._beacon.see(batch.events, since, batch.revision)
                        since = batch.revision + 1
                        for waiting in self._waiting:
                            self._beacon.prove(waiting)
            except WatchOverflow:
                log.debug("the beacon goes on where it overflowed", revision=self._beacon.next)
            except Compacted as error:
                self._beacon.lose(error.compact_revision)
                for waiting in tuple(self._waiting):
                    if waiting.complete < error.compact_revision:
                        # Whether something is still to come for it cannot be found out any more.
                        waiting.end(Compacted(error.compact_revision))
            except StoreUnavailable as error:
                log.debug("the beacon waits for a connection", error=str(error))
            except StoreClosed:
                return
            except StoreAccessDenied as error:
                log.warning("etcd is too old to be asked for the progress of watches", error=str(error))
                self._denied = True
                self._turn.set()
                return
