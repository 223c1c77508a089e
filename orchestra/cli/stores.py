"""Which store a command is about: a data directory, the running owner of one, or an etcd cluster."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterator, MutableMapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

import attrs
import click

from orchestra.cli.clusters import FILE, Cluster, cluster_options
from orchestra.cli.directories import default_data_dir
from orchestra.cli.failures import CommandError
from orchestra.errors import StoreLocked, StoreUnavailable

if TYPE_CHECKING:
    from orchestra.store import Store

STORE_FILE: Final = "cluster.db"
"""The store's file in a data directory."""

STORE_SOCKET: Final = "store.sock"
"""The socket in a data directory at which its running owner serves the store."""

MAX_SOCKET_BYTES: Final = 90
"""Paths up to here are used as they are: Linux takes 107, and binding needs some for a hidden directory."""

F = TypeVar("F", bound=Callable[..., Any])


@attrs.frozen(kw_only=True)
class StorePlace:
    """Where the store is; with nothing given in `~/.orchestra/data`."""

    data_dir: Path | None = None
    cluster: Cluster = Cluster()

    @classmethod
    def take(cls, given: MutableMapping[str, Any]) -> Self:
        """Take the options of `place_options` out of a command's."""
        return cls(data_dir=given.pop("data_dir"), cluster=Cluster.take(given))


def place_options(function: F) -> F:
    """Add how to reach a store."""
    about = "The data directory of a plane or a server, running or not (default: ~/.orchestra/data)."
    return click.option("--data-dir", type=FILE, help=about)(cluster_options()(function))


@attrs.frozen(kw_only=True)
class OpenStore:
    """An open store, and what to call it."""

    store: Store
    name: str


@asynccontextmanager
async def opened(place: StorePlace) -> AsyncIterator[OpenStore]:
    """Open the store that is meant."""
    if place.data_dir is not None and place.cluster.endpoint:
        raise CommandError("--data-dir and --endpoint name two stores: give one of them")
    async with AsyncExitStack() as stack:
        if place.cluster.is_meant:
            store: Store = await stack.enter_async_context(place.cluster.store())
            yield OpenStore(store=store, name=",".join(place.cluster.endpoint))
            return
        directory = place.data_dir or default_data_dir()
        yield OpenStore(store=await _open_directory(directory, stack), name=str(directory))


async def _open_directory(directory: Path, stack: AsyncExitStack) -> Store:
    """Open the file of a data directory, or reach its running owner through the socket beside it."""
    from orchestra.store import EtcdStore, SQLiteStore

    path, socket = store_file(directory), directory / STORE_SOCKET
    try:
        return await stack.enter_async_context(SQLiteStore(path))
    except StoreLocked as error:
        locked = error
    if not socket.is_socket():
        raise CommandError(f"{locked} (it does not serve {socket})") from locked
    try:
        return await stack.enter_async_context(EtcdStore(stack.enter_context(socket_address(socket))))
    except StoreUnavailable as error:
        raise CommandError(f"{locked} (it does not answer at {socket})") from error


@contextmanager
def socket_address(path: Path) -> Iterator[str]:
    """Give an address of a socket that is short enough whatever its directory is called; good while inside."""
    if len(os.fsencode(path.absolute())) <= MAX_SOCKET_BYTES:
        yield f"unix:{path.absolute()}"
        return
    directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"unix:/proc/self/fd/{directory}/{path.name}"
    finally:
        os.close(directory)


def store_file(directory: Path) -> Path:
    """Return the store's file. Raises CommandError when there is none, or when it is another user's."""
    path = directory / STORE_FILE
    try:
        owner = directory.stat().st_uid
        there = any(os.path.lexists(f"{path}{suffix}") for suffix in ("", "-wal"))
    except OSError as error:
        raise CommandError(f"{directory}: {error.strerror}") from error
    if not directory.is_dir():
        raise CommandError(f"{directory} is no directory")
    if owner != os.geteuid():
        raise CommandError(f"{directory} belongs to the user with id {owner}: run this as that user")
    if not there:
        raise CommandError(f"{directory} holds no store: it has no {STORE_FILE}")
    return path
