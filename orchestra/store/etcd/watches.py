"""All watches of an open `EtcdStore`: which stream carries which, and what happens when one breaks."""

from __future__ import annotations

from typing import Final

import anyio
from anyio.abc import TaskGroup, TaskStatus

from orchestra._log import get_logger
from orchestra._proto.etcd.v3 import rpc_pb2
from orchestra.backoff import Backoff
from orchestra.clock import Clock
from orchestra.errors import Compacted, FutureRevision, StoreClosed, StoreError, StoreUnavailable
from orchestra.store.etcd.calls import Caller
from orchestra.store.etcd.channel import Connection
from orchestra.store.etcd.connector import Connector
from orchestra.store.etcd.failures import CallFailed, Failure, Fate
from orchestra.store.etcd.history import compact_revision, present_revision
from orchestra.store.etcd.options import EtcdOptions
from orchestra.store.etcd.progress import Progress
from orchestra.store.etcd.watch import EtcdWatch
from orchestra.store.etcd.watch_stream import WatchStream, refusal
from orchestra.store.model import FROM_KEY, WatchRequest

RETRY: Final = Backoff(initial_seconds=0.02, max_seconds=1.0, jitter=0.5)

MAX_REFUSALS: Final = 2
"""A watch that is refused so often in a row is ended: the first time the token may have been too old."""

log = get_logger("store")


class Watches:
    """Carries the watches of a store over streams. `run` is its task."""

    def __init__(self, connector: Connector, caller: Caller, clock: Clock, options: EtcdOptions) -> None:
        self._connector = connector
        self._caller = caller
        self._clock = clock
        self._options = options
        self._tasks: TaskGroup | None = None
        self._open: dict[EtcdWatch, None] = {}
        self._homeless: dict[EtcdWatch, None] = {}
        self._streams: dict[WatchStream, None] = {}
        self._work = anyio.Event()
        self._failures = 0
        """How often in a row a stream ended or could not be opened."""
        self.progress = Progress(self)

    # For watches

    async def open(self, watch: EtcdWatch) -> None:
        """Open a watch: find out where it begins, and have a member confirm it."""
        self._check_open()
        beginning = await self._beginning(watch)
        # Closed meanwhile, nobody would find it a stream or end it.
        self._check_open()
        watch.begin(beginning)
        self._open[watch] = None
        self.place(watch)
        try:
            with anyio.move_on_after(self._options.request_timeout_seconds):
                await watch.opened.wait()
            if watch.error is not None:
                raise watch.error
            if not watch.opened.is_set():
                raise StoreUnavailable("the watch was not confirmed by any etcd member in time")
        except BaseException:
            self.close(watch)
            raise

    def _check_open(self) -> None:
        if self._tasks is None:
            raise StoreClosed("the store is not open")

    def close(self, watch: EtcdWatch) -> None:
        """Forget a watch."""
        watch.is_open = False
        self._open.pop(watch, None)
        self._homeless.pop(watch, None)
        self.progress.forget(watch)
        for stream in tuple(self._streams):
            stream.remove(watch)
            if not stream.watches:
                stream.close()

    def place(self, watch: EtcdWatch) -> None:
        """Find a stream for a watch that has none."""
        if watch.is_open and watch.error is None:
            self._homeless[watch] = None
            self._work.set()

    def ask_progress(self, watch: EtcdWatch) -> None:
        """Tell the watch how far it has come, at least up to the revision that the store has now."""
        self.progress.ask(watch)

    # For the progress of watches

    async def present_revision(self, watch: EtcdWatch) -> int:
        """Return the store's revision, read by a key that this watch's user may read."""
        return await present_revision(self._caller, watch.request.key or b"\x00")

    def watch_all(self, start_revision: int) -> EtcdWatch:
        """Return a watch of all keys that is told of no progress."""
        watch = EtcdWatch(self, WatchRequest(b"\x00", FROM_KEY, start_revision=start_revision))
        watch.quiet = True
        return watch

    def stream_of(self, watch: EtcdWatch) -> WatchStream | None:
        """Return the stream that carries a watch just now."""
        return next((stream for stream in self._streams if stream.open and stream.has(watch)), None)

    # For the store

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Find streams for watches until cancelled."""
        try:
            async with anyio.create_task_group() as tasks:
                self._tasks = tasks
                tasks.start_soon(self.progress.run)
                tasks.start_soon(self.progress.run_beacon)
                task_status.started()
                while True:
                    while not self._homeless:
                        self._work = anyio.Event()
                        await self._work.wait()
                    await self._place_all()
        finally:
            self._tasks = None
            for watch in tuple(self._open):
                watch.end(StoreClosed("the store is not open"))
            self._open.clear()

    def tick(self) -> None:
        """Send notices to those that were told nothing since the last call."""
        for watch in self._open:
            if watch.idle and not watch.quiet:
                self.progress.ask(watch)
            watch.idle = True

    # For streams

    def ended(self, stream: WatchStream, failure: Failure) -> None:
        """Take up the watches of a stream that ended."""
        self._streams.pop(stream, None)
        if not stream.watches:
            return
        log.info("watches lost their stream", watches=len(stream.watches), error=failure.text)
        self._failures += 1
        if failure.lost:
            self._connector.give_up(stream.connection, failure.text)
        else:
            self._connector.doubt()
        for watch in stream.watches:
            if failure.error is not None:
                watch.end(failure.error)
            elif failure.fate is Fate.TOKEN:
                self.refused(watch, stream, failure.text)
            else:
                self.place(watch)

    def confirmed(self, watch: EtcdWatch) -> None:
        """Let the watch be used."""
        self._failures = 0
        watch.refusals = 0
        watch.opened.set()

    def refused(self, watch: EtcdWatch, stream: WatchStream, reason: str) -> None:
        """Try a refused watch again with a new token, or end it."""
        error = refusal(reason)
        watch.refusals += 1
        if error is not None and watch.refusals >= MAX_REFUSALS:
            watch.end(error)
            return
        self._failures += 1
        # A stream has one token for all its life.
        stream.open = False
        assert self._tasks is not None
        self._tasks.start_soon(self._renew, stream.connection, stream.connection.token, watch)

    async def _renew(self, connection: Connection, token: str, watch: EtcdWatch) -> None:
        try:
            await self._connector.renew_token(connection, token)
        except CallFailed as failed:
            log.warning("token could not be renewed", error=failed.failure.text)
        self.place(watch)

    async def _place_all(self) -> None:
        await anyio.sleep(RETRY.delay_seconds(self._failures, self._clock.random))
        try:
            connection = await self._connector.get()
        except StoreUnavailable as error:
            self._failures += 1
            log.warning("watches wait for a connection", watches=len(self._homeless), error=str(error))
            return
        except StoreError as error:
            for watch in tuple(self._homeless):
                watch.end(error)
            self._homeless.clear()
            return
        homeless, self._homeless = self._homeless, {}
        for watch in homeless:
            if connection.keeps_deletes or await self._is_whole(watch):
                if connection.lost:
                    self.place(watch)
                elif watch.is_open and watch.error is None:  # it may have been closed meanwhile
                    self._stream_for(connection).add(watch)

    async def _is_whole(self, watch: EtcdWatch) -> bool:
        """End a watch that would begin just at the compact revision: older etcds have forgotten its deletes.

        They would be left out without a word. `Compacted` makes the reader look at the keys again instead.
        """
        if not watch.complete or (watch.complete == watch.revision and not watch.opened.is_set()):
            return True  # from the beginning, or from what was the present just now
        key = watch.request.key or b"\x00"
        request = rpc_pb2.RangeRequest(key=key, revision=watch.complete, count_only=True)
        try:
            try:
                await self._caller.call("Range", request, repeatable=True)
            except Compacted:
                watch.end(Compacted(await compact_revision(self._caller, key)))
            except FutureRevision:  # by a cluster that was restored from a backup
                return True
            return watch.error is None
        except StoreUnavailable:
            self.place(watch)
        except StoreError as error:
            watch.end(error)
        return False

    def _stream_for(self, connection: Connection) -> WatchStream:
        most = self._options.watches_per_stream
        for stream in self._streams:
            if stream.connection is connection and stream.has_room(most):
                return stream
        assert self._tasks is not None
        stream = WatchStream(self, connection)
        self._streams[stream] = None
        self._tasks.start_soon(stream.run)
        return stream

    async def _beginning(self, watch: EtcdWatch) -> int:
        """Return the present revision. Raises `Compacted` if the watch would begin before what is kept."""
        key, start = watch.request.key or b"\x00", watch.request.start_revision
        try:
            request = rpc_pb2.RangeRequest(key=key, revision=start, count_only=True)
            answer = await self._caller.call("Range", request, repeatable=True)
        except FutureRevision:
            return await self.present_revision(watch)
        except Compacted:
            raise Compacted(await compact_revision(self._caller, key)) from None
        return int(answer.header.revision)
