"""Histories that are right because they were made by doing one operation after another, at known moments."""

from __future__ import annotations

import random
from typing import Any

import attrs

from orchestra.errors import StoreError
from orchestra.store import (
    Compare,
    Delete,
    Event,
    Fence,
    Op,
    Put,
    Range,
    Txn,
    WatchBatch,
    WatchRequest,
)
from orchestra.testing import store_reference as reference
from orchestra.testing.linearizability import Operation
from orchestra.testing.store_history import Compact, History, Received, Revoke, WatchRecord
from tests.store.naive import NaiveStore

STEP = 10.0
"""Time between the moments of two operations."""


class Maker:
    """Does random operations on the naive store; each lasts from a while before its moment to a while after."""

    def __init__(self, seed: int, *, keys: int = 4, overlap: float = 3.0, unknown: float = 0.1) -> None:
        self.chance = random.Random(seed)
        self.keys = [b"k%d" % number for number in range(keys)]
        self.overlap = overlap
        self.unknown = unknown
        self.store = NaiveStore()
        self.operations: list[Operation] = []
        self.events: dict[int, tuple[Event, ...]] = {}
        self.moments: dict[int, float] = {}
        """When each revision was made."""
        self.now = 0.0
        self.granted = 0

    def history(self, operations: int, watches: int = 2) -> History:
        for number in range(operations):
            self.now += STEP
            self.operate(f"client {number % 5}")
        self.now += 100 * STEP
        records = [self.watch(f"watcher {number}", whole=not number) for number in range(watches + 1)]
        return History(tuple(self.operations), tuple(records))

    def operate(self, client: str) -> None:
        if self.chance.random() < 0.04 and self.store.revision > self.store.compact_revision + 2:
            self.compact(client)
            return
        request = self.request()
        unknown = self.chance.random() < self.unknown
        answer: Any = None
        if not unknown or self.chance.random() < 0.5:
            answer = self.do(request)
        self.record(client, request, None if unknown else answer, unknown=unknown)

    def record(self, client: str, request: object, answer: object, *, unknown: bool = False) -> None:
        called = self.now - self.chance.random() * STEP * self.overlap
        returned = None if unknown else self.now + self.chance.random() * STEP * self.overlap
        self.operations.append(Operation(client, request, answer, called, returned))

    def compact(self, client: str) -> None:
        revision = self.chance.randrange(self.store.compact_revision + 1, self.store.revision)
        self.store.compact_revision = revision
        self.record(client, Compact(revision), None)

    def do(self, request: Any) -> Any:
        store = self.store
        before, revision = store.revisions[-1], store.revision
        try:
            if isinstance(request, Range):
                return store.range(request)
            if isinstance(request, Revoke):
                applied = reference.revoke(request.lease, before, revision)
                store.revoke(request.lease)
            else:
                applied = reference.apply(request, before, revision, store.past, store.leases)
                store.txn(request)
        except StoreError as error:
            return error
        if applied.events:
            self.events[store.revision] = applied.events
            self.moments[store.revision] = self.now
        return store.revision if isinstance(request, Revoke) else applied.result

    def request(self) -> Range | Txn | Revoke:
        chance = self.chance
        kind = chance.random()
        if kind < 0.25:
            revision = chance.choice([0, 0, 0, self.store.revision, self.store.revision - 1, self.store.revision + 2])
            return Range(*self.span(), revision=max(revision, 0), limit=chance.choice([0, 0, 1]))
        if kind < 0.32:
            lease = max(self.store.leases, default=0)
            if lease and chance.random() < 0.5:
                return Revoke(lease)
            self.granted += 1
            self.store.grant(self.granted, 60)
            return Txn(success=(Put(self.key(), b"leased", lease=self.granted),))
        if kind < 0.36:
            created = chance.choice([kv.create_revision for kv in self.store.revisions[-1].values()] or [1])
            return Txn(success=(Put(self.key(), self.value()),), fence=Fence(self.key(), created))
        key, other = self.chance.sample(self.keys, 2)
        kv = self.store.revisions[-1].get(key)
        known = kv.mod_revision if kv and chance.random() < 0.8 else 0
        compare = (Compare(key, "mod_revision", "=", known),) if chance.random() < 0.5 else ()
        ops: list[Op] = [Put(key, self.value())]
        if chance.random() < 0.4:
            ops.append(chance.choice([Delete(other, prev_kv=True), Put(other, self.value()), Range(key)]))
        return Txn(compare, tuple(ops), (Range(key),) if compare and chance.random() < 0.5 else ())

    def key(self) -> bytes:
        return self.chance.choice(self.keys)

    def value(self) -> bytes:
        """A value of its own, mostly."""
        return b"same" if self.chance.random() < 0.1 else b"%d" % len(self.operations)

    def span(self) -> tuple[bytes, bytes]:
        return self.chance.choice([(self.key(), b""), (b"k", b"l"), (b"k1", b"k3"), (b"\x00", b"\x00")])

    def watch(self, client: str, *, whole: bool = False) -> WatchRecord:
        """Return a record of a watch: opened at some moment, told of revisions in batches some time after each."""
        chance = self.chance
        opened = 0.0 if whole else chance.uniform(0, self.now)
        revision = max((r for r, moment in self.moments.items() if moment < opened), default=1)
        start = 0 if whole else chance.choice([0, 0, revision + 1, revision + 3])
        key, end = (b"\x00", b"\x00") if whole else self.span()
        options = {} if whole else {"puts": chance.random() < 0.8, "deletes": chance.random() < 0.8}
        request = WatchRequest(key, end, start_revision=start, prev_kv=chance.random() < 0.5, **options)
        record = WatchRecord(client, request, opened, opened + 0.001, revision)
        return attrs.evolve(record, received=tuple(self.batches(record)))

    def batches(self, record: WatchRecord) -> list[Received]:
        received: list[Received] = []
        said, at = record.start - 1, record.returned
        while said < self.store.revision:
            until = self.chance.randint(said + 1, min(said + 4, self.store.revision))
            at = max(at, self.moments[until]) + self.chance.random()
            events = tuple(e for r in range(said + 1, until + 1) for e in self.events[r] if wanted(record.request, e))
            if events or self.chance.random() < 0.5:
                received.append(Received(at, WatchBatch(until, events)))
                said = until
            elif until == self.store.revision:
                break
            else:
                # Nothing is told of a revision without events, so the next batch says the same of a later one.
                said_later = until + 1
                at = max(at, self.moments[said_later])
                events = tuple(
                    e for r in range(said + 1, said_later + 1) for e in self.events[r] if wanted(record.request, e)
                )
                received.append(Received(at + 0.5, WatchBatch(said_later, events)))
                at, said = at + 0.5, said_later
        return received


def wanted(request: WatchRequest, event: Event) -> bool:
    kept = request.deletes if event.is_delete else request.puts
    return kept and reference.within(event.kv.key, request.key, request.range_end)
