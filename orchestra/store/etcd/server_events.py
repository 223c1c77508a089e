"""Events as bytes: encoded once for all who watch, and cut into answers of a bearable size. Pure.

An answer is a head of its own and, behind it, events that are the same bytes for everybody: in protobuf's form a
message is its fields one after another, so they need not be put together as objects.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import attrs

from orchestra._proto.etcd.v3 import kv_pb2
from orchestra.store.etcd.server_messages import key_value
from orchestra.store.model import Event, WatchBatch

ANSWER_BYTES: Final = 1024 * 1024
"""An answer with more events than that is cut between revisions, and within one if the client says that it can bear
it (`fragment`)."""

MAX_KEPT_BYTES: Final = 8 * 1024 * 1024
"""Encoded events that are kept for further watchers of them."""

_EVENTS_TAG: Final = b"\x5a"
"""Field 11 of WatchResponse, with a length."""


class EventEncoder:
    """Encodes events, those that several watchers get once."""

    def __init__(self) -> None:
        self._kept: dict[tuple[int, bool], tuple[Event, bytes]] = {}
        """By the event's identity; the event is kept too, so that no other can have the same."""
        self._kept_bytes = 0

    def encode(self, event: Event, *, prev_kv: bool) -> bytes:
        """Return an event as a field of an answer."""
        key = (id(event), prev_kv)
        kept = self._kept.get(key)
        if kept is not None:
            return kept[1]
        encoded = _encode(event, prev_kv)
        if self._kept_bytes + len(encoded) > MAX_KEPT_BYTES:
            self._kept.clear()
            self._kept_bytes = 0
        self._kept[key] = (event, encoded)
        self._kept_bytes += len(encoded) + 256
        return encoded


def _encode(event: Event, prev_kv: bool) -> bytes:
    if event.is_delete:
        # etcd says of a deleted key nothing but its name and when.
        kv = kv_pb2.KeyValue(key=event.kv.key, mod_revision=event.kv.mod_revision)
    else:
        kv = key_value(event.kv)
    message = kv_pb2.Event(
        type=kv_pb2.Event.DELETE if event.is_delete else kv_pb2.Event.PUT,
        kv=kv,
        prev_kv=key_value(event.prev_kv) if prev_kv and event.prev_kv is not None else None,
    )
    data = message.SerializeToString()
    return _EVENTS_TAG + _varint(len(data)) + data


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


@attrs.frozen
class Piece:
    """Events of one answer; `revision` is how far the watch has come with it. `fragment`: its last revision goes on."""

    revision: int
    events: bytes
    fragment: bool = False


def pieces(batch: WatchBatch, encoder: EventEncoder, *, prev_kv: bool, fragment: bool) -> Iterator[Piece]:
    """Yield the answers that a batch becomes."""
    chunk: list[bytes] = []
    size = 0
    last = 0
    """The revision of the newest event in the chunk."""
    for event in batch.events:
        encoded = encoder.encode(event, prev_kv=prev_kv)
        revision = event.kv.mod_revision
        if chunk and size + len(encoded) > ANSWER_BYTES and (revision != last or fragment):
            yield Piece(last, b"".join(chunk), fragment=revision == last)
            chunk, size = [], 0
        chunk.append(encoded)
        size += len(encoded)
        last = revision
    yield Piece(batch.revision, b"".join(chunk))
