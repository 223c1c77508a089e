"""Placed Pods that a Permit plugin keeps waiting, alone or with their group: who may go, who must give its room back.

Pure: time is an argument. A plugin that says WAIT is asked again, so that it can decide by what it sees and need not
remember; and anybody can `approve` or `deny` on its behalf. Every wait ends: by permission, by denial, or when the
bound that the plugin gave, MAX_PERMIT_WAIT_SECONDS at most, is over. A group goes when all its members that are left
may go; when too few of them are left, all give their room back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

import attrs

from orchestra.errors import PluginError
from orchestra.scheduler.answers import asking
from orchestra.scheduler.interface import MAX_PERMIT_WAIT_SECONDS, CycleState, Verdict
from orchestra.scheduler.queued import QueuedPod

ASK_AGAIN_SECONDS: Final = 0.1
"""How often plugins that said WAIT are asked again, at most."""


@attrs.frozen(eq=False)
class Placement:
    """A Pod that is assumed on a node; `state` is what its plugins remember of it."""

    pod: QueuedPod
    node: str
    state: CycleState = attrs.field(factory=CycleState)


@attrs.frozen
class Denial:
    """Why a placement comes to nothing; with `error` a plugin failed instead of refusing."""

    plugin: str
    message: str
    error: PluginError | None = None


@attrs.frozen
class WaitingPod:
    """A placed Pod that waits for permission: which plugins keep it, and until when at most (monotonic seconds)."""

    uid: str
    namespace: str
    name: str
    node: str
    plugins: tuple[str, ...]
    deadline: float


@attrs.define(eq=False)
class PlacedUnit:
    """Pods that are bound together; fewer than `needed` are not bound at all."""

    placements: list[Placement]
    needed: int = 1


@attrs.frozen(eq=False)
class _Keeper:
    """A plugin that keeps a Pod waiting, until when, and why."""

    plugin: Any
    until: float
    reasons: str


@attrs.define(eq=False)
class _Waiting:
    unit: PlacedUnit
    pending: dict[str, dict[str, _Keeper]]
    """By uid: the plugins that have not let the Pod go."""


GiveUp = Callable[[Placement, Denial], None]


class Permits:
    """All units that wait. `give_up` is called for a placement that is denied, and takes it back."""

    def __init__(self, give_up: GiveUp) -> None:
        self._give_up = give_up
        self._waiting: list[_Waiting] = []
        self._ask_at = 0.0

    def admit(self, unit: PlacedUnit, now: float) -> PlacedUnit | None:
        """Ask every Permit plugin about a new unit: the unit when it may go at once; None when it waits or is gone."""
        waiting = _Waiting(unit, {})
        for placement in list(unit.placements):
            found = self._ask(placement, placement.pod.profile.permits, now)
            if isinstance(found, Denial):
                self._drop(waiting, placement, found)
            elif found:
                waiting.pending[placement.pod.info.uid] = found
        return self._settle(waiting)

    def ask_again(self, now: float) -> list[PlacedUnit]:
        """Ask about those that wait, and end waits that are over; returns the units that may go."""
        if not self._waiting or (now < self._ask_at and now < self._first_deadline()):
            return []
        self._ask_at = now + ASK_AGAIN_SECONDS
        ready: list[PlacedUnit] = []
        units, self._waiting = self._waiting, []
        for waiting in units:
            for placement in list(waiting.unit.placements):
                self._ask_pending(waiting, placement, now)
            unit = self._settle(waiting)
            if unit is not None:
                ready.append(unit)
        return ready

    def _ask_pending(self, waiting: _Waiting, placement: Placement, now: float) -> None:
        pending = waiting.pending.get(placement.pod.info.uid)
        if pending is None:
            return
        found = self._ask(placement, [keeper.plugin for keeper in pending.values()], now)
        if isinstance(found, Denial):
            self._drop(waiting, placement, found)
            return
        late = [name for name in found if pending[name].until <= now]
        if late:
            self._drop(waiting, placement, Denial(late[0], _too_late(found[late[0]])))
        elif found:
            waiting.pending[placement.pod.info.uid] = {name: pending[name] for name in found}
        else:
            del waiting.pending[placement.pod.info.uid]

    def _ask(self, placement: Placement, plugins: Iterable[Any], now: float) -> dict[str, _Keeper] | Denial:
        """Return the plugins that keep the Pod waiting, with the end of their patience; or the first refusal."""
        keeping: dict[str, _Keeper] = {}
        for plugin in plugins:
            try:
                status = asking(plugin, "Permit", plugin.permit, placement.state, placement.pod.info, placement.node)
                if status is None or status.success:
                    continue
                reasons = ", ".join(status.reasons)
                bound = min(status.wait_seconds or MAX_PERMIT_WAIT_SECONDS, MAX_PERMIT_WAIT_SECONDS)
                waits = status.verdict is Verdict.WAIT
            except PluginError as error:
                return Denial(plugin.name, str(error), error)
            if not waits:
                return Denial(plugin.name, reasons or f"{plugin.name} did not permit the Pod")
            keeping[plugin.name] = _Keeper(plugin, now + bound, reasons)
        return keeping

    def _drop(self, waiting: _Waiting, placement: Placement, denial: Denial) -> None:
        waiting.unit.placements.remove(placement)
        waiting.pending.pop(placement.pod.info.uid, None)
        self._give_up(placement, denial)

    def _settle(self, waiting: _Waiting) -> PlacedUnit | None:
        """Return a unit that may go, keep one that waits, take back one that has become too small."""
        unit = waiting.unit
        if len(unit.placements) < unit.needed or not unit.placements:
            for placement in list(unit.placements):
                self._drop(waiting, placement, Denial("", "too few Pods of its group were permitted"))
            return None
        if waiting.pending:
            self._waiting.append(waiting)
            return None
        return unit

    # -- from outside

    def waiting(self) -> tuple[WaitingPod, ...]:
        """Return the Pods that wait for permission."""
        return tuple(
            WaitingPod(
                uid=placement.pod.info.uid,
                namespace=placement.pod.info.namespace,
                name=placement.pod.info.pod.metadata.name,
                node=placement.node,
                plugins=tuple(pending),
                deadline=min(keeper.until for keeper in pending.values()),
            )
            for waiting in self._waiting
            for placement in waiting.unit.placements
            if (pending := waiting.pending.get(placement.pod.info.uid))
        )

    def reasons_of(self, uid: str) -> str:
        """Return why a Pod that waits does: what its plugins said, or that it goes with its group."""
        keepers = [keeper for w in self._waiting for keeper in w.pending.get(uid, {}).values()]
        told = [f"{k.plugin.name}: {k.reasons}" if k.reasons else k.plugin.name for k in keepers]
        return f"waiting for permission of {', '.join(told)}" if told else "waiting for the rest of its group"

    def approve(self, uid: str, plugin: str = "") -> bool:
        """Let a Pod go as far as a plugin is concerned, or all of them; says whether it waited for that."""
        for waiting in self._waiting:
            pending = waiting.pending.get(uid)
            if pending is not None and (not plugin or plugin in pending):
                kept = {name: entry for name, entry in pending.items() if plugin and name != plugin}
                if kept:
                    waiting.pending[uid] = kept
                else:
                    del waiting.pending[uid]
                self._ask_at = 0.0
                return True
        return False

    def deny(self, uid: str, plugin: str, message: str) -> bool:
        """Take a Pod's room back on behalf of a plugin; says whether it waited."""
        for waiting in self._waiting:
            placement = next((p for p in waiting.unit.placements if p.pod.info.uid == uid), None)
            if placement is not None:
                self._drop(waiting, placement, Denial(plugin, message))
                self._waiting.remove(waiting)
                unit = self._settle(waiting)
                if unit is not None:  # all the others may go: they do when they are asked next
                    self._waiting.append(waiting)
                self._ask_at = 0.0
                return True
        return False

    def forget(self, gone: Callable[[Placement], bool]) -> None:
        """Drop the placements of Pods that are gone."""
        for waiting in list(self._waiting):
            for placement in [p for p in waiting.unit.placements if gone(p)]:
                self._drop(waiting, placement, Denial("", "the Pod is gone"))

    def next_time(self) -> float | None:
        """Return when `ask_again` has something to do; None for never."""
        return max(self._ask_at, 0.0) if self._waiting else None

    def _first_deadline(self) -> float:
        times = [each.until for w in self._waiting for pending in w.pending.values() for each in pending.values()]
        return min(times, default=0.0)


def _too_late(keeper: _Keeper) -> str:
    told = f"{keeper.plugin.name} did not permit the Pod in time"
    return f"{told}: {keeper.reasons}" if keeper.reasons else told
