"""The client's side of HTTP/2, as plain as tests need it: frames to send, and frames read back."""

from __future__ import annotations

from collections.abc import Iterable

import attrs
from hpack import Decoder, Encoder

from orchestra.store.etcd.rpc.connection import Connection
from orchestra.store.etcd.rpc.frames import PREFACE, UINT32, Flag, Kind, frame_head, settings
from orchestra.store.etcd.rpc.interface import Limits
from orchestra.store.etcd.rpc.streams import Stream, framed

HELLO = PREFACE + settings({})
HEAD = (
    (":method", "POST"),
    (":scheme", "http"),
    (":path", "/test.Service/Method"),
    ("content-type", "application/grpc"),
    ("te", "trailers"),
)


@attrs.frozen
class Frame:
    kind: Kind
    flags: int
    stream_id: int
    payload: bytes

    @property
    def number(self) -> int:
        return int(UINT32.unpack(self.payload[-4:])[0])


def frame(kind: int, flags: int, stream_id: int, payload: bytes = b"") -> bytes:
    return frame_head(len(payload), kind, flags, stream_id) + payload


def headers(
    stream_id: int,
    fields: Iterable[tuple[str, str]] = HEAD,
    flags: int = Flag.END_HEADERS,
    encoder: Encoder | None = None,
) -> bytes:
    return frame(Kind.HEADERS, flags, stream_id, (encoder or Encoder()).encode(list(fields)))


def data(stream_id: int, payload: bytes, *, end: bool = True) -> bytes:
    return frame(Kind.DATA, Flag.END_STREAM if end else 0, stream_id, payload)


def request(stream_id: int, message: bytes = b"hello") -> bytes:
    return headers(stream_id) + data(stream_id, framed(message))


def setting(name: int, value: int) -> bytes:
    return frame(Kind.SETTINGS, 0, 0, name.to_bytes(2) + UINT32.pack(value))


def window(stream_id: int, increment: int) -> bytes:
    return frame(Kind.WINDOW_UPDATE, 0, stream_id, UINT32.pack(increment))


def reset(stream_id: int) -> bytes:
    return frame(Kind.RST_STREAM, 0, stream_id, UINT32.pack(8))


def parse(data: bytes) -> list[Frame]:
    found = []
    while data:
        size = int.from_bytes(data[:3])
        stream_id = UINT32.unpack_from(data, 5)[0]
        found.append(Frame(Kind(data[3]), data[4], stream_id, data[9 : 9 + size]))
        data = data[9 + size :]
    return found


class Recorder:
    """The `Calls` of a connection that are answered when a test says so."""

    def __init__(self) -> None:
        self.begun: list[Stream] = []
        self.given_up: list[int] = []

    def opened(self, stream: Stream) -> None:
        self.begun.append(stream)

    def received(self, stream: Stream) -> None:
        pass

    def reset(self, stream: Stream) -> None:
        self.given_up.append(stream.id)


class Wire:
    """A connection and its client."""

    def __init__(self, limits: Limits | None = None, *, greet: bool = True) -> None:
        self.calls = Recorder()
        self.connection = Connection(self.calls, limits or Limits(), 0.0)
        self.now = 0.0
        self._decoder = Decoder()
        if greet:
            self.send(HELLO)

    def send(self, *parts: bytes) -> list[Frame]:
        """Send; return what comes back."""
        self.connection.receive(b"".join(parts), self.now)
        return self.read()

    def read(self) -> list[Frame]:
        found = []
        while data := self.connection.take([]):
            found += parse(data)
        return found

    def fields(self, block: bytes) -> dict[str, str]:
        return {str(name): str(value) for name, value in self._decoder.decode(block)}
