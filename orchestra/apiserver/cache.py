"""The watch cache of one kind, without waiting: newest state, a window of history, and who wants to know.

The server feeds every cache from one store watch. A cache turns each change into the events that its watchers see;
watchers that name a namespace or, for Pods, a node are kept by it, so that a change costs only those it concerns.

A worked example: watcher w selects `app=a`. A Pod's labels go from app=a to app=b: for w that is DELETED, with the last
state that matched and the revision of the change; back again: ADDED; any change between: MODIFIED; changes while app=b:
nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Final

import attrs

from orchestra.api.object import Object
from orchestra.apiserver.record import Record
from orchestra.client.interface import EventType, WatchEvent

HISTORY_EVENTS: Final = 2048
"""Changes of one kind kept in memory for watches that begin in the past; older ones are read from the store."""

Matches = Callable[[Record], bool]


@attrs.frozen
class RecordEvent(WatchEvent[Object]):
    """A watch event that also carries its record, whose encoded bytes remote watchers share."""

    record: Record


@attrs.frozen
class Change:
    """One revision of one key: what it was (None: nothing) and what it is now (None: gone)."""

    revision: int
    old: Record | None
    new: Record | None
    last: Record
    """The newest state to show: `new`, or what was deleted under the revision of its deletion."""

    def event(self, kind: EventType) -> RecordEvent:
        """Return this change as a watcher sees it, to whom it is of `kind`."""
        shown = self.last
        if kind is EventType.DELETED and self.new is not None and self.old is not None:
            shown = self.old.at(self.revision)  # it only left what the watcher selects: this is how it last matched
        return RecordEvent(kind, shown.object, self.revision, shown)


@attrs.define(eq=False)
class Interest:
    """What one watcher wants of a kind. `matches` None means everything; `receive` takes an event."""

    receive: Callable[[RecordEvent], None]
    namespace: str = ""
    node: str | None = None
    matches: Matches | None = None


def transition(change: Change, matches: Matches | None, namespace: str = "") -> EventType | None:
    """Return what a change is to somebody who sees only what matches; None when it does not concern them."""
    if namespace and change.last.namespace != namespace:
        return None
    old, new = change.old, change.new
    if matches is not None:
        old = old if old is not None and matches(old) else None
        new = new if new is not None and matches(new) else None
    if new is not None:
        return EventType.ADDED if old is None else EventType.MODIFIED
    return None if old is None else EventType.DELETED


class KindCache:
    """All objects of one kind as they were at the revision the server has reached."""

    def __init__(self, cls: type[Object], *, by_node: bool = False) -> None:
        self.cls = cls
        self.oldest = 0
        """A watch from a revision below this one cannot be served from the window of history."""
        self._by_node = by_node
        self._objects: dict[str, dict[str, Record]] = {}
        self._sorted: dict[str, tuple[Record, ...]] = {}
        self._history: deque[Change] = deque()
        self._everybody: dict[Interest, None] = {}
        self._by_key: dict[tuple[str, str], dict[Interest, None]] = {}

    def __len__(self) -> int:
        return sum(len(part) for part in self._objects.values())

    @property
    def interests(self) -> Iterator[Interest]:
        """Every watcher of this kind."""
        yield from self._everybody
        for part in self._by_key.values():
            yield from part

    def get(self, namespace: str, name: str) -> Record | None:
        """Return the newest known state of one object."""
        part = self._objects.get(namespace)
        return None if part is None else part.get(name)

    def records(self, namespace: str | None = None) -> tuple[Record, ...]:
        """Return all objects, or those of one namespace, in the order of their keys."""
        if namespace is not None:
            return self._of(namespace)
        if len(self._objects) == 1:
            return self._of(next(iter(self._objects)))
        # Keys sort as bytes of "namespace/name", so "a-b/x" comes before "a/x".
        ordered = sorted(self._objects, key=lambda space: f"{space}/")
        return tuple(record for space in ordered for record in self._of(space))

    def load(self, records: Iterable[Record], revision: int) -> None:
        """Begin anew with these objects: what was known before is forgotten, history too."""
        self._objects, self._sorted, self.oldest = {}, {}, revision
        self._history.clear()
        for record in records:
            self._objects.setdefault(record.namespace, {})[record.name] = record

    def apply(self, revision: int, namespace: str, name: str, new: Record | None) -> None:
        """Take in one change and tell whom it concerns. `new` None: the object is gone."""
        part = self._objects.get(namespace)
        old = None if part is None else part.get(name)
        if new is not None:
            if part is None:
                part = self._objects[namespace] = {}
            part[name] = last = new
        elif old is not None and part is not None:
            last = old.at(revision)
            del part[name]
            if not part:
                del self._objects[namespace]
        else:
            return
        self._sorted.pop(namespace, None)
        change = Change(revision, old, new, last)
        if len(self._history) >= HISTORY_EVENTS:
            self.oldest = self._history.popleft().revision
        self._history.append(change)
        self._tell(change)

    def since(self, revision: int) -> list[Change] | None:
        """Return the changes after `revision`; None when the window does not reach back that far."""
        if revision < self.oldest:
            return None
        found: list[Change] = []
        for change in reversed(self._history):
            if change.revision <= revision:
                break
            found.append(change)
        found.reverse()
        return found

    def add(self, interest: Interest) -> None:
        """Begin to tell a watcher of changes."""
        self._part(interest)[interest] = None

    def remove(self, interest: Interest) -> None:
        """Stop telling it."""
        self._part(interest).pop(interest, None)
        key = self._key(interest)
        if key is not None and not self._by_key.get(key):
            self._by_key.pop(key, None)

    def _of(self, namespace: str) -> tuple[Record, ...]:
        found = self._sorted.get(namespace)
        if found is None:
            part = self._objects.get(namespace)
            if not part:
                return ()  # nothing is remembered of namespaces that were only asked about
            found = self._sorted[namespace] = tuple([part[name] for name in sorted(part)])
        return found

    def _key(self, interest: Interest) -> tuple[str, str] | None:
        if self._by_node and interest.node is not None:
            return ("node", interest.node)
        return ("namespace", interest.namespace) if interest.namespace else None

    def _part(self, interest: Interest) -> dict[Interest, None]:
        key = self._key(interest)
        return self._everybody if key is None else self._by_key.setdefault(key, {})

    def _concerned(self, change: Change) -> Iterator[Interest]:
        yield from self._everybody
        if not self._by_key:
            return
        yield from self._by_key.get(("namespace", change.last.namespace), ())
        if self._by_node:
            was = "" if change.old is None else change.old.text("spec", "nodeName")
            now = was if change.new is None else change.new.text("spec", "nodeName")
            yield from self._by_key.get(("node", now), ())
            if was != now and change.old is not None:
                yield from self._by_key.get(("node", was), ())

    def _tell(self, change: Change) -> None:
        made: dict[EventType, RecordEvent] = {}
        for interest in self._concerned(change):
            if interest.matches is None and not interest.namespace:
                kind = _plain_type(change)
            else:
                found = transition(change, interest.matches, interest.namespace)
                if found is None:
                    continue
                kind = found
            event = made.get(kind)
            if event is None:
                event = made[kind] = change.event(kind)
            interest.receive(event)


def _plain_type(change: Change) -> EventType:
    if change.new is None:
        return EventType.DELETED
    return EventType.ADDED if change.old is None else EventType.MODIFIED
