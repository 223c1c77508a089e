"""Looking at what the runtime has of one Pod."""

from __future__ import annotations

from collections.abc import Callable, Iterable

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
    """Observes one Pod, asking only for what can have changed.

    The agent alone makes sandboxes, so those that it was told of (`sandboxes`, `expect`) are all there are, until a
    call has failed and may have done something all the same: then (`distrust`) everything is listed again. The status
    of a container is asked for when its state in the list is another one than before. `finish` may complete a run that
    is over; it is called once for each.
    """

    def __init__(
        self,
        runtime: Runtime,
        uid: str,
        sandboxes: Iterable[str],
        finish: Callable[[ObservedContainer], ObservedContainer],
    ) -> None:
        self._runtime = runtime
        self._labels = {POD_UID_LABEL: uid}
        self._finish = finish
        self._sandboxes = list(sandboxes)
        self._trusted = True
        self._known: dict[str, tuple[int, ObservedContainer]] = {}

    def expect(self, sandbox_id: str) -> None:
        """Take note of a new sandbox."""
        self._sandboxes.append(sandbox_id)

    def distrust(self) -> None:
        """Take nothing for granted the next time."""
        self._trusted = False

    async def observe(self) -> ObservedPod:
        """Return what the runtime has now."""
        if not self._trusted:
            request = pb.ListPodSandboxRequest(filter=pb.PodSandboxFilter(label_selector=self._labels))
            self._sandboxes = [item.id for item in (await self._runtime.list_pod_sandbox(request)).items]
            self._trusted = True
        sandboxes: list[ObservedSandbox] = []
        runs: list[ObservedContainer] = []
        for sandbox_id in tuple(self._sandboxes):
            sandbox = await self._sandbox(sandbox_id)
            if sandbox is None:
                self._sandboxes.remove(sandbox_id)
                continue
            sandboxes.append(sandbox)
            request_containers = pb.ListContainersRequest(filter=pb.ContainerFilter(pod_sandbox_id=sandbox_id))
            for item in (await self._runtime.list_containers(request_containers)).containers:
                run = await self._container(item)
                if run is not None:
                    runs.append(run)
        self._known = {run.id: self._known[run.id] for run in runs}
        sandboxes.sort(key=lambda s: s.attempt, reverse=True)
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
        state, known = self._known.get(item.id, (-1, None))
        if known is not None and state == item.state:
            return known
        try:
            answer = await self._runtime.container_status(pb.ContainerStatusRequest(container_id=item.id))
        except RuntimeServiceError as error:
            if error.code == "NotFound":
                return None
            raise
        run = observe_container(answer.status, item.pod_sandbox_id)
        if run.state is ContainerState.EXITED:
            run = self._finish(run)
        self._known[item.id] = (run.state.value, run)
        return run
