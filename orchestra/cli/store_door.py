"""The door to the store of a running plane: for backups, and for whoever wants to look at it with etcd's tools."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import anyio
from anyio.abc import TaskStatus

from orchestra._unix_socket import claim_socket
from orchestra.cli.stores import STORE_SOCKET, socket_address
from orchestra.errors import ConfigurationError

if TYPE_CHECKING:
    from orchestra.apiserver import APIServer
    from orchestra.store import Store

BACKLOG: Final = 16
"""Clients that may wait for the server to be loaded; further ones are turned away until it is."""


class StoreDoor:
    """Serves the plane's store at `store.sock` in its data directory; a `Front`.

    The directory is its user's alone, as the socket is: whoever can open it could read the store's file as well.
    The server is loaded when the first client comes, which most planes never see.
    """

    def __init__(self, store: Store, data_dir: Path) -> None:
        self._store = store
        self._path = data_dir / STORE_SOCKET

    async def run(self, server: APIServer, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled. Raises ConfigurationError when there can be no socket."""
        with socket_address(self._path) as address, _listening(Path(address.removeprefix("unix:"))) as listener:
            task_status.started()
            await anyio.wait_readable(listener)
            from orchestra.store import EtcdServer

            async with EtcdServer(self._store, address, listener=listener):
                await anyio.sleep_forever()


@contextmanager
def _listening(path: Path) -> Iterator[socket.socket]:
    with claim_socket(path) as place, socket.socket(socket.AF_UNIX) as listener:
        try:
            listener.setblocking(False)
            listener.bind(str(place.hidden))
            listener.listen(BACKLOG)
            place.publish()
        except OSError as error:
            raise ConfigurationError(f"{path}: {error.strerror}: --no-store-socket does without it") from error
        yield listener
