"""`get --watch`: rows as things change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from orchestra.cli.columns import Columns
from orchestra.cli.failures import CommandError
from orchestra.cli.kinds import Target
from orchestra.cli.rendering import TABLES, render_objects
from orchestra.cli.terminal import Terminal
from orchestra.client.interface import Client, EventType
from orchestra.errors import Expired

if TYPE_CHECKING:
    from orchestra.cli.commands.get import GetOptions


async def watch(client: Client, targets: Sequence[Target], options: GetOptions, terminal: Terminal) -> int:
    """Show the objects and then each change of them, until interrupted."""
    if len(targets) != 1:
        raise CommandError("you may only specify a single resource type")
    target = targets[0]
    if len(target.names) > 1:
        raise CommandError("you may only specify a single resource of a type to watch")
    printer = _Changes(client, target, options, terminal)
    while True:
        try:
            await _follow(client, target, options, printer)
        except Expired:
            continue  # The stream fell behind: list again; what was shown already is not repeated.


async def _follow(client: Client, target: Target, options: GetOptions, printer: _Changes) -> None:
    field_selector = options.field_selector
    if target.names:
        name = f"metadata.name={target.names[0]}"
        field_selector = f"{field_selector},{name}" if field_selector else name
        if not options.watch_only and not options.ignore_not_found:
            # A single name that does not exist is an error, as it is without --watch.
            await client.get(target.kind, target.names[0], namespace=options.namespace)
    space = options.where if target.info.namespaced else None
    chosen: dict[str, Any] = {"namespace": space, "label_selector": options.selector, "field_selector": field_selector}
    listed = await client.list(target.kind, **chosen)
    if not options.watch_only:
        for obj in listed.items:
            printer.show(EventType.ADDED, obj)
    revision = listed.metadata.resource_version
    async with client.watch(target.kind, **chosen, resource_version=revision) as stream:
        async for event in stream:
            if event.type is not EventType.BOOKMARK:
                printer.show(event.type, event.object)


class _Changes:
    def __init__(self, client: Client, target: Target, options: GetOptions, terminal: Terminal) -> None:
        from orchestra.cli.commands.get import TableWriter

        self._client = client
        self._options = options
        self._terminal = terminal
        self._columns = Columns()
        self._table = TableWriter(target, options, with_kind=False)
        self._headed = options.no_headers
        self._seen: dict[str, str] = {}

    def show(self, change: EventType, obj: Any) -> None:
        """Print one change, unless it was printed before."""
        version = obj.metadata.resource_version
        if self._seen.get(obj.metadata.uid) == version:
            return
        self._seen[obj.metadata.uid] = version
        if change is EventType.DELETED:
            self._seen.pop(obj.metadata.uid, None)
        if self._options.output in TABLES:
            self._row(change, obj)
        else:
            self._terminal.write(render_objects(self._client.scheme, [obj], self._options.output, single=True))
        self._terminal.flush()

    def _row(self, change: EventType, obj: Any) -> None:
        events = self._options.output_watch_events
        rows = [[*([change.value] if events else []), *self._table.row(obj, self._terminal)]]
        if not self._headed:
            rows.insert(0, [*(["EVENT"] if events else []), *self._table.header()])
            self._headed = True
        for line in self._columns.lines(rows):
            self._terminal.say(line)
