"""`orchestra label` and `orchestra annotate`: set `KEY=VALUE`, take away `KEY-`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs
import click

from orchestra.api.object import Object
from orchestra.cli.commands.get import list_all
from orchestra.cli.failures import CommandError
from orchestra.cli.kinds import Target, label, targets_of
from orchestra.cli.terminal import Terminal
from orchestra.cli.verb import connection_options, execute, namespace_options, selector_options, verb
from orchestra.client.interface import Client, Patch, PatchType, WriteOptions


@attrs.frozen(kw_only=True)
class LabelOptions:
    """What to change on which objects; `field` is `labels` or `annotations`."""

    resources: tuple[str, ...] = ()
    namespace: str = "default"
    all_namespaces: bool = False
    selector: str = ""
    field_selector: str = ""
    all: bool = False
    overwrite: bool = False
    dry_run: str = "none"
    field: str = "labels"

    @property
    def where(self) -> str | None:
        """The namespace to list, None for all."""
        return None if self.all_namespaces else self.namespace


def _shared(function: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option("--dry-run", type=click.Choice(["none", "server"]), default="none", help="Change nothing."),
        click.option("--overwrite", is_flag=True, help="Change values that are there already."),
        click.option("--all", is_flag=True, help="All objects of these kinds in the namespace."),
        selector_options,
        namespace_options,
        connection_options,
        click.argument("resources", nargs=-1, metavar="KIND NAME... | KIND/NAME... KEY=VALUE... KEY-..."),
    ):
        function = option(function)
    return function


@verb("label")
@_shared
def label_command(**given: Any) -> int:
    """Change the labels of objects: KEY=VALUE sets one, KEY- takes one away."""
    return execute(run, LabelOptions, {**given, "field": "labels"})


@verb("annotate")
@_shared
def annotate_command(**given: Any) -> int:
    """Change the annotations of objects: KEY=VALUE sets one, KEY- takes one away."""
    return execute(run, LabelOptions, {**given, "field": "annotations"})


async def run(client: Client, options: LabelOptions, terminal: Terminal) -> int:
    """Change what the options name."""
    words = [word for word in options.resources if not _is_change(word)]
    changes = _changes([word for word in options.resources if _is_change(word)])
    single = options.field.removesuffix("s")
    if not changes:
        raise CommandError(f"at least one {single} update is required")
    dry = options.dry_run == "server"
    status = 0
    for target in await targets_of(client, words):
        for obj in await _objects(client, target, options):
            present = getattr(obj.metadata, options.field)
            taken = [k for k, v in changes.items() if v is not None and present.get(k, v) != v]
            if taken and not options.overwrite:
                known = f"'{taken[0]}' already has a value ({present[taken[0]]}), and --overwrite is false"
                status = terminal.fail(CommandError(known))
                continue
            await client.patch(
                target.kind,
                obj.metadata.name,
                Patch(PatchType.MERGE, {"metadata": {options.field: changes}}),
                namespace=obj.metadata.namespace or options.namespace,
                options=WriteOptions(dry_run=dry, on_warning=terminal.warning),
            )
            word = _word(present, changes, options.field)
            terminal.say(f"{label(target.info, obj.metadata.name)} {word}{' (server dry run)' if dry else ''}")
    return status


def _word(present: Mapping[str, str], changes: Mapping[str, str | None], field: str) -> str:
    if field == "annotations":
        return "annotated"
    if all(value is None for value in changes.values()):
        return "unlabeled" if any(key in present for key in changes) else "not labeled"
    return "not labeled" if all(present.get(key) == value for key, value in changes.items()) else "labeled"


def _is_change(word: str) -> bool:
    return "=" in word or word.endswith("-")


def _changes(words: Sequence[str]) -> dict[str, str | None]:
    changes: dict[str, str | None] = {}
    for word in words:
        key, separator, value = word.partition("=")
        key = key if separator else word.removesuffix("-")
        if not key or key in changes:
            raise CommandError(f"invalid change: {word!r}" if not key else f"can not both modify and remove {key!r}")
        changes[key] = value if separator else None
    return changes


async def _objects(client: Client, target: Target, options: LabelOptions) -> list[Object]:
    if target.names:
        return [await client.get(target.kind, name, namespace=options.namespace) for name in target.names]
    if not (options.selector or options.field_selector or options.all):
        raise CommandError("one or more resources must be specified as <resource> <name> or <resource>/<name>")
    return await list_all(client, target.kind, options)
