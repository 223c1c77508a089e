"""Utilisation, fragmentation and fairness, by their definitions."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestra.api.builders import node, pod
from orchestra.errors import ConfigurationError
from orchestra.scheduler import ClusterState, figures_of, plotting
from orchestra.scheduler.figures import jain
from orchestra.scheduler.plotting import plot_plans


def test_utilisation_is_what_is_requested_of_what_there_is() -> None:
    state = ClusterState([node("a", cpu=4, memory="8Gi"), node("b", cpu=4, memory="8Gi"), pod("p", cpu=2, node="a")])
    found = figures_of(state)
    assert (found.utilisation["cpu"], found.utilisation["memory"]) == (0.25, 0.0)
    assert (found.nodes, found.nodes_in_use, found.pods_placed, found.pods_waiting) == (2, 1, 1, 0)


def test_balance_is_one_when_nodes_are_used_alike_and_a_share_when_one_has_all() -> None:
    nodes = [node("a", cpu=4), node("b", cpu=8)]
    even = ClusterState([*nodes, pod("p", cpu=1, node="a"), pod("q", cpu=2, node="b")])
    assert figures_of(even).balance["cpu"] == 1.0
    assert figures_of(ClusterState([*nodes, pod("p", cpu=1, node="a")])).balance["cpu"] == 0.5


def test_fragmentation_is_what_the_median_pod_cannot_use_of_what_is_free() -> None:
    nodes = [node("a", cpu=3), node("b", cpu=3), node("c", cpu=4, unschedulable=True)]
    waiting = [pod(f"p{number}", cpu=cpu) for number, cpu in enumerate((1, 2, 2, 9))]
    found = figures_of(ClusterState([*nodes, *waiting]))
    assert found.median_shape == {"cpu": 2000}
    assert found.fragmentation == {"cpu": round(1 - 4 / 6, 4)}


def test_fragmentation_counts_the_scarcest_resource_and_the_limit_of_pods() -> None:
    shape = pod("p", cpu=1, memory="4Gi")
    found = figures_of(ClusterState([node("a", cpu=8, memory="8Gi"), shape]))
    assert found.fragmentation == {"cpu": 0.75, "memory": 0.0}
    found = figures_of(ClusterState([node("a", cpu=8, memory="64Gi", pods=1), shape]))
    assert found.fragmentation == {"cpu": 0.875, "memory": 0.9375}


def test_running_pods_give_the_shape_when_none_waits() -> None:
    found = figures_of(ClusterState([node("a", cpu=4), pod("p", cpu=3, node="a")]))
    assert (found.median_shape, found.fragmentation) == ({"cpu": 3000}, {"cpu": 1.0})
    assert figures_of(ClusterState([node("a")])).fragmentation == {}


def test_fairness_compares_what_namespaces_got_of_what_they_asked_for() -> None:
    nodes = [node("a", cpu=4, memory="4Gi")]
    one = [pod("one/p", cpu=2, node="a"), pod("one/q", cpu=2)]
    two = [pod("two/p", memory="2Gi", node="a")]
    found = figures_of(ClusterState([*nodes, *one, *two]))
    assert found.dominant_shares == {"one": 0.5, "two": 0.5}
    assert found.fairness == round(1.5**2 / (2 * 1.25), 4)
    assert figures_of(ClusterState(nodes)).fairness == 1.0


@given(st.lists(st.floats(0, 1e6), max_size=20))
def test_jains_index_lies_between_a_share_and_one(values: list[float]) -> None:
    index = jain(values)
    assert 1 / max(len(values), 1) - 1e-9 <= index <= 1 + 1e-9


def test_jains_index_is_one_only_for_equals() -> None:
    assert jain([3, 3, 3]) == 1.0
    assert jain([1, 0, 0, 0]) == 0.25


@pytest.mark.parametrize("ending", [".png", ".svg", ".pdf"])
def test_plans_are_drawn(tmp_path: Path, ending: str) -> None:
    plan = ClusterState([node("a"), node("b"), pod("p", cpu=1)]).schedule()
    path = tmp_path / f"plan{ending}"
    plot_plans({"one": plan, "two": plan}, path)
    assert path.stat().st_size > 1000


def test_a_plot_needs_a_known_ending_and_matplotlib(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match=r"one of \.png, \.svg, \.pdf"):
        plotting.check_plot(tmp_path / "plan.txt")
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'orchestra-control-plane\[plot\]'"):
        plotting.check_plot(tmp_path / "plan.png")
