"""HTTP/2 as the state machine keeps it: calls, windows, limits, and clients that mean no good."""

from __future__ import annotations

import pytest
from hpack import Decoder, Encoder
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestra.store.etcd.rpc import Limits, Refusal
from orchestra.store.etcd.rpc.budget import COSTLESS_FRAMES
from orchestra.store.etcd.rpc.frames import DEFAULT_WINDOW, MAX_WINDOW, PREFACE, UINT32, ErrorCode, Flag, Kind
from orchestra.store.etcd.rpc.streams import framed
from tests.store.http2_client import (
    HEAD,
    HELLO,
    Frame,
    Wire,
    data,
    frame,
    headers,
    parse,
    request,
    reset,
    setting,
    window,
)

SMALL = Limits(max_message_bytes=1_000, max_streams=2, max_held_bytes=1_500)


def code_of(frames: list[Frame]) -> ErrorCode:
    """The error with which the server ended the connection."""
    last = frames[-1]
    assert last.kind is Kind.GOAWAY
    return ErrorCode(UINT32.unpack_from(last.payload, 4)[0])


def test_a_call_is_answered_with_head_message_and_status() -> None:
    wire = Wire()
    assert wire.send(request(1, b"question")) == []
    (stream,) = wire.calls.begun
    assert (stream.request.path, stream.half_closed) == ("/test.Service/Method", True)
    assert stream.take_only_message() == b"question"
    wire.connection.answer(stream, b"answer")
    head, message, status = wire.read()
    assert wire.fields(head.payload) == {":status": "200", "content-type": "application/grpc"}
    assert (message.kind, message.payload) == (Kind.DATA, framed(b"answer"))
    assert (wire.fields(status.payload), status.flags & Flag.END_STREAM) == ({"grpc-status": "0"}, Flag.END_STREAM)


@pytest.mark.parametrize("size", [1, 2, 7, 9, 10, 50])
def test_it_makes_no_difference_how_the_bytes_are_cut(size: int) -> None:
    encoder = Encoder()
    sent = HELLO + b"".join(
        headers(number, encoder=encoder) + data(number, framed(b"m%d" % number)) for number in (1, 3, 5)
    )
    wire = Wire(greet=False)
    for place in range(0, len(sent), size):
        wire.send(sent[place : place + size])
    assert [stream.take_only_message() for stream in wire.calls.begun] == [b"m1", b"m3", b"m5"]


def test_heads_are_understood_however_they_are_compressed() -> None:
    wire, encoder = Wire(), Encoder()
    fields = [*HEAD, ("token", "first")]
    for number, value in enumerate(["first", "first", "second", "first", "first", "second", "second"]):
        fields[-1] = ("token", value)
        wire.send(headers(2 * number + 1, fields, encoder=encoder))
        assert wire.calls.begun[-1].request.metadata["token"] == value


def test_headers_may_be_padded_prioritized_and_continued() -> None:
    block = Encoder().encode(list(HEAD))
    padded = bytes((3,)) + bytes(5) + block[:4] + bytes(3)
    wire = Wire()
    wire.send(frame(Kind.HEADERS, Flag.PADDED | Flag.PRIORITY, 1, padded))
    wire.send(frame(Kind.CONTINUATION, 0, 1, block[4:9]), frame(Kind.CONTINUATION, Flag.END_HEADERS, 1, block[9:]))
    body = framed(b"x")
    wire.send(frame(Kind.DATA, Flag.PADDED | Flag.END_STREAM, 1, bytes((2,)) + body + bytes(2)))
    assert wire.calls.begun[0].take_only_message() == b"x"


def test_pings_and_settings_are_answered_and_unknown_frames_ignored() -> None:
    wire = Wire()
    answered = wire.send(frame(Kind.PING, 0, 0, b"12345678"), setting(99, 1), frame(0x77, 0, 5, b"?"))
    assert [(one.kind, one.flags, one.payload) for one in answered] == [
        (Kind.PING, Flag.ACK, b"12345678"),
        (Kind.SETTINGS, Flag.ACK, b""),
    ]
    assert wire.send(frame(Kind.PING, Flag.ACK, 0, b"12345678"), frame(Kind.PRIORITY, 0, 3, bytes(5))) == []


def test_an_answer_goes_out_as_far_as_the_windows_allow() -> None:
    wire = Wire()
    wire.send(setting(4, 10), request(1), request(3))
    one, other = wire.calls.begun
    wire.connection.answer(one, bytes(95))
    assert [len(sent.payload) for sent in wire.read() if sent.kind is Kind.DATA] == [10]
    # A new initial window moves that of the call too, also below zero.
    assert wire.send(setting(4, 4)) == parse(frame(Kind.SETTINGS, Flag.ACK, 0))
    assert wire.send(window(1, 6)) == []
    assert [len(sent.payload) for sent in wire.send(window(1, 20))] == [20]
    wire.connection.answer(other, b"")
    assert [len(sent.payload) for sent in wire.read() if sent.kind is Kind.DATA] == [4]
    last = wire.send(window(1, 1_000))
    assert [len(sent.payload) for sent in last][:1] == [70]
    assert last[-1].flags & Flag.END_STREAM
    assert 1 not in wire.connection.streams


def test_the_connections_window_is_shared_in_turns() -> None:
    wire = Wire()
    wire.send(setting(4, MAX_WINDOW), request(1), request(3))
    for stream in wire.calls.begun:
        wire.connection.answer(stream, bytes(DEFAULT_WINDOW))
    sent = [one for one in wire.read() if one.kind is Kind.DATA]
    assert sum(len(one.payload) for one in sent) == DEFAULT_WINDOW
    assert [one.stream_id for one in sent] == [1, 3, 1, 3]
    assert wire.connection.sender.waiting_bytes == DEFAULT_WINDOW + 10
    rest = wire.send(window(0, DEFAULT_WINDOW * 2))
    assert [one.stream_id for one in rest if one.flags & Flag.END_STREAM and one.kind is Kind.HEADERS] == [1, 3]
    assert wire.connection.sender.waiting_bytes == 0


def test_nothing_of_answers_goes_out_while_the_socket_takes_no_more() -> None:
    wire = Wire()
    wire.send(request(1))
    wire.connection.sender.paused = True
    wire.connection.answer(wire.calls.begun[0], b"answer")
    assert wire.read() == []
    wire.connection.sender.paused = False
    assert [sent.kind for sent in wire.read()] == [Kind.HEADERS, Kind.DATA, Kind.HEADERS]


def test_a_call_that_goes_on_may_send_more_than_its_window_at_first() -> None:
    wire = Wire(SMALL)
    wire.send(headers(1))
    (stream,) = wire.calls.begun
    room, updates = stream.receive_window, []
    for _ in range(1_000):
        updates += wire.send(data(1, framed(bytes(900)), end=False))
        assert wire.connection.take_message(stream) == bytes(900)
        updates += wire.read()
    opened = sum(update.number for update in updates if update.stream_id == 1)
    assert 1_000 * 905 - opened < room
    assert stream.held_bytes == 0


def test_a_message_larger_than_the_limit_is_refused_before_it_has_come() -> None:
    wire = Wire(SMALL)
    answered = wire.send(headers(1), data(1, framed(bytes(1_001))[:100], end=False))
    assert wire.fields(answered[0].payload)["grpc-status"] == "8"
    assert "larger than max (1001 vs. 1000)" in wire.fields(answered[0].payload)["grpc-message"]
    assert (answered[1].kind, answered[1].number) == (Kind.RST_STREAM, ErrorCode.NO_ERROR)
    # What was under way is taken and forgotten.
    assert wire.send(data(1, bytes(800))) == []


def test_a_compressed_message_and_one_message_too_few_or_too_many_are_refused() -> None:
    wire = Wire()
    answered = wire.send(headers(1), data(1, b"\x01" + framed(b"x")[1:]))
    assert wire.fields(answered[0].payload)["grpc-status"] == "12"
    wire.send(headers(3, flags=Flag.END_HEADERS | Flag.END_STREAM))
    wire.send(headers(5), data(5, framed(b"a") + framed(b"b")))
    wire.send(headers(7), data(7, framed(b"a")[:-1]))
    for stream in wire.calls.begun[1:]:
        with pytest.raises(Refusal):
            stream.take_only_message()


def test_what_is_no_call_is_told_so_in_http() -> None:
    wire = Wire()
    get = [(name, "GET" if name == ":method" else value) for name, value in HEAD]
    html = [(name, "text/html" if name == "content-type" else value) for name, value in HEAD]
    nowhere = [field for field in HEAD if field[0] != ":path"]
    late = [*HEAD, (":path", "/again")]
    answers = wire.send(headers(1, get), headers(3, html), headers(5, nowhere), headers(7, late))
    assert [wire.fields(answer.payload)[":status"] for answer in answers] == ["405", "415", "400", "400"]
    assert wire.calls.begun == []


def test_more_calls_than_allowed_are_refused_so_that_clients_try_again() -> None:
    wire = Wire(SMALL)
    refused = wire.send(request(1), request(3), request(5))
    assert [(one.kind, one.stream_id, one.number) for one in refused] == [
        (Kind.RST_STREAM, 5, ErrorCode.REFUSED_STREAM)
    ]
    # One that was reset counts for as long as somebody works on it.
    first = wire.calls.begun[0]
    first.is_running = True
    assert wire.send(reset(1), request(7))[0].number == ErrorCode.REFUSED_STREAM
    wire.connection.done(first)
    assert wire.send(request(9)) == []


def test_an_answer_to_a_call_that_was_reset_is_dropped() -> None:
    wire = Wire()
    wire.send(request(1), reset(1))
    assert wire.calls.given_up == [1]
    wire.connection.answer(wire.calls.begun[0], b"too late")
    wire.connection.refuse(wire.calls.begun[0], Refusal("INTERNAL", "too late"))
    assert wire.read() == []


def test_a_stopping_server_finishes_what_it_has_and_takes_no_more() -> None:
    wire = Wire()
    wire.send(request(1))
    wire.connection.leave()
    (goodbye,) = wire.read()
    assert (goodbye.kind, UINT32.unpack_from(goodbye.payload)[0]) == (Kind.GOAWAY, 1)
    assert wire.send(request(3))[0].number == ErrorCode.REFUSED_STREAM
    wire.connection.answer(wire.calls.begun[0], b"")
    assert len(wire.read()) == 3


HOSTILE = {
    "another protocol": (b"GET / HTTP/1.1\r\n\r\n", ErrorCode.PROTOCOL_ERROR),
    "no settings first": (PREFACE + frame(Kind.PING, 0, 0, bytes(8)), ErrorCode.PROTOCOL_ERROR),
    "a large frame": (HELLO + frame(Kind.DATA, 0, 1, bytes(16_385)), ErrorCode.FRAME_SIZE_ERROR),
    "data of nothing": (HELLO + data(0, b"x"), ErrorCode.PROTOCOL_ERROR),
    "data of no call": (HELLO + data(1, b"x"), ErrorCode.PROTOCOL_ERROR),
    "the server's number": (HELLO + headers(2), ErrorCode.PROTOCOL_ERROR),
    "headers of nothing": (HELLO + headers(0), ErrorCode.PROTOCOL_ERROR),
    "an undecodable head": (HELLO + frame(Kind.HEADERS, 4, 1, b"\xff\xff\xff\xff\xff"), ErrorCode.COMPRESSION_ERROR),
    "a head without its priority": (HELLO + frame(Kind.HEADERS, 0x24, 1, b"\x00"), ErrorCode.FRAME_SIZE_ERROR),
    "a huge head": (
        HELLO + headers(1, [*HEAD, ("x", "y" * 200), *[("x", "y" * 200)] * 200]),
        ErrorCode.COMPRESSION_ERROR,
    ),
    "endless headers": (
        HELLO + frame(Kind.HEADERS, 0, 1) + frame(Kind.CONTINUATION, 0, 1, b"") * 100,
        ErrorCode.ENHANCE_YOUR_CALM,
    ),
    "a frame between headers": (HELLO + frame(Kind.HEADERS, 0, 1) + request(1), ErrorCode.PROTOCOL_ERROR),
    "a continuation of another": (
        HELLO + frame(Kind.HEADERS, 0, 1) + frame(Kind.CONTINUATION, 4, 3),
        ErrorCode.PROTOCOL_ERROR,
    ),
    "a continuation of nothing": (HELLO + frame(Kind.CONTINUATION, 4, 1), ErrorCode.PROTOCOL_ERROR),
    "headers within a call": (HELLO + headers(1) + headers(1), ErrorCode.PROTOCOL_ERROR),
    "data after the end": (HELLO + request(1) + data(1, b"x"), ErrorCode.STREAM_CLOSED),
    "more padding than data": (HELLO + headers(1) + frame(Kind.DATA, 8, 1, b"\x05xx"), ErrorCode.PROTOCOL_ERROR),
    "padding of nothing": (HELLO + headers(1) + frame(Kind.DATA, 8, 1, b""), ErrorCode.PROTOCOL_ERROR),
    "a window opened by nothing": (HELLO + window(0, 0), ErrorCode.PROTOCOL_ERROR),
    "a window too large": (HELLO + window(0, MAX_WINDOW), ErrorCode.FLOW_CONTROL_ERROR),
    "a call's window too large": (HELLO + request(1) + window(1, MAX_WINDOW), ErrorCode.FLOW_CONTROL_ERROR),
    "a window by settings too large": (
        HELLO + request(1) + window(1, 1_000) + setting(4, MAX_WINDOW),
        ErrorCode.FLOW_CONTROL_ERROR,
    ),
    "a window that cannot be": (HELLO + setting(4, MAX_WINDOW + 1), ErrorCode.FLOW_CONTROL_ERROR),
    "a window of no call": (HELLO + window(1, 5), ErrorCode.PROTOCOL_ERROR),
    "half a window": (HELLO + frame(Kind.WINDOW_UPDATE, 0, 0, b"12"), ErrorCode.FRAME_SIZE_ERROR),
    "frames that cannot be": (HELLO + setting(5, 1), ErrorCode.PROTOCOL_ERROR),
    "half a setting": (HELLO + frame(Kind.SETTINGS, 0, 0, b"1234567"), ErrorCode.FRAME_SIZE_ERROR),
    "settings of a call": (HELLO + frame(Kind.SETTINGS, 0, 1), ErrorCode.PROTOCOL_ERROR),
    "half a ping": (HELLO + frame(Kind.PING, 0, 0, b"1234"), ErrorCode.FRAME_SIZE_ERROR),
    "a ping of a call": (HELLO + frame(Kind.PING, 0, 1, bytes(8)), ErrorCode.FRAME_SIZE_ERROR),
    "a promise": (HELLO + frame(Kind.PUSH_PROMISE, 4, 1, bytes(4)), ErrorCode.PROTOCOL_ERROR),
    "half a reset": (HELLO + request(1) + frame(Kind.RST_STREAM, 0, 1, b"12"), ErrorCode.FRAME_SIZE_ERROR),
    "a reset of no call": (HELLO + reset(1), ErrorCode.PROTOCOL_ERROR),
    "more than the window of a call": (
        HELLO + headers(1) + data(1, framed(bytes(2 * 1024 * 1024))[:16_384], end=False) * 150,
        ErrorCode.FLOW_CONTROL_ERROR,
    ),
    "many pings": (HELLO + frame(Kind.PING, 0, 0, bytes(8)) * (COSTLESS_FRAMES + 1), ErrorCode.ENHANCE_YOUR_CALM),
    "many settings": (HELLO + frame(Kind.SETTINGS, 0, 0) * (COSTLESS_FRAMES + 1), ErrorCode.ENHANCE_YOUR_CALM),
    "much of nothing": (
        HELLO + headers(1) + data(1, b"", end=False) * (COSTLESS_FRAMES + 1),
        ErrorCode.ENHANCE_YOUR_CALM,
    ),
    "many unknown frames": (HELLO + frame(0x77, 0, 0) * (COSTLESS_FRAMES + 1), ErrorCode.ENHANCE_YOUR_CALM),
    "rapid resets": (
        HELLO + b"".join(headers(number) + reset(number) for number in range(1, 2 * COSTLESS_FRAMES + 5, 2)),
        ErrorCode.ENHANCE_YOUR_CALM,
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_client_that_breaks_the_protocol_is_cut_off(name: str) -> None:
    sent, code = HOSTILE[name]
    wire = Wire(greet=False)
    assert code_of(wire.send(sent)) == code
    assert wire.connection.failed
    assert wire.connection.streams == {}
    assert sorted(wire.calls.given_up) == sorted({stream.id for stream in wire.calls.begun})
    assert wire.send(request(101)) == []


FRAMES = st.tuples(st.integers(0, 12), st.integers(0, 255), st.integers(0, 9), st.binary(max_size=40))


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 12), st.integers(0, 255), st.integers(0, 9), st.binary(max_size=40)), max_size=30)
)
def test_no_frames_make_it_fail_but_in_order(frames: list[tuple[int, int, int, bytes]]) -> None:
    wire = Wire()
    for kind, flags, stream_id, payload in frames:
        answered = wire.send(frame(kind, flags, stream_id, payload))
        for stream in wire.calls.begun:
            wire.connection.take_message(stream)
        if wire.connection.failed:
            code_of(answered)
            break
    open_streams = [stream for stream in wire.calls.begun if stream.is_open]
    assert open_streams == list(wire.connection.streams.values())


def test_a_client_that_changes_its_table_is_told_that_none_of_it_is_used() -> None:
    wire = Wire()
    decoder = Decoder()
    decoder.max_allowed_table_size = 0
    wire.send(setting(1, 0), request(1), request(3))
    for stream in wire.calls.begun:
        wire.connection.answer(stream, b"answer")
    blocks = [sent.payload for sent in wire.read() if sent.kind is Kind.HEADERS]
    assert [decoder.decode(block)[-1][0] for block in blocks] == ["content-type", "grpc-status"] * 2
    assert [block[:1] == b"\x20" for block in blocks] == [True, False, False, False]
