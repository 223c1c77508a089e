"""What would make a Pod fit: the advice must be right, least, and bounded."""

from __future__ import annotations

from random import Random
from typing import Any, ClassVar

import attrs
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from orchestra.api.builders import container, taint, toleration
from orchestra.api.core.affinity import (
    Affinity,
    NodeAffinity,
    NodeSelector,
    NodeSelectorRequirement,
    NodeSelectorTerm,
    PodAffinity,
    PodAffinityTerm,
    PodAntiAffinity,
)
from orchestra.api.core.container import ContainerPort
from orchestra.api.core.node import Node
from orchestra.api.core.pod import Pod
from orchestra.api.diagnosis import Change
from orchestra.api.meta import LabelSelector
from orchestra.api.quantity import Quantity
from orchestra.scheduler import Harness, NodeRow, OnlyNodes, Plugin, PodInfo, Profile, node, per_node, pod
from orchestra.scheduler.advice import MAX_ADVICE, MAX_NAMES
from orchestra.scheduler.finding import make_plugin
from tests.scheduler.kit import HOST, ZONE, random_node, random_pod, random_shape

QUIET = Profile().without("DefaultPreemption", "DynamicResources")


def advice(harness: Harness, wanted: Pod) -> list[tuple[list[str], int, tuple[str, ...]]]:
    found = harness.evaluate(wanted).advice
    return [([change.text for change in item.changes], item.count, item.nodes) for item in found]


def test_the_node_with_the_smallest_shortfall_is_named() -> None:
    nodes = [node("a", cpu="500m"), node("b", cpu=2), node("c", cpu="1500m"), node("d", cpu=2)]
    h = Harness(nodes=nodes, profile=QUIET)
    assert advice(h, pod("p", cpu="2200m")) == [
        (["200m more cpu free on the node, or as much less asked for"], 2, ("b", "d"))
    ]


def test_shortfalls_of_several_resources_are_compared_by_what_is_asked_for() -> None:
    h = Harness(nodes=[node("a", cpu=1, memory="1Gi"), node("b", cpu=3, memory="1Mi")], profile=QUIET)
    (found,) = h.evaluate(pod("p", cpu=4, memory="1Gi")).advice
    assert found.nodes == ("a",)
    assert [(change.resource, change.amount) for change in found.changes] == [("cpu", "3")]


def test_nodes_that_a_taint_alone_keeps_away_are_counted_by_taint() -> None:
    nodes = [node(f"n{number}", taints=(taint("gpu=yes:NoSchedule"),)) for number in range(7)]
    nodes += [node("old", taints=(taint("old:NoExecute"),)), node("small", cpu=0, taints=(taint("x:NoSchedule"),))]
    (gpu, old) = Harness(nodes=nodes, profile=QUIET).evaluate(pod("p", cpu=1)).advice
    assert (gpu.changes[0].taint, gpu.count, len(gpu.nodes)) == ("gpu=yes:NoSchedule", 7, MAX_NAMES)
    assert (old.changes[0].taint, old.count, old.nodes) == ("old:NoExecute", 1, ("old",))


def test_only_the_taints_that_are_not_tolerated_are_named() -> None:
    both = (taint("a:NoSchedule"), taint("b:NoSchedule"), taint("c:PreferNoSchedule"))
    h = Harness(nodes=[node("n", taints=both)], profile=QUIET)
    assert advice(h, pod("p", tolerations=(toleration("a:NoSchedule"),))) == [
        (["tolerate the taint b:NoSchedule"], 1, ("n",))
    ]


def required(*terms: NodeSelectorTerm) -> Affinity:
    return Affinity(
        node_affinity=NodeAffinity(
            required_during_scheduling_ignored_during_execution=NodeSelector(node_selector_terms=terms)
        )
    )


def expression(key: str, operator: str, *values: str) -> NodeSelectorRequirement:
    return NodeSelectorRequirement(key=key, operator=operator, values=values)


def test_missing_labels_are_named_by_the_alternative_that_is_nearest() -> None:
    terms = required(
        NodeSelectorTerm(match_expressions=(expression("gpu", "Exists"), expression("disk", "In", "ssd", "nvme"))),
        NodeSelectorTerm(match_expressions=(expression("cores", "Gt", "8"),)),
    )
    h = Harness(nodes=[node("a", labels={"gpu": "1"}), node("b")], profile=QUIET)
    wanted = pod("p", affinity=terms, node_selector={"team": "x"})
    found = {item.nodes: [change.label for change in item.changes] for item in h.evaluate(wanted).advice}
    assert found == {("a",): ["team=x", "disk in (ssd,nvme)"], ("b",): ["team=x", "cores>8"]}


def test_a_cordon_and_a_taken_port_are_named() -> None:
    taken = pod("web", node="b", containers=(container(ports=(ContainerPort(container_port=80, host_port=80),)),))
    h = Harness(nodes=[node("a", unschedulable=True), node("b")], pods=[taken], profile=QUIET)
    wanted = attrs.evolve(taken, spec=attrs.evolve(taken.spec, node_name=""))
    wanted = attrs.evolve(wanted, metadata=attrs.evolve(wanted.metadata, name="other"))
    assert sorted(text for texts, _, _ in advice(h, wanted) for text in texts) == [
        "the host port 80/TCP free",
        "uncordon the node",
    ]


def test_a_full_node_needs_a_higher_limit_of_pods() -> None:
    h = Harness(nodes=[node("a", pods=1)], pods=[pod("old", node="a")], profile=QUIET)
    assert advice(h, pod("p")) == [(["room for 1 more Pods than the node's limit of 1"], 1, ("a",))]


def test_what_several_plugins_refuse_needs_all_changes_together() -> None:
    h = Harness(nodes=[node("a", cpu=1, taints=(taint("gpu:NoSchedule"),), unschedulable=True)], profile=QUIET)
    (found,) = h.evaluate(pod("p", cpu=2)).advice
    assert sorted(change.action for change in found.changes) == ["Resource", "Tolerate", "Uncordon"]


def test_a_plugin_of_ones_own_gives_its_own_advice() -> None:
    class NoFriday(Plugin):
        name: ClassVar[str] = "NoFriday"

        @per_node
        def filter(self, _pod: PodInfo, _node: NodeRow) -> str | None:
            return "not on a Friday"

        def advise(self, _pod: PodInfo, node: NodeRow) -> str:
            return "wait for Monday" if node.name == "a" else ""

    h = Harness(nodes=[node("a"), node("b")], profile=QUIET.with_plugins(NoFriday()))
    found = {item.nodes: item.changes[0].text for item in h.evaluate(pod("p")).advice}
    assert found == {("a",): "wait for Monday", ("b",): "an end to: not on a Friday"}


def test_a_pod_that_fits_and_a_pod_refused_outright_get_none() -> None:
    h = Harness(nodes=[node("a")], profile=QUIET)
    assert h.evaluate(pod("p")).advice == ()
    nowhere = required(
        NodeSelectorTerm(match_fields=(expression("metadata.name", "In", "a"), expression("metadata.name", "In", "b")))
    )
    assert h.evaluate(pod("p", affinity=nowhere)).advice == ()
    assert Harness(profile=QUIET).evaluate(pod("p")).advice == ()


def test_ten_thousand_different_nodes_make_a_bounded_number_of_pieces() -> None:
    nodes = [node(f"n{n}", taints=(taint(f"t{n % 997}:NoSchedule"),)) for n in range(3000)]
    found = Harness(nodes=nodes, profile=QUIET).evaluate(pod("p")).advice
    assert len(found) == MAX_ADVICE
    assert all(len(item.nodes) <= MAX_NAMES for item in found)


def test_no_label_is_advised_where_the_name_of_the_node_is_what_the_pod_does_not_want() -> None:
    by_name = NodeSelectorTerm(match_fields=(expression("metadata.name", "NotIn", "n0"),))
    wanted = pod("picky", cpu="1")
    wanted = attrs.evolve(wanted, spec=attrs.evolve(wanted.spec, affinity=required(by_name)))
    (advice,) = Harness(nodes=[node("n0", cpu="4")]).evaluate(wanted).advice
    assert [(change.action, change.text) for change in advice.changes] == [
        ("Other", "a node that fulfils field metadata.name notin (n0)")
    ]


# Whatever is advised must help.


def changed_node(item: Node, changes: list[Change]) -> Node:
    allocatable, labels = dict(item.status.allocatable), dict(item.metadata.labels)
    for change in changes:
        if change.action == "Resource":
            allocatable[change.resource] = allocatable.get(change.resource, Quantity(0)) + Quantity(change.amount)
        elif change.action == "Label":
            set_label(labels, change.label)
        elif change.action == "Uncordon":
            item = attrs.evolve(item, spec=attrs.evolve(item.spec, unschedulable=None))
    status = attrs.evolve(item.status, allocatable=allocatable)
    return attrs.evolve(item, metadata=attrs.evolve(item.metadata, labels=labels), status=status)


def set_label(labels: dict[str, str], requirement: str) -> None:
    key, _, values = requirement.partition(" ")
    if values.startswith("notin"):
        labels[key] = "another"
    elif ">" in requirement:
        name, _, bound = requirement.partition(">")
        labels[name] = str(int(bound) + 1)
    elif "=" in requirement:
        name, _, value = requirement.partition("=")
        labels[name] = value
    else:
        labels[requirement] = "x"


def with_required_affinity(chance: Random, made: Pod) -> Pod:
    if chance.random() < 0.5:
        return made
    terms = [
        NodeSelectorTerm(
            match_expressions=(
                chance.choice((expression("disk", "In", "ssd"), expression("arch", "In", "arm64"))),
                chance.choice((expression("cores", "Gt", "8"), expression("gpu", "Exists"))),
            )
        )
        for _ in range(chance.randint(1, 2))
    ]
    known = made.spec.affinity or Affinity()
    affinity = attrs.evolve(known, node_affinity=required(*terms).node_affinity)
    return attrs.evolve(made, spec=attrs.evolve(made.spec, affinity=affinity))


@settings(max_examples=80, deadline=None)
@given(seed=st.integers(min_value=0, max_value=2**32))
def test_after_the_advised_changes_the_pod_fits(seed: int) -> None:
    chance = Random(seed)
    nodes = {f"n{number}": random_node(chance, f"n{number}") for number in range(chance.randint(1, 8))}
    shapes = [random_shape(chance) for _ in range(4)]
    running: list[Any] = [random_pod(chance, f"p{number}", shapes) for number in range(20)]
    running = [attrs.evolve(p, spec=attrs.evolve(p.spec, node_name=chance.choice(list(nodes)))) for p in running]
    wanted = with_required_affinity(chance, random_pod(chance, "probe", shapes))
    wanted = attrs.evolve(wanted, spec=attrs.evolve(wanted.spec, tolerations=()))
    diagnosis = Harness(nodes=nodes.values(), pods=running, profile=QUIET).evaluate(wanted)
    assume(diagnosis.advice)
    spreads = any(c.when_unsatisfiable == "DoNotSchedule" for c in wanted.spec.topology_spread_constraints)
    for item in diagnosis.advice:
        actions = {change.action for change in item.changes}
        moves = any(change.label.startswith((ZONE, HOST)) for change in item.changes)
        if actions & {"Other", "Port"} or moves or (spreads and actions & {"Tolerate", "Label"}):
            continue  # not promised, or it changes what the other plugins count
        name = item.nodes[-1]
        tolerations = tuple(toleration(change.taint) for change in item.changes if change.action == "Tolerate")
        willing = attrs.evolve(wanted, spec=attrs.evolve(wanted.spec, tolerations=tolerations))
        after = {**nodes, name: changed_node(nodes[name], list(item.changes))}
        assert name in Harness(nodes=after.values(), pods=running, profile=QUIET).evaluate(willing).feasible


@settings(max_examples=50, deadline=None)
@given(asked=st.integers(1, 5000), sizes=st.lists(st.integers(0, 4000), min_size=1, max_size=12))
def test_the_smallest_shortfall_is_the_smallest(asked: int, sizes: list[int]) -> None:
    nodes = [node(f"n{n}", cpu=f"{size}m") for n, size in enumerate(sizes)]
    found = Harness(nodes=nodes, profile=QUIET).evaluate(pod("p", cpu=f"{asked}m")).advice
    if max(sizes) >= asked:
        assert found == ()
        return
    assert found[0].changes[0].amount == str(Quantity.from_milli(asked - max(sizes)))
    assert found[0].count == sizes.count(max(sizes))


@pytest.mark.parametrize("number", [1, 70])
def test_more_requirements_than_are_told_apart_do_no_harm(number: int) -> None:
    selector = {f"k{n}": "v" for n in range(number)}
    found = Harness(nodes=[node("a")], profile=QUIET).evaluate(pod("p", node_selector=selector)).advice
    assert 1 <= len(found[0].changes) <= number


def test_pods_that_are_in_the_way_or_missing_are_told_apart() -> None:
    def near(kind: str) -> Affinity:
        term = PodAffinityTerm(label_selector=LabelSelector(match_labels={"app": "db"}), topology_key=HOST)
        terms = {"required_during_scheduling_ignored_during_execution": (term,)}
        return (
            Affinity(pod_affinity=PodAffinity(**terms))
            if kind == "near"
            else Affinity(pod_anti_affinity=PodAntiAffinity(**terms))
        )

    db = pod("db", node="a", labels={"app": "db"})
    wants, avoids = pod("p", affinity=near("near")), pod("p", affinity=near("away"))
    assert advice(Harness(nodes=[node("a")], profile=QUIET), wants)[0][0] == [
        "a Pod near the node that the Pod's affinity asks for"
    ]
    assert advice(Harness(nodes=[node("a")], pods=[db], profile=QUIET), avoids)[0][0] == [
        "no Pod near the node that the Pod's anti-affinity keeps away from"
    ]
    guarded = attrs.evolve(db, spec=attrs.evolve(db.spec, affinity=near("away")))
    assert advice(Harness(nodes=[node("a")], pods=[guarded], profile=QUIET), pod("q", labels={"app": "db"}))[0][0] == [
        "no Pod near the node whose anti-affinity keeps this Pod away"
    ]


def test_nodes_that_were_left_out_and_nodes_that_the_profile_rules_out_are_told_of() -> None:
    class OnlyA(Plugin):
        name: ClassVar[str] = "OnlyA"

        def pre_filter(self, _state: object, _pod: PodInfo, _table: object) -> OnlyNodes:
            return OnlyNodes(frozenset({"a"}))

    h = Harness(nodes=[node("a", cpu=1), node("b")], profile=QUIET.with_plugins(OnlyA()))
    found = {item.nodes: item.changes[0].text for item in h.evaluate(pod("p", cpu=2)).advice}
    assert found[("b",)] == "an end to: being left out"
    ssd = {"nodeSelectorTerms": [{"matchExpressions": [{"key": "disk", "operator": "In", "values": ["ssd"]}]}]}
    added = make_plugin("NodeAffinity", {"addedAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": ssd}})
    h = Harness(nodes=[node("a")], profile=QUIET.with_plugins(added))
    assert advice(h, pod("p"))[0][0] == ["an end to: node(s) didn't match scheduler-enforced node affinity"]
