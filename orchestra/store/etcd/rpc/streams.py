"""One call on a connection: what has come of it, what of its answer is still to go, and who is told. Pure."""

from __future__ import annotations

from collections import deque
from typing import Any, Final, Protocol

from orchestra.store.etcd.rpc.frames import UINT32
from orchestra.store.etcd.rpc.interface import Refusal, Request

MESSAGE_HEAD_BYTES: Final = 5
"""gRPC's bytes before each message: whether it is compressed, and its size."""


def framed(message: bytes) -> bytes:
    """Return a message as it stands in a stream."""
    return b"\0" + UINT32.pack(len(message)) + message


class Stream:
    """A call. `call` belongs to whoever answers it."""

    __slots__ = (
        "call",
        "half_closed",
        "head_sent",
        "held_bytes",
        "id",
        "inbox",
        "is_open",
        "is_running",
        "outbox",
        "outbox_bytes",
        "receive_window",
        "request",
        "send_window",
        "trailers",
        "unreported_bytes",
    )

    def __init__(self, stream_id: int, request: Request, receive_window: int, send_window: int) -> None:
        self.id = stream_id
        self.request = request
        self.inbox: bytes | bytearray = b""
        """What has come and was not taken; it begins with the head of a message."""
        self.half_closed = False
        """Whether the client has said that nothing more will come."""
        self.receive_window = receive_window
        self.unreported_bytes = 0
        """What was taken since the client was last told that it may send more."""
        self.send_window = send_window
        self.outbox: deque[memoryview] = deque()
        self.outbox_bytes = 0
        self.head_sent = False
        self.trailers: bytes | None = None
        """Set once the answer is complete; they go after the last of it."""
        self.is_open = True
        """Whether the connection still knows the call: it was neither answered in full nor reset."""
        self.is_running = False
        """Whether somebody works on it, perhaps longer than it is open."""
        self.held_bytes = 0
        """What it counts for among the bytes that its connection holds."""
        self.call: Any = None

    def append(self, payload: bytes) -> None:
        """Add what came."""
        if not self.inbox:
            self.inbox = payload
            return
        if isinstance(self.inbox, bytes):
            self.inbox = bytearray(self.inbox)
        self.inbox += payload

    def wrong_size(self, max_message_bytes: int) -> Refusal | None:
        """Return how to refuse the message that is coming, if it is not one to wait for."""
        if len(self.inbox) < MESSAGE_HEAD_BYTES:
            return None
        if self.inbox[0]:
            return Refusal("UNIMPLEMENTED", "grpc: compressed messages are not supported by this server")
        size = int.from_bytes(self.inbox[1:MESSAGE_HEAD_BYTES])
        if size > max_message_bytes:
            text = f"grpc: received message larger than max ({size} vs. {max_message_bytes})"
            return Refusal("RESOURCE_EXHAUSTED", text)
        return None

    def take_message(self) -> bytes | None:
        """Take the next message out, None if it is not complete."""
        inbox = self.inbox
        if len(inbox) < MESSAGE_HEAD_BYTES:
            return None
        end = MESSAGE_HEAD_BYTES + int.from_bytes(inbox[1:MESSAGE_HEAD_BYTES])
        if len(inbox) < end:
            return None
        message = bytes(inbox[MESSAGE_HEAD_BYTES:end])
        if len(inbox) == end:
            self.inbox = b""
        elif isinstance(inbox, bytearray):
            del inbox[:end]
        else:
            self.inbox = inbox[end:]
        return message

    def take_only_message(self) -> bytes:
        """Take the message of a request that has just one. Raises `Refusal` if it has not."""
        message = self.take_message()
        if message is None or self.inbox:
            raise Refusal("INTERNAL", "grpc: a request of one message was expected")
        return message


class Calls(Protocol):
    """Who answers what comes on a connection. Called from within `receive`."""

    def opened(self, stream: Stream) -> None:
        """A call begins."""
        ...

    def received(self, stream: Stream) -> None:
        """More of the call has come, or its end."""
        ...

    def reset(self, stream: Stream) -> None:
        """The client has given the call up, or is gone; nothing can be sent any more."""
        ...
