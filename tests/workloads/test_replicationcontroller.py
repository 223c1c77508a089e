"""ReplicationControllers at work: like ReplicaSets, but for what they tell."""

from __future__ import annotations

import pytest

from orchestra.api.codec import to_document
from orchestra.api.core import Pod
from orchestra.api.core.replicationcontroller import ReplicationController
from orchestra.api.rules import controller_of
from orchestra.client.interface import Patch, PatchType
from orchestra.errors import Forbidden
from tests.workloads.conftest import Bench

pytestmark = pytest.mark.virtual_time

RC = """
apiVersion: v1
kind: ReplicationController
metadata: {name: web}
spec:
  replicas: 3
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: c, image: "app:1"}]}
"""


async def the_controller(bench: Bench) -> ReplicationController:
    (rc,) = (await bench.server.list(ReplicationController)).items
    return rc


async def test_as_many_pods_run_as_are_wanted_and_are_counted(bench: Bench) -> None:
    await bench.apply(RC)
    await bench.settle()
    pods = await bench.pods()
    assert {(r.kind, r.name) for r in map(controller_of, pods) if r} == {("ReplicationController", "web")}
    await bench.make_ready(pods[:2])
    await bench.settle()
    assert to_document(await the_controller(bench))["status"] == {
        "replicas": 3,
        "fullyLabeledReplicas": 3,
        "readyReplicas": 2,
        "availableReplicas": 2,
        "observedGeneration": 1,
    }
    (event,) = {(e.source.component, e.type) for e in await bench.events("SuccessfulCreate") if e.source}
    assert event == ("replication-controller", "Normal")


async def test_scaling_down_takes_the_pod_that_is_not_ready(bench: Bench) -> None:
    await bench.apply(RC)
    await bench.settle()
    pods = await bench.pods()
    await bench.make_ready(pods[1:])
    await bench.server.patch(
        ReplicationController, "web", Patch(PatchType.MERGE, {"spec": {"replicas": 2}}), namespace="default"
    )
    await bench.settle()
    assert {p.metadata.name for p in await bench.pods()} == {p.metadata.name for p in pods[1:]}


async def test_an_orphan_that_is_selected_is_adopted_and_another_label_lets_go(bench: Bench) -> None:
    await bench.apply(RC)
    await bench.settle()
    free = (await bench.pods())[0].metadata.name
    patch = Patch(PatchType.MERGE, {"metadata": {"labels": {"app": "other"}}})
    await bench.server.patch(Pod, free, patch, namespace="default")
    await bench.settle()
    assert controller_of(await bench.server.get(Pod, free, namespace="default")) is None
    assert len(await bench.pods()) == 4


async def test_a_refused_pod_is_told_in_a_condition(bench: Bench) -> None:
    bench.gate.refuse = lambda request: Forbidden("no more") if request.info.kind == "Pod" else None
    await bench.apply(RC)
    await bench.settle()
    (condition,) = (await the_controller(bench)).status.conditions
    assert (condition.type, condition.reason) == ("ReplicaFailure", "FailedCreate")
    bench.gate.refuse = lambda _: None
    await bench.settle(30)
    assert (await the_controller(bench)).status.conditions == ()
    assert len(await bench.pods()) == 3
