"""Looking at what the runtime has of one Pod."""

from __future__ import annotations

from orchestra._proto.cri.v1 import api_pb2 as pb
from orchestra.cri import Runtime
from orchestra.errors import RuntimeServiceError
from orchestra.node.model import (
    POD_UID_LABEL,
    ContainerState,
    ObservedContainer,
    ObservedPod,
    ObservedSandbox,
    observe_container,
    observe_sandbox,
)


class Observer:
    """Observes one Pod; runs that are over cannot change and are asked for only once."""

    def __init__(self, runtime: Runtime, uid: str) -> None:
        self._runtime = runtime
        self._labels = {POD_UID_LABEL: uid}
        self._over: dict[str, ObservedContainer] = {}

    async def observe(self) -> ObservedPod:
        """Return what the runtime has now."""
        listed = await self._runtime.list_pod_sandbox(
            pb.ListPodSandboxRequest(filter=pb.PodSandboxFilter(label_selector=self._labels))
        )
        sandboxes = [s for item in listed.items if (s := await self._sandbox(item.id)) is not None]
        sandboxes.sort(key=lambda s: s.attempt, reverse=True)
        held = await self._runtime.list_containers(
            pb.ListContainersRequest(filter=pb.ContainerFilter(label_selector=self._labels))
        )
        runs = [c for item in held.containers if (c := await self._container(item)) is not None]
        runs.sort(key=lambda c: (c.attempt, c.created_at), reverse=True)
        return ObservedPod(sandboxes=tuple(sandboxes), containers=tuple(runs))

    async def _sandbox(self, sandbox_id: str) -> ObservedSandbox | None:
        try:
            answer = await self._runtime.pod_sandbox_status(pb.PodSandboxStatusRequest(pod_sandbox_id=sandbox_id))
        except RuntimeServiceError as error:
            if error.code == "NotFound":
                return None
            raise
        return observe_sandbox(answer.status)

    async def _container(self, item: pb.Container) -> ObservedContainer | None:
        known = self._over.get(item.id)
        if known is not None:
            return known
        try:
            answer = await self._runtime.container_status(pb.ContainerStatusRequest(container_id=item.id))
        except RuntimeServiceError as error:
            if error.code == "NotFound":
                return None
            raise
        run = observe_container(answer.status, item.pod_sandbox_id)
        if run.state is ContainerState.EXITED:
            self._over[run.id] = run
        return run
