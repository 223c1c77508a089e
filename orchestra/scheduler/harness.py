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
from typing import TYPE_CHECKING, Any, Final, TypeVar

import attrs
import numpy as np

from orchestra.api.codec import decode
from orchestra.api.core.cluster import Namespace
from orchestra.api.core.node import Node
from orchestra.api.core.pod import Pod
from orchestra.api.core.service import Service
from orchestra.api.diagnosis import PLACED
from orchestra.api.object import Object
from orchestra.api.rules.conditions import is_terminal
from orchestra.api.scheduling import PriorityClass
from orchestra.clock import SystemClock
from orchestra.errors import ConfigurationError
from orchestra.scheduler.advice import advise
from orchestra.scheduler.clusterstate import STATE_KINDS
from orchestra.scheduler.cycle import Chance, Failed, Placed
from orchestra.scheduler.diagnosis import Diagnosis
from orchestra.scheduler.offline import OfflineScheduler, OneForAll, Tried
from orchestra.scheduler.podinfo import PodInfo
from orchestra.scheduler.priorities import Priorities
from orchestra.scheduler.profile import Profile

if TYPE_CHECKING:
    from orchestra.scheduler.evaluation import Evaluation

Document = Mapping[str, Any]
O = TypeVar("O", bound=Object)  # noqa: E741 - the type of an object


_NO_ROWS: Final = np.zeros(0, dtype=np.int64)
NOTHING: Final = Diagnosis((), np.zeros(0, dtype=np.bool_), (), _NO_ROWS, _NO_ROWS)
"""The diagnosis of an attempt that did not come to looking at nodes."""


@attrs.frozen(eq=False)
class Scheduled:
    """What became of one Pod: `node` is empty when it fits nowhere.

    With `victims`, the names of Pods that were evicted for it, `node` is where that made room. `at_seconds` is the time
    of the harness at which the Pod was tried, `attempt` counts its tries, and `outcome` says what a try of `advance`
    came to, in a word of `orchestra.api.diagnosis`.
    """

    node: str
    victims: tuple[str, ...]
    diagnosis: Diagnosis
    pod: str = ""
    at_seconds: float = 0.0
    attempt: int = 1
    outcome: str = ""
    told: str = ""

    @property
    def message(self) -> str:
        """The text of the Pod's condition; empty when it was placed."""
        return self.told or ("" if self.node else self.diagnosis.message)

    def why(self, node: str) -> str:
        """Say why a node was refused, or how it scored."""
        return self.diagnosis.why(node)


class _Watching(OfflineScheduler):
    """Keeps what the plugins said of each choice."""

    def __init__(self, profile: Profile, random: Chance) -> None:
        self.choices: dict[str, Diagnosis] = {}
        super().__init__(OneForAll(profile), random, strict=True)

    def witness(self, pod: PodInfo, evaluation: Evaluation, _row: int, _ties: int) -> None:
        """Keep the diagnosis as it was before the Pod was counted."""
        self.choices[pod.uid] = evaluation.diagnosis()


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
        self._priorities = Priorities()
        self._scheduler = _Watching(self.profile, SystemClock(seed).random)
        self._cycle = self._scheduler.cycles[self.profile.name]
        self.table = self._scheduler.table
        for item in (*namespaces, *services, *nodes):
            self._scheduler.change(None, item)
        for pod in pods:
            self.add_pod(pod)

    @property
    def now_seconds(self) -> float:
        """The time of the harness: it starts at 0 and moves with `advance`."""
        return self._scheduler.now_seconds

    @classmethod
    def from_documents(
        cls,
        *,
        nodes: Iterable[Document] = (),
        pods: Iterable[Document] = (),
        profile: Profile | None = None,
        seed: int = 0,
        **others: Iterable[Document],
    ) -> Harness:
        """Make a cluster of objects in wire form, as `kubectl get -o json` prints them.

        Other kinds that decide about Pods are given by their plural: `namespaces`, `services`, `replicasets`,
        `poddisruptionbudgets`, `priorityclasses`, `podgroups`. Raises DecodeError, and ConfigurationError for a kind
        that decides nothing.
        """
        made = cls(profile=profile, seed=seed)
        kinds = {kind.resource_info.plural: kind for kind in STATE_KINDS}
        for plural, documents in {**others, "nodes": nodes, "pods": pods}.items():
            if plural not in kinds:
                raise ConfigurationError(f"{plural}: no kind of that plural decides about Pods: {', '.join(kinds)}")
            made.add(*(decode(document, kinds[plural]) for document in documents))
        return made

    # -- the cluster changes

    def add(self, *objects: Object) -> None:
        """Add objects of other kinds that decide about Pods: PodGroup, PodDisruptionBudget, ReplicaSet and the like."""
        for obj in objects:
            if isinstance(obj, Node):
                self.add_node(obj)
            elif isinstance(obj, Pod):
                self.add_pod(obj)
            elif isinstance(obj, PriorityClass):
                self._priorities.add(obj)
            else:
                self._scheduler.change(None, _identified(obj))

    def add_node(self, item: Node) -> None:
        """Add a node, or change one."""
        row = self.table.by_name.get(item.metadata.name)
        self._scheduler.change(None if row is None else row.node, item)

    def remove_node(self, name: str) -> None:
        """Take a node away; its Pods stay until they are removed too. Harmless when there is none."""
        row = self.table.by_name.get(name)
        if row is not None and row.node is not None:
            self._scheduler.change(row.node, None)

    def add_pod(self, pod: Pod) -> None:
        """Add a Pod that runs, or change one; one without a node, or that has ended, takes no room."""
        pod = self._priorities.given_to(_identified(pod))
        if pod.spec.node_name and not is_terminal(pod):
            known = self.table.placed.get(PodInfo(pod).uid)
            self._scheduler.change(None if known is None else known[0].pod, pod)

    def remove_pod(self, pod: Pod) -> None:
        """Take a Pod away, running or submitted; harmless when there is none."""
        self._scheduler.change(_identified(pod), None)

    # -- a Pod is tried at once

    def evaluate(self, pod: Pod | Document) -> Diagnosis:
        """Say where a Pod could go, place nothing. Raises PluginError."""
        info = self._info(pod)
        return self._advised(self._cycle.diagnose(info), info)

    def schedule(self, pod: Pod | Document) -> Scheduled:
        """Place a Pod and count it where it went, evicting others if there is no other way. Raises PluginError."""
        return self._try(self._info(pod), 1)

    def _try(self, info: PodInfo, attempt: int) -> Scheduled:
        outcome = self._cycle.schedule(info)
        name, now = info.pod.metadata.name, self.now_seconds
        if isinstance(outcome, Failed):
            raise outcome.error
        if isinstance(outcome, Placed):
            return Scheduled(outcome.node, (), self._scheduler.choices.pop(info.uid), name, now, attempt)
        found = outcome.post_filter
        diagnosis = self._advised(outcome.diagnosis, info)
        for victim in found.victims:
            self._scheduler.change(victim.pod, None)
        if found.node:
            self.table.assume(info, found.node)
        return Scheduled(found.node, _names(found.victims), diagnosis, name, now, attempt)

    def _info(self, pod: Pod | Document) -> PodInfo:
        made = pod if isinstance(pod, Pod) else decode(pod, Pod)
        return PodInfo(self._priorities.given_to(_identified(made)))

    def _advised(self, diagnosis: Diagnosis, info: PodInfo) -> Diagnosis:
        if len(diagnosis.feasible_rows):
            return diagnosis
        return attrs.evolve(diagnosis, advice=advise(diagnosis, info, self.table, self.profile))

    # -- Pods wait and are tried again

    def submit(self, *pods: Pod | Document) -> None:
        """Let Pods wait for a node, as new Pods at a server do; a Pod that waits already is changed."""
        waiting = {pod.info.uid: pod.info.pod for pod in self._scheduler.queue.pods()}
        for pod in pods:
            info = self._info(pod)
            self._scheduler.change(waiting.get(info.uid), info.pod)

    def advance(self, seconds: float) -> list[Scheduled]:
        """Let time pass, trying each submitted Pod when its time comes; return the tries since the last call.

        Zero seconds try what can be tried now. A Pod that others are evicted for is told of with that node and its
        victims, and again when it is placed. Reserve and Permit are asked too. Raises PluginError.
        """
        self._scheduler.run(self.now_seconds + seconds)
        tries, self._scheduler.tried = self._scheduler.tried, []
        return [self._scheduled(tried) for tried in tries]

    def _scheduled(self, tried: Tried) -> Scheduled:
        placed = tried.outcome == PLACED
        diagnosis = tried.diagnosis
        if diagnosis is None:
            diagnosis = (self._scheduler.choices.pop if placed else self._scheduler.choices.get)(tried.pod.uid, NOTHING)
        return Scheduled(
            node=tried.node or tried.found.node,
            victims=_names(tried.found.victims),
            diagnosis=diagnosis,
            pod=tried.pod.pod.metadata.name,
            at_seconds=tried.at_seconds,
            attempt=tried.attempt,
            outcome=tried.outcome,
            told=tried.message,
        )

    def waiting(self) -> dict[str, str]:
        """Return by name the Pods that wait, each with its pool as `queue` names it; in_flight: kept by Permit."""
        return {pod.info.pod.metadata.name: pod.pool_name for pod in self._scheduler.queue.pods()}

    def approve(self, pod: str, plugin: str = "") -> bool:
        """Let a Pod that waits for permission go, as `Scheduler.approve` does; it is bound when time passes."""
        return any(self._scheduler.placer.permits.approve(uid, plugin) for uid in self._uids_of(pod))

    def deny(self, pod: str, plugin: str, message: str = "denied") -> bool:
        """Refuse a Pod that waits for permission on behalf of a plugin, as `Scheduler.deny` does."""
        deny = self._scheduler.placer.deny
        return any(deny(uid, plugin, message, self.now_seconds) for uid in self._uids_of(pod))

    def _uids_of(self, name: str) -> list[str]:
        return [pod.info.uid for pod in self._scheduler.queue.pods() if pod.info.pod.metadata.name == name]


def _names(pods: Iterable[PodInfo]) -> tuple[str, ...]:
    return tuple(pod.pod.metadata.name for pod in pods)


def _identified(obj: O) -> O:
    """Return the object in a namespace: what has none is in `default`, as at a server."""
    if obj.metadata.namespace or not obj.resource_info.namespaced:
        return obj
    return attrs.evolve(obj, metadata=attrs.evolve(obj.metadata, namespace="default"))
