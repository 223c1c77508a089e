from __future__ import annotations

import copy
from collections.abc import Iterator

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from orchestra.errors import Compacted, CorruptStore, FutureRevision, InvalidTxn, LeaseNotFound
from orchestra.store import Compare, Delete, KeyValue, Op, Put, Range, Txn
from orchestra.store.changes import Change, Contents
from orchestra.store.mvcc import Engine
from tests.store.naive import NaiveStore

KEYS = st.sampled_from([b"a", b"aa", b"ab", b"b", b"b\xff", b"c"])
ENDS = st.sampled_from([b"", b"", b"ab", b"b", b"c", b"\x00"])
VALUES = st.sampled_from([b"", b"x", b"y"])
LEASES = st.sampled_from([0, 0, 0, 1, 2])
REVISIONS = st.integers(0, 30)
RANGES = st.builds(
    Range,
    KEYS,
    ENDS,
    revision=st.one_of(st.just(0), REVISIONS),
    limit=st.integers(0, 3),
    sort_by=st.sampled_from(["key", "mod_revision", "version"]),
    descending=st.booleans(),
    min_mod_revision=st.sampled_from([0, 0, 5]),
)
PUTS = st.builds(Put, KEYS, VALUES, lease=LEASES)
DELETES = st.builds(Delete, KEYS, ENDS)
COMPARES = st.one_of(
    st.builds(
        Compare,
        KEYS,
        st.sampled_from(["version", "create_revision", "mod_revision", "lease"]),
        st.sampled_from(["=", "!=", "<", ">"]),
        st.integers(0, 6),
        ENDS,
    ),
    st.builds(Compare, KEYS, st.just("value"), st.sampled_from(["=", "!=", "<", ">"]), VALUES, ENDS),
)


def txns(ops: st.SearchStrategy[Op]) -> st.SearchStrategy[Txn]:
    branch = st.lists(ops, max_size=3).map(tuple)
    return st.builds(Txn, st.lists(COMPARES, max_size=2).map(tuple), branch, branch)


LEAVES: st.SearchStrategy[Op] = st.one_of(PUTS, PUTS, DELETES, RANGES)
TXNS = txns(st.one_of(LEAVES, LEAVES, txns(LEAVES)))


class EngineMachine(RuleBasedStateMachine):
    """The engine against the model: staged, published, taken back, compacted, written out and loaded."""

    @initialize()
    def begin(self) -> None:
        self.engine = Engine()
        self.published = NaiveStore()
        self.staged = NaiveStore()
        self.log: list[Change] = []
        self.swept = 0

    @rule(txn=TXNS)
    def stage(self, txn: Txn) -> None:
        model = copy.deepcopy(self.staged)
        try:
            staged = self.engine.stage(txn)
        except InvalidTxn:
            return
        except (LeaseNotFound, Compacted, FutureRevision) as error:
            with pytest.raises(type(error)):
                model.txn(txn)
            return
        assert (staged.result.succeeded, staged.result.revision) == model.txn(txn)
        self.staged = model

    @rule(lease=st.sampled_from([1, 2]))
    def grant_or_revoke(self, lease: int) -> None:
        if lease in self.staged.leases:
            self.engine.stage_revoke(lease)
            self.staged.revoke(lease)
        else:
            self.engine.stage_grant(lease, 60)
            self.staged.leases.add(lease)

    @rule()
    def publish_all(self) -> None:
        while self.engine.dirty:
            self.log.append(self.engine.publish())
        self.published = copy.deepcopy(self.staged)

    @rule()
    def take_back(self) -> None:
        self.engine.take_back()
        self.staged = copy.deepcopy(self.published)

    @precondition(lambda self: self.published.revision > self.published.compact_revision)
    @rule(data=st.data())
    def compact(self, data: st.DataObject) -> None:
        revision = data.draw(st.integers(self.published.compact_revision + 1, self.published.revision))
        self.engine.compact(revision)
        self.published.compact_revision = self.staged.compact_revision = revision

    @rule(steps=st.integers(1, 5))
    def sweep(self, steps: int) -> None:
        dead = self.engine.sweep(steps)
        self._forget(dead or [])

    @precondition(lambda self: not self.engine.dirty)
    @rule()
    def load_what_the_log_has(self) -> None:
        kvs = (event.kv for change in self.log for event in change.events)
        leases = [(lease, 60) for lease in self.published.leases]
        before = self.engine.hash()
        self.engine = Engine.load(Contents(kvs, leases, self.published.compact_revision))
        assert self.engine.hash() == before

    @rule(request=RANGES)
    def range(self, request: Range) -> None:
        try:
            expected = self.published.range(request)
        except (Compacted, FutureRevision) as error:
            with pytest.raises(type(error)):
                self.engine.range(request)
            return
        found = self.engine.range(request)
        assert (list(found.kvs), found.more, found.count) == expected

    @invariant()
    def revisions_agree(self) -> None:
        assert self.engine.revision == self.published.revision
        assert self.engine.head == self.staged.revision
        assert self.engine.keys == len(self.staged.revisions[-1])

    @invariant()
    def history_agrees(self) -> None:
        start = max(self.published.compact_revision, 2)
        history = list(self.engine.events_from(start, 1_000_000))
        assert [events[0].kv.mod_revision for events in history] == list(range(start, self.published.revision + 1))
        for events in history:
            changes = self.published.changes(events[0].kv.mod_revision)
            seen = {event.kv.key: None if event.is_delete else event.kv for event in events}
            assert seen == changes

    @invariant()
    def leases_hold_their_keys(self) -> None:
        held = {lease.id: set(lease.keys) for lease in self.engine.leases.values()}
        newest = self.staged.revisions[-1].values()
        assert set(self.engine.published_leases()) == self.published.leases
        assert held == {lease: {kv.key for kv in newest if kv.lease == lease} for lease in self.staged.leases}

    def _forget(self, dead: list[KeyValue]) -> None:
        gone = {(kv.key, kv.mod_revision) for kv in dead}
        for change in self.log:
            kept = tuple(event for event in change.events if (event.kv.key, event.kv.mod_revision) not in gone)
            change.events = kept


TestEngine = EngineMachine.TestCase
TestEngine.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


def _kvs(*revisions: int) -> Iterator[KeyValue]:
    return (KeyValue(b"k%d" % revision, b"", revision, revision, 1) for revision in revisions)


@pytest.mark.parametrize("revisions", [(3,), (2, 4), (2, 3, 2)])
def test_contents_with_a_missing_or_misplaced_revision_are_refused(revisions: tuple[int, ...]) -> None:
    with pytest.raises(CorruptStore):
        Engine.load(Contents(_kvs(*revisions)))


def test_contents_whose_lease_is_missing_are_refused() -> None:
    with pytest.raises(CorruptStore, match="lease 9"):
        Engine.load(Contents([KeyValue(b"a", b"", 2, 2, 1, 9)]))


def test_a_restored_engine_begins_at_the_revision_that_marks_the_past_as_compacted() -> None:
    engine = Engine.load(Contents(_kvs(2, 5), (), 1_000))
    assert (engine.revision, engine.keys) == (1_000, 2)
    assert engine.stage(Txn(success=(Put(b"a"),))).result.revision == 1_001
    with pytest.raises(Compacted):
        next(engine.events_from(6, 1))


def test_a_sweep_frees_what_a_hot_key_left_behind() -> None:
    engine = Engine()
    for _ in range(1_000):
        engine.stage(Txn(success=(Put(b"hot"),)))
        engine.publish()
    engine.compact(engine.revision)
    dead: list[KeyValue] = []
    while (some := engine.sweep(100)) is not None:
        dead += some
    assert len(dead) == 999
    assert engine.range(Range(b"hot")).kvs[0].version == 1_000
