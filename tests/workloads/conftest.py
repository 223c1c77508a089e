from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import anyio
import attrs
import pytest

from orchestra.api.core import Event, Pod
from orchestra.api.manifest import load_manifests
from orchestra.apiserver import APIServer
from orchestra.apiserver.interface import AdmissionRequest, Document
from orchestra.client.interface import Patch, PatchType
from orchestra.controller import Manager
from orchestra.errors import APIError
from orchestra.lifecycle import lifecycle_controllers
from orchestra.store import MemoryStore
from orchestra.testing import VirtualClock
from orchestra.workloads import (
    daemonset_controller,
    deployment_controller,
    replicaset_controller,
    replicationcontroller_controller,
)

WEB = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: c, image: "app:1"}]}
"""


@attrs.define
class Gate:
    """Admission that refuses what a test wants refused."""

    refuse: Callable[[AdmissionRequest], APIError | None] = lambda _: None

    async def admit(self, request: AdmissionRequest) -> Document | None:
        error = self.refuse(request)
        if error is not None:
            raise error
        return None


@attrs.define
class Bench:
    """A server with the controllers at work, and short words for what tests do."""

    server: APIServer
    gate: Gate
    manager: Manager

    async def apply(self, manifest: str) -> None:
        await self.server.apply_documents(load_manifests(manifest), namespace="default")

    async def pods(self) -> list[Pod]:
        return list((await self.server.list(Pod, namespace="default")).items)

    async def events(self, reason: str) -> list[Event]:
        found = (await self.server.list(Event, namespace="default")).items
        return [event for event in found if event.reason == reason]

    async def make_ready(self, pods: list[Pod]) -> None:
        status = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
        for pod in pods:
            patch = Patch(PatchType.MERGE, {"status": status})
            await self.server.patch(Pod, pod.metadata.name, patch, namespace="default", subresource="status")

    async def settle(self, seconds: float = 1.0) -> None:
        await anyio.sleep(seconds)


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    """Deployments, ReplicaSets and the lifecycle controllers in virtual time; nobody binds or runs Pods."""
    clock, gate = VirtualClock(), Gate()
    async with (
        MemoryStore(clock=clock) as store,
        APIServer(store, clock=clock, admission=(gate,)) as server,
        anyio.create_task_group() as tasks,
    ):
        own = (
            deployment_controller(),
            replicaset_controller(),
            replicationcontroller_controller(),
            daemonset_controller(),
        )
        controllers = (*own, *lifecycle_controllers())
        manager = Manager(server, clock=clock, controllers=controllers)
        await tasks.start(manager.run)
        yield Bench(server, gate, manager)
        tasks.cancel_scope.cancel()
