"""Placing Pods together: as many of a group as needed, or none. Pure.

    outcome = place_group(cycle, pods, missing=3)

All members are placed one after another on the table. When fewer than `missing` find a node, everything is taken back
in the same step, so that nobody ever sees half a group. When evicting less important Pods would complete the group, its
victims are chosen in the same way: member by member on a table from which the earlier victims are gone in thought.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from orchestra.scheduler.cycle import Cycle, Failed, Outcome, Placed, Unplaced
from orchestra.scheduler.nodetable import NodeTable
from orchestra.scheduler.podinfo import PodInfo


@attrs.frozen
class Nomination:
    """A member that gets `node` once `victims` are gone; without victims, once the other members can go too."""

    pod: PodInfo
    node: str
    victims: tuple[PodInfo, ...] = ()


@attrs.frozen(eq=False)
class GroupOutcome:
    """What became of a group.

    `placed` are counted on the table; empty when there were too few. `refused` are the others with their own outcomes.
    `nominations`: nobody is placed, but evicting the victims makes room for enough members.
    `fitting` is how many members found room, with the help of evictions or without.
    """

    placed: tuple[Placed, ...]
    refused: tuple[Outcome, ...]
    nominations: tuple[Nomination, ...] = ()
    fitting: int = 0

    @property
    def plugins(self) -> frozenset[str]:
        """The plugins that refused a member."""
        found: set[str] = set()
        for outcome in self.refused:
            if isinstance(outcome, Unplaced):
                found |= outcome.diagnosis.plugins
        return frozenset(found)

    @property
    def first_reason(self) -> str:
        """Why the first member that was refused was refused."""
        for outcome in self.refused:
            if isinstance(outcome, Unplaced):
                return outcome.diagnosis.message
            if isinstance(outcome, Failed):
                return str(outcome.error)
        return ""


def place_group(cycle: Cycle, pods: Sequence[PodInfo], *, missing: int) -> GroupOutcome:
    """Place at least `missing` of the Pods, or none of them; the others are refused."""
    table = cycle.table
    nominated = [(pod, node) for pod in pods if (node := table.nominated.node_of(pod.uid))]
    thought = _Thought(table)
    placed, refused = _try(cycle, pods, missing, thought)
    fitting = len(placed) + len(thought.nominations)
    first_refused = refused
    enough = bool(placed) and len(placed) >= missing
    if enough and thought.nominations:
        # Room that is free in thought alone may be what they were given: it counts only as it is.
        _take_back(table, placed, nominated)
        again, refused = _try(cycle, pods, missing, None)
        enough = bool(again) and len(again) >= missing
        if enough:
            placed, fitting = again, len(again)
        else:
            _take_back(table, again, nominated)
    elif not enough:
        _take_back(table, placed, nominated)
    if enough:
        _nominate(table, nominated)
        return GroupOutcome(tuple(placed), tuple(refused), fitting=fitting)
    if not thought.nominations or fitting < missing:
        return GroupOutcome((), tuple(refused), fitting=fitting)
    beside = tuple(Nomination(each.pod, each.node) for each in placed)
    return GroupOutcome((), tuple(first_refused), (*beside, *thought.nominations), fitting)


def _try(
    cycle: Cycle, pods: Sequence[PodInfo], missing: int, thought: _Thought | None
) -> tuple[list[Placed], list[Outcome]]:
    """Place Pods one after another, refused ones in `thought` as long as too few are placed, which is ended."""
    placed: list[Placed] = []
    refused: list[Outcome] = []
    try:
        for pod in pods:
            outcome = cycle.schedule(pod)
            if isinstance(outcome, Placed):
                placed.append(outcome)
            else:
                refused.append(outcome)
                if thought is not None and len(placed) + len(thought.nominations) < missing:
                    thought.try_evicting(outcome)
    finally:
        if thought is not None:
            thought.end()
    return placed, refused


def _take_back(table: NodeTable, placed: Sequence[Placed], nominated: Sequence[tuple[PodInfo, str]]) -> None:
    for each in placed:
        table.forget(each.pod.uid)
    _nominate(table, nominated)


def _nominate(table: NodeTable, nominated: Sequence[tuple[PodInfo, str]]) -> None:
    """Nominate anew those that have no node: counting a Pod anywhere, even in thought, ends its nomination."""
    for pod, node in nominated:
        if pod.uid not in table.placed:
            table.nominate(pod, node)


class _Thought:
    """Members on nodes whose victims are gone in thought; `end` makes the table what it was."""

    def __init__(self, table: NodeTable) -> None:
        self._table = table
        self._gone: list[tuple[PodInfo, str, bool]] = []
        self.nominations: list[Nomination] = []

    def try_evicting(self, outcome: Outcome) -> None:
        """Put a member that was refused where evicting its victims makes room, if there is such a node."""
        if not isinstance(outcome, Unplaced) or not outcome.post_filter.node:
            return
        found, table = outcome.post_filter, self._table
        for victim in found.victims:
            self._gone.append((victim, found.node, victim.uid in table.assumed))
            table.remove_pod(victim.uid)
        table.assume(outcome.pod, found.node)
        self.nominations.append(Nomination(outcome.pod, found.node, found.victims))

    def end(self) -> None:
        """Take everything back."""
        for nomination in self.nominations:
            self._table.forget(nomination.pod.uid)
        for victim, node, assumed in reversed(self._gone):
            (self._table.assume if assumed else self._table.set_pod)(victim, node)
        self._gone.clear()
