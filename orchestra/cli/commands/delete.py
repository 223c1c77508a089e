"""`orchestra delete`: delete objects, and wait until they are gone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import anyio
import attrs
import click

from orchestra.api.object import Object
from orchestra.cli.commands.apply import file_options
from orchestra.cli.commands.get import list_all
from orchestra.cli.failures import CommandError
from orchestra.cli.kinds import Target, single, targets_of
from orchestra.cli.spans import FOREVER, parse_span
from orchestra.cli.terminal import Terminal
from orchestra.cli.verb import connection_options, execute, namespace_options, selector_options, verb
from orchestra.cli.waiting import Gone, wait_until
from orchestra.client.interface import Client, DeleteOptions
from orchestra.errors import APIError, NotFound, ServiceUnavailable

FORCED: Final = (
    "Immediate deletion does not wait for confirmation that the running resource has been terminated. "
    "The resource may continue to run on the cluster indefinitely."
)


@attrs.frozen(kw_only=True)
class DeleteCommand:
    """What to delete, and how."""

    resources: tuple[str, ...] = ()
    filename: tuple[str, ...] = ()
    recursive: bool = False
    namespace: str = "default"
    all_namespaces: bool = False
    selector: str = ""
    field_selector: str = ""
    all: bool = False
    force: bool = False
    grace_period: int = -1
    now: bool = False
    cascade: str = "background"
    wait: bool = True
    timeout: str = "0s"
    ignore_not_found: bool | None = None
    dry_run: str = "none"
    output: str = ""

    @property
    def where(self) -> str | None:
        """The namespace to list, None for all."""
        return None if self.all_namespaces else self.namespace


@verb("delete")
@click.argument("resources", nargs=-1, metavar="KIND[,KIND...] [NAME...] | KIND/NAME...")
@file_options
@connection_options
@namespace_options
@selector_options
@click.option("--all", is_flag=True, help="All objects of these kinds in the namespace.")
@click.option("--force", is_flag=True, help="Remove from the API at once, without waiting for the node.")
@click.option("--grace-period", type=int, default=-1, metavar="SECONDS", help="How long the object may take to end.")
@click.option("--now", is_flag=True, help="The same as --grace-period=1.")
@click.option("--cascade", type=click.Choice(["background", "foreground", "orphan"]), default="background")
@click.option("--wait/--no-wait", default=True, help="Wait until the objects are gone (default).")
@click.option("--timeout", default="0s", metavar="SPAN", help="How long to wait, such as 30s; 0s: for ever.")
@click.option("--ignore-not-found/--no-ignore-not-found", default=None, help="What is not there counts as deleted.")
@click.option("--dry-run", type=click.Choice(["none", "server"]), default="none", help="Check, and delete nothing.")
@click.option("--output", "-o", type=click.Choice(["", "name"]), default="", help="name for shorter output.")
def delete_command(**given: Any) -> int:
    """Delete objects by file names, by names, or by selectors."""
    return execute(run, DeleteCommand, given)


async def run(client: Client, options: DeleteCommand, terminal: Terminal) -> int:
    """Delete what the options name; return 1 when something could not be deleted."""
    how = _how(options, terminal)
    timeout = parse_span(options.timeout, "timeout")
    gone: list[Object] = []
    status = 0
    found = await _objects(client, options, terminal)
    if not found.objects and not found.status and not options.filename and not found.named:
        terminal.say("No resources found")
        return 0
    for obj in found.objects:
        try:
            await client.delete(
                type(obj), obj.metadata.name, namespace=obj.metadata.namespace or options.namespace, options=how
            )
        except ServiceUnavailable:
            raise
        except APIError as error:
            if not (isinstance(error, NotFound) and _forgiving(options)):
                status = terminal.fail(error)
            continue
        gone.append(obj)
        _tell(obj, options, terminal)
    if options.wait and options.dry_run == "none" and not options.force:
        await _wait(client, gone, timeout or FOREVER)
    return status or found.status


@attrs.frozen
class _Found:
    objects: tuple[Object, ...]
    status: int
    named: bool


def _forgiving(options: DeleteCommand) -> bool:
    return options.all if options.ignore_not_found is None else options.ignore_not_found


def _how(options: DeleteCommand, terminal: Terminal) -> DeleteOptions:
    grace: int | None = options.grace_period if options.grace_period >= 0 else None
    if options.now:
        if grace is not None:
            raise CommandError("--now and --grace-period cannot be specified together")
        grace = 1
    if options.force:
        if grace:
            raise CommandError("--force and --grace-period greater than 0 cannot be specified together")
        terminal.warning(FORCED)
        grace = 0
    elif grace == 0:
        grace = 1  # Zero takes the object away from under its node, so it has to be asked for with --force.
    policy: Any = options.cascade.capitalize()
    return DeleteOptions(grace_period_seconds=grace, propagation_policy=policy, dry_run=options.dry_run == "server")


async def _objects(client: Client, options: DeleteCommand, terminal: Terminal) -> _Found:
    targets: Sequence[Target]
    if options.filename:
        from orchestra.cli.manifests import manifest_targets

        targets = await manifest_targets(client, options.filename, options.recursive, terminal)
    else:
        targets = await targets_of(client, options.resources)
        _check(targets, options)
    objects: list[Object] = []
    status = 0
    for target in targets:
        if not target.names:
            objects += await list_all(client, target.kind, options)
        for name in target.names:
            try:
                objects.append(await client.get(target.kind, name, namespace=target.namespace or options.namespace))
            except NotFound as error:
                if not _forgiving(options):
                    status = terminal.fail(error)
    return _Found(tuple(objects), status, any(target.names for target in targets))


def _check(targets: Sequence[Target], options: DeleteCommand) -> None:
    named = any(target.names for target in targets)
    selected = options.selector or options.field_selector
    if named and (selected or options.all):
        word = "a selector" if selected else "--all"
        raise CommandError(f"name cannot be provided when {word} is specified")
    if selected and options.all:
        raise CommandError("cannot set --all and --selector at the same time")
    if not named and not selected and not options.all:
        raise CommandError("resource(s) were provided, but no name was specified")


def _tell(obj: Object, options: DeleteCommand, terminal: Terminal) -> None:
    word, name = single(obj.resource_info), obj.metadata.name
    if options.output == "name":
        terminal.say(f"{word}/{name}")
        return
    verb_ = "force deleted" if options.force else "deleted"
    suffix = "" if options.dry_run == "none" else " (server dry run)"
    terminal.say(f'{word} "{name}" {verb_}{suffix}')
    terminal.flush()


async def _wait(client: Client, objects: Sequence[Object], seconds: float) -> None:
    with anyio.move_on_after(seconds) as scope:
        for obj in objects:
            await wait_until(client, obj, Gone(obj.metadata.uid))
    if scope.cancelled_caught:
        waiting = f"{objects[0].resource_info.plural}/{objects[0].metadata.name}"
        raise CommandError(f"timed out waiting for the condition on {waiting}")
