"""From a decision to a bound Pod, or back: the part of the driver that talks to the server about bindings.

Whatever happens on the way, a Pod is bound once and its room is given to nobody else before that is settled:

- PreBind of all Pods of a unit comes first; a unit that becomes too small by it is taken back before anything is bound.
- A binding whose answer is lost, late or an error that leaves it open is followed by the question whether it happened,
  asked until there is an answer; if not, the same binding is tried again on the same node, `MAX_BINDS` times in all.
- Only an error that is certain, a plugin that is late, or the last of these attempts gives the room back.
- A node that is gone by now, or that Pods of somebody else have filled, is not bound to.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import anyio

from orchestra._log import get_logger
from orchestra.api.core.pod import Pod
from orchestra.backoff import Backoff
from orchestra.errors import APIError, Conflict, Forbidden, Invalid, NotFound, OrchestraError, PluginError
from orchestra.scheduler.answers import asking
from orchestra.scheduler.events import Action, ClusterEvent, Resource
from orchestra.scheduler.interface import Verdict
from orchestra.scheduler.noderow import NodeRow
from orchestra.scheduler.nodetable import NodeTable
from orchestra.scheduler.permitting import PlacedUnit, Placement
from orchestra.scheduler.plugins.basics import DefaultBinder
from orchestra.scheduler.queue import SchedulingQueue
from orchestra.scheduler.reporting import Reporter
from orchestra.scheduler.watchdog import Watch

if TYPE_CHECKING:
    from orchestra.client.interface import Client
    from orchestra.clock import Clock

PLUGIN_SECONDS: Final = 60.0
"""How long PreBind and Bind of a plugin may take."""
BIND_AGAIN: Final = Backoff(initial_seconds=0.1, factor=2.0, max_seconds=5.0)
MAX_BINDS: Final = 6
"""Attempts to bind a Pod to one node, for about six seconds."""
ASK_AGAIN: Final = Backoff(initial_seconds=0.1, factor=2.0, max_seconds=5.0)
"""How often the server is asked whether a Pod was bound, when the answer to the binding left that open."""
UNIT_BINDERS: Final = 16
"""Pods of one group that are bound at the same time."""

_CERTAIN: Final = (Conflict, NotFound, Forbidden, Invalid, PluginError)
"""Errors after which it is certain that this binding did not happen."""

_log = get_logger("scheduler")


class _Refused(Exception):
    """A plugin's verdict on its way up."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class Binder:
    """Binds placed Pods and undoes what could not be bound."""

    def __init__(
        self,
        client: Client,
        clock: Clock,
        table: NodeTable,
        queue: SchedulingQueue,
        reporter: Reporter,
        *,
        wake: Callable[[], None],
        plugin_seconds: float = PLUGIN_SECONDS,
    ) -> None:
        self._client = client
        self._clock = clock
        self._table = table
        self._queue = queue
        self._reporter = reporter
        self._wake = wake
        self._plugin_seconds = plugin_seconds

    async def bind(self, unit: PlacedUnit, watch: Watch | None = None) -> None:
        """Bind the Pods of a unit, or take back what cannot be bound.

        With `watch` somebody ends the request that binds a single Pod when it takes too long; `overdue` goes on then.
        """
        left = [placement for placement in unit.placements if self._can_still_go(placement)]
        if any(placement.pod.profile.pre_binds for placement in left):
            left = [placement for placement in await self._prepared(left) if self._can_still_go(placement)]
        if len(left) < unit.needed:
            for placement in left:
                self._refused(placement, _Refused("too few Pods of its group could be prepared"))
            return
        if watch is not None and len(left) == 1:
            await self._bind(left[0], watch)
        else:
            await self._each(left, self._bind)

    async def overdue(self, unit: PlacedUnit) -> None:
        """Go on with a Pod whose binding took too long and was ended: it happened, or it did not."""
        for placement in unit.placements:
            if not self._queue.in_flight(placement.pod):
                continue  # its answer came at the last moment
            late = f"plugin {DefaultBinder.name} did not answer in Bind within {self._plugin_seconds:g} seconds"
            await self._settled(placement, _LateError(late, plugin=DefaultBinder.name), last=True)

    async def _each(self, placements: list[Placement], do: Callable[[Placement], Any]) -> None:
        if len(placements) == 1:
            await do(placements[0])
            return
        limiter = anyio.CapacityLimiter(UNIT_BINDERS)

        async def one(placement: Placement) -> None:
            async with limiter:
                await do(placement)

        async with anyio.create_task_group() as tasks:
            for placement in placements:
                tasks.start_soon(one, placement)

    def _can_still_go(self, placement: Placement) -> bool:
        """Look once more before binding: the Pod may be gone, or its node, or the room that it was to have."""
        if not self._queue.in_flight(placement.pod):
            self.undo(placement)
            return False
        row = self._table.by_name.get(placement.node)
        if row is None or row.node is None:
            self._refused(placement, _Refused(f"node {placement.node} is gone"))
            return False
        if placement.pod.info.uid in self._table.assumed and self._overfull(placement, row):
            self._refused(placement, _Refused(f"node {placement.node} was filled by others in the meantime"))
            return False
        return True

    def _overfull(self, placement: Placement, row: NodeRow) -> bool:
        """Say whether Pods that others bound have taken what the Pod was to have; it is counted there itself."""
        if not placement.pod.profile.checks_room:
            return False
        if row.pod_count > row.pod_limit:
            return True
        columns = row.columns
        return any(
            row.used[columns[name]] > row.alloc[columns[name]] for name, _ in placement.pod.info.requests.amounts
        )

    # -- PreBind

    async def _prepared(self, placements: list[Placement]) -> list[Placement]:
        ready: list[Placement] = []

        async def prepare(placement: Placement) -> None:
            try:
                for plugin in placement.pod.profile.pre_binds:
                    await self._asked(plugin, "PreBind", plugin.pre_bind, placement)
            except _Refused as refusal:
                self._refused(placement, refusal)
            except (PluginError, OrchestraError) as error:
                self._gave_up(placement, error)
            else:
                ready.append(placement)

        await self._each(placements, prepare)
        return [placement for placement in placements if placement in ready]

    async def _asked(
        self, plugin: Any, point: str, function: Any, placement: Placement, watch: Watch | None = None
    ) -> bool:
        """Ask an async plugin; returns whether it did not say SKIP. Raises _Refused, PluginError, or the client's."""
        try:
            if watch is not None and type(plugin) is DefaultBinder:
                watch.since = self._clock.monotonic()
                status = await function(self._client, placement.pod.info, placement.node)
                watch.since = None
            else:
                with anyio.fail_after(self._plugin_seconds):
                    status = await function(self._client, placement.pod.info, placement.node)
            if status is None or status.success:
                return True
            if status.verdict is Verdict.SKIP:
                return False
            raise _Refused(f"{plugin.name}: {', '.join(status.reasons)}")
        except TimeoutError as error:
            late = f"plugin {plugin.name} did not answer in {point} within {self._plugin_seconds:g} seconds"
            raise _LateError(late, plugin=plugin.name) from error
        except (_Refused, OrchestraError):
            raise
        except Exception as error:
            raise PluginError(f"plugin {plugin.name} failed in {point}: {error!r}", plugin=plugin.name) from error

    # -- Bind

    async def _bind(self, placement: Placement, watch: Watch | None = None) -> None:
        for attempt in range(1, MAX_BINDS + 1):
            try:
                await self._ask_binders(placement, watch)
            except _Refused as refusal:
                self._refused(placement, refusal)
                return
            except OrchestraError as error:
                if watch is not None:
                    watch.since = None
                if await self._settled(placement, error, last=attempt == MAX_BINDS):
                    return
                await anyio.sleep(BIND_AGAIN.delay_seconds(attempt))
            else:
                self._bound(placement)
                return

    async def _settled(self, placement: Placement, error: OrchestraError, *, last: bool) -> bool:
        """After an error: say whether this binding is over, one way or the other; else it is tried again."""
        late = isinstance(error, _LateError)
        certain = isinstance(error, _CERTAIN) and not late
        if not certain or isinstance(error, Conflict | PluginError):
            where = await self._whereabouts(placement)
            if where == placement.node:
                self._bound(placement)
                return True
            if where != "":  # gone, or bound by somebody else: what the informer tells ends its wait
                self.undo(placement)
                self._queue.retry(placement.pod, self._clock.monotonic())
                return True
        if certain or last or late:
            self._gave_up(placement, error)
            return True
        _log.warning("binding failed", pod=placement.pod.info.key, node=placement.node, error=str(error))
        return False

    async def _ask_binders(self, placement: Placement, watch: Watch | None) -> None:
        for plugin in placement.pod.profile.binds:
            if await self._asked(plugin, "Bind", plugin.bind, placement, watch):
                return
        raise _Refused("no plugin binds")

    def _bound(self, placement: Placement) -> None:
        pod, node = placement.pod, placement.node
        self._queue.done(pod)
        self._reporter.bound(pod, node)
        for plugin in pod.profile.post_binds:
            try:
                asking(plugin, "PostBind", plugin.post_bind, pod.info, node)
            except PluginError as error:
                # The Pod is bound, and stays so.
                _log.error("plugin failed", pod=pod.info.key, plugin=plugin.name, error=str(error))
                self._reporter.warned(pod, str(error))

    async def _whereabouts(self, placement: Placement) -> str | None:
        """Ask the server which node a Pod has after all: empty for none, None when the Pod is gone.

        It is asked until it answers, or the informer has told what became of the Pod: as long as that is open, nobody
        else may have the room.
        """
        meta = placement.pod.info.pod.metadata
        attempt = 0
        while True:
            if not self._queue.in_flight(placement.pod):
                known = self._table.placed.get(placement.pod.info.uid)
                confirmed = known is not None and placement.pod.info.uid not in self._table.assumed
                return known[1].name if confirmed and known is not None else None
            attempt += 1
            try:
                with anyio.fail_after(self._plugin_seconds):
                    found = await self._client.get(Pod, meta.name, namespace=meta.namespace)
            except NotFound:
                return None
            except (OrchestraError, TimeoutError) as error:
                _log.warning("cannot ask whether a Pod was bound", pod=placement.pod.info.key, error=str(error))
                await anyio.sleep(ASK_AGAIN.delay_seconds(attempt))
                continue
            return (found.spec.node_name or "") if found.metadata.uid == meta.uid else None

    # -- back again

    def undo(self, placement: Placement) -> None:
        """Give back everything that was set aside for a Pod, and say so to those that wait for room."""
        pod = placement.pod
        for plugin in reversed(pod.profile.reserves):
            try:
                asking(plugin, "Unreserve", plugin.unreserve, placement.state, pod.info, placement.node)
            except PluginError as error:
                _log.error("plugin failed", pod=pod.info.key, plugin=plugin.name, error=str(error))
                self._reporter.warned(pod, str(error))
        was_assumed = pod.info.uid in self._table.assumed
        self._table.forget(pod.info.uid)
        if was_assumed:
            event = ClusterEvent(Resource.ASSIGNED_POD, Action.DELETE, pod.info.pod, None)
            self._queue.on_event(event, self._clock.monotonic())
        self._wake()

    def put_off(self, unit: PlacedUnit, message: str) -> None:
        """Take a unit back that cannot be bound now; it is tried again."""
        for placement in unit.placements:
            self._refused(placement, _Refused(message))

    def _refused(self, placement: Placement, refusal: _Refused) -> None:
        self.undo(placement)
        self._queue.retry(placement.pod, self._clock.monotonic())
        self._reporter.failed(placement.pod, refusal.message)

    def _gave_up(self, placement: Placement, error: Exception) -> None:
        _log.warning("binding failed", pod=placement.pod.info.key, node=placement.node, error=str(error))
        self.undo(placement)
        self._queue.retry(placement.pod, self._clock.monotonic())
        if not isinstance(error, NotFound):  # else the Pod is gone, or the informer will tell otherwise
            told = f"binding rejected: {error}" if isinstance(error, APIError) else str(error)
            self._reporter.failed(placement.pod, told)


class _LateError(PluginError):
    """A plugin did not answer in time; what it was asked to do may happen yet."""
