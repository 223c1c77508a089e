"""The framework as an author of plugins meets it."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pytest

from orchestra.api.builders import meta, service
from orchestra.api.core.pod import PodResourceClaim
from orchestra.api.meta import LabelSelector
from orchestra.api.policy import PodDisruptionBudget, PodDisruptionBudgetSpec
from orchestra.errors import ConfigurationError, PluginError
from orchestra.scheduler import (
    Harness,
    Plugin,
    PodInfo,
    Profile,
    node,
    per_node,
    pod,
    unschedulable,
)
from orchestra.scheduler.interface import Bools, CycleState, Ints
from orchestra.scheduler.noderow import NodeRow
from orchestra.scheduler.view import Nodes


class AvoidSpot(Plugin):
    name: ClassVar[str] = "AvoidSpot"
    node_local: ClassVar[bool] = True

    @per_node
    def filter(self, pod: PodInfo, node: NodeRow) -> str | None:
        if pod.labels.get("kind") == "gpu" and node.labels.get("spot"):
            return "gpu pods do not run on spot nodes"
        return None


class Alphabet(Plugin):
    name: ClassVar[str] = "Alphabet"
    node_local: ClassVar[bool] = True

    @per_node
    def score(self, _pod: PodInfo, node: NodeRow) -> int:
        return 100 - ord(node.name[0]) + ord("a")


def with_plugin(*plugins: Plugin, **weights: int) -> Profile:
    return Profile().with_plugins(*plugins, weights=weights)


def test_gpu_pods_avoid_spot_nodes() -> None:
    nodes = [node("a", cpu="4", labels={"spot": "true"}), node("b", cpu="4")]
    h = Harness(profile=with_plugin(AvoidSpot()), nodes=nodes)
    result = h.schedule(pod("train", cpu="1", labels={"kind": "gpu"}))
    assert result.node == "b"
    assert result.why("a") == "AvoidSpot: gpu pods do not run on spot nodes"


def test_a_per_node_score_with_a_weight_decides() -> None:
    h = Harness(profile=with_plugin(Alphabet(), Alphabet=100), nodes=[node("b"), node("a")])
    assert [h.schedule(pod(str(number))).node for number in range(3)] == ["a", "a", "a"]


def test_an_array_filter_without_reasons_is_enough() -> None:
    class Half(Plugin):
        name = "Half"

        def filter(self, _state: CycleState, _pod: PodInfo, nodes: Nodes) -> Bools:
            return np.arange(nodes.count) % 2 == 0

    result = Harness(profile=with_plugin(Half()), nodes=[node("a"), node("b")]).evaluate(pod("p"))
    assert result.feasible == ("a",)
    assert result.reasons["b"] == ("node(s) didn't satisfy plugin Half",)


def test_a_pre_filter_can_refuse_the_pod_outright() -> None:
    class Never(Plugin):
        name = "Never"

        def pre_filter(self, _state: CycleState, _pod: PodInfo, _table: object) -> object:
            return unschedulable("not today")

    result = Harness(profile=with_plugin(Never()), nodes=[node("a"), node("b")]).schedule(pod("p"))
    assert result.node == ""
    assert result.message.startswith("0/2 nodes are available: not today.")


def _raises(*_: Any) -> Any:
    raise RuntimeError("boom")


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (_raises, "RuntimeError\\('boom'\\)"),
        (lambda nodes: np.zeros(nodes.count + 1, dtype=np.int64), "shape"),
        (lambda nodes: np.full(nodes.count, np.nan), "float64 from Score"),
        (lambda nodes: [1] * nodes.count, "list from Score"),
    ],
)
def test_a_plugin_that_misbehaves_is_named(answer: Any, complaint: str) -> None:
    class Bad(Plugin):
        name = "Bad"

        def score(self, _state: CycleState, _pod: PodInfo, nodes: Nodes) -> Ints:
            result: Ints = answer(nodes)
            return result

    h = Harness(profile=with_plugin(Bad()), nodes=[node("a"), node("b")])
    with pytest.raises(PluginError, match=f"plugin Bad .*{complaint}"):
        h.schedule(pod("p"))


def test_the_message_counts_each_reason_in_the_order_of_kube_scheduler() -> None:
    nodes = [node("a", cpu=1), node("b", cpu=1), node("c", cpu=8, unschedulable=True)]
    result = Harness(nodes=nodes, profile=Profile().without("DefaultPreemption", "DynamicResources")).schedule(
        pod("p", cpu=2)
    )
    assert result.message == "0/3 nodes are available: 1 node(s) were unschedulable, 2 Insufficient cpu."
    assert result.diagnosis.counts == {"Insufficient cpu": 2, "node(s) were unschedulable": 1}


def test_without_nodes_the_message_says_so() -> None:
    assert Harness().schedule(pod("p")).message == "no nodes available to schedule pods"


def test_pods_of_a_service_spread_over_hosts_and_zones_by_default() -> None:
    nodes = [
        node(f"n{i}", cpu=64, memory="256Gi", labels={"topology.kubernetes.io/zone": f"z{i % 2}"}) for i in range(4)
    ]
    h = Harness(nodes=nodes, services=[service("web", selector={"app": "web"})])
    placed = [h.schedule(pod(f"p{i}", cpu="100m", labels={"app": "web"})).node for i in range(8)]
    assert {name: placed.count(name) for name in set(placed)} == {f"n{i}": 2 for i in range(4)}
    assert "PodTopologySpread" in h.evaluate(pod("q", labels={"app": "web"})).scores["n0"]
    assert "PodTopologySpread" not in h.evaluate(pod("q", labels={"app": "db"})).scores["n0"]


def test_ties_are_broken_by_the_seed() -> None:
    def places(seed: int) -> list[str]:
        h = Harness(nodes=[node(f"n{i}") for i in range(8)], seed=seed)
        return [h.schedule(pod(f"p{i}", cpu="1")).node for i in range(8)]

    assert places(1) == places(1)
    assert places(1) != places(2)
    assert sorted(places(1)) == [f"n{i}" for i in range(8)]


def test_documents_are_taken_as_kubectl_prints_them() -> None:
    h = Harness.from_documents(
        nodes=[{"metadata": {"name": "a"}, "status": {"allocatable": {"cpu": "1", "memory": "1Gi", "pods": "5"}}}],
        pods=[
            {
                "metadata": {"name": "old", "namespace": "default", "uid": "1"},
                "spec": {"nodeName": "a", "containers": [{"name": "c", "resources": {"requests": {"cpu": "900m"}}}]},
                "status": {"phase": "Succeeded"},
            }
        ],
    )
    wanted = {
        "metadata": {"name": "p"},
        "spec": {"containers": [{"name": "c", "resources": {"requests": {"cpu": "1"}}}]},
    }
    assert h.schedule(wanted).node == "a"


def test_a_profile_with_two_plugins_of_one_name_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="AvoidSpot"):
        Profile(plugins=(AvoidSpot(), AvoidSpot()))


def test_less_important_pods_make_room_and_the_least_of_them() -> None:
    h = Harness(nodes=[node("a", cpu=2)])
    for name, priority in (("low", 1), ("middle", 5)):
        assert h.schedule(pod(name, cpu=1, priority=priority)).node == "a"
    result = h.schedule(pod("high", cpu=1, priority=9))
    assert (result.node, result.victims) == ("a", ("low",))
    assert h.schedule(pod("equal", cpu=1, priority=5)).message.endswith(
        "preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod."
    )


def test_a_pod_that_must_not_preempt_says_so() -> None:
    h = Harness(nodes=[node("a", cpu=1)])
    h.schedule(pod("low", cpu=1))
    result = h.schedule(pod("high", cpu=1, priority=9, preemption_policy="Never"))
    assert result.victims == ()
    assert "preemption: not eligible due to preemptionPolicy=Never." in result.message


def test_a_pod_with_resource_claims_is_refused() -> None:
    claims = (PodResourceClaim(name="gpu", resource_claim_name="gpu"),)
    result = Harness(nodes=[node("a")]).schedule(pod("p", resource_claims=claims))
    assert result.message.startswith("0/1 nodes are available: cannot allocate all claims.")


def test_every_score_is_there_raw_normalised_and_weighted() -> None:
    found = Harness(nodes=[node("a", cpu=4), node("b", cpu=8)]).evaluate(pod("p", cpu=2, memory="1Gi"))
    assert set(found.details) == {"a", "b"}
    for name, scores in found.details.items():
        assert {plugin: score.weighted for plugin, score in scores.items()} == found.scores[name]
        assert all(score.weighted == score.normalized * score.weight for score in scores.values())
    assert found.details["a"]["TaintToleration"].raw == 0
    assert found.details["a"]["TaintToleration"].weighted == 300


def test_asking_about_a_node_that_is_not_there_is_an_error() -> None:
    found = Harness(nodes=[node("a")]).evaluate(pod("p"))
    with pytest.raises(KeyError, match="there was no node 'b'"):
        found.why("b")


def test_objects_of_every_kind_that_decides_can_be_added() -> None:
    h = Harness(nodes=[node("a", cpu=1)])
    budget = PodDisruptionBudget(
        metadata=meta("web"), spec=PodDisruptionBudgetSpec(selector=LabelSelector(match_labels={"app": "web"}))
    )
    h.add(budget, node("b", cpu=1), pod("default/old", node="b", cpu=1))
    assert len(h.table.disruption_budgets) == 1
    assert h.schedule(pod("p", cpu=1)).node == "a"


def test_amounts_beyond_all_measure_break_nothing() -> None:
    absurd = "9223372036854775807"
    h = Harness(nodes=[node("a", cpu=absurd, memory=f"{absurd}Ei"), node("b", cpu=1)])
    for number in range(5):
        h.add_pod(pod(f"r{number}", node="a", cpu=absurd, memory=absurd))
    assert h.evaluate(pod("p", cpu=absurd)).feasible == ()
    assert h.schedule(pod("q", cpu=1)).node == "b"


def test_documents_of_every_kind_that_decides_are_taken_by_their_plural() -> None:
    wanted = {"containers": [{"name": "c", "resources": {"requests": {"cpu": "1"}}}]}
    h = Harness.from_documents(
        nodes=[{"metadata": {"name": "a"}, "status": {"allocatable": {"cpu": "1", "memory": "1Gi", "pods": "5"}}}],
        pods=[{"metadata": {"name": "low"}, "spec": {"nodeName": "a", **wanted}}],
        priorityclasses=[{"metadata": {"name": "top"}, "value": 9}],
        poddisruptionbudgets=[{"metadata": {"name": "b"}, "spec": {"selector": {"matchLabels": {"app": "x"}}}}],
        replicasets=[],
    )
    assert [budget.namespace for budget in h.table.disruption_budgets] == ["default"]
    assert h.schedule({"metadata": {"name": "high"}, "spec": {"priorityClassName": "top", **wanted}}).victims == (
        "low",
    )
    with pytest.raises(ConfigurationError, match="websites: no kind of that plural"):
        Harness.from_documents(websites=[])
