"""One connection of a client, as a state machine: bytes in, calls and bytes out (RFC 9113). Pure.

What a client may ask for is bounded twice: by windows and sizes as the protocol has them, and, for what costs the
client nothing, by a `Budget`.
"""

from __future__ import annotations

from typing import Final

from orchestra.store.etcd.rpc import frames
from orchestra.store.etcd.rpc.budget import Budget
from orchestra.store.etcd.rpc.frames import (
    DEFAULT_WINDOW,
    FRAME_HEAD_BYTES,
    MAX_FRAME_BYTES,
    MAX_WINDOW,
    PREFACE,
    UINT32,
    ConnectionFailed,
    ErrorCode,
    Flag,
    Kind,
    Setting,
)
from orchestra.store.etcd.rpc.headers import MAX_HEADER_BYTES, HeadDecoder, MalformedHead, http_status, trailers
from orchestra.store.etcd.rpc.interface import BUSY, Limits, Refusal
from orchestra.store.etcd.rpc.sending import Sender
from orchestra.store.etcd.rpc.streams import MESSAGE_HEAD_BYTES, Calls, Stream

CONNECTION_WINDOW_BYTES: Final = 16 * 1024 * 1024
"""What a client may send of all calls before it hears that it was received."""

SPARE_WINDOW_BYTES: Final = 2 * DEFAULT_WINDOW
"""What it may send of one call beyond a message of the largest size; told again when half of it is used up."""


class Connection:
    """The state of one connection. What is to be written is `sender.take`n after each call of a method."""

    def __init__(self, calls: Calls, limits: Limits, now: float, busy: Refusal = BUSY) -> None:
        self.sender = Sender()
        self.streams: dict[int, Stream] = {}
        self.failed = False
        """Whether the client broke the protocol; what is ready is to be written and the connection closed."""
        self.greeted = False
        """Whether the client has begun to speak HTTP/2."""
        self.last_received = now
        self._calls = calls
        self._limits = limits
        self._busy = busy
        self._heads = HeadDecoder()
        self._last_id = 0
        self._leaving = False
        self._in_progress = 0
        """Calls that are open, or that somebody still works on."""
        self._held_bytes = 0
        self._budget = Budget(now)
        self._rest = b""
        self._window = CONNECTION_WINDOW_BYTES
        self._unreported = 0
        self._stream_window = limits.max_message_bytes + SPARE_WINDOW_BYTES
        """A whole request fits into the window of its call: only calls that go on need more of it."""
        self._block: list[bytes] = []
        self._block_id = 0
        """The call whose headers have begun and not ended, 0: none."""
        self._block_flags = 0
        self._handlers = {
            Kind.DATA: self._data,
            Kind.HEADERS: self._headers,
            Kind.PRIORITY: self._ignore,
            Kind.RST_STREAM: self._rst_stream,
            Kind.SETTINGS: self._settings,
            Kind.PUSH_PROMISE: self._push_promise,
            Kind.PING: self._ping,
            Kind.GOAWAY: self._ignore,
            Kind.WINDOW_UPDATE: self._window_update,
            Kind.CONTINUATION: self._continuation,
        }
        self.sender.control(
            frames.settings(
                {
                    Setting.MAX_CONCURRENT_STREAMS: limits.max_streams,
                    Setting.INITIAL_WINDOW_SIZE: self._stream_window,
                    Setting.MAX_HEADER_LIST_SIZE: MAX_HEADER_BYTES,
                }
            )
        )
        self.sender.control(frames.window_update(0, CONNECTION_WINDOW_BYTES - DEFAULT_WINDOW))

    # What comes

    def receive(self, data: bytes, now: float) -> None:
        """Take bytes from the client."""
        if self.failed:
            return
        self.last_received = now
        try:
            self._parse(self._rest + data if self._rest else data)
        except ConnectionFailed as error:
            self.failed = True
            self.sender.control(frames.goaway(self._last_id, error.code, str(error)))
            self.lose()

    def _parse(self, data: bytes) -> None:
        place, size = 0, len(data)
        if not self.greeted:
            if not data.startswith(PREFACE[:size]):
                raise ConnectionFailed(ErrorCode.PROTOCOL_ERROR, "HTTP/2 was expected")
            if size < len(PREFACE) + FRAME_HEAD_BYTES:
                self._rest = data
                return
            place = len(PREFACE)
            if data[place + 3] != Kind.SETTINGS:
                raise ConnectionFailed(ErrorCode.PROTOCOL_ERROR, "the first frame has to be SETTINGS")
            self.greeted = True
        handlers = self._handlers
        while size - place >= FRAME_HEAD_BYTES and not self.failed:
            head = UINT32.unpack_from(data, place)[0]
            length, kind = head >> 8, head & 0xFF
            if length > MAX_FRAME_BYTES:
                raise ConnectionFailed(ErrorCode.FRAME_SIZE_ERROR, "a frame larger than was agreed")
            start = place + FRAME_HEAD_BYTES
            end = start + length
            if end > size:
                break
            if self._block_id and kind != Kind.CONTINUATION:
                raise ConnectionFailed(ErrorCode.PROTOCOL_ERROR, "a frame between the headers of a call")
            handler = handlers.get(kind)
            if handler is None:
                self._pay()
            else:
                handler(data[place + 4], UINT32.unpack_from(data, place + 5)[0] & MAX_WINDOW, data[start:end])
            place = end
        self._rest = data[place:]

    def _data(self, flags: int, stream_id: int, payload: bytes) -> None:
        size = len(payload)
        self._window -= size
        if self._window < 0:
            raise ConnectionFailed(ErrorCode.FLOW_CONTROL_ERROR, "more data than the window of the connection")
        self._unreported += size
        if self._unreported * 2 >= CONNECTION_WINDOW_BYTES:
            self.sender.control(frames.window_update(0, self._unreported))
            self._window += self._unreported
            self._unreported = 0
        stream = self.streams.get(stream_id)
        if stream is None:
            # The call was answered or refused before all of it had come.
            self._check_known(stream_id)
            return
        if stream.half_closed:
            raise ConnectionFailed(ErrorCode.STREAM_CLOSED, "data after the end of a call")
        stream.receive_window -= size
        if stream.receive_window < 0:
            raise ConnectionFailed(ErrorCode.FLOW_CONTROL_ERROR, "more data than the window of its call")
        if flags & Flag.PADDED:
            payload = frames.without_padding(flags, payload)
            self._widen(stream, size - len(payload))
        if flags & Flag.END_STREAM:
            stream.half_closed = True
        elif not payload:
            self._pay()
        if payload:
            stream.append(payload)
            stream.held_bytes += len(payload)
            self._held_bytes += len(payload)
        self._deliver(stream)

    def _deliver(self, stream: Stream) -> None:
        refusal = stream.wrong_size(self._limits.max_message_bytes) or self._too_much(stream)
        if refusal is None:
            self._calls.received(stream)
        else:
            self._calls.reset(stream)
            self.refuse(stream, refusal)

    def _too_much(self, stream: Stream) -> Refusal | None:
        """Return how to refuse a call because too much is held already; calls that were answered once go on."""
        most = self._limits.max_held_bytes
        return self._busy if self._held_bytes > most or (not stream.head_sent and self.sender.owes(most)) else None

    def _pay(self) -> None:
        """Count a frame that cost the client nothing, and cut off one that takes nothing of what it asks for."""
        self._budget.pay(self.last_received)
        self._check_taken()

    def _check_taken(self) -> None:
        # While the socket takes what comes, answers that go with the next turn of the loop may be larger.
        if self.sender.paused and self.sender.ready_bytes > self._limits.max_held_bytes:
            raise ConnectionFailed(ErrorCode.ENHANCE_YOUR_CALM, "nothing of what is sent is taken")

    def _check_known(self, stream_id: int) -> None:
        """Take a frame of a call that is over; one that never was is an error."""
        if not stream_id & 1 or stream_id > self._last_id:
            raise ConnectionFailed(ErrorCode.PROTOCOL_ERROR, "a frame of a call that never began")
        self._pay()

    def _headers(self, flags: int, stream_id: int, payload: bytes) -> None:
        payload = frames.without_padding(flags, payload)
        if flags & Flag.PRIORITY:
            if len(payload) < 5:
                raise ConnectionFailed(ErrorCode.FRAME_SIZE_ERROR, "headers without their priority")
            payload = payload[5:]
        if flags & Flag.END_HEADERS:
            self._head(flags, stream_id, payload)
        else:
            self._block_id, self._block_flags, self._block = stream_id, flags, [payload]

    def _continuation(self, flags: int, stream_id: int, payload: bytes) -> None:
        if not self._block_id or stream_id != self._block_id:
            raise ConnectionFailed(ErrorCode.PROTOCOL_ERROR, "a continuation of nothing")
        self._pay()
        self._block.append(payload)
        if sum(map(len, self._block)) > MAX_HEADER_BYTES or len(self._block) > MAX_HEADER_BYTES // 1024:
            raise ConnectionFailed(ErrorCode.ENHANCE_YOUR_CALM, "headers larger than was agreed")
        if flags & Flag.END_HEADERS:
            self._block_id = 0
            self._head(self._block_flags, stream_id, b"".join(self._block))

    def _head(self, flags: int, stream_id: int, block: bytes) -> None:
        """Take a whole header block: the beginning of a call, or what a client says at its end."""
        stream = self.streams.get(stream_id)
        if stream is not None or stream_id <= self._last_id:
            self._heads.fields(block)
            if stream is None:
                self._check_known(stream_id)
                return
            if stream.half_closed or not flags & Flag.END_STREAM:
                raise ConnectionFailed(ErrorCode.PROTOCOL_ERROR, "headers in the middle of a call")
            stream.half_closed = True
            self._deliver(stream)
            return
        if not stream_id & 1:
            raise ConnectionFailed(ErrorCode.PROTOCOL_ERROR, "a call with a number that is not the client's")
        self._check_taken()
        self._last_id = stream_id
        try:
            request = self._heads.decode(block)
        except MalformedHead as error:
            self._pay()
            end = Flag.END_HEADERS | Flag.END_STREAM
            answer = http_status(error.status)
            self.sender.control(frames.frame_head(len(answer), Kind.HEADERS, end, stream_id) + answer)
            return
        if self._leaving or self._in_progress >= self._limits.max_streams:
            self._pay()
            self.sender.control(frames.rst_stream(stream_id, ErrorCode.REFUSED_STREAM))
            return
        stream = Stream(stream_id, request, self._stream_window, self.sender.initial_window)
        self.streams[stream_id] = stream
        self._in_progress += 1
        self._calls.opened(stream)
        if not stream.is_open:
            self._pay()
        elif flags & Flag.END_STREAM:
            stream.half_closed = True
            self._deliver(stream)

    def _rst_stream(self, _flags: int, stream_id: int, payload: bytes) -> None:
        if len(payload) != 4:
            raise ConnectionFailed(ErrorCode.FRAME_SIZE_ERROR, "a RST_STREAM frame of a wrong size")
        self._check_known(stream_id)
        stream = self.streams.get(stream_id)
        if stream is not None:
            self._close(stream)
            self._calls.reset(stream)

    def _settings(self, flags: int, stream_id: int, payload: bytes) -> None:
        if stream_id:
            raise ConnectionFailed(ErrorCode.PROTOCOL_ERROR, "settings of a call")
        self._pay()
        if flags & Flag.ACK:
            return
        self.sender.apply(frames.parse_settings(payload), self.streams.values())
        self.sender.control(frames.SETTINGS_ACK)

    def _ping(self, flags: int, stream_id: int, payload: bytes) -> None:
        if stream_id or len(payload) != 8:
            raise ConnectionFailed(ErrorCode.FRAME_SIZE_ERROR, "a PING frame of a wrong form")
        self._pay()
        if not flags & Flag.ACK:
            self.sender.control(frames.ping(payload, ack=True))

    def _window_update(self, _flags: int, stream_id: int, payload: bytes) -> None:
        if len(payload) != 4:
            raise ConnectionFailed(ErrorCode.FRAME_SIZE_ERROR, "a WINDOW_UPDATE frame of a wrong size")
        increment = UINT32.unpack(payload)[0] & MAX_WINDOW
        if not increment:
            raise ConnectionFailed(ErrorCode.PROTOCOL_ERROR, "a window opened by nothing")
        self._pay()
        if not stream_id:
            self.sender.open_window(increment)
            return
        stream = self.streams.get(stream_id)
        if stream is None:
            self._check_known(stream_id)
            return
        stream.send_window += increment
        if stream.send_window > MAX_WINDOW:
            raise ConnectionFailed(ErrorCode.FLOW_CONTROL_ERROR, "a window larger than any may be")

    def _ignore(self, _flags: int, _stream_id: int, _payload: bytes) -> None:
        self._pay()

    def _push_promise(self, _flags: int, _stream_id: int, _payload: bytes) -> None:
        raise ConnectionFailed(ErrorCode.PROTOCOL_ERROR, "a client cannot promise")

    # What goes

    def take_message(self, stream: Stream) -> bytes | None:
        """Take the next message of a call that goes on; the client may send as much again."""
        message = stream.take_message()
        if message is not None:
            size = len(message) + MESSAGE_HEAD_BYTES
            stream.held_bytes -= size
            self._held_bytes -= size
            if stream.is_open:
                self._widen(stream, size)
        return message

    def _widen(self, stream: Stream, size: int) -> None:
        stream.unreported_bytes += size
        if stream.unreported_bytes * 2 >= SPARE_WINDOW_BYTES and not stream.half_closed:
            self.sender.control(frames.window_update(stream.id, stream.unreported_bytes))
            stream.receive_window += stream.unreported_bytes
            stream.unreported_bytes = 0

    def answer(self, stream: Stream, message: bytes) -> None:
        """Answer a call that has one answer."""
        self._budget.earn()
        if stream.is_open and self.sender.answer(stream, message):
            self._close(stream)

    def send(self, stream: Stream, message: bytes) -> None:
        """Send a message of a stream of them."""
        if stream.is_open and stream.trailers is None:
            self.sender.queue(stream, message)

    def refuse(self, stream: Stream, refusal: Refusal) -> None:
        """End a call with a status; messages that were sent before arrive before it."""
        if (
            stream.is_open
            and stream.trailers is None
            and self.sender.finish(stream, trailers(refusal.code, refusal.text))
        ):
            self._close(stream)

    def take(self, sent: list[Stream]) -> bytes:
        """Return what can be written now; calls that have come to send something are added to `sent`."""
        data = self.sender.take(sent)
        self._budget.sent(len(data))
        for stream in sent:
            if stream.is_open and stream.trailers is not None and not stream.outbox:
                self._close(stream)
        return data

    def done(self, stream: Stream) -> None:
        """Nobody works on the call any more."""
        stream.is_running = False
        self._settle(stream)

    def _close(self, stream: Stream) -> None:
        """Forget a call that is over."""
        del self.streams[stream.id]
        stream.is_open = False
        self.sender.drop(stream)
        self._settle(stream)

    def _settle(self, stream: Stream) -> None:
        if not stream.is_open and not stream.is_running:
            self._in_progress -= 1
            self._held_bytes -= stream.held_bytes
            stream.held_bytes = 0

    def leave(self) -> None:
        """Tell the client that no further calls are taken here."""
        if not self._leaving and not self.failed:
            self._leaving = True
            self.sender.control(frames.goaway(self._last_id, ErrorCode.NO_ERROR, "the server stops"))

    def ping(self) -> None:
        """Ask for a sign of life."""
        self.sender.control(frames.ping(b"orchestr", ack=False))

    def lose(self) -> None:
        """End every call: the client is gone."""
        for stream in list(self.streams.values()):
            self._close(stream)
            self._calls.reset(stream)
