"""Random clusters and Pods that touch every plugin, from a seed."""

from __future__ import annotations

from random import Random

import attrs

from orchestra.api.builders import meta, node, pod, resources, taint, toleration
from orchestra.api.core.affinity import (
    Affinity,
    NodeAffinity,
    NodeSelectorRequirement,
    NodeSelectorTerm,
    PodAffinity,
    PodAffinityTerm,
    PodAntiAffinity,
    PreferredSchedulingTerm,
    TopologySpreadConstraint,
    WeightedPodAffinityTerm,
)
from orchestra.api.core.container import Container, ContainerPort
from orchestra.api.core.node import ContainerImage, Node
from orchestra.api.core.pod import Pod, PodSpec
from orchestra.api.meta import LabelSelector
from orchestra.api.quantity import Quantity

ZONE, HOST = "topology.kubernetes.io/zone", "kubernetes.io/hostname"
APPS = ("web", "db", "batch")


def random_node(chance: Random, name: str) -> Node:
    labels = {"disk": chance.choice(("ssd", "hdd")), "cores": str(chance.choice((4, 8, 16)))}
    if chance.random() < 0.8:
        labels[ZONE] = chance.choice(("a", "b", "c"))
    taints = [
        t for t in ("spot=true:PreferNoSchedule", "gpu=yes:NoSchedule", "old:NoExecute") if chance.random() < 0.15
    ]
    made = node(
        name,
        cpu=chance.choice((1, 2, 4)),
        memory=chance.choice(("1Gi", "4Gi")),
        pods=chance.choice((2, 5, 20)),
        labels=labels,
        taints=tuple(taint(t) for t in taints),
        unschedulable=chance.random() < 0.1 or None,
    )
    images = tuple(
        ContainerImage(names=(f"image-{i}:1",), size_bytes=i * 200_000_000) for i in (1, 2, 3) if chance.random() < 0.4
    )
    extra = {"example.dev/gpu": Quantity(2)} if chance.random() < 0.3 else {}
    allocatable = {**made.status.allocatable, **extra}
    return attrs.evolve(made, status=attrs.evolve(made.status, images=images, allocatable=allocatable))


def _selector(chance: Random) -> LabelSelector:
    return LabelSelector(match_labels={"app": chance.choice(APPS)})


def _pod_term(chance: Random) -> PodAffinityTerm:
    anywhere = LabelSelector() if chance.random() < 0.3 else None
    return PodAffinityTerm(
        label_selector=_selector(chance), topology_key=chance.choice((ZONE, HOST)), namespace_selector=anywhere
    )


def _wish(chance: Random) -> WeightedPodAffinityTerm:
    return WeightedPodAffinityTerm(weight=chance.randint(1, 100), pod_affinity_term=_pod_term(chance))


def _node_term(chance: Random) -> NodeSelectorTerm:
    requirement = chance.choice(
        (
            NodeSelectorRequirement(key="disk", operator="In", values=("ssd",)),
            NodeSelectorRequirement(key="disk", operator="NotIn", values=("ssd",)),
            NodeSelectorRequirement(key="cores", operator="Gt", values=("4",)),
            NodeSelectorRequirement(key=ZONE, operator="Exists"),
        )
    )
    return NodeSelectorTerm(match_expressions=(requirement,))


def _affinity(chance: Random) -> Affinity | None:
    if chance.random() < 0.4:
        return None
    maybe = chance.random
    return Affinity(
        node_affinity=NodeAffinity(
            preferred_during_scheduling_ignored_during_execution=tuple(
                PreferredSchedulingTerm(weight=chance.randint(1, 9), preference=_node_term(chance))
                for _ in range(chance.randint(0, 2))
            )
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


def _spread(chance: Random) -> tuple[TopologySpreadConstraint, ...]:
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


def random_shape(chance: Random) -> PodSpec:
    ports = (ContainerPort(container_port=80, host_port=8080, protocol="TCP"),) if chance.random() < 0.15 else ()
    amounts = {"cpu": chance.choice(("", "100m", "500m")), "memory": chance.choice(("", "64Mi", "512Mi"))}
    requests = resources(**amounts)
    if chance.random() < 0.15:
        requests = attrs.evolve(requests, requests={**requests.requests, "example.dev/gpu": Quantity(1)})
    return PodSpec(
        containers=(Container(name="c", image=f"image-{chance.randint(1, 4)}:1", ports=ports, resources=requests),),
        affinity=_affinity(chance),
        topology_spread_constraints=_spread(chance),
        node_selector={"disk": "ssd"} if chance.random() < 0.15 else {},
        tolerations=(toleration("gpu:NoSchedule"),) if chance.random() < 0.4 else (),
        priority=chance.choice((0, 0, 10)),
    )


def random_pod(chance: Random, name: str, shapes: list[PodSpec]) -> Pod:
    made = pod(name, labels={"app": chance.choice(APPS)})
    where = attrs.evolve(meta(name, made.metadata.labels), namespace=chance.choice(("default", "other")), uid=name)
    return attrs.evolve(made, metadata=where, spec=chance.choice(shapes))
