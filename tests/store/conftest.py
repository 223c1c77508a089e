"""Fixtures with real etcd members; see `etcd_cluster.py`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.store.etcd_cluster import EtcdBinary, EtcdCluster, etcd_binaries, require_etcd


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
