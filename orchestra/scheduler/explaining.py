"""From a decision to the record of it: bounded, cheap to take down, spelled out when somebody asks. Pure.

A `Decision` holds plain values of what the cycle had anyway: of thousands of nodes it keeps how many had which fate and
a few names, so that it neither grows with the cluster nor changes when the cluster does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, TypeAlias

import attrs
import numpy as np

from orchestra.api.diagnosis import (
    Advice,
    NodeRefusal,
    NodeScore,
    PluginScore,
    PodDiagnosis,
    Preemption,
    Retry,
)
from orchestra.api.object import MicroTime, ObjectMeta
from orchestra.scheduler.events import Action, EventHint, Resource

if TYPE_CHECKING:
    from orchestra.scheduler.diagnosis import Diagnosis, Refused
    from orchestra.scheduler.evaluation import Evaluation
    from orchestra.scheduler.interface import PostFilterResult
    from orchestra.scheduler.queued import Outlook

MAX_REASONS: Final = 20
"""Groups of refused nodes in a record; the nodes of further ones are only counted."""
MAX_NAMES: Final = 5
"""Names that a group of nodes, or a list of victims, shows."""
MAX_SCORED: Final = 5
"""Nodes whose scores a record shows, the chosen one among them."""
MAX_TEXT: Final = 2048
"""Characters of a message; plugins may write more."""
MAX_REASON: Final = 256
"""Characters of one reason."""
MAX_REASONS_OF_ONE: Final = 8
"""Reasons that one node is shown to have."""

Scored: TypeAlias = tuple[str, int, tuple[tuple[str, int, int, int], ...]]
"""A node, its total, and of each plugin name, weight, raw and normalised score."""
Group: TypeAlias = tuple[str, tuple[str, ...], int, tuple[str, ...]]
"""A plugin, its reasons, how many nodes it refused for them, and some of their names."""


@attrs.frozen(eq=False)
class Decision:
    """What one cycle decided about a Pod. `node` is empty where nothing fitted; `ties` nodes were as good as it."""

    nodes: int
    feasible: int
    node: str = ""
    ties: int = 0
    scores: tuple[Scored, ...] = ()
    refusals: tuple[Group, ...] = ()
    refused_otherwise: int = 0
    advice: tuple[Advice, ...] = ()
    preemption: Preemption | None = None

    def instead(self, node: str) -> Decision:
        """Return the decision for another node than the best by scores; those stay only with its own among them."""
        own = tuple(scored for scored in self.scores if scored[0] == node)
        others = tuple(scored for scored in self.scores if scored[0] != node) if own else ()
        return attrs.evolve(self, node=node, ties=0, scores=own + others)


@attrs.frozen(eq=False)
class Attempt:
    """Everything else that a record says: which attempt it was, when, and what came of it."""

    scheduler: str
    outcome: str
    message: str = ""
    number: int = 0
    since: datetime | None = None
    at: datetime | None = None
    hints: tuple[EventHint, ...] = ()
    not_before: datetime | None = None
    at_latest: datetime | None = None

    def with_outlook(self, outlook: Outlook, now: datetime, now_seconds: float) -> Attempt:
        """Return the attempt with when the Pod is tried again; `now` and `now_seconds` are one moment by two clocks."""

        def at(seconds: float | None) -> datetime | None:
            return None if seconds is None else now + timedelta(seconds=seconds - now_seconds)

        return attrs.evolve(
            self, hints=outlook.hints, not_before=at(outlook.not_before), at_latest=at(outlook.at_latest)
        )


def of_placement(evaluation: Evaluation, row: int, ties: int, *, whole: bool) -> Decision:
    """Return the decision for a row, as long as the evaluation is what it was when that was made.

    Unless it is to be the `whole` story the other nodes are only counted.
    """
    table = evaluation.table
    feasible = evaluation.feasible_count
    chosen = _scored(evaluation, row, plugins=feasible > 1)
    if not whole:
        return Decision(table.node_count, feasible, chosen[0], ties, (chosen,))
    scores = [chosen, *(_scored(evaluation, other) for other in _best_others(evaluation, row))]
    refusals: tuple[Group, ...] = ()
    otherwise = 0
    if feasible < table.node_count:
        refusals, otherwise = _groups(evaluation.refused_nodes(), lambda row: table.rows[row].name)
    return Decision(table.node_count, feasible, chosen[0], ties, tuple(scores), refusals, otherwise)


def of_diagnosis(
    diagnosis: Diagnosis, found: PostFilterResult | None = None, advice: tuple[Advice, ...] = ()
) -> Decision:
    """Return the decision that a diagnosis is about; `found` is what PostFilter achieved."""
    refusals, otherwise = _groups(diagnosis.refusals, diagnosis.names.__getitem__)
    preemption = None
    if found is not None and found.node:
        victims = tuple(victim.key for victim in found.victims[:MAX_NAMES])
        preemption = Preemption(node=found.node, count=len(found.victims), victims=victims)
    elif diagnosis.post_filter:
        preemption = Preemption(message=diagnosis.post_filter[:MAX_TEXT])
    total = diagnosis.total
    scores: tuple[Scored, ...] = ()
    if total is not None and len(total):
        best = np.argsort(-total, kind="stable")[:MAX_SCORED]
        scores = tuple(_scored_of(diagnosis, int(index)) for index in best)
    return Decision(
        nodes=diagnosis.node_count,
        feasible=len(diagnosis.feasible_rows),
        scores=scores,
        refusals=refusals,
        refused_otherwise=otherwise,
        advice=advice or diagnosis.advice,
        preemption=preemption,
    )


def _best_others(evaluation: Evaluation, row: int) -> list[int]:
    """Return the best rows besides the chosen one, the first of equal ones first."""
    total, wanted = evaluation.total, min(MAX_SCORED, evaluation.feasible_count)
    best: list[int] = []
    level = int(total.max(initial=0))
    while len(best) < wanted:
        # Level by level: sorting, or a partition, is many times dearer where thousands of nodes are equal.
        best += np.flatnonzero(total == level)[:MAX_SCORED].tolist()
        lower = total[total < level]
        if not len(lower):
            break
        level = int(lower.max())
    return [other for other in best[:wanted] if other != row][: MAX_SCORED - 1]


def _scored(evaluation: Evaluation, row: int, *, plugins: bool = True) -> Scored:
    name = evaluation.table.rows[row].name
    return (name, int(evaluation.total[row]), evaluation.scores_of(row)) if plugins else (name, 0, ())


def _scored_of(diagnosis: Diagnosis, index: int) -> Scored:
    assert diagnosis.total is not None
    said = tuple((p.plugin, p.weight, int(p.raw[index]), int(p.normalized[index])) for p in diagnosis.parts)
    name = diagnosis.names[diagnosis.feasible_rows[index]]
    return name, int(diagnosis.total[index]) if said else 0, said


def _groups(refused: Iterable[Refused], name: Callable[[int], str]) -> tuple[tuple[Group, ...], int]:
    """Return the largest groups of refused nodes, and how many nodes are in none of these."""
    ordered = sorted(refused, key=lambda group: -group.count)
    shown = tuple(
        (g.plugin, _bounded(g.rejection.reasons), g.count, tuple(map(name, g.rows[:MAX_NAMES].tolist())))
        for g in ordered[:MAX_REASONS]
    )
    return shown, sum(group.count for group in ordered[MAX_REASONS:])


def _bounded(reasons: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(reason[:MAX_REASON] for reason in reasons[:MAX_REASONS_OF_ONE])


def record(about: tuple[str, str, str], decision: Decision | None, attempt: Attempt) -> PodDiagnosis:
    """Spell out the record of an attempt at a Pod: its namespace, name and uid."""
    namespace, name, uid = about
    known = decision or Decision(0, 0)
    retry = None
    if attempt.hints or attempt.not_before is not None or attempt.at_latest is not None:
        events = tuple(dict.fromkeys(map(event_text, attempt.hints)))
        retry = Retry(events=events, not_before=_micro(attempt.not_before), at_latest=_micro(attempt.at_latest))
    return PodDiagnosis(
        metadata=ObjectMeta(name=name, namespace=namespace, uid=uid),
        scheduler=attempt.scheduler,
        outcome=attempt.outcome,
        message=attempt.message[:MAX_TEXT],
        attempt=attempt.number,
        waiting_since=_micro(attempt.since),
        attempted_at=_micro(attempt.at),
        node=known.node,
        nodes=known.nodes,
        feasible=known.feasible,
        ties=known.ties,
        scores=tuple(_node_score(scored) for scored in known.scores),
        refusals=tuple(_node_refusal(group) for group in known.refusals),
        refused_otherwise=known.refused_otherwise,
        advice=known.advice,
        preemption=known.preemption,
        retry=retry,
    )


def _node_score(scored: Scored) -> NodeScore:
    node, total, said = scored
    plugins = tuple(
        PluginScore(plugin=name, weight=weight, raw=raw, normalized=normalized, weighted=normalized * weight)
        for name, weight, raw, normalized in said
    )
    return NodeScore(node=node, total=total, plugins=plugins)


def _node_refusal(group: Group) -> NodeRefusal:
    plugin, reasons, count, nodes = group
    return NodeRefusal(plugin=plugin, reasons=reasons, count=count, nodes=nodes)


def _micro(time: datetime | None) -> MicroTime | None:
    return None if time is None else MicroTime(time)


_RESOURCES: Final = {
    Resource.NODE: "Node",
    Resource.ASSIGNED_POD: "Pod with a node",
    Resource.UNSCHEDULED_POD: "the Pod itself",
    Resource.NAMESPACE: "Namespace",
}


def event_text(hint: EventHint) -> str:
    """Return which events a hint is about: `Node: add, update allocatable`."""
    if hint.resource is Resource.ANY and hint.action == Action.ALL:
        return "any event"
    what = _RESOURCES.get(hint.resource, str(hint.resource.value))
    return f"{what}: {', '.join(_actions(hint.action))}"


def _actions(action: Action) -> Iterator[str]:
    whole = (Action.UPDATE,) if Action.UPDATE in action else ()
    for single in whole:
        yield "update"
        action &= ~single
    for one in action:
        yield (one.name or "").lower().replace("_", " ")
