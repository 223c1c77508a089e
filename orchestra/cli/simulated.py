"""What a simulation came to, as tables for people and as a document for programs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import attrs

from orchestra.api.codec import encode
from orchestra.api.frozen import thaw
from orchestra.cli.columns import Columns
from orchestra.cli.rendering import render_document
from orchestra.cli.spelling import changes_text, nodes_text
from orchestra.scheduler import Difference, difference, figures_of
from orchestra.scheduler.advice import amount_text

if TYPE_CHECKING:
    from orchestra.scheduler import ClusterState, Drained, Figures, Plan

NOWHERE: Final = "<none>"
COUNTED: Final = ("PLACEMENTS", "PENDING", "EVICTED")
"""Tables whose title says how many rows they have."""


@attrs.frozen(kw_only=True, eq=False, slots=False)
class Simulated:
    """The cluster as it was, what draining nodes did, and the plan of each profile by its name."""

    before: ClusterState
    drained: Mapping[str, Drained]
    plans: Mapping[str, Plan]

    @cached_property
    def figures(self) -> dict[str, Figures]:
        """The figures of the state that each plan leads to."""
        return {name: figures_of(plan.state) for name, plan in self.plans.items()}

    # -- for programs

    def rendered(self, output: str) -> str:
        """Return everything as JSON or YAML."""
        return render_document(self.document(), output)

    def document(self) -> dict[str, Any]:
        """Return everything as plain values."""
        names = list(self.plans)
        found: dict[str, Any] = {
            "notes": list(self.before.notes),
            "drained": {node: attrs.asdict(done) for node, done in self.drained.items()},
            "profiles": {name: self._of_plan(name, plan) for name, plan in self.plans.items()},
        }
        if len(names) > 1:
            one, other = (self.plans[name].state for name in names[:2])
            found["comparison"] = _of_difference(difference(one, other))
        return thaw(found)  # type: ignore[no-any-return]

    def _of_plan(self, name: str, plan: Plan) -> dict[str, Any]:
        return {
            "placements": dict(sorted(plan.placements.items())),
            "pending": {key: encode(diagnosis) for key, diagnosis in sorted(plan.pending.items())},
            "victims": dict(plan.victims),
            "skipped": list(plan.skipped),
            "changes": _of_difference(difference(self.before, plan.state)),
            "figures": _of_figures(self.figures[name]),
        }

    # -- for people

    def text(self) -> str:
        """Return everything as tables, one below the other."""
        parts = [
            self._section("PLACEMENTS", ["NAMESPACE", "POD", *self._headed("NODE")], self._placements()),
            self._section("PENDING", ["NAMESPACE", "POD", *self._headed("OUTCOME"), "REASON"], self._pending()),
            self._section("WHAT WOULD HELP", ["PODS", "CHANGE", "NODES"], self._advice()),
            self._section("EVICTED", ["NAMESPACE", "POD", "NODE", "BY"], self._evicted()),
            self._section("NODES DRAINED", ["NODE", "MOVED", "LOST", "KEPT"], self._drained()),
            self._section("FIGURES", ["", *self.plans], self._figures()),
        ]
        return "\n".join(part for part in parts if part)

    def _headed(self, word: str) -> list[str]:
        return [word] if len(self.plans) == 1 else [f"{word} ({name})" for name in self.plans]

    def _section(self, title: str, header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
        listed = list(rows)
        if not listed:
            return ""
        number = f" ({len(listed)})" if title in COUNTED else ""
        lines = Columns().lines([header, *listed])
        return "\n".join([f"{title}{number}", *(f"  {line}" for line in lines)]) + "\n"

    def _placements(self) -> Iterator[list[str]]:
        keys = sorted({key for plan in self.plans.values() for key in plan.placements})
        for key in keys:
            namespace, _, name = key.partition("/")
            yield [namespace, name, *(plan.placements.get(key, NOWHERE) for plan in self.plans.values())]

    def _pending(self) -> Iterator[list[str]]:
        keys = sorted({key for plan in self.plans.values() for key in plan.pending})
        for key in keys:
            namespace, _, name = key.partition("/")
            found = [plan.pending.get(key) for plan in self.plans.values()]
            words = [diagnosis.outcome if diagnosis is not None else "Placed" for diagnosis in found]
            first = next(diagnosis for diagnosis in found if diagnosis is not None)
            yield [namespace, name, *words, first.message]

    def _advice(self) -> Iterator[list[str]]:
        """Yield what would help the waiting Pods, once for all that it would help."""
        helped: dict[tuple[str, str], list[str]] = {}
        for plan in self.plans.values():
            for key, diagnosis in sorted(plan.pending.items()):
                for item in diagnosis.advice:
                    pods = helped.setdefault((changes_text(item), nodes_text(item.count, item.nodes)), [])
                    if key not in pods:
                        pods.append(key)
        for (changes, nodes), pods in helped.items():
            more = f" and {len(pods) - 1} more" if len(pods) > 1 else ""
            yield [f"{pods[0]}{more}", changes, nodes]

    def _evicted(self) -> Iterator[list[str]]:
        for profile, plan in self.plans.items():
            for key, node in plan.victims.items():
                namespace, _, name = key.partition("/")
                yield [namespace, name, node, profile]

    def _drained(self) -> Iterator[list[str]]:
        for node, done in self.drained.items():
            yield [node, *(", ".join(keys) or NOWHERE for keys in (done.moved, done.lost, done.kept))]

    def _figures(self) -> Iterator[list[str]]:
        figures = list(self.figures.values())
        yield ["Pods placed", *(str(each.pods_placed) for each in figures)]
        yield ["Pods waiting", *(str(each.pods_waiting) for each in figures)]
        yield ["nodes in use", *(f"{each.nodes_in_use} of {each.nodes}" for each in figures)]
        for name in figures[0].utilisation:
            yield [f"utilisation of {name}", *(_percent(each.utilisation.get(name)) for each in figures)]
        for name in figures[0].balance:
            yield [f"balance of {name}", *(_number(each.balance.get(name)) for each in figures)]
        for name in dict.fromkeys(key for each in figures for key in each.fragmentation):
            yield [f"fragmentation of {name}", *(_percent(each.fragmentation.get(name)) for each in figures)]
        yield ["fairness", *(_number(each.fairness) for each in figures)]
        yield ["median shape", *(_shape(each) for each in figures)]


def _of_difference(found: Difference) -> dict[str, Any]:
    return {
        "moved": {key: {"from": old, "to": new} for key, (old, new) in sorted(found.moved.items())},
        "placed": dict(sorted(found.placed.items())),
        "unplaced": dict(sorted(found.unplaced.items())),
        "gone": sorted(found.gone),
        "new": sorted(found.new),
    }


def _of_figures(found: Figures) -> dict[str, Any]:
    words = {"nodes_in_use": "nodesInUse", "pods_placed": "podsPlaced", "pods_waiting": "podsWaiting"}
    words |= {"median_shape": "medianShape", "dominant_shares": "dominantShares"}
    document = {words.get(name, name): value for name, value in attrs.asdict(found).items()}
    document["medianShape"] = {name: amount_text(name, amount) for name, amount in found.median_shape.items()}
    return document


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}%"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _shape(figures: Figures) -> str:
    return ", ".join(f"{amount_text(name, amount)} {name}" for name, amount in figures.median_shape.items()) or "-"
