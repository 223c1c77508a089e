"""Ending everything that a runtime runs, by calls of the CRI only."""

from __future__ import annotations

import anyio

from orchestra._proto.cri.v1 import api_pb2 as pb
from orchestra.cri.interface import Runtime
from orchestra.errors import RuntimeServiceError

AT_ONCE = 64
"""Most containers that are being stopped at one time."""


async def remove_all(runtime: Runtime, *, timeout_seconds: int = 0) -> None:
    """Stop every container (with `timeout_seconds` between the signal and the kill) and remove every sandbox.

    Nothing that the runtime started is left when this returns. Raises the first `RuntimeServiceError` of something
    that could not be ended; the rest has been tried by then.
    """
    limit = anyio.CapacityLimiter(AT_ONCE)
    failures: list[RuntimeServiceError] = []

    async def stop(container_id: str) -> None:
        async with limit:
            try:
                request = pb.StopContainerRequest(container_id=container_id, timeout=timeout_seconds)
                await runtime.stop_container(request)
            except RuntimeServiceError as error:
                failures.append(error)

    state = pb.ContainerStateValue(state=pb.CONTAINER_RUNNING)
    wanted = pb.ListContainersRequest(filter=pb.ContainerFilter(state=state))
    async with anyio.create_task_group() as tasks:
        for container in (await runtime.list_containers(wanted)).containers:
            tasks.start_soon(stop, container.id)
    for sandbox in (await runtime.list_pod_sandbox(pb.ListPodSandboxRequest())).items:
        try:
            await runtime.remove_pod_sandbox(pb.RemovePodSandboxRequest(pod_sandbox_id=sandbox.id))
        except RuntimeServiceError as error:
            failures.append(error)
    if failures:
        raise failures[0]
