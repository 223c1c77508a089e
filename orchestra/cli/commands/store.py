"""`orchestra store`: back a store up, restore it, and look after it."""

from __future__ import annotations

import functools
import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import attrs
import click

from orchestra.cli.clusters import FILE
from orchestra.cli.commands.store_serve import serve_command
from orchestra.cli.directories import default_data_dir, private_directory
from orchestra.cli.failures import CommandError
from orchestra.cli.stores import STORE_FILE, StorePlace, opened, place_options
from orchestra.cli.verb import guarded, verb

if TYPE_CHECKING:
    from orchestra.cli.terminal import Terminal

OUTPUT: Final = click.option(
    "--output", "-o", type=click.Choice(["table", "json", "yaml"]), default="table", help="table, json or yaml."
)


@click.group("store")
def store_command() -> None:
    """Back a store up, restore it, look after it, or serve it to etcd's clients."""


def run_command(run: Callable[[Any, Terminal], Awaitable[int]], options: Any) -> int:
    """Run a command that talks to no API server; return its exit status."""
    import anyio

    from orchestra.cli.interrupts import interruptible
    from orchestra.cli.terminal import Terminal

    terminal = Terminal()
    work = functools.partial(guarded, functools.partial(run, options, terminal), terminal)
    return anyio.run(interruptible, work, terminal)


# Backup


@attrs.frozen(kw_only=True)
class SnapshotOptions:
    """What to save, and where."""

    place: StorePlace
    file: Path
    overwrite: bool = False
    output: str = "table"


@verb("snapshot")
@click.argument("file", type=FILE)
@place_options
@click.option("--overwrite", is_flag=True, help="Replace FILE if it is there.")
@OUTPUT
def snapshot_command(**given: Any) -> int:
    """Save all keys and leases of a store, as of one revision, to FILE.

    The plane may go on running: its store is asked through the socket in its data directory.
    """
    return run_command(snapshot, SnapshotOptions(place=StorePlace.take(given), **given))


async def snapshot(options: SnapshotOptions, terminal: Terminal) -> int:
    """Save a store to a file, which appears when it is complete."""
    _check_new(options.file, overwrite=options.overwrite)
    async with opened(options.place) as found:
        with _files_of(options.file):
            info = await found.store.snapshot(options.file)
    if options.output == "table":
        terminal.say(f"{options.file}: revision {info.revision} saved ({_size(info.size_bytes)})")
        return 0
    document = {"file": str(options.file), "revision": info.revision, "sizeBytes": info.size_bytes}
    return _print(terminal, {**document, "sha256": info.sha256}, options.output)


@attrs.frozen(kw_only=True)
class RestoreOptions:
    """What to restore, and where to."""

    file: Path
    data_dir: Path | None = None
    raise_revision: int | None = None
    output: str = "table"


@verb("restore")
@click.argument("file", type=FILE)
@click.option("--data-dir", type=FILE, help="The data directory to make; it may hold all but a store.")
@click.option(
    "--raise-revision",
    type=click.IntRange(min=1),
    metavar="NUMBER",
    help="Begin that far above the snapshot's revision (default: 1000000000).",
)
@OUTPUT
def restore_command(**given: Any) -> int:
    """Make the store of a data directory from a snapshot, FILE.

    It begins at a revision above all that clients can have seen, so that they read everything anew.
    """
    return run_command(restore, RestoreOptions(**given))


async def restore(options: RestoreOptions, terminal: Terminal) -> int:
    """Make a store from a snapshot: whole or not at all."""
    from orchestra.store import restore_snapshot

    directory = options.data_dir or default_data_dir()
    _check_private(directory)
    more = {} if options.raise_revision is None else {"raise_revision": options.raise_revision}
    with _files_of(options.file):
        revision = await restore_snapshot(options.file, directory / STORE_FILE, **more)
    if options.output == "table":
        terminal.say(f"{directory}: restored, begins at revision {revision}")
        return 0
    return _print(terminal, {"dataDir": str(directory), "revision": revision}, options.output)


# Care


@attrs.frozen(kw_only=True)
class CareOptions:
    """Which store; `revision` 0 is the present one."""

    place: StorePlace
    revision: int = 0
    defragment: bool = False
    output: str = "table"


_REVISION: Final = click.argument("revision", type=click.IntRange(min=0), default=0)


@verb("compact")
@_REVISION
@place_options
@click.option("--defragment", is_flag=True, help="Give the space to the file system, too; writes wait meanwhile.")
def compact_command(**given: Any) -> int:
    """Forget what only revisions below REVISION can see (default: below the present one)."""
    return run_command(compact, CareOptions(place=StorePlace.take(given), **given))


async def compact(options: CareOptions, terminal: Terminal) -> int:
    """Compact a store."""
    async with opened(options.place) as found:
        now = await found.store.status()
        revision = options.revision or now.revision
        if not options.revision and revision <= now.compact_revision:
            # No error, so that what is to be done besides is done.
            terminal.say(f"nothing to compact: revision {revision} is compacted")
        else:
            await found.store.compact(revision)
            terminal.say(f"compacted revision {revision}")
        if options.defragment:
            await found.store.defragment()
            terminal.say("defragmented")
    return 0


@verb("status")
@place_options
@OUTPUT
def status_command(**given: Any) -> int:
    """Show a store's revisions and sizes."""
    return run_command(status, CareOptions(place=StorePlace.take(given), **given))


async def status(options: CareOptions, terminal: Terminal) -> int:
    """Show a store's revisions and sizes."""
    async with opened(options.place) as found:
        now = await found.store.status()
    if options.output != "table":
        document = {
            "store": found.name,
            "revision": now.revision,
            "compactRevision": now.compact_revision,
            "keys": now.keys,
            "sizeBytes": now.size_bytes,
            "inUseBytes": now.in_use_bytes,
        }
        return _print(terminal, document, options.output)
    sizes = (_size(now.size_bytes), _size(now.in_use_bytes))
    row = (found.name, str(now.revision), str(now.compact_revision), str(now.keys), *sizes)
    return _table(terminal, ("STORE", "REVISION", "COMPACTED", "KEYS", "SIZE", "IN USE"), row)


@verb("hash")
@_REVISION
@place_options
@OUTPUT
def hash_command(**given: Any) -> int:
    """Show the hash of a store's history up to REVISION: equal histories have equal hashes."""
    return run_command(hash_store, CareOptions(place=StorePlace.take(given), **given))


async def hash_store(options: CareOptions, terminal: Terminal) -> int:
    """Show the hash of a store's history."""
    async with opened(options.place) as found:
        now = await found.store.hash(options.revision)
    if options.output != "table":
        document = {"store": found.name, "hash": now.hash, "revision": now.revision}
        return _print(terminal, {**document, "compactRevision": now.compact_revision}, options.output)
    row = (found.name, now.hash, str(now.revision), str(now.compact_revision))
    return _table(terminal, ("STORE", "HASH", "REVISION", "COMPACTED"), row)


for _command in (serve_command, snapshot_command, restore_command, compact_command, status_command, hash_command):
    store_command.add_command(_command)


# Output and errors


def _print(terminal: Terminal, document: dict[str, Any], output: str) -> int:
    from orchestra.cli.rendering import render_document

    terminal.write(render_document(document, output))
    return 0


def _table(terminal: Terminal, *rows: tuple[str, ...]) -> int:
    from orchestra.cli.columns import Columns

    for line in Columns().lines(rows):
        terminal.say(line)
    return 0


def _size(size_bytes: int) -> str:
    """Return a size as etcdctl shows it: two digits or more, in powers of a thousand."""
    size, unit = float(size_bytes), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if size < 999.5:
            break
        size, unit = size / 1000, larger
    return f"{size:.1f} {unit}" if size < 9.95 and unit != "B" else f"{size:.0f} {unit}"


def _check_new(path: Path, *, overwrite: bool) -> None:
    if os.path.lexists(path) and not overwrite:
        raise CommandError(f"{path} exists: name another file, or replace it with --overwrite")


def _check_private(directory: Path) -> None:
    """Refuse a directory that others may enter; one that is not there is made when there is something to put there."""
    if os.path.lexists(directory):
        private_directory(directory)


@contextmanager
def _files_of(path: Path) -> Iterator[None]:
    """Raise an OSError of what is done inside as an error that names the file that the user knows."""
    try:
        yield
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror or error}") from error
