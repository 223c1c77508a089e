"""Random clients of a store, by a seed: they write, read, watch, stall and compact at once while it is reopened."""

from __future__ import annotations

import random
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, Final, TypeAlias

import anyio
import attrs

from orchestra.errors import Compacted, StoreClosed, StoreError, WatchOverflow
from orchestra.store import Compare, Delete, Fence, Op, Put, Range, Store, Txn, WatchRequest
from orchestra.testing.store_history import History
from orchestra.testing.store_recorder import EVERYTHING, OpenRecord, Recorder

StoreFactory: TypeAlias = Callable[[], Store]

COMPACT_SECONDS: Final = 0.05
"""Between two compactions."""

PATIENCE_SECONDS: Final = 30.0
"""How long watches may need, after the last write, to tell of it."""

PHASE_SECONDS: Final = 180.0
"""How long the calls of one phase may take; a store that closes itself never answers them all."""

KEYS: Final = tuple(b"k%02d" % number for number in range(12))
FENCE: Final = b"fence"


@attrs.frozen
class Traffic:
    """How much happens. With `revisions=False` nothing asks for a revision, as `KeyValues.parts` wants it."""

    seed: int
    phases: int = 3
    """Times that the store is opened; between them it is closed in the middle of everything."""

    operations: int = 500
    """Answered calls of each phase."""

    writers: int = 8
    watchers: int = 6
    revisions: bool = True


async def record(open_store: StoreFactory, traffic: Traffic) -> History:
    """Let clients work on the store and return what they did and saw.

    Raises TimeoutError if the store does not answer, or if in the end a watch does not tell of the last revision.
    """
    run = _Run(traffic)
    for phase in range(traffic.phases):
        async with anyio.create_task_group() as tasks, open_store() as store:
            if not phase:
                await run.begin(store)
            run.open_phase(last=phase == traffic.phases - 1)
            for client in run.clients():
                tasks.start_soon(client, store)
            with anyio.fail_after(PHASE_SECONDS):
                await run.enough.wait()
            if run.last:
                await run.settle(store)
        # Leaving closes the store under its clients, which ends them.
    return run.recorder.history()


class _Run:
    def __init__(self, traffic: Traffic) -> None:
        self.traffic = traffic
        self.recorder = Recorder()
        self.chance = random.Random(traffic.seed)
        self.enough = anyio.Event()
        self.last = False
        self.left = 0
        self.revision = 1
        """The newest revision that any client was told."""
        self.reached: dict[str, int] = {}
        """How far each watcher has come, over all its watches."""
        self.open: dict[str, OpenRecord] = {}
        """The watch of each watcher."""
        self.fence = 0
        self.leases: list[int] = []

    async def begin(self, store: Store) -> None:
        """Look at the store before anything happens; the first watcher tells of everything from there on."""
        await self.recorder.begin(store)
        self.revision = self.recorder.history().revision
        self.reached["watcher 0"] = self.revision

    def open_phase(self, *, last: bool) -> None:
        self.last = last
        self.enough = anyio.Event()
        self.left = self.traffic.operations

    def clients(self) -> Iterator[Callable[[Store], Coroutine[Any, Any, None]]]:
        for number in range(self.traffic.writers):
            yield _Writer(self, f"writer {number}").run
        for number in range(self.traffic.watchers):
            yield _Watcher(self, f"watcher {number}", number).run
        yield self.compact

    def done(self, revision: int) -> None:
        """Count an answered call."""
        self.revision = max(self.revision, revision)
        self.left -= 1
        if self.left <= 0:
            self.enough.set()

    async def compact(self, store: Store) -> None:
        """Compact again and again, never beyond what the watcher of everything has seen."""
        while True:
            await anyio.sleep(COMPACT_SECONDS)
            revision = min(self.reached.get("watcher 0", 0), self.revision - self.chance.randrange(30))
            try:
                await self.recorder.compact("compactor", store, max(revision, 1))
            except Compacted:
                continue
            except StoreClosed:
                return

    async def settle(self, store: Store) -> None:
        """Wait until every watcher has been told of the last write."""
        with anyio.fail_after(PATIENCE_SECONDS):
            final = 0
            # Writers stop by themselves; what they still had under way is over when two looks agree.
            while final != (final := (await store.status()).revision) or min(self.reached.values()) < final:
                for name, watch in self.open.items():
                    # What is left of the way to the end may be revisions without events for this watch.
                    if self.reached[name] < final:
                        watch.request_progress()
                await anyio.sleep(0.02)


class _Writer:
    """Reads and writes, one call after another; sometimes gives up on one."""

    def __init__(self, run: _Run, name: str) -> None:
        self.of = run
        self.name = name
        self.chance = random.Random(f"{run.traffic.seed} {name} {run.last} {run.revision}")
        self.known: dict[bytes, int] = {}
        """The revision, or else the version, at which this client last saw a key."""

    async def run(self, store: Store) -> None:
        while not self.of.enough.is_set():
            if self.chance.random() < 0.5:
                await anyio.sleep(self.chance.uniform(0, 0.015))
            impatient = self.chance.random() < 0.02
            try:
                with anyio.move_on_after(self.chance.uniform(0, 0.002) if impatient else 60.0):
                    self.of.done(await self.act(store))
            except StoreClosed:
                return
            except StoreError:
                self.of.done(0)

    async def act(self, store: Store) -> int:
        recorder, kind = self.of.recorder, self.chance.random()
        if kind < 0.25:
            found = await recorder.range(self.name, store, self.range())
            if not self.of.traffic.revisions:
                return found.revision
            for kv in found.kvs:
                self.known[kv.key] = kv.mod_revision
            return found.revision
        if kind < 0.31 and self.of.traffic.revisions:
            return await self.lease(store)
        if kind < 0.36 and self.of.traffic.revisions:
            return await self.fenced(store)
        result = await recorder.txn(self.name, store, self.txn())
        return result.revision

    def key(self) -> bytes:
        return self.chance.choice(KEYS)

    def value(self) -> bytes:
        """A value that nobody else writes."""
        return f"{self.name} {self.of.recorder.moment():g}".encode()

    def range(self) -> Range:
        key, end = self.chance.choice([(self.key(), b""), (b"k", b"l"), (b"k03", b"k06"), EVERYTHING])
        if not self.of.traffic.revisions:
            return Range(self.key())
        revision = 0
        if self.chance.random() < 0.5:
            revision = max(self.of.revision - self.chance.randrange(-1, 40), 1)
        limit = self.chance.choice([0, 0, 2])
        return Range(key, end, revision=revision, limit=limit, descending=self.chance.random() < 0.2)

    def txn(self) -> Txn:
        chance, key, other = self.chance, self.key(), self.key()
        compare: tuple[Compare, ...] = ()
        if chance.random() < 0.5:
            compare = (Compare(key, "version", ">", chance.randrange(3)),)
            if self.of.traffic.revisions and chance.random() < 0.7:
                compare = (Compare(key, "mod_revision", "=", self.known.get(key, 0)),)
        ops: list[Op] = [Put(key, self.value(), prev_kv=chance.random() < 0.3)]
        kind = chance.random()
        if kind < 0.15:
            ops = [Delete(key, prev_kv=True)]
        elif kind < 0.35 and other != key:
            ops.append(Put(other, self.value()))
        elif kind < 0.45 and self.of.traffic.revisions:
            ops = [Delete(b"k03", b"k06"), Put(b"k06", self.value()), Range(*EVERYTHING, limit=3)]
        elif kind < 0.55:
            ops = [Range(other), Txn((Compare(other, "version", ">", 1),), (Put(key, self.value()),), (Delete(key),))]
        return Txn(compare, tuple(ops), (Range(key),) if compare else ())

    async def lease(self, store: Store) -> int:
        """Attach keys to a lease that soon ends by itself, or that somebody revokes."""
        recorder, leases = self.of.recorder, self.of.leases
        if leases and self.chance.random() < 0.5:
            return await recorder.revoke(self.name, store, leases.pop(self.chance.randrange(len(leases))))
        lease = await recorder.grant(self.name, store, self.chance.choice([1, 600]))
        leases.append(lease)
        first, second = self.chance.sample(KEYS, 2)
        puts = (Put(first, self.value(), lease=lease), Put(second, self.value(), lease=lease))
        return (await recorder.txn(self.name, store, Txn(success=puts))).revision

    async def fenced(self, store: Store) -> int:
        """Write as the leader of the last term, or of the one before, or begin a term."""
        recorder = self.of.recorder
        if self.chance.random() < 0.3 or not self.of.fence:
            await recorder.txn(self.name, store, Txn(success=(Delete(FENCE),)))
            begun = await recorder.txn(self.name, store, Txn(success=(Put(FENCE, self.value()),)))
            self.of.fence = begun.revision
            return begun.revision
        fence = Fence(FENCE, self.of.fence - self.chance.choice([0, 0, 1]))
        return (
            await recorder.txn(self.name, store, Txn(success=(Put(self.key(), self.value()),), fence=fence))
        ).revision


class _Watcher:
    """Watches, is slow, leaves and comes back, and goes on where it was; the first one sees everything and hurries."""

    def __init__(self, run: _Run, name: str, number: int) -> None:
        self.of = run
        self.name = name
        self.chance = random.Random(f"{run.traffic.seed} {name} {run.revision}")
        self.steady = number == 0
        spans = ((b"k", b"l"), (b"k03", b"k06"), (b"k01", b""), EVERYTHING, (b"k06", b"\x00"))
        self.span = EVERYTHING if self.steady else spans[number % len(spans)]
        self.slow = number % 2 == 1

    def request(self) -> WatchRequest:
        start = self.of.reached.get(self.name, 0)
        start = start + 1 if start else 0
        if self.steady:
            return WatchRequest(*self.span, start_revision=start, prev_kv=True)
        if start and self.chance.random() < 0.2:
            start = self.chance.choice([0, max(start - 10, 1), start + 5])
        buffer = self.chance.choice([5, 20]) if self.slow else 65_536
        prev_kv, puts, deletes = (self.chance.random() < odds for odds in (0.5, 0.9, 0.9))
        return WatchRequest(
            *self.span, start_revision=start, prev_kv=prev_kv, puts=puts, deletes=deletes, buffer_events=buffer
        )

    async def run(self, store: Store) -> None:
        while True:
            try:
                async with self.of.recorder.watch(self.name, store, self.request()) as watch:
                    self.of.open[self.name] = watch
                    self.note(watch.reached)
                    leaves = 1_000_000 if self.steady else self.chance.randrange(2, 40)
                    while leaves:
                        leaves -= 1
                        if self.chance.random() < 0.1:
                            watch.request_progress()
                        self.note((await watch.next()).revision)
                        if self.slow and not self.of.enough.is_set() and self.chance.random() < 0.3:
                            await anyio.sleep(self.chance.uniform(0, 0.05))
            except WatchOverflow:
                continue
            except Compacted as error:
                self.of.reached[self.name] = error.compact_revision - 1
            except StoreClosed:
                return
            finally:
                self.of.open.pop(self.name, None)

    def note(self, revision: int) -> None:
        self.of.reached[self.name] = revision
