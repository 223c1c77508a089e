"""Long answers in pieces: lists, and watches whose encoded events all watchers share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

import anyio
import orjson

from orchestra._proto.orchestra.v1 import api_pb2 as pb
from orchestra.apiserver.cache import RecordEvent
from orchestra.apiserver.documents import Documents
from orchestra.apiserver.interface import User
from orchestra.apiserver.reading import Page, Query
from orchestra.apiserver.record import Record
from orchestra.apiserver.removal import Removed
from orchestra.apiserver.watching import CacheWatch
from orchestra.client.interface import EventType
from orchestra.client.remote_messages import EVENT_TYPES
from orchestra.client.remote_status import PIECE_BYTES
from orchestra.errors import APIError, BadRequest

SHARED_EVENTS: Final = 256
"""How many encoded events are kept for the watchers that have not sent them yet."""

_EMPTY: Final = pb.WatchPiece().SerializeToString()
_MORE: Final = pb.WatchPiece(more=True).SerializeToString()

ResolveQuery = Callable[[pb.Selection, str], Query]


def record_message(record: Record) -> pb.Record:
    """Return a record as it travels: the stored bytes where there are some."""
    return pb.Record(document=document_bytes(record), revision=record.revision)


def document_bytes(record: Record) -> bytes:
    """Return the JSON of a record; what was never stored (a dry run) is encoded here."""
    return record.value or orjson.dumps(record.document)


def list_pieces(page: Page) -> Iterator[pb.ListPiece]:
    """Cut a page into pieces of about `PIECE_BYTES`; the last one says where the list stands."""
    end = pb.ListEnd(revision=page.revision, continue_token=page.continue_, remaining=page.remaining)
    piece, size = pb.ListPiece(), 0
    for record in page.records:
        document = document_bytes(record)
        if size and size + len(document) > PIECE_BYTES:
            yield piece
            piece, size = pb.ListPiece(), 0
        piece.records.add(document=document, revision=record.revision)
        size += len(document)
    piece.end.CopyFrom(end)
    yield piece


def deleted_message(removed: Removed, warnings: Iterable[str] = ()) -> pb.Deleted:
    """Return what a deletion did."""
    record = record_message(removed.record)
    return pb.Deleted(record=record, revision=removed.revision, gone=removed.gone, warnings=warnings)


def deleted_pieces(removed: Iterable[Removed], warnings: Iterable[str]) -> Iterator[pb.DeletedPiece]:
    """Cut what a deletion of many did into pieces of about `PIECE_BYTES`; the first one carries the warnings."""
    piece, size = pb.DeletedPiece(warnings=warnings), 0
    for item in removed:
        message = deleted_message(item)
        if size and size + len(message.record.document) > PIECE_BYTES:
            yield piece
            piece, size = pb.DeletedPiece(), 0
        piece.deleted.append(message)
        size += len(message.record.document)
    yield piece


class WatchEncoder:
    """Encodes each event once for all watchers.

    What is kept is a whole `WatchPiece` with one event: encoded messages that are written one after the other are, by
    the rules of protobuf, one message with the repeated fields of all.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[int, EventType], tuple[Record, bytes]] = {}

    def pieces(self, batch: Iterable[Any]) -> Iterator[bytes]:
        """Return a batch as encoded pieces of about `PIECE_BYTES`."""
        parts: list[bytes] = []
        size = 0
        for event in batch:
            encoded = self._encoded(event)
            if size and size + len(encoded) > PIECE_BYTES:
                yield b"".join([*parts, _MORE])
                parts, size = [], 0
            parts.append(encoded)
            size += len(encoded)
        yield parts[0] if len(parts) == 1 else b"".join(parts)

    def _encoded(self, event: RecordEvent) -> bytes:
        key = (id(event.record), event.type)
        known = self._known.get(key)
        # An id is used again after its object has gone, so the entry holds the object and is compared with it.
        if known is not None and known[0] is event.record:
            return known[1]
        if event.type is EventType.BOOKMARK:
            record = pb.Record(revision=event.revision)
        else:
            record = record_message(event.record)
        message = pb.WatchEvent(type=EVENT_TYPES[event.type], record=record, revision=event.revision)
        encoded = pb.WatchPiece(events=[message]).SerializeToString()
        while len(self._known) >= SHARED_EVENTS:
            del self._known[next(iter(self._known))]
        self._known[key] = (event.record, encoded)
        return encoded


class Watches:
    """Serves watches."""

    def __init__(self, documents: Documents, resolve: ResolveQuery) -> None:
        self._documents = documents
        self._resolve = resolve
        self._encoder = WatchEncoder()

    async def serve(self, _request: None, context: Any, user: User) -> None:
        """Open the watch that the first message asks for, and send what it tells until the client leaves."""
        first = await context.read()
        if not isinstance(first, pb.WatchRequest) or first.WhichOneof("request") != "open":
            raise BadRequest("a watch begins with what is to be watched")
        opening = first.open
        query = self._resolve(opening.selection, opening.resource_version)
        failures: list[APIError] = []
        async with self._documents.watch(query, user, bookmarks=opening.bookmarks) as watch:
            await context.write(_EMPTY)

            async def listen() -> None:
                try:
                    while isinstance(await context.read(), pb.WatchRequest):
                        await watch.request_progress()
                except APIError as error:
                    failures.append(error)
                both.cancel_scope.cancel()

            async with anyio.create_task_group() as both:
                both.start_soon(listen)
                try:
                    await self._send(watch, context)
                except APIError as error:
                    failures.append(error)
                both.cancel_scope.cancel()
        if failures:
            raise failures[0]

    async def _send(self, watch: CacheWatch, context: Any) -> None:
        while True:
            for piece in self._encoder.pieces(await watch.next_batch()):
                await context.write(piece)
