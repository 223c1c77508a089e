"""What Pods cost the server, in writes: little while they start, nothing at rest."""

from __future__ import annotations

import anyio
import pytest

from orchestra.api.builders import pod as build
from orchestra.api.core import Event, Node, Pod
from orchestra.cri import ContainerScript, FakeRuntime, Script

from .machine import Machine, sleeper
from .replay import NAMESPACE, NODE, Stage, stage

HOUR = 3600.0


async def revisions(running: Stage, kind: type[Pod | Node | Event]) -> list[str]:
    return [item.metadata.resource_version for item in (await running.server.list(kind)).items]


@pytest.mark.virtual_time
async def test_a_pod_of_a_runtime_without_delays_costs_one_status_write() -> None:
    async with stage(kind=FakeRuntime, capacity={"cpu": "100", "memory": "24Gi"}) as running:
        writes = 0
        for number in range(20):
            await running.server.create(build(f"{NAMESPACE}/p{number}", node=NODE))

        async def count() -> None:
            nonlocal writes
            async with running.server.watch(Pod, namespace=NAMESPACE, resource_version="1") as stream:
                async for event in stream:
                    writes += event.type == "MODIFIED"

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(count)
            await anyio.sleep(5)
            tasks.cancel_scope.cancel()
        assert writes == 20
        pods = (await running.server.list(Pod, namespace=NAMESPACE)).items
        assert all(c.status == "True" for pod in pods for c in pod.status.conditions if c.type == "Ready")


@pytest.mark.virtual_time
async def test_pods_at_rest_cost_nothing() -> None:
    async with stage() as running:
        await running.server.create(build(f"{NAMESPACE}/p", node=NODE))
        await anyio.sleep(5)
        before = await revisions(running, Pod), await revisions(running, Event)
        calls = 0
        observe = running.runtime.pod_sandbox_status

        async def counted(request: object) -> object:
            nonlocal calls
            calls += 1
            return await observe(request)  # type: ignore[arg-type]

        running.runtime.pod_sandbox_status = counted  # type: ignore[method-assign,assignment]
        await anyio.sleep(HOUR / 2)  # events expire after an hour
        assert (await revisions(running, Pod), await revisions(running, Event)) == before
        assert calls == 0


@pytest.mark.virtual_time
async def test_a_crash_loop_slows_down() -> None:
    script = Script(container=lambda _sandbox, _config: ContainerScript(run_seconds=0.1, exit_code=1))
    async with stage(script) as running:
        await running.server.create(build(f"{NAMESPACE}/p", node=NODE))
        await anyio.sleep(HOUR)
        pod = await running.server.get(Pod, "p", namespace=NAMESPACE)
        assert 14 <= pod.status.container_statuses[0].restart_count <= 20


async def test_a_pod_of_processes_costs_three_status_writes_at_most(host: Machine) -> None:
    created = await host.create(sleeper())
    ready = await host.ready()
    writes = 0
    version = created.metadata.resource_version
    async with host.server.watch(Pod, namespace="default", resource_version=version) as stream:
        async for event in stream:
            writes += 1
            if event.object.metadata.resource_version == ready.metadata.resource_version:
                break
    assert 1 <= writes <= 3
