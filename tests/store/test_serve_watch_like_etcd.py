"""What watches of a served store are told, beside what those of a real etcd are."""

from __future__ import annotations

from pathlib import Path

import anyio
import grpc.aio
import pytest
from google.protobuf import text_format

from orchestra._proto.etcd.v3 import rpc_pb2, rpc_pb2_grpc
from orchestra.store import MemoryStore, serve_etcd
from tests.store.etcd_calls import call, forget_identity
from tests.store.etcd_cluster import EtcdCluster

PATIENCE_SECONDS = 20

A_FEW = """
    > Put key: "a" value: "1"
    > Put key: "b" value: "1"
    > Put key: "a" value: "2"
    > DeleteRange key: "a"
    > Put key: "a" value: "3"
"""

SCRIPTS = {
    "from now on": """
        > Put key: "a" value: "1"
        w create_request { key: "a" range_end: "c" }
        < 1
        > Put key: "b" value: "2"
        < 1
        > Put key: "x" value: "2"
        > DeleteRange key: "a" range_end: "z"
        < 1
    """,
    "from the past, with what was before": f"""
        {A_FEW}
        w create_request {{ key: "a" start_revision: 2 prev_kv: true }}
        < 2
    """,
    "filters": f"""
        {A_FEW}
        w create_request {{ key: "a" start_revision: 2 filters: NOPUT }}
        < 2
        w create_request {{ key: "a" start_revision: 2 filters: NODELETE }}
        < 2
    """,
    "a whole txn at once": """
        w create_request { key: "a" range_end: "z" }
        < 1
        > Txn success { request_put { key: "a" } } success { request_put { key: "b" } }
        < 1
    """,
    "ids": """
        w create_request { key: "a" watch_id: 7 }
        < 1
        w create_request { key: "a" watch_id: 7 }
        < 1
        w create_request { key: "a" }
        < 1
        w create_request { key: "a" watch_id: 1 }
        < 1
        w create_request { key: "a" }
        < 1
        w cancel_request { watch_id: 1 }
        < 1
        w cancel_request { watch_id: 99 }
        w create_request { key: "b" watch_id: 1 }
        < 1
        > Put key: "b" value: "1"
        < 1
    """,
    "ranges that cannot be": """
        w create_request { key: "b" range_end: "a" }
        < 1
        w create_request { key: "b" range_end: "b" }
        < 1
        w create_request { key: "b" range_end: "\\000" }
        < 1
        w create_request { range_end: "\\000" }
        < 1
        w create_request { }
        < 1
    """,
    "the future": """
        w create_request { key: "a" start_revision: 4 }
        < 1
        > Put key: "a" value: "2"
        > Put key: "a" value: "3"
        > Put key: "a" value: "4"
        < 1
    """,
    "a lease's end": """
        > LeaseGrant TTL: 600 ID: 5
        > Put key: "a" lease: 5
        > Put key: "b" lease: 5
        w create_request { key: "a" range_end: "z" prev_kv: true }
        < 1
        > LeaseRevoke ID: 5
        < 1
    """,
    "progress": """
        > Put key: "a"
        w create_request { key: "a" }
        < 1
        w progress_request { }
        < 1
    """,
}


async def play(endpoint: str, script: str) -> list[str]:
    """Follow a script: `> METHOD REQUEST` calls, `w REQUEST` writes to the stream, `< N` reads N answers from it."""
    heard: list[str] = []
    async with grpc.aio.insecure_channel(endpoint) as channel:
        stream = rpc_pb2_grpc.WatchStub(channel).Watch()
        for line in filter(None, map(str.strip, script.splitlines())):
            verb, _, rest = line.partition(" ")
            if verb == ">":
                method, _, request = rest.partition(" ")
                await call(channel, method, request)
            elif verb == "w":
                await stream.write(text_format.Parse(rest, rpc_pb2.WatchRequest()))
            else:
                for _ in range(int(rest)):
                    with anyio.fail_after(PATIENCE_SECONDS):
                        answer = await stream.read()
                    forget_identity(answer)
                    heard.append(f"{line}: {text_format.MessageToString(answer, as_one_line=True)}")
        stream.cancel()
    return heard


@pytest.mark.parametrize("name", SCRIPTS)
async def test_a_served_watch_is_told_what_etcd_tells(name: str, tmp_path: Path) -> None:
    with EtcdCluster(tmp_path) as cluster:
        wanted = await play(cluster.endpoints[0], SCRIPTS[name])
    async with MemoryStore() as store, serve_etcd(store, "127.0.0.1:0", insecure=True) as server:
        assert await play(server.address, SCRIPTS[name]) == wanted


async def test_a_watch_of_what_was_compacted_is_canceled_as_etcd_cancels_it(tmp_path: Path) -> None:
    script = f"""
        {A_FEW}
        > Compact revision: 4
        w create_request {{ key: "a" start_revision: 2 }}
        < 2
        w create_request {{ key: "a" start_revision: 4 watch_id: 9 }}
        < 2
    """
    with EtcdCluster(tmp_path) as cluster:
        wanted = await play(cluster.endpoints[0], script)
    async with MemoryStore() as store, serve_etcd(store, "127.0.0.1:0", insecure=True) as server:
        heard = await play(server.address, script)
    # etcd leaves the revision out when it cancels; here it is always the current one.
    assert heard[1].replace("header { revision: 6 }", "header { }") == wanted[1]
    assert heard[:1] + heard[2:] == wanted[:1] + wanted[2:]
