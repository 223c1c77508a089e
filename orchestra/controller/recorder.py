"""Writes Events at a pace of its own, so that telling what happened never delays what happens.

`normal` and `warning` judge an occurrence (`correlator.py`) and note it, without waiting. One task writes what is
noted in small batches with pauses; an Event whose count rises quickly is written now and then, not each time.
"""

from __future__ import annotations

from collections import OrderedDict
from datetime import datetime
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel
import attrs

from orchestra._log import get_logger
from orchestra.api.object import Object, ObjectMeta
from orchestra.client.interface import Client, Patch, PatchType
from orchestra.clock import Clock
from orchestra.controller.correlator import Correlator, Occurrence, Series, Subject
from orchestra.controller.health import Health
from orchestra.controller.interface import Events
from orchestra.errors import AlreadyExists, APIError, NotFound, OrchestraError

if TYPE_CHECKING:
    from anyio.abc import TaskStatus

    from orchestra.api.core import Event, ObjectReference

MAX_PENDING = 16384
"""How many Events may wait to be written; new ones beyond are dropped and counted."""

MAX_SERIES = 4096
"""How many written Events are remembered, so that the same again raises their count."""

BATCH = 10
PAUSE_SECONDS = 0.02
"""Between batches: 500 Events a second at most."""

BUSY_SECONDS = 0.01
"""A pause that takes so much longer than it should means that other tasks need the time: the next one is doubled."""

MAX_PAUSE_SECONDS = 0.5

GATHER_SECONDS = 0.05
"""Before the first batch after a rest, so that what comes together is counted together."""

REPEAT_SECONDS = 0.5
"""How often one Event is written at most."""

RETRY_SECONDS = 1.0
MAX_TRIES = 12
DRAIN_SECONDS = 1.0


@attrs.define(eq=False)
class _Tale:
    """An Event as it is to be, and what of it is stored."""

    series: Series
    message: str
    resource_version: str
    first_at: datetime
    last_at: datetime
    count: int = 1
    stored_as: str = ""
    not_before: float = 0.0
    tries: int = 0


class EventRecorder:
    """The `Recorder` of a process. Run it beside the parts that record."""

    name = "events"

    def __init__(self, client: Client, *, clock: Clock) -> None:
        self.dropped = 0
        """How many occurrences were lost because too many Events were pending or could not be written."""
        self._client = client
        self.clock = clock
        self._correlator = Correlator()
        self._tales: OrderedDict[Series, _Tale] = OrderedDict()
        self._pending: dict[Series, _Tale] = {}
        self._wake = anyio.Event()
        self._last_name = 0
        self._problem = ""
        self._log = get_logger("events")

    def events(self, component: str, host: str = "") -> Events:
        """Return the recorder of one component; `host` is the node it runs on."""
        return ComponentEvents(self, component, host)

    def health(self) -> Health:
        """Say whether Events can be written."""
        return Health(part=self.name, problem=self._problem)

    def record(self, occurrence: Occurrence) -> None:
        """Note an occurrence; what came of it is written later."""
        verdict = self._correlator.judge(occurrence)
        now = self.clock.now()
        tale = self._tales.get(verdict.series) or self._pending.get(verdict.series)
        if tale is None:
            if len(self._pending) >= MAX_PENDING:
                self.dropped += 1
                return
            version = occurrence.subject.resource_version
            tale = _Tale(verdict.series, verdict.message, version, now, now)
        else:
            tale.count += 1
            tale.message, tale.last_at = verdict.message, now
        self._tales[verdict.series] = tale
        self._tales.move_to_end(verdict.series)
        if len(self._tales) > MAX_SERIES:
            self._tales.popitem(last=False)
        if not verdict.dropped:
            self._pending[verdict.series] = tale
            self._wake.set()

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Write what is noted until cancelled; then what is left, as far as that is possible in a second."""
        task_status.started()
        pause = PAUSE_SECONDS
        try:
            while True:
                if not self._pending:
                    self._wake = anyio.Event()
                    await self._wake.wait()
                    await anyio.sleep(GATHER_SECONDS)
                now = self.clock.monotonic()
                batch = []
                for tale in self._pending.values():
                    if tale.not_before <= now:
                        batch.append(tale)
                        if len(batch) == BATCH:
                            break
                for tale in batch:
                    await self._write(tale)
                    await anyio.lowlevel.checkpoint()
                wait = pause if batch else self._until_due(now)
                asleep = self.clock.monotonic()
                await anyio.sleep(wait)
                busy = self.clock.monotonic() - asleep > wait + BUSY_SECONDS
                pause = min(2 * pause, MAX_PAUSE_SECONDS) if busy else PAUSE_SECONDS
        finally:
            with anyio.move_on_after(DRAIN_SECONDS, shield=True):
                for tale in tuple(self._pending.values()):
                    await self._write(tale)

    def _until_due(self, now: float) -> float:
        due = min((tale.not_before for tale in self._pending.values()), default=now)
        return max(PAUSE_SECONDS, due - now)

    async def _write(self, tale: _Tale) -> None:
        # Taken out before writing: what happens to it meanwhile makes it pending again.
        del self._pending[tale.series]
        now = self.clock.monotonic()
        tale.not_before = now + REPEAT_SECONDS
        try:
            await self._store(tale)
        except OrchestraError as error:
            tale.tries += 1
            if (isinstance(error, APIError) and not error.retryable) or tale.tries >= MAX_TRIES:
                # A namespace that is gone or going, most often: nothing that trying again would change.
                self.dropped += 1
                self._tales.pop(tale.series, None)
                self._log.debug("event not written", reason=tale.series.reason, error=str(error))
                return
            self._problem = f"cannot write events: {error}"
            tale.not_before = now + RETRY_SECONDS
            self._pending.setdefault(tale.series, tale)
        else:
            tale.tries = 0
            self._problem = ""

    async def _store(self, tale: _Tale) -> None:
        from orchestra.api.core import Event

        namespace = tale.series.subject.namespace or "default"
        if tale.stored_as:
            body = {"count": tale.count, "message": tale.message, "lastTimestamp": _seconds(tale.last_at)}
            try:
                await self._client.patch(Event, tale.stored_as, Patch(PatchType.MERGE, body), namespace=namespace)
            except NotFound:  # it has expired: tell it anew, with the count so far
                tale.stored_as = ""
            else:
                return
        event = self._event(tale, namespace)
        try:
            await self._client.create(event)
        except AlreadyExists:  # another process took the name in the same nanosecond
            event = self._event(tale, namespace)
            await self._client.create(event)
        tale.stored_as = event.metadata.name

    def _event(self, tale: _Tale, namespace: str) -> Event:
        from orchestra.api.core import Event, EventSource, ObjectReference

        series = tale.series
        nanoseconds = int(tale.first_at.timestamp() * 1_000_000) * 1000
        self._last_name = max(nanoseconds, self._last_name + 1)
        subject = series.subject._replace(resource_version=tale.resource_version)
        return Event(
            metadata=ObjectMeta(name=f"{subject.name}.{self._last_name:x}", namespace=namespace),
            involved_object=ObjectReference(**subject._asdict()),
            reason=series.reason,
            message=tale.message,
            source=EventSource(component=series.component, host=series.host),
            first_timestamp=tale.first_at,
            last_timestamp=tale.last_at,
            count=tale.count,
            type=series.type,
            reporting_component=series.component,
            reporting_instance=series.host,
        )


def _seconds(time: datetime) -> str:
    from orchestra.api.codec import format_time

    return format_time(time)


def subject_of(obj: Object | ObjectReference, field_path: str = "") -> Subject:
    """Return what an Event about `obj` refers to."""
    if isinstance(obj, Object):
        info, meta = obj.resource_info, obj.metadata
        version = meta.resource_version
        return Subject(info.api_version, info.kind, meta.namespace, meta.name, meta.uid, version, field_path)
    path = field_path or obj.field_path
    return Subject(obj.api_version, obj.kind, obj.namespace, obj.name, obj.uid, obj.resource_version, path)


@attrs.frozen(eq=False)
class ComponentEvents:
    """Records as one component."""

    recorder: EventRecorder
    component: str
    host: str = ""

    def normal(self, obj: Object | ObjectReference, reason: str, message: str, *, field_path: str = "") -> None:
        """Record something expected."""
        self._record("Normal", obj, reason, message, field_path)

    def warning(self, obj: Object | ObjectReference, reason: str, message: str, *, field_path: str = "") -> None:
        """Record something that a person may have to look at."""
        self._record("Warning", obj, reason, message, field_path)

    def _record(self, type_: str, obj: Object | ObjectReference, reason: str, message: str, field_path: str) -> None:
        at = self.recorder.clock.monotonic()
        subject = subject_of(obj, field_path)
        self.recorder.record(Occurrence(self.component, self.host, subject, type_, reason, message, at))
