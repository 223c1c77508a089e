"""`orchestra scale`: how many replicas there are to be."""

from __future__ import annotations

from typing import Any

import anyio
import attrs
import click

from orchestra.api.object import Object
from orchestra.cli.commands.apply import file_options
from orchestra.cli.commands.get import list_all
from orchestra.cli.failures import CommandError
from orchestra.cli.kinds import Target, label, targets_of
from orchestra.cli.spans import parse_span
from orchestra.cli.terminal import Terminal
from orchestra.cli.verb import connection_options, execute, namespace_option, selector_options, verb
from orchestra.cli.waiting import Satisfies, wait_until
from orchestra.client.interface import Client, Patch, PatchType, WriteOptions


@attrs.frozen(kw_only=True)
class ScaleOptions:
    """What to scale, and to how many."""

    resources: tuple[str, ...] = ()
    filename: tuple[str, ...] = ()
    recursive: bool = False
    namespace: str = "default"
    selector: str = ""
    field_selector: str = ""
    all: bool = False
    replicas: int | None = None
    current_replicas: int = -1
    resource_version: str = ""
    dry_run: str = "none"
    timeout: str = "0s"

    @property
    def where(self) -> str | None:
        """The namespace to list."""
        return self.namespace


@verb("scale")
@click.argument("resources", nargs=-1, metavar="KIND NAME... | KIND/NAME...")
@file_options
@connection_options
@namespace_option
@selector_options
@click.option("--all", is_flag=True, help="All objects of these kinds in the namespace.")
@click.option("--replicas", type=int, help="How many replicas there are to be. Required.")
@click.option("--current-replicas", type=int, default=-1, help="Scale only when there are that many now.")
@click.option("--resource-version", default="", help="Scale only an object of that version.")
@click.option("--dry-run", type=click.Choice(["none", "server"]), default="none", help="Check, and change nothing.")
@click.option("--timeout", default="0s", metavar="SPAN", help="Wait that long until it has that size; 0s: do not wait.")
def scale_command(**given: Any) -> int:
    """Set a new size for a Deployment or ReplicaSet."""
    return execute(run, ScaleOptions, given)


async def run(client: Client, options: ScaleOptions, terminal: Terminal) -> int:
    """Scale what the options name."""
    if options.replicas is None or options.replicas < 0:
        raise CommandError("The --replicas=COUNT flag is required, and COUNT must be greater than or equal to 0")
    seconds = parse_span(options.timeout, "timeout")
    objects = await _objects(client, options, terminal)
    if not objects:
        raise CommandError("no objects passed to scale")
    for obj in objects:
        await _scale(client, obj, options, terminal)
    with anyio.move_on_after(seconds) as scope:
        for obj in objects if seconds else ():
            await wait_until(client, obj, Satisfies(lambda o: _has_size(o, options.replicas)))
    if scope.cancelled_caught:
        raise CommandError("timed out waiting for the condition")
    return 0


async def _scale(client: Client, obj: Object, options: ScaleOptions, terminal: Terminal) -> None:
    info, name = obj.resource_info, obj.metadata.name
    if "scale" not in info.subresources:
        raise CommandError(f"cannot scale a {info.kind}: the server could not find the requested resource")
    document = client.scheme.encode(obj)
    current = (document.get("spec") or {}).get("replicas")
    if options.current_replicas >= 0 and current != options.current_replicas:
        raise CommandError(f"Expected replicas to be {options.current_replicas}, was {current}")
    body: dict[str, Any] = {"spec": {"replicas": options.replicas}}
    if options.resource_version:
        body["metadata"] = {"resourceVersion": options.resource_version}
    elif options.current_replicas >= 0:
        body["metadata"] = {"resourceVersion": obj.metadata.resource_version}
    dry = options.dry_run == "server"
    await client.patch(
        type(obj),
        name,
        Patch(PatchType.MERGE, body),
        namespace=obj.metadata.namespace or options.namespace,
        subresource="scale",
        options=WriteOptions(dry_run=dry, on_warning=terminal.warning),
    )
    terminal.say(f"{label(info, name)} scaled{' (server dry run)' if dry else ''}")


def _has_size(obj: Any, replicas: int | None) -> bool:
    status = obj.status
    return bool(status.observed_generation >= obj.metadata.generation and status.replicas == replicas)


async def _objects(client: Client, options: ScaleOptions, terminal: Terminal) -> list[Object]:
    targets: Any
    if options.filename:
        from orchestra.cli.manifests import manifest_targets

        targets = await manifest_targets(client, options.filename, options.recursive, terminal)
    else:
        targets = await targets_of(client, options.resources)
    objects: list[Object] = []
    for target in targets:
        objects += await _of_target(client, target, options)
    return objects


async def _of_target(client: Client, target: Target, options: ScaleOptions) -> list[Object]:
    if target.names:
        namespace = target.namespace or options.namespace
        return [await client.get(target.kind, name, namespace=namespace) for name in target.names]
    if not (options.selector or options.field_selector or options.all):
        raise CommandError("resource(s) were provided, but no name was specified")
    return await list_all(client, target.kind, options)
