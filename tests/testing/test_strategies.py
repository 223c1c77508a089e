"""Strategies for clusters and Pods: they draw what scheduling can meet, repeat, shrink, and name what is missing."""

from __future__ import annotations

import sys
from random import Random

import pytest
from hypothesis import find, given, settings

from orchestra.errors import ConfigurationError
from orchestra.scheduler import Harness
from orchestra.testing import RandomCluster, Words, random_cluster
from orchestra.testing.strategies import clusters, nodes, pod_specs, pods

WORDS = Words(node_labels={"spot": ("true", None)}, pod_labels={"kind": ("gpu",)}, pod_annotations={"team": ("a",)})


@settings(max_examples=20, deadline=None)
@given(cluster=clusters(WORDS))
def test_every_cluster_can_be_scheduled(cluster: RandomCluster) -> None:
    h = Harness(nodes=cluster.nodes, pods=cluster.running, namespaces=cluster.namespaces)
    for pod in cluster.waiting:
        result = h.schedule(pod)
        assert result.node in {"", *(item.metadata.name for item in cluster.nodes)}
        assert pod.metadata.labels["kind"] == "gpu"
        assert pod.metadata.annotations["team"] == "a"


def test_the_same_seed_gives_the_same_cluster() -> None:
    assert random_cluster(Random(3)) == random_cluster(Random(3))
    assert random_cluster(Random(3)) != random_cluster(Random(4))


def test_clusters_shrink_to_few_nodes() -> None:
    smallest = find(clusters(), lambda cluster: any(node.spec.taints for node in cluster.nodes))
    assert len(smallest.nodes) <= 2


def test_single_objects_can_be_drawn() -> None:
    assert find(nodes("n", WORDS), lambda item: "spot" in item.metadata.labels).metadata.name == "n"
    assert find(pods("p"), lambda item: bool(item.spec.tolerations)).metadata.name == "p"
    assert find(pod_specs(), lambda spec: spec.affinity is not None).containers


def test_without_hypothesis_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "orchestra.testing.strategies")
    monkeypatch.setitem(sys.modules, "hypothesis", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'orchestra-control-plane\[hypothesis\]'"):
        import orchestra.testing.strategies  # noqa: F401
