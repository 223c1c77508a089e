"""Which Pods belong together: the PodGroups of the cluster and their members, kept current by events. Pure."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias, runtime_checkable

import attrs

from orchestra.scheduler.podinfo import PodInfo

if TYPE_CHECKING:
    from orchestra.scheduler.nodetable import NodeTable

GroupKey: TypeAlias = tuple[str, str]
"""Namespace and name of a PodGroup."""


@runtime_checkable
class GroupPlugin(Protocol):
    """Has Pods placed together: all that wait are tried at one time, and none goes on when too few of them fit."""

    def group_of(self, pod: PodInfo, table: NodeTable) -> Hashable | None:
        """Return what the Pod belongs to, None for a Pod on its own; asked when PreEnqueue has let it pass."""
        ...

    def missing(self, group: Hashable, table: NodeTable) -> int:
        """Return how many Pods of a group need a node, beside those that have one."""
        ...


NOBODY: Final[Mapping[str, PodInfo]] = {}


def group_key(pod: PodInfo) -> GroupKey | None:
    """Return the group that a Pod names."""
    named = pod.pod.spec.scheduling_group
    return (pod.namespace, named.pod_group_name) if named is not None and named.pod_group_name else None


@attrs.frozen
class Policy:
    """How the Pods of a group are placed: together from `min_count` on; 0 means one by one."""

    min_count: int


class PodGroups:
    """The policies of groups, and the Pods that name them and have not ended, whether they have a node or not."""

    def __init__(self) -> None:
        self._policies: dict[GroupKey, Policy] = {}
        self._members: dict[GroupKey, dict[str, PodInfo]] = {}
        self._group_of: dict[str, GroupKey] = {}

    def set_policy(self, key: GroupKey, policy: Policy | None) -> None:
        """Note the policy of a group; None when the group is gone."""
        if policy is None:
            self._policies.pop(key, None)
        else:
            self._policies[key] = policy

    def policy(self, key: GroupKey) -> Policy | None:
        """Return the policy of a group; None when there is no such PodGroup."""
        return self._policies.get(key)

    def add(self, pod: PodInfo) -> None:
        """Take in a Pod, new or changed."""
        key = group_key(pod)
        if key is not None:
            self._members.setdefault(key, {})[pod.uid] = pod
            self._group_of[pod.uid] = key

    def remove(self, uid: str) -> GroupKey | None:
        """Take a Pod away that is gone or has ended; returns the group that it was in."""
        key = self._group_of.pop(uid, None)
        if key is not None:
            members = self._members[key]
            del members[uid]
            if not members:
                del self._members[key]
        return key

    def members(self, key: GroupKey) -> Mapping[str, PodInfo]:
        """Return the Pods of a group by uid."""
        return self._members.get(key, NOBODY)
