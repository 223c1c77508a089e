"""The driver of explaining: takes down what each attempt decided, and tells the server, a batch at a time.

Taking down must cost next to nothing where Pods are placed by the thousand. So in a window of time only the first few
placements are taken down whole, with the other nodes and their scores; of the rest the chosen node with its scores and
the counts are kept. An attempt that found no node is always taken down whole.
"""

from __future__ import annotations

from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Final

import anyio

from orchestra._log import get_logger
from orchestra.api.diagnosis import FAILED, GATED, PLACED, REFUSED, UNSCHEDULABLE, WAITING
from orchestra.client.interface import DiagnosisReport
from orchestra.errors import APIError
from orchestra.scheduler.advice import advise
from orchestra.scheduler.explaining import Attempt, Decision, of_diagnosis, of_placement, record

if TYPE_CHECKING:
    from datetime import datetime

    from orchestra.client.interface import Client
    from orchestra.clock import Clock
    from orchestra.scheduler.cycle import Unplaced
    from orchestra.scheduler.evaluation import Evaluation
    from orchestra.scheduler.nodetable import NodeTable
    from orchestra.scheduler.podinfo import PodInfo
    from orchestra.scheduler.queue import SchedulingQueue
    from orchestra.scheduler.queued import QueuedPod

WINDOW_SECONDS: Final = 0.05
WHOLE_RECORDS: Final = 8
"""Placements of one window that are taken down with the other nodes, at most."""
WHOLE_ROWS: Final = 40_000
"""So many rows of the node table are looked through for that in a window, but those of one placement in any case."""
MAX_PENDING_RECORDS: Final = 10_000
"""Records that wait to be sent; the oldest is dropped."""
RECORDS_AT_ONCE: Final = 256

_log = get_logger("scheduler")


class DiagnosisRecorder:
    """Keeps the records of one scheduler until they are sent; `run` sends them."""

    def __init__(self, client: Client, clock: Clock, table: NodeTable, queue: SchedulingQueue) -> None:
        self._client = client
        self._clock = clock
        self._table = table
        self._queue = queue
        self._pending: dict[str, DiagnosisReport] = {}
        self._there_is_work = anyio.Event()
        self._whole, self._rows_left = WHOLE_RECORDS, WHOLE_ROWS
        self._window_ends = 0.0
        self._chosen: dict[str, Decision] = {}

    # -- taking down

    def begin_batch(self, now_seconds: float) -> None:
        """Begin a new window when its time has come, and tell of the Pods that are held back."""
        if now_seconds >= self._window_ends:
            self._whole, self._rows_left = WHOLE_RECORDS, WHOLE_ROWS
            self._window_ends = now_seconds + WINDOW_SECONDS
        self._chosen.clear()  # choices that came to nothing, as those for a group that was too large
        for pod in self._queue.newly_gated():
            pod.decision = None
            self._tell(pod, GATED, pod.gate)

    def witness(self, pod: PodInfo, evaluation: Evaluation, row: int, ties: int) -> None:
        """Take down a choice while the Pod is not counted yet; `placed` tells it."""
        whole = self._whole > 0 and self._rows_left > 0
        if whole:
            self._whole -= 1
            self._rows_left -= self._table.size
        self._chosen[pod.uid] = of_placement(evaluation, row, ties, whole=whole)

    def placed(self, pod: QueuedPod, node: str) -> None:
        """Tell that a node was chosen: by its scores, or by an optimiser that had another idea."""
        seen = self._chosen.pop(pod.info.uid, None) or Decision(0, 0, node)
        pod.decision = seen if seen.node == node else seen.instead(node)
        self._tell(pod, PLACED, "")

    def unplaced(self, pod: QueuedPod, outcome: Unplaced | None) -> None:
        """Take down why there is no node for a Pod, as far as that is known; `refused` tells it.

        The table must be as the cycle left it, which for a group it is no more: then there is no advice.
        """
        pod.decision = None
        if outcome is not None:
            diagnosis, found = outcome.diagnosis, outcome.post_filter
            advice = (
                () if found.node or found.keep or pod.group else advise(diagnosis, pod.info, self._table, pod.profile)
            )
            pod.decision = of_diagnosis(diagnosis, found, advice)

    def refused(self, pod: QueuedPod, message: str) -> None:
        """Tell that no node, or not the chosen one, takes the Pod, once the queue knows."""
        chosen = pod.decision is not None and pod.decision.node
        self._tell(pod, REFUSED if chosen else UNSCHEDULABLE, message)

    def waiting(self, pod: QueuedPod, message: str) -> None:
        """Tell that a plugin keeps a placed Pod waiting."""
        self._tell(pod, WAITING, message)

    def failed(self, pod: QueuedPod, message: str) -> None:
        """Tell that something went wrong."""
        self._tell(pod, FAILED, message)

    def _tell(self, pod: QueuedPod, outcome: str, message: str) -> None:
        meta = pod.info.pod.metadata
        now = self._clock.now()
        attempt = Attempt(pod.profile.name, outcome, message, pod.attempts, meta.creation_timestamp, now)
        if outcome != PLACED:
            attempt = self._with_outlook(pod, attempt, now)
        about = (meta.namespace, meta.name, pod.info.uid)
        write = partial(record, about, pod.decision, attempt)
        pending = self._pending
        pending.pop(pod.info.uid, None)
        if len(pending) >= MAX_PENDING_RECORDS:
            del pending[next(iter(pending))]
        pending[pod.info.uid] = DiagnosisReport(*about, outcome == PLACED, write)
        self._there_is_work.set()

    def _with_outlook(self, pod: QueuedPod, attempt: Attempt, now: datetime) -> Attempt:
        outlook, elapsed = self._queue.outlook(pod), self._clock.monotonic()
        return attempt.with_outlook(outlook, now, elapsed)

    # -- telling

    async def run(self) -> None:
        """Send records until cancelled."""
        while True:
            while self._pending:
                await self._send()
            self._there_is_work = anyio.Event()
            await self._there_is_work.wait()

    async def _send(self) -> None:
        uids = tuple(islice(self._pending, RECORDS_AT_ONCE))
        reports = [self._pending.pop(uid) for uid in uids]
        try:
            await self._client.report_diagnoses(reports)
        except APIError as error:
            # The next attempt at each of the Pods tells anew; those that were placed stay without a record.
            _log.warning("diagnoses not written", pods=len(reports), error=str(error))
