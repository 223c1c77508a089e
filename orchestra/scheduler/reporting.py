"""What the scheduler tells: Events, and the PodScheduled condition of Pods that fit nowhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import anyio

from orchestra._log import get_logger
from orchestra.api.core.pod import Pod
from orchestra.api.rules.conditions import condition
from orchestra.api.times import format_time
from orchestra.client.interface import Patch, PatchType
from orchestra.errors import APIError
from orchestra.scheduler.queued import QueuedPod

if TYPE_CHECKING:
    from orchestra.client.interface import Client
    from orchestra.clock import Clock
    from orchestra.controller.interface import Events, Recorder
    from orchestra.scheduler.cycle import Unplaced
    from orchestra.scheduler.recording import DiagnosisRecorder

MAX_PENDING_REPORTS: Final = 10_000
"""Pods whose condition waits to be written; the oldest is dropped, its next attempt reports again."""

MAX_NOTE: Final = 1024
"""Characters of an Event's message, as with kube-scheduler (`truncateMessage`, NoteLengthLimit)."""
MAX_CONDITION: Final = 32_768
"""Characters of a condition's message, as metav1.Condition allows."""

_log = get_logger("scheduler")


def shortened(text: str, limit: int) -> str:
    """Return a text of at most so many characters; one that was cut ends with ` ...`, as in kube-scheduler."""
    return text if len(text) <= limit else f"{text[: limit - 4]} ..."


class Reporter:
    """Records Events at once, and writes conditions one after another in a task of its own."""

    def __init__(self, client: Client, clock: Clock, recorder: Recorder, records: DiagnosisRecorder) -> None:
        self._client = client
        self._clock = clock
        self._recorder = recorder
        self._records = records
        self._events: dict[str, Events] = {}
        self._pending: dict[str, tuple[Pod, str, str, str | None]] = {}
        self._there_is_work = anyio.Event()

    def bound(self, pod: QueuedPod, node: str) -> None:
        """Tell that a Pod has a node."""
        self._pending.pop(pod.info.uid, None)
        _log.info("pod bound", pod=pod.info.key, node=node)
        self._of(pod).normal(pod.info.pod, "Scheduled", f"Successfully assigned {pod.info.key} to {node}")

    def chosen(self, pod: QueuedPod, node: str) -> None:
        """Tell that a node was chosen."""
        self._records.placed(pod, node)

    def considered(self, pod: QueuedPod, outcome: Unplaced | None) -> None:
        """Take down why no node was chosen."""
        self._records.unplaced(pod, outcome)

    def waiting(self, pod: QueuedPod, message: str) -> None:
        """Tell that a placed Pod waits for permission."""
        self._records.waiting(pod, message)

    def refused(self, pod: QueuedPod, message: str, *, nominated: str | None = None) -> None:
        """Tell that no node can run a Pod, and which one it is nominated for; None leaves that as it is."""
        self._records.refused(pod, message)
        self._of(pod).warning(pod.info.pod, "FailedScheduling", shortened(message, MAX_NOTE))
        self._set_condition(pod, "Unschedulable", message, nominated)

    def preempted(self, victim: Pod, pod: QueuedPod, node: str) -> None:
        """Tell that a Pod has to go for a more important one."""
        self._of(pod).normal(victim, "Preempted", f"Preempted by pod {pod.info.uid} on node {node}")

    def warned(self, pod: QueuedPod, message: str) -> None:
        """Tell that something went wrong that does not keep the Pod from its node."""
        self._of(pod).warning(pod.info.pod, "SchedulerPluginFailed", message)

    def failed(self, pod: QueuedPod, message: str) -> None:
        """Tell that something went wrong on the way to a node."""
        self._records.failed(pod, message)
        self._of(pod).warning(pod.info.pod, "FailedScheduling", shortened(message, MAX_NOTE))
        self._set_condition(pod, "SchedulerError", message)

    def _of(self, pod: QueuedPod) -> Events:
        name = pod.profile.name
        events = self._events.get(name)
        if events is None:
            events = self._events[name] = self._recorder.events(name)
        return events

    def _set_condition(self, pod: QueuedPod, reason: str, message: str, nominated: str | None = None) -> None:
        message = shortened(message, MAX_CONDITION)
        found = condition(pod.info.pod, "PodScheduled")
        known = found is not None and (found.status, found.reason, found.message) == ("False", reason, message)
        if known and nominated in (None, pod.info.pod.status.nominated_node_name):
            self._pending.pop(pod.info.uid, None)
            return
        self._pending.pop(pod.info.uid, None)
        if len(self._pending) >= MAX_PENDING_REPORTS:
            self._pending.pop(next(iter(self._pending)))
        self._pending[pod.info.uid] = (pod.info.pod, reason, message, nominated)
        self._there_is_work.set()

    async def run(self) -> None:
        """Write conditions until cancelled."""
        while True:
            while self._pending:
                await self._write(*self._pending.pop(next(iter(self._pending))))
            self._there_is_work = anyio.Event()
            await self._there_is_work.wait()

    async def _write(self, pod: Pod, reason: str, message: str, nominated: str | None) -> None:
        found = condition(pod, "PodScheduled")
        since = found.last_transition_time if found is not None and found.status == "False" else None
        new = {
            "type": "PodScheduled",
            "status": "False",
            "lastProbeTime": None,
            "lastTransitionTime": format_time(since or self._clock.now()),
            "reason": reason,
            "message": message,
        }
        meta = pod.metadata
        status: dict[str, object] = {"conditions": [new]}
        if nominated is not None:
            status["nominatedNodeName"] = nominated or None
        patch = Patch(PatchType.STRATEGIC, {"metadata": {"uid": meta.uid}, "status": status})
        try:
            await self._client.patch(Pod, meta.name, patch, namespace=meta.namespace, subresource="status")
        except APIError as error:
            # The Pod is gone or bound, or the server is busy: the next attempt reports again.
            _log.warning("condition not written", pod=pod.key, error=str(error))
