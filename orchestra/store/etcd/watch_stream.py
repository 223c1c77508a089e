"""One stream that carries many watches, told apart by ids that are chosen here and never used twice."""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from typing import Final, Protocol

import anyio

from orchestra._proto.etcd.v3 import kv_pb2, rpc_pb2
from orchestra.errors import Compacted, StoreAccessDenied, StoreError
from orchestra.store.etcd import answers, messages
from orchestra.store.etcd.channel import Connection, Stream
from orchestra.store.etcd.failures import AUTH_OLD_REVISION, CallFailed, Failure, Fate
from orchestra.store.etcd.watch import EtcdWatch

ALL_WATCHES: Final = -1
"""The id under which a member answers a progress request, for every watch of the stream."""

ASK_AGAIN_SECONDS: Final = 0.1
"""How soon a progress request that is not answered is sent again."""

MAX_UNANSWERED: Final = 32
"""A stream with so many progress requests that may still be answered takes no new watches."""

_DENIED: Final = (answers.PERMISSION_DENIED.text, answers.INVALID_AUTH_TOKEN.text, AUTH_OLD_REVISION)


class Home(Protocol):
    """What a stream tells those who opened it."""

    def ended(self, stream: WatchStream, failure: Failure) -> None:
        """Notice that the stream ended; its watches are without one."""
        ...

    def confirmed(self, watch: EtcdWatch) -> None:
        """Notice that a member tells of a watch from now on."""
        ...

    def refused(self, watch: EtcdWatch, stream: WatchStream, reason: str) -> None:
        """Notice that a member refused a watch, for its user or for a reason that may pass."""
        ...


class _Placed:
    """A watch on this stream, and the part of an answer that has come."""

    __slots__ = ("fragments", "made_at", "stale", "watch")

    def __init__(self, watch: EtcdWatch, *, stale: int) -> None:
        self.watch = watch
        self.stale = stale
        """How many progress answers may still come that say nothing of this watch, for they are older."""
        self.made_at: int | None = None
        """The member's revision when it confirmed the watch; until then nothing is told."""
        self.fragments: list[kv_pb2.Event] = []


class WatchStream:
    """An open stream of watches over one connection. Its task is `run`."""

    def __init__(self, home: Home, connection: Connection) -> None:
        self.connection = connection
        self._home = home
        self._placed: dict[int, _Placed] = {}
        self._ids: dict[EtcdWatch, int] = {}
        self._confirming: deque[int] = deque()
        """Watches that were asked for and not confirmed, in order: so are the confirmations."""
        self._next_id = 1
        self._outbox: deque[rpc_pb2.WatchRequest] = deque()
        self._more = anyio.Event()
        self._unanswered = 0
        """Progress requests that may still be answered: a member drops one while a watch is catching up."""
        self._asked_at = 0.0
        self._scope = anyio.CancelScope()
        self.open = True

    def has_room(self, most: int) -> bool:
        """Whether it takes another watch."""
        return self.open and len(self._ids) < most and self._unanswered < MAX_UNANSWERED

    async def run(self) -> None:
        """Send and receive until the stream ends or is closed."""
        failure = Failure(Fate.UNKNOWN, "the stream was closed")
        try:
            with self._scope, self.connection.stream("Watch") as stream:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(self._send, stream)
                    failure = await self._receive(stream)
                    tasks.cancel_scope.cancel()
        except CallFailed as failed:
            failure = failed.failure
        finally:
            self.open = False
            self._home.ended(self, failure)

    def close(self) -> None:
        """End the stream."""
        self.open = False
        self._scope.cancel()

    @property
    def watches(self) -> tuple[EtcdWatch, ...]:
        """The watches on it."""
        return tuple(self._ids)

    def add(self, watch: EtcdWatch) -> None:
        """Begin a watch, or go on with one, behind what has come of it."""
        watch_id, self._next_id = self._next_id, self._next_id + 1
        self._placed[watch_id] = _Placed(watch, stale=self._unanswered)
        self._ids[watch] = watch_id
        self._confirming.append(watch_id)
        self._put(watch.create_request(watch_id))

    def remove(self, watch: EtcdWatch) -> None:
        """End a watch of this stream, if it is one."""
        watch_id = self._ids.pop(watch, None)
        if watch_id is None:
            return
        del self._placed[watch_id]
        self._put(rpc_pb2.WatchRequest(cancel_request=rpc_pb2.WatchCancelRequest(watch_id=watch_id)))

    def has(self, watch: EtcdWatch) -> bool:
        """Whether the watch is on this stream."""
        return watch in self._ids

    def ask_progress(self) -> None:
        """Ask how far all watches have come, unless that was done just now.

        A member that cannot say it of each, because one is catching up, does not answer: it is asked again.
        """
        now = anyio.current_time()
        if self._unanswered and now < self._asked_at + ASK_AGAIN_SECONDS:
            return
        self._asked_at = now
        self._ask_progress()

    def _ask_progress(self) -> None:
        self._unanswered += 1
        self._put(rpc_pb2.WatchRequest(progress_request=rpc_pb2.WatchProgressRequest()))

    def _put(self, message: rpc_pb2.WatchRequest) -> None:
        self._outbox.append(message)
        self._more.set()

    async def _send(self, stream: Stream) -> None:
        with suppress(CallFailed):  # the receiver is told of it too
            while True:
                while self._outbox:
                    await stream.send(self._outbox.popleft())
                self._more = anyio.Event()
                await self._more.wait()

    async def _receive(self, stream: Stream) -> Failure:
        while True:
            try:
                answer = await stream.receive()
            except CallFailed as failed:
                return failed.failure
            if answer.created and self._confirming:
                self._created(answer)
            elif answer.canceled:
                self._canceled(answer)
            elif answer.watch_id == ALL_WATCHES:
                self._progress(answer.header.revision)
            elif (placed := self._placed.get(answer.watch_id)) is not None:
                self._events(placed, answer)

    def _created(self, answer: rpc_pb2.WatchResponse) -> None:
        # By order and not by id, for a refusal may come without one.
        watch_id = self._confirming.popleft()
        placed = self._placed.get(watch_id)
        if placed is None:
            return
        if answer.canceled:
            self._forget(watch_id)
            self._home.refused(placed.watch, self, answer.cancel_reason)
            return
        placed.made_at = answer.header.revision
        self._home.confirmed(placed.watch)

    def _canceled(self, answer: rpc_pb2.WatchResponse) -> None:
        placed = self._placed.get(answer.watch_id)
        if placed is None:
            return
        self._forget(answer.watch_id)
        if answer.compact_revision:
            placed.watch.end(Compacted(answer.compact_revision))
        else:
            self._home.refused(placed.watch, self, answer.cancel_reason)

    def _events(self, placed: _Placed, answer: rpc_pb2.WatchResponse) -> None:
        placed.fragments.extend(answer.events)
        if answer.fragment:
            return
        events, placed.fragments = placed.fragments, []
        if not events:
            # Sent by itself every few minutes; it comes in order from servers of any version.
            placed.watch.reached(answer.header.revision)
        elif not placed.watch.receive(messages.events(events)):
            self.remove(placed.watch)

    def _progress(self, revision: int) -> None:
        """Tell the watches that were there when the member looked how far all of them have come.

        Answers come in the order of the requests, but which request is answered is not said. One that was sent before
        a watch was made says nothing of it; a revision beyond that at which the watch was made proves that it was
        there, and so does the number of answers since.
        """
        self._unanswered = max(self._unanswered - 1, 0)
        again = False
        for placed in tuple(self._placed.values()):
            if placed.made_at is not None and revision > placed.made_at:
                placed.stale = 0
            if placed.stale:
                placed.stale -= 1
                again = again or bool(placed.watch.wanted)
            elif placed.made_at is not None:
                placed.watch.reached(revision)
        if again:
            self._ask_progress()

    def _forget(self, watch_id: int) -> None:
        placed = self._placed.pop(watch_id)
        self._ids.pop(placed.watch, None)


def refusal(reason: str) -> StoreError | None:
    """Return the error for a watch that was refused; None when it may be tried again."""
    if any(text in reason for text in _DENIED):
        return StoreAccessDenied(reason)
    if "no leader" in reason or "stopped" in reason:
        return None
    return StoreError(f"etcd refused the watch: {reason}")
