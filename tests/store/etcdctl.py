"""etcdctl as tests run it, on a real etcd and on a served store."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import anyio.abc

from orchestra.store import SQLiteStore, serve_etcd
from orchestra.store.etcd.server import EtcdServer
from tests.store.etcd_cluster import EtcdBinary

PATIENCE_SECONDS = 30


def masked(text: str) -> str:
    """Return what etcdctl printed without what differs between any two clusters."""
    text = re.sub(r'"?(cluster_id|member_id|raft_term|ClusterID|MemberID|RaftTerm)"? ?: ?\d+', r"\1", text)
    text = re.sub(r'"(ts|caller|target|logger)":"?[^",}]*"?,?', "", text)
    text = re.sub(r"\b[0-9a-f]{15,16}\b", "ID", text)
    return re.sub(r"remaining\(\d+s\)", "remaining", re.sub(r"http://[^,\s\]|]+|127\.0\.0\.1:\d+", "ENDPOINT", text))


async def ctl(binary: EtcdBinary, endpoint: str, *arguments: str, said: str = "") -> str:
    """Run etcdctl; return what it printed, errors too, and how it ended."""
    with anyio.fail_after(PATIENCE_SECONDS):
        done = await anyio.run_process(
            [binary.etcdctl, f"--endpoints={endpoint}", *arguments],
            input=said.encode(),
            env={**os.environ, "ETCDCTL_API": "3"},
            stderr=subprocess.STDOUT,
            check=False,
        )
    return f"{done.stdout.decode()}{f'status {done.returncode}' if done.returncode else ''}"


@asynccontextmanager
async def served(tmp_path: Path) -> AsyncIterator[EtcdServer]:
    async with (
        SQLiteStore(tmp_path / "store.db") as store,
        serve_etcd(store, "127.0.0.1:0", insecure=True) as server,
    ):
        yield server


class Running:
    """An etcdctl that goes on until it is told to end."""

    def __init__(self, process: anyio.abc.Process) -> None:
        self.process = process
        self._rest = b""

    async def lines(self, count: int) -> list[str]:
        """Wait for as many lines."""
        found: list[str] = []
        assert self.process.stdout is not None
        with anyio.fail_after(PATIENCE_SECONDS):
            while len(found) < count:
                line, newline, rest = self._rest.partition(b"\n")
                if newline:
                    found.append(line.decode())
                    self._rest = rest
                else:
                    self._rest += await self.process.stdout.receive()
        return found


@asynccontextmanager
async def running(
    binary: EtcdBinary, endpoint: str, arguments: Sequence[str], said: str = ""
) -> AsyncIterator[Running]:
    """Start etcdctl, and end it by SIGINT; it is left to close what it opened."""
    async with await anyio.open_process(
        [binary.etcdctl, f"--endpoints={endpoint}", *arguments], env={**os.environ, "ETCDCTL_API": "3"}, stderr=None
    ) as process:
        assert process.stdin is not None
        await process.stdin.send(said.encode())
        try:
            yield Running(process)
        finally:
            if process.returncode is None:
                process.send_signal(2)
                with anyio.move_on_after(5, shield=True):
                    await process.wait()
                if process.returncode is None:
                    process.kill()
