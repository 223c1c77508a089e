"""One HTTP/1.1 request over a stream: what probes, hooks and the demonstration need, and no more."""

from __future__ import annotations

from collections.abc import Mapping

import anyio
import attrs
import h11
from anyio.abc import ByteStream

MAX_BODY_BYTES = 10 * 1024
"""How much of an answer is kept."""

HTTP_ERRORS = (OSError, h11.ProtocolError, anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError)
"""What a request that cannot be completed raises."""


@attrs.frozen(kw_only=True)
class Answer:
    """Status, beginning of the body, and where a redirect leads."""

    status: int
    body: str
    location: str = ""


async def get(stream: ByteStream, target: str, headers: Mapping[str, str]) -> tuple[int, str]:
    """Send a GET and return the status and the beginning of the body; raises one of `HTTP_ERRORS`."""
    answer = await ask(stream, target, headers)
    return answer.status, answer.body


async def ask(stream: ByteStream, target: str, headers: Mapping[str, str]) -> Answer:
    """Send a GET and return what came back.

    Raises one of `HTTP_ERRORS` when the connection ends before a whole answer has come.
    """
    connection = h11.Connection(h11.CLIENT)
    request = h11.Request(method="GET", target=target, headers=list(headers.items()))
    await stream.send((connection.send(request) or b"") + (connection.send(h11.EndOfMessage()) or b""))
    status, body, location = 0, b"", ""
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            try:
                connection.receive_data(await stream.receive())
            except anyio.EndOfStream:
                connection.receive_data(b"")
        elif isinstance(event, h11.Response):
            status = event.status_code
            location = next((value.decode("latin-1") for name, value in event.headers if name == b"location"), "")
        elif isinstance(event, h11.Data):
            body += bytes(event.data)
            if len(body) >= MAX_BODY_BYTES:
                break
        elif isinstance(event, h11.EndOfMessage):
            break
        elif isinstance(event, h11.ConnectionClosed):
            raise anyio.EndOfStream
    return Answer(status=status, body=body[:MAX_BODY_BYTES].decode("utf-8", "replace"), location=location)
