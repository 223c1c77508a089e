"""Proof that a scheduling plugin keeps its promises: one check per promise, to run on your own.

Each check is a plain function of a case, a plugin with a random cluster. With pytest, derive:

    class TestAvoidSpot(PluginConformance):
        words = Words(node_labels={"spot": ("true", None)}, pod_labels={"kind": ("gpu", "web")})

        @pytest.fixture
        def plugin(self):
            return AvoidSpot()

`words` are the labels and annotations that the plugin reads. A failed check says which promise is broken, where, and
the seed of the cluster.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random
from typing import Any, ClassVar, Final, TypeAlias

import attrs
import numpy as np
import pytest

from orchestra.api.core.node import Node
from orchestra.api.core.pod import Pod
from orchestra.scheduler import Plugin, PodInfo
from orchestra.scheduler.answers import as_rejections, checked
from orchestra.scheduler.interface import (
    MAX_SCORE,
    SKIP,
    CycleState,
    FilterPlugin,
    NormalizePlugin,
    OnlyNodes,
    PreFilterPlugin,
    PreScorePlugin,
    RowFilter,
    RowScore,
    ScorePlugin,
    Status,
)
from orchestra.scheduler.nodetable import NodeTable
from orchestra.scheduler.view import Nodes
from orchestra.testing.random_clusters import PLAIN, RandomCluster, Words, random_cluster, random_node

SEEDS: Final = 25
"""Clusters that each check looks at."""


@attrs.frozen(eq=False)
class Said:
    """Everything that a plugin said of one Pod and all nodes, by the names of nodes; None where it says nothing."""

    refusals: dict[str, tuple[str, ...]] | None
    scores: dict[str, int] | None


@attrs.frozen(eq=False)
class Case:
    """A plugin, and a cluster for it to judge."""

    plugin: Any
    cluster: RandomCluster
    seed: int

    def fail(self, promise: str) -> None:
        """Fail the check."""
        pytest.fail(f"plugin {self.plugin.name}: {promise} (cluster of seed {self.seed})", pytrace=False)

    def expect(self, kept: bool, promise: str) -> None:
        """Fail the check unless the promise was kept."""
        if not kept:
            self.fail(promise)


Check: TypeAlias = Callable[[Case], None]


def cases(plugin: Plugin, words: Words = PLAIN, seeds: int = SEEDS) -> Iterator[Case]:
    """Yield clusters to check a plugin on."""
    for seed in range(seeds):
        yield Case(plugin, random_cluster(Random(seed), words), seed)


def check_plugin(plugin: Plugin, words: Words = PLAIN, *, seeds: int = SEEDS) -> None:
    """Run every check on a plugin."""
    from orchestra.testing.plugin_conformance_reuse import REUSE_CHECKS

    for check in (*ANSWER_CHECKS, *REUSE_CHECKS):
        for case in cases(plugin, words, seeds):
            check(case)


# -- asking


def table_of(cluster: RandomCluster) -> NodeTable:
    """Return the node table of a cluster."""
    table = NodeTable()
    for space in cluster.namespaces:
        table.set_namespace(space.metadata.name, space.metadata.labels)
    for node in cluster.nodes:
        table.set_node(node)
    for pod in cluster.running:
        table.set_pod(PodInfo(pod), pod.spec.node_name)
    return table


def said(plugin: Any, pod: Pod, table: NodeTable) -> Said:
    """Ask a plugin about a Pod and all nodes, in the order of a cycle; raises what the plugin raises."""
    info, state, nodes = PodInfo(pod), CycleState(), Nodes(table)
    names = [row.name for row in table.rows]
    refusals: dict[str, tuple[str, ...]] | None = None
    before = plugin.pre_filter(state, info, table) if isinstance(plugin, PreFilterPlugin) else None
    feasible = np.ones(nodes.count, dtype=np.bool_)
    if isinstance(before, OnlyNodes):
        refusals = {name: () if name in before.names else ("left out",) for name in names}
    elif isinstance(before, Status) and before != SKIP and not before.success:
        refusals = dict.fromkeys(names, before.reasons)
    elif before != SKIP and isinstance(plugin, FilterPlugin):
        answer = as_rejections(plugin, plugin.filter(state, info, nodes), nodes.count)
        feasible = answer.codes == 0
        refusals = {
            name: answer.explain(code).reasons if code else ()
            for name, code in zip(names, answer.codes.tolist(), strict=True)
        }
    return Said(refusals, _scores(plugin, state, info, nodes, feasible))


def _scores(plugin: Any, state: CycleState, info: PodInfo, nodes: Nodes, feasible: Any) -> dict[str, int] | None:
    if not isinstance(plugin, ScorePlugin):
        return None
    if isinstance(plugin, PreScorePlugin) and plugin.pre_score(state, info, nodes, feasible) == SKIP:
        return None
    scores = checked(plugin, plugin.score(state, info, nodes), nodes.count)
    return {row.name: score for row, score in zip(nodes.table.rows, scores.tolist(), strict=True)}


# -- what it answers


def a_filter_gives_each_node_a_boolean_or_a_code_with_reasons(case: Case) -> None:
    """Shape and dtype are right, for all nodes and for some, and every refusal has a reason."""
    if not isinstance(case.plugin, FilterPlugin):
        return
    table = table_of(case.cluster)
    for pod in case.cluster.waiting:
        refusals = said(case.plugin, pod, table).refusals or {}
        for name, reasons in refusals.items():
            case.expect(all(isinstance(r, str) and r for r in reasons), f"node {name} is refused for {reasons!r}")


def scores_are_whole_numbers_on_the_scale(case: Case) -> None:
    """Scores are integers, one for each node; after `normalize`, if there is one, from 0 to MAX_SCORE."""
    if not isinstance(case.plugin, ScorePlugin):
        return
    table = table_of(case.cluster)
    rows = np.arange(table.size)
    for pod in case.cluster.waiting:
        state, info, nodes = CycleState(), PodInfo(pod), Nodes(table)
        feasible = np.ones(table.size, dtype=np.bool_)
        if isinstance(case.plugin, PreFilterPlugin):
            case.plugin.pre_filter(state, info, table)
        scores = _scores(case.plugin, state, info, nodes, feasible)
        if scores is None:
            continue
        values = np.array(list(scores.values()), dtype=np.int64)
        if isinstance(case.plugin, NormalizePlugin):
            values = checked(case.plugin, case.plugin.normalize(state, info, values, rows), len(rows))
        low, high = int(values.min()), int(values.max())
        case.expect(low >= 0 and high <= MAX_SCORE, f"its scores go from {low} to {high}, not from 0 to {MAX_SCORE}")


def the_same_question_has_the_same_answer(case: Case) -> None:
    """It draws no random numbers, reads no clock, and remembers nothing of the Pods that it was asked about before."""
    table, pods = table_of(case.cluster), case.cluster.waiting
    first = [said(case.plugin, pod, table) for pod in pods]
    again = [said(case.plugin, pod, table) for pod in reversed(pods)][::-1]
    fresh = [said(case.plugin, pod, table_of(case.cluster)) for pod in pods]
    case.expect(all(map(_same, first, again)), "asked again it answers differently: it is not stateless")
    case.expect(all(map(_same, first, fresh)), "on an equal cluster it answers differently: it is not deterministic")


def it_changes_nothing_that_it_is_shown(case: Case) -> None:
    """The columns of the table are as before, whatever it was asked."""
    table = table_of(case.cluster)
    before = _columns(table)
    for pod in case.cluster.waiting:
        said(case.plugin, pod, table)
    for name, column in _columns(table).items():
        case.expect(bool(np.array_equal(before[name], column)), f"it writes to the column {name} of the node table")


def some_rows_are_answered_as_among_all(case: Case) -> None:
    """Asked about some nodes it says what it says of them when it is asked about all; only Filter is asked so."""
    if not isinstance(case.plugin, FilterPlugin):
        return
    table = table_of(case.cluster)
    some = np.arange(0, table.size, 2)
    for pod in case.cluster.waiting:
        whole = said(case.plugin, pod, table).refusals
        state, info = CycleState(), PodInfo(pod)
        before = case.plugin.pre_filter(state, info, table) if isinstance(case.plugin, PreFilterPlugin) else None
        if whole is None or not _goes_on(before):
            continue
        answer = as_rejections(case.plugin, case.plugin.filter(state, info, Nodes(table, some)), len(some))
        for row, code in zip(some.tolist(), answer.codes.tolist(), strict=True):
            name = table.rows[row].name
            reasons = answer.explain(code).reasons if code else ()
            case.expect(reasons == whole[name], f"among some nodes {name} gets {reasons}, among all {whole[name]}")


def functions_for_rows_answer_as_arrays_do(case: Case) -> None:
    """`row_filter` and `row_score` say of each node what `filter` and `score` say."""
    table = table_of(case.cluster)
    for pod in case.cluster.waiting:
        state, info, nodes = CycleState(), PodInfo(pod), Nodes(table)
        skips = isinstance(case.plugin, PreFilterPlugin) and not _goes_on(case.plugin.pre_filter(state, info, table))
        if isinstance(case.plugin, FilterPlugin) and isinstance(case.plugin, RowFilter) and not skips:
            codes = as_rejections(case.plugin, case.plugin.filter(state, info, nodes), nodes.count).codes
            code_of = case.plugin.row_filter(state, info)
            same = [code_of(row) for row in table.rows] == codes.tolist()
            case.expect(same, "row_filter gives other codes than filter")
        scores = _scores(case.plugin, state, info, nodes, np.ones(nodes.count, dtype=np.bool_))
        if isinstance(case.plugin, RowScore) and scores is not None:
            score_of = case.plugin.row_score(state, info)
            same = {row.name: score_of(row) for row in table.rows} == scores
            case.expect(same, "row_score gives other scores than score")


def _goes_on(answer: Any) -> bool:
    return answer is None or (isinstance(answer, Status) and answer.success)


def _same(one: Said, other: Said) -> bool:
    return one.refusals == other.refusals and one.scores == other.scores


def _columns(table: NodeTable) -> dict[str, Any]:
    named = ("active", "unschedulable", "taint_set", "nonzero_cpu", "nonzero_memory", "pod_count", "pod_limit")
    found = {name: getattr(table, name).copy() for name in named}
    for name, column in table.resources.index.items():
        found[f"allocatable {name}"] = table.allocatable[column].copy()
        found[f"requested {name}"] = table.requested[column].copy()
    return found


# -- what its answers depend on


def a_node_local_plugin_looks_at_one_node_alone(case: Case) -> None:
    """With `node_local` nothing that happens to the other nodes changes what it says of a node."""
    if not case.plugin.node_local:
        return
    chance = Random(case.seed)
    kept = case.cluster.nodes[0].metadata.name
    others = tuple(_another(chance, node) for node in case.cluster.nodes[1:])
    running = tuple(pod for pod in case.cluster.running if pod.spec.node_name == kept)
    changed = attrs.evolve(case.cluster, nodes=(case.cluster.nodes[0], *others), running=running)
    _unmoved(case, changed, kept, "it is not node_local: what it says of a node depends on others")


def a_plugin_that_does_not_read_pods_looks_at_nodes_alone(case: Case) -> None:
    """Without `reads_pods` the Pods that run make no difference."""
    if case.plugin.reads_pods:
        return
    empty = attrs.evolve(case.cluster, running=())
    for node in case.cluster.nodes:
        _unmoved(case, empty, node.metadata.name, "it says reads_pods = False, and Pods on nodes change its answers")


def _another(chance: Random, node: Node) -> Node:
    return random_node(chance, node.metadata.name)


def _unmoved(case: Case, changed: RandomCluster, node: str, promise: str) -> None:
    before, after = table_of(case.cluster), table_of(changed)
    for pod in case.cluster.waiting:
        one, other = said(case.plugin, pod, before), said(case.plugin, pod, after)
        for part, old, new in (("filter", one.refusals, other.refusals), ("score", one.scores, other.scores)):
            was, now = (old or {}).get(node), (new or {}).get(node)
            case.expect(was == now, f"{promise}: {part} of {node} goes from {was} to {now}")


ANSWER_CHECKS: Final[tuple[Check, ...]] = (
    a_filter_gives_each_node_a_boolean_or_a_code_with_reasons,
    scores_are_whole_numbers_on_the_scale,
    the_same_question_has_the_same_answer,
    it_changes_nothing_that_it_is_shown,
    some_rows_are_answered_as_among_all,
    functions_for_rows_answer_as_arrays_do,
    a_node_local_plugin_looks_at_one_node_alone,
    a_plugin_that_does_not_read_pods_looks_at_nodes_alone,
)


class PluginConformance:
    """Derive, and give `plugin` as a fixture; `words` is what it reads of nodes and Pods."""

    words: ClassVar[Words] = PLAIN
    seeds: ClassVar[int] = SEEDS

    @pytest.fixture
    def plugin(self) -> Plugin:
        """Return the plugin to check."""
        raise NotImplementedError("give the plugin as a fixture")

    @pytest.mark.parametrize("check", ANSWER_CHECKS, ids=lambda check: check.__name__)
    def test_answers(self, plugin: Plugin, check: Check) -> None:
        """Run one check of what the plugin answers."""
        for case in cases(plugin, self.words, self.seeds):
            check(case)

    def test_reuse(self, plugin: Plugin) -> None:
        """Check that answers kept current are those computed from scratch."""
        from orchestra.testing.plugin_conformance_reuse import REUSE_CHECKS

        for check in REUSE_CHECKS:
            for case in cases(plugin, self.words, self.seeds):
                check(case)
