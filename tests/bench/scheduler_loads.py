"""Nodes and Pods that a scheduler is measured with, after the workloads of Kubernetes' scheduler_perf."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import attrs

from orchestra.api.builders import meta, node, pod
from orchestra.api.core.affinity import (
    Affinity,
    NodeAffinity,
    NodeSelector,
    NodeSelectorRequirement,
    NodeSelectorTerm,
    PodAffinity,
    PodAffinityTerm,
    PodAntiAffinity,
    TopologySpreadConstraint,
)
from orchestra.api.core.node import Node
from orchestra.api.core.pod import Pod
from orchestra.api.meta import LabelSelector
from orchestra.api.object import ObjectMeta
from orchestra.api.scheduling import PriorityClass

ZONE: Final = "topology.kubernetes.io/zone"
HOST: Final = "kubernetes.io/hostname"
ZONES: Final = 3

Extra = Callable[[Mapping[str, str]], dict[str, Any]]
"""Further fields of the spec of a Pod with these labels."""


def nodes(number: int, cpu: int = 32) -> list[Node]:
    """Return nodes that lie in three zones."""
    return [node(f"n{i}", cpu=cpu, memory="256Gi", labels={ZONE: f"z{i % ZONES}"}) for i in range(number)]


def plain(_labels: Mapping[str, str]) -> dict[str, Any]:
    """Return nothing."""
    return {}


def spread(when: str) -> Extra:
    """Return what keeps Pods of the same labels evenly spread over the zones."""

    def extra(labels: Mapping[str, str]) -> dict[str, Any]:
        constraint = TopologySpreadConstraint(
            max_skew=5,
            topology_key=ZONE,
            when_unsatisfiable=when,
            label_selector=LabelSelector(match_labels=labels),
        )
        return {"topology_spread_constraints": (constraint,)}

    return extra


def alone(labels: Mapping[str, str]) -> dict[str, Any]:
    """Return what keeps two Pods of the same labels from one host."""
    term = PodAffinityTerm(topology_key=HOST, label_selector=LabelSelector(match_labels=labels))
    anti = PodAntiAffinity(required_during_scheduling_ignored_during_execution=(term,))
    return {"affinity": Affinity(pod_anti_affinity=anti)}


def together(labels: Mapping[str, str]) -> dict[str, Any]:
    """Return what keeps Pods of the same labels in one zone."""
    term = PodAffinityTerm(topology_key=ZONE, label_selector=LabelSelector(match_labels=labels))
    near = PodAffinity(required_during_scheduling_ignored_during_execution=(term,))
    return {"affinity": Affinity(pod_affinity=near)}


def in_zones(_labels: Mapping[str, str]) -> dict[str, Any]:
    """Return what keeps Pods out of the third zone."""
    requirement = NodeSelectorRequirement(key=ZONE, operator="In", values=("z0", "z1"))
    term = NodeSelectorTerm(match_expressions=(requirement,))
    required = NodeSelector(node_selector_terms=(term,))
    return {
        "affinity": Affinity(node_affinity=NodeAffinity(required_during_scheduling_ignored_during_execution=required))
    }


def shaped(number: int, shape: int, extra: Extra = plain) -> Pod:
    """Return Pod `number`, which asks for a little more the higher its shape is."""
    labels = {"app": f"a{shape}"}
    return pod(f"p{number}", cpu=f"{100 + shape}m", memory=f"{64 + shape}Mi", labels=labels, **extra(labels))


IMPORTANT: Final = PriorityClass(metadata=ObjectMeta(name="important"), value=1000)


def unimportant(name: str, cpu: str) -> Pod:
    """Return a Pod that may be ended at once."""
    return pod(name, cpu=cpu, memory="100Mi", termination_grace_period_seconds=0)


def important(name: str, cpu: str) -> Pod:
    """Return a Pod of the class `IMPORTANT`."""
    return pod(name, cpu=cpu, memory="100Mi", priority_class_name=IMPORTANT.metadata.name)


def identified(made: Pod) -> Pod:
    """Return a Pod with a uid, as a server gives it."""
    name = made.metadata.name
    return attrs.evolve(made, metadata=meta(name, made.metadata.labels, uid=f"u-{name}"))
