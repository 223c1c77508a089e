"""Placement without a server, an event loop or waiting: for unit tests, experiments and what-if.

h = Harness(nodes=[node("a", cpu="4", labels={"spot": "true"}), node("b", cpu="4")], profile=my_profile)
result = h.schedule(pod("train", cpu="1", labels={"kind": "gpu"}))
assert result.node == "b"
assert result.why("a") == "AvoidSpot: gpu pods do not run on spot nodes"
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from orchestra.api.codec import decode
from orchestra.api.core.cluster import Namespace
from orchestra.api.core.node import Node
from orchestra.api.core.pod import Pod
from orchestra.api.core.service import Service
from orchestra.api.rules.conditions import is_terminal
from orchestra.clock import SystemClock
from orchestra.scheduler.budgets import DisruptionBudget
from orchestra.scheduler.cycle import Cycle, Failed, Placed
from orchestra.scheduler.diagnosis import Diagnosis
from orchestra.scheduler.nodetable import NodeTable
from orchestra.scheduler.podinfo import PodInfo
from orchestra.scheduler.profile import Profile

Document = Mapping[str, Any]


@attrs.frozen(eq=False)
class Scheduled:
    """What became of one Pod: `node` is empty when it fits nowhere.

    With `victims`, the names of Pods that were evicted for it, `node` is where that made room.
    """

    node: str
    victims: tuple[str, ...]
    diagnosis: Diagnosis

    @property
    def message(self) -> str:
        """The text of the Pod's condition; empty when it was placed."""
        return "" if self.node else self.diagnosis.message

    def why(self, node: str) -> str:
        """Say why a node was refused, or how it scored."""
        return self.diagnosis.why(node)


class Harness:
    """A cluster in memory. The same `seed` breaks ties the same way."""

    def __init__(
        self,
        *,
        nodes: Iterable[Node] = (),
        pods: Iterable[Pod] = (),
        namespaces: Iterable[Namespace] = (),
        services: Iterable[Service] = (),
        profile: Profile | None = None,
        seed: int = 0,
    ) -> None:
        self.table = NodeTable()
        self._cycle = Cycle(profile or Profile(), self.table, SystemClock(seed).random)
        for namespace in namespaces:
            self.table.set_namespace(namespace.metadata.name, namespace.metadata.labels)
        for service in services:
            meta = service.metadata
            self.table.set_service(meta.namespace, meta.name, service.spec.selector or None)
        for item in nodes:
            self.table.set_node(item)
        for pod in pods:
            self.add_pod(pod)

    @classmethod
    def from_documents(
        cls,
        *,
        nodes: Iterable[Document] = (),
        pods: Iterable[Document] = (),
        namespaces: Iterable[Document] = (),
        services: Iterable[Document] = (),
        poddisruptionbudgets: Iterable[Document] = (),
        profile: Profile | None = None,
        seed: int = 0,
    ) -> Harness:
        """Make a cluster of objects in wire form, as `kubectl get -o json` prints them. Raises DecodeError."""
        made = cls(
            nodes=[decode(d, Node) for d in nodes],
            pods=[decode(d, Pod) for d in pods],
            namespaces=[decode(d, Namespace) for d in namespaces],
            services=[decode(d, Service) for d in services],
            profile=profile,
            seed=seed,
        )
        made.table.disruption_budgets = tuple(DisruptionBudget.from_document(d) for d in poddisruptionbudgets)
        return made

    def add_node(self, item: Node) -> None:
        """Add a node, or change one."""
        self.table.set_node(item)

    def remove_node(self, name: str) -> None:
        """Take a node away."""
        self.table.remove_node(name)

    def add_pod(self, pod: Pod) -> None:
        """Add a Pod that runs; one without a node, or that has ended, takes no room."""
        if pod.spec.node_name and not is_terminal(pod):
            self.table.set_pod(PodInfo(_identified(pod)), pod.spec.node_name)

    def remove_pod(self, pod: Pod) -> None:
        """Take a Pod away."""
        self.table.remove_pod(PodInfo(_identified(pod)).uid)

    def evaluate(self, pod: Pod | Document) -> Diagnosis:
        """Say where a Pod could go, place nothing. Raises PluginError."""
        return self._cycle.diagnose(_info(pod))

    def schedule(self, pod: Pod | Document) -> Scheduled:
        """Place a Pod and count it where it went, evicting others if there is no other way. Raises PluginError."""
        info = _info(pod)
        before = self._cycle.evaluate(info).diagnosis()
        outcome = self._cycle.schedule(info)
        if isinstance(outcome, Failed):
            raise outcome.error
        if isinstance(outcome, Placed):
            return Scheduled(outcome.node, (), before)
        found = outcome.post_filter
        for victim in found.victims:
            self.table.remove_pod(victim.uid)
        if found.node:
            self.table.assume(info, found.node)
        names = tuple(victim.pod.metadata.name for victim in found.victims)
        return Scheduled(found.node, names, outcome.diagnosis)


def _info(pod: Pod | Document) -> PodInfo:
    return PodInfo(_identified(pod if isinstance(pod, Pod) else decode(pod, Pod)))


def _identified(pod: Pod) -> Pod:
    """Return the Pod in a namespace: what has none is in `default`, as at a server."""
    if pod.metadata.namespace:
        return pod
    return attrs.evolve(pod, metadata=attrs.evolve(pod.metadata, namespace="default"))
