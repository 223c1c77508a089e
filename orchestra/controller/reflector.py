"""What a cache does next to stay equal to the server: a pure state machine, driven by `informer.py`.

    next_step(now) -> ListNow | WatchFrom(revision) | Pause(until)

    listed(objects, revision)   the list is in: the cache is swapped to it, the steps from the old content come out
    received(events, now)       a batch of watch events
    silent(now)                 nothing came for a while: ask for progress, or give the watch up
    failed(error, now)          the list or the watch ended

A watch that fails is resumed from the last revision; only `Expired` makes it list again, since then history is lost.
A watch that says nothing for `SILENCE_SECONDS` is asked for progress, and given up when no answer comes within
`ANSWER_SECONDS`: a dead connection is noticed in bounded time.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, TypeVar

import attrs

from orchestra.api.object import Object
from orchestra.backoff import Backoff, Chance
from orchestra.client.interface import EventType, WatchEvent
from orchestra.controller.cache import Cache
from orchestra.controller.interface import Change, key_of
from orchestra.errors import Expired

O = TypeVar("O", bound=Object)  # noqa: E741 - the type of an object

SILENCE_SECONDS = 60.0
ANSWER_SECONDS = 10.0
RELIST_JITTER_SECONDS = 0.5
"""Informers that expire together, after the server was away, spread their lists over this time."""

RETRY = Backoff(initial_seconds=0.2, max_seconds=30.0, jitter=0.5)
RELIST_AFTER_FAILURES = 5
"""A watch that cannot be resumed so many times in a row may ask for what no longer makes sense: list again."""

STEADY_SECONDS = 60.0
"""A watch that lasted this long was healthy: the next failure is the first of its row."""


@attrs.frozen
class ListNow:
    """Read all objects."""


@attrs.frozen
class WatchFrom:
    """Watch changes after this revision."""

    revision: int


@attrs.frozen
class Pause:
    """Do nothing until this time."""

    until: float


@attrs.frozen
class AskProgress:
    """Ask the watch up to where it is."""


@attrs.frozen
class GiveUp:
    """Close the watch; `failed` has been taken note of."""


Step = ListNow | WatchFrom | Pause


class Reflector(Generic[O]):
    """The cache of a kind and how current it is."""

    def __init__(self, kind: type[O]) -> None:
        self.cache: Cache[O] = Cache(kind)
        self.revision = 0
        """Every change up to here is in the cache; 0 before the first list."""
        self.error = ""
        """Why the cache may be behind; empty while all is well."""
        self.failures = 0
        self.lists = 0
        self._must_list = True
        self._not_before = 0.0
        self._watching_since: float | None = None
        self._asked = False
        self._opened_at = 0

    @property
    def synced(self) -> bool:
        """Whether the first list is in."""
        return self.lists > 0

    def next_step(self, now: float) -> Step:
        """Say what to do now."""
        if now < self._not_before:
            return Pause(self._not_before)
        return ListNow() if self._must_list else WatchFrom(self.revision)

    def listed(self, objects: Iterable[O], revision: int) -> tuple[Change[O], ...]:
        """Take a complete list and return the steps that lead to it."""
        changes = self.cache.replace(objects)
        self.revision = revision  # lower than before when the server was restored from a backup
        self.lists += 1
        self._must_list = False
        return changes

    def watching(self, now: float) -> None:
        """Take note that a watch is open."""
        self._watching_since = now
        self._opened_at = self.revision
        self._asked = False
        self.error = ""

    def received(self, events: Iterable[WatchEvent[O]], now: float) -> tuple[Change[O], ...]:
        """Take a batch of events and return the changes in it; bookmarks only move the revision.

        Raises Expired, before anything is taken, when the server is behind where the watch began: then it has begun
        anew with another store, and counts revisions that mean something else.
        """
        events = tuple(events)
        for event in events:
            if event.revision < self._opened_at:
                raise Expired(f"the server is at revision {event.revision}, before {self._opened_at}: another store")
        changes: list[Change[O]] = []
        cache = self.cache
        for event in events:
            # What a resumed watch repeats is known already; several events can share the newest revision.
            if event.type is not EventType.BOOKMARK and event.revision >= self.revision:
                if event.type is EventType.DELETED:
                    change = cache.drop(key_of(event.object))
                else:
                    change = cache.put(event.object)
                if change is not None:
                    changes.append(change)
            self.revision = max(self.revision, event.revision)
        self._asked = False
        if self.failures and self._watching_since is not None and now - self._watching_since >= STEADY_SECONDS:
            self.failures = 0
        return tuple(changes)

    def patience_seconds(self) -> float:
        """Return how long to wait for the next batch before calling `silent`."""
        return ANSWER_SECONDS if self._asked else SILENCE_SECONDS

    def silent(self, now: float, chance: Chance) -> AskProgress | GiveUp:
        """Say what to do about a watch that has said nothing for `patience_seconds`."""
        if not self._asked:
            self._asked = True
            return AskProgress()
        self._back_off("watch is silent", now, chance)
        return GiveUp()

    def failed(self, error: Exception, now: float, chance: Chance) -> None:
        """Take note that the list or the watch ended with `error`, and decide when to go on and how."""
        if isinstance(error, Expired):
            self._must_list = True
            steady = self._watching_since is not None and now - self._watching_since >= STEADY_SECONDS
            if steady or self.failures == 0:
                self.failures = 1
                self.error = f"history is lost: {error}"
                self._not_before = now + RELIST_JITTER_SECONDS * chance.random()
                self._watching_since = None
                return
        self._back_off(str(error) or type(error).__name__, now, chance)

    def _back_off(self, error: str, now: float, chance: Chance) -> None:
        if self._watching_since is not None and now - self._watching_since >= STEADY_SECONDS:
            self.failures = 0
        self.failures += 1
        self._must_list = self._must_list or self.failures % RELIST_AFTER_FAILURES == 0
        self.error = error
        self._not_before = now + RETRY.delay_seconds(self.failures, chance)
        self._watching_since = None
