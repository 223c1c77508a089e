"""Events: what happened to an object, told for people; they expire."""

from __future__ import annotations

from datetime import datetime

from attrs import frozen

from orchestra.api import builtin
from orchestra.api.core.reference import ObjectReference
from orchestra.api.object import MicroTime, Object, Struct, declared, freeze_fields, omit_empty, resource


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class EventSource(Struct):
    """Which component tells an event, and on which host."""

    component: str = omit_empty()
    host: str = omit_empty()


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class EventSeries(Struct):
    """How often an event has been repeated."""

    count: int = omit_empty(0, int32=True)
    last_observed_time: MicroTime | None = declared(nullable=True)


@resource(builtin.EVENT)
@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class Event(Object):
    """What happened to an object: a CamelCase `reason` for programs and a `message` for people."""

    involved_object: ObjectReference = ObjectReference()
    reason: str = omit_empty()
    message: str = omit_empty()
    source: EventSource = EventSource()
    first_timestamp: datetime | None = declared(nullable=True)
    last_timestamp: datetime | None = declared(nullable=True)
    count: int = omit_empty(0, int32=True)
    type: str = omit_empty()
    event_time: MicroTime | None = declared(nullable=True)
    series: EventSeries | None = None
    action: str = omit_empty()
    related: ObjectReference | None = None
    reporting_component: str = ""
    reporting_instance: str = ""
