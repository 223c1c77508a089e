"""etcdctl's commands that take more than one step, on a served store and where it makes sense on a real etcd."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from orchestra.store import Range, SQLiteStore, WatchRequest, prefix_end, restore_snapshot, serve_etcd
from tests.store.etcd_cluster import EtcdBinary, EtcdCluster
from tests.store.etcdctl import PATIENCE_SECONDS, ctl, masked, running, served

TXN = """value("a") = "1"
version("b") > "0"

put c 3
get a
del b --prev-kv

put never 1

"""

FAILED_TXN = """mod("a") < "1"

put never 1

get a
"""

WATCHES = "watch a --rev=1\nwatch b --rev=1 --prefix --prev-kv\n"


async def transact(binary: EtcdBinary, endpoint: str) -> list[str]:
    await ctl(binary, endpoint, "put", "a", "1")
    await ctl(binary, endpoint, "put", "b", "1")
    said = [await ctl(binary, endpoint, "txn", "-i", said=TXN), await ctl(binary, endpoint, "txn", said=FAILED_TXN)]
    return [*said, await ctl(binary, endpoint, "get", "--from-key", "")]


async def watch(binary: EtcdBinary, endpoint: str) -> list[str]:
    for words in ("put a 1", "put a 2", "del a", "put ab 1", "put b/1 1", "put b/2 1"):
        await ctl(binary, endpoint, *words.split())
    said: list[str] = []
    for arguments, lines in (
        (("a", "--rev=2"), 9 - 1),
        (("a", "--rev=2", "--prev-kv"), 9 + 4 - 1),
        (("--prefix", "b", "--rev=2"), 6),
        (("a", "b", "--rev=5", "-w", "json"), 1),
    ):
        async with running(binary, endpoint, ["watch", *arguments]) as process:
            said += await process.lines(lines)
    return said


async def watch_interactively(binary: EtcdBinary, endpoint: str) -> list[str]:
    async with running(binary, endpoint, ["watch", "-i"], WATCHES) as process:
        await ctl(binary, endpoint, "put", "b1", "x")
        said = await process.lines(3)
        await ctl(binary, endpoint, "put", "a", "x")
        said += await process.lines(3)
        await ctl(binary, endpoint, "del", "b1")
        return said + await process.lines(4)


async def lease(binary: EtcdBinary, endpoint: str) -> list[str]:
    granted = await ctl(binary, endpoint, "lease", "grant", "600")
    lease_id = granted.split()[1]
    steps = (
        f"put a 1 --lease={lease_id}",
        f"put b 1 --lease={lease_id}",
        f"lease timetolive {lease_id}",
        f"lease keep-alive --once {lease_id}",
        "lease list",
        "get a -w fields",
        f"lease revoke {lease_id}",
        f"lease timetolive {lease_id} --keys",
        "get --prefix a",
    )
    said = [granted, *[await ctl(binary, endpoint, *words.split()) for words in steps]]
    return [line.replace(str(int(lease_id, 16)), "ID") for line in said]


async def state(binary: EtcdBinary, endpoint: str) -> list[str]:
    """The shapes of what etcdctl says of an endpoint: numbers and names are its own, and it has no peers."""

    def shape(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: shape(inner) for name, inner in value.items() if name != "peerURLs"}
        return [shape(inner) for inner in value] if isinstance(value, list) else type(value).__name__

    await ctl(binary, endpoint, "put", "a", "1")
    said = []
    for words in ("endpoint status", "endpoint health", "endpoint hashkv", "member list"):
        found = (await ctl(binary, endpoint, *words.split(), "-w", "json")).splitlines()
        said.append(repr(shape(json.loads(found[-1]))))
        table = await ctl(binary, endpoint, *words.split(), "-w", "table")
        said.append("".join(next(line for line in table.splitlines() if line.startswith("|")).split()))
    return said


SESSIONS: list[Callable[[EtcdBinary, str], Awaitable[list[str]]]] = [transact, watch, watch_interactively, lease, state]


@pytest.mark.parametrize("session", SESSIONS, ids=lambda session: session.__name__)
async def test_a_session_with_a_served_store_goes_as_with_etcd(
    session: Callable[[EtcdBinary, str], Awaitable[list[str]]], etcd_binary: EtcdBinary, tmp_path: Path
) -> None:
    with EtcdCluster(tmp_path / "etcd", binary=etcd_binary) as cluster:
        wanted = await session(etcd_binary, cluster.members[0].url)
    async with served(tmp_path) as server:
        said = await session(etcd_binary, server.endpoint)
    assert [masked(line) for line in said] == [masked(line) for line in wanted]


async def test_two_contenders_for_a_lock_have_it_one_after_the_other(etcd_binary: EtcdBinary, tmp_path: Path) -> None:
    async with (
        SQLiteStore(tmp_path / "store.db") as store,
        serve_etcd(store, f"unix:{tmp_path / 'run' / 'store.sock'}") as server,
        running(etcd_binary, server.endpoint, ["lock", "l"]) as first,
    ):
        assert (await first.lines(1))[0].startswith("l/")
        async with (
            store.watch(WatchRequest(b"l/", prefix_end(b"l/"))) as contenders,
            running(etcd_binary, server.endpoint, ["lock", "l", "echo", "mine", "now"]) as second,
        ):
            with anyio.fail_after(PATIENCE_SECONDS):
                await contenders.__anext__()
            assert len((await store.range(Range(b"l/", prefix_end(b"l/")))).kvs) == 2
            first.process.send_signal(2)
            assert await second.lines(1) == ["mine now"]
            with anyio.fail_after(PATIENCE_SECONDS):
                assert await second.process.wait() == 0
        assert not (await store.range(Range(b"l/", prefix_end(b"l/")))).kvs


async def test_an_election_has_one_winner_whom_listeners_hear_of(etcd_binary: EtcdBinary, tmp_path: Path) -> None:
    async with (
        served(tmp_path) as server,
        running(etcd_binary, server.endpoint, ["elect", "-l", "e"]) as listener,
        running(etcd_binary, server.endpoint, ["elect", "e", "one"]) as winner,
    ):
        assert (await winner.lines(2))[1] == "one"
        assert (await listener.lines(2))[1] == "one"
        async with running(etcd_binary, server.endpoint, ["elect", "e", "two"]) as other:
            winner.process.send_signal(2)
            assert (await other.lines(2))[1] == "two"
            assert (await listener.lines(2))[1] == "two"


async def test_a_snapshot_saved_by_etcdctl_restores_the_store(etcd_binary: EtcdBinary, tmp_path: Path) -> None:
    path = tmp_path / "saved"
    async with served(tmp_path) as server:
        for number in range(20):
            await ctl(etcd_binary, server.endpoint, "put", f"k{number:02}", "v" * (number * 1000 + 1))
        said = await ctl(etcd_binary, server.endpoint, "snapshot", "save", str(path))
        assert "saved" in said.lower(), said
    assert path.stat().st_size % 512 == 32
    await restore_snapshot(path, tmp_path / "new.db")
    async with SQLiteStore(tmp_path / "new.db") as store:
        found = (await store.range(Range(b"k", b"l"))).kvs
    assert [(kv.key, len(kv.value)) for kv in found] == [(b"k%02d" % number, number * 1000 + 1) for number in range(20)]


async def test_a_store_can_be_mirrored_into_another(etcd_binary: EtcdBinary, tmp_path: Path) -> None:
    async with (
        served(tmp_path) as server,
        SQLiteStore(tmp_path / "mirror.db") as mirror,
        serve_etcd(mirror, "127.0.0.1:0", insecure=True) as target,
        mirror.watch(WatchRequest(b"\x00", b"\x00")) as arrivals,
    ):
        await ctl(etcd_binary, server.endpoint, "put", "before", "1")
        async with running(etcd_binary, server.endpoint, ["make-mirror", target.address]):
            with anyio.fail_after(PATIENCE_SECONDS):
                assert [event.kv.key for event in (await arrivals.__anext__()).events] == [b"before"]
                await ctl(etcd_binary, server.endpoint, "put", "after", "1")
                assert [event.kv.key for event in (await arrivals.__anext__()).events] == [b"after"]
                await ctl(etcd_binary, server.endpoint, "del", "before")
                assert [event.is_delete for event in (await arrivals.__anext__()).events] == [True]
