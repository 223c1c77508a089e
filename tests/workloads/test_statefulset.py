"""StatefulSets at work on a whole plane."""

from __future__ import annotations

import pytest

from orchestra.api.apps import StatefulSet
from orchestra.client.interface import Patch, PatchType
from orchestra.testing import PlaneHarness

pytestmark = pytest.mark.virtual_time

DB = """
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db, namespace: default}
spec:
  replicas: 3
  serviceName: db
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec: {containers: [{name: c, image: "app:1"}]}
"""


async def test_a_new_template_reaches_every_pod_under_its_old_name() -> None:
    async with PlaneHarness(nodes=2) as harness:
        await harness.apply(DB)
        await harness.settle()
        assert [pod.metadata.name for pod in await harness.pods()] == ["db-0", "db-1", "db-2"]
        image = {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "app:2"}]}}}}
        await harness.client.patch(StatefulSet, "db", Patch(PatchType.STRATEGIC, image), namespace="default")
        await harness.settle()
        pods = await harness.pods()
        assert [(p.metadata.name, p.spec.containers[0].image) for p in pods] == [
            ("db-0", "app:2"),
            ("db-1", "app:2"),
            ("db-2", "app:2"),
        ]
        status = (await harness.client.get(StatefulSet, "db", namespace="default")).status
        assert (status.ready_replicas, status.updated_replicas, status.current_replicas) == (3, 3, 3)
        assert status.current_revision == status.update_revision
