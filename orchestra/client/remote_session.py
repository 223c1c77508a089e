"""The node's end of the session that its agent opens to the server: the server asks, the node answers.

Several answers share the connection. The server says how many chunks of each it will take (`grant`), so that one slow
reader holds up nobody else and nothing piles up on either side.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

import anyio
from anyio.abc import TaskGroup

from orchestra._log import get_logger
from orchestra._proto.orchestra.v1 import api_pb2 as pb
from orchestra.backoff import Backoff
from orchestra.client.interface import NodeHandler
from orchestra.client.outbox import Outbox
from orchestra.client.remote_channel import Channel, Stream
from orchestra.client.remote_messages import log_options
from orchestra.client.remote_status import CHUNK_BYTES, status_bytes
from orchestra.clock import Clock
from orchestra.errors import APIError, BadRequest, Forbidden, InternalError, ServiceUnavailable, Unauthorized

RECONNECT: Final = Backoff(initial_seconds=0.1, max_seconds=10.0, jitter=0.2)
"""The pauses between two attempts to open a session; a session that was open starts them anew."""

GOODBYE_SECONDS: Final = 2.0
"""How long leaving waits for the server to have noticed."""

log = get_logger("client")


class NodeSession:
    """Keeps a session open until `leave`, opening it again after each loss."""

    def __init__(self, channel: Channel, clock: Clock, node: str, handler: NodeHandler) -> None:
        self._channel = channel
        self._clock = clock
        self._node = node
        self._handler = handler
        self._failures = 0
        self._leaving = anyio.Event()
        self._refusal: APIError | None = None
        self._tried = anyio.Event()
        self._ended = anyio.Event()
        self._scope = anyio.CancelScope()

    async def first_attempt(self) -> None:
        """Wait for the outcome of the first attempt; raises what makes every further one vain."""
        await self._tried.wait()
        if isinstance(self._refusal, Unauthorized | Forbidden | BadRequest):
            raise self._refusal

    async def leave(self) -> None:
        """Say goodbye and wait, within `GOODBYE_SECONDS`, until the server asks no more."""
        self._leaving.set()
        with anyio.CancelScope(shield=True):
            with anyio.move_on_after(GOODBYE_SECONDS):
                await self._ended.wait()
            self._scope.cancel()
            await self._ended.wait()

    async def run(self) -> None:
        """Open sessions, one after the other."""
        try:
            with self._scope:
                while not self._leaving.is_set():
                    await self._attempt()
                    self._tried.set()
                    with anyio.move_on_after(RECONNECT.delay_seconds(self._failures, self._clock.random)):
                        await self._leaving.wait()
        finally:
            self._refusal = self._refusal or ServiceUnavailable("the client was closed")
            self._tried.set()
            self._ended.set()

    async def _attempt(self) -> None:
        stream = self._channel.open(self._channel.stub.NodeSession)
        try:
            await stream.send(pb.NodeAnswer(hello=pb.NodeHello(node=self._node)))
            await self._serve(stream)
        except APIError as error:
            self._refusal = error
            self._failures += 1
            log.warning("node session lost", node=self._node, error=error.message, failures=self._failures)
        finally:
            stream.cancel()

    async def _serve(self, stream: Stream) -> None:
        welcome = await stream.receive()
        if welcome is None:
            raise ServiceUnavailable("the API server ended the session", retry_after_seconds=1)
        self._failures, self._refusal = 0, None
        self._tried.set()
        # The outbox holds what the server has granted, and one end for each of its questions.
        outbox: Outbox[pb.NodeAnswer] = Outbox()
        lost: list[APIError] = []

        async def send() -> None:
            try:
                await outbox.drain(stream.send)
                await stream.finish()
            except APIError as error:
                lost.append(error)
                tasks.cancel_scope.cancel()

        async def listen() -> None:
            try:
                async with anyio.create_task_group() as group:
                    answers = _Answers(self._handler, outbox, group)
                    while (question := await stream.receive()) is not None:
                        answers.take(question)
                    group.cancel_scope.cancel()
                if not self._leaving.is_set():
                    lost.append(ServiceUnavailable("the API server ended the session", retry_after_seconds=1))
            except* APIError as errors:
                lost.extend(error for error in errors.exceptions if isinstance(error, APIError))
            tasks.cancel_scope.cancel()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(send)
            tasks.start_soon(listen)
            # Cancelling a task that reads would end the call: say goodbye, and the server ends it.
            await self._leaving.wait()
            outbox.finish()
        if lost:
            raise lost[0]


class _Answers:
    """The answers in progress of one session."""

    def __init__(self, handler: NodeHandler, outbox: Outbox[pb.NodeAnswer], tasks: TaskGroup) -> None:
        self._handler = handler
        self._outbox = outbox
        self._tasks = tasks
        self._open: dict[int, _Answer] = {}

    def take(self, question: pb.NodeQuestion) -> None:
        """Begin an answer, let it go on, or end it; questions that are over already mean nothing."""
        kind = question.WhichOneof("question")
        if kind == "logs":
            answer = self._open[question.id] = _Answer(question.id, self._outbox)
            self._tasks.start_soon(self._run, answer, question.logs)
        elif kind == "grant" and question.id in self._open:
            self._open[question.id].grant(question.grant.chunks)
        elif kind == "cancel" and question.id in self._open:
            self._open[question.id].scope.cancel()

    async def _run(self, answer: _Answer, wanted: pb.LogsRequest) -> None:
        status = b""
        try:
            with answer.scope:
                options = log_options(wanted.options)
                await answer.send(self._handler.logs(wanted.namespace, wanted.pod, options))
        except APIError as error:
            status = status_bytes(error)
        except ValueError as error:
            status = status_bytes(BadRequest(str(error)))
        except Exception as error:  # noqa: BLE001 - the asker is told, and the node goes on answering others
            log.error("answering the server failed", pod=wanted.pod, error=repr(error))
            status = status_bytes(InternalError(f"the node failed to answer: {error!r}"))
        finally:
            del self._open[answer.id]
        if not answer.scope.cancelled_caught:
            self._outbox.put(pb.NodeAnswer(id=answer.id, end=pb.NodeEnd(status=status)))


class _Answer:
    """One answer: chunks, as many as were granted."""

    def __init__(self, number: int, outbox: Outbox[pb.NodeAnswer]) -> None:
        self.id = number
        self.scope = anyio.CancelScope()
        self._outbox = outbox
        self._granted = 0
        self._more = anyio.Event()

    def grant(self, chunks: int) -> None:
        """Let so many chunks more go."""
        self._granted += chunks
        self._more.set()

    async def send(self, chunks: AsyncIterator[bytes]) -> None:
        """Send every chunk, in pieces that are not too large."""
        try:
            async for chunk in chunks:
                for start in range(0, len(chunk), CHUNK_BYTES):
                    while self._granted <= 0:
                        self._more = anyio.Event()
                        await self._more.wait()
                    self._granted -= 1
                    data = pb.Chunk(data=chunk[start : start + CHUNK_BYTES])
                    self._outbox.put(pb.NodeAnswer(id=self.id, chunk=data))
        finally:
            close = getattr(chunks, "aclose", None)
            if close is not None:
                await close()
