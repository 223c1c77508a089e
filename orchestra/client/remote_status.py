"""How refusals and bounds travel over gRPC: what client and server must agree on besides the messages.

An `APIError` is a status code, for tools that know nothing else, and in the trailing metadata the whole metav1.Status.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import orjson

from orchestra.errors import (
    APIError,
    InternalError,
    MethodNotAllowed,
    RequestTooLarge,
    ServiceUnavailable,
    Timeout,
    TooManyRequests,
    Unauthorized,
)

STATUS_KEY: Final = "orchestra-status-bin"
WARNINGS_KEY: Final = "orchestra-warnings-bin"
TOKEN_KEY: Final = "authorization"  # noqa: S105 - the name of a header

MAX_REQUEST_BYTES: Final = 4 * 1024 * 1024
"""The largest message that a server takes; a larger one is refused with RequestTooLarge."""

MAX_ANSWER_BYTES: Final = 16 * 1024 * 1024
"""The largest message that a client takes. Servers split long answers into pieces of about `PIECE_BYTES`."""

PIECE_BYTES: Final = 512 * 1024
"""Lists and batches of watch events are split into pieces of this size; a larger object makes a piece of its own."""

CHUNK_BYTES: Final = 64 * 1024
"""The largest piece of a log."""

STATUS_BYTES: Final = 256 * 1024
"""The largest status; of a longer one the last causes are left out."""

METADATA_BYTES: Final = 1024 * 1024
"""The metadata that either side takes."""

WARNINGS: Final = 64
"""How many warnings a refusal carries; the rest is left out."""

KEEPALIVE_SECONDS: Final = 30
"""A connection with open calls that has been silent for so long is asked whether it still lives."""

KEEPALIVE_TIMEOUT_SECONDS: Final = 10
"""A peer that does not answer that question in time is gone."""

WINDOW_BYTES: Final = 1024 * 1024
"""How much of one stream may be under way to a reader that is not reading; gRPC would let it grow by itself."""

OPTIONS: Final = (
    ("grpc.http2.bdp_probe", 0),
    ("grpc.http2.lookahead_bytes", WINDOW_BYTES),
    ("grpc.max_metadata_size", METADATA_BYTES),
    ("grpc.absolute_max_metadata_size", METADATA_BYTES),
    ("grpc.keepalive_time_ms", KEEPALIVE_SECONDS * 1000),
    ("grpc.keepalive_timeout_ms", KEEPALIVE_TIMEOUT_SECONDS * 1000),
)
"""Options of channels and servers alike."""

_CODES: Final = {
    "BadRequest": "INVALID_ARGUMENT",
    "Unauthorized": "UNAUTHENTICATED",
    "Forbidden": "PERMISSION_DENIED",
    "NotFound": "NOT_FOUND",
    "MethodNotAllowed": "UNIMPLEMENTED",
    "Conflict": "ABORTED",
    "AlreadyExists": "ALREADY_EXISTS",
    "Expired": "OUT_OF_RANGE",
    "RequestEntityTooLarge": "INVALID_ARGUMENT",
    "UnsupportedMediaType": "INVALID_ARGUMENT",
    "Invalid": "INVALID_ARGUMENT",
    "TooManyRequests": "RESOURCE_EXHAUSTED",
    "ServiceUnavailable": "UNAVAILABLE",
    "Timeout": "DEADLINE_EXCEEDED",
}


def code_of(error: APIError) -> str:
    """Return the name of the gRPC status code for an error."""
    return _CODES.get(error.reason, "INTERNAL")


def status_bytes(error: APIError) -> bytes:
    """Return the error as JSON of at most `STATUS_BYTES`."""
    status = error.to_status()
    body = orjson.dumps(status)
    if len(body) <= STATUS_BYTES:
        return body
    # JSON writes a character in six bytes at most, so a message of an eighth leaves room for causes.
    status["message"] = error.message[: STATUS_BYTES // 8]
    causes: list[Any] = (status.get("details") or {}).pop("causes", [])
    left = STATUS_BYTES - len(orjson.dumps(status)) - len('"causes":[],')
    fitting = []
    for cause in causes:
        left -= len(orjson.dumps(cause)) + 1
        if left < 0:
            break
        fitting.append(cause)
    if fitting:
        status["details"]["causes"] = fitting
    return orjson.dumps(status)


def trailers(error: APIError, warnings: Iterable[str] = ()) -> tuple[tuple[str, bytes], ...]:
    """Return the trailing metadata of a refusal."""
    found = [(STATUS_KEY, status_bytes(error))]
    shown = [warning[: STATUS_BYTES // (8 * WARNINGS)] for warning in warnings][:WARNINGS]
    if shown:
        found.append((WARNINGS_KEY, orjson.dumps(shown)))
    return tuple(found)


def error_of(code: str, details: str, metadata: Iterable[tuple[str, str | bytes]], *, writes: bool) -> APIError:
    """Return what a failed call means. `writes` says whether it could have changed something.

    Without a status of the server the failure is gRPC's own: the connection's, or a bound's.
    """
    for key, value in metadata:
        if key == STATUS_KEY:
            return APIError.from_status(orjson.loads(value))
    if code == "UNAVAILABLE" and _never_sent(details):
        return ServiceUnavailable(f"the API server cannot be reached: {details}", retry_after_seconds=1)
    if code in ("UNAVAILABLE", "CANCELLED", "UNKNOWN"):
        if writes:
            return Timeout(f"the connection was lost, the write may or may not have happened: {details}")
        return ServiceUnavailable(f"the connection to the API server was lost: {details}", retry_after_seconds=1)
    if code == "DEADLINE_EXCEEDED":
        if writes:
            return Timeout("the API server did not answer in time, the write may or may not have happened")
        return Timeout("the API server did not answer in time")
    if code == "RESOURCE_EXHAUSTED":
        return RequestTooLarge(details) if "larger than max" in details else TooManyRequests(details)
    if code == "UNIMPLEMENTED":
        return MethodNotAllowed(f"the API server does not know this call: {details}")
    if code == "UNAUTHENTICATED":
        return Unauthorized(details)
    return InternalError(f"{code}: {details}")


def _never_sent(details: str) -> bool:
    """Whether gRPC gave up before there was a connection (its words, for there is no other sign)."""
    return details.startswith(("failed to connect to all addresses", "DNS resolution failed", "connections to all"))


def warnings_of(metadata: Iterable[tuple[str, str | bytes]]) -> tuple[str, ...]:
    """Return the warnings that came with a refusal."""
    for key, value in metadata:
        if key == WARNINGS_KEY:
            return tuple(orjson.loads(value))
    return ()
