"""HTTP/2 frames as bytes (RFC 9113, sections 4 and 6). Pure."""

from __future__ import annotations

from enum import IntEnum
from struct import Struct
from typing import Final

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
FRAME_HEAD_BYTES: Final = 9
MAX_FRAME_BYTES: Final = 16_384
"""What a frame may hold unless a side says more; this one does not."""

MAX_WINDOW: Final = 2**31 - 1
DEFAULT_WINDOW: Final = 65_535

UINT32: Final = Struct(">I")
_HEAD = Struct(">IBI")
_SETTING = Struct(">HI")
_TWO = Struct(">II")


class Kind(IntEnum):
    """Types of frames."""

    DATA = 0
    HEADERS = 1
    PRIORITY = 2
    RST_STREAM = 3
    SETTINGS = 4
    PUSH_PROMISE = 5
    PING = 6
    GOAWAY = 7
    WINDOW_UPDATE = 8
    CONTINUATION = 9


class Flag:
    """Flags of frames; ACK is END_STREAM's bit, in frames without end. Plain numbers: each frame has some."""

    ACK: Final = 0x1
    END_STREAM: Final = 0x1
    END_HEADERS: Final = 0x4
    PADDED: Final = 0x8
    PRIORITY: Final = 0x20


class Setting(IntEnum):
    """Parameters of SETTINGS that matter here."""

    HEADER_TABLE_SIZE = 1
    ENABLE_PUSH = 2
    MAX_CONCURRENT_STREAMS = 3
    INITIAL_WINDOW_SIZE = 4
    MAX_FRAME_SIZE = 5
    MAX_HEADER_LIST_SIZE = 6


class ErrorCode(IntEnum):
    """Why a stream or a connection ends."""

    NO_ERROR = 0
    PROTOCOL_ERROR = 1
    INTERNAL_ERROR = 2
    FLOW_CONTROL_ERROR = 3
    SETTINGS_TIMEOUT = 4
    STREAM_CLOSED = 5
    FRAME_SIZE_ERROR = 6
    REFUSED_STREAM = 7
    CANCEL = 8
    COMPRESSION_ERROR = 9
    ENHANCE_YOUR_CALM = 11


class ConnectionFailed(Exception):
    """The other side broke the protocol, or asks too much: the connection ends with this code."""

    def __init__(self, code: ErrorCode, text: str) -> None:
        super().__init__(text)
        self.code = code


def frame_head(size: int, kind: int, flags: int, stream_id: int) -> bytes:
    """Return the nine bytes before a payload of `size` bytes."""
    return _HEAD.pack(size << 8 | kind, flags, stream_id)


def settings(values: dict[Setting, int]) -> bytes:
    """Return a SETTINGS frame."""
    payload = b"".join(_SETTING.pack(name, value) for name, value in values.items())
    return frame_head(len(payload), Kind.SETTINGS, 0, 0) + payload


def parse_settings(payload: bytes) -> list[tuple[int, int]]:
    """Return names and values of a SETTINGS payload."""
    if len(payload) % _SETTING.size:
        raise ConnectionFailed(ErrorCode.FRAME_SIZE_ERROR, "a SETTINGS frame of a wrong size")
    return list(_SETTING.iter_unpack(payload))


SETTINGS_ACK: Final = frame_head(0, Kind.SETTINGS, Flag.ACK, 0)


def window_update(stream_id: int, increment: int) -> bytes:
    """Return a WINDOW_UPDATE frame; stream 0 is the connection."""
    return frame_head(4, Kind.WINDOW_UPDATE, 0, stream_id) + UINT32.pack(increment)


def rst_stream(stream_id: int, code: ErrorCode) -> bytes:
    """Return a RST_STREAM frame."""
    return frame_head(4, Kind.RST_STREAM, 0, stream_id) + UINT32.pack(code)


def ping(payload: bytes, *, ack: bool) -> bytes:
    """Return a PING frame or the answer to one."""
    return frame_head(8, Kind.PING, Flag.ACK if ack else 0, 0) + payload


def goaway(last_stream_id: int, code: ErrorCode, text: str) -> bytes:
    """Return a GOAWAY frame."""
    payload = _TWO.pack(last_stream_id, code) + text.encode()
    return frame_head(len(payload), Kind.GOAWAY, 0, 0) + payload


def without_padding(flags: int, payload: bytes) -> bytes:
    """Return what a frame that may be padded holds."""
    if not flags & Flag.PADDED:
        return payload
    if not payload or payload[0] >= len(payload):
        raise ConnectionFailed(ErrorCode.PROTOCOL_ERROR, "more padding than payload")
    return payload[1 : len(payload) - payload[0]]
