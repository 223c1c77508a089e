"""The session that a node's agent opens to the server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest

from orchestra.apiserver.grpc_front import GRPCFront
from orchestra.apiserver.grpc_session import WINDOW_CHUNKS
from orchestra.client.interface import LogOptions
from orchestra.client.remote import RemoteClient
from orchestra.client.remote_status import CHUNK_BYTES, WINDOW_BYTES
from orchestra.errors import InternalError, NotFound, ServiceUnavailable
from tests.client.doors import door, running, socket_in
from tests.client.make import pod

LIMIT = 10.0


class Node:
    """Sends a fixed log; counts what it has been asked for."""

    def __init__(self, *chunks: bytes, error: Exception | None = None, endless: bool = False) -> None:
        self._chunks = chunks
        self._error = error
        self._endless = endless
        self.sent = 0
        self.ended = anyio.Event()
        self.asked: list[LogOptions] = []

    async def logs(self, namespace: str, pod: str, options: LogOptions) -> AsyncIterator[bytes]:
        self.asked.append(options)
        try:
            for chunk in self._chunks:
                self.sent += 1
                yield chunk
            if self._error is not None:
                raise self._error
            if self._endless:
                await anyio.sleep_forever()
        finally:
            self.ended.set()


@pytest.fixture
async def front(tmp_path: Path) -> AsyncIterator[GRPCFront]:
    front = GRPCFront(socket_in(tmp_path))
    async with running(front) as server:
        await server.create(pod(node="n1"))
        yield front


@pytest.fixture
async def client(front: GRPCFront) -> AsyncIterator[RemoteClient]:
    async with RemoteClient(front.address) as client:
        yield client


async def read(client: RemoteClient, options: LogOptions = LogOptions()) -> bytes:
    with anyio.fail_after(LIMIT):
        async with client.logs("p", options=options) as chunks:
            return b"".join([chunk async for chunk in chunks])


async def test_a_long_log_arrives_whole(client: RemoteClient) -> None:
    text = b"".join(b"line %d\n" % number for number in range(100_000))
    parts = [text[start : start + 100_000] for start in range(0, len(text), 100_000)]
    async with client.serve_node("n1", Node(*parts)):
        assert await read(client) == text


async def test_options_reach_the_node(client: RemoteClient) -> None:
    node = Node(b"x\n")
    wanted = LogOptions(container="c", follow=True, tail_lines=0, limit_bytes=5, since_seconds=7, timestamps=True)
    async with client.serve_node("n1", node):
        await read(client, wanted)
    assert node.asked == [wanted]


async def test_several_readers_share_a_session(client: RemoteClient) -> None:
    found: list[bytes] = []

    async def one() -> None:
        found.append(await read(client))

    async with client.serve_node("n1", Node(b"a\n", b"b\n")), anyio.create_task_group() as tasks:
        for _ in range(20):
            tasks.start_soon(one)
    assert found == [b"a\nb\n"] * 20


async def test_a_node_is_never_far_ahead_of_a_slow_reader_who_holds_up_nobody(client: RemoteClient) -> None:
    many = 400
    node = Node(*[bytes(CHUNK_BYTES)] * many)
    async with client.serve_node("n1", node), client.logs("p") as slow:
        await anext(slow)
        with anyio.fail_after(LIMIT):
            assert len(await read(client)) == many * CHUNK_BYTES
        # What the slow one has not taken lies in the connection's window, and in what the server has granted.
        assert node.sent - many <= 3 * WINDOW_BYTES // CHUNK_BYTES + WINDOW_CHUNKS
        assert sum([len(chunk) async for chunk in slow]) == (many - 1) * CHUNK_BYTES


async def test_a_reader_that_leaves_ends_the_answer_at_the_node(client: RemoteClient) -> None:
    node = Node(b"x\n", endless=True)
    async with client.serve_node("n1", node):
        async with client.logs("p", options=LogOptions(follow=True)) as chunks:
            assert await anext(chunks) == b"x\n"
        with anyio.fail_after(LIMIT):
            await node.ended.wait()


@pytest.mark.parametrize(("error", "shown"), [(NotFound("no log"), NotFound), (RuntimeError("broken"), InternalError)])
async def test_a_nodes_failure_reaches_the_reader(
    client: RemoteClient, error: Exception, shown: type[Exception]
) -> None:
    async with client.serve_node("n1", Node(b"x\n", error=error)):
        with pytest.raises(shown, match=str(error)):
            await read(client)
        with pytest.raises(shown):
            await read(client)


async def test_a_reader_is_told_when_the_agent_leaves(front: GRPCFront, client: RemoteClient) -> None:
    async with RemoteClient(front.address) as agent:
        async with agent.serve_node("n1", Node(b"x\n", endless=True)):
            context = client.logs("p", options=LogOptions(follow=True))
            chunks = await context.__aenter__()
            assert await anext(chunks) == b"x\n"
        with anyio.fail_after(LIMIT), pytest.raises(ServiceUnavailable, match="has left"):
            await anext(chunks)
        await context.__aexit__(None, None, None)


async def test_a_newer_session_replaces_an_older_one(client: RemoteClient) -> None:
    async with client.serve_node("n1", Node(b"old\n")), client.serve_node("n1", Node(b"new\n")):
        assert await read(client) == b"new\n"


async def test_a_session_is_opened_again_when_the_server_returns(tmp_path: Path) -> None:
    front = GRPCFront(socket_in(tmp_path))
    async with RemoteClient(front.address) as client:
        async with running(front):
            pass
        async with client.serve_node("n1", Node(b"here\n")), running(front) as server:
            await server.create(pod(node="n1"))
            with anyio.fail_after(LIMIT):
                while True:
                    try:
                        assert await read(client) == b"here\n"
                        break
                    except ServiceUnavailable:
                        continue


async def test_a_front_that_stops_ends_logs_and_sessions(tmp_path: Path) -> None:
    front = GRPCFront(socket_in(tmp_path))
    async with running(GRPCFront(socket_in(tmp_path / "other"))) as server, RemoteClient(front.address) as client:
        await server.create(pod(node="n1"))
        node = Node(b"x\n", endless=True)
        async with door(server, front), client.serve_node("n1", node):
            context = client.logs("p", options=LogOptions(follow=True))
            chunks = await context.__aenter__()
            assert await anext(chunks) == b"x\n"
        with anyio.fail_after(LIMIT), pytest.raises(ServiceUnavailable):
            await anext(chunks)
        await context.__aexit__(None, None, None)
        assert node.ended.is_set()
