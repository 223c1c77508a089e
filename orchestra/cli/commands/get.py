"""`orchestra get`: objects as tables, documents, or names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import attrs
import click

from orchestra.api.object import Object
from orchestra.api.tables import Cell, Printer, table_of
from orchestra.cli.columns import Columns
from orchestra.cli.failures import CommandError
from orchestra.cli.kinds import Target, single, targets_of
from orchestra.cli.rendering import TABLES, check_format, render_objects
from orchestra.cli.terminal import Terminal
from orchestra.cli.verb import connection_options, execute, namespace_options, selector_options, verb
from orchestra.client.interface import Client
from orchestra.errors import APIError, NotFound, ServiceUnavailable

CHUNK: Final = 500
"""How many objects are asked for at a time."""


@attrs.frozen(kw_only=True)
class GetOptions:
    """What to show, and how."""

    resources: tuple[str, ...] = ()
    filename: tuple[str, ...] = ()
    recursive: bool = False
    namespace: str = "default"
    all_namespaces: bool = False
    selector: str = ""
    field_selector: str = ""
    output: str = ""
    watch: bool = False
    watch_only: bool = False
    output_watch_events: bool = False
    no_headers: bool = False
    show_labels: bool = False
    show_kind: bool = False
    show_managed_fields: bool = False
    label_columns: tuple[str, ...] = ()
    sort_by: str = ""
    ignore_not_found: bool = False

    @property
    def where(self) -> str | None:
        """The namespace to list, None for all."""
        return None if self.all_namespaces else self.namespace


@verb("get")
@click.argument("resources", nargs=-1, metavar="KIND[,KIND...] [NAME...] | KIND/NAME...")
@connection_options
@namespace_options
@selector_options
@click.option("--filename", "-f", multiple=True, metavar="FILE", help="The objects of these manifests.")
@click.option("--recursive", "-R", is_flag=True, help="Read folders below folders too.")
@click.option("--output", "-o", default="", metavar="FORMAT", help="table, wide, json, yaml, name, jsonpath=TEMPLATE.")
@click.option("--watch", "-w", is_flag=True, help="After listing, show changes as they happen.")
@click.option("--watch-only", is_flag=True, help="Show changes, without listing first.")
@click.option("--output-watch-events", is_flag=True, help="Say of each change what it is.")
@click.option("--no-headers", is_flag=True, help="Print no headers.")
@click.option("--show-labels", is_flag=True, help="Labels as the last column.")
@click.option("--show-kind", is_flag=True, help="Names with their kind.")
@click.option("--show-managed-fields", is_flag=True, help="Keep managedFields in JSON and YAML.")
@click.option("--label-columns", "-L", multiple=True, metavar="KEYS", help="Labels as columns of their own.")
@click.option("--sort-by", default="", metavar="JSONPATH", help="Sort by the value at this path.")
@click.option("--ignore-not-found", is_flag=True, help="An object that does not exist is no error.")
def get_command(**given: Any) -> int:
    """Display one or many resources."""
    return execute(run, GetOptions, given)


async def run(client: Client, options: GetOptions, terminal: Terminal) -> int:
    """Show what the options name."""
    check_format(options.output)
    if options.all_namespaces and any("/" in word for word in options.resources):
        raise CommandError("a resource cannot be retrieved by name across all namespaces")
    targets = await _targets(client, options, terminal)
    if options.watch or options.watch_only:
        from orchestra.cli.watching import watch

        return await watch(client, targets, options, terminal)
    found, status = await fetch_all(client, targets, options, terminal)
    objects = [obj for _, objects in found for obj in objects]
    if options.output not in TABLES:
        if objects or not status:
            one = sum(len(target.names) for target in targets) == 1
            terminal.write(_documents(client, objects, options, one=one))
        return status
    if not objects:
        if not status and not options.ignore_not_found:
            terminal.warn(nothing_found(targets, options))
        return status
    print_groups(found, options, terminal, with_kind=len(found) > 1 or len(targets) > 1)
    return status


async def _targets(client: Client, options: GetOptions, terminal: Terminal) -> Sequence[Target]:
    if not options.filename:
        targets = await targets_of(client, options.resources)
        if options.all_namespaces and any(target.names for target in targets):
            raise CommandError("a resource cannot be retrieved by name across all namespaces")
        if (options.selector or options.field_selector) and any(target.names for target in targets):
            raise CommandError("name cannot be provided when a selector is specified")
        return targets
    from orchestra.cli.manifests import manifest_targets

    return await manifest_targets(client, options.filename, options.recursive, terminal)


def _documents(client: Client, objects: Sequence[Object], options: GetOptions, *, one: bool) -> str:
    managed = options.show_managed_fields
    return render_objects(client.scheme, objects, options.output, single=one, managed_fields=managed)


async def fetch_all(
    client: Client, targets: Iterable[Target], options: GetOptions, terminal: Terminal
) -> tuple[list[tuple[Target, list[Object]]], int]:
    """Return the objects of each target, and 1 when some could not be had; those are told of."""
    found: list[tuple[Target, list[Object]]] = []
    status = 0
    for target in targets:
        objects: list[Object] = []
        if target.names:
            for name in target.names:
                try:
                    objects.append(await client.get(target.kind, name, namespace=target.namespace or options.namespace))
                except ServiceUnavailable:
                    raise
                except APIError as error:
                    if not (options.ignore_not_found and isinstance(error, NotFound)):
                        status = terminal.fail(error)
        else:
            objects = await list_all(client, target.kind, options)
        if options.sort_by:
            objects = _sorted(client, objects, options.sort_by)
        if objects:
            found.append((target, objects))
    return found, status


async def list_all(client: Client, kind: type[Object], options: Any) -> list[Object]:
    """Return every object that the options select, read in chunks of one revision."""
    objects: list[Object] = []
    continue_ = ""
    while True:
        page = await client.list(
            kind,
            namespace=options.where if kind.resource_info.namespaced else None,
            label_selector=options.selector,
            field_selector=options.field_selector,
            limit=CHUNK,
            continue_=continue_,
        )
        objects += page.items
        continue_ = page.metadata.continue_
        if not continue_:
            return objects


def _sorted(client: Client, objects: list[Object], path: str) -> list[Object]:
    from orchestra.cli.jsonpath import relaxed, select

    template = relaxed(path)

    def key(obj: Object) -> tuple[int, float, str]:
        values = select(template, client.scheme.encode(obj))
        value = values[0] if values else None
        if isinstance(value, int | float):
            return (1, float(value), "")
        return (0, 0.0, "") if value is None else (2, 0.0, str(value))

    return sorted(objects, key=key)


def nothing_found(targets: Iterable[Target], options: Any) -> str:
    """Return what is said in place of an empty table."""
    if options.all_namespaces or not all(target.info.namespaced for target in targets):
        return "No resources found"
    return f"No resources found in {options.namespace} namespace."


def print_groups(
    found: Iterable[tuple[Target, list[Object]]], options: GetOptions, terminal: Terminal, *, with_kind: bool
) -> None:
    """Print one table for each kind, with an empty line between two."""
    for index, (target, objects) in enumerate(found):
        if index:
            terminal.say()
        table = TableWriter(target, options, with_kind=with_kind)
        rows = [] if options.no_headers else [table.header()]
        rows += [table.row(obj, terminal) for obj in objects]
        for line in Columns().lines(rows):
            terminal.say(line)


class TableWriter:
    """Makes the rows of one kind, with the columns that the options ask for."""

    def __init__(self, target: Target, options: GetOptions, *, with_kind: bool) -> None:
        self._printer: Printer = table_of(target.info)
        self._prefix = f"{single(target.info)}/" if with_kind or options.show_kind else ""
        self._options = options
        self._spaces = options.all_namespaces and target.info.namespaced
        self._labels = [key for keys in options.label_columns for key in keys.split(",")]
        wide = options.output == "wide"
        self._shown = [index for index, column in enumerate(self._printer.columns) if wide or not column.priority]

    def header(self) -> list[str]:
        """Return the names of the columns."""
        columns = self._printer.columns
        names = [columns[index].name.upper() for index in self._shown]
        labels = [key.rpartition("/")[2].upper() for key in self._labels]
        last = ["LABELS"] if self._options.show_labels else []
        return (["NAMESPACE"] if self._spaces else []) + names + labels + last

    def row(self, obj: Object, terminal: Terminal) -> list[str]:
        """Return the cells of an object."""
        cells = [_text(cell) for cell in self._printer.cells(obj, terminal.now())]
        columns = self._printer.columns
        shown = [f"{self._prefix if columns[index].format == 'name' else ''}{cells[index]}" for index in self._shown]
        meta = obj.metadata
        labels = [meta.labels.get(key, "") for key in self._labels]
        every = ",".join(f"{key}={meta.labels[key]}" for key in sorted(meta.labels)) or "<none>"
        last = [every] if self._options.show_labels else []
        return ([meta.namespace] if self._spaces else []) + shown + labels + last


def _text(cell: Cell) -> str:
    """Return a cell as Go prints it, which writes truth in small letters."""
    return str(cell).lower() if isinstance(cell, bool) else str(cell)
