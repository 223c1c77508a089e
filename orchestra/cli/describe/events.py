"""The Events at the end of a description."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from orchestra.api.core.event import Event
from orchestra.api.tables.cluster import event_count, first_seen, last_seen
from orchestra.api.tables.durations import human_age
from orchestra.cli.describe.sheet import Sheet


def describe_events(sheet: Sheet, events: Iterable[Event], now: datetime) -> None:
    """Write Events, the newest last."""
    every = sorted(events, key=lambda event: (str(last_seen(event) or ""), event.metadata.name))
    if not every:
        sheet.line(0, "Events:\t<none>")
        return
    sheet.break_columns()
    sheet.line(0, "Events:")
    sheet.table(1, ("Type", "Reason", "Age", "From", "Message"), (_row(event, now) for event in every))


def _row(event: Event, now: datetime) -> tuple[str, ...]:
    first, last, count = human_age(first_seen(event), now), human_age(last_seen(event), now), event_count(event)
    age = f"{last} (x{count} over {first})" if count > 1 else first
    source = event.source.component or event.reporting_component
    return event.type, event.reason, age, source, event.message.strip().replace("\n", " ")
