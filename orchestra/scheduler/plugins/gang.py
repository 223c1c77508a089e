"""All Pods of a PodGroup or none: Gang.

The API is that of Kubernetes 1.36 (scheduling.k8s.io/v1alpha2 PodGroup, `spec.schedulingPolicy.gang.minCount`, named by
a Pod's `spec.schedulingGroup.podGroupName`; KEP-4671). A Pod is held back until its PodGroup exists and `minCount` Pods
name it. Then all of them that wait are tried in one step of the scheduler: when fewer than `minCount` have or find a
node, every placement of the step is taken back before anybody else is tried. So no gang ever holds room while it waits
for more, and two of them cannot block each other.

A gang waits in the queue as any Pod does, with backoff, for the events that the refusing plugins asked for. When only
the eviction of less important Pods makes room, victims are chosen for as many members as are missing, or for none.
`minCount` is about being placed: members that come later, or are replaced, are placed one by one while enough others
have a node.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING, ClassVar, cast

import attrs

from orchestra.scheduler.events import Action, ClusterEvent, EventHint, Resource
from orchestra.scheduler.interface import Plugin, Status, unschedulable
from orchestra.scheduler.podgroups import GroupKey, group_key
from orchestra.scheduler.podinfo import PodInfo

if TYPE_CHECKING:
    from orchestra.scheduler.nodetable import NodeTable


@attrs.frozen
class Gang(Plugin):
    """Places the Pods of a PodGroup together; leaves Pods alone that name none."""

    name: ClassVar[str] = "Gang"
    core_shape_only: ClassVar[bool] = True

    def pre_enqueue(self, pod: PodInfo, table: NodeTable) -> Status | None:
        """Hold a member back until there are enough of them."""
        key = group_key(pod)
        if key is None:
            return None
        policy = table.groups.policy(key)
        if policy is None:
            return unschedulable(f"waiting for PodGroup {key[1]} to exist", resolvable=False)
        there = len(table.groups.members(key))
        if there >= policy.min_count:
            return None
        return unschedulable(f"waiting for Pods of PodGroup {key[1]}: {there} of {policy.min_count}", resolvable=False)

    def group_of(self, pod: PodInfo, table: NodeTable) -> Hashable | None:
        """Return the key of the Pod's gang; Pods of a basic group are on their own."""
        key = group_key(pod)
        policy = None if key is None else table.groups.policy(key)
        return key if policy is not None and policy.min_count else None

    def missing(self, group: Hashable, table: NodeTable) -> int:
        """Return how many members need a node before the first one may be bound."""
        key = cast("GroupKey", group)
        policy = table.groups.policy(key)
        if policy is None:
            return len(table.groups.members(key)) + 1  # its PodGroup is gone: nobody goes before there is another one
        return max(0, policy.min_count - sum(uid in table.placed for uid in table.groups.members(key)))

    def events(self) -> tuple[EventHint, ...]:
        """The PodGroup comes or changes, or a member comes or gets a node."""
        return (
            EventHint(Resource.POD_GROUP, Action.ADD | Action.UPDATE, _is_its_group),
            EventHint(Resource.UNSCHEDULED_POD, Action.ADD, _is_of_its_group),
            EventHint(Resource.ASSIGNED_POD, Action.ADD, _is_of_its_group),
        )


def _is_its_group(pod: PodInfo, event: ClusterEvent) -> bool:
    return group_key(pod) == (event.new.metadata.namespace, event.new.metadata.name)


def _is_of_its_group(pod: PodInfo, event: ClusterEvent) -> bool:
    key = group_key(pod)
    named = event.new.spec.scheduling_group
    return key is not None and named is not None and (event.new.metadata.namespace, named.pod_group_name) == key
