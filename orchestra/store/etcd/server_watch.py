"""etcd's service Watch, over any store: many watches on one stream, each a task of its own.

A client that does not read makes its watches wait, not the store: what one then misses it reads from the history, as
etcd's slow watchers do, unless that has been compacted meanwhile.
"""

from __future__ import annotations

from typing import Final

import anyio
import attrs
from anyio.abc import TaskGroup, TaskStatus

from orchestra._proto.etcd.v3 import rpc_pb2
from orchestra.errors import Compacted, StoreError, WatchOverflow
from orchestra.store.etcd import answers
from orchestra.store.etcd.rpc import Methods, Refusal, StreamCall
from orchestra.store.etcd.server_calls import Gate, current_revision, parse, translated
from orchestra.store.etcd.server_events import EventEncoder, Piece, pieces
from orchestra.store.etcd.server_messages import Identity
from orchestra.store.interface import Store, Watch
from orchestra.store.model import FROM_KEY, WatchBatch, WatchRequest

MAX_WATCHES_PER_STREAM: Final = 4_096
"""Watches on one stream; a further one is canceled as it is created."""

WATCH_BUFFER_EVENTS: Final = 8_192
"""Events that wait in memory for a watch of a slow client; further ones it reads from the history."""

DUPLICATE_ID: Final = "mvcc: duplicate watch ID provided on the WatchStream"
EMPTY_RANGE: Final = "mvcc: watcher range is empty"
PROGRESS_ID: Final = -1
"""The id under which a progress that was asked for is told, of all watches of a stream; also that of no watch."""


@attrs.define(eq=False)
class ServedWatch:
    """A watch on a stream."""

    id: int
    request: WatchRequest
    fragment: bool
    progress_notify: bool
    scope: anyio.CancelScope = attrs.field(factory=anyio.CancelScope)
    opened: Watch | None = None
    reached: int = 0
    """The client has everything of this watch up to here."""
    announced: bool = False


class WatchStream:
    """One stream and its watches."""

    def __init__(self, store: Store, identity: Identity, encoder: EventEncoder, call: StreamCall) -> None:
        self._store = store
        self._identity = identity
        self._encoder = encoder
        self._call = call
        self._watches: dict[int, ServedWatch] = {}
        self._next_id = 0
        self._wanted_progress = 0
        """A revision; once all watches have reached it that is told."""

    async def run(self) -> None:
        """Serve until the client cancels the call; also after it has said that it asks for nothing more."""
        async with anyio.create_task_group() as tasks:
            while (message := await self._call.receive()) is not None:
                request = parse(rpc_pb2.WatchRequest, message)
                match request.WhichOneof("request_union"):
                    case "create_request":
                        await self._create(request.create_request, tasks)
                    case "cancel_request":
                        await self._cancel(request.cancel_request.watch_id)
                    case "progress_request":
                        await self._ask_progress()

    async def _send(self, revision: int, watch_id: int, response: rpc_pb2.WatchResponse, events: bytes = b"") -> None:
        response.header.CopyFrom(self._identity.header(revision))
        response.watch_id = watch_id
        await self._call.send(response.SerializeToString() + events)

    async def _create(self, request: rpc_pb2.WatchCreateRequest, tasks: TaskGroup) -> None:
        key = request.key or b"\x00"
        range_end = request.range_end
        chosen = request.watch_id
        if range_end not in {b"", FROM_KEY} and range_end <= key:
            await self._refuse(EMPTY_RANGE)
        elif chosen and chosen in self._watches:
            await self._refuse(DUPLICATE_ID)
        elif len(self._watches) >= MAX_WATCHES_PER_STREAM:
            await self._refuse(answers.TOO_MANY_REQUESTS.text)
        else:
            filters = set(request.filters)
            watch = ServedWatch(
                chosen or self._free_id(),
                WatchRequest(
                    key,
                    range_end,
                    start_revision=max(request.start_revision, 0),
                    prev_kv=request.prev_kv,
                    puts=rpc_pb2.WatchCreateRequest.NOPUT not in filters,
                    deletes=rpc_pb2.WatchCreateRequest.NODELETE not in filters,
                    buffer_events=WATCH_BUFFER_EVENTS,
                ),
                fragment=request.fragment,
                progress_notify=request.progress_notify,
            )
            self._watches[watch.id] = watch
            # Started before the next request is looked at: the client hears of its watches in the order of asking.
            await tasks.start(self._serve, watch)

    def _free_id(self) -> int:
        while self._next_id in self._watches:
            self._next_id += 1
        self._next_id += 1
        return self._next_id - 1

    async def _refuse(self, reason: str) -> None:
        response = rpc_pb2.WatchResponse(created=True, canceled=True, cancel_reason=reason)
        await self._send(await current_revision(self._store), PROGRESS_ID, response)

    async def _serve(self, watch: ServedWatch, *, task_status: TaskStatus[None]) -> None:
        with watch.scope:
            while True:
                try:
                    await self._follow(watch, task_status)
                except WatchOverflow:
                    # From where the client is: the store's history has what did not fit into memory.
                    start = max(watch.request.start_revision, watch.reached + 1)
                    watch.request = attrs.evolve(watch.request, start_revision=start)
                except Compacted as error:
                    await self._end_compacted(watch, error, task_status)
                    return
                finally:
                    watch.opened = None

    async def _follow(self, watch: ServedWatch, task_status: TaskStatus[None]) -> None:
        async with self._store.watch(watch.request) as opened:
            watch.opened = opened
            await self._announce(watch, opened.revision, task_status)
            if not watch.request.start_revision:
                # What was before it began is nothing that the client waits for.
                start = opened.revision + 1
                watch.reached = opened.revision
                watch.request = attrs.evolve(watch.request, start_revision=start)
            if self._wanted_progress:
                opened.request_progress()
            async for batch in opened:
                await self._deliver(watch, batch)

    async def _announce(self, watch: ServedWatch, revision: int, task_status: TaskStatus[None]) -> None:
        if not watch.announced:
            watch.announced = True
            await self._send(revision, watch.id, rpc_pb2.WatchResponse(created=True))
            task_status.started()

    async def _deliver(self, watch: ServedWatch, batch: WatchBatch) -> None:
        if batch.events:
            for piece in pieces(batch, self._encoder, prev_kv=watch.request.prev_kv, fragment=watch.fragment):
                await self._send_piece(watch, piece)
        elif watch.progress_notify and not self._wanted_progress:
            await self._send(batch.revision, watch.id, rpc_pb2.WatchResponse())
        watch.reached = batch.revision
        if self._wanted_progress:
            if watch.reached < self._wanted_progress and watch.opened is not None:
                # It still reads the history: ask again for where that ends.
                watch.opened.request_progress()
            await self._tell_progress()

    async def _send_piece(self, watch: ServedWatch, piece: Piece) -> None:
        await self._send(piece.revision, watch.id, rpc_pb2.WatchResponse(fragment=piece.fragment), piece.events)

    async def _end_compacted(self, watch: ServedWatch, error: Compacted, task_status: TaskStatus[None]) -> None:
        revision = await current_revision(self._store)
        await self._announce(watch, revision, task_status)
        self._watches.pop(watch.id, None)
        response = rpc_pb2.WatchResponse(canceled=True, compact_revision=error.compact_revision)
        await self._send(revision, watch.id, response)
        await self._tell_progress()

    async def _cancel(self, watch_id: int) -> None:
        watch = self._watches.pop(watch_id, None)
        if watch is None:
            return
        # Nothing is sent for the watch after this: its task cannot go on but to end.
        watch.scope.cancel()
        response = rpc_pb2.WatchResponse(canceled=True)
        await self._send(await current_revision(self._store), watch_id, response)
        await self._tell_progress()

    async def _ask_progress(self) -> None:
        """Tell how far all watches are, once each of them has come to where the store is now."""
        self._wanted_progress = max(self._wanted_progress, await current_revision(self._store))
        for watch in self._watches.values():
            if watch.opened is not None:
                watch.opened.request_progress()
        await self._tell_progress()

    async def _tell_progress(self) -> None:
        wanted = self._wanted_progress
        reached = min((watch.reached for watch in self._watches.values()), default=wanted)
        if wanted and reached >= wanted:
            self._wanted_progress = 0
            await self._send(reached, PROGRESS_ID, rpc_pb2.WatchResponse())


def _expected(group: BaseExceptionGroup[BaseException]) -> BaseException | None:
    """Return the error that ended a stream and that its client is to hear of; None if there was something else."""
    error, others = group.split((StoreError, Refusal))
    if others is not None:
        return None
    found: BaseException | None = error
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    return found


class WatchService:
    """Watches."""

    def __init__(self, store: Store, identity: Identity) -> None:
        self._store = store
        self._identity = identity
        self._encoder = EventEncoder()

    def methods(self, gate: Gate) -> Methods:
        """Return what it answers."""

        async def watch(call: StreamCall) -> None:
            gate.check(call.request)
            try:
                await WatchStream(self._store, self._identity, self._encoder, call).run()
            except BaseExceptionGroup as group:
                error = _expected(group)
                if error is None:
                    raise
                with translated():
                    raise error from group

        return Methods({}, {"/etcdserverpb.Watch/Watch": watch})
