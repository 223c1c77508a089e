"""Cluster states: fork, change, schedule, compare."""

from __future__ import annotations

import anyio
import attrs
import pytest

from orchestra.api.builders import namespace, node, pod, taint, toleration
from orchestra.api.core.config import ConfigMap
from orchestra.api.core.node import Node
from orchestra.api.core.pod import Pod, PodSchedulingGate, PodSchedulingGroup
from orchestra.api.object import Object, ObjectMeta, OwnerReference
from orchestra.api.scheduling import (
    GangSchedulingPolicy,
    PodGroup,
    PodGroupSchedulingPolicy,
    PodGroupSpec,
    PriorityClass,
)
from orchestra.apiserver import APIServer
from orchestra.errors import ConfigurationError, NotFound
from orchestra.scheduler import ClusterState, Plugin, PodInfo, Profile, choose_profiles, difference
from orchestra.scheduler.interface import CycleState
from orchestra.scheduler.plugins.optimiser import Optimiser
from tests.scheduler.driving import create, scheduling


def owned(item: Pod, kind: str = "ReplicaSet") -> Pod:
    owner = OwnerReference(api_version="apps/v1", kind=kind, name="web", uid="1", controller=True)
    return attrs.evolve(item, metadata=attrs.evolve(item.metadata, owner_references=(owner,)))


def small() -> ClusterState:
    return ClusterState([node("a", cpu=2), node("b", cpu=2), pod("old", cpu=1, node="a"), pod("new", cpu=2)])


def test_waiting_pods_are_placed_and_the_state_before_stays_as_it_was() -> None:
    state = small()
    plan = state.schedule()
    assert plan.placements == {"default/new": "b"}
    assert plan.state.placements() == {"default/old": "a", "default/new": "b"}
    assert state.placements() == {"default/old": "a", "default/new": ""}


def test_changes_of_a_fork_do_not_show_in_the_original() -> None:
    state = small()
    fork = state.fork()
    fork.remove_node("a")
    fork.add(node("c"))
    assert [item.metadata.name for item in state.nodes] == ["a", "b"]
    assert [item.metadata.name for item in fork.nodes] == ["b", "c"]


def test_a_pod_that_fits_nowhere_says_why_and_what_would_help() -> None:
    plan = ClusterState([node("a", cpu=1), pod("p", cpu=2)]).schedule(Profile().without("DefaultPreemption"))
    found = plan.pending["default/p"]
    assert found.outcome == "Unschedulable"
    assert found.message.startswith("0/1 nodes are available: 1 Insufficient cpu.")
    assert found.advice[0].changes[0].amount == "1"


def test_draining_moves_what_has_a_controller_and_names_what_is_lost() -> None:
    state = ClusterState(
        [
            node("a"),
            node("b"),
            owned(pod("web", node="a")),
            owned(pod("agent", node="a"), "DaemonSet"),
            pod("alone", node="a"),
        ]
    )
    fork = state.fork()
    done = fork.drain("a")
    assert (done.moved, done.lost, done.kept) == (("default/web",), ("default/alone",), ("default/agent",))
    plan = fork.schedule()
    assert plan.placements == {"default/web": "b"}
    found = difference(state, plan.state)
    assert found.moved == {"default/web": ("a", "b")}
    assert found.gone == ("default/alone",)
    assert not found.same


def test_a_cordoned_node_takes_nothing_and_an_uncordoned_one_does() -> None:
    state = ClusterState([node("a"), pod("p")])
    state.cordon("a")
    assert state.schedule().placements == {}
    state.cordon("a", on=False)
    assert state.schedule().placements == {"default/p": "a"}


def test_removing_a_node_takes_the_pods_that_belong_to_it_along() -> None:
    state = ClusterState([node("a"), owned(pod("agent", node="a"), "DaemonSet"), owned(pod("web", node="a"))])
    state.remove_node("a")
    assert [item.key for item in state.pods] == ["default/web"]
    assert [item.key for item in state.pending] == ["default/web"]


TOP = PriorityClass(metadata=ObjectMeta(name="top"), value=1000)


def test_more_important_pods_evict_and_their_victims_wait_again() -> None:
    low = owned(pod("low", cpu=1, node="a", tolerations=(toleration("x:NoSchedule"),)))
    high = pod("high", cpu=1, priority_class_name="top")
    plan = ClusterState([node("a", cpu=1), TOP, low, high]).schedule()
    assert (plan.placements, plan.victims) == ({"default/high": "a"}, {"default/low": "a"})
    assert list(plan.pending) == ["default/low"]
    spare = node("b", cpu=1, taints=(taint("x:NoSchedule"),))
    plan = ClusterState([node("a", cpu=1), spare, TOP, low, high]).schedule()
    assert (plan.placements, plan.pending) == ({"default/high": "a", "default/low": "b"}, {})


def test_victims_without_a_controller_are_gone() -> None:
    low, high = pod("low", cpu=1, node="a"), pod("high", cpu=1, priority_class_name="top")
    state = ClusterState([node("a", cpu=1), TOP, low, high])
    plan = state.schedule()
    assert difference(state, plan.state).gone == ("default/low",)
    assert plan.pending == {}


def test_gated_pods_wait_and_pods_of_other_schedulers_are_left_alone() -> None:
    gated = pod("gated", scheduling_gates=(PodSchedulingGate(name="x"),))
    state = ClusterState([node("a"), gated, pod("other", scheduler_name="mine")])
    plan = state.schedule([Profile(), Profile(name="theirs")])
    assert plan.pending["default/gated"].outcome == "Gated"
    assert plan.skipped == ("default/other",)
    assert state.schedule().placements == {"default/other": "a"}


def test_the_same_seed_gives_the_same_plan() -> None:
    state = ClusterState([*(node(f"n{n}") for n in range(9)), *(pod(f"p{n}", cpu=1) for n in range(20))])
    assert state.schedule(seed=7).placements == state.schedule(seed=7).placements
    assert state.schedule(seed=7).placements != state.schedule(seed=8).placements


def test_a_profile_that_fills_nodes_uses_fewer_of_them() -> None:
    state = ClusterState([*(node(f"n{n}") for n in range(4)), *(pod(f"p{n}", cpu=1, memory="1Gi") for n in range(4))])
    spread, packed = state.schedule(), state.schedule(choose_profiles("most-allocated"))
    assert len(set(spread.placements.values())) == 4
    assert len(set(packed.placements.values())) == 1


def test_a_plugin_that_fails_costs_its_pod_and_nobody_else() -> None:
    class Picky(Plugin):
        name = "Picky"

        def pre_filter(self, _state: CycleState, pod: PodInfo, _table: object) -> None:
            if pod.labels.get("bad"):
                raise RuntimeError("boom")

    plan = ClusterState([node("a"), pod("bad", labels={"bad": "1"}), pod("good")]).schedule(
        Profile().with_plugins(Picky())
    )
    assert plan.placements == {"default/good": "a"}
    assert plan.pending["default/bad"].outcome == "Failed"
    assert "Picky" in plan.pending["default/bad"].message


def test_what_is_not_there_cannot_be_changed() -> None:
    state = small()
    for act in (lambda: state.cordon("x"), lambda: state.remove(Node, "x"), lambda: state.get(Pod, "default/x")):
        with pytest.raises(ConfigurationError, match="there is no"):
            act()
    with pytest.raises(ConfigurationError, match="no place"):
        state.add(ConfigMap(metadata=ObjectMeta(name="c")))


@pytest.mark.virtual_time
async def test_a_live_cluster_is_taken_as_it_is_and_the_plan_comes_true(server: APIServer) -> None:
    await create(server, namespace("team"), node("a", cpu=1), node("b", cpu=2), pod("p", cpu=2), pod("q", cpu=1))
    plan = (await ClusterState.from_client(server)).schedule()
    assert plan.placements == {"default/p": "b", "default/q": "a"}
    async with scheduling(server):
        await anyio.sleep(1)
    after = await ClusterState.from_client(server)
    assert difference(plan.state, after).same


def test_a_gang_is_placed_whole_or_waits() -> None:
    policy = PodGroupSchedulingPolicy(gang=GangSchedulingPolicy(min_count=3))
    group = PodGroup(
        metadata=ObjectMeta(name="train", namespace="default"), spec=PodGroupSpec(scheduling_policy=policy)
    )
    members = [pod(f"w{n}", cpu=1, scheduling_group=PodSchedulingGroup(pod_group_name="train")) for n in range(3)]
    assert ClusterState([node("a", cpu=2), group, *members]).schedule().placements == {}
    assert len(ClusterState([node("a", cpu=3), group, *members]).schedule().placements) == 3


def test_an_optimiser_packs_what_one_by_one_does_not_fit() -> None:
    pods = [pod(f"p{n}", cpu=cpu) for n, cpu in enumerate((3, 3, 2, 2, 2))]
    state = ClusterState([node("a", cpu=6), node("b", cpu=6), *pods])
    assert len(state.schedule().placements) == 4
    assert len(state.schedule(Profile().with_plugins(Optimiser())).placements) == 5


@pytest.mark.virtual_time
async def test_a_kind_that_a_server_lacks_is_noted(server: APIServer) -> None:
    class Older:
        async def list(self, kind: type[Object]) -> object:
            if kind is PodGroup:
                raise NotFound("the server could not find the requested resource")
            return await server.list(kind)

    await create(server, node("a"), pod("p"))
    state = await ClusterState.from_client(Older())  # type: ignore[arg-type]
    assert state.notes == ("the server has no kind PodGroup",)
    assert state.schedule().placements == {"default/p": "a"}
