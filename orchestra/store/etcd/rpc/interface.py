"""What a server is made of: the methods it answers, what they are given, how they refuse, and the bounds."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Protocol, TypeAlias

import attrs

CODES: Final[dict[str, int]] = {
    "OK": 0,
    "CANCELLED": 1,
    "UNKNOWN": 2,
    "INVALID_ARGUMENT": 3,
    "DEADLINE_EXCEEDED": 4,
    "NOT_FOUND": 5,
    "ALREADY_EXISTS": 6,
    "PERMISSION_DENIED": 7,
    "RESOURCE_EXHAUSTED": 8,
    "FAILED_PRECONDITION": 9,
    "ABORTED": 10,
    "OUT_OF_RANGE": 11,
    "UNIMPLEMENTED": 12,
    "INTERNAL": 13,
    "UNAVAILABLE": 14,
    "DATA_LOSS": 15,
    "UNAUTHENTICATED": 16,
}
"""gRPC's status codes by name."""


@attrs.frozen(kw_only=True)
class Limits:
    """How much of everything one server bears."""

    max_message_bytes: int = 2 * 1024 * 1024
    """The largest request; a larger one is answered with RESOURCE_EXHAUSTED."""

    max_connections: int = 4_096
    """Further ones are closed as they come."""

    max_streams: int = 1_024
    """Calls in progress on one connection; further ones are refused in a way that clients try again."""

    max_calls: int = 16_384
    """Calls in progress on all connections; one more is answered with RESOURCE_EXHAUSTED."""

    max_held_bytes: int = 64 * 1024 * 1024
    """Bytes of one connection's requests that are not answered, and of answers that its client has not taken but for
    the largest; above it further requests are answered with RESOURCE_EXHAUSTED. A client that asks on and takes
    nothing is cut off."""

    send_buffer_bytes: int = 256 * 1024
    """Bytes that a stream of messages may leave with a client that does not take them, before it waits."""

    handshake_seconds: float = 10.0
    """A connection that has not begun to speak HTTP/2 by then is closed."""

    keepalive_seconds: float = 60.0
    """A connection on which nothing came for so long is asked for a sign of life, and closed if there is none for
    another third of it."""


class Refusal(Exception):
    """Raised by a method: the call ends with this status instead of an answer."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


BUSY: Final = Refusal("RESOURCE_EXHAUSTED", "grpc: too many calls in progress")
"""How a call is refused, before anything is done for it, because the server has enough to do."""


@attrs.frozen
class Request:
    """The head of a call: the method's path (`/package.Service/Method`), and the metadata with names in lower case.

    Values of binary metadata (`...-bin`) are left as they were sent. Calls with equal heads share one object.
    """

    path: str
    metadata: Mapping[str, str]


class StreamCall(Protocol):
    """A call whose request, or answer, is any number of messages. For one reader and any number of senders."""

    @property
    def request(self) -> Request:
        """The head of the call."""
        ...

    async def receive(self) -> bytes | None:
        """Wait for the next message; None when the client has said that there are no more."""
        ...

    async def send(self, message: bytes) -> None:
        """Send a message, after waiting while too much waits to be taken by the client."""
        ...


Unary: TypeAlias = Callable[[bytes, Request], Awaitable[bytes]]
"""A method with one request and one answer. It runs to its end whatever becomes of the client.

Deadlines (`grpc-timeout`) are kept by the clients: one that has waited long enough resets the call.
"""

Streaming: TypeAlias = Callable[[StreamCall], Awaitable[None]]
"""A method with streams of messages. It is cancelled when the client resets the call or is gone."""


@attrs.frozen
class Methods:
    """What a server answers, by path."""

    unary: Mapping[str, Unary]
    streaming: Mapping[str, Streaming]
