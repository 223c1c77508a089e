"""The diagnosis of a Pod in words, for people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Final

from orchestra.api.core.pod import Pod
from orchestra.api.diagnosis import (
    FAILED,
    GATED,
    PLACED,
    REFUSED,
    UNSCHEDULABLE,
    WAITING,
    Advice,
    NodeScore,
    PluginScore,
    PodDiagnosis,
)
from orchestra.api.rules.conditions import condition, is_terminal
from orchestra.api.tables.durations import human_age
from orchestra.cli.columns import Columns

DEFAULT_SCHEDULER: Final = "default-scheduler"


def headline(pod: Pod, found: PodDiagnosis | None) -> str:
    """Return in a sentence where a Pod is, or why it is nowhere."""
    name, node = pod.metadata.name, pod.spec.node_name
    if node:
        ended = f" and has ended ({pod.status.phase})" if is_terminal(pod) else ""
        return f"Pod {name} is on node {node}{ended}."
    if is_terminal(pod):
        return f"Pod {name} has ended ({pod.status.phase}) without a node."
    if pod.metadata.deletion_timestamp is not None:
        return f"Pod {name} has no node and is being deleted."
    if pod.spec.scheduling_gates:
        gates = ", ".join(gate.name for gate in pod.spec.scheduling_gates)
        return f"Pod {name} has no node: it is held back by its scheduling gates: {gates}."
    if found is None:
        return f"Pod {name} has no node yet."
    words = {
        UNSCHEDULABLE: "no node can run it now",
        REFUSED: f"node {found.node} was chosen, and a plugin refused",
        WAITING: f"node {found.node} is kept for it, and a plugin keeps it waiting",
        GATED: "it is held back",
        FAILED: "something went wrong",
        PLACED: f"node {found.node} was chosen, it is about to be bound",
    }
    return f"Pod {name} has no node: {words.get(found.outcome, found.outcome)}."


def unknown(pod: Pod) -> list[str]:
    """Return what can be said of a Pod that no scheduler has reported on."""
    scheduler = pod.spec.scheduler_name or DEFAULT_SCHEDULER
    if pod.spec.node_name:
        scheduled = condition(pod, "PodScheduled")
        if scheduled is None:
            return ["It was created with its node, or bound by somebody else: no scheduler has chosen."]
        return ["The record of that choice is not kept any more; records live in the server's memory."]
    if pod.spec.scheduling_gates or is_terminal(pod) or pod.metadata.deletion_timestamp is not None:
        return []
    if scheduler != DEFAULT_SCHEDULER:
        return [
            f"It asks for the scheduler {scheduler}, and no scheduler of that name has reported on it.",
            "Is it running?",
        ]
    return ["No scheduler has tried it yet: it waits for its turn, or the scheduler does not run."]


def explanation(found: PodDiagnosis, now: datetime) -> Iterator[str]:
    """Yield the lines that tell of a scheduler's latest attempt."""
    if found.outcome != GATED:
        when = f", {human_age(found.attempted_at, now)} ago" if found.attempted_at is not None else ""
        number = f"attempt {found.attempt} " if found.attempt else ""
        yield f"Latest: {number}by {found.scheduler}{when}: {found.outcome}"
    if found.message:
        yield f"Message: {found.message}"
    if found.nodes:
        tied = f", {found.ties} equally good" if found.ties > 1 else ""
        yield f"Nodes: {found.feasible} of {found.nodes} could run it{tied}"
    yield from _titled("Scores", _scores(found.scores))
    yield from _titled("Refused", _refusals(found))
    advice = [f"- {changes_text(item)} ({nodes_text(item.count, item.nodes)})" for item in found.advice]
    yield from _titled("It would fit with", advice)
    yield from _titled("Preemption", _preemption(found))
    yield from _titled("It is tried again", _retry(found, now))


def _titled(title: str, lines: Iterable[str]) -> Iterator[str]:
    listed = list(lines)
    if listed:
        yield f"{title}:"
        yield from (f"  {line}" for line in listed)


def _scores(scores: Sequence[NodeScore]) -> list[str]:
    if not any(scored.plugins for scored in scores):
        return [f"{scored.node}: the only node that could run it" for scored in scores[:1]]
    names = list(dict.fromkeys(part.plugin for scored in scores for part in scored.plugins))
    rows = [["NODE", "TOTAL", *names]]
    for scored in scores:
        of = {part.plugin: _cell(part) for part in scored.plugins}
        rows.append([scored.node, str(scored.total), *(of.get(name, "-") for name in names)])
    return Columns().lines(rows)


def _cell(part: PluginScore) -> str:
    return str(part.weighted) if part.weight == 1 else f"{part.weighted} ({part.normalized}x{part.weight})"


def _refusals(found: PodDiagnosis) -> list[str]:
    lines = [f"{nodes_text(r.count, r.nodes)}: {r.plugin}: {', '.join(r.reasons)}" for r in found.refusals]
    if found.refused_otherwise:
        lines.append(f"{found.refused_otherwise} more nodes for other reasons")
    return lines


def changes_text(advice: Advice) -> str:
    """Return the changes that a piece of advice is about."""
    return "; ".join(change.text for change in advice.changes)


def nodes_text(count: int, names: Sequence[str]) -> str:
    """Return how many nodes are meant, and the names that are known."""
    more = "" if count <= len(names) else ", ..."
    return f"{count} {'node' if count == 1 else 'nodes'}: {', '.join(names)}{more}"


def _preemption(found: PodDiagnosis) -> list[str]:
    preemption = found.preemption
    if preemption is None:
        return []
    if preemption.node:
        more = "" if preemption.count <= len(preemption.victims) else ", ..."
        return [f"evicting {', '.join(preemption.victims)}{more} makes room on {preemption.node}"]
    return [preemption.message]


def _retry(found: PodDiagnosis, now: datetime) -> list[str]:
    retry = found.retry
    if retry is None:
        return []
    lines = [f"after an event: {event}" for event in retry.events]
    if retry.not_before is not None and retry.not_before > now:
        lines.append(f"not before {human_age(now, retry.not_before)} from now")
    if retry.at_latest is not None:
        soon = f"in {human_age(now, retry.at_latest)}" if retry.at_latest > now else "now"
        lines.append(f"at the latest {soon}")
    return lines
