"""What is particular to a store on a real etcd: reaching it, its limits, and what is said when it refuses."""

from __future__ import annotations

import time
from pathlib import Path

import anyio
import pytest

from orchestra.errors import (
    AmbiguousCommit,
    CommitFailed,
    ConfigurationError,
    InvalidTxn,
    LeaseNotFound,
    StaleFence,
    StoreClosed,
    StoreError,
    StoreUnavailable,
)
from orchestra.store import (
    MAX_TXN_BYTES,
    EtcdOptions,
    EtcdStore,
    Fence,
    Put,
    Range,
    SQLiteStore,
    Txn,
    WatchRequest,
    restore_snapshot,
)
from orchestra.store.etcd.options import Endpoint, parse_endpoints
from tests.store.etcd_cluster import EtcdBinary, EtcdCluster, free_ports

IMPATIENT = EtcdOptions(connect_timeout_seconds=1, request_timeout_seconds=2, heartbeat_seconds=0.3)


def test_endpoints_are_addresses_urls_or_sockets() -> None:
    given = "etcd://10.0.0.1:2379,[::1]:2379, https://c:1"
    assert parse_endpoints(given, tls=False) == (
        Endpoint("10.0.0.1:2379", False),
        Endpoint("[::1]:2379", False),
        Endpoint("c:1", True),
    )
    assert parse_endpoints(["unix:/run/e", "unix:///run/e"], tls=False) == (Endpoint("unix:/run/e", False),)
    assert parse_endpoints(["a:1", "a:1"], tls=True) == (Endpoint("a:1", True),)


@pytest.mark.parametrize("wrong", ["", "a", "a:0", "a:70000", "ftp://a:1", ":1", "unix:", []])
def test_what_is_no_endpoint_is_refused(wrong: str | list[str]) -> None:
    with pytest.raises(ConfigurationError):
        EtcdStore(wrong)


async def test_dead_endpoints_before_the_living_one_cost_a_moment(etcd: EtcdCluster) -> None:
    dead = [f"127.0.0.1:{port}" for port in free_ports(2)]
    began = time.monotonic()
    async with EtcdStore([*dead, *etcd.endpoints]) as store:
        await store.put(b"a", b"1")
    assert time.monotonic() - began < EtcdOptions().connect_timeout_seconds


async def test_opening_fails_in_time_and_names_every_endpoint() -> None:
    dead = [f"127.0.0.1:{port}" for port in free_ports(2)]
    began = time.monotonic()
    with pytest.raises(StoreUnavailable, match="nothing listens there") as refused:
        async with EtcdStore(dead, options=IMPATIENT):
            pass
    assert all(endpoint in str(refused.value) for endpoint in dead)
    assert time.monotonic() - began < 5


async def test_a_store_opens_again_after_it_was_closed(etcd: EtcdCluster) -> None:
    store = EtcdStore(etcd.endpoints)
    for number in range(3):
        async with store:
            await store.put(b"again", b"%d" % number)
            with pytest.raises(StoreError, match="open already"):
                await store.__aenter__()
    with pytest.raises(StoreClosed):
        store.watch(WatchRequest(b"a"))


async def test_calls_under_way_end_when_the_store_closes(etcd: EtcdCluster) -> None:
    store = EtcdStore(etcd.endpoints)
    ended: list[str] = []

    async def write_on() -> None:
        try:
            while True:
                await store.put(b"under-way", b"x")
        except (StoreClosed, AmbiguousCommit) as error:
            ended.append(type(error).__name__)

    async with anyio.create_task_group() as tasks, store:
        for _ in range(8):
            tasks.start_soon(write_on)
        await store.put(b"under-way", b"y")
    assert len(ended) == 8


async def test_a_cancelled_call_leaves_the_connection_alone(etcd: EtcdCluster) -> None:
    async with EtcdStore(etcd.endpoints) as store, store.watch(WatchRequest(b"steady")) as watch:
        for number in range(20):
            async with anyio.create_task_group() as tasks:
                for _ in range(5):
                    tasks.start_soon(store.put, b"cancelled", b"%d" % number)
                    tasks.start_soon(store.get, b"cancelled")
                await anyio.lowlevel.checkpoint()
                tasks.cancel_scope.cancel()
        last = (await store.put(b"steady", b"1")).revision
        assert (await watch.__anext__()).revision == last
    log = etcd.members[0].log()
    assert "panic" not in log


async def test_a_time_limit_around_a_call_is_one(etcd: EtcdCluster) -> None:
    hits = 0
    async with EtcdStore(etcd.endpoints) as store:
        for number in range(40):
            with anyio.move_on_after(number * 0.0001) as scope:
                await store.put(b"limited", b"x")
            hits += scope.cancelled_caught
        assert hits > 0
        await store.put(b"limited", b"y")


async def test_a_txn_of_the_most_bytes_fits_and_one_more_is_not_sent(etcd: EtcdCluster) -> None:
    async with EtcdStore(etcd.endpoints) as store:
        revision = (await store.put(b"k", bytes(MAX_TXN_BYTES - 1))).revision
        with pytest.raises(InvalidTxn, match=f"{MAX_TXN_BYTES + 1} bytes.*at most {MAX_TXN_BYTES}"):
            await store.put(b"k", bytes(MAX_TXN_BYTES))
        assert (await store.get(b"k")).mod_revision == revision  # type: ignore[union-attr]
        await store.delete(b"k")


async def test_what_is_too_large_for_the_member_is_refused_with_its_size(
    etcd_binary: EtcdBinary, tmp_path: Path
) -> None:
    arguments = ["--max-request-bytes=10000", "--max-txn-ops=5"]
    with EtcdCluster(tmp_path, binary=etcd_binary, arguments=arguments) as cluster:
        async with EtcdStore(cluster.endpoints) as store:
            with pytest.raises(InvalidTxn, match=r"too large.*20\d\d\d bytes"):
                await store.put(b"k", bytes(20_000))
            with pytest.raises(InvalidTxn, match="too large"):  # even for what gRPC lets in
                await store.put(b"k", bytes(1_000_000))
            with pytest.raises(InvalidTxn, match="too many operations"):
                await store.txn(Txn(success=tuple(Put(b"%d" % number) for number in range(6))))
            assert (await store.status()).keys == 0


async def test_a_full_database_refuses_writes_and_says_what_to_do(etcd_binary: EtcdBinary, tmp_path: Path) -> None:
    arguments = ["--quota-backend-bytes=1000000"]
    with EtcdCluster(tmp_path, binary=etcd_binary, arguments=arguments) as cluster:
        async with EtcdStore(cluster.endpoints) as store:
            written = 0
            # etcd does the write that takes it over the quota, and says that it did not.
            with pytest.raises(AmbiguousCommit, match="quota-backend-bytes"):
                while written < 100:
                    await store.put(b"k%d" % written, bytes(100_000))
                    written += 1
            assert 0 < written < 100
            found = await store.range(Range(b"k", b"l", keys_only=True))
            assert len(found.kvs) in {written, written + 1}
            for refused in (store.put(b"l", b""), store.put(b"k0", b"x"), store.lease_grant(60)):
                with pytest.raises(CommitFailed, match="quota-backend-bytes"):
                    await refused
            assert (await store.range(Range(b"\x00", b"\x00"))).revision == found.revision
            assert (await store.delete(b"k", b"l")).deleted == found.count, "making room is allowed"
            await store.compact((await store.status()).revision)
            await store.defragment()
            cluster.ctl("alarm", "disarm")
            await store.put(b"k", b"there is room again")


async def test_a_stale_fence_is_refused_with_the_present_state(etcd: EtcdCluster) -> None:
    async with EtcdStore(etcd.endpoints) as store:
        await store.delete(b"fence")
        old = Fence(b"fence", 1)
        with pytest.raises(StaleFence, match="is gone; this writer's is of 1"):
            await store.txn(Txn(success=(Put(b"a"),), fence=old))
        term = (await store.put(b"fence", b"me")).revision
        with pytest.raises(StaleFence, match=f"was created at {term}; this writer's is of 1"):
            await store.txn(Txn(success=(Put(b"a"),), fence=old))
        fenced = Txn(success=(Put(b"a", b"1", prev_kv=True), Range(b"a")), fence=Fence(b"fence", term))
        result = await store.txn(fenced)
        assert (result.succeeded, len(result.results)) == (True, 2)


async def test_leases_are_kept_alive_over_one_stream_and_each_gets_its_own_answer(etcd: EtcdCluster) -> None:
    async with EtcdStore(etcd.endpoints) as store:
        granted = [await store.lease_grant(60 + number) for number in range(20)]
        answers: dict[int, int] = {}
        missing: list[int] = []

        async def keep(lease_id: int) -> None:
            try:
                answers[lease_id] = (await store.lease_keep_alive(lease_id)).ttl_seconds
            except LeaseNotFound:
                missing.append(lease_id)

        async with anyio.create_task_group() as tasks:
            for lease in granted:
                tasks.start_soon(keep, lease.id)
                tasks.start_soon(keep, 10**15 + lease.ttl_seconds)
        assert answers == {lease.id: lease.ttl_seconds for lease in granted}
        assert len(missing) == len(granted)
        with anyio.move_on_after(0):  # its answer comes, and must not be taken for the next one's
            await store.lease_keep_alive(granted[0].id)
        assert (await store.lease_keep_alive(granted[1].id)).ttl_seconds == 61


async def test_a_short_lease_says_what_etcd_granted(etcd: EtcdCluster) -> None:
    async with EtcdStore(etcd.endpoints) as store:
        granted = await store.lease_grant(1)
        assert granted.ttl_seconds > 1
        assert (await store.lease_status(granted.id)).ttl_seconds == granted.ttl_seconds
        await store.lease_revoke(granted.id)


async def test_a_cluster_moves_to_sqlite_by_a_snapshot(etcd: EtcdCluster, tmp_path: Path) -> None:
    async with EtcdStore(etcd.endpoints) as store:
        await store.delete(b"\x00", b"\x00")
        for first in range(0, 1200, 100):
            await store.txn(Txn(success=tuple(Put(b"m/%04d" % at, b"v%d" % at) for at in range(first, first + 100))))
        lease = await store.lease_grant(600)
        await store.put(b"leased", b"1", lease=lease.id)
        before = (await store.range(Range(b"\x00", b"\x00"))).kvs
        written = await store.snapshot(tmp_path / "snapshot")
        assert written.revision == (await store.status()).revision
    await restore_snapshot(tmp_path / "snapshot", tmp_path / "new.db")
    async with SQLiteStore(tmp_path / "new.db") as moved:
        after = (await moved.range(Range(b"\x00", b"\x00"))).kvs
        assert [(kv.key, kv.value, kv.lease) for kv in after] == [(kv.key, kv.value, kv.lease) for kv in before]
        assert (await moved.lease_status(lease.id, keys=True)).keys == (b"leased",)
        assert (await moved.status()).revision >= written.revision


async def test_status_and_defragmentation_are_of_the_real_database(etcd_binary: EtcdBinary, tmp_path: Path) -> None:
    with EtcdCluster(tmp_path, binary=etcd_binary) as cluster:
        async with EtcdStore(cluster.endpoints) as store:
            assert (await store.status()).compact_revision == 0
            for _ in range(30):
                last = (await store.put(b"big", bytes(200_000))).revision
            for at in (last - 7, last):
                await store.compact(at)
                assert (await store.status()).compact_revision == at
            full = await store.status()
            assert (full.revision, full.keys) == (last, 1)
            assert full.in_use_bytes < full.size_bytes
            await store.defragment()
            assert (await store.status()).size_bytes < full.size_bytes / 2
