from __future__ import annotations

import anyio
import pytest

from orchestra.api.apps import Deployment
from orchestra.api.builders import deployment
from orchestra.errors import WaitTimeout
from orchestra.testing import PlaneHarness

pytestmark = pytest.mark.virtual_time


async def test_a_deployment_comes_to_rest_with_its_pods_running() -> None:
    async with PlaneHarness(nodes=3) as harness:
        await harness.client.create(deployment("web", replicas=5))
        await harness.settle()
        pods = await harness.pods()
        assert [pod.status.phase for pod in pods] == ["Running"] * 5
        assert {pod.spec.node_name for pod in pods} == {"node-0", "node-1", "node-2"}
        web = await harness.client.get(Deployment, "web")
        assert web.status.available_replicas == 5


async def test_pods_of_a_node_that_falls_silent_are_replaced_elsewhere() -> None:
    async with PlaneHarness(nodes=2) as harness:
        await harness.client.create(deployment("web", replicas=4))
        await harness.settle()
        await harness.plane.remove_node("node-1")
        await anyio.sleep(40 + 300 + 30)
        await harness.settle()
        living = [pod for pod in await harness.pods() if pod.metadata.deletion_timestamp is None]
        assert [(pod.spec.node_name, pod.status.phase) for pod in living] == [("node-0", "Running")] * 4


async def test_a_node_that_comes_back_ends_what_was_replaced() -> None:
    async with PlaneHarness(nodes=2) as harness:
        await harness.client.create(deployment("web", replicas=4))
        await harness.settle()
        await harness.plane.remove_node("node-1")
        await anyio.sleep(600)
        await harness.plane.add_node(harness.new_node("node-1"))
        await harness.settle(quiet_seconds=5)
        pods = await harness.pods()
        assert len(pods) == 4
        assert all(pod.metadata.deletion_timestamp is None for pod in pods)


async def test_a_plane_that_never_rests_is_reported() -> None:
    async with PlaneHarness(nodes=1) as harness:
        with pytest.raises(WaitTimeout, match="not at rest"):
            await harness.settle(quiet_seconds=10_000, timeout_seconds=60)
