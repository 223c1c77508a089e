"""`GRPCFront`: the door through which other processes and other machines reach the server."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, Self

import anyio
import attrs
from anyio.abc import TaskStatus

from orchestra._log import get_logger
from orchestra._unix_socket import SocketPlace, claim_socket
from orchestra.apiserver.authn import LOCAL_USER
from orchestra.apiserver.interface import Authenticator
from orchestra.apiserver.server import APIServer
from orchestra.client.remote_channel import UNIX, check_address, read_pem
from orchestra.client.remote_status import KEEPALIVE_SECONDS, MAX_REQUEST_BYTES, OPTIONS
from orchestra.errors import ConfigurationError

MAX_STREAMS: Final = 1024
"""Calls in progress on one connection; further ones wait at the client."""

DRAIN_SECONDS: Final = 5.0
"""How long a stop waits for calls that have an end; what then still runs is ended with Timeout."""

log = get_logger("grpc")


@attrs.frozen(kw_only=True)
class ServerTLS:
    """What the server shows, and whom it lets in: everything PEM.

    With `client_ca` every client must show a certificate signed by it; without one clients need a token.
    """

    certificate: bytes
    key: bytes = attrs.field(repr=False)
    client_ca: bytes | None = None

    @classmethod
    def load(
        cls,
        *,
        certificate: str | os.PathLike[str],
        key: str | os.PathLike[str],
        client_ca: str | os.PathLike[str] | None = None,
    ) -> Self:
        """Read the files; raises ConfigurationError when one cannot be read."""
        ca = None if client_ca is None else read_pem(client_ca)
        return cls(certificate=read_pem(certificate), key=read_pem(key), client_ca=ca)


class GRPCFront:
    """Serves `orchestra.v1.API` at one address while it runs.

    `address` is `unix:PATH`: a socket of mode 0600 in a folder that nobody else may write to; whoever can open it is
    the administrator, unless a credential says otherwise. Or it is `HOST:PORT` (0 takes a free port), which is served
    only with `tls` and an `authenticator`.

    Calls are ended in order when the front stops: watches, logs and sessions at once, with ServiceUnavailable, others
    after `drain_seconds`.
    """

    def __init__(
        self,
        address: str,
        *,
        tls: ServerTLS | None = None,
        authenticator: Authenticator | None = None,
        drain_seconds: float = DRAIN_SECONDS,
    ) -> None:
        self._target = check_address(address)
        self._unix = self._target.startswith(UNIX)
        if self._unix and tls is not None:
            raise ConfigurationError("TLS is for TCP: a Unix socket is guarded by its mode")
        if not self._unix and (tls is None or authenticator is None):
            raise ConfigurationError(f"{address}: a TCP address is served only with TLS and an authenticator")
        self._tls = tls
        self._authenticator = authenticator
        self._drain_seconds = drain_seconds
        self._port = 0

    @property
    def address(self) -> str:
        """Where clients find the front; with the port that was taken once it runs."""
        if self._unix or not self._port:
            return self._target
        return f"{self._target.rpartition(':')[0]}:{self._port}"

    async def run(self, server: APIServer, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled; raises ConfigurationError when the address cannot be had."""
        os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # Read when gRPC is imported: it has no other way to be quiet.
        import grpc.aio

        from orchestra.apiserver.grpc_calls import Bridge, Callers, Ledger
        from orchestra.apiserver.grpc_service import SERVICE, Service

        ledger = Ledger()
        callers = Callers(self._authenticator, LOCAL_USER if self._unix else None)
        handlers = Service(server.documents).handlers(Bridge(ledger, callers))
        with ExitStack() as stack:
            front = grpc.aio.server(options=_options())
            front.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
            place = self._bind(front, stack)
            await front.start()
            try:
                if place is not None:
                    place.publish()
                log.info("listening", address=self.address)
                task_status.started()
                await anyio.Event().wait()
            finally:
                with anyio.CancelScope(shield=True):
                    if place is not None:
                        place.withdraw()
                    ledger.close()
                    with anyio.move_on_after(self._drain_seconds):
                        await ledger.emptied()
                    ledger.cancel()
                    await front.stop(1.0)
                    await ledger.emptied()
                log.info("stopped", address=self.address)

    def _bind(self, front: Any, stack: ExitStack) -> SocketPlace | None:
        import grpc

        try:
            if self._unix:
                place = stack.enter_context(claim_socket(Path(self._target.removeprefix(UNIX))))
                front.add_insecure_port(f"{UNIX}{place.hidden}")
                return place
            assert self._tls is not None
            tls = self._tls
            credentials = grpc.ssl_server_credentials(
                [(tls.key, tls.certificate)],
                root_certificates=tls.client_ca,
                require_client_auth=tls.client_ca is not None,
            )
            self._port = front.add_secure_port(self._target, credentials)
        except RuntimeError as error:
            raise ConfigurationError(f"cannot listen at {self._target}: {error}") from error
        return None


def _options() -> list[tuple[str, Any]]:
    return [
        *OPTIONS,
        ("grpc.max_receive_message_length", MAX_REQUEST_BYTES),
        ("grpc.max_send_message_length", -1),
        ("grpc.max_concurrent_streams", MAX_STREAMS),
        # Two servers on one port would each get some of the calls.
        ("grpc.so_reuseport", 0),
        # Clients may ask half as often again as they do; who asks more often is cut off.
        ("grpc.http2.min_ping_interval_without_data_ms", KEEPALIVE_SECONDS * 1000 // 2),
        ("grpc.keepalive_permit_without_calls", 0),
    ]
