"""The deciding parts of the store on etcd, without any etcd."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import anyio
import pytest

from orchestra._proto.etcd.v3 import rpc_pb2
from orchestra.errors import (
    AmbiguousCommit,
    InvalidTxn,
    StoreAccessDenied,
    StoreClosed,
    StoreError,
    StoreUnavailable,
)
from orchestra.store import Event, KeyValue, WatchRequest
from orchestra.store.etcd import answers
from orchestra.store.etcd.beacon import Beacon
from orchestra.store.etcd.calls import error_of
from orchestra.store.etcd.channel import DELETES_KEPT, PROGRESS_IN_ORDER, Connection, has_fix
from orchestra.store.etcd.connector import Connector
from orchestra.store.etcd.failures import CallFailed, Failure, Fate, classify
from orchestra.store.etcd.options import Endpoint, EtcdOptions
from orchestra.store.etcd.watch import EtcdWatch, by_revision
from orchestra.store.etcd.watch_stream import ASK_AGAIN_SECONDS, WatchStream


@pytest.mark.parametrize(
    ("code", "text", "fate", "lost"),
    [
        ("UNAVAILABLE", "failed to connect to all addresses; last error: refused", Fate.UNDONE, True),
        ("UNAVAILABLE", "Socket closed", Fate.UNKNOWN, True),
        ("UNAVAILABLE", answers.TIMEOUT.text, Fate.UNKNOWN, False),
        ("UNAVAILABLE", answers.TIMEOUT_LEADER_FAIL.text, Fate.UNKNOWN, False),
        ("UNAVAILABLE", answers.STOPPED.text, Fate.UNKNOWN, False),
        ("UNAVAILABLE", "etcdserver: leader changed", Fate.UNKNOWN, False),
        ("UNAVAILABLE", answers.NO_LEADER.text, Fate.UNDONE, False),
        ("RESOURCE_EXHAUSTED", answers.TOO_MANY_REQUESTS.text, Fate.UNDONE, False),
        ("DEADLINE_EXCEEDED", "Deadline Exceeded", Fate.UNKNOWN, False),
        ("CANCELLED", "", Fate.UNKNOWN, False),
        ("INTERNAL", "Received RST_STREAM with error code 2", Fate.UNKNOWN, False),
        ("UNAUTHENTICATED", answers.INVALID_AUTH_TOKEN.text, Fate.TOKEN, False),
        ("RESOURCE_EXHAUSTED", answers.NO_SPACE.text, Fate.REFUSED, False),
        ("INVALID_ARGUMENT", "etcdserver: something new", Fate.REFUSED, False),
    ],
)
def test_a_failure_is_undone_only_when_that_is_certain(code: str, text: str, fate: Fate, lost: bool) -> None:
    failure = classify(code, text)
    assert (failure.fate, failure.lost) == (fate, lost)


@pytest.mark.parametrize(
    ("code", "text", "repeatable", "closed", "error"),
    [
        ("UNAVAILABLE", "Socket closed", False, False, AmbiguousCommit),
        ("UNAVAILABLE", "Socket closed", False, True, AmbiguousCommit),
        ("UNAVAILABLE", "Socket closed", True, False, StoreUnavailable),
        ("UNAVAILABLE", "Socket closed", True, True, StoreClosed),
        ("UNAVAILABLE", answers.NO_LEADER.text, False, False, StoreUnavailable),
        ("RESOURCE_EXHAUSTED", answers.NO_SPACE.text, False, False, AmbiguousCommit),
        ("PERMISSION_DENIED", answers.PERMISSION_DENIED.text, False, False, StoreAccessDenied),
        ("UNAUTHENTICATED", answers.INVALID_AUTH_TOKEN.text, False, False, StoreAccessDenied),
        ("INVALID_ARGUMENT", answers.REQUEST_TOO_LARGE.text, False, False, InvalidTxn),
        ("RESOURCE_EXHAUSTED", "grpc: received message larger than max (9 vs. 8)", False, False, InvalidTxn),
        ("RESOURCE_EXHAUSTED", "CLIENT: Received message larger than max (9 vs. 8)", True, False, StoreError),
        ("UNIMPLEMENTED", "unknown service", True, False, StoreError),
    ],
)
def test_a_failure_that_is_not_tried_again_says_what_is_known(
    code: str, text: str, repeatable: bool, closed: bool, error: type[StoreError]
) -> None:
    assert type(error_of(classify(code, text), repeatable=repeatable, closed=closed)) is error


@pytest.mark.parametrize(
    ("version", "progress", "deletes"),
    [
        ("3.4.23", False, False),
        ("3.4.31", True, False),
        ("3.4.34", True, True),
        ("3.5.1", False, False),
        ("3.5.12", False, False),
        ("3.5.13", True, False),
        ("3.5.16", True, True),
        ("3.6.0", True, True),
        ("3.6.0-rc.1", True, True),
        ("4.0.0", True, True),
        ("3.3.27", False, False),
        ("unknown", False, False),
        ("", False, False),
    ],
)
def test_a_fix_is_in_its_patch_release_and_all_newer_minor_ones(version: str, progress: bool, deletes: bool) -> None:
    assert (has_fix(version, PROGRESS_IN_ORDER), has_fix(version, DELETES_KEPT)) == (progress, deletes)


def _event(key: bytes, revision: int, version: int = 1) -> Event:
    return Event(KeyValue(key, b"", revision, revision, version))


def _watch(key: bytes, at: int, **options: Any) -> EtcdWatch:
    watch = EtcdWatch(cast("Any", None), WatchRequest(key, **options))
    watch.begin(at)
    return watch


def test_events_of_a_revision_stay_together() -> None:
    events = [_event(b"a", 2), _event(b"b", 2), _event(b"a", 3), _event(b"a", 5), _event(b"b", 5)]
    assert [tuple(event.kv.mod_revision for event in group) for group in by_revision(events)] == [(2, 2), (3,), (5, 5)]


def test_the_beacon_proves_that_nothing_was_for_a_quiet_watch() -> None:
    beacon, watch = Beacon(), _watch(b"quiet", 10)
    assert beacon.follow(watch), "it begins behind the watch"
    assert beacon.next == 11
    beacon.see((_event(b"busy", 11), _event(b"busy", 12)), 11, 12)
    beacon.prove(watch)
    assert watch.complete == 12


def test_the_beacon_waits_for_an_event_that_is_still_to_come() -> None:
    beacon, watch = Beacon(), _watch(b"a", 10)
    beacon.follow(watch)
    beacon.see((_event(b"a", 11), _event(b"busy", 12)), 11, 12)
    beacon.prove(watch)
    assert watch.complete == 10
    watch.receive([_event(b"a", 11)])
    assert watch.complete == 11
    beacon.prove(watch)
    assert watch.complete == 12


def test_the_beacon_looks_at_filters() -> None:
    beacon = Beacon()
    puts, deletes = _watch(b"a", 10, deletes=False), _watch(b"a", 10, puts=False)
    beacon.follow(puts)
    beacon.follow(deletes)
    beacon.see((_event(b"a", 11, version=0),), 11, 11)
    for watch in (puts, deletes):
        beacon.prove(watch)
    assert (puts.complete, deletes.complete) == (11, 10)


def test_the_beacon_goes_back_for_a_watch_of_the_past() -> None:
    beacon, first, past = Beacon(), _watch(b"a", 10), _watch(b"b", 12, start_revision=5)
    beacon.follow(first)
    beacon.see((_event(b"c", 11), _event(b"c", 12)), 11, 12)
    assert beacon.follow(past)
    assert beacon.next == 5
    # What its watch was still told before it went back says nothing of what is before.
    beacon.see((_event(b"c", 13),), 13, 13)
    assert beacon.next == 5
    beacon.prove(past)
    assert past.complete == 4
    beacon.see((_event(b"b", 7), _event(b"c", 12)), 5, 12)
    beacon.prove(past)
    assert past.complete == 4, "the event of revision 7 is still to come"
    past.receive([_event(b"b", 7)])
    beacon.prove(past)
    assert past.complete == 12


def test_the_beacon_proves_nothing_of_what_it_lost() -> None:
    beacon, watch = Beacon(), _watch(b"a", 10)
    beacon.follow(watch)
    beacon.lose(20)
    beacon.see((_event(b"c", 21),), 21, 21)
    beacon.prove(watch)
    assert watch.complete == 10
    watch.receive([_event(b"a", 20)])
    beacon.prove(watch)
    assert watch.complete == 21


def test_the_beacon_goes_out_when_nobody_is_left() -> None:
    beacon, one, other = Beacon(), _watch(b"a", 10), _watch(b"a", 10)
    beacon.follow(one)
    beacon.follow(other)
    assert not beacon.forget(one)
    assert beacon.forget(other)
    assert beacon.next == 0


class _Home:
    def ended(self, stream: WatchStream, failure: Failure) -> None:
        pass

    def confirmed(self, watch: EtcdWatch) -> None:
        pass

    def refused(self, watch: EtcdWatch, stream: WatchStream, reason: str) -> None:
        raise AssertionError(reason)


class _Member:
    """A connection whose other side is the test."""

    def __init__(self) -> None:
        self.to_stream, self._answers = anyio.create_memory_object_stream[rpc_pb2.WatchResponse](100)
        self.sent: list[rpc_pb2.WatchRequest] = []

    @contextmanager
    def stream(self, _: str) -> Iterator[_Member]:
        with self.to_stream, self._answers:
            yield self

    async def send(self, message: rpc_pb2.WatchRequest) -> None:
        self.sent.append(message)

    async def receive(self) -> rpc_pb2.WatchResponse:
        try:
            return await self._answers.receive()
        except anyio.EndOfStream:
            raise CallFailed(Failure(Fate.UNKNOWN, "closed")) from None

    async def answer(self, watch_id: int, revision: int, *, created: bool = False) -> None:
        header = rpc_pb2.ResponseHeader(revision=revision)
        await self.to_stream.send(rpc_pb2.WatchResponse(header=header, watch_id=watch_id, created=created))
        await anyio.wait_all_tasks_blocked()

    @property
    def progress_requests(self) -> int:
        return sum(message.HasField("progress_request") for message in self.sent)


@pytest.mark.virtual_time
async def test_a_progress_answer_from_before_a_watch_says_nothing_of_it() -> None:
    member = _Member()
    stream = WatchStream(_Home(), cast("Connection", member))
    old, past = _watch(b"a", 10), _watch(b"b", 10, start_revision=5)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(stream.run)
        stream.add(old)
        await member.answer(1, 10, created=True)
        stream.ask_progress()
        stream.ask_progress()
        await anyio.sleep(ASK_AGAIN_SECONDS)
        stream.ask_progress()  # of the two one may have been dropped, and one be under way
        stream.add(past)
        past.want(10)
        await member.answer(2, 10, created=True)
        await member.answer(-1, 10)
        assert past.complete == 4
        assert member.progress_requests == 3, "asked again at once, for this answer was for nobody"
        await member.answer(-1, 10)
        assert past.complete == 4
        await member.answer(-1, 10)
        assert past.complete == 10, "no answer from before the watch is left"
        stream.close()


async def test_a_progress_answer_beyond_the_making_of_a_watch_is_for_it() -> None:
    member = _Member()
    stream = WatchStream(_Home(), cast("Connection", member))
    past = _watch(b"b", 10, start_revision=5)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(stream.run)
        stream.ask_progress()
        stream.add(past)
        await member.answer(-1, 11)
        assert past.complete == 4, "whether the member knows the watch is not known"
        await member.answer(1, 10, created=True)
        await member.answer(-1, 11)
        assert past.complete == 11
        stream.close()


@pytest.mark.parametrize(
    ("answer", "kept"),
    [(answers.TOO_MANY_REQUESTS, True), (answers.PERMISSION_DENIED, True), (answers.TIMEOUT, False)],
)
async def test_a_member_that_has_too_much_to_do_has_answered_and_is_kept(answer: answers.Answer, kept: bool) -> None:
    endpoint = Endpoint("127.0.0.1:1", secure=False)

    class Busy:
        lost = False

        def __init__(self) -> None:
            self.endpoint = endpoint

        async def unary(self, *_: object) -> None:
            raise CallFailed(classify(answer.code, answer.text))

        async def close(self) -> None:
            pass

    connection = Busy()
    connector = Connector((endpoint,), EtcdOptions(), tls=None, username="", password="")
    async with anyio.create_task_group() as tasks:
        connector.start(tasks)
        assert await connector._has_leader(cast("Connection", connection)) is kept
        assert connection.lost is not kept
        tasks.cancel_scope.cancel()
