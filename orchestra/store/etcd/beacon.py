"""What a watch of all keys proves about other watches: see `progress.py`. Pure."""

from __future__ import annotations

from typing import TypeAlias

from orchestra.store.etcd.watch import EtcdWatch
from orchestra.store.model import Event, WatchRequest
from orchestra.store.rules import interval

_Wanted: TypeAlias = tuple[bytes, bytes | None, bool, bool]
"""Interval, and whether puts and deletes are wanted."""


def wanted_by(request: WatchRequest) -> _Wanted:
    """Return what a watch wants to be told."""
    return (*interval(request.key, request.range_end), request.puts, request.deletes)


class Trail:
    """What the beacon has seen for watches that want the same: everything `since` a revision, the `last` event."""

    __slots__ = ("_deletes", "_high", "_low", "_puts", "last", "since", "watches")

    def __init__(self, wanted: _Wanted, since: int) -> None:
        self._low, self._high, self._puts, self._deletes = wanted
        self.since = since
        self.last = 0
        self.watches: dict[EtcdWatch, None] = {}

    def see(self, event: Event) -> None:
        """Take an event of any key."""
        key = event.kv.key
        in_range = self._low <= key and (self._high is None or key < self._high)
        if in_range and (self._deletes if event.is_delete else self._puts):
            self.last = max(self.last, event.kv.mod_revision)

    def proves(self, watch: EtcdWatch) -> bool:
        """Whether nothing of what the beacon has seen is still to come for the watch."""
        return self.since <= watch.complete + 1 and self.last <= watch.position


class Beacon:
    """What a watch of all keys has seen; pure."""

    def __init__(self) -> None:
        self.next = 0
        """The first revision that was not seen; 0 while nothing is looked out for."""
        self._trails: dict[_Wanted, Trail] = {}

    def follow(self, watch: EtcdWatch) -> bool:
        """Look out for what a watch wants; return whether the beacon must begin for it, or go back."""
        wanted = wanted_by(watch.request)
        first = watch.complete + 1
        is_dark = not self.next
        self.next = self.next or first
        trail = self._trails.get(wanted)
        if trail is None:
            trail = self._trails[wanted] = Trail(wanted, self.next)
        if watch in trail.watches:
            return False
        trail.watches[watch] = None
        if first < trail.since:
            trail.since = first
            self.next = min(self.next, first)
            return True
        return is_dark

    def forget(self, watch: EtcdWatch) -> bool:
        """Look no more; return whether nothing is left to be looked out for."""
        wanted = wanted_by(watch.request)
        trail = self._trails.get(wanted)
        if trail is None or watch not in trail.watches:
            return False
        del trail.watches[watch]
        if not trail.watches:
            del self._trails[wanted]
        if not self._trails:
            self.next = 0
        return not self._trails

    def see(self, events: tuple[Event, ...], since: int, revision: int) -> None:
        """Take everything that happened from `since` up to `revision`.

        It is of no use if the beacon was told meanwhile to go further back: what is before would count as seen.
        """
        if since > self.next:
            return
        for trail in self._trails.values():
            for event in events:
                trail.see(event)
        self.next = revision + 1

    def lose(self, revision: int) -> None:
        """Learn that what was up to `revision` cannot be seen any more."""
        for trail in self._trails.values():
            trail.since = max(trail.since, revision + 1)
        self.next = revision + 1

    def prove(self, watch: EtcdWatch) -> None:
        """Tell a watch how far it has come, if that can be said."""
        trail = self._trails.get(wanted_by(watch.request))
        if trail is not None and watch in trail.watches and trail.proves(watch):
            watch.reached(self.next - 1)
