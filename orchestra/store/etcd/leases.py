"""Leases. All are kept alive over one stream, whose answers come in the order of the requests."""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from typing import Final

import anyio

from orchestra._proto.etcd.v3 import rpc_pb2
from orchestra.backoff import Backoff
from orchestra.clock import Clock
from orchestra.errors import LeaseExists, LeaseNotFound, StoreClosed, StoreError, StoreUnavailable
from orchestra.store.etcd.calls import Caller
from orchestra.store.etcd.channel import Stream
from orchestra.store.etcd.connector import Connector
from orchestra.store.etcd.failures import CallFailed, Failure, Fate
from orchestra.store.model import LeaseStatus

LIST_ATTEMPTS: Final = 5

RETRY: Final = Backoff(initial_seconds=0.05, max_seconds=1.0, jitter=0.5)


async def grant(caller: Caller, lease_id: int, ttl_seconds: int, *, repeatable: bool) -> LeaseStatus:
    """Make a lease. Raises `LeaseExists`."""
    request = rpc_pb2.LeaseGrantRequest(TTL=ttl_seconds, ID=lease_id)
    try:
        answer = await caller.call("LeaseGrant", request, repeatable=repeatable)
    except LeaseExists:
        raise LeaseExists(f"lease {lease_id} already exists") from None
    if answer.error:
        raise StoreError(f"etcd refused the lease: {answer.error}")
    return LeaseStatus(answer.ID, answer.TTL, answer.TTL)


async def time_to_live(caller: Caller, lease_id: int, *, keys: bool) -> LeaseStatus:
    """Return what is left of a lease. Raises `LeaseNotFound`."""
    request = rpc_pb2.LeaseTimeToLiveRequest(ID=lease_id, keys=keys)
    answer = await caller.call("LeaseTimeToLive", request, repeatable=True)
    if answer.grantedTTL <= 0:
        raise LeaseNotFound(f"lease {lease_id} not found")
    return LeaseStatus(lease_id, answer.grantedTTL, max(answer.TTL, 0), tuple(sorted(answer.keys)))


async def list_leases(connector: Connector, caller: Caller) -> tuple[int, ...]:
    """Return the ids of all leases. A member lists those that it knows, so it must have caught up just before."""
    for _ in range(LIST_ATTEMPTS):
        connection = await connector.get()
        await caller.call("Range", rpc_pb2.RangeRequest(key=b"\x00", count_only=True), repeatable=True)
        answer = await caller.call("LeaseLeases", rpc_pb2.LeaseLeasesRequest(), repeatable=True)
        if await connector.get() is connection:
            return tuple(sorted(lease.ID for lease in answer.leases))
    raise StoreUnavailable("the connection to etcd was lost again and again")


class _Request:
    """One lease that is to be kept alive, and what came of it."""

    __slots__ = ("done", "error", "lease_id", "ttl_seconds")

    def __init__(self, lease_id: int) -> None:
        self.lease_id = lease_id
        self.done = anyio.Event()
        self.ttl_seconds = 0
        self.error: StoreError | None = None

    def finish(self, *, ttl_seconds: int = 0, error: StoreError | None = None) -> None:
        self.ttl_seconds = ttl_seconds
        self.error = error
        self.done.set()


class KeepAlive:
    """The stream of keep-alives. Its task runs while the store is open, the stream from the first request on.

    A keep-alive does no harm if it happens twice, so what a broken stream left unanswered is sent again.
    """

    def __init__(self, connector: Connector, clock: Clock, *, timeout_seconds: float) -> None:
        self._connector = connector
        self._clock = clock
        self._timeout_seconds = timeout_seconds
        self._unsent: deque[_Request] = deque()
        self._unanswered: deque[_Request] = deque()
        self._more = anyio.Event()

    async def keep_alive(self, lease_id: int) -> int:
        """Give the lease its whole time again, and return it. Raises `LeaseNotFound`, `StoreUnavailable`."""
        request = _Request(lease_id)
        self._unsent.append(request)
        self._more.set()
        try:
            with anyio.move_on_after(self._timeout_seconds):
                await request.done.wait()
        finally:
            # One that was sent stays among the unanswered, for its answer comes all the same.
            if request in self._unsent:
                self._unsent.remove(request)
        if not request.done.is_set():
            raise StoreUnavailable(
                f"the keep-alive of lease {lease_id} was not answered in {self._timeout_seconds:g} s"
            )
        if request.error is not None:
            raise request.error
        if request.ttl_seconds <= 0:
            raise LeaseNotFound(f"lease {lease_id} not found")
        return request.ttl_seconds

    async def run(self) -> None:
        """Keep a stream open from the first request on, until cancelled."""
        failures = 0
        try:
            while True:
                while not self._unsent:
                    self._more = anyio.Event()
                    await self._more.wait()
                failures = 0 if await self._one_stream() else failures + 1
                # What was sent and not answered is sent again, before the rest.
                self._unsent.extendleft(reversed(self._unanswered))
                self._unanswered.clear()
                await anyio.sleep(RETRY.delay_seconds(failures, self._clock.random))
        finally:
            self._fail_all(StoreClosed("the store is not open"))

    async def _one_stream(self) -> bool:
        """Send and receive until the stream breaks; return whether anything came."""
        try:
            connection = await self._connector.get()
            token = connection.token
            with connection.stream("LeaseKeepAlive") as stream:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(self._send, stream)
                    failure, count = await self._receive(stream)
                    tasks.cancel_scope.cancel()
            if failure.lost:
                self._connector.give_up(connection, failure.text)
            if failure.fate is Fate.TOKEN:
                await self._connector.renew_token(connection, token)
        except StoreUnavailable:
            return False
        except CallFailed as failed:
            failure, count = failed.failure, 0
        except StoreError as error:
            self._fail_all(error)
            return False
        if failure.fate is Fate.REFUSED and failure.error is not None:
            self._fail_all(failure.error)
        return count > 0

    async def _send(self, stream: Stream) -> None:
        with suppress(CallFailed):  # the receiver is told of it too
            while True:
                while self._unsent:
                    request = self._unsent.popleft()
                    self._unanswered.append(request)
                    await stream.send(rpc_pb2.LeaseKeepAliveRequest(ID=request.lease_id))
                self._more = anyio.Event()
                await self._more.wait()

    async def _receive(self, stream: Stream) -> tuple[Failure, int]:
        count = 0
        while True:
            try:
                answer = await stream.receive()
            except CallFailed as failed:
                return failed.failure, count
            count += 1
            if not self._unanswered or self._unanswered[0].lease_id != answer.ID:
                return Failure(
                    Fate.UNKNOWN, f"a keep-alive of lease {answer.ID} was answered, which was not next"
                ), count
            self._unanswered.popleft().finish(ttl_seconds=answer.TTL)

    def _fail_all(self, error: StoreError) -> None:
        for request in (*self._unanswered, *self._unsent):
            request.finish(error=error)
        self._unanswered.clear()
        self._unsent.clear()
