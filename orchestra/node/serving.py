"""What the server may ask of a node: the logs of its containers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from orchestra.client.interface import LogOptions
from orchestra.errors import BadRequest
from orchestra.node.logs import read_log
from orchestra.node.model import ContainerState

if TYPE_CHECKING:
    from orchestra.node.context import NodeContext
    from orchestra.node.worker import PodWorker


class NodeLogs:
    """Answers the server's questions for logs (`orchestra.client.interface.NodeHandler`)."""

    def __init__(self, node: NodeContext, workers: Mapping[str, PodWorker]) -> None:
        self._node = node
        self._workers = workers

    async def logs(self, namespace: str, pod: str, options: LogOptions) -> AsyncIterator[bytes]:
        """Yield chunks of a container's log; raises BadRequest when it has none yet."""
        from orchestra.node.starting import log_directory

        worker = self._worker(namespace, pod)
        name = options.container
        runs = worker.observed.runs(name)
        if options.previous:
            runs = runs[1:]
            if not runs:
                raise BadRequest(f'previous terminated container "{name}" in pod "{pod}" not found')
        if not runs:
            waiting = worker.memory.of(name).waiting
            reason = waiting.reason if waiting else "ContainerCreating"
            raise BadRequest(f'container "{name}" in pod "{pod}" is waiting to start: {reason}')
        run = runs[0]
        path = Path(log_directory(self._node, worker.pod)) / name / f"{run.attempt}.log"
        if not path.exists():
            yield f"unable to retrieve container logs for {self._node.runtime_name}://{run.id}".encode()
            return

        def still_running() -> bool:
            latest = next((c for c in worker.observed.containers if c.id == run.id), None)
            return latest is not None and latest.state is ContainerState.RUNNING

        async for chunk in read_log(path, options, self._node.clock.now(), still_running):
            yield chunk

    def _worker(self, namespace: str, pod: str) -> PodWorker:
        for worker in self._workers.values():
            meta = worker.pod.metadata
            if (meta.namespace, meta.name) == (namespace, pod):
                return worker
        raise BadRequest(f'pod "{pod}" in namespace "{namespace}" is not on node {self._node.name}')
