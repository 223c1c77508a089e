"""Random clusters and Pods that touch every part of scheduling, from a source of chance.

The same source gives the same cluster. `Words` says which labels and the like there are, so that a plugin of one's own
meets what it reads:

    words = Words(node_labels={"spot": ("true", None)}, pod_labels={"kind": ("gpu", "web")})
    cluster = random_cluster(Random(7), words)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Protocol, TypeVar

import attrs

from orchestra.api.builders import meta, namespace, node, pod, resources, taint, toleration
from orchestra.api.core.affinity import (
    Affinity,
    NodeAffinity,
    NodeSelector,
    NodeSelectorRequirement,
    NodeSelectorTerm,
    PodAffinity,
    PodAffinityTerm,
    PodAntiAffinity,
    PreferredSchedulingTerm,
    TopologySpreadConstraint,
    WeightedPodAffinityTerm,
)
from orchestra.api.core.cluster import Namespace
from orchestra.api.core.container import Container, ContainerPort
from orchestra.api.core.node import ContainerImage, Node
from orchestra.api.core.pod import Pod, PodSpec
from orchestra.api.meta import LabelSelector
from orchestra.api.quantity import Quantity

T = TypeVar("T")

ZONE: Final = "topology.kubernetes.io/zone"
HOST: Final = "kubernetes.io/hostname"
GPU: Final = "example.dev/gpu"
NAMESPACES: Final = ("default", "other")
APPS: Final = ("web", "db", "batch")

Choices = Mapping[str, Sequence[str | None]]
"""Values by key; None stands for the key being absent."""


class Chance(Protocol):
    """What is needed of a `random.Random`, and given by hypothesis' `randoms()` too."""

    def random(self) -> float:
        """Return a number from 0 up to, but not including, 1."""
        ...

    def choice(self, seq: Sequence[T], /) -> T:
        """Return one of the items."""
        ...

    def randint(self, a: int, b: int, /) -> int:
        """Return a whole number from a to b."""
        ...


@attrs.frozen
class Words:
    """What labels and annotations there are besides the usual ones, for plugins that read them."""

    node_labels: Choices = attrs.field(factory=dict)
    pod_labels: Choices = attrs.field(factory=dict)
    pod_annotations: Choices = attrs.field(factory=dict)


PLAIN: Final = Words()


@attrs.frozen
class RandomCluster:
    """Nodes, the Pods that run on them, and Pods that wait; those of one shape differ in name and labels only."""

    namespaces: tuple[Namespace, ...]
    nodes: tuple[Node, ...]
    running: tuple[Pod, ...]
    waiting: tuple[Pod, ...]


def random_cluster(chance: Chance, words: Words = PLAIN, *, nodes: int = 8, pods: int = 20) -> RandomCluster:
    """Return a cluster of up to so many nodes and Pods; nodes may be overfull, as after a node has shrunk."""
    made = tuple(random_node(chance, f"n{number}", words) for number in range(chance.randint(1, nodes)))
    shapes = [random_shape(chance) for _ in range(chance.randint(1, 4))]
    running = []
    for number in range(chance.randint(0, pods)):
        placed = random_pod(chance, f"r{number}", shapes, words)
        where = chance.choice(made).metadata.name
        running.append(attrs.evolve(placed, spec=attrs.evolve(placed.spec, node_name=where)))
    waiting = tuple(random_pod(chance, f"w{number}", shapes, words) for number in range(chance.randint(1, 6)))
    spaces = (namespace("default", {"team": "a"}), namespace("other", {"team": chance.choice("ab")}))
    return RandomCluster(spaces, made, tuple(running), waiting)


def _drawn(chance: Chance, choices: Choices) -> dict[str, str]:
    drawn = {key: chance.choice(values) for key, values in choices.items()}
    return {key: value for key, value in drawn.items() if value is not None}


def random_node(chance: Chance, name: str, words: Words = PLAIN) -> Node:
    """Return a node."""
    labels = {"disk": chance.choice(("ssd", "hdd")), "cores": chance.choice(("4", "8", "16"))}
    if chance.random() < 0.8:
        labels[ZONE] = chance.choice(("a", "b", "c"))
    texts = ("spot=true:PreferNoSchedule", "gpu=yes:NoSchedule", "old:NoExecute")
    made = node(
        name,
        cpu=chance.choice((1, 2, 4)),
        memory=chance.choice(("1Gi", "4Gi")),
        pods=chance.choice((2, 5, 20)),
        labels={**labels, **_drawn(chance, words.node_labels)},
        taints=tuple(taint(text) for text in texts if chance.random() < 0.15),
        unschedulable=chance.random() < 0.1 or None,
    )
    images = tuple(
        ContainerImage(names=(f"image-{i}:1",), size_bytes=i * 200_000_000) for i in (1, 2, 3) if chance.random() < 0.4
    )
    extra = {GPU: Quantity(2)} if chance.random() < 0.3 else {}
    allocatable = {**made.status.allocatable, **extra}
    return attrs.evolve(made, status=attrs.evolve(made.status, images=images, allocatable=allocatable))


def random_pod(chance: Chance, name: str, shapes: Sequence[PodSpec], words: Words = PLAIN) -> Pod:
    """Return a Pod of one of the shapes, with a uid of its own."""
    labels = {"app": chance.choice(APPS), **_drawn(chance, words.pod_labels)}
    where = meta(f"{chance.choice(NAMESPACES)}/{name}", labels, uid=name)
    annotations = _drawn(chance, words.pod_annotations)
    where = attrs.evolve(where, annotations=annotations) if annotations else where
    return attrs.evolve(pod(name), metadata=where, spec=chance.choice(shapes))


def random_shape(chance: Chance) -> PodSpec:
    """Return what a Pod asks for."""
    ports = (ContainerPort(container_port=80, host_port=8080, protocol="TCP"),) if chance.random() < 0.15 else ()
    requests = resources(cpu=chance.choice(("", "100m", "500m")), memory=chance.choice(("", "64Mi", "512Mi")))
    if chance.random() < 0.15:
        requests = attrs.evolve(requests, requests={**requests.requests, GPU: Quantity(1)})
    image = f"image-{chance.randint(1, 4)}:1"
    return PodSpec(
        containers=(Container(name="c", image=image, ports=ports, resources=requests),),
        affinity=_affinity(chance),
        topology_spread_constraints=_spread(chance),
        node_selector={"disk": "ssd"} if chance.random() < 0.15 else {},
        tolerations=(toleration("gpu:NoSchedule"),) if chance.random() < 0.4 else (),
        priority=chance.choice((0, 0, 10)),
    )


def _affinity(chance: Chance) -> Affinity | None:
    if chance.random() < 0.4:
        return None
    maybe = chance.random
    required = NodeSelector(node_selector_terms=(_node_term(chance), _node_term(chance))) if maybe() < 0.15 else None
    wishes = tuple(
        PreferredSchedulingTerm(weight=chance.randint(1, 9), preference=_node_term(chance))
        for _ in range(chance.randint(0, 2))
    )
    return Affinity(
        node_affinity=NodeAffinity(
            required_during_scheduling_ignored_during_execution=required,
            preferred_during_scheduling_ignored_during_execution=wishes,
        ),
        pod_affinity=PodAffinity(
            required_during_scheduling_ignored_during_execution=(_pod_term(chance),) if maybe() < 0.2 else (),
            preferred_during_scheduling_ignored_during_execution=(_wish(chance),) if maybe() < 0.4 else (),
        ),
        pod_anti_affinity=PodAntiAffinity(
            required_during_scheduling_ignored_during_execution=(_pod_term(chance),) if maybe() < 0.25 else (),
            preferred_during_scheduling_ignored_during_execution=(_wish(chance),) if maybe() < 0.4 else (),
        ),
    )


def _node_term(chance: Chance) -> NodeSelectorTerm:
    field = NodeSelectorRequirement(key="metadata.name", operator="NotIn", values=("n0",))
    if chance.random() < 0.1:
        return NodeSelectorTerm(match_fields=(field,))
    requirement = chance.choice(
        (
            NodeSelectorRequirement(key="disk", operator="In", values=("ssd",)),
            NodeSelectorRequirement(key="disk", operator="NotIn", values=("ssd",)),
            NodeSelectorRequirement(key="cores", operator="Gt", values=("4",)),
            NodeSelectorRequirement(key=ZONE, operator="Exists"),
        )
    )
    return NodeSelectorTerm(match_expressions=(requirement,))


def _selector(chance: Chance) -> LabelSelector:
    return LabelSelector(match_labels={"app": chance.choice(APPS)})


def _pod_term(chance: Chance) -> PodAffinityTerm:
    anywhere = LabelSelector() if chance.random() < 0.3 else None
    return PodAffinityTerm(
        label_selector=_selector(chance), topology_key=chance.choice((ZONE, HOST)), namespace_selector=anywhere
    )


def _wish(chance: Chance) -> WeightedPodAffinityTerm:
    return WeightedPodAffinityTerm(weight=chance.randint(1, 100), pod_affinity_term=_pod_term(chance))


def _spread(chance: Chance) -> tuple[TopologySpreadConstraint, ...]:
    keys = [key for key in (ZONE, HOST) if chance.random() < 0.3]
    return tuple(
        TopologySpreadConstraint(
            max_skew=chance.randint(1, 3),
            topology_key=key,
            when_unsatisfiable=chance.choice(("DoNotSchedule", "ScheduleAnyway")),
            label_selector=_selector(chance),
            min_domains=chance.choice((None, 3)),
            node_taints_policy=chance.choice((None, "Honor")),
        )
        for key in keys
    )
