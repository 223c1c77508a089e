"""A whole plane whose store is an etcd cluster, which it outlives."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import anyio
import pytest

from orchestra import ControlPlane, NodeAgent
from orchestra.api.apps import Deployment
from orchestra.api.builders import deployment
from orchestra.api.core import Pod
from orchestra.cri import FakeRuntime
from orchestra.errors import NotFound, ServiceUnavailable, Timeout
from orchestra.store import EtcdOptions, EtcdStore
from tests.store.etcd_cluster import EtcdBinary, EtcdCluster
from tests.store.test_etcd_conformance import wipe

WAIT_SECONDS = 40.0

QUICK = EtcdOptions(heartbeat_seconds=0.5, heartbeat_timeout_seconds=1.5, request_timeout_seconds=1)


def _plane(cluster: EtcdCluster, options: EtcdOptions | None = None) -> ControlPlane:
    store = EtcdStore(cluster.endpoints, options=options)
    return ControlPlane(
        store=store, nodes=[NodeAgent("node-0", runtime=FakeRuntime())], compaction_interval_seconds=0.5
    )


async def test_a_plane_keeps_its_objects_in_etcd(etcd: EtcdCluster) -> None:
    wipe(etcd)
    async with _plane(etcd) as plane:
        await plane.client.create(deployment("web", replicas=3))
        await plane.client.wait_for(Deployment, "web", condition="Available", timeout=WAIT_SECONDS)
    async with _plane(etcd) as plane:
        assert len((await plane.client.list(Pod)).items) == 3
        await plane.client.scale(Deployment, "web", 4)
        await plane.client.wait_for(Deployment, "web", condition="Available", timeout=WAIT_SECONDS)
        with anyio.fail_after(WAIT_SECONDS):
            while (await plane.client.get(Deployment, "web")).status.available_replicas != 4:
                await anyio.sleep(0.02)


async def test_a_plane_outlives_an_outage_of_its_store(etcd_binary: EtcdBinary, tmp_path: Path) -> None:
    with EtcdCluster(tmp_path, binary=etcd_binary) as cluster:
        async with _plane(cluster, QUICK) as plane:
            await plane.client.create(deployment("web", replicas=2))
            await plane.client.wait_for(Deployment, "web", condition="Available", timeout=WAIT_SECONDS)
            cluster.members[0].kill()
            with suppress(Timeout, ServiceUnavailable):  # sent before the end of the connection is noticed
                await plane.client.create(deployment("lost", replicas=1))
            for _ in range(3):  # each for a second: everything that runs periodically meets the outage
                with pytest.raises(ServiceUnavailable, match="store cannot be reached"):
                    await plane.client.create(deployment("lost", replicas=1))
            cluster.members[0].start()
            await anyio.to_thread.run_sync(cluster.wait_healthy)
            await plane.client.scale(Deployment, "web", 4)
            with anyio.fail_after(WAIT_SECONDS):
                while (await plane.client.get(Deployment, "web")).status.available_replicas != 4:
                    await anyio.sleep(0.02)
            with pytest.raises(NotFound):
                await plane.client.get(Deployment, "lost")
