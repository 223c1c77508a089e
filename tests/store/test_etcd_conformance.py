from __future__ import annotations

import grpc
import pytest

from orchestra._proto.etcd.v3 import rpc_pb2, rpc_pb2_grpc
from orchestra.errors import Compacted
from orchestra.store import EtcdStore
from orchestra.store.etcd.channel import DELETES_KEPT, has_fix
from orchestra.testing.store_conformance import Check, StoreConformance, StoreFactory
from tests.store.etcd_cluster import EtcdCluster

NEED_DELETES_KEPT = {
    "a_watch_from_the_compact_revision_on_is_told_all",
    "a_delete_at_the_compact_revision_is_still_told",
}
"""Older etcds forget the deletes of the compact revision; instead of leaving them out the store says Compacted."""


def wipe(cluster: EtcdCluster) -> None:
    """Delete all keys and leases; revisions go on."""
    with grpc.insecure_channel(cluster.endpoints[0]) as channel:
        leases = rpc_pb2_grpc.LeaseStub(channel)
        for lease in leases.LeaseLeases(rpc_pb2.LeaseLeasesRequest()).leases:
            leases.LeaseRevoke(rpc_pb2.LeaseRevokeRequest(ID=lease.ID))
        everything = rpc_pb2.DeleteRangeRequest(key=b"\x00", range_end=b"\x00")
        rpc_pb2_grpc.KVStub(channel).DeleteRange(everything)


class TestEtcdStore(StoreConformance):
    @pytest.fixture
    def open_store(self, etcd: EtcdCluster, request: pytest.FixtureRequest) -> StoreFactory:
        wipe(etcd)
        check: Check = request.node.callspec.params["check"]
        if check.__name__ in NEED_DELETES_KEPT and not has_fix(etcd.binary.version, DELETES_KEPT):
            request.applymarker(pytest.mark.xfail(raises=Compacted, strict=True, reason="etcd pull request 18474"))
        return lambda: EtcdStore(etcd.endpoints)
