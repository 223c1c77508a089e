"""The strategies of NodeResourcesFit and the arguments of its neighbours, against Kubernetes' formulas written out."""

from __future__ import annotations

from random import Random
from typing import Any

import attrs
import pytest

from orchestra.api.builders import node, pod, resources
from orchestra.api.core.container import Container
from orchestra.api.core.node import Node
from orchestra.api.core.pod import Pod
from orchestra.api.quantity import Quantity
from orchestra.scheduler import Harness, Profile
from orchestra.scheduler.finding import make_plugin

GPU = "example.dev/gpu"
KINDS = ("cpu", "memory", "ephemeral-storage", GPU)
SHAPES = (
    [{"utilization": 0, "score": 0}, {"utilization": 100, "score": 10}],
    [{"utilization": 0, "score": 10}, {"utilization": 100, "score": 0}],
    [{"utilization": 20, "score": 3}, {"utilization": 50, "score": 9}, {"utilization": 77, "score": 1}],
    [{"utilization": 40, "score": 5}],
)


def profile_for(strategy: dict[str, Any]) -> Profile:
    fit = make_plugin("NodeResourcesFit", {"scoringStrategy": strategy})
    return Profile().with_plugins(fit)


def random_node(chance: Random, name: str) -> Node:
    made = node(name, cpu=chance.choice((2, 4, 7)), memory=chance.choice(("1Gi", "3Gi", "10Gi")), pods=50)
    more = {"ephemeral-storage": Quantity("20Gi")} if chance.random() < 0.7 else {}
    gpus = {GPU: Quantity(chance.choice((3, 8)))} if chance.random() < 0.6 else {}
    return attrs.evolve(made, status=attrs.evolve(made.status, allocatable={**made.status.allocatable, **more, **gpus}))


def random_pod(chance: Random, name: str, where: str = "") -> Pod:
    asks = resources(cpu=chance.choice(("", "300m", "1")), memory=chance.choice(("", "100Mi", "700Mi"))).requests
    if chance.random() < 0.4:
        asks = {**asks, GPU: Quantity(1)}
    if chance.random() < 0.4:
        asks = {**asks, "ephemeral-storage": Quantity("1Gi")}
    made = pod(name, node=where)
    container = Container(name="c", image="i", resources=attrs.evolve(resources(), requests=asks))
    return attrs.evolve(made, spec=attrs.evolve(made.spec, containers=(container,)))


def amounts_of(made: Pod) -> dict[str, int]:
    """What a Pod counts for: cpu and memory have defaults (100m, 200Mi)."""
    asks = made.spec.containers[0].resources.requests
    found = {"cpu": 100, "memory": 200 << 20}
    for name, quantity in asks.items():
        found[name] = quantity.milli_value() if name == "cpu" else quantity.value()
    return found


def broken_line(shape: list[dict[str, int]], percent: int) -> int:
    points = [(p["utilization"], p["score"] * 10) for p in shape]
    for index, (x, y) in enumerate(points):
        if percent <= x:
            if index == 0:
                return y
            before, below = points[index - 1]
            return below + int((y - below) * (percent - before) / (x - before))
    return points[-1][1]


def expected(strategy: dict[str, Any], made: Node, pods: list[Pod], new: Pod) -> int:
    """Return kube-scheduler's score: noderesources `score`, and the scorer of each strategy."""
    total = weights = 0
    for spec in strategy["resources"]:
        name, weight = spec["name"], spec["weight"]
        asked = amounts_of(new)
        if name == GPU and GPU not in asked:
            continue
        quantity = made.status.allocatable.get(name)
        capacity = 0 if quantity is None else quantity.milli_value() if name == "cpu" else quantity.value()
        if not capacity:
            continue
        requested = sum(amounts_of(p).get(name, 0) for p in [*pods, new])
        if strategy["type"] == "LeastAllocated":
            score = 0 if requested > capacity else (capacity - requested) * 100 // capacity
        elif strategy["type"] == "MostAllocated":
            score = min(requested, capacity) * 100 // capacity
        else:
            percent = 100 if requested > capacity else requested * 100 // capacity
            score = broken_line(strategy["requestedToCapacityRatio"]["shape"], percent)
            if score <= 0:
                continue
        total += score * weight
        weights += weight
    if not weights:
        return 0
    if strategy["type"] == "RequestedToCapacityRatio":
        return int(total / weights + 0.5)
    return total // weights


def random_strategy(chance: Random, kind: str) -> dict[str, Any]:
    chosen = chance.sample(KINDS, chance.randint(1, 4))
    strategy: dict[str, Any] = {
        "type": kind,
        "resources": [{"name": name, "weight": chance.randint(1, 5)} for name in chosen],
    }
    if kind == "RequestedToCapacityRatio":
        strategy["requestedToCapacityRatio"] = {"shape": chance.choice(SHAPES)}
    return strategy


@pytest.mark.parametrize("kind", ["LeastAllocated", "MostAllocated", "RequestedToCapacityRatio"])
@pytest.mark.parametrize("seed", range(12))
def test_a_strategy_scores_as_kubernetes_formula_says(kind: str, seed: int) -> None:
    chance = Random(seed)
    strategy = random_strategy(chance, kind)
    nodes = [random_node(chance, f"n{i}") for i in range(6)]
    running = [random_pod(chance, f"r{i}", f"n{chance.randrange(6)}") for i in range(15)]
    harness = Harness(profile=profile_for(strategy), nodes=nodes, pods=running)
    for number in range(8):
        new = random_pod(chance, f"p{number}")
        found = harness.evaluate(new)
        for name, scores in found.scores.items():
            made = next(each for each in nodes if each.metadata.name == name)
            beside = [p for p in running if p.spec.node_name == name]
            assert scores["NodeResourcesFit"] == expected(strategy, made, beside, new)
        chosen = harness.schedule(new)  # the next Pods are scored from rows that were updated one by one
        if chosen.node:
            running.append(attrs.evolve(new, spec=attrs.evolve(new.spec, node_name=chosen.node)))


def test_ignored_resources_refuse_no_node() -> None:
    asking = random_pod(Random(3), "p")
    requests = {"cpu": Quantity("100m"), GPU: Quantity(2), "other.dev/x": Quantity(1)}
    container = attrs.evolve(asking.spec.containers[0], resources=attrs.evolve(resources(), requests=requests))
    asking = attrs.evolve(asking, spec=attrs.evolve(asking.spec, containers=(container,)))
    for told, fits in (
        ({}, False),
        ({"ignoredResources": [GPU]}, False),
        ({"ignoredResources": [GPU, "other.dev/x"]}, True),
        ({"ignoredResourceGroups": ["example.dev", "other.dev"]}, True),
        ({"ignoredResources": ["cpu"]}, False),
    ):
        profile = Profile().with_plugins(make_plugin("NodeResourcesFit", told))
        assert bool(Harness(profile=profile, nodes=[node("a")]).evaluate(asking).feasible) is fits


def test_default_constraints_hold_for_pods_that_bring_none() -> None:
    told = {
        "defaultingType": "List",
        "defaultConstraints": [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}],
    }
    from orchestra.api.builders import service

    profile = Profile().with_plugins(make_plugin("PodTopologySpread", told))
    nodes = [node("a", labels={"zone": "1"}), node("b", labels={"zone": "2"}), node("c")]
    harness = Harness(profile=profile, nodes=nodes, services=[service("web", selector={"app": "web"})])
    web = {"app": "web"}
    first, second, third = (harness.schedule(pod(name, labels=web)) for name in ("p", "q", "r"))
    assert {first.node, second.node} == {"a", "b"}
    assert third.node
    assert "missing required label" in third.why("c")
    assert harness.evaluate(pod("other", labels={"app": "x"})).feasible == ("a", "b", "c")
