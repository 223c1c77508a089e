"""Checks that a plugin's answers may be shared and kept: what is kept current equals what is computed from scratch."""

from __future__ import annotations

from random import Random
from typing import Any, Final

import attrs

from orchestra.api.builders import meta
from orchestra.api.core.pod import Pod
from orchestra.scheduler import PodInfo, Profile
from orchestra.scheduler.cycle import Cycle, Placed
from orchestra.scheduler.evaluation import Evaluation
from orchestra.scheduler.nodetable import NodeTable
from orchestra.testing.plugin_conformance import Case, Check, said, table_of
from orchestra.testing.random_clusters import random_node, random_pod

STEPS: Final = 8
"""Changes of the cluster after which the answers are compared."""


def profile_of(case: Case) -> Profile:
    """Return the default profile with the plugin in it."""
    return Profile().with_plugins(case.plugin)


def pods_of_one_shape_share_their_answers(case: Case) -> None:
    """Pods that the profile takes for alike get the same answers: `shape_key` names all that the plugin reads."""
    profile, table = profile_of(case), table_of(case.cluster)
    by_shape: dict[Any, tuple[Pod, Any]] = {}
    pods = [*case.cluster.waiting, *(_unplaced(pod) for pod in case.cluster.running)]
    for pod in pods:
        for twin in (pod, _renamed(pod)):
            shape, answer = profile.shape_of(PodInfo(twin)), said(case.plugin, twin, table)
            known, before = by_shape.setdefault(shape, (twin, answer))
            same = before.refusals == answer.refusals and before.scores == answer.scores
            case.expect(same, f"Pods {known.key} and {twin.key} have one shape and different answers: see shape_key")


def _unplaced(pod: Pod) -> Pod:
    return attrs.evolve(pod, spec=attrs.evolve(pod.spec, node_name=""))


def _renamed(pod: Pod) -> Pod:
    old = pod.metadata
    fresh = meta(f"{old.namespace}/{old.name}-twin", old.labels, uid=f"{old.uid}-twin", annotations=old.annotations)
    return attrs.evolve(pod, metadata=fresh)


def answers_kept_current_equal_answers_from_scratch(case: Case) -> None:
    """After any changes of nodes and Pods, what is kept current is what a new table and a new evaluation say."""
    chance, profile, table = Random(case.seed), profile_of(case), table_of(case.cluster)
    kept = [Evaluation(profile, PodInfo(pod), table) for pod in case.cluster.waiting]
    shapes = [pod.spec for pod in case.cluster.waiting]
    for step in range(STEPS):
        for evaluation in kept:
            evaluation.refresh()
        _change(chance, table, step, shapes)
        fresh = _rebuilt(table)
        for pod, evaluation in zip(case.cluster.waiting, kept, strict=True):
            evaluation.refresh()
            anew = Evaluation(profile, PodInfo(pod), fresh)
            anew.refresh()
            ours, theirs = _seen(evaluation), _seen(anew)
            for part in ours:
                wrong = f"kept current its {part} of Pod {pod.key} are not those from scratch, after {step + 1} changes"
                case.expect(ours[part] == theirs[part], f"{wrong}: look at node_local, reads_pods and pods_version")


def a_batch_is_placed_as_pods_one_by_one(case: Case) -> None:
    """Sharing and reuse change no placement: the same nodes are chosen as by cycles that remember nothing."""
    profile, table = profile_of(case), table_of(case.cluster)
    plain, chance = _rebuilt(table), Random(case.seed)
    batch = [
        attrs.evolve(pod, metadata=attrs.evolve(pod.metadata, uid=f"{pod.metadata.name}-{n}"))
        for n in range(3)
        for pod in case.cluster.waiting
    ]
    together = Cycle(profile, table, Random(case.seed))
    for pod in batch:
        found = together.schedule(PodInfo(pod))
        expected = Cycle(profile, plain, chance).schedule(PodInfo(pod))
        nodes = [each.node if isinstance(each, Placed) else "" for each in (found, expected)]
        case.expect(nodes[0] == nodes[1], f"in a batch Pod {pod.key} goes to {nodes[0]!r}, alone to {nodes[1]!r}")


def _change(chance: Random, table: NodeTable, step: int, shapes: list[Any]) -> None:
    kind = chance.random()
    if kind < 0.6 or not table.placed:
        pod = random_pod(chance, f"new{step}", shapes)
        table.set_pod(PodInfo(pod), chance.choice([row.name for row in table.rows if row.node is not None] or ["n0"]))
    elif kind < 0.8:
        table.remove_pod(chance.choice(list(table.placed)))
    elif kind < 0.95:
        table.set_node(random_node(chance, f"n{chance.randint(0, 9)}"))
    else:
        table.remove_node(f"n{chance.randint(0, 9)}")


def _rebuilt(table: NodeTable) -> NodeTable:
    """Return a new table with the same contents, its rows in the same order."""
    fresh = NodeTable()
    for name, labels in table.index.namespaces.items():
        fresh.set_namespace(name, labels)
    for row in table.rows:
        fresh.row_of(row.name if table.by_name.get(row.name) is row else f"free-{row.index}")
    for row in table.rows:
        if row.node is not None:
            fresh.set_node(row.node)
    for info, row in table.placed.values():
        fresh.set_pod(info, row.name)
    return fresh


def _seen(evaluation: Evaluation) -> dict[str, Any]:
    diagnosis = evaluation.diagnosis()
    return {
        "feasible nodes": diagnosis.feasible,
        "scores": diagnosis.details,
        "reasons": diagnosis.reasons,
        "totals": evaluation.total.tolist(),
    }


REUSE_CHECKS: Final[tuple[Check, ...]] = (
    pods_of_one_shape_share_their_answers,
    answers_kept_current_equal_answers_from_scratch,
    a_batch_is_placed_as_pods_one_by_one,
)
