"""`orchestra events`: what happened, the newest last."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final

import attrs
import click

from orchestra.api.core.event import Event
from orchestra.api.tables.cluster import event_count, first_seen, last_seen
from orchestra.api.tables.durations import human_age
from orchestra.cli.columns import Columns
from orchestra.cli.commands.get import list_all
from orchestra.cli.failures import CommandError
from orchestra.cli.kinds import targets_of
from orchestra.cli.rendering import check_format, render_objects
from orchestra.cli.terminal import Terminal
from orchestra.cli.verb import connection_options, execute, namespace_options, verb
from orchestra.client.interface import Client, EventType
from orchestra.errors import Expired

_BEGINNING: Final = datetime.min.replace(tzinfo=UTC)


@attrs.frozen(kw_only=True)
class EventsOptions:
    """Which Events to show."""

    namespace: str = "default"
    all_namespaces: bool = False
    for_: str = ""
    types: tuple[str, ...] = ()
    watch: bool = False
    no_headers: bool = False
    output: str = ""
    selector: str = ""
    field_selector: str = ""

    @property
    def where(self) -> str | None:
        """The namespace to list, None for all."""
        return None if self.all_namespaces else self.namespace


@verb("events")
@connection_options
@namespace_options
@click.option("--for", "for_", default="", metavar="KIND/NAME", help="Only Events about this object.")
@click.option("--types", multiple=True, metavar="TYPES", help="Only Normal, or only Warning ones.")
@click.option("--watch", "-w", is_flag=True, help="After listing, show Events as they happen.")
@click.option("--no-headers", is_flag=True, help="Print no headers.")
@click.option("--output", "-o", default="", metavar="FORMAT", help="json, yaml, name, or jsonpath=TEMPLATE.")
def events_command(**given: Any) -> int:
    """List Events, the newest last."""
    return execute(run, EventsOptions, given)


async def run(client: Client, options: EventsOptions, terminal: Terminal) -> int:
    """Show the Events that are meant, and with `watch` those that follow."""
    check_format(options.output, tables=False)
    types = _types(options)
    options = attrs.evolve(options, field_selector=await _about(client, options))
    listed: list[Event] = []
    for obj in await list_all(client, Event, options):
        assert isinstance(obj, Event)
        if not types or obj.type in types:
            listed.append(obj)
    listed.sort(key=lambda event: (last_seen(event) or _BEGINNING, event.metadata.name))
    if not listed and not options.watch:
        scope = "" if options.all_namespaces else f" in {options.namespace} namespace"
        terminal.warn(f"No events found{scope}.")
        return 0
    if options.output:
        terminal.write(render_objects(client.scheme, listed, options.output, single=False))
    else:
        columns = Columns()
        rows = [row(event, terminal.now(), spaces=options.all_namespaces) for event in listed]
        for line in columns.lines(rows if options.no_headers else [header(spaces=options.all_namespaces), *rows]):
            terminal.say(line)
        terminal.flush()
        if options.watch:
            await _watch(client, options, terminal, columns, types, listed)
    return 0


def header(*, spaces: bool) -> list[str]:
    """Return the names of the columns."""
    return [*(["NAMESPACE"] if spaces else []), "LAST SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE"]


def row(event: Event, now: datetime, *, spaces: bool) -> list[str]:
    """Return an Event's row."""
    about = event.involved_object
    name = f"{about.kind}/{about.name}"
    return [
        *([event.metadata.namespace] if spaces else []),
        times(event, now),
        event.type,
        event.reason,
        name,
        event.message.strip(),
    ]


def times(event: Event, now: datetime) -> str:
    """Return when an Event happened, and how often: `5s (x3 over 2m)`."""
    last, count = human_age(last_seen(event), now), event_count(event)
    return last if count < 2 else f"{last} (x{count} over {human_age(first_seen(event), now)})"


def _types(options: EventsOptions) -> frozenset[str]:
    words = [word for text in options.types for word in text.split(",") if word]
    for word in words:
        if word.lower() not in ("normal", "warning"):
            raise CommandError("valid --types are Normal or Warning")
    return frozenset(word.capitalize() for word in words)


async def _about(client: Client, options: EventsOptions) -> str:
    if not options.for_:
        return options.field_selector
    if "/" not in options.for_:
        raise CommandError("--for must be in resource/name form")
    target = (await targets_of(client, [options.for_]))[0]
    info = target.info
    fields = f"involvedObject.kind={info.kind},involvedObject.name={target.names[0]}"
    return f"{fields},involvedObject.apiVersion={info.api_version}"


async def _watch(
    client: Client,
    options: EventsOptions,
    terminal: Terminal,
    columns: Columns,
    types: frozenset[str],
    listed: Iterable[Event],
) -> None:
    shown = {event.metadata.uid: event.metadata.resource_version for event in listed}
    while True:
        try:
            async with client.watch(Event, namespace=options.where, field_selector=options.field_selector) as stream:
                async for change in stream:
                    event = change.object
                    version = event.metadata.resource_version
                    if change.type not in (EventType.ADDED, EventType.MODIFIED) or (types and event.type not in types):
                        continue
                    if shown.get(event.metadata.uid) == version:
                        continue
                    shown[event.metadata.uid] = version
                    for line in columns.lines([row(event, terminal.now(), spaces=options.all_namespaces)]):
                        terminal.say(line)
                    terminal.flush()
        except Expired:
            continue  # The stream fell behind: begin again; what was shown is not repeated.
