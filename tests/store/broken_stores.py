"""Stores that break the contract in one way each. Every one must be found out by the conformance suite."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
from anyio.lowlevel import checkpoint

from orchestra.errors import Compacted
from orchestra.store import (
    Compare,
    Delete,
    Event,
    LeaseStatus,
    MemoryStore,
    Put,
    Range,
    RangeResult,
    Txn,
    TxnResult,
    WatchRequest,
)
from orchestra.store.changes import Staged
from orchestra.store.watching import OpenWatch, WatchHub


class DropsAnEvent(MemoryStore):
    """Every 50th revision is told to nobody."""

    async def txn(self, request: Txn) -> TxnResult:
        staged = self._engine.stage(request)
        if staged.change is not None:
            change = self._engine.publish()
            if change.revision % 50:
                self._hub.publish(change.events)
        return staged.result


class TellsTwice(MemoryStore):
    """Every 50th revision is told twice, as one that changed a key twice."""

    async def txn(self, request: Txn) -> TxnResult:
        staged = self._engine.stage(request)
        if staged.change is not None:
            change = self._engine.publish()
            self._hub.publish(change.events if change.revision % 50 else change.events * 2)
        return staged.result


class TellsTooEarly(MemoryStore):
    """Watchers see what is then taken back, every now and then, and another write has its revision."""

    failed = 0

    async def txn(self, request: Txn) -> TxnResult:
        staged = self._engine.stage(request)
        if staged.change is not None:
            self._hub.publish(staged.change.events)
            if staged.change.revision % 40 == 0 and self.failed != staged.change.revision:
                self.failed = staged.change.revision
                self._engine.take_back()
                return await self.txn(Txn(success=(Put(b"other", b"instead"),)))
            self._engine.publish()
        return staged.result


class SplitsTxns(MemoryStore):
    """The operations of a txn are visible one by one."""

    async def txn(self, request: Txn) -> TxnResult:
        result = await super().txn(attrs.evolve(request, success=request.success[:1]))
        if not result.succeeded or len(request.success) < 2:
            return result
        rest = await super().txn(Txn(success=request.success[1:]))
        return TxnResult(rest.revision, True, result.results + rest.results)


class AnswersStale(MemoryStore):
    """Every 20th read is of a revision that was."""

    reads = 0

    async def range(self, request: Range) -> RangeResult:
        self.reads += 1
        before = self._engine.revision - 1
        if not request.revision and self.reads % 20 == 0 and before > max(self._engine.compact_revision, 1):
            return attrs.evolve(await super().range(attrs.evolve(request, revision=before)), revision=before)
        return await super().range(request)


class LosesUpdates(MemoryStore):
    """A condition on a revision is looked at, and then others may write before it is acted upon."""

    async def txn(self, request: Txn) -> TxnResult:
        if any(compare.target == "mod_revision" for compare in request.compare) and not request.fence:
            held = (await super().txn(Txn(request.compare))).succeeded
            await checkpoint()
            if held:
                request = attrs.evolve(request, compare=())
        return await super().txn(request)


class IgnoresFences(MemoryStore):
    async def txn(self, request: Txn) -> TxnResult:
        return await super().txn(attrs.evolve(request, fence=None))


class ForgetsOnRestart(MemoryStore):
    """The last revision before it was closed is used again."""

    async def __aexit__(self, *args: object) -> bool | None:
        engine = self._engine
        if engine.revision > max(engine.compact_revision, 1):
            engine._undo(engine._log.pop())
            engine.revision -= 1
            engine.head -= 1
        return await super().__aexit__(*args)


class BookmarksTooEarly(MemoryStore):
    """A watch that catches up says that it has come to the present when it has not."""

    def watch(self, request: WatchRequest) -> Any:
        self._check_open()
        hub = self._hub

        class Hasty(OpenWatch):
            def _catch_up(self) -> Any:
                batch = super()._catch_up()
                return None if batch is None else attrs.evolve(batch, revision=hub.engine.revision + 1)

        return Hasty(hub, request)


class TearsRevisions(MemoryStore):
    """Each event of a revision comes as a batch of its own."""

    def _told(self, events: tuple[Event, ...]) -> None:
        for event in events:
            self._hub.publish((event,))

    async def txn(self, request: Txn) -> TxnResult:
        staged = self._engine.stage(request)
        if staged.change is not None:
            self._told(self._engine.publish().events)
        return staged.result

    def watch(self, request: WatchRequest) -> Any:
        self._check_open()

        class OneByOne(OpenWatch):
            def _take(self, revision: int) -> Any:
                first, rest = self._pending[:1], self._pending[1:]
                self._pending = first
                batch = super()._take(revision)
                self._pending = rest
                return batch

        return OneByOne(self._hub, request)


class ReadsWhatIsCompacted(MemoryStore):
    """Compaction is said to be done and is not."""

    async def compact(self, revision: int) -> None:
        self._engine.check_compact(revision)


class CompactsTooMuch(MemoryStore):
    async def compact(self, revision: int) -> None:
        await super().compact(max(revision, self._engine.revision))


class EndsLeasesKeyByKey(MemoryStore):
    async def _commit(self, stage: Callable[[], Staged]) -> TxnResult:
        lease = getattr(stage, "args", (0,))[0]
        if getattr(stage, "func", None) == self._engine.stage_revoke and lease in self._engine.leases:
            for key in sorted(self._engine.leases[lease].keys):
                await self.txn(Txn(success=(Delete(key),)))
        return await super()._commit(stage)


class KeepsNoLeaseAlive(MemoryStore):
    async def lease_keep_alive(self, lease_id: int) -> LeaseStatus:
        status = await self.lease_status(lease_id)
        return attrs.evolve(status, remaining_seconds=float(status.ttl_seconds))


class ComparesAbsentAsTrue(MemoryStore):
    async def txn(self, request: Txn) -> TxnResult:
        kept: list[Compare] = [compare for compare in request.compare if await self.get(compare.key)]
        return await super().txn(attrs.evolve(request, compare=tuple(kept)))


class HashesNothing(MemoryStore):
    async def hash(self, revision: int = 0) -> Any:
        return attrs.evolve(await super().hash(revision), hash="0")


class EndsHealthyWatches(MemoryStore):
    """Compaction ends the watches that are open, with all that they still had to tell."""

    async def compact(self, revision: int) -> None:
        await super().compact(revision)
        self._hub.close(Compacted(revision))
        self._hub = WatchHub(self._engine)


class CountsWrong(MemoryStore):
    async def range(self, request: Range) -> RangeResult:
        found = await super().range(request)
        return attrs.evolve(found, count=len(found.kvs)) if not request.count_only else found


class Blocks(MemoryStore):
    """A watcher is never ended, however slowly it reads: what waits for it grows without bound."""

    def watch(self, request: WatchRequest) -> Any:
        return super().watch(attrs.evolve(request, buffer_events=10**9))


FOUND_BY: dict[type[MemoryStore], str] = {
    DropsAnEvent: "concurrent_clients_see_one_linearizable_history",
    TellsTwice: "concurrent_clients_see_one_linearizable_history",
    TellsTooEarly: "concurrent_clients_see_one_linearizable_history",
    SplitsTxns: "a_txn_is_one_revision_and_sees_its_own_changes",
    AnswersStale: "concurrent_clients_see_one_linearizable_history",
    LosesUpdates: "concurrent_compare_and_swap_loses_no_update",
    IgnoresFences: "a_fence_admits_its_term_and_refuses_an_older_one",
    ForgetsOnRestart: "histories_go_on_over_restarts",
    BookmarksTooEarly: "histories_go_on_over_restarts",
    TearsRevisions: "a_revision_comes_in_one_batch",
    ReadsWhatIsCompacted: "compaction_keeps_the_present_and_refuses_the_past",
    CompactsTooMuch: "compaction_keeps_the_present_and_refuses_the_past",
    EndsLeasesKeyByKey: "a_lease_takes_its_keys_with_it_in_one_revision",
    KeepsNoLeaseAlive: "a_lease_ends_when_its_time_is_over_and_keep_alive_gives_it_anew",
    ComparesAbsentAsTrue: "a_txn_takes_the_branch_that_its_compares_choose",
    HashesNothing: "equal_histories_have_equal_hashes",
    EndsHealthyWatches: "compaction_leaves_a_live_watch_alone",
    CountsWrong: "limits_count_and_more_agree",
    Blocks: "a_slow_watcher_is_ended_and_others_are_not",
}
"""What must find each of them out: names of checks."""
