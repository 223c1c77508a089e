"""From changes of cached objects to the node table and the queue: what the scheduler knows. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from orchestra.api.apps import ReplicaSet
from orchestra.api.core.cluster import Namespace
from orchestra.api.core.node import Node
from orchestra.api.core.pod import Pod
from orchestra.api.core.service import Service
from orchestra.api.object import Object
from orchestra.api.policy import PodDisruptionBudget
from orchestra.api.rules.conditions import is_terminal
from orchestra.api.scheduling import PodGroup
from orchestra.api.selectors import label_selector
from orchestra.controller.interface import Change
from orchestra.scheduler.budgets import DisruptionBudget
from orchestra.scheduler.events import Action, ClusterEvent, Resource
from orchestra.scheduler.nodetable import NodeTable
from orchestra.scheduler.podgroups import Policy
from orchestra.scheduler.podinfo import DEFAULT_SCHEDULER, PodInfo
from orchestra.scheduler.profile import Profile
from orchestra.scheduler.queue import SchedulingQueue

TOPOLOGY_LABELS: Final = ("topology.kubernetes.io/region", "topology.kubernetes.io/zone")
"""Labels that a Pod gets from its node when it is bound (KEP-4742)."""

Handler = Callable[[tuple[Change[Any], ...]], None]


class Feed:
    """Applies changes; `monotonic` tells the time and `wake` is called when there may be something to do."""

    def __init__(
        self,
        table: NodeTable,
        queue: SchedulingQueue,
        profiles: Mapping[str, Profile],
        monotonic: Callable[[], float],
        wake: Callable[[], None],
    ) -> None:
        self._table = table
        self._queue = queue
        self._profiles = profiles
        self._monotonic = monotonic
        self._wake = wake
        self._budgets: dict[tuple[str, str], DisruptionBudget] = {}

    def handlers(self) -> tuple[tuple[type[Object], Handler], ...]:
        """Return the kinds to follow, with what takes in their changes."""
        return (
            (Namespace, self._each(self._namespace)),
            (Node, self._each(self._node)),
            (Service, self._each(self._service)),
            (ReplicaSet, self._each(self._replica_set)),
            (PodGroup, self._each(self._pod_group)),
            (PodDisruptionBudget, self._each(self._disruption_budget)),
            (Pod, self._each(self._pod)),
        )

    def _each(self, take_in: Callable[[Any, Any], None]) -> Handler:
        def handle(changes: tuple[Change[Any], ...]) -> None:
            for change in changes:
                old, new = change.old, change.new
                if old is not None and new is not None and old.metadata.uid != new.metadata.uid:
                    take_in(old, None)
                    old = None
                take_in(old, new)
            self._wake()

        return handle

    def _event(self, resource: Resource, action: Action, old: Any, new: Any) -> None:
        self._queue.on_event(ClusterEvent(resource, action, old, new), self._monotonic())

    # -- nodes and what lies around Pods

    def _node(self, old: Node | None, new: Node | None) -> None:
        if new is None:
            assert old is not None
            self._table.remove_node(old.metadata.name)
            self._event(Resource.NODE, Action.DELETE, old, None)
            return
        self._table.set_node(new)
        action = Action.ADD if old is None else node_action(old, new)
        if action:
            self._event(Resource.NODE, action, old, new)

    def _namespace(self, old: Namespace | None, new: Namespace | None) -> None:
        name = (new or old).metadata.name  # type: ignore[union-attr]
        if new is not None and old is not None and old.metadata.labels == new.metadata.labels:
            return
        self._table.set_namespace(name, None if new is None else new.metadata.labels)
        action = Action.DELETE if new is None else Action.ADD if old is None else Action.UPDATE_LABEL
        self._event(Resource.NAMESPACE, action, old, new)

    def _service(self, old: Service | None, new: Service | None) -> None:
        meta = (new or old).metadata  # type: ignore[union-attr]
        self._table.set_service(meta.namespace, meta.name, None if new is None else new.spec.selector or None)

    def _replica_set(self, old: ReplicaSet | None, new: ReplicaSet | None) -> None:
        if old is not None and new is not None and old.spec is new.spec:
            return
        meta = (new or old).metadata  # type: ignore[union-attr]
        selector = None if new is None else label_selector(new.spec.selector)
        self._table.set_owner_selector("ReplicaSet", meta.namespace, meta.name, selector)

    def _pod_group(self, old: PodGroup | None, new: PodGroup | None) -> None:
        meta = (new or old).metadata  # type: ignore[union-attr]
        key = (meta.namespace, meta.name)
        if new is None:
            self._table.groups.set_policy(key, None)
            return
        gang = new.spec.scheduling_policy.gang
        self._table.groups.set_policy(key, Policy(0 if gang is None else gang.min_count))
        if old is None or old.spec != new.spec:
            self._event(Resource.POD_GROUP, Action.ADD if old is None else Action.UPDATE_OTHER, old, new)

    def _disruption_budget(self, old: PodDisruptionBudget | None, new: PodDisruptionBudget | None) -> None:
        meta = (new or old).metadata  # type: ignore[union-attr]
        key = (meta.namespace, meta.name)
        if new is None:
            self._budgets.pop(key, None)
        else:
            self._budgets[key] = DisruptionBudget.of(new)
        self._table.disruption_budgets = tuple(self._budgets.values())

    # -- Pods

    def _pod(self, old: Pod | None, new: Pod | None) -> None:
        self._member(old, new)
        if new is None:
            assert old is not None
            self._gone(old)
        elif new.spec.node_name:
            self._assigned(old, new)
        elif is_terminal(new):
            self._queue.remove(new.metadata.uid or new.key)
            self._withdraw(new)
        else:
            self._unassigned(old, new)

    def _member(self, old: Pod | None, new: Pod | None) -> None:
        """Keep the members of groups; one that comes may complete its group."""
        pod = new or old
        assert pod is not None
        if pod.spec.scheduling_group is None:
            return
        if new is None or is_terminal(new):
            self._table.groups.remove(pod.metadata.uid or pod.key)
            return
        self._table.groups.add(PodInfo(new))
        if old is None and not new.spec.node_name:
            self._event(Resource.UNSCHEDULED_POD, Action.ADD, None, new)

    def _gone(self, old: Pod) -> None:
        uid = old.metadata.uid or old.key
        self._queue.remove(uid)
        self._table.withdraw(uid)
        was_victim = uid in self._table.victims
        preemptor = self._table.victims.discard(uid)
        if uid in self._table.placed:
            self._table.remove_pod(uid)
            # The room that a victim leaves is its preemptor's; what is left of it others hear of with the last one.
            if preemptor or not was_victim:
                self._event(Resource.ASSIGNED_POD, Action.DELETE, old, None)
        if preemptor:
            self._queue.activate(preemptor, self._monotonic())

    def _withdraw(self, pod: Pod) -> None:
        """Give up the room that was kept for a Pod, if any, and say so to those that wait for room."""
        uid = pod.metadata.uid or pod.key
        if self._table.nominated.node_of(uid):
            self._table.withdraw(uid)
            self._event(Resource.ASSIGNED_POD, Action.DELETE, pod, None)

    def _assigned(self, old: Pod | None, new: Pod) -> None:
        uid = new.metadata.uid or new.key
        if is_terminal(new):
            self._gone(new)
            return
        known = self._table.placed.get(uid)
        if old is not None and old.spec.node_name and known is not None and _same_for_others(old, new):
            self._table.report(new)  # a report about its containers, as most changes are
            return
        self._queue.remove(uid)
        if (
            known is not None
            and old is not None
            and known[1].name == new.spec.node_name
            and _just_bound(old, new)
            and _labels_of_node(known[0], new)
        ):
            self._table.confirm(new)
        else:
            self._table.set_pod(PodInfo(new), new.spec.node_name or "")
        if old is None or not old.spec.node_name:
            self._event(Resource.ASSIGNED_POD, Action.ADD, None, new)
            return
        action = assigned_pod_action(old, new)
        if action:
            self._event(Resource.ASSIGNED_POD, action, old, new)

    def _unassigned(self, old: Pod | None, new: Pod) -> None:
        if (new.spec.scheduler_name or DEFAULT_SCHEDULER) not in self._profiles:
            return
        uid = new.metadata.uid or new.key
        if new.metadata.deletion_timestamp is not None:
            self._queue.remove(uid)
            self._withdraw(new)  # finalizers can keep it for long, and it will never use the room
        elif uid not in self._table.assumed:  # else it is on its way to a node, and this news is older than that
            info = PodInfo(new)
            if old is None and new.status.nominated_node_name:
                self._table.nominate(info, new.status.nominated_node_name)  # by a scheduler that ran before this one
            self._queue.add(info, self._monotonic())
        elif old is not None:
            self._table.placed[uid][0].pod = new


def _same_for_others(old: Pod, new: Pod) -> bool:
    return (
        old.spec is new.spec
        and old.metadata.labels == new.metadata.labels
        and old.metadata.deletion_timestamp == new.metadata.deletion_timestamp
    )


def _just_bound(old: Pod, new: Pod) -> bool:
    """Say whether a Pod is what it was, but for its node and perhaps its labels."""
    before, after = old.spec, new.spec
    return (
        not before.node_name
        and before.containers == after.containers
        and before.init_containers == after.init_containers
        and before.resources == after.resources
        and before.affinity == after.affinity
        and new.metadata.deletion_timestamp is None
    )


def _labels_of_node(known: PodInfo, new: Pod) -> bool:
    """Say whether a Pod has only got labels that say where its node lies, and its terms do not repeat those."""
    before, after = known.labels, new.metadata.labels
    if before == after:
        return True
    rest = {key: value for key, value in after.items() if key not in TOPOLOGY_LABELS or key in before}
    return rest == before and known.repeated_labels.isdisjoint(TOPOLOGY_LABELS)


def node_action(old: Node, new: Node) -> Action:
    """Return what of a node changed that a decision can depend on; no flag when nothing did."""
    found = Action(0)
    if old.status is not new.status and old.status.allocatable != new.status.allocatable:
        found |= Action.UPDATE_ALLOCATABLE
    if old.metadata.labels != new.metadata.labels:
        found |= Action.UPDATE_LABEL
    if old.spec is not new.spec and (
        old.spec.taints != new.spec.taints or bool(old.spec.unschedulable) != bool(new.spec.unschedulable)
    ):
        found |= Action.UPDATE_TAINT
    return found


def assigned_pod_action(old: Pod, new: Pod) -> Action:
    """Return what of a Pod on a node changed that can help another one; no flag when nothing did."""
    found = Action(0)
    if old.metadata.labels != new.metadata.labels or (
        old.metadata.deletion_timestamp is None and new.metadata.deletion_timestamp is not None
    ):
        found |= Action.UPDATE_LABEL  # Pods that are being deleted no longer count for spreading
    if old.spec is not new.spec:
        before, after = PodInfo(old).requests, PodInfo(new).requests
        if any(after.get(name) < value for name, value in before.amounts):
            found |= Action.UPDATE_SCALE_DOWN
    return found
