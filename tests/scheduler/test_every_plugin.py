"""Every built-in plugin, by every strategy, keeps the promises that sharing and reuse of answers stand on."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given, settings

from orchestra.scheduler import DEFAULT_PLUGINS, Plugin, PodInfo, Profile
from orchestra.scheduler.cycle import Cycle, Placed
from orchestra.scheduler.finding import make_plugin
from orchestra.scheduler.interface import FilterPlugin, PreFilterPlugin, ScorePlugin
from orchestra.testing import check_plugin
from orchestra.testing.plugin_conformance import table_of
from orchestra.testing.random_clusters import GPU, HOST, ZONE, RandomCluster
from orchestra.testing.strategies import clusters

THREE = [{"name": name, "weight": weight} for name, weight in (("cpu", 2), ("memory", 1), (GPU, 3))]
CURVE = [{"utilization": 20, "score": 3}, {"utilization": 50, "score": 9}, {"utilization": 77, "score": 1}]
SPREAD = [
    {"maxSkew": skew, "topologyKey": key, "whenUnsatisfiable": "ScheduleAnyway"} for skew, key in ((1, ZONE), (2, HOST))
]
SSD = {"nodeSelectorTerms": [{"matchExpressions": [{"key": "disk", "operator": "In", "values": ["ssd"]}]}]}

ARGUMENTS: dict[str, tuple[str, dict[str, Any]]] = {
    "least": ("NodeResourcesFit", {"scoringStrategy": {"type": "LeastAllocated", "resources": THREE}}),
    "most": ("NodeResourcesFit", {"scoringStrategy": {"type": "MostAllocated", "resources": THREE}}),
    "ratio": (
        "NodeResourcesFit",
        {
            "scoringStrategy": {
                "type": "RequestedToCapacityRatio",
                "resources": THREE,
                "requestedToCapacityRatio": {"shape": CURVE},
            }
        },
    ),
    "ignoring": ("NodeResourcesFit", {"ignoredResources": [GPU]}),
    "balanced": ("NodeResourcesBalancedAllocation", {"resources": [{**each, "weight": 1} for each in THREE]}),
    "spread": ("PodTopologySpread", {"defaultConstraints": SPREAD, "defaultingType": "List"}),
    "near": ("InterPodAffinity", {"hardPodAffinityWeight": 70, "ignorePreferredTermsOfExistingPods": True}),
    "added": ("NodeAffinity", {"addedAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": SSD}}),
}
VARIANTS: dict[str, Plugin] = {
    **{p.name: p for p in DEFAULT_PLUGINS if isinstance(p, FilterPlugin | PreFilterPlugin | ScorePlugin)},
    **{f"{plugin} {name}": make_plugin(plugin, arguments) for name, (plugin, arguments) in ARGUMENTS.items()},
}


@pytest.mark.parametrize("plugin", VARIANTS.values(), ids=list(VARIANTS))
def test_a_plugin_keeps_every_promise(plugin: Plugin) -> None:
    check_plugin(plugin, seeds=4)


@pytest.mark.parametrize("variant", VARIANTS)
@settings(max_examples=5, deadline=None)
@given(cluster=clusters())
def test_a_profile_places_a_batch_as_its_pods_one_by_one(variant: str, cluster: RandomCluster) -> None:
    """Alone with the plugins that bind and keep room, so that what it says is what decides."""
    plugin = VARIANTS[variant]
    fit = make_plugin("NodeResourcesFit", {})
    profile = Profile(plugins=(plugin,) if plugin.name == fit.name else (fit, plugin))
    table, plain, chance = table_of(cluster), table_of(cluster), Random(5)
    together = Cycle(profile, table, Random(5))
    for pod in (*cluster.waiting, *cluster.waiting):
        info = PodInfo(pod)
        found, expected = together.schedule(info), Cycle(profile, plain, chance).schedule(info)
        assert type(found) is type(expected)
        if isinstance(found, Placed) and isinstance(expected, Placed):
            assert found.node == expected.node
