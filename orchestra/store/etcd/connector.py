"""Which member is talked to: the first of the endpoints that answers and has a leader, and another when it fails.

All endpoints are tried at once, each a little after the one before, beginning behind the one that was lost: so a
member that is down or paused costs a moment and not a time-out. One attempt serves everybody who waits for a
connection, and it is a task of the store: cancelling a caller cancels none.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import anyio
from anyio.abc import TaskGroup

from orchestra._log import get_logger
from orchestra._proto.etcd.v3 import rpc_pb2
from orchestra.errors import ConfigurationError, StoreClosed, StoreError, StoreUnavailable
from orchestra.store.etcd import answers
from orchestra.store.etcd.channel import Connection, time_limit
from orchestra.store.etcd.failures import CallFailed, Fate, advice
from orchestra.store.etcd.options import Endpoint, EtcdOptions, EtcdTLS

STAGGER_SECONDS: Final = 0.25
"""How much later than an endpoint the next one is tried, while nobody has answered."""

log = get_logger("store")


class _Attempt:
    """One round over the endpoints; those who wait share its result."""

    def __init__(self) -> None:
        self.done = anyio.Event()
        self.connection: Connection | None = None
        self.error: StoreError = StoreClosed("the store is not open")


class Connector:
    """The present connection, and the way to the next one."""

    def __init__(
        self,
        endpoints: tuple[Endpoint, ...],
        options: EtcdOptions,
        *,
        tls: EtcdTLS | None,
        username: str,
        password: str,
    ) -> None:
        self._endpoints = endpoints
        self._options = options
        self._tls = tls
        self._username = username
        self._password = password
        self._tasks: TaskGroup | None = None
        self._current: Connection | None = None
        self._closing: dict[Connection, None] = {}
        self._attempt: _Attempt | None = None
        self._renewing = anyio.Lock()
        self._doubt = anyio.Event()
        self._next = 0
        """The endpoint to try first."""

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """Return all endpoints, as configured."""
        return self._endpoints

    @property
    def closed(self) -> bool:
        """Whether no connection is given out any more."""
        return self._tasks is None

    def start(self, tasks: TaskGroup) -> None:
        """Begin; what runs in the background runs in `tasks`."""
        self._tasks = tasks
        tasks.start_soon(self._watch_over)

    def refuse(self) -> None:
        """Give out no connection any more."""
        self._tasks = None

    async def close(self) -> None:
        """End the present connection with all that is under way over it."""
        for connection in (*self._closing, *filter(None, [self._current])):
            await connection.close()
        self._closing.clear()

    async def get(self) -> Connection:
        """Return a connection to a member that has a leader.

        Raises `StoreUnavailable` when there is none just now, naming what is wrong with each endpoint, and
        `StoreAccessDenied` when the user is refused.
        """
        if self._tasks is None:
            raise StoreClosed("the store is not open")
        if self._current is not None and not self._current.lost:
            return self._current
        attempt = self._attempt
        if attempt is None:
            attempt = self._attempt = _Attempt()
            self._tasks.start_soon(self._run, attempt)
        await attempt.done.wait()
        if attempt.connection is None:
            raise attempt.error
        return attempt.connection

    def give_up(self, connection: Connection, why: str) -> None:
        """Stop using a connection; what is under way over it fails."""
        if connection.lost or self._tasks is None:
            return
        log.warning("lost the connection to etcd", endpoint=str(connection.endpoint), error=why)
        connection.lost = True
        self._next = self._endpoints.index(connection.endpoint) + 1
        self._closing[connection] = None
        self._tasks.start_soon(self._close, connection)

    def doubt(self) -> None:
        """Look soon whether another member would be better: this one said that it has no leader."""
        self._doubt.set()

    async def renew_token(self, connection: Connection, old: str) -> None:
        """Get a new token if nobody has since `old`. Raises `CallFailed`."""
        async with self._renewing:
            if connection.token == old:
                with time_limit(self._options.heartbeat_timeout_seconds):
                    await connection.authenticate(self._username, self._password)

    async def dial(self, endpoint: Endpoint) -> Connection:
        """Open a connection of one's own to a member, to be closed by the caller. Raises `CallFailed`."""
        connection = Connection(endpoint, self._tls)
        try:
            with time_limit(self._options.connect_timeout_seconds):
                await connection.hello(self._username, self._password)
        except BaseException:
            await connection.close()
            raise
        return connection

    # In the background

    async def _run(self, attempt: _Attempt) -> None:
        try:
            attempt.connection = self._current = await self._choose(self._endpoints[self._next :] + self._endpoints)
        except StoreError as error:
            attempt.error = error
        finally:
            self._attempt = None
            attempt.done.set()

    async def _choose(self, endpoints: tuple[Endpoint, ...]) -> Connection:
        """Return the first connection that is good; close the others."""
        order = tuple(dict.fromkeys(endpoints))
        found: list[Connection] = []
        wrong: dict[Endpoint, str] = {}
        refused: list[StoreError] = []

        async def try_one(place: int, endpoint: Endpoint, won: Callable[[], None]) -> None:
            await anyio.sleep(place * STAGGER_SECONDS)
            try:
                connection = await self.dial(endpoint)
            except CallFailed as failed:
                text, error = failed.failure.text, failed.failure.error
                hint = advice(text, secure=endpoint.secure)
                wrong[endpoint] = f"{text} ({hint})" if hint else text
                if failed.failure.fate is Fate.REFUSED and error is not None:
                    refused.append(error)
            except ConfigurationError as error:
                wrong[endpoint] = str(error)
            else:
                if connection.has_leader and not found:
                    found.append(connection)
                    won()
                    return
                wrong[endpoint] = "it has no leader: most members of its cluster are out of its reach"
                await connection.close()

        try:
            async with anyio.create_task_group() as tasks:
                for place, endpoint in enumerate(order):
                    tasks.start_soon(try_one, place, endpoint, tasks.cancel_scope.cancel)
        except BaseException:
            for connection in found:
                await connection.close()
            raise
        if found:
            connection = found[0]
            log.info("connected to etcd", endpoint=str(connection.endpoint), version=connection.version)
            return connection
        if refused:
            raise refused[0]
        every = "; ".join(f"{endpoint}: {wrong[endpoint]}" for endpoint in order)
        raise StoreUnavailable(f"no etcd member can be used: {every}")

    async def _watch_over(self) -> None:
        """Ask the member again and again how it is; leave it when it does not answer or has lost its leader."""
        options = self._options
        while True:
            with anyio.move_on_after(options.heartbeat_seconds):
                await self._doubt.wait()
                # Not at once: others have not heard of an election any earlier.
                await anyio.sleep(STAGGER_SECONDS)
            self._doubt = anyio.Event()
            connection = self._current
            if connection is None or connection.lost:
                continue
            if not await self._has_leader(connection) and not connection.lost and len(self._endpoints) > 1:
                await self._look_elsewhere(connection)

    async def _has_leader(self, connection: Connection) -> bool:
        """Ask a member whether it has a leader; give it up when it does not answer.

        It is asked twice: when this process itself stood still for a while, the first time is over at once.
        """
        seconds = self._options.heartbeat_timeout_seconds / 2
        why = ""
        for _ in range(2):
            try:
                with time_limit(seconds):
                    return bool((await connection.unary("Status", rpc_pb2.StatusRequest(), None)).leader)
            except CallFailed as failed:
                if failed.failure.fate is Fate.REFUSED or failed.failure.text == answers.TOO_MANY_REQUESTS.text:
                    return True  # an answer, too
                why = failed.failure.text
        self.give_up(connection, f"it does not answer: {why}")
        return False

    async def _look_elsewhere(self, connection: Connection) -> None:
        others = tuple(one for one in self._endpoints if one != connection.endpoint)
        try:
            better = await self._choose(others)
        except StoreError:
            return
        if connection.lost:
            await better.close()  # others have looked for one meanwhile
            return
        self.give_up(connection, "it has no leader")
        self._current = better

    async def _close(self, connection: Connection) -> None:
        await connection.close()
        self._closing.pop(connection, None)
