"""`EtcdStore`: the contract of a store on a real etcd cluster (3.4 or newer)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any, Self

import anyio
from anyio.abc import TaskGroup

from orchestra._proto.etcd.v3 import rpc_pb2
from orchestra.clock import Clock, SystemClock
from orchestra.errors import (
    Compacted,
    FutureRevision,
    InvalidTxn,
    LeaseExists,
    LeaseNotFound,
    StaleFence,
    StoreClosed,
    StoreError,
    StoreUnavailable,
)
from orchestra.store.etcd import messages
from orchestra.store.etcd.calls import Caller
from orchestra.store.etcd.connector import STAGGER_SECONDS, Connector
from orchestra.store.etcd.history import compact_revision, present_revision
from orchestra.store.etcd.leases import KeepAlive, grant, list_leases, time_to_live
from orchestra.store.etcd.maintenance import Maintenance
from orchestra.store.etcd.options import EtcdOptions, EtcdTLS, parse_endpoints
from orchestra.store.etcd.watch import EtcdWatch
from orchestra.store.etcd.watches import Watches
from orchestra.store.interface import Store
from orchestra.store.model import (
    PROGRESS_SECONDS,
    Fence,
    KeyspaceHash,
    LeaseStatus,
    Range,
    RangeResult,
    SnapshotInfo,
    StoreStatus,
    Txn,
    TxnResult,
    WatchRequest,
)
from orchestra.store.rules import check_lease, check_range, check_txn, is_read_only


class EtcdStore(Store):
    """A store that is an etcd cluster: `EtcdStore(["10.0.0.1:2379", "10.0.0.2:2379"], tls=EtcdTLS(ca="ca.pem"))`.

    Endpoints are HOST:PORT, with http:// or https:// if one likes, or unix:PATH. One of them is connected to at a time;
    when it does not answer or has no leader another one is, and watches go on there without a gap or a duplicate. With
    a username the store authenticates, and again when its token has become invalid.

    Reads are linearizable, and tried again for `options.request_timeout_seconds`. A write is tried again only while it
    certainly did not happen; if it may have, `AmbiguousCommit` is raised. `StoreUnavailable` says that nothing
    happened and nobody could be reached, `StoreAccessDenied` that the cluster does not let this user do that.

    Limits of the members are the members': by default a txn of just 1.5 MiB is a little too large for etcd, which
    counts its encoding too (start them with `--max-request-bytes=2097152` for the whole contract). Leases shorter than
    etcd's least time (about 2 s) get that; `LeaseStatus.ttl_seconds` says what was granted. `hash` is etcd's own.
    """

    def __init__(
        self,
        endpoints: str | Iterable[str],
        *,
        tls: EtcdTLS | None = None,
        username: str = "",
        password: str = "",
        options: EtcdOptions | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._endpoints = parse_endpoints(endpoints, tls=tls is not None)
        self._tls = tls
        self._user = (username, password)
        self._options = options or EtcdOptions()
        self._clock = clock or SystemClock()
        self._tasks: TaskGroup | None = None
        self._assemble()

    def _assemble(self) -> None:
        options = self._options
        self._connector = Connector(
            self._endpoints, options, tls=self._tls, username=self._user[0], password=self._user[1]
        )
        self._caller = Caller(self._connector, self._clock, timeout_seconds=options.request_timeout_seconds)
        self._keeper = KeepAlive(self._connector, self._clock, timeout_seconds=options.request_timeout_seconds)
        self._watches = Watches(self._connector, self._caller, self._clock, options)
        self._maintenance = Maintenance(self._connector, self._caller)

    # Life

    async def __aenter__(self) -> Self:
        """Connect. Raises `StoreUnavailable` naming each endpoint, `StoreAccessDenied`, `ConfigurationError`."""
        if self._tasks is not None:
            raise StoreError("the store is open already")
        if self._tls is not None:
            self._tls.read()
        self._assemble()
        tasks = self._tasks = anyio.create_task_group()
        await tasks.__aenter__()
        try:
            self._connector.start(tasks)
            await self._connect()
            await tasks.start(self._watches.run)
            for run in (self._keeper.run, self._keep_time):
                tasks.start_soon(run)
        except BaseException as error:
            await self.__aexit__(type(error), error, error.__traceback__)
            raise
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> bool | None:
        """Close: what is under way ends with `StoreClosed`, or `AmbiguousCommit` where it may have happened."""
        tasks, self._tasks = self._tasks, None
        assert tasks is not None
        self._connector.refuse()
        if not isinstance(exc, anyio.get_cancelled_exc_class()):
            # An exception of the body passes by the task group, which would wrap it into an ExceptionGroup. A
            # cancellation does not: possibly it is the group's own doing, because one of its tasks failed.
            exc_type = exc = traceback = None
            tasks.cancel_scope.cancel()
        try:
            swallowed = await tasks.__aexit__(exc_type, exc, traceback)
        finally:
            await self._connector.close()
        return swallowed if exc is not None else None

    async def _connect(self) -> None:
        seconds = self._options.connect_timeout_seconds
        reason = "none answered"
        with anyio.move_on_after(seconds):
            while True:
                try:
                    await self._connector.get()
                    return
                except StoreUnavailable as error:
                    reason = str(error)
                await anyio.sleep(STAGGER_SECONDS)
        names = ", ".join(map(str, self._endpoints))
        raise StoreUnavailable(f"no connection to etcd at {names} within {seconds:g} s: {reason}")

    async def _keep_time(self) -> None:
        while True:
            await anyio.sleep(PROGRESS_SECONDS)
            self._watches.tick()

    async def _call(self, rpc: str, request: Any, *, repeatable: bool) -> Any:
        self._check_open()
        return await self._caller.call(rpc, request, repeatable=repeatable)

    def _check_open(self) -> None:
        if self._tasks is None:
            raise StoreClosed("the store is not open")

    # Keys

    async def range(self, request: Range) -> RangeResult:
        """See `Store.range`. The answer is one message of at most 2 GiB: read more with `limit`, in parts."""
        check_range(request)
        try:
            answer = await self._call("Range", messages.range_request(request), repeatable=True)
        except (Compacted, FutureRevision) as error:
            raise await self._located(error, request.key, request.revision) from None
        return messages.range_result(answer, answer.header.revision)

    async def txn(self, request: Txn) -> TxnResult:
        """See `Store.txn`."""
        check_txn(request)
        if (sole := messages.sole_delete(request)) is not None:
            # A member whose quota is reached takes this, and no txn, so that room can be made.
            deleted = await self._call("DeleteRange", sole, repeatable=False)
            return messages.sole_delete_result(deleted)
        if messages.puts_anything(request):
            await self._caller.check_room()
        message = messages.txn_request(request)
        try:
            answer = await self._call("Txn", message, repeatable=is_read_only(request))
        except (Compacted, FutureRevision) as error:
            read = max(messages.ranges_in(request), key=_distance(error))
            raise await self._located(error, read.key, read.revision) from None
        except InvalidTxn as error:
            raise InvalidTxn(f"{error} (the request has {message.ByteSize()} bytes)") from None
        revision = answer.header.revision
        if request.fence is None:
            return messages.txn_result(answer, request, revision)
        if not answer.succeeded:
            raise _stale(request.fence, answer)
        return messages.txn_result(answer.responses[0].response_txn, request, revision)

    def watch(self, request: WatchRequest) -> AbstractAsyncContextManager[EtcdWatch]:
        """See `Store.watch`. A watch outlives connections and leaders; during an outage it waits."""
        self._check_open()
        return EtcdWatch(self._watches, request)

    async def _located(self, error: StoreError, key: bytes, revision: int) -> StoreError:
        """Return an error about revisions with the numbers that etcd leaves out."""
        if isinstance(error, Compacted):
            return Compacted(await compact_revision(self._caller, key))
        return FutureRevision(revision, await present_revision(self._caller, key))

    # Leases

    async def lease_grant(self, ttl_seconds: int, lease_id: int = 0) -> LeaseStatus:
        """See `Store.lease_grant`."""
        check_lease(lease_id or 1, ttl_seconds)
        self._check_open()
        await self._caller.check_room()
        if lease_id:
            return await grant(self._caller, lease_id, ttl_seconds, repeatable=False)
        # A number that nobody else has makes the request one that can be repeated.
        chosen = self._clock.random.getrandbits(62) or 1
        try:
            return await grant(self._caller, chosen, ttl_seconds, repeatable=True)
        except LeaseExists:
            return await time_to_live(self._caller, chosen, keys=False)

    async def lease_keep_alive(self, lease_id: int) -> LeaseStatus:
        """See `Store.lease_keep_alive`."""
        self._check_open()
        ttl_seconds = await self._keeper.keep_alive(lease_id)
        return LeaseStatus(lease_id, ttl_seconds, ttl_seconds)

    async def lease_revoke(self, lease_id: int) -> int:
        """See `Store.lease_revoke`. The revision is the cluster's just after it."""
        try:
            answer = await self._call("LeaseRevoke", rpc_pb2.LeaseRevokeRequest(ID=lease_id), repeatable=False)
        except LeaseNotFound:
            raise LeaseNotFound(f"lease {lease_id} not found") from None
        return int(answer.header.revision)

    async def lease_status(self, lease_id: int, *, keys: bool = False) -> LeaseStatus:
        """See `Store.lease_status`."""
        self._check_open()
        return await time_to_live(self._caller, lease_id, keys=keys)

    async def leases(self) -> tuple[int, ...]:
        """See `Store.leases`."""
        self._check_open()
        return await list_leases(self._connector, self._caller)

    # Maintenance

    async def compact(self, revision: int) -> None:
        """See `Store.compact`; returns when the members' space is free for use."""
        self._check_open()
        await self._maintenance.compact(revision)

    async def status(self) -> StoreStatus:
        """See `Store.status`; sizes are those of the member that is connected."""
        self._check_open()
        return await self._maintenance.status()

    async def hash(self, revision: int = 0) -> KeyspaceHash:
        """See `Store.hash`: etcd's HashKV of the member that is connected, in hexadecimal."""
        self._check_open()
        return await self._maintenance.hash(revision)

    async def defragment(self) -> None:
        """See `Store.defragment`: every member, one after the other; each serves nobody meanwhile."""
        self._check_open()
        await self._maintenance.defragment()

    async def snapshot(self, path: str | os.PathLike[str]) -> SnapshotInfo:
        """See `Store.snapshot`: in Orchestra's own format, from which a SQLiteStore can be restored."""
        self._check_open()
        return await self._maintenance.snapshot(path)


def _distance(error: StoreError) -> Callable[[Range], int]:
    """Return how to find the range that an error about revisions must be about: the oldest, or the furthest."""
    sign = -1 if isinstance(error, Compacted) else 1
    return lambda request: sign * request.revision if request.revision else -(2**63)


def _stale(fence: Fence, answer: rpc_pb2.TxnResponse) -> StaleFence:
    found = answer.responses[0].response_range.kvs
    now = f"was created at {found[0].create_revision}" if found else "is gone"
    return StaleFence(f"fence key {fence.key!r} {now}; this writer's is of {fence.create_revision}")
