"""From a decision to a bound Pod, or back: the part of the driver that talks to the server about bindings."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import anyio
import attrs

from orchestra._log import get_logger
from orchestra.api.core.pod import Pod
from orchestra.backoff import Backoff
from orchestra.errors import APIError, Conflict, Forbidden, Invalid, NotFound, OrchestraError
from orchestra.scheduler.events import Action, ClusterEvent, Resource
from orchestra.scheduler.interface import CycleState, Verdict
from orchestra.scheduler.nodetable import NodeTable
from orchestra.scheduler.queue import QueuedPod, SchedulingQueue
from orchestra.scheduler.reporting import Reporter

if TYPE_CHECKING:
    from orchestra.client.interface import Client
    from orchestra.clock import Clock

ASK_AGAIN: Final = Backoff(initial_seconds=0.1, factor=2.0, max_seconds=5.0)
"""How often the server is asked whether a Pod was bound, when the answer to the binding left that open."""
MAX_QUESTIONS: Final = 20

_CERTAIN: Final = (Conflict, NotFound, Forbidden, Invalid)
"""Errors after which it is certain that this binding did not happen."""

_log = get_logger("scheduler")


@attrs.frozen(eq=False)
class Placement:
    """A Pod that is assumed on a node. `asked`: a Permit plugin has kept it waiting already."""

    pod: QueuedPod
    node: str
    state: CycleState
    asked: bool = False


class Buffer:
    """Placed Pods that wait for one of several workers to bind them.

    A worker that takes one wakes the next only while there are more: where binding never waits, as at a server in the
    same process, one worker does them all in one go and the others sleep on.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._placements: deque[Placement] = deque()
        self._idle: list[anyio.Event] = []
        self._waking = False
        self._room: anyio.Event | None = None

    def put(self, placement: Placement) -> None:
        """Add one; who adds many asks for `room` in between."""
        self._placements.append(placement)
        self._wake()

    async def room(self) -> None:
        """Wait until there are not too many."""
        while len(self._placements) >= self._limit:
            self._room = anyio.Event()
            await self._room.wait()

    async def take(self) -> Placement:
        """Return the oldest, wait for one if there is none."""
        while not self._placements:
            woken = anyio.Event()
            self._idle.append(woken)
            await woken.wait()
            self._waking = False
        placement = self._placements.popleft()
        if self._room is not None and len(self._placements) < self._limit:
            self._room.set()
            self._room = None
        self._wake()
        return placement

    def _wake(self) -> None:
        if self._placements and self._idle and not self._waking:
            self._waking = True
            self._idle.pop().set()


class Binder:
    """Binds placed Pods and undoes what could not be bound."""

    def __init__(
        self,
        client: Client,
        clock: Clock,
        table: NodeTable,
        queue: SchedulingQueue,
        reporter: Reporter,
        wake: Callable[[], None],
    ) -> None:
        self._client = client
        self._clock = clock
        self._table = table
        self._queue = queue
        self._reporter = reporter
        self._wake = wake

    async def bind(self, placement: Placement) -> None:
        """Run PreBind, Bind and PostBind; every outcome is recorded in table, queue and Events."""
        pod, node = placement.pod, placement.node
        try:
            refused = await self._ask_plugins(placement)
        except APIError as error:
            await self._failed(placement, error)
            return
        except Exception as error:  # noqa: BLE001 - a plugin's fault: it costs this Pod its cycle and is reported
            _log.error("plugin failed while binding", pod=pod.info.key, error=repr(error))
            await self._failed(placement, error)
            return
        if refused:
            self.undo(placement)
            self._queue.retry(pod, self._clock.monotonic())
            self._reporter.failed(pod, refused)
            return
        self._queue.done(pod)
        self._reporter.bound(pod, node)
        for plugin in pod.profile.post_binds:
            plugin.post_bind(pod.info, node)

    async def _ask_plugins(self, placement: Placement) -> str:
        """Return why the Pod was not bound; nothing when it was."""
        pod, node = placement.pod, placement.node
        for plugin in pod.profile.pre_binds:
            status = await plugin.pre_bind(self._client, pod.info, node)
            if status is not None and not status.success:
                return f"{plugin.name}: {', '.join(status.reasons)}"
        for plugin in pod.profile.binds:
            status = await plugin.bind(self._client, pod.info, node)
            if status is None or status.success:
                return ""
            if status.verdict is not Verdict.SKIP:
                return f"{plugin.name}: {', '.join(status.reasons)}"
        return "no plugin binds"

    def undo(self, placement: Placement) -> None:
        """Give back everything that was set aside for a Pod, and say so to those that wait for room."""
        pod = placement.pod
        for plugin in reversed(pod.profile.reserves):
            plugin.unreserve(placement.state, pod.info, placement.node)
        was_assumed = pod.info.uid in self._table.assumed
        self._table.forget(pod.info.uid)
        if was_assumed:
            event = ClusterEvent(Resource.ASSIGNED_POD, Action.DELETE, pod.info.pod, None)
            self._queue.on_event(event, self._clock.monotonic())
        self._wake()

    async def _failed(self, placement: Placement, error: Exception) -> None:
        pod = placement.pod
        if not isinstance(error, _CERTAIN) and await self._was_bound(placement):
            self._queue.done(pod)
            self._reporter.bound(pod, placement.node)
            return
        _log.warning("binding failed", pod=pod.info.key, node=placement.node, error=str(error))
        self.undo(placement)
        if isinstance(error, NotFound):
            # The Pod is gone, or the informer will tell otherwise.
            self._queue.retry(pod, self._clock.monotonic())
            return
        self._queue.retry(pod, self._clock.monotonic())
        self._reporter.failed(pod, f"binding rejected: {error}")

    async def _was_bound(self, placement: Placement) -> bool:
        """Ask the server whether the binding happened although its answer did not arrive."""
        meta = placement.pod.info.pod.metadata
        for attempt in range(1, MAX_QUESTIONS + 1):
            try:
                found = await self._client.get(Pod, meta.name, namespace=meta.namespace)
            except NotFound:
                return False
            except OrchestraError as error:
                _log.warning("cannot ask whether a Pod was bound", pod=placement.pod.info.key, error=str(error))
                await anyio.sleep(ASK_AGAIN.delay_seconds(attempt))
                continue
            return found.metadata.uid == meta.uid and found.spec.node_name == placement.node
        return False
