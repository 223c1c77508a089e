"""What several tests of stores need: a folder in memory, and real etcd members (see `etcd_cluster.py`)."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.store.etcd_cluster import EtcdBinary, EtcdCluster, etcd_binaries, require_etcd


@pytest.fixture
def quick_path(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory where there is one, for tests that open very many stores and need no disk."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=memory) as place:
        yield Path(place)


@pytest.fixture(scope="session", params=[binary.version for binary in etcd_binaries()] or ["none"])
def etcd_binary(request: pytest.FixtureRequest) -> EtcdBinary:
    """Each etcd that is installed."""
    require_etcd()
    return next(binary for binary in etcd_binaries() if binary.version == request.param)


@pytest.fixture(scope="session")
def etcd(etcd_binary: EtcdBinary, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EtcdCluster]:
    """One member that all tests share: a test must not rely on its revision and may wipe it at its beginning."""
    folder = tmp_path_factory.mktemp("etcd")
    # What the contract allows in one txn, and its encoding.
    with EtcdCluster(folder, binary=etcd_binary, arguments=["--max-request-bytes=2097152"]) as cluster:
        yield cluster
