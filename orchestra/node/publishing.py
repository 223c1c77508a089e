"""Writing the status of one Pod: the latest only, one write at a time, never against a newer Pod."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import attrs

from orchestra.api.core import Pod, PodStatus
from orchestra.backoff import Backoff
from orchestra.errors import APIError, Conflict, NotFound
from orchestra.node.status import StatusInput, pod_status

if TYPE_CHECKING:
    from orchestra.node.worker import PodWorker

GATHER_SECONDS = 0.01
"""How long a write waits for more changes: what happens at once is told at once."""

RETRY = Backoff(initial_seconds=0.1, factor=2.0, max_seconds=10.0, jitter=0.2)


class StatusWriter:
    """Writes a Pod's status whenever it was asked to and something differs."""

    def __init__(self, worker: PodWorker) -> None:
        self._worker = worker
        self._wanted = anyio.Event()
        self._writing = anyio.Lock()
        self._newest: PodStatus | None = None

    def request(self) -> None:
        """Ask for a write soon; several requests become one write."""
        self._wanted.set()

    def is_own(self, status: PodStatus) -> bool:
        """Say whether a status is the one that was written last."""
        return self._newest is not None and status == self._newest

    async def run(self) -> None:
        """Write until cancelled."""
        failures = 0
        while True:
            await self._wanted.wait()
            await anyio.sleep(GATHER_SECONDS)
            self._wanted = anyio.Event()
            try:
                await self.write()
                failures = 0
            except Exception as error:  # logged and tried again: one Pod's trouble is not the node's end
                failures += 1
                unforeseen = not isinstance(error, APIError)
                pod = self._worker.pod.key
                self._worker.node.log.warning("pod status not written", pod=pod, error=str(error), exc_info=unforeseen)
                self._wanted.set()
                await anyio.sleep(RETRY.delay_seconds(failures, self._worker.node.clock.random))

    async def write(self) -> None:
        """Write the status of now if it differs from what the server has; a newer Pod is read first."""
        async with self._writing:
            while True:
                pod = self._worker.pod
                status = self._newest = self._status(pod)
                if status == pod.status:
                    return
                try:
                    written = await self._worker.node.client.update(
                        attrs.evolve(pod, status=status), subresource="status"
                    )
                except NotFound:
                    self._worker.lose()
                    return
                except Conflict:
                    if not await self._read_again(pod):
                        return
                    continue
                self._worker.update(written)
                return

    async def _read_again(self, pod: Pod) -> bool:
        """Take the newest state of the Pod; say whether it is still the same one."""
        meta = pod.metadata
        try:
            fresh = await self._worker.node.client.get(Pod, meta.name, namespace=meta.namespace)
        except NotFound:
            self._worker.lose()
            return False
        if fresh.metadata.uid != meta.uid:
            self._worker.lose()
            return False
        self._worker.update(fresh)
        return True

    def _status(self, pod: Pod) -> PodStatus:
        worker = self._worker
        if worker.memory.reported_end and not worker.observed.containers:
            return pod.status  # an end that was reported before this agent began, of containers that are gone
        status = pod_status(
            StatusInput(
                pod=pod,
                observed=worker.observed,
                memory=worker.memory,
                host_ip=worker.node.host_ip,
                runtime_name=worker.node.runtime_name,
                now=worker.node.clock.now(),
                ended=worker.memory.finished,
            )
        )
        if worker.memory.reported_end:  # what ended stays as it ended, whatever its leftovers look like
            old = pod.status
            return attrs.evolve(status, phase=old.phase, reason=old.reason, message=old.message)
        return status
