"""Evicting Pods for more important ones: the part of the driver that acts on what PostFilter chose."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

import anyio

from orchestra._log import get_logger
from orchestra.api.core.pod import Pod
from orchestra.api.times import format_time
from orchestra.client.interface import DeleteOptions, Patch, PatchType, Preconditions
from orchestra.errors import APIError, Conflict, NotFound
from orchestra.scheduler.interface import PostFilterResult
from orchestra.scheduler.nodetable import NodeTable
from orchestra.scheduler.plugins.preemption import BY_SCHEDULER
from orchestra.scheduler.queued import QueuedPod
from orchestra.scheduler.reporting import Reporter

if TYPE_CHECKING:
    from orchestra.client.interface import Client
    from orchestra.clock import Clock

MAX_PENDING: Final = 1000
"""Preemptions that wait to be carried out; a Pod beyond that goes without and is tried again later."""

_log = get_logger("scheduler")


class Waits(Protocol):
    """Pods that wait: for permission, or for their victims."""

    def reject(self, uid: str) -> bool:
        """Take the room of a Pod back that waits for permission; says whether it did wait."""
        ...

    def spare(self, uid: str) -> None:
        """A Pod is nobody's victim any more: whom it was the last for has nothing to wait for."""
        ...


class Preemptor:
    """Nominates at once, so that nobody else takes the room, and evicts in a task of its own.

    A victim that waits for permission is not deleted: it gives its room back and is tried again, as in Kubernetes.
    """

    def __init__(self, client: Client, clock: Clock, table: NodeTable, reporter: Reporter, waits: Waits) -> None:
        self._waits = waits
        self._client = client
        self._clock = clock
        self._table = table
        self._reporter = reporter
        self._pending: list[tuple[QueuedPod, PostFilterResult]] = []
        self._there_is_work = anyio.Event()

    def begin(self, pod: QueuedPod, found: PostFilterResult) -> None:
        """Nominate the Pod for the node that was found, or take its nomination back when there is none."""
        if found.node and len(self._pending) >= MAX_PENDING:
            return
        self._table.nominate(pod.info, found.node)
        if found.node:
            for victim in found.victims:
                self._table.victims.add(victim.uid, pod.info.uid)
            self._pending.append((pod, found))
            self._there_is_work.set()

    async def run(self) -> None:
        """Evict until cancelled."""
        while True:
            while self._pending:
                pod, found = self._pending.pop(0)
                for victim in found.victims:
                    if self._table.nominated.node_of(pod.info.uid) == found.node:
                        await self._evict(pod, victim.pod, found.node)
                    else:  # the Pod is gone by now, or has found another place
                        self._waits.spare(victim.uid)
            self._there_is_work = anyio.Event()
            await self._there_is_work.wait()

    async def _evict(self, pod: QueuedPod, victim: Pod, node: str) -> None:
        meta = victim.metadata
        if self._waits.reject(meta.uid):
            self._waits.spare(meta.uid)
            self._reporter.preempted(victim, pod, node)
            return
        target = {
            "type": "DisruptionTarget",
            "status": "True",
            "reason": BY_SCHEDULER,
            "message": f"{pod.profile.name}: preempting to accommodate a higher priority pod",
            "lastProbeTime": None,
            "lastTransitionTime": format_time(self._clock.now()),
        }
        patch = Patch(PatchType.STRATEGIC, {"metadata": {"uid": meta.uid}, "status": {"conditions": [target]}})
        options = DeleteOptions(preconditions=Preconditions(uid=meta.uid))
        try:
            if meta.deletion_timestamp is None:
                await self._client.patch(Pod, meta.name, patch, namespace=meta.namespace, subresource="status")
                await self._client.delete(Pod, meta.name, namespace=meta.namespace, options=options)
                self._reporter.preempted(victim, pod, node)
        except (NotFound, Conflict):
            self._waits.spare(meta.uid)  # it is gone, and another one may have its name
        except APIError as error:
            # The Pod stays nominated and unscheduled; its next attempt, after its backoff, chooses victims anew.
            _log.warning("victim not evicted", pod=victim.key, by=pod.info.key, error=str(error))
            self._waits.spare(meta.uid)
