"""How far back a cluster can be read. etcd does not say where it was compacted, so it is searched for."""

from __future__ import annotations

from orchestra._proto.etcd.v3 import rpc_pb2
from orchestra.errors import Compacted, FutureRevision
from orchestra.store.etcd.calls import Caller


async def present_revision(caller: Caller, key: bytes) -> int:
    """Return the cluster's revision now; `key` is one that the user may read."""
    answer = await caller.call("Range", rpc_pb2.RangeRequest(key=key, count_only=True), repeatable=True)
    return int(answer.header.revision)


async def compact_revision(caller: Caller, key: bytes) -> int:
    """Return the revision that the cluster was compacted to, 0 if it never was, by bisection: some 20 small reads."""
    low, high = 1, await present_revision(caller, key)
    if await _is_readable(caller, key, low):
        return 0
    while low < high:
        middle = (low + high) // 2
        if await _is_readable(caller, key, middle):
            high = middle
        else:
            low = middle + 1
    return low


async def _is_readable(caller: Caller, key: bytes, revision: int) -> bool:
    request = rpc_pb2.RangeRequest(key=key, revision=revision, count_only=True)
    try:
        await caller.call("Range", request, repeatable=True)
    except Compacted:
        return False
    except FutureRevision:
        # The member was exchanged for one that was restored from a backup meanwhile.
        return True
    return True
