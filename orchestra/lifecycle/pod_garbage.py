"""Takes away Pods that nobody will ever end. The driver of `lost_pods.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from orchestra._log import get_logger
from orchestra.api.codec import encode
from orchestra.api.core import Node, Pod
from orchestra.api.rules.conditions import is_terminal, set_condition
from orchestra.client.interface import DeleteOptions, Patch, PatchType, Preconditions, WriteOptions
from orchestra.controller.interface import Surroundings
from orchestra.errors import APIError, NotFound
from orchestra.lifecycle.lost_pods import Loss, LostPod, lost_pods
from orchestra.lifecycle.taint_eviction import disruption

if TYPE_CHECKING:
    from anyio.abc import TaskStatus


_ROUNDING_SECONDS = 0.001
"""Periods and quarantine fall together: a sum of floats must not cost another period."""


class PodGarbage:
    """A `Part` of the manager.

    A node that is missing is believed to be gone when it has been missing for `quarantine_seconds` and the server
    says so too: a cache may learn of a Pod before it learns of its node.
    """

    name = "pod-garbage-collector"

    def __init__(
        self, *, period_seconds: float = 20.0, quarantine_seconds: float = 40.0, terminated_threshold: int = 12500
    ) -> None:
        self._period_seconds = period_seconds
        self._quarantine_seconds = quarantine_seconds
        self._terminated_threshold = terminated_threshold
        self._missing: dict[str, float] = {}
        self._log = get_logger(self.name)

    async def run(self, surroundings: Surroundings, *, task_status: TaskStatus[None]) -> None:
        """Look for lost Pods now and then until cancelled."""
        pods, nodes = surroundings.informers.informer(Pod), surroundings.informers.informer(Node)
        await pods.wait_synced()
        await nodes.wait_synced()
        task_status.started()
        while True:
            await anyio.sleep(self._period_seconds)
            found = lost_pods(pods.lister.list(), lambda name: nodes.lister.get("", name), self._terminated_threshold)
            gone = await self._gone_nodes(found, surroundings)
            for lost in found:
                if lost.loss is Loss.NODE_GONE and lost.pod.spec.node_name not in gone:
                    continue
                try:
                    await self._take_away(lost, surroundings)
                except NotFound:
                    continue
                except APIError as error:  # the next round tries again
                    self._log.warning("lost pod not removed", pod=lost.pod.key, error=str(error))

    async def _gone_nodes(self, found: tuple[LostPod, ...], surroundings: Surroundings) -> frozenset[str]:
        names = dict.fromkeys(lost.pod.spec.node_name for lost in found if lost.loss is Loss.NODE_GONE)
        now = surroundings.clock.monotonic()
        self._missing = {name: self._missing.get(name, now) for name in names}
        gone = []
        for name, since in self._missing.items():
            if now - since < self._quarantine_seconds - _ROUNDING_SECONDS:
                continue
            try:
                await surroundings.client.get(Node, name)
            except NotFound:
                gone.append(name)
        return frozenset(gone)

    async def _take_away(self, lost: LostPod, surroundings: Surroundings) -> None:
        pod, client, fence = lost.pod, surroundings.client, surroundings.fence
        meta = pod.metadata
        if lost.loss in (Loss.NODE_GONE, Loss.OUT_OF_SERVICE) and not is_terminal(pod):
            condition = disruption("DeletionByPodGC", lost.loss.value)
            conditions = set_condition(pod.status.conditions, condition, surroundings.clock.now())
            status = {"phase": "Failed", "conditions": [encode(item) for item in conditions]}
            patch = Patch(PatchType.MERGE, {"metadata": {"uid": meta.uid}, "status": status})
            options = WriteOptions(field_manager=self.name, fence=fence)
            await client.patch(Pod, meta.name, patch, namespace=meta.namespace, subresource="status", options=options)
        options_of_delete = DeleteOptions(
            grace_period_seconds=0, preconditions=Preconditions(uid=meta.uid), fence=fence
        )
        await client.delete(Pod, meta.name, namespace=meta.namespace, options=options_of_delete)
        self._log.info("lost pod removed", pod=pod.key, loss=lost.loss.name)
