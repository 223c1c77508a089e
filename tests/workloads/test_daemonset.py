"""DaemonSets at work on a whole plane, and what they do about Pods that fail."""

from __future__ import annotations

from typing import Any

import pytest

from orchestra.api.apps import ControllerRevision, DaemonSet
from orchestra.api.codec import from_document, to_document
from orchestra.api.core import Node, Pod
from orchestra.api.object import ObjectMeta
from orchestra.client.interface import Patch, PatchType
from orchestra.testing import PlaneHarness
from orchestra.workloads.daemon_nodes import GENERATION_LABEL, HASH_LABEL
from tests.workloads.conftest import Bench

pytestmark = pytest.mark.virtual_time

AGENT = """
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent, namespace: default}
spec:
  selector: {matchLabels: {app: agent}}
  template:
    metadata: {labels: {app: agent}}
    spec: {containers: [{name: c, image: "app:1"}]}
"""


def ready_nodes(pods: tuple[Pod, ...], image: str = "app:1") -> list[str]:
    return sorted(
        pod.spec.node_name
        for pod in pods
        if pod.spec.containers[0].image == image
        and any(c.type == "Ready" and c.status == "True" for c in pod.status.conditions)
    )


async def change(harness: PlaneHarness, **spec: Any) -> None:
    await harness.client.patch(DaemonSet, "agent", Patch(PatchType.STRATEGIC, {"spec": spec}), namespace="default")


def image(name: str) -> dict[str, Any]:
    return {"spec": {"containers": [{"name": "c", "image": name}]}}


async def test_every_node_gets_its_pod_and_so_does_one_that_joins() -> None:
    async with PlaneHarness(nodes=2) as harness:
        await harness.apply(AGENT)
        await harness.settle()
        assert ready_nodes(await harness.pods()) == ["node-0", "node-1"]
        await harness.plane.add_node(harness.new_node("node-9"))
        await harness.settle()
        assert ready_nodes(await harness.pods()) == ["node-0", "node-1", "node-9"]
        status = (await harness.client.get(DaemonSet, "agent", namespace="default")).status
        assert (status.desired_number_scheduled, status.number_available, status.number_unavailable) == (3, 3, 0)


@pytest.mark.parametrize("strategy", [{"maxUnavailable": 1}, {"maxUnavailable": 0, "maxSurge": 1}])
async def test_a_new_template_reaches_every_node(strategy: dict[str, int]) -> None:
    async with PlaneHarness(nodes=3) as harness:
        await harness.apply(AGENT)
        await harness.settle()
        await change(harness, template=image("app:2"), updateStrategy={"rollingUpdate": strategy})
        await harness.settle()
        pods = await harness.pods()
        assert ready_nodes(pods, "app:2") == ["node-0", "node-1", "node-2"]
        assert len(pods) == 3
        assert {pod.metadata.labels[GENERATION_LABEL] for pod in pods} == {"2"}
        revisions = (await harness.client.list(ControllerRevision, namespace="default")).items
        assert sorted(r.revision for r in revisions) == [1, 2]


async def test_on_delete_waits_until_somebody_deletes_a_pod() -> None:
    async with PlaneHarness(nodes=2) as harness:
        await harness.apply(AGENT)
        await harness.settle()
        await change(harness, template=image("app:2"), updateStrategy={"type": "OnDelete", "rollingUpdate": None})
        await harness.settle()
        assert ready_nodes(await harness.pods()) == ["node-0", "node-1"]
        victim = next(pod for pod in await harness.pods() if pod.spec.node_name == "node-1")
        await harness.client.delete(Pod, victim.metadata.name, namespace="default")
        await harness.settle()
        assert ready_nodes(await harness.pods(), "app:2") == ["node-1"]


async def test_a_node_that_no_longer_fits_loses_its_pod() -> None:
    async with PlaneHarness(nodes=2) as harness:
        await harness.apply(AGENT)
        await harness.settle()
        await change(harness, template={"spec": {"nodeSelector": {"kubernetes.io/hostname": "node-0"}}})
        await harness.settle()
        assert ready_nodes(await harness.pods()) == ["node-0"]


async def test_a_pod_that_fails_again_and_again_is_replaced_later_and_later(bench: Bench) -> None:
    await bench.server.create(Node(metadata=ObjectMeta(name="n")))
    await bench.apply(AGENT.replace("spec: {containers", "spec: {tolerations: [{operator: Exists}], containers"))
    await bench.settle()
    gone = []
    for _ in range(3):
        (pod,) = await bench.pods()
        patch = Patch(PatchType.MERGE, {"status": {"phase": "Failed"}})
        await bench.server.patch(Pod, pod.metadata.name, patch, namespace="default", subresource="status")
        await bench.settle(0.3)
        (present,) = await bench.pods()
        gone.append(present.metadata.name != pod.metadata.name)
        if not gone[-1]:
            await bench.settle(2)
            (present,) = await bench.pods()
            assert present.metadata.name != pod.metadata.name
    assert gone == [True, False, False]
    (text,) = {e.message.partition("/agent-")[0] for e in await bench.events("FailedDaemonPod")}
    assert text == "Found failed daemon pod default"


async def test_a_second_revision_of_one_template_is_united_with_the_first() -> None:
    async with PlaneHarness(nodes=1) as harness:
        await harness.apply(AGENT)
        await harness.settle()
        (revision,) = (await harness.client.list(ControllerRevision, namespace="default")).items
        meta = {"name": "agent-double", "namespace": "default", "labels": {"app": "agent", HASH_LABEL: "double"}}
        double = {**to_document(revision), "metadata": meta, "revision": 7}
        await harness.client.create(from_document(double, ControllerRevision))
        await harness.settle()
        (kept,) = (await harness.client.list(ControllerRevision, namespace="default")).items
        assert (kept.metadata.name, kept.revision) == ("agent-double", 7)
        (pod,) = await harness.pods()
        assert pod.metadata.labels[HASH_LABEL] == "double"
