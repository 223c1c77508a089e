"""Which Events are worth writing, and as what: pure, after client-go's EventCorrelator (tools/record/events_cache.go).

Three rules, in this order, each with client-go's numbers:

1. aggregation: of events of one source, object, type and reason, none more than 10 minutes after the one before, the
   tenth different message and all that follow become one: `(combined from similar events): <the newest message>`;
2. deduplication: an event like one that was written raises its `count` instead of making another object;
3. the spam filter: a source may say 25 things about an object at once, and then one more every 300 s.

What it remembers is bounded: the least recently used of `MAX_REMEMBERED` entries of each rule is forgotten.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

import attrs

K = TypeVar("K")
V = TypeVar("V")

MAX_REMEMBERED = 4096
MAX_SIMILAR = 10
SIMILAR_SECONDS = 600.0
SPAM_BURST = 25
SPAM_REFILL_SECONDS = 300.0
COMBINED = "(combined from similar events): "


class Subject(NamedTuple):
    """The object that an event is about (v1.ObjectReference)."""

    api_version: str
    kind: str
    namespace: str
    name: str
    uid: str
    resource_version: str = ""
    field_path: str = ""

    def identity(self) -> Subject:
        """Return the subject without its revision: which object, not which state of it."""
        return self._replace(resource_version="")


class Occurrence(NamedTuple):
    """Something that happened: who says it of what, and when (seconds on a monotonic clock)."""

    component: str
    host: str
    subject: Subject
    type: str
    reason: str
    message: str
    at: float


class Series(NamedTuple):
    """Names the Event object that an occurrence is counted in."""

    component: str
    host: str
    subject: Subject
    type: str
    reason: str
    message: str


@attrs.frozen
class Verdict:
    """What to do with an occurrence: count it in `series`, saying `message`; nothing when `dropped`."""

    series: Series
    message: str
    dropped: bool = False


class _Recent(Generic[K, V]):
    """A mapping that forgets what was used least recently."""

    def __init__(self, make: Callable[[], V]) -> None:
        self._make = make
        self._entries: OrderedDict[K, V] = OrderedDict()

    def use(self, key: K) -> V:
        entry = self._entries.get(key)
        if entry is None:
            entry = self._entries[key] = self._make()
            if len(self._entries) > MAX_REMEMBERED:
                self._entries.popitem(last=False)
        else:
            self._entries.move_to_end(key)
        return entry


@attrs.define
class _Similar:
    messages: set[str] = attrs.field(factory=set)
    last_at: float = 0.0


@attrs.define
class _Bucket:
    tokens: float = SPAM_BURST
    refilled_at: float | None = None

    def take(self, now: float) -> bool:
        if self.refilled_at is not None:
            self.tokens = min(float(SPAM_BURST), self.tokens + (now - self.refilled_at) / SPAM_REFILL_SECONDS)
        self.refilled_at = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


class Correlator:
    """Judges occurrences one after the other."""

    def __init__(self) -> None:
        self._similar: _Recent[tuple[str, str, Subject, str, str], _Similar] = _Recent(_Similar)
        self._buckets: _Recent[tuple[str, str, Subject], _Bucket] = _Recent(_Bucket)

    def judge(self, occurrence: Occurrence) -> Verdict:
        """Return which Event `occurrence` belongs to, or that it is not worth one."""
        # Aggregation and filter know no field path: all containers of a Pod are one subject to them.
        about = occurrence.subject
        whole = Subject(about.api_version, about.kind, about.namespace, about.name, about.uid)
        source = (occurrence.component, occurrence.host)
        group = (*source, whole, occurrence.type, occurrence.reason)
        similar = self._similar.use(group)
        if occurrence.at - similar.last_at > SIMILAR_SECONDS:
            similar.messages.clear()
        similar.last_at = occurrence.at
        # The tenth different message is the first to be combined. It is not remembered, so that the nine before it are
        # still counted by themselves when they come again.
        combined = occurrence.message not in similar.messages and len(similar.messages) >= MAX_SIMILAR - 1
        if not combined:
            similar.messages.add(occurrence.message)
        message = COMBINED + occurrence.message if combined else occurrence.message
        subject = whole if not about.field_path else about.identity()
        series = Series(*source, subject, occurrence.type, occurrence.reason, COMBINED if combined else message)
        allowed = self._buckets.use((*source, whole)).take(occurrence.at)
        return Verdict(series, message, dropped=not allowed)
