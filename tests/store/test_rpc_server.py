"""The server on real sockets, with grpcio as its client."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.abc
import grpc
import grpc.aio
import pytest

from orchestra.store.etcd.rpc import Limits, Methods, Refusal, Request, RPCServer, StreamCall
from tests.store.http2_client import HELLO, parse

PATIENCE_SECONDS = 20
STOPPED = Refusal("UNAVAILABLE", "the server stopped")


class Service:
    """Methods that do what tests ask for."""

    def __init__(self) -> None:
        self.sent = 0
        self.ended: list[str] = []
        self.changed = anyio.Event()
        self.release = anyio.Event()
        self.methods = Methods(
            {"/t.T/Echo": self.echo, "/t.T/Large": self.large, "/t.T/Fail": self.fail, "/t.T/Wait": self.wait},
            {"/t.T/Chat": self.chat, "/t.T/Flood": self.flood, "/t.T/Break": self.broken},
        )

    def note(self, text: str) -> None:
        self.ended.append(text)
        self.changed.set()

    async def echo(self, message: bytes, request: Request) -> bytes:
        return message + request.metadata.get("suffix", "").encode()

    async def large(self, message: bytes, _: Request) -> bytes:
        return bytes(int(message))

    async def fail(self, message: bytes, _: Request) -> bytes:
        raise Refusal("NOT_FOUND", "100 % of ä\n was not found") if message else RuntimeError("a secret")

    async def wait(self, message: bytes, _: Request) -> bytes:
        self.note("waiting")
        await self.release.wait()
        return message

    async def chat(self, call: StreamCall) -> None:
        try:
            while (message := await call.receive()) is not None:
                await call.send(message.upper())
            await call.send(b"bye")
        except BaseException:
            self.note("cancelled")
            raise

    async def flood(self, call: StreamCall) -> None:
        await call.receive()
        try:
            while True:
                await call.send(bytes(50_000))
                self.sent += 1
        finally:
            self.note("flood over")

    async def broken(self, call: StreamCall) -> None:
        await call.send(b"one")
        raise Refusal("ABORTED", "no more") if await call.receive() else RuntimeError("a secret")


class Running:
    def __init__(self, server: RPCServer, service: Service, port: int) -> None:
        self.server = server
        self.service = service
        self.port = port

    @asynccontextmanager
    async def channel(self) -> AsyncIterator[Any]:
        options = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
        async with grpc.aio.insecure_channel(f"127.0.0.1:{self.port}", options=options) as channel:
            yield channel

    async def noted(self, text: str) -> None:
        with anyio.fail_after(PATIENCE_SECONDS):
            while text not in self.service.ended:
                self.service.changed = anyio.Event()
                await self.service.changed.wait()


@asynccontextmanager
async def served(limits: Limits | None = None) -> AsyncIterator[Running]:
    service = Service()
    async with anyio.create_task_group() as tasks:
        server = RPCServer(service.methods, tasks=tasks, stopped=STOPPED, limits=limits)
        yield Running(server, service, await server.listen("127.0.0.1", 0))
        service.release.set()
        await server.stop(1.0)
        tasks.cancel_scope.cancel()


async def failure(call: Any) -> tuple[str, str]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value.code().name, caught.value.details() or ""


async def test_calls_are_answered_small_and_large_one_by_one_and_many_at_once() -> None:
    async with served() as running, running.channel() as channel:
        echo = channel.unary_unary("/t.T/Echo")
        assert await echo(b"a", metadata=[("suffix", "b")]) == b"ab"
        assert await echo(b"") == b""
        large = bytes(2 * 1024 * 1024)
        assert await echo(large) == large
        assert len(await channel.unary_unary("/t.T/Large")(b"30000000")) == 30_000_000

        async def ask(number: int) -> None:
            assert await echo(b"%d" % number * 1_000, timeout=PATIENCE_SECONDS) == b"%d" % number * 1_000

        async with anyio.create_task_group() as tasks:
            for number in range(300):
                tasks.start_soon(ask, number)


async def test_refusals_come_whole_and_bugs_tell_nothing() -> None:
    async with served() as running, running.channel() as channel:
        fail = channel.unary_unary("/t.T/Fail")
        assert await failure(fail(b"x")) == ("NOT_FOUND", "100 % of ä\n was not found")
        assert (await failure(fail(b"")))[0] == "INTERNAL"
        assert "secret" not in (await failure(fail(b"")))[1]
        assert await failure(channel.unary_unary("/t.T/None")(b"")) == ("UNIMPLEMENTED", "unknown method /t.T/None")
        too_large = await failure(channel.unary_unary("/t.T/Echo")(bytes(2 * 1024 * 1024 + 1)))
        assert too_large[0] == "RESOURCE_EXHAUSTED"


async def test_streams_of_messages_go_both_ways_and_end() -> None:
    async with served() as running, running.channel() as channel:
        call = channel.stream_stream("/t.T/Chat")()
        for number in range(50):
            await call.write(b"m%d" % number)
            assert await call.read() == b"M%d" % number
        await call.done_writing()
        assert await call.read() == b"bye"
        assert (await call.code()).name == "OK"
        call = channel.stream_stream("/t.T/Break")()
        assert await call.read() == b"one"
        await call.write(b"go on")
        assert await failure(call.read()) == ("ABORTED", "no more")
        call = channel.stream_stream("/t.T/Break")()
        assert await call.read() == b"one"
        await call.done_writing()
        assert (await failure(call.read()))[0] == "INTERNAL"


async def test_a_stream_is_cancelled_when_its_client_cancels_it_or_is_gone() -> None:
    async with served() as running:
        async with running.channel() as channel:
            call = channel.stream_stream("/t.T/Chat")()
            await call.write(b"a")
            await call.read()
            call.cancel()
            await running.noted("cancelled")
            running.service.ended.clear()
            call = channel.stream_stream("/t.T/Chat")()
            await call.write(b"a")
            await call.read()
        await running.noted("cancelled")


async def test_a_client_that_does_not_read_holds_up_its_own_stream_alone() -> None:
    limits = Limits(send_buffer_bytes=100_000)
    async with served(limits) as running, running.channel() as channel:
        flood = channel.stream_stream("/t.T/Flood")()
        await flood.write(b"start")
        echo = channel.unary_unary("/t.T/Echo")
        before = -1
        with anyio.fail_after(PATIENCE_SECONDS):
            # grpcio takes what its window allows and no more.
            while running.service.sent != before:
                before = running.service.sent
                for _ in range(50):
                    assert await echo(b"still there") == b"still there"
        for _ in range(before + 10):
            assert len(await flood.read()) == 50_000
        flood.cancel()
        await running.noted("flood over")


async def test_a_stop_lets_calls_finish_and_ends_streams() -> None:
    async with served() as running, running.channel() as channel:
        chat = channel.stream_stream("/t.T/Chat")()
        await chat.write(b"a")
        await chat.read()
        waiting = channel.unary_unary("/t.T/Wait")(b"answer")
        await running.noted("waiting")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(running.server.stop, 10.0)
            assert await failure(chat.read()) == ("UNAVAILABLE", "the server stopped")
            running.service.release.set()
            assert await waiting == b"answer"


async def test_a_stop_waits_for_calls_no_longer_than_it_is_told() -> None:
    async with served() as running, running.channel() as channel:
        waiting = channel.unary_unary("/t.T/Wait")(b"")
        await running.noted("waiting")
        await running.server.stop(0.0)
        assert (await failure(waiting))[0] == "UNAVAILABLE"


async def test_more_calls_than_the_server_bears_are_refused() -> None:
    async with served(Limits(max_calls=2)) as running, running.channel() as channel:
        calls = [channel.unary_unary("/t.T/Wait")(b"") for _ in range(2)]
        with anyio.fail_after(PATIENCE_SECONDS):
            while running.service.ended != ["waiting", "waiting"]:
                running.service.changed = anyio.Event()
                await running.service.changed.wait()
        assert (await failure(channel.unary_unary("/t.T/Echo")(b"")))[0] == "RESOURCE_EXHAUSTED"
        assert (await failure(channel.stream_stream("/t.T/Chat")().read()))[0] == "RESOURCE_EXHAUSTED"
        running.service.release.set()
        for call in calls:
            await call
        assert await channel.unary_unary("/t.T/Echo")(b"now") == b"now"


async def test_a_connection_that_never_speaks_is_closed() -> None:
    async with (
        served(Limits(handshake_seconds=0.05)) as running,
        await anyio.connect_tcp("127.0.0.1", running.port) as silent,
    ):
        await silent.receive()
        await closed(silent)


async def test_one_connection_too_many_is_closed() -> None:
    async with (
        served(Limits(max_connections=1)) as running,
        await anyio.connect_tcp("127.0.0.1", running.port) as first,
    ):
        await first.receive()
        async with await anyio.connect_tcp("127.0.0.1", running.port) as second:
            await closed(second)


async def closed(connection: anyio.abc.SocketStream) -> None:
    with anyio.fail_after(PATIENCE_SECONDS), pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
        await connection.receive()


async def test_a_client_that_is_gone_without_a_word_is_asked_and_then_given_up() -> None:
    async with served(Limits(keepalive_seconds=0.1)) as running:
        async with await anyio.connect_tcp("127.0.0.1", running.port) as silent:
            await silent.send(HELLO)
            heard = b""
            with anyio.fail_after(PATIENCE_SECONDS), pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
                while True:
                    heard += await silent.receive()
        assert [one.kind.name for one in parse(heard)][-1] == "PING"


async def test_a_client_that_breaks_the_protocol_hears_why_and_others_go_on() -> None:
    async with served() as running, running.channel() as channel:
        await channel.unary_unary("/t.T/Echo")(b"")
        async with await anyio.connect_tcp("127.0.0.1", running.port) as bad:
            await bad.send(b"GET / HTTP/1.1\r\n\r\n")
            heard = b""
            with anyio.fail_after(PATIENCE_SECONDS), pytest.raises(anyio.EndOfStream):
                while True:
                    heard += await bad.receive()
        assert b"HTTP/2 was expected" in heard
        assert await channel.unary_unary("/t.T/Echo")(b"x") == b"x"
