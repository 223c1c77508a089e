"""`orchestra store serve`: a store for every client of etcd, until interrupted."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import attrs
import click

from orchestra.cli.clusters import FILE
from orchestra.cli.directories import default_data_dir, private_directory
from orchestra.cli.failures import CommandError
from orchestra.cli.stores import STORE_FILE, STORE_SOCKET, socket_address
from orchestra.cli.verb import guarded, verb

if TYPE_CHECKING:
    from orchestra.cli.terminal import Terminal
    from orchestra.store import ServeTLS, Store

WATCHED_KEY: Final = b"\x00orchestra/serve"
"""A key that nobody writes: whoever watches it learns of the store's end and of nothing else."""


@attrs.frozen(kw_only=True)
class ServeOptions:
    """What to serve, and where. Without a `data_dir` it is `~/.orchestra/data`."""

    data_dir: Path | None = None
    listen: str | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    client_ca: Path | None = None
    user_file: Path | None = None
    insecure: bool = False
    log_level: str = "warning"


@verb("serve")
@click.option("--data-dir", type=FILE, help="Where the store is, or is to be made (default: ~/.orchestra/data).")
@click.option("--listen", metavar="ADDR", help="unix:PATH, or HOST:PORT with TLS or users, besides store.sock there.")
@click.option("--tls-cert", type=FILE, metavar="FILE", help="The server's certificate (PEM).")
@click.option("--tls-key", type=FILE, metavar="FILE", help="The key of the server's certificate (PEM).")
@click.option("--client-ca", type=FILE, metavar="FILE", help="Who signs the certificates of clients (PEM).")
@click.option("--user-file", type=FILE, metavar="FILE", help="Who may come with a password: lines of NAME:PASSWORD.")
@click.option("--insecure", is_flag=True, help="Let every user of this machine in: for a loopback address alone.")
@click.option("--log-level", type=click.Choice(["debug", "info", "warning", "error", "off"]), default="warning")
def serve_command(**given: Any) -> int:
    """Serve a store to every client of etcd until interrupted (Ctrl-C, SIGTERM).

    It is always served at the socket store.sock in the data directory, which only its user may open.
    """
    import anyio

    from orchestra.cli.terminal import Terminal

    options, terminal = ServeOptions(**given), Terminal()
    return anyio.run(guarded, functools.partial(run, options, terminal), terminal)


async def run(options: ServeOptions, terminal: Terminal) -> int:
    """Serve; return 0 after a clean stop. A store that closed itself is an error."""
    from orchestra.cli.serving import Words, serve, start_logging

    start_logging(options.log_level)
    addresses: list[str] = []

    async def ready() -> int:
        terminal.say(f"ready: listening on {' and '.join(addresses)}")
        return 0

    words = Words("stopping: calls in progress are ended; interrupt again to stop at once", "stopped at once")
    return await serve(serving(options, addresses), ready, terminal, words=words)


@asynccontextmanager
async def serving(options: ServeOptions, addresses: list[str]) -> AsyncIterator[None]:
    """Serve the store of the data directory; note each address, when it can be dialled."""
    import anyio

    from orchestra.store import SQLiteStore, serve_etcd

    tls, users = _tls(options), _users(options.user_file)
    if options.listen is None and (tls or users or options.insecure):
        raise CommandError("TLS, users and --insecure are for an address: name one with --listen")
    directory = private_directory(options.data_dir or default_data_dir())
    socket = directory / STORE_SOCKET
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(SQLiteStore(directory / STORE_FILE))
        await stack.enter_async_context(serve_etcd(store, stack.enter_context(socket_address(socket))))
        addresses.append(f"unix:{socket}")
        if options.listen is not None:
            front = serve_etcd(store, options.listen, tls=tls, users=users, insecure=options.insecure)
            addresses.append((await stack.enter_async_context(front)).address)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_fail_with, store)
            yield
            tasks.cancel_scope.cancel()


async def _fail_with(store: Store) -> None:
    """Raise `StoreClosed` when the store closes itself: it cannot go on until it is opened anew."""
    from orchestra.store import WatchRequest

    async with store.watch(WatchRequest(WATCHED_KEY)) as watch:
        async for _ in watch:
            pass


def _tls(options: ServeOptions) -> ServeTLS | None:
    from orchestra.store import ServeTLS

    if options.tls_cert is None and options.tls_key is None and options.client_ca is None:
        return None
    if options.tls_cert is None or options.tls_key is None:
        raise CommandError("--tls-cert and --tls-key belong together, and --client-ca needs both")
    return ServeTLS(certificate=options.tls_cert, key=options.tls_key, client_ca=options.client_ca)


def _users(path: Path | None) -> dict[str, str] | None:
    if path is None:
        return None
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{path}: {error.strerror if isinstance(error, OSError) else 'not a text'}") from error
    users: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        name, colon, password = line.partition(":")
        if line and not (colon and name and password):
            raise CommandError(f"{path}: line {number} is not of the form NAME:PASSWORD")
        if line:
            users[name] = password
    if not users:
        raise CommandError(f"{path} names nobody")
    return users
