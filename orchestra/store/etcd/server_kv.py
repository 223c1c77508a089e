"""etcd's services KV and Lease, over any store."""

from __future__ import annotations

import math

from orchestra._proto.etcd.v3 import rpc_pb2
from orchestra.errors import LeaseNotFound
from orchestra.store.etcd import answers
from orchestra.store.etcd.rpc import Methods, StreamCall
from orchestra.store.etcd.server_calls import Gate, current_revision, parse, translated, unary
from orchestra.store.etcd.server_errors import refusal
from orchestra.store.etcd.server_messages import (
    Identity,
    delete_response,
    put_response,
    range_response,
    to_delete,
    to_put,
    to_range,
    to_txn,
    txn_response,
)
from orchestra.store.interface import Store
from orchestra.store.model import DeleteResult, PutResult, Txn
from orchestra.store.rules import MAX_LEASE_TTL_SECONDS


class KVService:
    """Keys."""

    def __init__(self, store: Store, identity: Identity) -> None:
        self._store = store
        self._identity = identity

    def methods(self, gate: Gate) -> Methods:
        """Return what it answers."""
        service = "/etcdserverpb.KV/"
        return Methods(
            {
                service + "Range": unary(gate, rpc_pb2.RangeRequest, self.range),
                service + "Put": unary(gate, rpc_pb2.PutRequest, self.put),
                service + "DeleteRange": unary(gate, rpc_pb2.DeleteRangeRequest, self.delete),
                service + "Txn": unary(gate, rpc_pb2.TxnRequest, self.txn),
                service + "Compact": unary(gate, rpc_pb2.CompactionRequest, self.compact),
            },
            {},
        )

    async def range(self, request: rpc_pb2.RangeRequest) -> rpc_pb2.RangeResponse:
        """Read keys."""
        result = await self._store.range(to_range(request))
        return range_response(self._identity.header(result.revision), result)

    async def put(self, request: rpc_pb2.PutRequest) -> rpc_pb2.PutResponse:
        """Write a key."""
        result = await self._store.txn(Txn(success=(to_put(request),)))
        (put,) = result.results
        assert isinstance(put, PutResult)
        return put_response(self._identity.header(result.revision), put)

    async def delete(self, request: rpc_pb2.DeleteRangeRequest) -> rpc_pb2.DeleteRangeResponse:
        """Delete keys."""
        result = await self._store.txn(Txn(success=(to_delete(request),)))
        (deleted,) = result.results
        assert isinstance(deleted, DeleteResult)
        return delete_response(self._identity.header(result.revision), deleted)

    async def txn(self, request: rpc_pb2.TxnRequest) -> rpc_pb2.TxnResponse:
        """Decide and change."""
        result = await self._store.txn(to_txn(request))
        return txn_response(self._identity.header(result.revision), result)

    async def compact(self, request: rpc_pb2.CompactionRequest) -> rpc_pb2.CompactionResponse:
        """Forget history. What is compacted is gone from the disk when a store says so, so all of it is physical."""
        await self._store.compact(max(request.revision, 0))
        return rpc_pb2.CompactionResponse(header=self._identity.header(await current_revision(self._store)))


class LeaseService:
    """Leases."""

    def __init__(self, store: Store, identity: Identity) -> None:
        self._store = store
        self._identity = identity

    def methods(self, gate: Gate) -> Methods:
        """Return what it answers."""
        service = "/etcdserverpb.Lease/"

        async def keep_alive(call: StreamCall) -> None:
            gate.check(call.request)
            await self.keep_alive(call)

        return Methods(
            {
                service + "LeaseGrant": unary(gate, rpc_pb2.LeaseGrantRequest, self.grant),
                service + "LeaseRevoke": unary(gate, rpc_pb2.LeaseRevokeRequest, self.revoke),
                service + "LeaseTimeToLive": unary(gate, rpc_pb2.LeaseTimeToLiveRequest, self.time_to_live),
                service + "LeaseLeases": unary(gate, rpc_pb2.LeaseLeasesRequest, self.leases),
            },
            {service + "LeaseKeepAlive": keep_alive},
        )

    async def _header(self) -> rpc_pb2.ResponseHeader:
        return self._identity.header(await current_revision(self._store))

    async def grant(self, request: rpc_pb2.LeaseGrantRequest) -> rpc_pb2.LeaseGrantResponse:
        """Make a lease. Times below the shortest are raised to it, as etcd does."""
        if request.TTL > MAX_LEASE_TTL_SECONDS:
            raise refusal(answers.LEASE_TTL_TOO_LARGE)
        lease = await self._store.lease_grant(max(request.TTL, 1), request.ID)
        return rpc_pb2.LeaseGrantResponse(header=await self._header(), ID=lease.id, TTL=lease.ttl_seconds)

    async def revoke(self, request: rpc_pb2.LeaseRevokeRequest) -> rpc_pb2.LeaseRevokeResponse:
        """End a lease."""
        revision = await self._store.lease_revoke(request.ID)
        return rpc_pb2.LeaseRevokeResponse(header=self._identity.header(revision))

    async def time_to_live(self, request: rpc_pb2.LeaseTimeToLiveRequest) -> rpc_pb2.LeaseTimeToLiveResponse:
        """Say what is left of a lease; -1 for one that there is not."""
        try:
            lease = await self._store.lease_status(request.ID, keys=request.keys)
        except LeaseNotFound:
            return rpc_pb2.LeaseTimeToLiveResponse(header=await self._header(), ID=request.ID, TTL=-1)
        return rpc_pb2.LeaseTimeToLiveResponse(
            header=await self._header(),
            ID=lease.id,
            TTL=math.floor(lease.remaining_seconds),
            grantedTTL=lease.ttl_seconds,
            keys=lease.keys,
        )

    async def leases(self, _: rpc_pb2.LeaseLeasesRequest) -> rpc_pb2.LeaseLeasesResponse:
        """List the leases."""
        ids = await self._store.leases()
        return rpc_pb2.LeaseLeasesResponse(
            header=await self._header(), leases=[rpc_pb2.LeaseStatus(ID=lease_id) for lease_id in ids]
        )

    async def keep_alive(self, call: StreamCall) -> None:
        """Give leases their whole time again, for as long as the client asks; 0 is what is left of an unknown one."""
        while (message := await call.receive()) is not None:
            request = parse(rpc_pb2.LeaseKeepAliveRequest, message)
            with translated():
                try:
                    ttl = (await self._store.lease_keep_alive(request.ID)).ttl_seconds
                except LeaseNotFound:
                    ttl = 0
                answer = rpc_pb2.LeaseKeepAliveResponse(header=await self._header(), ID=request.ID, TTL=ttl)
            await call.send(answer.SerializeToString())
