"""What clients of a served store hear when the store refuses or fails."""

from __future__ import annotations

import anyio
import grpc.aio
import pytest

from orchestra.errors import (
    AmbiguousCommit,
    CommitFailed,
    Compacted,
    CorruptStore,
    FutureRevision,
    InvalidTxn,
    LeaseExists,
    LeaseNotFound,
    StoreAccessDenied,
    StoreClosed,
    StoreError,
    StoreUnavailable,
)
from orchestra.store import EtcdServer, EtcdStore, MemoryStore, Range, Txn, TxnResult, serve_etcd
from orchestra.store.etcd.failures import QUOTA_REACHED
from orchestra.store.etcd.rpc import Limits
from tests.store.etcd_calls import call


class Failing(MemoryStore):
    def __init__(self, error: Exception) -> None:
        super().__init__()
        self._error = error

    async def txn(self, request: Txn) -> TxnResult:
        raise self._error


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (Compacted(5), "OUT_OF_RANGE: etcdserver: mvcc: required revision has been compacted"),
        (FutureRevision(9, 5), "OUT_OF_RANGE: etcdserver: mvcc: required revision is a future revision"),
        (LeaseNotFound("x"), "NOT_FOUND: etcdserver: requested lease not found"),
        (LeaseExists("x"), "FAILED_PRECONDITION: etcdserver: lease already exists"),
        (CommitFailed("database or disk is full"), "RESOURCE_EXHAUSTED: etcdserver: mvcc: database space exceeded"),
        (CommitFailed(QUOTA_REACHED), "RESOURCE_EXHAUSTED: etcdserver: mvcc: database space exceeded"),
        (CommitFailed("/fulltime/quota.db: I/O error"), "ABORTED: etcdserver: the write was not committed"),
        (CommitFailed("I/O error in /a/secret"), "ABORTED: etcdserver: the write was not committed"),
        (AmbiguousCommit("x"), "UNAVAILABLE: etcdserver: request timed out"),
        (StoreUnavailable("x"), "UNAVAILABLE: etcdserver: no leader"),
        (StoreAccessDenied("x"), "PERMISSION_DENIED: etcdserver: permission denied"),
        (CorruptStore("x"), "DATA_LOSS: etcdserver: corrupt cluster"),
        (StoreClosed("x"), "UNAVAILABLE: etcdserver: server stopped"),
        (InvalidTxn("a secret rule"), "INVALID_ARGUMENT: etcdserver: invalid request"),
        (StoreError("a secret"), "INTERNAL: etcdserver: internal error"),
        (RuntimeError("a secret"), "INTERNAL: the server failed"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
async def test_each_failure_has_etcds_words_and_no_others(error: Exception, told: str) -> None:
    async with (
        Failing(error) as store,
        serve_etcd(store, "127.0.0.1:0", insecure=True) as server,
        grpc.aio.insecure_channel(server.address) as channel,
    ):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call(channel, "Put", 'key: "a"')
        heard = f"{caught.value.code().name}: {caught.value.details()}"
        assert heard.startswith(told)
        assert "secret" not in heard


@pytest.mark.parametrize(
    ("error", "seen"),
    [
        (CommitFailed("I/O error"), CommitFailed),
        # In the words for it an etcd may also say that the write was the last that went in.
        (CommitFailed("disk is full"), AmbiguousCommit),
        (AmbiguousCommit("x"), AmbiguousCommit),
        (LeaseNotFound("x"), LeaseNotFound),
    ],
)
async def test_a_store_over_a_served_store_fails_alike(error: StoreError, seen: type[StoreError]) -> None:
    async with (
        Failing(error) as store,
        serve_etcd(store, "127.0.0.1:0", insecure=True) as server,
        EtcdStore(server.address) as remote,
    ):
        with pytest.raises(seen):
            await remote.put(b"a", b"1")


async def test_writes_beside_large_answers_are_put_off_and_never_in_doubt() -> None:
    limits = Limits(max_held_bytes=1_000_000)
    async with (
        MemoryStore() as store,
        EtcdServer(store, "127.0.0.1:0", insecure=True, limits=limits) as server,
        EtcdStore(server.address) as remote,
    ):
        for number in range(4):
            await store.put(b"large/%d" % number, bytes(1_000_000))

        async def read() -> None:
            assert len((await remote.range(Range(b"large/", b"large0"))).kvs) == 4

        async with anyio.create_task_group() as tasks:
            for _ in range(4):
                tasks.start_soon(read)
            for number in range(50):
                tasks.start_soon(remote.put, b"small/%d" % number, b"")
        assert (await store.range(Range(b"small/", b"small0"))).count == 50
