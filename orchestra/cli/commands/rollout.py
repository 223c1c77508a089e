"""`orchestra rollout`: follow, list, undo, restart, pause and resume the rollouts of Deployments."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import anyio
import attrs
import click

from orchestra.api.apps import Deployment, ReplicaSet
from orchestra.api.codec import encode
from orchestra.cli import rollouts
from orchestra.cli.commands.apply import file_options
from orchestra.cli.failures import CommandError
from orchestra.cli.kinds import label, targets_of
from orchestra.cli.spans import FOREVER, parse_span
from orchestra.cli.terminal import Terminal
from orchestra.cli.verb import connection_options, execute, namespace_option, verb
from orchestra.client.interface import Client, EventType, Patch, PatchType, WriteOptions
from orchestra.errors import Expired

Document = dict[str, Any]


@attrs.frozen(kw_only=True)
class RolloutOptions:
    """Which rollout, and what of it."""

    resources: tuple[str, ...] = ()
    filename: tuple[str, ...] = ()
    recursive: bool = False
    namespace: str = "default"
    selector: str = ""
    revision: int = 0
    to_revision: int = 0
    watch: bool = True
    timeout: str = "0s"
    output: str = ""
    dry_run: str = "none"


@click.group("rollout")
def rollout_command() -> None:
    """Manage the rollout of a Deployment."""


def _shared(function: Any) -> Any:
    function = click.option("--selector", "-l", default="", metavar="QUERY", help="Those with these labels.")(function)
    function = namespace_option(connection_options(file_options(function)))
    return click.argument("resources", nargs=-1, metavar="KIND NAME... | KIND/NAME...")(function)


_DRY_RUN = click.option("--dry-run", type=click.Choice(["none", "server"]), default="none", help="Change nothing.")


@verb("status")
@_shared
@click.option("--revision", type=int, default=0, help="Only the rollout of that revision.")
@click.option("--watch/--no-watch", "-w", default=True, help="Follow it until it is done (default).")
@click.option("--timeout", default="0s", metavar="SPAN", help="How long to follow it; 0s: for ever.")
def status_command(**given: Any) -> int:
    """Show how far a rollout is."""
    return execute(status, RolloutOptions, given)


@verb("history")
@_shared
@click.option("--revision", type=int, default=0, help="The Pod template of that revision.")
@click.option("--output", "-o", default="", metavar="FORMAT", help="json, yaml, name, or jsonpath=TEMPLATE.")
def history_command(**given: Any) -> int:
    """List the revisions of a Deployment."""
    return execute(history, RolloutOptions, given)


@verb("undo")
@_shared
@_DRY_RUN
@click.option("--to-revision", type=int, default=0, help="The revision to go back to; 0: the one before.")
def undo_command(**given: Any) -> int:
    """Go back to an earlier revision."""
    return execute(undo, RolloutOptions, given)


@verb("restart")
@_shared
def restart_command(**given: Any) -> int:
    """Replace all Pods, as for a new revision."""
    return execute(restart, RolloutOptions, given)


@verb("pause")
@_shared
def pause_command(**given: Any) -> int:
    """Let changes of the template wait."""
    return execute(pause, RolloutOptions, given)


@verb("resume")
@_shared
def resume_command(**given: Any) -> int:
    """Roll out the changes that waited."""
    return execute(resume, RolloutOptions, given)


for _command in (status_command, history_command, undo_command, restart_command, pause_command, resume_command):
    rollout_command.add_command(_command)


async def status(client: Client, options: RolloutOptions, terminal: Terminal) -> int:
    """Tell how far each rollout is, until it is done."""
    seconds = parse_span(options.timeout, "timeout")
    for deployment in await _deployments(client, options, terminal):
        with anyio.move_on_after(seconds or FOREVER) as scope:
            await _follow(client, deployment, options, terminal)
        if scope.cancelled_caught:
            raise CommandError("timed out waiting for the condition")
    return 0


async def _follow(client: Client, deployment: Deployment, options: RolloutOptions, terminal: Terminal) -> None:
    said = ""
    meta = deployment.metadata
    chosen: Document = {"namespace": meta.namespace, "field_selector": f"metadata.name={meta.name}"}
    while True:
        now = rollouts.progress(deployment, options.revision)
        if now.message != said:
            terminal.say(now.message)
            terminal.flush()
            said = now.message
        if now.done or not options.watch:
            return
        revision = deployment.metadata.resource_version
        try:
            async with client.watch(Deployment, **chosen, resource_version=revision) as stream:
                async for event in stream:
                    if event.type is EventType.DELETED:
                        raise CommandError("object has been deleted")
                    if event.type is not EventType.BOOKMARK:
                        deployment = event.object
                        break
        except Expired:
            deployment = await client.get(Deployment, meta.name, namespace=meta.namespace)


async def history(client: Client, options: RolloutOptions, terminal: Terminal) -> int:
    """List the revisions of each Deployment, or show the template of one."""
    for deployment in await _deployments(client, options, terminal):
        revisions = await _history(client, deployment)
        named = label(deployment.resource_info, deployment.metadata.name)
        if not options.revision and not options.output:
            terminal.say(f"{named} ")
            terminal.say(f"{rollouts.history_table(revisions)}\n" if revisions else "No rollout history found.")
            continue
        if options.revision and options.revision not in revisions:
            raise CommandError("unable to find the specified revision")
        chosen = revisions[options.revision or max(revisions)]
        if options.output:
            from orchestra.cli.rendering import render_objects

            terminal.write(render_objects(client.scheme, [chosen], options.output, single=True))
        else:
            from orchestra.cli.describe.pods import describe_template

            terminal.say(f"{named} with revision #{options.revision}")
            terminal.write(describe_template(chosen.spec.template))
    return 0


async def undo(client: Client, options: RolloutOptions, terminal: Terminal) -> int:
    """Give each Deployment the template of an earlier revision."""

    async def change(deployment: Deployment) -> tuple[list[Document], str]:
        if deployment.spec.paused:
            raise CommandError(
                "you cannot rollback a paused deployment; resume it first with 'orchestra rollout resume' and try again"
            )
        target = rollouts.choose(deployment, await _history(client, deployment), options.to_revision)
        template = rollouts.template_of(target)
        if template == rollouts.without_hash(encode(deployment.spec.template)):
            return [], f"skipped rollback (current template already matches revision {rollouts.revision_of(target)})"
        annotations = dict(deployment.metadata.annotations)
        for key, value in rollouts.undo_annotations(deployment, target).items():
            if value is None:
                annotations.pop(key, None)
            else:
                annotations[key] = value
        return [
            {"op": "replace", "path": "/spec/template", "value": template},
            {"op": "add", "path": "/metadata/annotations", "value": annotations},
        ], "rolled back"

    return await _change(client, options, terminal, change)


async def restart(client: Client, options: RolloutOptions, terminal: Terminal) -> int:
    """Change the template's annotation that exists for this."""
    from orchestra.api.times import format_time

    async def change(deployment: Deployment) -> tuple[list[Document], str]:
        name = deployment.metadata.name
        if deployment.spec.paused:
            raise CommandError(f'deployments.apps "{name}" can\'t restart paused deployment (run rollout resume first)')
        meta = dict(encode(deployment.spec.template).get("metadata") or {})
        known = deployment.spec.template.metadata.annotations
        meta["annotations"] = {**known, rollouts.RESTARTED_AT: format_time(terminal.now())}
        return [{"op": "add", "path": "/spec/template/metadata", "value": meta}], "restarted"

    return await _change(client, options, terminal, change)


async def pause(client: Client, options: RolloutOptions, terminal: Terminal) -> int:
    """Mark each Deployment as paused."""

    async def change(deployment: Deployment) -> tuple[list[Document], str]:
        if deployment.spec.paused:
            raise CommandError(f'deployments.apps "{deployment.metadata.name}" is already paused')
        return [{"op": "add", "path": "/spec/paused", "value": True}], "paused"

    return await _change(client, options, terminal, change)


async def resume(client: Client, options: RolloutOptions, terminal: Terminal) -> int:
    """Take that mark away."""

    async def change(deployment: Deployment) -> tuple[list[Document], str]:
        if not deployment.spec.paused:
            raise CommandError(f'deployments.apps "{deployment.metadata.name}" is not paused')
        return [{"op": "remove", "path": "/spec/paused"}], "resumed"

    return await _change(client, options, terminal, change)


async def _change(
    client: Client,
    options: RolloutOptions,
    terminal: Terminal,
    change: Callable[[Deployment], Awaitable[tuple[list[Document], str]]],
) -> int:
    """Patch each Deployment as `change` says, unless it has changed since it was read."""
    status = 0
    for deployment in await _deployments(client, options, terminal):
        meta = deployment.metadata
        try:
            operations, word = await change(deployment)
        except CommandError as error:
            status = terminal.fail(error)
            continue
        dry = options.dry_run == "server"
        if operations:
            unchanged = {"op": "test", "path": "/metadata/uid", "value": meta.uid}
            patch = Patch(PatchType.JSON, [unchanged, *operations])
            write = WriteOptions(dry_run=dry, on_warning=terminal.warning)
            await client.patch(Deployment, meta.name, patch, namespace=meta.namespace, options=write)
        suffix = " (server dry run)" if dry else ""
        terminal.say(f"{label(deployment.resource_info, meta.name)} {word}{suffix}")
    return status


async def _history(client: Client, deployment: Deployment) -> dict[int, ReplicaSet]:
    listed = await client.list(ReplicaSet, namespace=deployment.metadata.namespace)
    return rollouts.history(deployment, listed.items)


async def _deployments(client: Client, options: RolloutOptions, terminal: Terminal) -> Sequence[Deployment]:
    """Return the Deployments that are meant; raises CommandError for other kinds, which have no rollouts."""
    if options.filename:
        from orchestra.cli.manifests import manifest_targets

        found = await manifest_targets(client, options.filename, options.recursive, terminal)
        targets = [target for target in found if target.kind is Deployment]
    else:
        if not options.resources:
            raise CommandError("required resource not specified")
        targets = list(await targets_of(client, options.resources))
    deployments: list[Deployment] = []
    for target in targets:
        if target.kind is not Deployment:
            raise CommandError(f"no rollout of {target.info.kind} is known: only Deployments have one")
        namespace = target.namespace or options.namespace
        if target.names:
            deployments += [await client.get(Deployment, name, namespace=namespace) for name in target.names]
        else:
            listed = await client.list(Deployment, namespace=namespace, label_selector=options.selector)
            deployments += listed.items
    if not deployments:
        raise CommandError(f"No resources found in {options.namespace} namespace.")
    return deployments
