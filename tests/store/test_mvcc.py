from __future__ import annotations

import copy
from collections.abc import Iterator

import attrs
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from orchestra.errors import (
    Compacted,
    CorruptStore,
    FutureRevision,
    InvalidTxn,
    LeaseExists,
    LeaseNotFound,
    StoreError,
)
from orchestra.store import Compare, Delete, Fence, KeyValue, Op, Put, Range, Txn
from orchestra.store.changes import Change, Contents, Staged
from orchestra.store.mvcc import Engine
from orchestra.store.rules import check_txn
from tests.store.naive import NaiveStore

KEYS = st.sampled_from([b"a", b"aa", b"ab", b"b", b"b\xff", b"c"])
ENDS = st.sampled_from([b"", b"", b"ab", b"b", b"c", b"\x00"])
VALUES = st.sampled_from([b"", b"x", b"y"])
LEASES = st.sampled_from([0, 0, 0, 1, 2])
REVISIONS = st.integers(0, 30)
FILTERS = st.sampled_from([0, 0, 0, 3, 5, 9])
OPERATORS = st.sampled_from(["=", "!=", "<", ">"])
RANGES = st.builds(
    Range,
    KEYS,
    ENDS,
    revision=st.one_of(st.just(0), REVISIONS),
    limit=st.integers(0, 3),
    sort_by=st.sampled_from(["key", "key", "mod_revision", "create_revision", "version", "value"]),
    descending=st.booleans(),
    keys_only=st.booleans(),
    count_only=st.sampled_from([False, False, True]),
    min_mod_revision=FILTERS,
    max_mod_revision=FILTERS,
    min_create_revision=FILTERS,
    max_create_revision=FILTERS,
)
PUTS = st.one_of(
    st.builds(Put, KEYS, VALUES, lease=LEASES, prev_kv=st.booleans()),
    st.builds(Put, KEYS, lease=LEASES, ignore_value=st.just(True)),
    st.builds(Put, KEYS, VALUES, ignore_lease=st.just(True), prev_kv=st.booleans()),
    st.builds(Put, KEYS, ignore_lease=st.just(True), ignore_value=st.just(True)),
)
DELETES = st.builds(Delete, KEYS, ENDS, prev_kv=st.booleans())
COMPARES = st.one_of(
    st.builds(
        Compare,
        KEYS,
        st.sampled_from(["version", "create_revision", "mod_revision", "lease"]),
        OPERATORS,
        st.integers(-1, 6),
        ENDS,
    ),
    st.builds(Compare, KEYS, st.just("value"), OPERATORS, VALUES, ENDS),
)
FENCES = st.one_of(st.none(), st.none(), st.none(), st.builds(Fence, KEYS, st.integers(2, 20)))


LEAVES: st.SearchStrategy[Op] = st.one_of(PUTS, PUTS, PUTS, DELETES, RANGES)


@st.composite
def txns(draw: st.DrawFn, depth: int = 2) -> Txn:
    """Txns that nest up to `depth` others; only the outermost has a fence."""

    def op() -> Op:
        return draw(txns(depth - 1)) if depth and draw(st.integers(0, 4)) == 4 else draw(LEAVES)

    success, failure = (tuple(op() for _ in range(draw(st.integers(0, 3)))) for _ in range(2))
    compare = draw(st.lists(COMPARES, max_size=2).map(tuple))
    return Txn(compare, success, failure, fence=draw(FENCES) if depth == DEPTH else None)


DEPTH = 2
TXNS = txns(DEPTH)


class EngineMachine(RuleBasedStateMachine):
    """The engine against the model: staged, published, taken back, compacted, written out and loaded."""

    @initialize()
    def begin(self) -> None:
        self.engine = Engine()
        self.published = NaiveStore()
        self.staged = NaiveStore()
        self.waiting: list[NaiveStore] = []
        """The model after each staged change."""
        self.log: list[Change] = []

    def _stage(self, staged: Staged, model: NaiveStore) -> None:
        self.staged = model
        if staged.change is not None:
            self.waiting.append(model)

    @rule(txn=TXNS)
    def stage(self, txn: Txn) -> None:
        model = copy.deepcopy(self.staged)
        try:
            check_txn(txn)
        except InvalidTxn:
            with pytest.raises(InvalidTxn):
                self.engine.stage(txn)
            return
        try:
            result = model.txn(txn)
        except StoreError as error:
            with pytest.raises(type(error)):
                self.engine.stage(txn)
            return
        staged = self.engine.stage(txn)
        assert staged.result == result
        assert (staged.change is None) == (model.revision == self.staged.revision)
        self._stage(staged, model)

    @rule(txn=TXNS)
    def read(self, txn: Txn) -> None:
        """What changes nothing is answered from what is published."""
        looks = Txn(txn.compare, *(tuple(op for op in ops if type(op) is Range) for ops in (txn.success, txn.failure)))
        looks = attrs.evolve(looks, fence=txn.fence)
        try:
            result = self.published.txn(looks)
        except StoreError as error:
            with pytest.raises(type(error)):
                self.engine.read(looks)
            return
        assert self.engine.read(looks) == result

    @rule(lease=st.sampled_from([1, 2]), ttl=st.integers(1, 9))
    def grant_or_revoke(self, lease: int, ttl: int) -> None:
        model = copy.deepcopy(self.staged)
        if lease in model.leases:
            with pytest.raises(LeaseExists):
                self.engine.stage_grant(lease, ttl)
            staged = self.engine.stage_revoke(lease)
            model.revoke(lease)
        else:
            with pytest.raises(LeaseNotFound):
                self.engine.stage_revoke(lease)
            staged = self.engine.stage_grant(lease, ttl)
            model.grant(lease, ttl)
        assert staged.result.revision == model.revision
        self._stage(staged, model)

    @precondition(lambda self: self.waiting)
    @rule()
    def publish_one(self) -> None:
        self.log.append(self.engine.publish())
        self.published = copy.deepcopy(self.waiting.pop(0))
        self.published.compact_revision = self.staged.compact_revision

    @rule()
    def publish_all(self) -> None:
        while self.engine.dirty:
            self.publish_one()
        assert not self.waiting

    @rule()
    def take_back(self) -> None:
        self.engine.take_back()
        self.waiting = []
        self.staged = copy.deepcopy(self.published)

    @precondition(lambda self: self.published.revision > self.published.compact_revision)
    @rule(data=st.data())
    def compact(self, data: st.DataObject) -> None:
        revision = data.draw(st.integers(self.published.compact_revision + 1, self.published.revision))
        self.engine.compact(revision)
        for model in (self.published, self.staged, *self.waiting):
            model.compact_revision = revision

    @rule(steps=st.integers(1, 5))
    def sweep(self, steps: int) -> None:
        self._forget(self.engine.sweep(steps) or [])

    @precondition(lambda self: not self.engine.dirty)
    @rule()
    def load_what_the_log_has(self) -> None:
        kvs = (event.kv for change in self.log for event in change.events)
        leases = list(self.published.leases.items())
        before = self.engine.hash()
        self.engine = Engine.load(Contents(kvs, leases, self.published.compact_revision))
        assert self.engine.hash() == before

    @rule(back=st.integers(0, 30))
    def hash_a_past_revision(self, back: int) -> None:
        """Two engines with one history have one hash at each revision that both can read."""
        revision = max(self.published.revision - back, self.published.compact_revision, 1)
        kvs = (event.kv for change in self.log for event in change.events if event.kv.mod_revision <= revision)
        leases = [(lease, 1) for lease in (1, 2)]
        other = Engine.load(Contents(kvs, leases, self.published.compact_revision))
        assert self.engine.hash(revision) == other.hash()

    @rule(request=RANGES)
    def range(self, request: Range) -> None:
        try:
            expected = self.published.range(request)
        except (Compacted, FutureRevision) as error:
            with pytest.raises(type(error)):
                self.engine.range(request)
            return
        assert self.engine.range(request) == expected

    @invariant()
    def revisions_agree(self) -> None:
        assert self.engine.revision == self.published.revision
        assert self.engine.head == self.staged.revision
        assert self.engine.keys == len(self.staged.revisions[-1])
        assert {kv.key: kv for kv in self.engine.contents()} == self.published.revisions[-1]

    @invariant()
    def history_agrees(self) -> None:
        start = max(self.published.compact_revision, 2)
        history = list(self.engine.events_from(start, 1_000_000))
        assert [events[0].kv.mod_revision for events in history] == list(range(start, self.published.revision + 1))
        for events in history:
            revision = events[0].kv.mod_revision
            changes = self.published.changes(revision)
            seen = {event.kv.key: None if event.is_delete else event.kv for event in events}
            assert seen == changes
            before = self.published.revisions[revision - 1]
            for event in events:
                if revision > start:
                    assert event.prev_kv == before.get(event.kv.key)

    @invariant()
    def leases_hold_their_keys(self) -> None:
        held = {lease.id: set(lease.keys) for lease in self.engine.leases.values()}
        assert held == {lease: self.staged.held(lease) for lease in self.staged.leases}
        assert self.engine.published_leases() == self.published.leases
        for number in (1, 2):
            if number not in self.published.leases:
                with pytest.raises(LeaseNotFound):
                    self.engine.published_lease(number)
                continue
            lease = self.engine.published_lease(number)
            assert (lease.ttl_seconds, set(lease.keys)) == (
                self.published.leases[number],
                self.published.held(number),
            )

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
