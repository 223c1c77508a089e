"""The connection of a `RemoteClient`: where it goes, how it is secured, and what its failures mean.

gRPC is imported when a connection is opened, and not before.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Self, cast

import attrs
from anyio.lowlevel import checkpoint
from google.protobuf.message import Message

from orchestra.client.remote_status import MAX_ANSWER_BYTES, OPTIONS, TOKEN_KEY, error_of, warnings_of
from orchestra.errors import ConfigurationError, ServiceUnavailable, Timeout

UNIX: Final = "unix:"

MAX_RECONNECT_SECONDS: Final = 2.0
"""The longest pause between two attempts to connect; the first is a tenth of a second."""


@attrs.frozen(kw_only=True)
class ClientTLS:
    """How a client knows the server, and shows itself: everything PEM.

    `ca` are the certificates to trust (None: those of the system), `certificate` and `key` the client's own.
    `server_name` is the name in the server's certificate where it is not the host of the address.
    """

    ca: bytes | None = None
    certificate: bytes | None = None
    key: bytes | None = attrs.field(default=None, repr=False)
    server_name: str = ""

    @classmethod
    def load(
        cls,
        *,
        ca: str | os.PathLike[str] | None = None,
        certificate: str | os.PathLike[str] | None = None,
        key: str | os.PathLike[str] | None = None,
        server_name: str = "",
    ) -> Self:
        """Read the files; raises ConfigurationError when one cannot be read."""
        read = {"ca": ca, "certificate": certificate, "key": key}
        found = {name: None if path is None else read_pem(path) for name, path in read.items()}
        return cls(**found, server_name=server_name)


def read_pem(path: str | os.PathLike[str]) -> bytes:
    """Return the content of a file; raises ConfigurationError when it cannot be read."""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{os.fspath(path)}: {error.strerror}") from error


def check_address(address: str) -> str:
    """Return what gRPC is to dial for `unix:PATH` or `HOST:PORT`; raises ConfigurationError for anything else."""
    if address.startswith(UNIX):
        path = address.removeprefix(UNIX).removeprefix("//")
        if not path:
            raise ConfigurationError(f'"{address}" names no path')
        return UNIX + os.path.abspath(os.path.expanduser(path))
    host, separator, port = address.rpartition(":")
    if not separator or not host or not port.isdigit() or int(port) > 65535:
        raise ConfigurationError(f'"{address}" is no address: give unix:PATH or HOST:PORT')
    return address


class Channel:
    """An open connection, and the stubs of every call over it."""

    def __init__(self, target: str, *, token: str | None, tls: ClientTLS | None, timeout_seconds: float) -> None:
        os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # Read when gRPC is imported: errors reach callers, not stderr.
        import grpc.aio

        from orchestra._proto.orchestra.v1 import api_pb2_grpc

        options: list[tuple[str, Any]] = [
            *OPTIONS,
            ("grpc.max_receive_message_length", MAX_ANSWER_BYTES),
            ("grpc.max_send_message_length", -1),
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.min_reconnect_backoff_ms", 1000),
            ("grpc.max_reconnect_backoff_ms", int(MAX_RECONNECT_SECONDS * 1000)),
            # Two clients in one process are two connections: closing or flooding one leaves the other alone.
            ("grpc.use_local_subchannel_pool", 1),
        ]
        if tls is None:
            options.append(("grpc.default_authority", "localhost"))
            self._channel = grpc.aio.insecure_channel(target, options=options)
        else:
            if tls.server_name:
                options.append(("grpc.ssl_target_name_override", tls.server_name))
            credentials = grpc.ssl_channel_credentials(tls.ca, tls.key, tls.certificate)
            self._channel = grpc.aio.secure_channel(target, credentials, options=options)
        self._rpc_error = grpc.aio.AioRpcError
        self._usage_error = grpc.aio.UsageError
        self._closed = False
        self._metadata = ((TOKEN_KEY, f"Bearer {token}"),) if token else ()
        self._timeout_seconds = timeout_seconds
        self.stub: Any = api_pb2_grpc.APIStub(self._channel)

    async def close(self) -> None:
        """Close the connection; calls in flight end with ServiceUnavailable."""
        self._closed = True
        await self._channel.close(None)

    async def unary(
        self, method: Any, request: Any, *, writes: bool = False, on_warning: Callable[[str], None] | None = None
    ) -> Any:
        """Make a call with one answer. `on_warning` is told the warnings of a refusal; an answer carries its own."""
        with self.failures(writes=writes, on_warning=on_warning):
            try:
                return await method(request, timeout=self._timeout_seconds, metadata=self._metadata)
            except asyncio.CancelledError:
                # For a call that its caller's scope cancels gRPC raises an exception of its own, which the scope would
                # not know. Here the scope says again that it is cancelled, if it is.
                await checkpoint()
                raise

    async def pieces(self, method: Any, request: Any, *, writes: bool = False) -> AsyncGenerator[Any, None]:
        """Make a call that is answered in pieces, within the time of a single answer."""
        with self.failures(writes=writes):
            call = method(request, timeout=self._timeout_seconds, metadata=self._metadata)
            try:
                while isinstance(piece := await call.read(), Message):
                    yield piece
            finally:
                call.cancel()

    def open(self, method: Any, request: Any = None) -> Stream:
        """Begin a call without an end of its own. `request` None: the caller sends."""
        with self.failures():
            given = () if request is None else (request,)
            return Stream(self, method(*given, metadata=self._metadata))

    @contextmanager
    def failures(self, *, writes: bool = False, on_warning: Callable[[str], None] | None = None) -> Iterator[None]:
        """Turn gRPC's failures into the errors of the contract."""
        try:
            yield
        except self._rpc_error as error:
            trailing: tuple[tuple[str, str | bytes], ...] = tuple(cast("Any", error.trailing_metadata()) or ())
            if on_warning is not None:
                for warning in warnings_of(trailing):
                    on_warning(warning)
            raise error_of(error.code().name, error.details() or "", trailing, writes=writes) from error
        except asyncio.InvalidStateError as error:
            raise ServiceUnavailable("the call has ended") from error
        except self._usage_error as error:
            if not self._closed:
                raise
            raise ServiceUnavailable("the client was closed") from error
        except asyncio.CancelledError:
            # gRPC raises this for a call that was cancelled or whose channel was closed; who waits for it is not.
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            why = "the client was closed" if self._closed else "the call has ended"
            if writes:
                raise Timeout(f"{why}, the write may or may not have happened") from None
            raise ServiceUnavailable(why) from None


class Stream:
    """A call in both directions, or one that is answered without end. One task may read and one may send."""

    def __init__(self, channel: Channel, call: Any) -> None:
        self._channel = channel
        self._call = call

    async def send(self, message: Any) -> None:
        """Send a message, as soon as the server takes it."""
        with self._channel.failures():
            await self._call.write(message)

    async def receive(self) -> Any | None:
        """Return the next message, None at the end."""
        with self._channel.failures():
            message = await self._call.read()
            return message if isinstance(message, Message) else None

    async def finish(self) -> None:
        """Say that nothing more will be sent."""
        with self._channel.failures():
            await self._call.done_writing()

    def cancel(self) -> None:
        """End the call at once."""
        self._call.cancel()
