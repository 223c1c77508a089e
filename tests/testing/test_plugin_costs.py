"""The watch on plugins."""

from __future__ import annotations

import time
from typing import ClassVar

import pytest

from orchestra.errors import PluginError
from orchestra.scheduler import NodeRow, Plugin, PodInfo, Profile, node, per_node, pod
from orchestra.testing import plugin_costs

NODES = [node(f"n{number}") for number in range(4)]


class Slow(Plugin):
    name: ClassVar[str] = "Slow"

    @per_node
    def filter(self, _pod: PodInfo, _node: NodeRow) -> bool:
        end = time.perf_counter() + 0.0005
        while time.perf_counter() < end:
            pass
        return True


def test_the_dearest_plugin_comes_first_with_its_time_and_calls() -> None:
    costs = plugin_costs(Profile().with_plugins(Slow()), nodes=NODES, pods=[pod(f"p{n}", cpu="1m") for n in range(5)])
    first = costs[0]
    assert (first.plugin, first.point, first.calls) == ("Slow", "Filter", 5)
    assert first.microseconds_per_pod >= 4 * 500
    assert "Slow" in str(first)
    assert {"NodeResourcesFit", "TaintToleration"} <= {cost.plugin for cost in costs}


def test_functions_for_rows_are_watched_too() -> None:
    pods = [pod(f"p{n}", cpu="1m", memory="1Mi") for n in range(20)]
    costs = plugin_costs(Profile(), nodes=NODES, pods=pods)
    fit = next(cost for cost in costs if (cost.plugin, cost.point) == ("NodeResourcesFit", "Score"))
    assert fit.calls > 10


def test_the_profile_itself_stays_as_it_was() -> None:
    profile = Profile().with_plugins(Slow())
    before = [type(plugin) for plugin in profile.plugins]
    plugin_costs(profile, nodes=NODES, pods=[pod("p")])
    assert [type(plugin) for plugin in profile.plugins] == before


def test_a_plugin_that_fails_is_raised() -> None:
    class Broken(Plugin):
        name: ClassVar[str] = "Broken"

        def pre_filter(self, *_: object) -> None:
            raise RuntimeError("boom")

    with pytest.raises(PluginError, match="Broken"):
        plugin_costs(Profile().with_plugins(Broken()), nodes=NODES, pods=[pod("p")])
