"""What a connection bears of a client: what it holds, what it sends, and what costs the client nothing."""

from __future__ import annotations

from collections.abc import Iterator

import attrs
from hpack import Encoder

from orchestra.store.etcd.rpc import Limits, Refusal
from orchestra.store.etcd.rpc.budget import COSTLESS_FRAMES
from orchestra.store.etcd.rpc.frames import Flag, Kind
from orchestra.store.etcd.rpc.interface import BUSY
from orchestra.store.etcd.rpc.streams import Stream, framed
from tests.store.http2_client import HEAD, Wire, data, frame, headers, request, reset, setting, window

SMALL = Limits(max_message_bytes=1_000, max_streams=9, max_held_bytes=1_500)


def test_a_client_that_is_owed_too_much_is_told_to_wait() -> None:
    wire = Wire(SMALL)
    wire.send(setting(4, 0))
    for number in (1, 3):
        wire.send(request(number))
        # One answer of any size is borne, and calls that are small go on beside it.
        wire.connection.answer(wire.calls.begun[-1], bytes(5_000))
    answered = wire.send(request(5))
    assert wire.fields(answered[-1].payload) == {
        ":status": "200",
        "content-type": "application/grpc",
        "grpc-status": "8",
        "grpc-message": BUSY.text,
    }
    wire.send(reset(1))
    assert wire.send(request(7)) == []


def test_a_call_that_goes_on_is_not_ended_by_the_answers_to_others() -> None:
    wire = Wire(SMALL)
    wire.send(headers(1))
    wire.connection.send(wire.calls.begun[0], b"begun")
    wire.read()
    wire.send(setting(4, 0))
    for number in (3, 5):
        wire.send(request(number))
        wire.connection.answer(wire.calls.begun[-1], bytes(5_000))
    assert wire.send(data(1, framed(b"more"), end=False)) == []
    assert wire.calls.given_up == []


def test_requests_that_are_not_answered_are_bounded() -> None:
    wire = Wire(SMALL)
    assert wire.send(request(1, bytes(900))) == []
    refused = wire.send(request(3, bytes(900)))
    assert wire.fields(refused[-1].payload)["grpc-message"] == BUSY.text


def test_a_client_that_asks_on_and_takes_nothing_is_cut_off() -> None:
    wire = Wire(attrs.evolve(SMALL, max_held_bytes=100_000))
    wire.connection.sender.paused = True
    encoder, sent = Encoder(), 0
    for number in range(1, 100_001, 2):
        sent += len(asked := headers(number, [*HEAD[:2], (":path", "/" + 1_000 * "\x01"), *HEAD[3:]], encoder=encoder))
        wire.connection.receive(asked, wire.now)
        if wire.connection.failed:
            break
        wire.connection.refuse(wire.calls.begun[-1], Refusal("UNIMPLEMENTED", wire.calls.begun[-1].request.path))
    assert wire.connection.failed
    assert sent < wire.connection.sender.ready_bytes < 110_000


def test_large_answers_that_are_on_their_way_are_no_reason_to_cut_a_client_off() -> None:
    wire = Wire(SMALL)
    wire.send(setting(5, 1_000_000), setting(4, 1_000_000), window(0, 1_000_000), request(1))
    wire.connection.answer(wire.calls.begun[0], bytes(100_000))
    assert wire.connection.sender.ready_bytes > 100_000
    wire.connection.receive(request(3), wire.now)
    assert not wire.connection.failed
    assert len(wire.calls.begun) == 2


def test_settings_that_say_the_same_thing_thousands_of_times_move_the_windows_once() -> None:
    wire = Wire()
    wire.send(*(headers(number) for number in range(1, 101, 2)))
    moved: list[int] = []

    class Watched(list[Stream]):
        def __iter__(self) -> Iterator[Stream]:
            moved.append(len(self))
            return super().__iter__()

    streams = Watched(wire.calls.begun)
    wire.connection.sender.apply([(4, 1_000 + number % 2) for number in range(2_730)], streams)
    assert moved == [50]
    assert {stream.send_window for stream in streams} == {1_001}


def test_a_large_answer_can_be_taken_through_a_small_window() -> None:
    wire = Wire()
    wire.send(request(1))
    size = COSTLESS_FRAMES * 16_384
    wire.connection.answer(wire.calls.begun[0], bytes(size - 5))
    found = wire.read()
    while got := [len(one.payload) for one in found if one.kind is Kind.DATA]:
        size -= sum(got)
        found = wire.send(*(opened for taken in got for opened in (window(0, taken), window(1, taken))))
    assert size == 0


def test_the_budget_fills_up_with_time_and_with_answers() -> None:
    wire = Wire()
    for _ in range(15):
        wire.send(frame(Kind.PING, Flag.ACK, 0, bytes(8)) * 900)
        wire.now += 1
    for number in range(1, COSTLESS_FRAMES, 2):
        wire.send(request(number), frame(Kind.PING, 0, 0, bytes(8)) * 3)
        wire.connection.answer(wire.calls.begun[-1], b"")
    assert not wire.connection.failed
