"""From what a log has kept back to keys and history; refuses what cannot be whole. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from orchestra.errors import CorruptStore
from orchestra.store.changes import Contents, Lease
from orchestra.store.keyspace import Keyspace
from orchestra.store.model import Event, KeyValue

FIRST_REVISION = 1
"""The revision of an empty store, as in etcd."""


class History:
    """The keys, and the events of each revision without gaps from `start` on, that `contents` hold.

    Raises `CorruptStore` where a revision or a lease is missing.
    """

    __slots__ = ("compact_revision", "dead", "keyspace", "leases", "log", "start")

    def __init__(self, contents: Contents) -> None:
        self.compact_revision = contents.compact_revision
        self.log: list[tuple[Event, ...]] = []
        self.start = max(contents.compact_revision, FIRST_REVISION) + 1
        self.keyspace = Keyspace()
        self.dead = self.keyspace.load(self._collect(contents.kvs), contents.compact_revision)
        """Versions that the log still had although a compaction had freed them."""
        self.leases = {lease_id: Lease(lease_id, ttl) for lease_id, ttl in contents.leases}
        for kv in self.keyspace.newest():
            if kv.lease:
                if kv.lease not in self.leases:
                    raise CorruptStore(f"lease {kv.lease} of key {kv.key!r} is missing")
                self.leases[kv.lease].keys[kv.key] = None

    @property
    def revision(self) -> int:
        """The newest revision."""
        return max(FIRST_REVISION, self.compact_revision, self.start + len(self.log) - 1)

    def _collect(self, kvs: Iterable[KeyValue]) -> Iterator[KeyValue]:
        """Pass `kvs` on while building the log from them; check that no revision is missing."""
        newest: dict[bytes, KeyValue] = {}
        events: list[Event] = []
        revision = 0
        for kv in kvs:
            if kv.mod_revision != revision:
                if events:
                    self.log.append(tuple(events))
                    events = []
                self._check_order(revision, kv.mod_revision)
                revision = kv.mod_revision
            if revision >= self.compact_revision:
                prev = newest.get(kv.key)
                events.append(Event(kv, prev if prev is not None and prev.version else None))
            newest[kv.key] = kv
            yield kv
        if events:
            self.log.append(tuple(events))

    def _check_order(self, revision: int, following: int) -> None:
        if following == self.compact_revision:
            self.start = following
        expected = self.start + len(self.log)
        if following < revision or (following >= self.start and following != expected):
            raise CorruptStore(f"revision {following} follows revision {revision} where {expected} is expected")
