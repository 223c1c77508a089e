"""Which store a command is about: a data directory, the running owner of one, or an etcd cluster."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import attrs
import click

from orchestra.cli.directories import default_data_dir
from orchestra.cli.failures import CommandError

if TYPE_CHECKING:
    from orchestra.store import Store

STORE_FILE: Final = "cluster.db"
"""The store's file in a data directory."""

STORE_SOCKET: Final = "store.sock"
"""The socket in a data directory at which its running owner serves the store."""

FILE: Final = click.Path(path_type=Path)

F = TypeVar("F", bound=Callable[..., Any])


@attrs.frozen(kw_only=True)
class StorePlace:
    """Where the store is; with nothing given in `~/.orchestra/data`."""

    data_dir: Path | None = None


def place_options(function: F) -> F:
    """Add how to reach a store."""
    return click.option(
        "--data-dir", type=FILE, help="The data directory of a plane or of `orchestra store serve` (~/.orchestra/data)."
    )(function)


@attrs.frozen(kw_only=True)
class OpenStore:
    """An open store, and what to call it."""

    store: Store
    name: str


@asynccontextmanager
async def opened(place: StorePlace) -> AsyncIterator[OpenStore]:
    """Open the store that is meant."""
    directory = place.data_dir or default_data_dir()
    async with AsyncExitStack() as stack:
        yield OpenStore(store=await _open_directory(directory, stack), name=str(directory))


async def _open_directory(directory: Path, stack: AsyncExitStack) -> Store:
    """Open the file of a data directory."""
    from orchestra.store import SQLiteStore

    return await stack.enter_async_context(SQLiteStore(store_file(directory)))


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
