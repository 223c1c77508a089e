"""Profiles from documents: which plugins run where, with which weights and arguments, and how faults are told."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import attrs
import pytest

from orchestra.api.builders import node, pod
from orchestra.errors import ConfigurationError
from orchestra.scheduler import DEFAULT_PLUGINS, Harness, Plugin, Profile, finding
from orchestra.scheduler.configuration import load_configuration
from orchestra.scheduler.finding import find_plugin, make_plugin
from orchestra.scheduler.interface import FilterPlugin, ScorePlugin, per_node
from orchestra.scheduler.noderow import NodeRow
from orchestra.scheduler.plugins.noderesources import NodeResourcesFit
from orchestra.scheduler.podinfo import PodInfo

HEAD = "apiVersion: kubescheduler.config.k8s.io/v1\nkind: KubeSchedulerConfiguration\n"
HERE = "tests.scheduler.test_configuration"


@attrs.frozen
class Tiered(Plugin):
    """Refuses nodes of another tier."""

    name = "Tiered"
    tier: str = "gold"
    levels: tuple[int, ...] = ()

    @per_node
    def filter(self, _pod: PodInfo, node: NodeRow) -> bool:
        return node.labels.get("tier") == self.tier

    @per_node
    def score(self, _pod: PodInfo, _node: NodeRow) -> int:
        return 7


class Plain(Plugin):
    name = "Plain"

    @per_node
    def score(self, _pod: PodInfo, _node: NodeRow) -> int:
        return 1


class Nameless(Plugin):
    pass


def profile(text: str) -> Profile:
    (found,) = load_configuration(HEAD + "profiles:\n- schedulerName: mine\n" + text).profiles
    return found


def names(profile: Profile, point: Any) -> list[str]:
    return [plugin.name for plugin in profile.having(point)]


def test_without_profiles_there_is_the_default_one() -> None:
    (found,) = load_configuration(HEAD).profiles
    assert found.plugins == DEFAULT_PLUGINS
    assert found.name == "default-scheduler"
    for point in (FilterPlugin, ScorePlugin):
        assert names(found, point) == names(Profile(), point)
    assert [found.weight(p.name) for p in found.plugins] == [Profile().weight(p.name) for p in DEFAULT_PLUGINS]


def test_several_profiles_have_their_own_plugins() -> None:
    text = """
profiles:
- schedulerName: one
- schedulerName: two
  plugins: {multiPoint: {disabled: [{name: NodePorts}]}}
"""
    one, two = load_configuration(HEAD + text).profiles
    assert [one.name, two.name] == ["one", "two"]
    assert "NodePorts" in names(one, FilterPlugin)
    assert "NodePorts" not in names(two, FilterPlugin)


def test_a_plugin_can_be_taken_out_of_one_extension_point() -> None:
    found = profile("  plugins: {score: {disabled: [{name: NodeResourcesFit}]}}")
    assert "NodeResourcesFit" in names(found, FilterPlugin)
    assert "NodeResourcesFit" not in names(found, ScorePlugin)


def test_everything_can_be_taken_out_of_one_extension_point_and_some_put_back_with_a_weight() -> None:
    found = profile("  plugins: {score: {disabled: [{name: '*'}], enabled: [{name: ImageLocality, weight: 5}]}}")
    assert names(found, ScorePlugin) == ["ImageLocality"]
    assert found.weight("ImageLocality") == 5
    assert names(found, FilterPlugin) == names(Profile(), FilterPlugin)


def test_a_plugin_of_a_single_point_goes_before_the_general_ones_when_it_is_one_of_them_and_last_otherwise() -> None:
    text = f"""
  plugins:
    filter: {{enabled: [{{name: NodePorts}}, {{name: '{HERE}:Tiered'}}]}}
"""
    order = names(profile(text), FilterPlugin)
    assert order[0] == "NodePorts"
    assert order[-1] == "Tiered"
    assert "Tiered" not in names(profile(text), ScorePlugin)


def test_a_plugin_of_every_point_takes_part_in_all_that_it_has_methods_for() -> None:
    found = profile(f"  plugins: {{multiPoint: {{enabled: [{{name: '{HERE}:Tiered', weight: 3}}]}}}}")
    assert names(found, FilterPlugin)[-1] == "Tiered"
    assert found.weight("Tiered") == 3


def test_a_default_plugin_keeps_its_place_and_gets_another_weight() -> None:
    found = profile("  plugins: {multiPoint: {enabled: [{name: NodeAffinity, weight: 9}]}}")
    assert [p.name for p in found.plugins] == [p.name for p in DEFAULT_PLUGINS]
    assert found.weight("NodeAffinity") == 9


def test_plugins_are_told_what_kubernetes_calls_their_arguments() -> None:
    text = """
  pluginConfig:
  - name: NodeResourcesFit
    args:
      apiVersion: kubescheduler.config.k8s.io/v1
      kind: NodeResourcesFitArgs
      ignoredResourceGroups: [example.dev]
      scoringStrategy:
        type: RequestedToCapacityRatio
        resources: [{name: cpu, weight: 3}, {name: example.dev/gpu}]
        requestedToCapacityRatio: {shape: [{utilization: 0, score: 0}, {utilization: 100, score: 10}]}
  - name: PodTopologySpread
    args:
      defaultingType: List
      defaultConstraints:
      - {maxSkew: 1, topologyKey: zone, whenUnsatisfiable: DoNotSchedule}
  - name: InterPodAffinity
    args: {hardPodAffinityWeight: 7, ignorePreferredTermsOfExistingPods: true}
  - name: NodeAffinity
    args:
      addedAffinity:
        requiredDuringSchedulingIgnoredDuringExecution:
          nodeSelectorTerms: [{matchExpressions: [{key: team, operator: Exists}]}]
  - name: DefaultPreemption
    args: {minCandidateNodesPercentage: 50, minCandidateNodesAbsolute: 3}
  - name: VolumeBinding
    args: {bindTimeoutSeconds: 5}
"""
    plugins: dict[str, Any] = {plugin.name: plugin for plugin in profile(text).plugins}
    fit = plugins["NodeResourcesFit"]
    assert fit.scoring.resources == (("cpu", 3), ("example.dev/gpu", 1))
    assert fit.scoring.shape == ((0, 0), (100, 100))
    assert plugins["PodTopologySpread"].defaults[0].topology_key == "zone"
    assert plugins["InterPodAffinity"].hard_pod_affinity_weight == 7
    assert plugins["NodeAffinity"].added_terms[0].match_expressions[0].key == "team"
    assert plugins["DefaultPreemption"].candidates.min_candidate_nodes_absolute == 3


def test_a_third_party_plugin_is_told_its_fields() -> None:
    text = f"""
  plugins: {{multiPoint: {{enabled: [{{name: '{HERE}:Tiered'}}]}}}}
  pluginConfig: [{{name: Tiered, args: {{tier: silver, levels: [1, 2]}}}}]
"""
    assert profile(text).plugins[-1] == Tiered("silver", (1, 2))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("  plugins: {filters: {}}", "profile mine: plugins: no extension point filters"),
        ("  plugins: {filter: {enabled: [{name: Nowhere}]}}", "no plugin 'Nowhere'"),
        ("  plugins: {filter: {disabled: [{name: Nowhere}]}}", "no plugin 'Nowhere'"),
        ("  plugins: {filter: {enabled: [{name: ImageLocality}]}}", "ImageLocality does not take part in filter"),
        ("  plugins: {filter: {enabled: [{weight: 1}]}}", "missing field name"),
        ("  plugins: {score: {enabled: [{name: NodePorts, weight: heavy}]}}", "expected int, not str 'heavy'"),
        ("  plugins: {score: {enable: []}}", "unknown field enable"),
        ("  extra: 1", "profile mine: unknown field extra"),
        ("  percentageOfNodesToScore: 50", "percentageOfNodesToScore: 50 is refused"),
        ("  pluginConfig: [{name: Nowhere, args: {}}]", "pluginConfig: no plugin Nowhere"),
        (
            "  pluginConfig: [{name: NodeResourcesFit, args: {scoringStrategy: {type: Fullest}}}]",
            "profile mine: plugin NodeResourcesFit: scoringStrategy.type",
        ),
        (
            "  pluginConfig: [{name: NodeResourcesFit, args: {scoringStrategy: {type: RequestedToCapacityRatio}}}]",
            "needs a shape",
        ),
        (
            "  pluginConfig: [{name: InterPodAffinity, args: {hardPodAffinityWeight: 101}}]",
            "profile mine: plugin InterPodAffinity: hard_pod_affinity_weight: 101 is not from 0 to 100",
        ),
        ("  pluginConfig: [{name: InterPodAffinity, args: {hardWeight: 1}}]", "unknown field hardWeight"),
        ("  pluginConfig: [{name: NodePorts, args: {x: 1}}]", "profile mine: plugin NodePorts: unknown field x"),
    ],
)
def test_faults_name_the_profile_the_plugin_and_the_field(text: str, told: str) -> None:
    with pytest.raises(ConfigurationError) as fault:
        profile(text)
    assert told in str(fault.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("kind: Pod", "expected kubescheduler.config.k8s.io/v1"),
        ("[", "no YAML"),
        ("- a", "not list"),
        (HEAD + "extenders: [{urlPrefix: http://x}]", "extenders: there are none here"),
        (HEAD + "percentageOfNodesToScore: 30", "every node is scored, always"),
        (HEAD + "profiles: [{schedulerName: a}, {schedulerName: a}]", "given twice: a"),
        (HEAD + "podInitialBackoffSeconds: 0", "no whole number above zero"),
        (HEAD + "unheardOf: 1", "unknown field unheardOf"),
    ],
)
def test_documents_that_make_no_sense_are_refused(text: str, told: str) -> None:
    with pytest.raises(ConfigurationError) as fault:
        load_configuration(text)
    assert told in str(fault.value)


def test_settings_of_another_process_are_named_and_the_backoff_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "scheduler.yaml"
    path.write_text(
        HEAD + "leaderElection: {leaderElect: true}\npodInitialBackoffSeconds: 2\npodMaxBackoffSeconds: 20\n"
    )
    found = load_configuration(path)
    assert found.ignored == ("leaderElection",)
    assert (found.backoff.initial_seconds, found.backoff.max_seconds) == (2.0, 20.0)
    with pytest.raises(ConfigurationError):
        load_configuration(tmp_path / "missing.yaml")


def test_a_plugin_is_found_by_class_by_dotted_name_and_by_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_plugin("NodeResourcesFit") is NodeResourcesFit
    for found in (find_plugin(f"{HERE}:Plain"), find_plugin(f"{HERE}.Plain")):
        assert found.name == "Plain"  # another import of this module makes another class
    assert find_plugin(Plain) is Plain
    offer = EntryPoint("Offered", f"{HERE}:Plain", finding.ENTRY_POINTS)
    monkeypatch.setattr(finding, "entry_points", lambda *, group, name: (offer,) if name == offer.name else ())
    assert find_plugin("Offered").name == "Plain"


@pytest.mark.parametrize(
    "plugin", ["nowhere.at.all:X", f"{HERE}:Missing", f"{HERE}:profile", f"{HERE}:Nameless", Nameless, int]
)
def test_what_is_no_plugin_is_not_found(plugin: Any) -> None:
    with pytest.raises(ConfigurationError):
        find_plugin(plugin)


def test_a_plugin_without_fields_takes_no_arguments() -> None:
    assert isinstance(make_plugin(Plain), Plain)
    with pytest.raises(ConfigurationError, match="Plain: it takes no arguments, but was given speed"):
        make_plugin(Plain, {"speed": 1})


def test_profiles_can_be_put_together_in_code_too() -> None:
    chosen = Profile(points={"score": ("ImageLocality", "NodeAffinity")})
    assert names(chosen, ScorePlugin) == ["ImageLocality", "NodeAffinity"]
    assert names(chosen.with_plugins(Plain()), ScorePlugin) == ["ImageLocality", "NodeAffinity", "Plain"]
    assert names(chosen.without("NodeAffinity"), ScorePlugin) == ["ImageLocality"]
    for points in ({"scores": ()}, {"score": ("Nobody",)}, {"score": ("NodePorts",)}):
        with pytest.raises(ConfigurationError):
            Profile(points=points)


def test_what_a_document_says_decides_where_pods_go() -> None:
    text = """
  pluginConfig:
  - name: NodeResourcesFit
    args: {scoringStrategy: {type: MostAllocated, resources: [{name: cpu}]}}
  - name: NodeAffinity
    args:
      addedAffinity:
        requiredDuringSchedulingIgnoredDuringExecution:
          nodeSelectorTerms: [{matchExpressions: [{key: mine, operator: Exists}]}]
  plugins: {score: {disabled: [{name: NodeResourcesBalancedAllocation}]}}
"""
    mine = {"mine": "yes"}
    harness = Harness(
        profile=profile(text), nodes=[node("a", cpu=8, labels=mine), node("b", cpu=2, labels=mine), node("c", cpu=2)]
    )
    found = harness.schedule(pod("p", cpu=1))
    assert found.node == "b"
    assert found.why("c") == "NodeAffinity: node(s) didn't match scheduler-enforced node affinity"
