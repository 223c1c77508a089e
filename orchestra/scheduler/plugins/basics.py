"""Plugins about the Pod's way through the scheduler: order, gates, binding."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import attrs

from orchestra.scheduler.events import Action, EventHint, Resource
from orchestra.scheduler.interface import Plugin, Status, unschedulable
from orchestra.scheduler.podinfo import PodInfo

if TYPE_CHECKING:
    from orchestra.client.interface import Client
    from orchestra.scheduler.nodetable import NodeTable


@attrs.frozen
class PrioritySort(Plugin):
    """Higher priority first, then who waits longer."""

    name: ClassVar[str] = "PrioritySort"
    core_shape_only: ClassVar[bool] = True

    def sort_key(self, pod: PodInfo, since_seconds: float) -> Any:
        """Return the Pod's place among those that wait."""
        return (-pod.priority, since_seconds)


@attrs.frozen
class SchedulingGates(Plugin):
    """Holds Pods back while they have scheduling gates."""

    name: ClassVar[str] = "SchedulingGates"
    core_shape_only: ClassVar[bool] = True

    def pre_enqueue(self, pod: PodInfo, _table: NodeTable) -> Status | None:
        """Refuse while there is a gate."""
        gates = [gate.name for gate in pod.pod.spec.scheduling_gates]
        if not gates:
            return None
        return unschedulable(f"waiting for scheduling gates: [{' '.join(gates)}]", resolvable=False)

    def events(self) -> tuple[EventHint, ...]:
        """The Pod's own gates go."""
        return (EventHint(Resource.UNSCHEDULED_POD, Action.UPDATE_GATES),)


@attrs.frozen
class DefaultBinder(Plugin):
    """Binds through the Pod's binding subresource."""

    name: ClassVar[str] = "DefaultBinder"
    core_shape_only: ClassVar[bool] = True

    async def bind(self, client: Client, pod: PodInfo, node: str) -> Status | None:
        """Bind; whatever the server says is raised."""
        meta = pod.pod.metadata
        await client.bind(meta.name, node, namespace=meta.namespace, uid=meta.uid)
        return None
