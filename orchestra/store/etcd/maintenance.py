"""Looking after a cluster: compaction, status, hash, defragmentation, and a snapshot that any store can be made of."""

from __future__ import annotations

import os
from typing import Final

import anyio
import anyio.to_thread

from orchestra._log import get_logger
from orchestra._proto.etcd.v3 import rpc_pb2
from orchestra.errors import AmbiguousCommit, Compacted, FutureRevision, LeaseNotFound, StoreError, StoreUnavailable
from orchestra.store.etcd import messages
from orchestra.store.etcd.calls import Caller
from orchestra.store.etcd.connector import Connector
from orchestra.store.etcd.failures import CallFailed
from orchestra.store.etcd.history import compact_revision, present_revision
from orchestra.store.etcd.leases import list_leases, time_to_live
from orchestra.store.model import FROM_KEY, KeyspaceHash, KeyValue, SnapshotInfo, StoreStatus
from orchestra.store.snapshot import write_snapshot

FIRST_KEY: Final = b"\x00"

PAGE_KEYS: Final = 500
"""Keys that a snapshot reads at a time; with the largest values a page is still below gRPC's bound."""

SNAPSHOT_ATTEMPTS: Final = 3
"""A snapshot begins anew when its revision is compacted away while it is read."""

DEFRAGMENT_SECONDS: Final = 600.0
"""How long a member may take to defragment its database."""

LEASE_READERS: Final = 16
"""Leases that are asked about at once."""

SHORTEST_TTL_SECONDS: Final = 1

log = get_logger("store")


class Maintenance:
    """What an `EtcdStore` does for its cluster."""

    def __init__(self, connector: Connector, caller: Caller) -> None:
        self._connector = connector
        self._caller = caller

    async def compact(self, revision: int) -> None:
        """Compact, in memory and on disk."""
        if revision <= 0:
            raise Compacted(await compact_revision(self._caller, FIRST_KEY))
        request = rpc_pb2.CompactionRequest(revision=revision, physical=True)
        try:
            await self._caller.call("Compact", request, repeatable=False)
        except Compacted:
            raise Compacted(await compact_revision(self._caller, FIRST_KEY)) from None
        except FutureRevision:
            raise FutureRevision(revision, await present_revision(self._caller, FIRST_KEY)) from None
        except AmbiguousCommit:
            if await compact_revision(self._caller, FIRST_KEY) < revision:
                raise
        log.info("etcd compacted", revision=revision)

    async def status(self) -> StoreStatus:
        """Return revisions and sizes."""
        everything = rpc_pb2.RangeRequest(key=FIRST_KEY, range_end=FROM_KEY, count_only=True)
        counted = await self._caller.call("Range", everything, repeatable=True)
        member = await self._caller.call("Status", rpc_pb2.StatusRequest(), repeatable=True)
        return StoreStatus(
            revision=counted.header.revision,
            compact_revision=await compact_revision(self._caller, FIRST_KEY),
            keys=counted.count,
            size_bytes=member.dbSize,
            in_use_bytes=member.dbSizeInUse,
        )

    async def hash(self, revision: int) -> KeyspaceHash:
        """Hash the history up to a revision."""
        at = revision or await present_revision(self._caller, FIRST_KEY)
        try:
            answer = await self._caller.call("HashKV", rpc_pb2.HashKVRequest(revision=at), repeatable=True)
        except Compacted:
            if revision:
                raise Compacted(await compact_revision(self._caller, FIRST_KEY)) from None
            # Up to 3.4 etcd counts the compact revision itself as compacted, unless it is not named.
            answer = await self._caller.call("HashKV", rpc_pb2.HashKVRequest(), repeatable=True)
            at = answer.hash_revision or answer.header.revision
        except FutureRevision:
            raise FutureRevision(at, await present_revision(self._caller, FIRST_KEY)) from None
        return KeyspaceHash(hash=f"{answer.hash:08x}", revision=at, compact_revision=max(answer.compact_revision, 0))

    async def defragment(self) -> None:
        """Defragment each member, one after the other."""
        for endpoint in self._connector.endpoints:
            try:
                connection = await self._connector.dial(endpoint)
                try:
                    await connection.unary("Defragment", rpc_pb2.DefragmentRequest(), DEFRAGMENT_SECONDS)
                finally:
                    await connection.close()
            except CallFailed as failed:
                if failed.failure.error is not None:
                    raise failed.failure.error from failed
                raise StoreUnavailable(f"{endpoint} was not defragmented: {failed.failure.text}") from failed
            log.info("etcd member defragmented", endpoint=str(endpoint))

    async def snapshot(self, path: str | os.PathLike[str]) -> SnapshotInfo:
        """Write all keys of one revision, and the leases, to a new file."""
        for attempt in range(1, SNAPSHOT_ATTEMPTS + 1):
            try:
                revision, kvs = await self._read_all()
                break
            except Compacted:
                if attempt == SNAPSHOT_ATTEMPTS:
                    raise
        leases: dict[int, int] = {}
        # After the keys: a lease that ended in between took keys with it that this revision still has. It is given
        # the shortest time, so that they go as they did here.
        leases.update(dict.fromkeys((kv.lease for kv in kvs if kv.lease), SHORTEST_TTL_SECONDS))
        await self._read_leases(leases)
        return await anyio.to_thread.run_sync(write_snapshot, path, revision, kvs, leases)

    async def _read_all(self) -> tuple[int, list[KeyValue]]:
        kvs: list[KeyValue] = []
        page = rpc_pb2.RangeRequest(key=FIRST_KEY, range_end=FROM_KEY, limit=PAGE_KEYS)
        while True:
            answer = await self._caller.call("Range", page, repeatable=True)
            if not page.revision:
                page.revision = answer.header.revision
            kvs.extend(map(messages.key_value, answer.kvs))
            if not answer.more:
                return page.revision, kvs
            page.key = kvs[-1].key + b"\x00"

    async def _read_leases(self, leases: dict[int, int]) -> None:
        ids = iter(await list_leases(self._connector, self._caller))
        failed: list[StoreError] = []

        async def read() -> None:
            for lease_id in ids:
                try:
                    leases[lease_id] = (await time_to_live(self._caller, lease_id, keys=False)).ttl_seconds
                except LeaseNotFound:
                    log.debug("lease ended during a snapshot", lease=lease_id)
                except StoreError as error:
                    failed.append(error)
                    return

        async with anyio.create_task_group() as tasks:
            for _ in range(LEASE_READERS):
                tasks.start_soon(read)
        if failed:
            raise failed[0]
