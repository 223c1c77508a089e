"""Placement without a server, an event loop or waiting: for unit tests and experiments.

    h = Harness(nodes=[node("a", cpu="4", labels={"spot": "true"}), node("b", cpu="4")], profile=my_profile)
    result = h.schedule(pod("train", cpu="1", labels={"kind": "gpu"}))
    assert result.node == "b"
    assert result.why("a") == "AvoidSpot: gpu pods do not run on spot nodes"

`schedule` tries a Pod at once. What happens over time, the order in which Pods are tried, gates, backoff and which
event helps whom, is seen with `submit` and `advance`: time passes only when the test says so.

    h.submit(pod("big", cpu="8"))
    assert [result.node for result in h.advance(0)] == [""]
    h.add_node(node("c", cpu="16"))
    assert [result.node for result in h.advance(10)] == ["c"]
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import attrs

from orchestra.api.codec import decode
from orchestra.api.core.cluster import Namespace
from orchestra.api.core.node import Node
from orchestra.api.core.pod import Pod
from orchestra.api.core.service import Service
from orchestra.api.rules.conditions import is_terminal
from orchestra.clock import SystemClock
from orchestra.controller.interface import Change
from orchestra.errors import PluginError
from orchestra.scheduler.advice import advise
from orchestra.scheduler.budgets import DisruptionBudget
from orchestra.scheduler.cycle import Cycle, Failed, Placed
from orchestra.scheduler.diagnosis import Diagnosis
from orchestra.scheduler.feed import Feed
from orchestra.scheduler.nodetable import NodeTable
from orchestra.scheduler.podinfo import PodInfo
from orchestra.scheduler.profile import Profile
from orchestra.scheduler.queue import SchedulingQueue
from orchestra.scheduler.queued import QueuedPod

Document = Mapping[str, Any]


POOLS: Final = ("active", "backoff", "unschedulable", "gated")
"""Where a submitted Pod can wait."""


@attrs.frozen(eq=False)
class Scheduled:
    """What became of one Pod: `node` is empty when it fits nowhere.

    With `victims`, the names of Pods that were evicted for it, `node` is where that made room. `at_seconds` is the time
    of the harness at which the Pod was tried, and `attempt` counts its tries.
    """

    node: str
    victims: tuple[str, ...]
    diagnosis: Diagnosis
    pod: str = ""
    at_seconds: float = 0.0
    attempt: int = 1

    @property
    def message(self) -> str:
        """The text of the Pod's condition; empty when it was placed."""
        return "" if self.node else self.diagnosis.message

    def why(self, node: str) -> str:
        """Say why a node was refused, or how it scored."""
        return self.diagnosis.why(node)


class _Whatever(dict[str, Profile]):
    """Gives every Pod the same profile, whichever scheduler it asks for."""

    def __init__(self, profile: Profile) -> None:
        super().__init__({profile.name: profile})
        self._profile = profile

    def __missing__(self, _name: str) -> Profile:
        return self._profile

    def __contains__(self, _name: object) -> bool:
        return True


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
        self.profile = profile or Profile()
        self.table = NodeTable()
        self.now_seconds = 0.0
        self._cycle = Cycle(self.profile, self.table, SystemClock(seed).random)
        profiles = _Whatever(self.profile)
        self._queue = SchedulingQueue(profiles, self.table)
        feed = Feed(self.table, self._queue, profiles, lambda: self.now_seconds, lambda: None)
        self._take_in = dict(feed.handlers())
        for item in (*namespaces, *services, *nodes):
            self._changed(None, item)
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

    # -- the cluster changes

    def _changed(self, old: Any, new: Any) -> None:
        self._take_in[type(new if new is not None else old)]((Change(old, new),))

    def add_node(self, item: Node) -> None:
        """Add a node, or change one."""
        row = self.table.by_name.get(item.metadata.name)
        self._changed(None if row is None else row.node, item)

    def remove_node(self, name: str) -> None:
        """Take a node away; its Pods stay until they are removed too. Harmless when there is none."""
        row = self.table.by_name.get(name)
        if row is not None and row.node is not None:
            self._changed(row.node, None)

    def add_pod(self, pod: Pod) -> None:
        """Add a Pod that runs, or change one; one without a node, or that has ended, takes no room."""
        pod = _identified(pod)
        if pod.spec.node_name and not is_terminal(pod):
            known = self.table.placed.get(PodInfo(pod).uid)
            self._changed(None if known is None else known[0].pod, pod)

    def remove_pod(self, pod: Pod) -> None:
        """Take a Pod away, running or submitted; harmless when there is none."""
        self._changed(_identified(pod), None)

    # -- a Pod is tried at once

    def evaluate(self, pod: Pod | Document) -> Diagnosis:
        """Say where a Pod could go, place nothing. Raises PluginError."""
        info = _info(pod)
        return self._advised(self._cycle.diagnose(info), info)

    def schedule(self, pod: Pod | Document) -> Scheduled:
        """Place a Pod and count it where it went, evicting others if there is no other way. Raises PluginError."""
        return self._try(_info(pod), 1)

    def _try(self, info: PodInfo, attempt: int) -> Scheduled:
        before = self._cycle.evaluate(info).diagnosis()
        outcome = self._cycle.schedule(info)
        name, now = info.pod.metadata.name, self.now_seconds
        if isinstance(outcome, Failed):
            raise outcome.error
        if isinstance(outcome, Placed):
            return Scheduled(outcome.node, (), before, name, now, attempt)
        found = outcome.post_filter
        diagnosis = self._advised(outcome.diagnosis, info)
        for victim in found.victims:
            self._changed(victim.pod, None)
        if found.node:
            self.table.assume(info, found.node)
        names = tuple(victim.pod.metadata.name for victim in found.victims)
        return Scheduled(found.node, names, diagnosis, name, now, attempt)

    def _advised(self, diagnosis: Diagnosis, info: PodInfo) -> Diagnosis:
        if len(diagnosis.feasible_rows):
            return diagnosis
        return attrs.evolve(diagnosis, advice=advise(diagnosis, info, self.table, self.profile))

    # -- Pods wait and are tried again

    def submit(self, *pods: Pod | Document) -> None:
        """Let Pods wait for a node, as new Pods at a server do; a Pod that waits already is changed."""
        for pod in pods:
            self._queue.add(_info(pod), self.now_seconds)

    def advance(self, seconds: float) -> list[Scheduled]:
        """Let time pass, trying each submitted Pod when its time comes; return the tries in their order.

        Zero seconds try what can be tried now. Raises PluginError.
        """
        end = self.now_seconds + seconds
        results: list[Scheduled] = []
        while True:
            self._queue.flush(self.now_seconds)
            while batch := self._queue.pop(1, self.now_seconds):
                results += [self._attempt(pod) for unit in batch for pod in unit]
            due = self._queue.next_time()
            if due is None or due > end:
                self.now_seconds = end
                return results
            self.now_seconds = max(self.now_seconds, due)

    def _attempt(self, pod: QueuedPod) -> Scheduled:
        try:
            result = self._try(pod.info, pod.attempts)
        except PluginError:
            self._queue.retry(pod, self.now_seconds)
            raise
        if result.node:
            self._queue.done(pod)
        else:
            self._queue.refuse(pod, result.diagnosis.plugins, self.now_seconds)
        return result

    def waiting(self) -> dict[str, str]:
        """Return by name the Pods that wait, each with its pool: one of `POOLS`."""
        return {pod.info.pod.metadata.name: POOLS[pod.pool] for pod in self._queue.pods() if pod.pool < len(POOLS)}


def _info(pod: Pod | Document) -> PodInfo:
    return PodInfo(_identified(pod if isinstance(pod, Pod) else decode(pod, Pod)))


def _identified(pod: Pod) -> Pod:
    """Return the Pod in a namespace: what has none is in `default`, as at a server."""
    if pod.metadata.namespace:
        return pod
    return attrs.evolve(pod, metadata=attrs.evolve(pod.metadata, namespace="default"))
