"""What goes out on a connection, as far as the client's windows allow (RFC 9113, section 5.2). Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

from orchestra.store.etcd.rpc.frames import (
    DEFAULT_WINDOW,
    MAX_FRAME_BYTES,
    MAX_WINDOW,
    UINT32,
    ConnectionFailed,
    ErrorCode,
    Flag,
    Kind,
    Setting,
    frame_head,
    rst_stream,
)
from orchestra.store.etcd.rpc.headers import ANSWER_HEAD, TRAILERS_OK
from orchestra.store.etcd.rpc.streams import MESSAGE_HEAD_BYTES, Stream, framed

TAKE_BYTES: Final = 256 * 1024
"""About as many bytes are handed to the socket at a time."""

_HEAD_OF_HEAD = frame_head(len(ANSWER_HEAD), Kind.HEADERS, Flag.END_HEADERS, 0)[:5]
_HEAD_OF_TRAILERS_OK = frame_head(len(TRAILERS_OK), Kind.HEADERS, Flag.END_HEADERS | Flag.END_STREAM, 0)[:5]


class Sender:
    """The sending half of a connection."""

    def __init__(self) -> None:
        self.window = DEFAULT_WINDOW
        self.initial_window = DEFAULT_WINDOW
        self.max_frame_bytes = MAX_FRAME_BYTES
        self.paused = False
        """Whether the socket takes no more for now."""
        self.waiting_bytes = 0
        """Bytes of answers that have not gone out."""
        self.ready_bytes = 0
        """Bytes of frames that can go as soon as the socket takes them."""
        self._prefix = b""
        """What the next header block has to begin with."""
        self._ready: list[bytes] = []
        """Frames in the order in which they go."""
        self._waiting: dict[Stream, None] = {}
        """Calls with an answer, or a part of one, that has not gone out; each in its turn."""

    def control(self, frame: bytes) -> None:
        """Send a frame to which no window applies."""
        self._put(frame)

    def _put(self, data: bytes) -> None:
        self._ready.append(data)
        self.ready_bytes += len(data)

    def answer(self, stream: Stream, message: bytes) -> bool:
        """Send the whole answer of a call with one; return whether it has gone out, and the call with it."""
        size = len(message) + MESSAGE_HEAD_BYTES
        room = min(self.window, stream.send_window, self.max_frame_bytes)
        if size <= room and not self.paused and not self._prefix:
            self.window -= size
            stream_id = UINT32.pack(stream.id)
            self._put(
                b"".join(
                    (
                        _HEAD_OF_HEAD,
                        stream_id,
                        ANSWER_HEAD,
                        frame_head(size, Kind.DATA, 0, stream.id),
                        b"\0",
                        UINT32.pack(size - MESSAGE_HEAD_BYTES),
                        message,
                        _HEAD_OF_TRAILERS_OK,
                        stream_id,
                        TRAILERS_OK,
                    )
                )
            )
            return True
        self.queue(stream, message)
        return self.finish(stream, TRAILERS_OK)

    def queue(self, stream: Stream, message: bytes) -> None:
        """Send a message of a stream of them, when its turn comes."""
        data = framed(message)
        stream.outbox.append(memoryview(data))
        stream.outbox_bytes += len(data)
        self.waiting_bytes += len(data)
        self._waiting[stream] = None

    def finish(self, stream: Stream, trailers: bytes) -> bool:
        """End an answer after what is queued of it; return whether it has gone out, and the call with it."""
        stream.trailers = trailers
        if stream.outbox:
            return False
        self._end(stream)
        return True

    def drop(self, stream: Stream) -> None:
        """Forget what was to be sent of a call."""
        self._waiting.pop(stream, None)
        self.waiting_bytes -= stream.outbox_bytes
        stream.outbox.clear()
        stream.outbox_bytes = 0

    def take(self, sent: list[Stream]) -> bytes:
        """Return what can go to the socket now; calls of whose answers something went are added to `sent`."""
        if self._waiting and not self.paused:
            self._pump(sent)
        if not self._ready:
            return b""
        ready, self._ready, self.ready_bytes = self._ready, [], 0
        return ready[0] if len(ready) == 1 else b"".join(ready)

    def _pump(self, sent: list[Stream]) -> None:
        """Move frames of the waiting answers to the ready ones, one frame of each in turn."""
        room = TAKE_BYTES
        stuck = 0
        while self.window > 0 and room > 0 and stuck < len(self._waiting):
            stream = next(iter(self._waiting))
            # To the end of the line.
            del self._waiting[stream]
            if stream.send_window <= 0:
                self._waiting[stream] = None
                stuck += 1
                continue
            stuck = 0
            size = self._send_frame(stream)
            room -= size
            sent.append(stream)
            if stream.outbox:
                self._waiting[stream] = None
            elif stream.trailers is not None:
                self._end(stream)

    def _send_frame(self, stream: Stream) -> int:
        if not stream.head_sent:
            self._send_head(stream)
        chunk = stream.outbox[0]
        size = min(len(chunk), self.window, stream.send_window, self.max_frame_bytes)
        self._put(frame_head(size, Kind.DATA, 0, stream.id))
        self._put(bytes(chunk[:size]))
        if size == len(chunk):
            stream.outbox.popleft()
        else:
            stream.outbox[0] = chunk[size:]
        self.window -= size
        stream.send_window -= size
        stream.outbox_bytes -= size
        self.waiting_bytes -= size
        return size

    def _send_head(self, stream: Stream) -> None:
        block = self._prefixed(ANSWER_HEAD)
        self._put(frame_head(len(block), Kind.HEADERS, Flag.END_HEADERS, stream.id) + block)
        stream.head_sent = True

    def _prefixed(self, block: bytes) -> bytes:
        prefix, self._prefix = self._prefix, b""
        return prefix + block

    def give_up_table(self) -> None:
        """Take another size of the client's header table: none of it is used, which has to be said once (RFC 7541)."""
        self._prefix = b"\x20"

    def _end(self, stream: Stream) -> None:
        """Send the trailers; with the head in front, in one block, if nothing was sent before."""
        assert stream.trailers is not None
        block = self._prefixed(stream.trailers if stream.head_sent else ANSWER_HEAD + stream.trailers)
        flags = Flag.END_HEADERS | Flag.END_STREAM
        self._put(frame_head(len(block), Kind.HEADERS, flags, stream.id) + block)
        if not stream.half_closed:
            # Section 8.1: the answer is complete, what else the client would send is not needed.
            self._put(rst_stream(stream.id, ErrorCode.NO_ERROR))

    def open_window(self, increment: int) -> None:
        """Take a WINDOW_UPDATE of the connection."""
        self.window += increment
        if self.window > MAX_WINDOW:
            raise ConnectionFailed(ErrorCode.FLOW_CONTROL_ERROR, "a window larger than any may be")

    def owes(self, size_bytes: int) -> bool:
        """Whether more than that waits to be taken by the client; one answer of any size is borne besides."""
        if self.waiting_bytes <= size_bytes:
            return False
        return self.waiting_bytes - max(stream.outbox_bytes for stream in self._waiting) > size_bytes

    def apply(self, settings: Iterable[tuple[int, int]], streams: Collection[Stream]) -> None:
        """Take the client's settings."""
        window = self.initial_window
        for name, value in settings:
            if name == Setting.INITIAL_WINDOW_SIZE:
                if value > MAX_WINDOW:
                    raise ConnectionFailed(ErrorCode.FLOW_CONTROL_ERROR, "a window larger than any may be")
                window = value
            elif name == Setting.MAX_FRAME_SIZE:
                if not MAX_FRAME_BYTES <= value < 1 << 24:
                    raise ConnectionFailed(ErrorCode.PROTOCOL_ERROR, "frames of a size that cannot be")
                self.max_frame_bytes = value
            elif name == Setting.HEADER_TABLE_SIZE:
                self.give_up_table()
        # Once, however often the frame names it: that could be thousands of times.
        if window != self.initial_window:
            self._change_initial_window(window, streams)

    def _change_initial_window(self, size: int, streams: Collection[Stream]) -> None:
        """Take a new initial window, which also moves those of open calls (section 6.9.2)."""
        change = size - self.initial_window
        self.initial_window = size
        for stream in streams:
            stream.send_window += change
            if stream.send_window > MAX_WINDOW:
                raise ConnectionFailed(ErrorCode.FLOW_CONTROL_ERROR, "a window larger than any may be")
