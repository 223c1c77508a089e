"""Which nodes a DaemonSet wants, and how it exchanges its Pods there."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import attrs
import pytest

from orchestra.api.apps import DaemonSet, DaemonSetSpec, DaemonSetUpdateStrategy, RollingUpdateDaemonSet
from orchestra.api.core import Node, NodeSpec, Pod, PodCondition, PodSpec, PodStatus, Taint, Toleration
from orchestra.api.object import ObjectMeta
from orchestra.workloads.daemon_nodes import (
    HASH_LABEL,
    Belonging,
    Daemons,
    belonging,
    by_node,
    daemon_spec,
    daemon_tolerations,
    target_node,
)
from tests.workloads.making import NOW, template

HERE = Belonging(runs=True, stays=True)
TOLERATED = Belonging(runs=False, stays=True)
NOWHERE = Belonging(runs=False, stays=False)


def daemon_set(*, unavailable: int | str = 1, surge: int | str = 0, min_ready: int = 0, **pod: Any) -> DaemonSet:
    rolling = RollingUpdateDaemonSet(max_unavailable=unavailable, max_surge=surge)
    base = template("app:2")
    return DaemonSet(
        metadata=ObjectMeta(name="ds", namespace="default", uid="ds", generation=2),
        spec=DaemonSetSpec(
            template=attrs.evolve(base, spec=attrs.evolve(base.spec, **pod)),
            update_strategy=DaemonSetUpdateStrategy(type="RollingUpdate", rolling_update=rolling),
            min_ready_seconds=min_ready,
        ),
    )


def node(*taints: tuple[str, str], **labels: str) -> Node:
    found = tuple(Taint(key=key, effect=effect) for key, effect in taints)
    return Node(metadata=ObjectMeta(name="n", labels=labels), spec=NodeSpec(taints=found))


def pod(where: str, word: str = "old", *, ready: bool = True, age: int = 60, phase: str = "Running") -> Pod:
    status = "True" if ready else "False"
    condition = PodCondition(type="Ready", status=status, last_transition_time=NOW - timedelta(seconds=age))
    created = NOW - timedelta(seconds=age)
    return Pod(
        metadata=ObjectMeta(name=f"{word}-{where}-{age}", labels={HASH_LABEL: word}, creation_timestamp=created),
        spec=PodSpec(node_name=where),
        status=PodStatus(phase=phase, conditions=(condition,)),
    )


def daemons(ds: DaemonSet, *pods: Pod, nodes: str = "abc", **belonging: Belonging) -> Daemons:
    everywhere = {name: belonging.get(name, HERE) for name in nodes}
    return Daemons(daemon_set=ds, word="new", nodes=everywhere, pods=by_node(pods), now=NOW)


def ending(one: Pod) -> Pod:
    return attrs.evolve(one, metadata=attrs.evolve(one.metadata, deletion_timestamp=NOW))


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (node(), HERE),
        (node(("gpu", "NoSchedule")), TOLERATED),
        (node(("gpu", "NoExecute")), NOWHERE),
        (node(("gpu", "PreferNoSchedule")), HERE),
        (node(("node.kubernetes.io/unschedulable", "NoSchedule")), HERE),
        (node(("node.kubernetes.io/unreachable", "NoExecute")), HERE),
        (node(("node.kubernetes.io/network-unavailable", "NoSchedule")), TOLERATED),
    ],
)
def test_taints_keep_new_pods_away_and_only_no_execute_drives_out(one: Node, expected: Belonging) -> None:
    assert belonging(daemon_set(), one) == expected


def test_a_pod_of_the_host_network_does_not_mind_a_missing_network() -> None:
    tainted = node(("node.kubernetes.io/network-unavailable", "NoSchedule"))
    assert belonging(daemon_set(host_network=True), tainted) == HERE


def test_a_node_selector_and_a_node_name_leave_nodes_out() -> None:
    assert belonging(daemon_set(node_selector={"disk": "ssd"}), node(disk="ssd")) == HERE
    assert belonging(daemon_set(node_selector={"disk": "ssd"}), node()) == NOWHERE
    assert belonging(daemon_set(node_name="other"), node()) == NOWHERE


def test_a_daemon_pod_is_pinned_and_tolerates_six_taints_once() -> None:
    own = Toleration(key="node.kubernetes.io/not-ready", operator="Exists", effect="NoExecute", toleration_seconds=5)
    spec = daemon_spec(PodSpec(tolerations=(own,)), "n7")
    assert len(spec.tolerations) == 6
    assert spec.tolerations[0].toleration_seconds is None
    assert target_node(Pod(metadata=ObjectMeta(), spec=spec)) == "n7"
    assert len(daemon_tolerations(PodSpec(host_network=True))) == 7


def test_nodes_without_a_pod_get_one_and_nodes_that_do_not_fit_lose_theirs() -> None:
    plan = daemons(daemon_set(), pod("a", "new"), pod("c", "new"), c=NOWHERE).upkeep()
    assert (plan.create_on, [p.spec.node_name for p in plan.delete]) == (("b",), ["c"])


def test_a_tolerated_pod_stays_and_counts_as_misscheduled() -> None:
    state = daemons(daemon_set(), pod("a", "new"), nodes="a", a=TOLERATED)
    assert state.upkeep().delete == ()
    assert (state.status(observed=True).number_misscheduled, state.status(observed=True).desired_number_scheduled) == (
        1,
        0,
    )


def test_of_two_pods_on_a_node_the_older_stays() -> None:
    plan = daemons(daemon_set(), pod("a", "new", age=9), pod("a", "new", age=30), nodes="a").upkeep()
    assert [p.metadata.name for p in plan.delete] == ["new-a-9"]


def test_ended_pods_are_named_for_replacement() -> None:
    plan = daemons(daemon_set(), pod("a", phase="Failed"), pod("b", phase="Succeeded"), nodes="ab").upkeep()
    assert [(f.node, f.outcome) for f in plan.ended] == [("a", "failed"), ("b", "succeeded")]
    assert not plan.create_on


def test_an_unbound_pod_for_a_node_that_is_gone_is_deleted_but_a_bound_one_is_left_to_be_collected() -> None:
    waiting = Pod(metadata=ObjectMeta(name="w"), spec=daemon_spec(PodSpec(), "gone"))
    plan = daemons(daemon_set(), waiting, pod("gone2"), nodes="").upkeep()
    assert plan.delete == (waiting,)


@pytest.mark.parametrize(("unavailable", "expected"), [(1, 1), (2, 2), ("34%", 2), ("100%", 3), (0, 1)])
def test_as_many_old_pods_go_as_may_be_unavailable(unavailable: int | str, expected: int) -> None:
    state = daemons(daemon_set(unavailable=unavailable), pod("a"), pod("b"), pod("c"))
    assert len(state.rollout().delete) == expected


def test_unready_old_pods_go_at_once_and_beside_the_budget() -> None:
    state = daemons(daemon_set(), pod("a", ready=False), pod("b", ready=False), pod("c"))
    assert [p.spec.node_name for p in state.rollout().delete] == ["a", "b", "c"]


def test_what_is_missing_or_not_yet_available_uses_the_budget_up() -> None:
    assert daemons(daemon_set(), pod("a", "new", ready=False), pod("b"), pod("c")).rollout().delete == ()
    assert daemons(daemon_set(), pod("b"), pod("c")).rollout().delete == ()
    assert daemons(daemon_set(), ending(pod("a")), pod("b"), pod("c")).rollout().delete == ()
    assert daemons(daemon_set(min_ready=30), pod("a", "new", age=10), pod("b"), pod("c")).rollout().delete == ()


def test_a_surge_starts_new_pods_first_and_ends_old_ones_when_the_new_are_available() -> None:
    ds = daemon_set(unavailable=0, surge=1)
    assert daemons(ds, pod("a"), pod("b"), pod("c")).rollout().create_on == ("a",)
    waiting = daemons(ds, pod("a"), pod("a", "new", ready=False, age=1), pod("b"), pod("c"))
    assert waiting.rollout() == attrs.evolve(waiting.rollout(), create_on=(), delete=())
    assert waiting.upkeep().delete == ()
    done = daemons(ds, pod("a"), pod("a", "new", age=1), pod("b"), pod("c"))
    assert [p.metadata.name for p in done.upkeep().delete] == ["old-a-60"]
    assert done.rollout().create_on == ("b",)


def test_a_surge_replaces_an_unready_old_pod_without_asking_the_budget() -> None:
    state = daemons(daemon_set(unavailable=0, surge=1), pod("a", ready=False), pod("b"), pod("c"))
    assert state.rollout().create_on == ("a", "b")


def test_no_surge_on_a_node_that_takes_no_new_pods() -> None:
    state = daemons(daemon_set(unavailable=0, surge=3), pod("a"), pod("b"), nodes="ab", a=TOLERATED)
    assert state.rollout().create_on == ("b",)


def test_the_oldest_pod_of_a_node_speaks_for_it() -> None:
    state = daemons(daemon_set(), pod("a"), pod("a", "new", age=1), pod("b", "new", ready=False), nodes="abc")
    status = state.status(observed=True)
    assert (status.current_number_scheduled, status.desired_number_scheduled) == (2, 3)
    assert (status.number_ready, status.updated_number_scheduled, status.number_unavailable) == (1, 1, 2)
    assert status.observed_generation == 2
    assert state.status(observed=False).observed_generation == 0
