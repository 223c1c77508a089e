"""Unmodified etcdctl on a served store: what it prints, beside what it prints of a real etcd."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.store.etcd_cluster import EtcdBinary, EtcdCluster
from tests.store.etcdctl import ctl, masked, served

SCRIPTS = {
    "get": """
        put b 1
        put a 2
        put c 0
        put a 3
        get a
        get nobody
        get a z --limit 2
        get a --prefix
        get "" --prefix --keys-only
        get b --from-key
        get "" --from-key --sort-by=VALUE --order=DESCEND
        get a z --sort-by=MODIFY --order=ASCEND --print-value-only
        get a --rev 3
        get a --rev 99
        get --prefix "" -w json
        get --prefix "" -w fields
        get --prefix "" --count-only -w fields
        get a -w simple --consistency=s
        get --hex a
    """,
    "put and del": """
        put a 1 --prev-kv
        put a 2 --prev-kv
        put a --ignore-value
        put nobody --ignore-value
        put a 3 --lease=1234
        put a 3 --ignore-lease
        put a 4 -w json
        put "" 1
        put b 1
        put c 1
        put d 1
        put e 1
        del nobody
        del a
        del b --prev-kv
        del c --prefix --prev-kv -w fields
        del d --from-key
        get "" --prefix
    """,
    "compaction": """
        put a 1
        put a 2
        put a 3
        compaction 3
        compaction 3
        compaction 99
        compaction 4 --physical
        get a --rev 2
    """,
    "leases that are not there": """
        lease revoke 1234
        lease timetolive 1234
        lease keep-alive 1234
        lease list
    """,
    "the rest": """
        alarm list
        alarm disarm
        version
    """,
}


def commands(script: str) -> Iterator[list[str]]:
    for line in filter(None, map(str.strip, script.splitlines())):
        yield ["" if word == '""' else word for word in line.split()]


@pytest.mark.parametrize("name", SCRIPTS)
async def test_etcdctl_prints_of_a_served_store_what_it_prints_of_etcd(
    name: str, etcd_binary: EtcdBinary, tmp_path: Path
) -> None:
    with EtcdCluster(tmp_path / "etcd", binary=etcd_binary) as cluster:
        endpoint = cluster.members[0].url
        wanted = [masked(await ctl(etcd_binary, endpoint, *words)) for words in commands(SCRIPTS[name])]
    async with served(tmp_path) as server:
        for words, want in zip(commands(SCRIPTS[name]), wanted, strict=True):
            assert (words, masked(await ctl(etcd_binary, server.endpoint, *words))) == (words, want)
