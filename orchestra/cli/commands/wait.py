"""`orchestra wait`: until objects are as wanted, or time is up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import anyio
import attrs
import click

from orchestra.cli.commands.apply import file_options
from orchestra.cli.commands.get import list_all
from orchestra.cli.failures import CommandError
from orchestra.cli.kinds import Target, label, targets_of
from orchestra.cli.spans import FOREVER, parse_span
from orchestra.cli.terminal import Terminal
from orchestra.cli.verb import connection_options, execute, namespace_options, selector_options, verb
from orchestra.cli.waiting import Exists, Gone, HasCondition, HasValue, Wanted, wait_for_name
from orchestra.client.interface import Client
from orchestra.errors import NotFound


@attrs.frozen(kw_only=True)
class WaitOptions:
    """What to wait for, and how long."""

    resources: tuple[str, ...] = ()
    filename: tuple[str, ...] = ()
    recursive: bool = False
    namespace: str = "default"
    all_namespaces: bool = False
    selector: str = ""
    field_selector: str = ""
    all: bool = False
    for_: str = ""
    timeout: str = "30s"
    output: str = ""

    @property
    def where(self) -> str | None:
        """The namespace to list, None for all."""
        return None if self.all_namespaces else self.namespace


@attrs.frozen
class _Item:
    target: Target
    name: str
    namespace: str
    wanted: Wanted


@verb("wait")
@click.argument("resources", nargs=-1, metavar="KIND/NAME... | KIND [NAME...] | KIND (-l QUERY | --all)")
@file_options
@connection_options
@namespace_options
@selector_options
@click.option("--all", is_flag=True, help="All objects of these kinds in the namespace.")
@click.option(
    "--for",
    "for_",
    default="",
    metavar="WHAT",
    help="create, delete, condition=NAME[=VALUE], or jsonpath='{PATH}'[=V].",
)
@click.option("--timeout", default="30s", metavar="SPAN", help="How long to wait; 0: look once, negative: a week.")
@click.option("--output", "-o", type=click.Choice(["", "name"]), default="", help="name for shorter output.")
def wait_command(**given: Any) -> int:
    """Wait for a condition of one or many objects."""
    return execute(run, WaitOptions, given)


async def run(client: Client, options: WaitOptions, terminal: Terminal) -> int:
    """Wait for every object; return 1 as soon as time is up for one."""
    wanted = parse_wanted(options.for_)
    seconds = parse_span(options.timeout, "timeout")
    names = await _names(client, options, wanted, terminal)
    if not names:
        if isinstance(wanted, Gone):
            return 0
        raise CommandError("no matching resources found")
    deadline = anyio.current_time() + (FOREVER if seconds < 0 else seconds)
    for item in names:
        if not await _came_true(client, item, deadline, once=not seconds):
            raise CommandError(f"timed out waiting for the condition on {item.target.info.plural}/{item.name}")
        shown = label(item.target.info, item.name)
        terminal.say(shown if options.output == "name" else f"{shown} condition met")
        terminal.flush()
    return 0


async def _came_true(client: Client, item: _Item, deadline: float, *, once: bool) -> bool:
    """Say whether it is so before the deadline, or is so now."""
    if once:
        return item.wanted.holds(await _look(client, item.target, item.name, item.namespace))
    with anyio.move_on_at(deadline):
        await wait_for_name(client, item.target.kind, item.name, item.namespace, item.wanted)
        return True
    return False


async def _look(client: Client, target: Target, name: str, namespace: str) -> Any:
    try:
        return await client.get(target.kind, name, namespace=namespace)
    except NotFound:
        return None


def parse_wanted(text: str) -> Wanted:
    """Return what `--for` means; raises CommandError."""
    word, separator, rest = text.partition("=")
    match word.lower():
        case "delete" if not separator:
            return Gone()
        case "create" if not separator:
            return Exists()
        case "condition" if rest:
            name, _, status = rest.partition("=")
            return HasCondition(name, status or "true")
        case "jsonpath" if rest:
            return _jsonpath(rest)
    raise CommandError(f'unrecognized condition: "{text}"')


def _jsonpath(text: str) -> HasValue:
    from orchestra.cli.jsonpath import relaxed, select

    text = text.strip()
    end = text.rfind("}") + 1 if text.startswith("{") else len(text.partition("=")[0])
    path, value = text[:end], text[end:]
    if value and (not value.startswith("=") or len(value) == 1):
        raise CommandError("jsonpath wait format must be --for=jsonpath='{.status.readyReplicas}'=3")
    template = relaxed(path)
    select(template, {})
    return HasValue(template, value[1:].strip("'\"") if value else None)


async def _names(client: Client, options: WaitOptions, wanted: Wanted, terminal: Terminal) -> list[_Item]:
    """Return every object to wait for: its kind, name and namespace, and what is wanted of this very one."""
    if not options.filename and not options.resources:
        raise CommandError("you must specify one or more resources by argument or filename")
    targets: Sequence[Target]
    if options.filename:
        from orchestra.cli.manifests import manifest_targets

        targets = await manifest_targets(client, options.filename, options.recursive, terminal)
    else:
        targets = await targets_of(client, options.resources)
    found: list[_Item] = []
    for target in targets:
        if not target.names:
            if not (options.selector or options.field_selector or options.all):
                raise CommandError("resource(s) were provided, but no name was specified")
            for obj in await list_all(client, target.kind, options):
                here = Gone(obj.metadata.uid) if isinstance(wanted, Gone) else wanted
                found.append(_Item(target, obj.metadata.name, obj.metadata.namespace, here))
        for name in target.names:
            namespace = target.namespace or options.namespace
            here = wanted
            if not isinstance(wanted, Exists):
                try:
                    obj = await client.get(target.kind, name, namespace=namespace)
                except NotFound:
                    if isinstance(wanted, Gone):
                        continue
                    raise
                here = Gone(obj.metadata.uid) if isinstance(wanted, Gone) else wanted
            found.append(_Item(target, name, namespace, here))
    return found
