"""Which Pods are nominated for which nodes: they are to have the room that their victims leave."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Final

from orchestra.api.frozen import FrozenDict
from orchestra.scheduler.events import Action, ClusterEvent, Resource
from orchestra.scheduler.podinfo import PodInfo

NOBODY: Final[Mapping[str, PodInfo]] = FrozenDict()


class Victims:
    """Pods that are to go, each with the Pod that it goes for."""

    def __init__(self) -> None:
        self._for: dict[str, str] = {}
        self._left: dict[str, int] = {}

    def __contains__(self, uid: str) -> bool:
        return uid in self._for

    def add(self, uid: str, preemptor: str) -> None:
        """Note a victim."""
        self.discard(uid)
        self._for[uid] = preemptor
        self._left[preemptor] = self._left.get(preemptor, 0) + 1

    def busy(self, event: ClusterEvent) -> Collection[str]:
        """Return the Pods to which an event is no news: when a Pod goes, those whose own victims are on their way."""
        went = event.resource is Resource.ASSIGNED_POD and event.action is Action.DELETE
        return self._left if went else ()

    def discard(self, uid: str) -> str:
        """Forget a victim, if it is one; returns the Pod for which it was the last, empty for none."""
        preemptor = self._for.pop(uid, "")
        if not preemptor:
            return ""
        self._left[preemptor] -= 1
        if self._left[preemptor]:
            return ""
        del self._left[preemptor]
        return preemptor


class Nominations:
    """Nominated Pods by uid, and by node."""

    def __init__(self) -> None:
        self._by_uid: dict[str, tuple[PodInfo, str]] = {}
        self._by_node: dict[str, dict[str, PodInfo]] = {}

    def __len__(self) -> int:
        return len(self._by_uid)

    def __iter__(self) -> Iterator[tuple[PodInfo, str]]:
        return iter(self._by_uid.values())

    def nodes(self) -> Iterator[str]:
        """Yield the nodes that Pods are nominated for."""
        return iter(self._by_node)

    def node_of(self, uid: str) -> str:
        """Return the node that a Pod is nominated for; empty when it is not."""
        known = self._by_uid.get(uid)
        return "" if known is None else known[1]

    def on(self, node: str) -> Mapping[str, PodInfo]:
        """Return the Pods that are nominated for a node, by uid."""
        return self._by_node.get(node) or NOBODY

    def put(self, pod: PodInfo, node: str) -> None:
        """Nominate a Pod."""
        self.withdraw(pod.uid)
        self._by_uid[pod.uid] = (pod, node)
        self._by_node.setdefault(node, {})[pod.uid] = pod

    def withdraw(self, uid: str) -> None:
        """Take a nomination back, if there is one."""
        known = self._by_uid.pop(uid, None)
        if known is None:
            return
        node = known[1]
        rest = self._by_node[node]
        del rest[uid]
        if not rest:
            del self._by_node[node]
