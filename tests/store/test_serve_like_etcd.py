"""What a served store answers, beside what a real etcd answers to the same requests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc.aio
import pytest

from orchestra.store import MemoryStore, serve_etcd
from tests.store.etcd_calls import told
from tests.store.etcd_cluster import EtcdCluster

BIG = "x" * 1_600_000

SCRIPTS: dict[str, list[tuple[str, str]]] = {
    "ranges": [
        ("Range", 'key: "a"'),
        ("Put", 'key: "b" value: "1"'),
        ("Put", 'key: "a" value: "2"'),
        ("Put", 'key: "c" value: "0"'),
        ("Put", 'key: "a" value: "3"'),
        ("Range", 'key: "a"'),
        ("Range", 'key: "a" range_end: "c"'),
        ("Range", 'key: "a" range_end: "z" limit: 2'),
        ("Range", 'key: "b" range_end: "\\000"'),
        ("Range", 'key: "\\000" range_end: "\\000" count_only: true'),
        ("Range", 'key: "a" range_end: "z" keys_only: true serializable: true'),
        ("Range", 'key: "a" range_end: "z" revision: 3'),
        ("Range", 'key: "a" range_end: "z" revision: 2 limit: 1'),
        ("Range", 'key: "a" range_end: "z" revision: 99'),
        ("Range", 'key: "a" range_end: "z" revision: -7 limit: -3'),
        ("Range", 'key: "c" range_end: "a"'),
        ("Range", 'key: "b" range_end: "b"'),
        ("Range", 'key: ""'),
        ("Range", 'range_end: "b"'),
        *(
            ("Range", f'key: "a" range_end: "z" sort_order: {order} sort_target: {target}')
            for order in ("NONE", "ASCEND", "DESCEND")
            for target in ("KEY", "VERSION", "CREATE", "MOD", "VALUE")
            # Two keys of equal version: their order is nobody's promise.
            if target != "VERSION"
        ),
        ("Range", 'key: "a" range_end: "z" sort_order: DESCEND limit: 1'),
        ("Range", 'key: "a" range_end: "z" sort_target: VALUE limit: 2'),
        ("Range", 'key: "a" range_end: "z" min_mod_revision: 4'),
        ("Range", 'key: "a" range_end: "z" max_mod_revision: 4 limit: 1'),
        ("Range", 'key: "a" range_end: "z" min_create_revision: 3 max_create_revision: 3'),
    ],
    "puts": [
        ("Put", 'value: "1"'),
        ("Put", 'key: "a" value: "1" prev_kv: true'),
        ("Put", 'key: "a" value: "2" prev_kv: true'),
        ("Put", 'key: "a" ignore_value: true prev_kv: true'),
        ("Put", 'key: "a" value: "x" ignore_value: true'),
        ("Put", 'key: "nobody" ignore_value: true'),
        ("Put", 'key: "nobody" ignore_lease: true'),
        ("Put", 'key: "a" value: "1" lease: 5'),
        ("Put", 'key: "a" value: "1" lease: 5 ignore_lease: true'),
        ("LeaseGrant", "ID: 5 TTL: 600"),
        ("Put", 'key: "a" value: "4" lease: 5'),
        ("Put", 'key: "a" value: "5" ignore_lease: true'),
        ("Range", 'key: "a"'),
        ("Put", 'key: "a" value: "6"'),
        ("Range", 'key: "a"'),
        ("Put", f'key: "big" value: "{BIG}"'),
        ("Range", 'key: "a" range_end: "z"'),
    ],
    "deletes": [
        *(("Put", f'key: "{key}" value: "1"') for key in "abcd"),
        ("DeleteRange", 'key: "nobody"'),
        ("DeleteRange", 'key: "a"'),
        ("DeleteRange", 'key: "a" range_end: "c" prev_kv: true'),
        ("DeleteRange", 'range_end: "c"'),
        ("DeleteRange", 'key: "z" range_end: "a"'),
        ("DeleteRange", 'key: "c" range_end: "\\000"'),
        ("Range", 'key: "\\000" range_end: "\\000"'),
        ("Put", 'key: "a" value: "again"'),
        ("Range", 'key: "a"'),
    ],
    "txns": [
        ("Txn", ""),
        ("Put", 'key: "a" value: "1"'),
        (
            "Txn",
            (
                'compare { key: "a" target: VALUE value: "1" } failure { request_put { key: "never" } }'
                'success { request_put { key: "b" value: "2" prev_kv: true } }'
                'success { request_range { key: "a" range_end: "z" } }'
                'success { request_delete_range { key: "nobody" } }'
            ),
        ),
        (
            "Txn",
            (
                'compare { key: "a" target: VERSION version: 9 result: GREATER } success { request_put { key: "b" } }'
                'failure { request_range { key: "b" count_only: true } }'
            ),
        ),
        ("Txn", 'compare { key: "nobody" target: CREATE create_revision: 0 } success { request_range { key: "a" } }'),
        ("Txn", 'compare { key: "nobody" target: VALUE value: "" } failure { request_range { key: "a" } }'),
        ("Txn", 'compare { key: "nobody" target: VALUE value: "" result: NOT_EQUAL }'),
        ("Txn", 'compare { key: "a" target: MOD mod_revision: 3 result: LESS }'),
        ("Txn", 'compare { key: "a" target: LEASE lease: 0 }'),
        ("Txn", 'compare { key: "a" range_end: "z" target: VERSION version: 1 }'),
        ("Txn", 'compare { key: "a" range_end: "z" target: VALUE value: "1" }'),
        ("Txn", 'compare { key: "x" range_end: "z" target: VERSION version: 0 result: GREATER }'),
        ("Txn", "compare { target: VERSION }"),
        (
            "Txn",
            (
                'success { request_txn { compare { key: "a" target: VALUE value: "1" } success { request_put { key: "n"'
                'value: "1" } } success { request_range { key: "n" } } } }'
                'success { request_put { key: "m" value: "2" } }'
                'success { request_delete_range { key: "a" prev_kv: true } }'
            ),
        ),
        (
            "Txn",
            (
                'success { request_range { key: "m" } } success { request_delete_range { key: "nobody" } }'
                'success { request_put { key: "m" } } success { request_delete_range { key: "nobody" } }'
                'success { request_range { key: "m" } }'
            ),
        ),
        ("Txn", 'success { request_range { key: "m" } } success { request_delete_range { key: "nobody" } }'),
        ("Txn", 'success { request_put { key: "d" } } success { request_put { key: "d" } }'),
        ("Txn", 'success { request_put { key: "d" } } success { request_delete_range { key: "c" range_end: "e" } }'),
        ("Txn", 'success { request_delete_range { key: "b" } } success { request_delete_range { key: "b" } }'),
        ("Txn", 'success { request_put { value: "x" } }'),
        ("Txn", "success { request_range { } }"),
        ("Txn", "success { request_delete_range { } }"),
        ("Txn", "success { }"),
        ("Txn", 'success { request_put { key: "q" lease: 77 } }'),
        ("Txn", 'success { request_put { key: "q" ignore_value: true } }'),
        ("Txn", 'success { request_range { key: "a" revision: 99 } }'),
        ("Txn", "".join(f'success {{ request_put {{ key: "k{number}" }} }}' for number in range(129))),
        ("Txn", "".join(f'compare {{ key: "k{number}" }}' for number in range(129))),
        ("Txn", "".join(f'success {{ request_put {{ key: "k{number}" }} }}' for number in range(128))),
        ("Range", 'key: "\\000" range_end: "\\000" keys_only: true limit: 5'),
    ],
    "leases": [
        ("LeaseGrant", "TTL: 600 ID: 7"),
        ("LeaseGrant", "TTL: 600 ID: 7"),
        ("LeaseGrant", "TTL: 9000000001 ID: 8"),
        ("LeaseTimeToLive", "ID: 99"),
        ("LeaseRevoke", "ID: 99"),
        ("Put", 'key: "b" lease: 7'),
        ("Put", 'key: "a" lease: 7'),
        ("LeaseLeases", ""),
        ("LeaseRevoke", "ID: 7"),
        ("Range", 'key: "a" range_end: "z"'),
        ("LeaseLeases", ""),
        ("LeaseTimeToLive", "ID: 7 keys: true"),
    ],
    "compactions": [
        *(("Put", f'key: "a" value: "{number}"') for number in range(4)),
        ("Compact", "revision: 99"),
        ("Compact", "revision: 3 physical: true"),
        ("Compact", "revision: 3"),
        ("Compact", "revision: 2"),
        ("Compact", ""),
        ("Range", 'key: "a" revision: 2'),
        ("Range", 'key: "a" revision: 3'),
        ("Txn", 'success { request_range { key: "a" revision: 2 } }'),
        ("HashKV", "revision: 2"),
        ("HashKV", "revision: 99"),
        ("Compact", "revision: 5"),
        ("Range", 'key: "a"'),
    ],
    "the rest": [
        ("Alarm", ""),
        ("Alarm", "action: DEACTIVATE alarm: NOSPACE"),
        ("Defragment", ""),
        ("Authenticate", 'name: "root" password: "x"'),
    ],
}


@asynccontextmanager
async def channel(endpoint: str) -> AsyncIterator[grpc.aio.Channel]:
    async with grpc.aio.insecure_channel(endpoint, options=[("grpc.max_receive_message_length", -1)]) as opened:
        yield opened


@pytest.mark.parametrize("name", SCRIPTS)
async def test_a_served_store_answers_as_etcd_does(name: str, tmp_path: Path) -> None:
    with EtcdCluster(tmp_path) as cluster:
        async with channel(cluster.endpoints[0]) as real:
            wanted = [await told(real, *request) for request in SCRIPTS[name]]
    async with (
        MemoryStore() as store,
        serve_etcd(store, "127.0.0.1:0", insecure=True) as server,
        channel(server.address) as served,
    ):
        for request, want in zip(SCRIPTS[name], wanted, strict=True):
            assert (request, await told(served, *request)) == (request, want)
