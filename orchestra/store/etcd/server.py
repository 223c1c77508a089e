"""`serve_etcd`: any store behind the etcd v3 API, for every client of etcd."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import anyio
from anyio.abc import TaskGroup

from orchestra._log import get_logger
from orchestra._unix_socket import claim_socket
from orchestra.errors import ConfigurationError
from orchestra.store.etcd import answers
from orchestra.store.etcd.rpc import Limits, Methods, RPCServer
from orchestra.store.etcd.server_auth import AuthService, Open, Users
from orchestra.store.etcd.server_calls import Gate
from orchestra.store.etcd.server_errors import refusal
from orchestra.store.etcd.server_kv import KVService, LeaseService
from orchestra.store.etcd.server_maintenance import MaintenanceService
from orchestra.store.etcd.server_messages import Identity
from orchestra.store.etcd.server_tls import UNIX, ServeTLS, check_guarded, parse_address
from orchestra.store.etcd.server_watch import WatchService
from orchestra.store.interface import Store

DRAIN_SECONDS: Final = 5.0
"""How long a stop waits for calls in progress."""

log = get_logger("etcd")


class EtcdServer:
    """A store that is served while the context is open; `serve_etcd` makes one, and says what the arguments mean.

    `listener` is a socket that listens at `address`, a Unix one, already: clients may be waiting there. Who made it has
    seen to its mode, and removes it.
    """

    def __init__(
        self,
        store: Store,
        address: str,
        *,
        tls: ServeTLS | None = None,
        users: Mapping[str, str] | None = None,
        insecure: bool = False,
        name: str = "default",
        listener: socket.socket | None = None,
        limits: Limits | None = None,
        drain_seconds: float = DRAIN_SECONDS,
    ) -> None:
        self._address = parse_address(address)
        check_guarded(self._address, tls, users=users is not None, insecure=insecure)
        self._listener = listener
        self._store = store
        self._tls = tls
        self._users = None if users is None else Users(users)
        self._identity = Identity.of(name)
        self._limits = limits or Limits()
        self._drain_seconds = drain_seconds
        self._stack = ExitStack()
        self._tasks: TaskGroup | None = None
        self._rpc: RPCServer | None = None
        self.port = self._address.port
        """The port that was taken, 0 for a Unix socket."""

    @property
    def address(self) -> str:
        """Where it listens: `unix:PATH` or `HOST:PORT`, with the port that was taken."""
        if self._address.path:
            return f"{UNIX}{self._address.path}"
        host = self._address.host
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"

    @property
    def endpoint(self) -> str:
        """What `etcdctl --endpoints` takes."""
        if self._address.path:
            return f"unix://{self._address.path}"
        return f"{'http' if self._tls is None else 'https'}://{self.address}"

    async def __aenter__(self) -> Self:
        """Listen. Raises ConfigurationError when the address cannot be had."""
        context = None if self._tls is None else self._tls.context()
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        self._rpc = RPCServer(
            self._methods(),
            tasks=self._tasks,
            stopped=refusal(answers.STOPPED),
            # A client of etcd knows that nothing was done, and may try again.
            busy=refusal(answers.TOO_MANY_REQUESTS),
            limits=self._limits,
        )
        try:
            await self._listen(self._rpc, context)
        except BaseException as error:
            await self.__aexit__(type(error), error, error.__traceback__)
            if isinstance(error, OSError):
                raise ConfigurationError(f"cannot listen at {self.address}: {error.strerror or error}") from error
            raise
        log.info("serving etcd's API", address=self.address)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> bool | None:
        """End what is in progress, and let go of the address."""
        tasks, rpc = self._tasks, self._rpc
        assert tasks is not None
        assert rpc is not None
        self._tasks = self._rpc = None
        try:
            with anyio.CancelScope(shield=True):
                await rpc.stop(self._drain_seconds)
        finally:
            self._stack.close()
            log.info("stopped serving", address=self.address)
            if not isinstance(exc, anyio.get_cancelled_exc_class()):
                # An exception of the body passes by the task group, which would wrap it into an ExceptionGroup. A
                # cancellation does not: possibly it is the group's own doing, because one of its tasks failed.
                exc_type = exc = traceback = None
                tasks.cancel_scope.cancel()
            swallowed = await tasks.__aexit__(exc_type, exc, traceback)
        return swallowed if exc is not None else None

    async def _listen(self, rpc: RPCServer, context: ssl.SSLContext | None) -> None:
        address = self._address
        if self._listener is not None:
            await rpc.listen_unix(self._listener)
            return
        if not address.path:
            self.port = await rpc.listen(address.host, address.port, context)
            return
        place = self._stack.enter_context(claim_socket(Path(address.path)))
        await rpc.listen_unix(str(place.hidden))
        place.publish()

    def _methods(self) -> Methods:
        store, identity = self._store, self._identity
        gate: Gate = self._users or Open()
        parts = (
            KVService(store, identity).methods(gate),
            LeaseService(store, identity).methods(gate),
            WatchService(store, identity).methods(gate),
            MaintenanceService(store, identity, lambda: self.endpoint).methods(gate),
            AuthService(store, identity, self._users).methods(),
        )
        return Methods(
            {path: method for part in parts for path, method in part.unary.items()},
            {path: method for part in parts for path, method in part.streaming.items()},
        )


def serve_etcd(
    store: Store,
    address: str,
    *,
    tls: ServeTLS | None = None,
    users: Mapping[str, str] | None = None,
    insecure: bool = False,
    name: str = "default",
) -> EtcdServer:
    """Serve an open store to every client of etcd, until the context ends.

        async with SQLiteStore(path) as store, serve_etcd(store, "unix:/run/app/store.sock") as server:
            ...  # etcdctl --endpoints unix:///run/app/store.sock get --prefix /

    `address` is one of:

    - `unix:PATH`, a socket of mode 0600: whoever can open it may do everything;
    - `HOST:PORT` (port 0 takes a free one) with `tls`, where clients show a certificate signed by its `client_ca`, or
      a name and password of `users` (`etcdctl --user`), or both;
    - a loopback address with `users` and without TLS, or with `insecure=True` and neither: then every user of this
      machine may do everything.

    Anything else is refused with ConfigurationError; so is an address that cannot be had, when the context is entered.

    `name` is the member's, and what cluster and member ids are made of: clients see the same ones after a restart.
    When the context ends watches are ended at once and other calls within `DRAIN_SECONDS`, all as etcd ends them when
    it stops. The store is not closed.
    """
    return EtcdServer(store, address, tls=tls, users=users, insecure=insecure, name=name)
