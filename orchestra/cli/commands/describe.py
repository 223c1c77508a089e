"""`orchestra describe`: everything about an object, for people."""

from __future__ import annotations

from typing import Any

import attrs
import click

from orchestra.api.core.config import ConfigMap, Secret
from orchestra.api.core.event import Event
from orchestra.api.core.node import Node
from orchestra.api.core.pod import Pod
from orchestra.api.core.service import Service
from orchestra.api.object import Object
from orchestra.cli.commands.apply import file_options
from orchestra.cli.commands.get import list_all, nothing_found
from orchestra.cli.describe.events import describe_events
from orchestra.cli.describe.sheet import Sheet
from orchestra.cli.kinds import Target, targets_of
from orchestra.cli.terminal import Terminal
from orchestra.cli.verb import connection_options, execute, namespace_options, selector_options, verb
from orchestra.client.interface import Client
from orchestra.errors import NotFound


@attrs.frozen(kw_only=True)
class DescribeOptions:
    """What to describe."""

    resources: tuple[str, ...] = ()
    filename: tuple[str, ...] = ()
    recursive: bool = False
    namespace: str = "default"
    all_namespaces: bool = False
    selector: str = ""
    field_selector: str = ""
    show_events: bool = True

    @property
    def where(self) -> str | None:
        """The namespace to list, None for all."""
        return None if self.all_namespaces else self.namespace


@verb("describe")
@click.argument("resources", nargs=-1, metavar="KIND[,KIND...] [NAME_PREFIX...] | KIND/NAME...")
@file_options
@connection_options
@namespace_options
@selector_options
@click.option("--show-events/--no-show-events", default=True, help="With the Events about it (default).")
def describe_command(**given: Any) -> int:
    """Show details of objects, with their Events."""
    return execute(run, DescribeOptions, given)


async def run(client: Client, options: DescribeOptions, terminal: Terminal) -> int:
    """Describe what the options name."""
    if options.filename:
        from orchestra.cli.manifests import manifest_targets

        targets = tuple(await manifest_targets(client, options.filename, options.recursive, terminal))
    else:
        targets = await targets_of(client, options.resources)
    status, described = 0, 0
    for target in targets:
        try:
            objects = await _objects(client, target, options)
        except NotFound as error:
            status = terminal.fail(error)
            continue
        for obj in objects:
            terminal.write("\n\n" if described else "")
            terminal.write(await describe(client, obj, options, terminal))
            described += 1
    if not described and not status:
        terminal.warn(nothing_found(targets, options))
    return status


async def _objects(client: Client, target: Target, options: DescribeOptions) -> list[Object]:
    """Return the objects of a target; a name that nothing has is taken for the beginning of names."""
    if not target.names:
        return await list_all(client, target.kind, options)
    found: list[Object] = []
    for name in target.names:
        try:
            found.append(await client.get(target.kind, name, namespace=target.namespace or options.namespace))
        except NotFound:
            matching = [o for o in await list_all(client, target.kind, options) if o.metadata.name.startswith(name)]
            if not matching:
                raise
            found += matching
    return found


async def describe(client: Client, obj: Object, options: DescribeOptions, terminal: Terminal) -> str:
    """Return an object's description."""
    sheet = Sheet()
    await _write(client, obj, sheet, terminal)
    if options.show_events:
        describe_events(sheet, await _events(client, obj), terminal.now())
    return sheet.text()


async def _write(client: Client, obj: Object, sheet: Sheet, terminal: Terminal) -> None:
    from orchestra.api.apps import Deployment, ReplicaSet
    from orchestra.cli.describe import config, pods, services, workloads

    namespace = obj.metadata.namespace
    match obj:
        case Pod():
            pods.describe_pod(sheet, obj, terminal.now())
        case Deployment():
            sets = await client.list(ReplicaSet, namespace=namespace)
            workloads.describe_deployment(sheet, obj, sets.items)
        case ReplicaSet():
            listed = await client.list(Pod, namespace=namespace)
            workloads.describe_replica_set(sheet, obj, listed.items)
        case Service():
            from orchestra.api.discovery import EndpointSlice

            chosen = f"kubernetes.io/service-name={obj.metadata.name}"
            slices = await client.list(EndpointSlice, namespace=namespace, label_selector=chosen)
            services.describe_service(sheet, obj, slices.items)
        case Node():
            await _write_node(client, obj, sheet, terminal)
        case ConfigMap():
            config.describe_config_map(sheet, obj)
        case Secret():
            config.describe_secret(sheet, obj)
        case _:
            config.describe_document(sheet, obj, client.scheme.encode(obj))


async def _write_node(client: Client, node: Node, sheet: Sheet, terminal: Terminal) -> None:
    from orchestra.api.coordination import Lease
    from orchestra.api.rules.conditions import is_terminal
    from orchestra.cli.describe.nodes import describe_node

    name = node.metadata.name
    lease: Lease | None
    try:
        lease = await client.get(Lease, name, namespace="kube-node-lease")
    except NotFound:
        lease = None
    bound = await client.list(Pod, field_selector=f"spec.nodeName={name}")
    describe_node(sheet, node, lease, [pod for pod in bound.items if not is_terminal(pod)], terminal.now())


async def _events(client: Client, obj: Object) -> tuple[Event, ...]:
    meta, kind = obj.metadata, obj.resource_info.kind
    fields = f"involvedObject.kind={kind},involvedObject.name={meta.name}"
    listed = await client.list(Event, namespace=meta.namespace or None, field_selector=fields)
    # A node's agent does not know the uid of its Node; everybody else names the object itself.
    return tuple(e for e in listed.items if e.involved_object.uid in ("", meta.uid, meta.name))
