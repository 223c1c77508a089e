"""Load for anything that speaks etcd's API, cheap enough to leave the processor to the server.

It writes HTTP/2 frames that were made beforehand and looks at no more of the answers than where they end. As a program
(`python -m tests.bench.etcd_load puts PORT CLIENTS SECONDS BYTES`) it prints puts a second, and with `watch PORT
WATCHERS ROUNDS` the median time in milliseconds from the beginning of a put until the last watcher has its event.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
from collections.abc import Callable
from time import perf_counter
from typing import cast

from orchestra._proto.etcd.v3 import rpc_pb2
from orchestra.store.etcd.rpc.frames import (
    MAX_WINDOW,
    PREFACE,
    Flag,
    Kind,
    Setting,
    frame_head,
    settings,
    window_update,
)
from orchestra.store.etcd.rpc.streams import framed

HELLO = PREFACE + settings({Setting.INITIAL_WINDOW_SIZE: MAX_WINDOW}) + window_update(0, MAX_WINDOW - 65_535)


def _field(name: str, value: str) -> bytes:
    return b"\x00" + bytes((len(name),)) + name.encode() + bytes((len(value),)) + value.encode()


def _head(path: str) -> bytes:
    fields = ((":path", path), (":authority", "localhost"), ("content-type", "application/grpc"), ("te", "trailers"))
    return b"\x83\x86" + b"".join(_field(name, value) for name, value in fields)


PUT_HEAD = _head("/etcdserverpb.KV/Put")
WATCH_HEAD = _head("/etcdserverpb.Watch/Watch")


class Client(asyncio.Protocol):
    """One connection. `message` is called for each frame of data, `end` at the end of each call."""

    def __init__(self, message: Callable[[], None], end: Callable[[], None]) -> None:
        self._message = message
        self._end = end
        self._rest = b""
        self._stream_id = -1
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(HELLO)

    def call(self, head: bytes, message: bytes, *, last: bool = True) -> None:
        self._stream_id += 2
        data = framed(message)
        assert self._transport is not None
        self._transport.write(
            frame_head(len(head), Kind.HEADERS, Flag.END_HEADERS, self._stream_id)
            + head
            + frame_head(len(data), Kind.DATA, Flag.END_STREAM if last else 0, self._stream_id)
            + data
        )

    def data_received(self, data: bytes) -> None:
        data = self._rest + data
        place = 0
        while len(data) - place >= 9:
            end = place + 9 + int.from_bytes(data[place : place + 3])
            if end > len(data):
                break
            kind, flags = data[place + 3], data[place + 4]
            if kind == Kind.DATA:
                self._message()
            elif kind == Kind.HEADERS and flags & Flag.END_STREAM:
                self._end()
            elif kind in {Kind.RST_STREAM, Kind.GOAWAY}:
                raise RuntimeError(f"the server gave up: {data[place:end]!r}")
            elif kind in {Kind.SETTINGS, Kind.PING} and not flags & Flag.ACK:
                assert self._transport is not None
                size = end - place - 9 if kind == Kind.PING else 0
                self._transport.write(frame_head(size, kind, Flag.ACK, 0) + data[place + 9 : place + 9 + size])
            place = end
        self._rest = data[place:]


async def _connect(port: int, client: Client) -> Client:
    await asyncio.get_running_loop().create_connection(lambda: client, "127.0.0.1", port)
    return client


async def puts_per_second(port: int, clients: int, seconds: float, size: int) -> float:
    """Put with one call in progress on each of as many connections."""
    done, count, stop = asyncio.Event(), 0, 0.0
    running = clients
    value = bytes(size)

    def writer(number: int) -> Client:
        written = 0

        def following() -> None:
            nonlocal written, count, running
            if written:
                count += 1
            if perf_counter() >= stop:
                running -= 1
                if not running:
                    done.set()
                return
            written += 1
            request = rpc_pb2.PutRequest(key=b"/bench/%03d-%06d" % (number, written), value=value)
            client.call(PUT_HEAD, request.SerializeToString())

        client = Client(lambda: None, following)
        starts.append(following)
        return client

    starts: list[Callable[[], None]] = []
    for number in range(clients):
        await _connect(port, writer(number))
    started = perf_counter()
    stop = started + seconds
    for start in starts:
        start()
    await done.wait()
    return count / (perf_counter() - started)


async def watch_milliseconds(port: int, watchers: int, rounds: int) -> float:
    """Watch one key on as many connections, and put it."""
    told = asyncio.Event()
    waiting = watchers

    def message() -> None:
        nonlocal waiting
        waiting -= 1
        if not waiting:
            told.set()

    create = rpc_pb2.WatchCreateRequest(key=b"/watched")
    for _ in range(watchers):
        client = await _connect(port, Client(message, lambda: None))
        client.call(WATCH_HEAD, rpc_pb2.WatchRequest(create_request=create).SerializeToString(), last=False)
    await told.wait()
    writer = await _connect(port, Client(lambda: None, lambda: None))
    put = rpc_pb2.PutRequest(key=b"/watched", value=bytes(256)).SerializeToString()
    times = []
    for _ in range(rounds):
        told, waiting = asyncio.Event(), watchers
        started = perf_counter()
        writer.call(PUT_HEAD, put)
        await told.wait()
        times.append(perf_counter() - started)
        await asyncio.sleep(0.01)
    return statistics.median(times) * 1e3


if __name__ == "__main__":
    what, port, *numbers = sys.argv[1:]
    if what == "puts":
        print(asyncio.run(puts_per_second(int(port), int(numbers[0]), float(numbers[1]), int(numbers[2]))))
    else:
        print(asyncio.run(watch_milliseconds(int(port), int(numbers[0]), int(numbers[1]))))
