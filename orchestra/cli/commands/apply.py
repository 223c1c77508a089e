"""`orchestra apply`: server-side apply of manifests."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import attrs
import click

from orchestra.api.manifest import Manifest, read_manifests
from orchestra.api.object import Object, ResourceInfo
from orchestra.cli.failures import CommandError, conflict_hint
from orchestra.cli.kinds import label
from orchestra.cli.terminal import Terminal
from orchestra.cli.verb import connection_options, execute, namespace_option, verb
from orchestra.client.interface import Client, WriteOptions
from orchestra.errors import APIError, DecodeError, NotFound, ServiceUnavailable

SUFFIXES: Final = (".json", ".yaml", ".yml")
"""The files of a folder that are read."""

FIELD_MANAGER: Final = "orchestra"


@attrs.frozen(kw_only=True)
class ApplyOptions:
    """What to apply, and how."""

    filename: tuple[str, ...] = ()
    recursive: bool = False
    namespace: str = "default"
    server_side: bool = True
    force_conflicts: bool = False
    dry_run: str = "none"
    field_manager: str = FIELD_MANAGER
    validate: str = "strict"
    output: str = ""


def file_options(function: Any) -> Any:
    """Add `-f` and `-R`."""
    function = click.option("--recursive", "-R", is_flag=True, help="Read folders below folders too.")(function)
    return click.option(
        "--filename", "-f", multiple=True, metavar="FILE", help="A file, a folder, or - for standard input."
    )(function)


@verb("apply")
@file_options
@connection_options
@namespace_option
@click.option("--server-side/--no-server-side", default=True, help="Apply runs in the server: always so.")
@click.option("--force-conflicts", is_flag=True, help="Take over fields that other managers own.")
@click.option("--dry-run", type=click.Choice(["none", "server"]), default="none", help="Check, and store nothing.")
@click.option("--field-manager", default=FIELD_MANAGER, help="Who owns the fields that are applied.")
@click.option("--validate", type=click.Choice(["strict", "warn", "ignore", "true", "false"]), default="strict")
@click.option("--output", "-o", default="", metavar="FORMAT", help="json, yaml, name, or jsonpath=TEMPLATE.")
def apply_command(**given: Any) -> int:
    """Apply manifests: create what is missing, change what differs."""
    return execute(run, ApplyOptions, given)


async def run(client: Client, options: ApplyOptions, terminal: Terminal) -> int:
    """Apply every document of every file; go on after a refusal, and return 1 when there was one."""
    if not options.filename:
        raise CommandError("must specify one of -f and -k")
    if not options.server_side:
        raise CommandError("apply always runs in the server: leave --server-side=false out")
    manifests = read_files(options.filename, terminal, recursive=options.recursive)
    if not manifests:
        raise CommandError("no objects passed to apply")
    return await apply_manifests(client, manifests, options, terminal)


def read_files(names: Iterable[str], terminal: Terminal, *, recursive: bool = False) -> list[Manifest]:
    """Return every document, with its place; raises DecodeError naming file, document and line."""
    found: list[Manifest] = []
    for name in names:
        if name == "-":
            found += read_manifests(terminal.stdin.read(), name="STDIN")
            continue
        path = Path(name)
        if not path.exists():
            raise CommandError(f'the path "{name}" does not exist')
        for file in _files(path, recursive) if path.is_dir() else [path]:
            try:
                found += read_manifests(file)
            except OSError as error:
                raise CommandError(f"{file}: {error.strerror}") from error
    return found


def _files(folder: Path, recursive: bool) -> Sequence[Path]:
    pattern = "**/*" if recursive else "*"
    files = sorted(path for path in folder.glob(pattern) if path.suffix in SUFFIXES and path.is_file())
    if not files:
        raise CommandError(f"error reading [{folder}]: recognized file extensions are [{' '.join(SUFFIXES)}]")
    return files


async def apply_manifests(
    client: Client, manifests: Iterable[Manifest], options: ApplyOptions, terminal: Terminal
) -> int:
    """Apply documents in their order; the ones after a refused one are applied too."""
    from orchestra.cli.rendering import render_objects

    applied: list[Object] = []
    failed = False
    for manifest in manifests:
        try:
            obj, word = await _apply_one(client, manifest, options, terminal)
        except ServiceUnavailable:
            raise  # Nobody is there: the same would be said of every other document.
        except (APIError, DecodeError) as error:
            terminal.fail(_placed(error, manifest))
            if hint := conflict_hint(error):
                terminal.warn(hint)
            failed = True
            continue
        applied.append(obj)
        if not options.output:
            suffix = "" if options.dry_run == "none" else " (server dry run)"
            terminal.say(f"{label(obj.resource_info, obj.metadata.name)} {word}{suffix}")
    if options.output and applied:
        terminal.write(render_objects(client.scheme, applied, options.output, single=len(applied) == 1))
    return 1 if failed else 0


async def _apply_one(
    client: Client, manifest: Manifest, options: ApplyOptions, terminal: Terminal
) -> tuple[Object, str]:
    """Apply one document, and say whether that created it, changed it, or left it as it was."""
    document = copy.deepcopy(manifest.document)
    info = await known_kind(client, manifest)
    meta = document.setdefault("metadata", {})
    if not isinstance(meta, dict):
        raise DecodeError(f"{manifest.place('metadata')}: metadata: expected an object")
    name = meta.get("name")
    if name and not isinstance(name, str):
        raise DecodeError(f"{manifest.place('metadata.name')}: metadata.name: expected text, got {json.dumps(name)}")
    if not name:
        raise DecodeError(f"{manifest.place('metadata')}: metadata.name: must be set to apply an object")
    if info.namespaced and not meta.get("namespace"):
        meta["namespace"] = options.namespace
    kind = client.scheme.type_of(info)
    before: Object | None
    try:
        before = await client.get(kind, name, namespace=str(meta.get("namespace") or options.namespace))
    except NotFound:
        before = None
    validation: Any = {"true": "Strict", "false": "Ignore"}.get(options.validate, options.validate.capitalize())
    write = WriteOptions(
        dry_run=options.dry_run == "server",
        field_manager=options.field_manager,
        field_validation=validation,
        on_warning=terminal.warning,
    )
    after = await client.apply(document, force=options.force_conflicts, options=write)
    return after, _word(before, after)


def _word(before: Object | None, after: Object) -> str:
    if before is None or before.metadata.uid != after.metadata.uid:
        return "created"
    return "unchanged" if _content(before) == _content(after) else "configured"


def _content(obj: Object) -> dict[str, Any]:
    """Return what people mean by an object: not the server's book-keeping, and not what controllers report."""
    from orchestra.api.codec import encode

    document = {key: value for key, value in encode(obj).items() if key != "status"}
    book_keeping = ("managedFields", "resourceVersion", "generation")
    document["metadata"] = {k: v for k, v in document["metadata"].items() if k not in book_keeping}
    return document


async def known_kind(client: Client, manifest: Manifest) -> ResourceInfo:
    """Return the kind of a document, asking the server for one that the program does not know."""
    document = manifest.document
    for key in ("apiVersion", "kind"):
        if not isinstance(document.get(key), str) or not document[key]:
            raise DecodeError(f"{manifest.place(key)}: {key}: must be set")
    api_version, kind = document["apiVersion"], document["kind"]
    try:
        return client.scheme.info(api_version, kind)
    except NotFound:
        discover = getattr(client, "discover", None)
        if discover is not None:
            await discover()
        try:
            return client.scheme.info(api_version, kind)
        except NotFound as error:
            raise DecodeError(f"{manifest.place('kind')}: {error.message}") from None


def _placed(error: APIError | DecodeError, manifest: Manifest) -> Exception:
    """Return the error with the place of its first faulty field, where the manifest has one."""
    if isinstance(error, DecodeError):
        return error if not error.path else DecodeError(f"{manifest.place(error.path)}: {error.path}: {error.message}")
    return error
