"""The server's end of a node's session: questions go out, answers come back, several at a time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

import anyio
import orjson
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from orchestra._proto.orchestra.v1 import api_pb2 as pb
from orchestra.apiserver.documents import Documents
from orchestra.apiserver.interface import User
from orchestra.client.interface import LogOptions
from orchestra.client.outbox import Outbox
from orchestra.client.remote_messages import log_message
from orchestra.errors import APIError, BadRequest, ServiceUnavailable, TooManyRequests

WINDOW_CHUNKS: Final = 16
"""How many chunks of one answer may be under way; the node is granted more when half of them are taken."""

MAX_QUESTIONS: Final = 256
"""Questions to one node at a time; one more is refused with TooManyRequests."""


class RemoteNode:
    """A node that is asked over its session: a `NodeHandler`."""

    def __init__(self, node: str) -> None:
        self._node = node
        self._last = 0
        self._open: dict[int, MemoryObjectSendStream[pb.NodeAnswer]] = {}
        # Of each open question the outbox holds at most its beginning, its grants and its end.
        self.outbox: Outbox[pb.NodeQuestion] = Outbox()

    async def logs(self, namespace: str, pod: str, options: LogOptions) -> AsyncIterator[bytes]:
        """Yield what the node sends, which is never far ahead of what is taken."""
        if len(self._open) >= MAX_QUESTIONS:
            raise TooManyRequests(f'node "{self._node}" is being asked too much at once', retry_after_seconds=1)
        number = self._last = self._last + 1
        wanted = pb.LogsRequest(namespace=namespace, pod=pod, options=log_message(options))
        send, receive = anyio.create_memory_object_stream[pb.NodeAnswer](WINDOW_CHUNKS + 1)
        self._open[number] = send
        complete = False
        try:
            self.outbox.put(pb.NodeQuestion(id=number, logs=wanted))
            self._grant(number, WINDOW_CHUNKS)
            async for data in self._chunks(number, receive):
                yield data
            complete = True
        finally:
            send.close()
            receive.close()
            if self._open.pop(number, None) is not None and not complete:
                self.outbox.put(pb.NodeQuestion(id=number, cancel=pb.NodeCancel()))

    async def _chunks(self, number: int, receive: MemoryObjectReceiveStream[pb.NodeAnswer]) -> AsyncIterator[bytes]:
        taken = 0
        async for answer in receive:
            if answer.WhichOneof("answer") == "end":
                if answer.end.status:
                    raise APIError.from_status(orjson.loads(answer.end.status))
                return
            yield answer.chunk.data
            taken += 1
            if taken * 2 >= WINDOW_CHUNKS:
                self._grant(number, taken)
                taken = 0
        raise ServiceUnavailable(f'the agent of node "{self._node}" has left', retry_after_seconds=1)

    def _grant(self, number: int, chunks: int) -> None:
        self.outbox.put(pb.NodeQuestion(id=number, grant=pb.NodeGrant(chunks=chunks)))

    def take(self, answer: pb.NodeAnswer) -> None:
        """Hand an answer to who asked; raises BadRequest when the node sends more than it was granted."""
        waiting = self._open.get(answer.id)
        if waiting is None:
            return  # Nobody wants it any more.
        try:
            waiting.send_nowait(answer)
        except anyio.WouldBlock:
            raise BadRequest(f'node "{self._node}" sends more than it was granted') from None

    def end(self) -> None:
        """The session is over: whoever waits for an answer is told."""
        for waiting in tuple(self._open.values()):
            waiting.close()
        self._open.clear()


class NodeSessions:
    """Serves the sessions of nodes."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    async def serve(self, _request: None, context: Any, user: User) -> None:
        """Let the server ask a node until its agent leaves."""
        first = await context.read()
        if not isinstance(first, pb.NodeAnswer) or first.WhichOneof("answer") != "hello" or not first.hello.node:
            raise BadRequest("a session begins with the name of its node")
        name = first.hello.node
        core = self._documents.core
        await core.enter(user, "create", core.scheme.info("v1", "Node"), "", name, "session")
        node = RemoteNode(name)
        failures: list[APIError] = []
        try:
            with self._documents.sessions.serve(name, node):
                await context.write(pb.NodeQuestion(welcome=pb.NodeWelcome()))
                async with anyio.create_task_group() as both:
                    both.start_soon(node.outbox.drain, context.write)
                    try:
                        while isinstance(answer := await context.read(), pb.NodeAnswer):
                            node.take(answer)
                    except APIError as error:
                        failures.append(error)
                    both.cancel_scope.cancel()
        finally:
            node.end()
        if failures:
            raise failures[0]
