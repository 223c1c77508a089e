"""ReplicaSets at work: how they count, adopt and release, and what that costs."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from orchestra.api.apps import Deployment, ReplicaSet
from orchestra.api.core import Pod
from orchestra.api.rules import controller_of
from orchestra.client.interface import Patch, PatchType
from tests.workloads.conftest import WEB, Bench

pytestmark = pytest.mark.virtual_time

ALONE = WEB.replace("kind: Deployment", "kind: ReplicaSet").replace("replicas: 3", "replicas: 3\n  minReadySeconds: 0")


async def the_set(bench: Bench) -> ReplicaSet:
    (rs,) = (await bench.server.list(ReplicaSet)).items
    return rs


async def ready_at(bench: Bench, pods: list[Pod]) -> None:
    """Make Pods ready with the time of now."""
    from orchestra.api.times import format_time

    now = format_time(bench.manager.clock.now())
    body = {
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": now}]}
    }
    for pod in pods:
        patch = Patch(PatchType.MERGE, body)
        await bench.server.patch(Pod, pod.metadata.name, patch, namespace="default", subresource="status")


async def test_a_ready_pod_is_available_after_a_while_though_others_never_get_ready(bench: Bench) -> None:
    await bench.apply(ALONE.replace("minReadySeconds: 0", "minReadySeconds: 10"))
    await bench.settle()
    pods = await bench.pods()
    await ready_at(bench, pods[:1])
    await bench.settle(5)
    await ready_at(bench, pods[1:2])
    await bench.settle(4)
    assert (await the_set(bench)).status.available_replicas == 0
    await bench.settle(2)
    status = (await the_set(bench)).status
    assert (status.ready_replicas, status.available_replicas) == (2, 1)
    await bench.settle(5)
    assert (await the_set(bench)).status.available_replicas == 2


async def test_a_pod_that_no_longer_matches_is_let_go_and_replaced(bench: Bench) -> None:
    await bench.apply(ALONE)
    await bench.settle()
    free = (await bench.pods())[0].metadata.name
    await bench.server.patch(Pod, free, Patch(PatchType.MERGE, {"metadata": {"labels": {"app": "other"}}}))
    await bench.settle()
    pods = {pod.metadata.name: pod for pod in await bench.pods()}
    assert len(pods) == 4
    assert controller_of(pods[free]) is None


async def test_a_pod_that_matches_again_is_taken_back(bench: Bench) -> None:
    await bench.apply(ALONE.replace("replicas: 3", "replicas: 1"))
    await bench.settle()
    name = (await bench.pods())[0].metadata.name
    for label in ("other", "web"):
        await bench.server.patch(Pod, name, Patch(PatchType.MERGE, {"metadata": {"labels": {"app": label}}}))
        await bench.settle()
    assert len(await bench.pods()) == 1
    assert all(controller_of(pod) is not None for pod in await bench.pods())


async def test_deleted_pods_are_replaced_at_once(bench: Bench) -> None:
    await bench.apply(ALONE)
    await bench.settle()
    before = {pod.metadata.name for pod in await bench.pods()}
    await bench.server.delete(Pod, min(before))
    await bench.settle()
    after = {pod.metadata.name for pod in await bench.pods()}
    assert len(after) == 3
    assert len(after & before) == 2


async def test_two_replica_sets_of_one_selector_leave_each_other_alone(bench: Bench) -> None:
    await bench.apply(ALONE)
    await bench.apply(ALONE.replace("name: web", "name: twin"))
    await bench.settle(5)
    owners = [controller_of(pod) for pod in await bench.pods()]
    assert sorted(owner.name for owner in owners if owner is not None) == ["twin"] * 3 + ["web"] * 3


class Counting:
    """Counts the writes of ReplicaSet statuses that pass by."""

    def __init__(self, bench: Bench) -> None:
        self.count = 0
        self._bench = bench

    async def run(self, *, task_status: Any) -> None:
        async with self._bench.server.watch(ReplicaSet, namespace="default") as watch:
            task_status.started()
            async for _ in watch:
                self.count += 1


async def test_a_rollout_of_a_thousand_costs_few_status_writes_though_pods_start_in_bursts(bench: Bench) -> None:
    counting = Counting(bench)
    async with anyio.create_task_group() as tasks:
        await tasks.start(counting.run)
        await bench.apply(WEB.replace("replicas: 3", "replicas: 1000"))
        while len(pods := await bench.pods()) < 1000:
            await bench.settle(0.05)
        for begin in range(0, 1000, 25):
            await bench.make_ready(pods[begin : begin + 25])
            await bench.settle(0.02)
        await bench.settle()
        tasks.cancel_scope.cancel()
    web = await bench.server.get(Deployment, "web")
    assert web.status.available_replicas == 1000
    assert counting.count <= 20
