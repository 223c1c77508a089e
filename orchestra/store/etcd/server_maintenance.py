"""etcd's services Maintenance and Cluster, for the one member that a served store is."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

import anyio
import anyio.to_thread

from orchestra._proto.etcd.v3 import rpc_pb2
from orchestra.store.etcd import answers
from orchestra.store.etcd.rpc import Methods, StreamCall
from orchestra.store.etcd.server_calls import Gate, current_revision, parse, translated, unary
from orchestra.store.etcd.server_errors import refusal
from orchestra.store.etcd.server_messages import RAFT_TERM, Identity
from orchestra.store.interface import Store

ETCD_VERSION: Final = "3.5.21"
"""The etcd whose API is served, which clients ask for to know what they may expect."""

SNAPSHOT_CHUNK_BYTES: Final = 128 * 1024

MAX_SNAPSHOTS: Final = 2
"""Snapshots that are made and read at a time; further ones wait."""

SNAPSHOT_PATIENCE_SECONDS: Final = 60.0
"""How long a client may take for one piece of a snapshot, before another one gets its turn."""


class MaintenanceService:
    """How the store is, and its upkeep."""

    def __init__(self, store: Store, identity: Identity, address: Callable[[], str]) -> None:
        self._store = store
        self._identity = identity
        self._address = address
        self._snapshots = anyio.Semaphore(MAX_SNAPSHOTS)

    def methods(self, gate: Gate) -> Methods:
        """Return what it answers."""
        service = "/etcdserverpb.Maintenance/"

        async def snapshot(call: StreamCall) -> None:
            gate.check(call.request)
            await self.snapshot(call)

        return Methods(
            {
                service + "Alarm": unary(gate, rpc_pb2.AlarmRequest, self.alarm),
                service + "Status": unary(gate, rpc_pb2.StatusRequest, self.status),
                service + "Defragment": unary(gate, rpc_pb2.DefragmentRequest, self.defragment),
                service + "Hash": unary(gate, rpc_pb2.HashRequest, self.hash),
                service + "HashKV": unary(gate, rpc_pb2.HashKVRequest, self.hash_kv),
                "/etcdserverpb.Cluster/MemberList": unary(gate, rpc_pb2.MemberListRequest, self.member_list),
            },
            {service + "Snapshot": snapshot},
        )

    async def _header(self) -> rpc_pb2.ResponseHeader:
        return self._identity.header(await current_revision(self._store))

    async def alarm(self, request: rpc_pb2.AlarmRequest) -> rpc_pb2.AlarmResponse:
        """List the alarms, of which a store has none: a write that finds no room says so by itself."""
        if request.action == rpc_pb2.AlarmRequest.ACTIVATE:
            raise refusal(answers.NOT_SUPPORTED)
        # etcd does not say its revision here, nor when it defragments or lists its members.
        return rpc_pb2.AlarmResponse(header=self._identity.header(0))

    async def status(self, _: rpc_pb2.StatusRequest) -> rpc_pb2.StatusResponse:
        """Say how the store is. What etcd tells of raft's log is the revision here."""
        status = await self._store.status()
        return rpc_pb2.StatusResponse(
            header=self._identity.header(status.revision),
            version=ETCD_VERSION,
            dbSize=status.size_bytes,
            dbSizeInUse=status.in_use_bytes,
            leader=self._identity.member_id,
            raftIndex=status.revision,
            raftTerm=RAFT_TERM,
            raftAppliedIndex=status.revision,
        )

    async def defragment(self, _: rpc_pb2.DefragmentRequest) -> rpc_pb2.DefragmentResponse:
        """Give free space back to the file system."""
        await self._store.defragment()
        return rpc_pb2.DefragmentResponse(header=self._identity.header(0))

    async def hash(self, _: rpc_pb2.HashRequest) -> rpc_pb2.HashResponse:
        """Hash the whole keyspace."""
        found = await self._store.hash()
        return rpc_pb2.HashResponse(header=self._identity.header(found.revision), hash=_number(found.hash))

    async def hash_kv(self, request: rpc_pb2.HashKVRequest) -> rpc_pb2.HashKVResponse:
        """Hash the history up to a revision."""
        found = await self._store.hash(max(request.revision, 0))
        return rpc_pb2.HashKVResponse(
            header=await self._header(),
            hash=_number(found.hash),
            # etcd's word for a history that was never compacted.
            compact_revision=found.compact_revision or -1,
            hash_revision=found.revision,
        )

    async def member_list(self, _: rpc_pb2.MemberListRequest) -> rpc_pb2.MemberListResponse:
        """Name the one member."""
        identity = self._identity
        member = rpc_pb2.Member(ID=identity.member_id, name=identity.name, clientURLs=[self._address()])
        return rpc_pb2.MemberListResponse(header=identity.header(0), members=[member])

    async def snapshot(self, call: StreamCall) -> None:
        """Send a snapshot as a file of this project's: what `restore_snapshot` reads, not what etcd keeps."""
        parse(rpc_pb2.SnapshotRequest, await call.receive() or b"")
        async with self._snapshots:
            with tempfile.TemporaryDirectory(prefix="orchestra-snapshot-") as folder:
                path = Path(folder) / "snapshot"
                with translated():
                    await self._store.snapshot(path)
                await self._send(call, path)

    async def _send(self, call: StreamCall, path: Path) -> None:
        async with await anyio.open_file(path, "rb") as file:
            remaining = (await anyio.Path(path).stat()).st_size
            header = await self._header()
            while blob := await file.read(SNAPSHOT_CHUNK_BYTES):
                remaining -= len(blob)
                answer = rpc_pb2.SnapshotResponse(
                    header=header, remaining_bytes=remaining, blob=blob, version=ETCD_VERSION
                )
                with anyio.move_on_after(SNAPSHOT_PATIENCE_SECONDS) as patience:
                    await call.send(answer.SerializeToString())
                if patience.cancelled_caught:
                    raise refusal(answers.TIMEOUT)


def _number(digest: str) -> int:
    """Return the first 32 bits of a hash, which is all that etcd's answer has room for."""
    return int(digest[:8], 16)
