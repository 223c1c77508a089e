"""On which nodes the Pods of a DaemonSet belong, and what is to be done about each node.

Source: Kubernetes documentation, "DaemonSet", how daemon Pods are scheduled, taints and tolerations, rolling update.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Literal

import attrs

from orchestra.api.apps import DaemonSet, DaemonSetStatus
from orchestra.api.core import (
    Affinity,
    Node,
    NodeAffinity,
    NodeSelector,
    NodeSelectorRequirement,
    NodeSelectorTerm,
    Pod,
    PodSpec,
    Toleration,
)
from orchestra.api.object import ObjectMeta
from orchestra.api.rules import accepts_node, is_available, is_ready, is_terminal, scaled_value, untolerated

HASH_LABEL = "controller-revision-hash"
GENERATION_LABEL = "pod-template-generation"
GENERATION_ANNOTATION = "deprecated.daemonset.template.generation"

_ALWAYS_TOLERATED = (
    ("node.kubernetes.io/not-ready", "NoExecute"),
    ("node.kubernetes.io/unreachable", "NoExecute"),
    ("node.kubernetes.io/disk-pressure", "NoSchedule"),
    ("node.kubernetes.io/memory-pressure", "NoSchedule"),
    ("node.kubernetes.io/pid-pressure", "NoSchedule"),
    ("node.kubernetes.io/unschedulable", "NoSchedule"),
)
_TOLERATED_WITH_HOST_NETWORK = (("node.kubernetes.io/network-unavailable", "NoSchedule"),)

PodsByNode = Mapping[str, Sequence[Pod]]


@attrs.frozen
class Belonging:
    """Whether a Pod should be started on a node, and whether one that is there may stay."""

    runs: bool
    stays: bool


@attrs.frozen
class Fault:
    """A Pod that has ended and is to be replaced."""

    pod: Pod
    node: str
    outcome: Literal["failed", "succeeded"]


@attrs.frozen(kw_only=True)
class Plan:
    """What to do: nodes to create a Pod on, Pods to delete, and Pods that have ended and may have to wait for that."""

    create_on: tuple[str, ...] = ()
    delete: tuple[Pod, ...] = ()
    ended: tuple[Fault, ...] = ()


def daemon_spec(spec: PodSpec, node: str) -> PodSpec:
    """Return the spec of a daemon Pod: pinned to its node, and tolerating what the node itself may suffer from."""
    affinity = spec.affinity or Affinity()
    pinned = NodeSelectorRequirement(key="metadata.name", operator="In", values=(node,))
    required = NodeSelector(node_selector_terms=(NodeSelectorTerm(match_fields=(pinned,)),))
    nodes = attrs.evolve(
        affinity.node_affinity or NodeAffinity(), required_during_scheduling_ignored_during_execution=required
    )
    return attrs.evolve(
        spec, affinity=attrs.evolve(affinity, node_affinity=nodes), tolerations=daemon_tolerations(spec)
    )


def daemon_tolerations(spec: PodSpec) -> tuple[Toleration, ...]:
    """Return the tolerations of a daemon Pod: those of its template, and those that all have."""
    result = list(spec.tolerations)
    for key, effect in (*_ALWAYS_TOLERATED, *(_TOLERATED_WITH_HOST_NETWORK if spec.host_network else ())):
        wanted = Toleration(key=key, operator="Exists", effect=effect)
        for index, present in enumerate(result):
            if attrs.evolve(present, toleration_seconds=None) == wanted:
                result[index] = wanted
                break
        else:
            result.append(wanted)
    return tuple(result)


def belonging(daemon_set: DaemonSet, node: Node) -> Belonging:
    """Say whether a node is one for the Pods of a DaemonSet."""
    spec = daemon_set.spec.template.spec
    if spec.node_name not in ("", node.metadata.name) or not accepts_node(Pod(metadata=ObjectMeta(), spec=spec), node):
        return Belonging(runs=False, stays=False)
    tolerations = daemon_tolerations(spec)
    taints = node.spec.taints
    if untolerated(taints, tolerations) is None:
        return Belonging(runs=True, stays=True)
    return Belonging(runs=False, stays=untolerated(taints, tolerations, ("NoExecute",)) is None)


def target_node(pod: Pod) -> str:
    """Return the node that a daemon Pod runs on or is pinned to; empty when there is none."""
    affinity = pod.spec.affinity
    if pod.spec.node_name or affinity is None or affinity.node_affinity is None:
        return pod.spec.node_name
    required = affinity.node_affinity.required_during_scheduling_ignored_during_execution
    for term in required.node_selector_terms if required is not None else ():
        for field in term.match_fields:
            if field.key == "metadata.name" and field.operator == "In" and len(field.values) == 1:
                return field.values[0]
    return ""


def by_node(pods: Iterable[Pod]) -> dict[str, list[Pod]]:
    """Group the Pods of a DaemonSet by node, the oldest first; those that have ended and are being deleted are left
    out."""
    result: dict[str, list[Pod]] = {}
    for pod in sorted(pods, key=_age):
        if not (is_terminal(pod) and pod.metadata.deletion_timestamp is not None):
            result.setdefault(target_node(pod), []).append(pod)
    return result


def _age(pod: Pod) -> tuple[bool, str, str]:
    created = pod.metadata.creation_timestamp
    return (not pod.spec.node_name, "" if created is None else created.isoformat(), pod.metadata.name)


def is_updated(daemon_set: DaemonSet, pod: Pod, word: str) -> bool:
    """Say whether a Pod is of the current template."""
    labels = pod.metadata.labels
    generation = daemon_set.metadata.annotations.get(GENERATION_ANNOTATION, "")
    return bool(
        (word and labels.get(HASH_LABEL) == word) or (generation and labels.get(GENERATION_LABEL) == generation)
    )


@attrs.frozen(kw_only=True)
class Daemons:
    """A DaemonSet among the nodes, at one moment: `word` is the hash of its template."""

    daemon_set: DaemonSet
    word: str
    nodes: Mapping[str, Belonging]
    pods: PodsByNode
    now: datetime

    # ---- numbers

    @property
    def desired(self) -> int:
        """On how many nodes the Pod should run."""
        return sum(one.runs for one in self.nodes.values())

    @property
    def max_surge(self) -> int:
        """On how many nodes there may be two Pods."""
        rolling = self.daemon_set.spec.update_strategy.rolling_update
        return scaled_value(rolling.max_surge or 0, self.desired, round_up=True) if rolling is not None else 0

    @property
    def max_unavailable(self) -> int:
        """On how many nodes the Pod may be missing; at least 1 when there must not be two either."""
        rolling = self.daemon_set.spec.update_strategy.rolling_update
        value = 0 if rolling is None or rolling.max_unavailable is None else rolling.max_unavailable
        found = scaled_value(value, self.desired, round_up=True)
        return 1 if not found and not self.max_surge and self.desired else found

    def _available(self, pod: Pod) -> bool:
        return is_available(pod, self.daemon_set.spec.min_ready_seconds, self.now)

    # ---- what is missing, and what is too much

    def upkeep(self) -> Plan:
        """Say which Pods are missing, which have ended and which are too many."""
        create: list[str] = []
        delete: list[Pod] = []
        ended: list[Fault] = []
        for node, belongs in self.nodes.items():
            present = self.pods.get(node, ())
            if belongs.runs and not present:
                create.append(node)
            elif not belongs.stays:
                delete += [pod for pod in present if pod.metadata.deletion_timestamp is None]
            else:
                living = [pod for pod in present if pod.metadata.deletion_timestamp is None]
                ended += [Fault(pod, node, "failed") for pod in living if pod.status.phase == "Failed"]
                ended += [Fault(pod, node, "succeeded") for pod in living if pod.status.phase == "Succeeded"]
                delete += self._doubles([pod for pod in living if not is_terminal(pod)])
        for node, pods in self.pods.items():
            if node not in self.nodes:
                delete += [p for p in pods if not p.spec.node_name and p.metadata.deletion_timestamp is None]
        return Plan(create_on=tuple(create), delete=tuple(delete), ended=tuple(ended))

    def _doubles(self, running: Sequence[Pod]) -> list[Pod]:
        """Return the Pods of one node that are too many; with a surge one of each template may be there."""
        if not self._surges():
            return list(running[1:])
        new = [pod for pod in running if pod.metadata.labels.get(HASH_LABEL) == self.word]
        old = [pod for pod in running if pod.metadata.labels.get(HASH_LABEL) != self.word]
        result = [pod for pod in running if pod in new[1:] or pod in old[1:]]
        if new and old and (not is_ready(old[0]) or self._available(new[0])):
            result.append(old[0])
        return result

    def _surges(self) -> bool:
        strategy = self.daemon_set.spec.update_strategy
        return strategy.type == "RollingUpdate" and self.max_surge > 0

    # ---- a new template

    def rollout(self) -> Plan:
        """Say which Pods of an older template go next, or on which nodes new ones are started beside them."""
        if self.max_surge:
            return self._roll_by_surge()
        unavailable, candidates, broken = 0, [], []
        for node in self._rolling_nodes():
            pair = self._pair(node)
            if pair is None or (pair[0] is None) == (pair[1] is None):
                unavailable += 1  # the upkeep creates or deletes there
                continue
            new, old = pair
            if new is not None:
                unavailable += not self._available(new)
            elif old is not None and not self._available(old):
                broken.append(old)
            elif old is not None:
                candidates.append(old)
        room = max(self.max_unavailable - unavailable, 0)
        return Plan(delete=(*broken, *candidates[:room]))

    def _roll_by_surge(self) -> Plan:
        surging = 0
        candidates: list[str] = []
        free: list[str] = []
        done: list[Pod] = []
        for node in self._rolling_nodes():
            pair = self._pair(node)
            if pair is None:
                surging += 1
                continue
            new, old = pair
            if old is None:
                continue
            if new is None:
                if node in self.nodes and self.nodes[node].runs:
                    (candidates if self._available(old) else free).append(node)
            elif self._available(new):
                done.append(old)
            else:
                surging += 1
        room = max(self.max_surge - surging, 0)
        return Plan(create_on=(*free, *candidates[:room]), delete=tuple(done))

    def _rolling_nodes(self) -> list[str]:
        wanted = [node for node, belongs in self.nodes.items() if belongs.runs]
        return list(dict.fromkeys([*wanted, *self.pods]))

    def _pair(self, node: str) -> tuple[Pod | None, Pod | None] | None:
        """Return the new and the old Pod of a node; None when there are two of one sort."""
        living = [pod for pod in self.pods.get(node, ()) if pod.metadata.deletion_timestamp is None]
        new = [pod for pod in living if is_updated(self.daemon_set, pod, self.word)]
        old = [pod for pod in living if not is_updated(self.daemon_set, pod, self.word)]
        if len(new) > 1 or len(old) > 1:
            return None
        return (new[0] if new else None, old[0] if old else None)

    # ---- reporting

    def status(self, *, observed: bool) -> DaemonSetStatus:
        """Count nodes as `status` reports them; the oldest Pod of a node speaks for it."""
        current = misscheduled = ready = available = updated = 0
        for node, belongs in self.nodes.items():
            present = self.pods.get(node, ())
            if not present:
                continue
            if not belongs.runs:
                misscheduled += 1
                continue
            current += 1
            ready += is_ready(present[0])
            available += self._available(present[0])
            updated += is_updated(self.daemon_set, present[0], self.word)
        before = self.daemon_set.status
        return attrs.evolve(
            before,
            desired_number_scheduled=self.desired,
            current_number_scheduled=current,
            number_misscheduled=misscheduled,
            number_ready=ready,
            updated_number_scheduled=updated,
            number_available=available,
            number_unavailable=self.desired - available,
            observed_generation=self.daemon_set.metadata.generation if observed else before.observed_generation,
        )


def live_words(pods: PodsByNode) -> Collection[str]:
    """Return the hashes of the templates of which Pods are there."""
    return {pod.metadata.labels.get(HASH_LABEL, "") for present in pods.values() for pod in present}
