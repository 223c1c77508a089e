"""Calls with one answer, tried again where that is safe and for a bounded time."""

from __future__ import annotations

from typing import Any, Final

import anyio

from orchestra._log import get_logger
from orchestra._proto.etcd.v3 import rpc_pb2
from orchestra.backoff import Backoff
from orchestra.clock import Clock
from orchestra.errors import AmbiguousCommit, CommitFailed, StoreAccessDenied, StoreClosed, StoreError, StoreUnavailable
from orchestra.store.etcd import answers
from orchestra.store.etcd.channel import Connection
from orchestra.store.etcd.connector import Connector
from orchestra.store.etcd.failures import QUOTA_REACHED, USER_EMPTY, CallFailed, Failure, Fate

RETRY: Final = Backoff(initial_seconds=0.02, max_seconds=1.0, jitter=0.5)

log = get_logger("store")


class Caller:
    """Makes calls over whatever connection there is."""

    def __init__(self, connector: Connector, clock: Clock, *, timeout_seconds: float) -> None:
        self._connector = connector
        self._clock = clock
        self._timeout_seconds = timeout_seconds
        self._is_full = False
        """Whether a write was refused because the quota was reached."""

    async def call(self, rpc: str, request: Any, *, repeatable: bool) -> Any:
        """Make a call and return its answer.

        A `repeatable` one does no harm if it happens twice: it is tried until it succeeds, is refused, or its time is
        over, which raises `StoreUnavailable`. Any other is tried again only where it certainly did not happen;
        `AmbiguousCommit` says that it may have.
        """
        try:
            return await self._attempts(rpc, request, repeatable=repeatable)
        except CallFailed as failed:
            raise error_of(failed.failure, repeatable=repeatable, closed=self._connector.closed) from failed

    async def check_room(self) -> None:
        """Raise `CommitFailed` if the database is known to be full, and still is.

        Then nothing of a write has happened for certain, for it was not sent.
        """
        if not self._is_full:
            return
        request = rpc_pb2.AlarmRequest(action=rpc_pb2.AlarmRequest.GET)
        try:
            answer = await self.call("Alarm", request, repeatable=True)
        except StoreAccessDenied:
            return  # not to be known by this user: the write itself finds out
        if any(alarm.alarm == rpc_pb2.NOSPACE for alarm in answer.alarms):
            raise CommitFailed(QUOTA_REACHED)
        self._is_full = False

    async def _attempts(self, rpc: str, request: Any, *, repeatable: bool) -> Any:
        deadline = anyio.current_time() + self._timeout_seconds
        failures = 0
        renewed = False
        while True:
            failures += 1
            left = deadline - anyio.current_time()
            try:
                connection = await self._connection(left)
                token = connection.token
                return await connection.unary(rpc, request, max(deadline - anyio.current_time(), 0.001))
            except StoreUnavailable:
                if anyio.current_time() + RETRY.max_seconds >= deadline:
                    raise
            except CallFailed as failed:
                failure = failed.failure
                self._notice(connection, failure)
                if failure.fate is Fate.TOKEN and not renewed:
                    renewed = True
                    await self._renew(connection, token)
                    continue
                again = failure.fate is Fate.UNDONE or (failure.fate is Fate.UNKNOWN and repeatable)
                if not again or self._connector.closed or anyio.current_time() >= deadline:
                    raise
            await anyio.sleep(RETRY.delay_seconds(failures, self._clock.random))

    async def _connection(self, seconds: float) -> Connection:
        with anyio.move_on_after(max(seconds, 0)):
            return await self._connector.get()
        raise StoreUnavailable(f"no etcd member answered within {self._timeout_seconds:g} s")

    def _notice(self, connection: Connection, failure: Failure) -> None:
        if failure.text == answers.NO_SPACE.text:
            self._is_full = True
        if failure.lost:
            self._connector.give_up(connection, failure.text)
        elif failure.fate is Fate.UNDONE:
            self._connector.doubt()

    async def _renew(self, connection: Connection, token: str) -> None:
        try:
            await self._connector.renew_token(connection, token)
        except CallFailed as failed:
            if failed.failure.fate is Fate.REFUSED:
                raise
            # The next attempt finds out what is wrong with the connection.
            log.debug("token could not be renewed", error=failed.failure.text)


def error_of(failure: Failure, *, repeatable: bool, closed: bool) -> StoreError:
    """Return the error of the contract for a call that is not tried again."""
    if failure.error is not None:
        return failure.error
    if failure.text == USER_EMPTY:
        return StoreAccessDenied("the cluster wants to know who is there: give username and password")
    if failure.fate is Fate.TOKEN:
        return StoreAccessDenied(f"{failure.text}: the user or its password may have changed")
    if failure.fate is Fate.UNKNOWN and not repeatable:
        return AmbiguousCommit(f"etcd may or may not have done it: {failure.text}")
    if closed:
        return StoreClosed("the store is not open")
    return StoreUnavailable(failure.text)
