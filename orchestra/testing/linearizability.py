"""Is a recorded history linearizable? A search for the order in which its operations can have happened. Pure.

A history is linearizable if every operation can be given one moment between its call and its return so that all
answers are those of a single object that does the operations at these moments (Herlihy and Wing, "Linearizability: a
correctness condition for concurrent objects", 1990). The search is that of Wing and Gong ("Testing and verifying
concurrent objects", 1993) with Lowe's memory of configurations that were tried ("Testing for linearizability", 2017).

If a model's object is made of independent ones, a history may be checked in parts, one for each (P-compositionality:
Horn and Kroening, "Faster linearizability checking via P-compositionality", 2015): `KeyValues.parts` says where that is
valid. Answers of a store that carry revisions are not independent, but need no search at all: see `store_history`.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import Any, Final, Generic, Protocol, TypeVar

import attrs

from orchestra.errors import OrchestraError

MAX_CONFIGURATIONS: Final = 1_000_000
"""Configurations that a search remembers before it gives up with `SearchTooLarge`."""

SHOWN: Final = 5
"""Operations that an explanation shows of each sort."""

State = TypeVar("State", bound=Hashable)


@attrs.frozen(eq=False)
class Operation:
    """One call of one client, and its answer.

    `called` and `returned` are moments of a clock that never goes back; only their order counts. `returned` None says
    that it was never known what came of it: it may have happened at any moment after the call, or not at all.
    """

    client: str
    request: Any
    answer: Any
    called: float
    returned: float | None

    def __str__(self) -> str:
        until = "?" if self.returned is None else f"{self.returned:g}"
        return f"{self.client} [{self.called:g}..{until}] {self.request} -> {self.answer}"


class SearchTooLarge(OrchestraError):
    """The search for an order was given up at its bound; nothing is known about the history."""


class Model(Protocol[State]):
    """What the object that was used would do, one operation after another."""

    @property
    def initial(self) -> State:
        """The state before the first operation."""
        ...

    def step(self, state: State, operation: Operation) -> State | None:
        """Return the state after `operation`, None if it could not have got its answer in `state`."""
        ...


@attrs.frozen
class Verdict:
    """The order that was found, or why there is none."""

    order: tuple[Operation, ...] | None
    explanation: str = ""

    @property
    def linearizable(self) -> bool:
        """Whether there is an order."""
        return self.order is not None


def linearize(
    operations: Iterable[Operation], model: Model[State], *, max_configurations: int = MAX_CONFIGURATIONS
) -> Verdict:
    """Find an order in which `operations` can have happened. Raises `SearchTooLarge`."""
    return _Search(sorted(operations, key=lambda operation: operation.called), model, max_configurations).run()


class _Search(Generic[State]):
    """The calls and returns in order, as a linked list from which the operations that have their place are taken."""

    def __init__(self, operations: Sequence[Operation], model: Model[State], max_configurations: int) -> None:
        self.operations = operations
        self.model = model
        self.max_configurations = max_configurations
        marks = [(op.called, 0, number) for number, op in enumerate(operations)]
        marks += [(op.returned, 1, number) for number, op in enumerate(operations) if op.returned is not None]
        marks.sort()
        self.operation = [0] + [number for _, _, number in marks]
        self.is_return = [False] + [bool(kind) for _, kind, _ in marks]
        self.next = [*range(1, len(marks) + 1), 0]
        self.previous = [len(marks), *range(len(marks))]
        self.return_of: dict[int, int] = {}
        """Places of returns, by operation."""
        for place in range(1, len(marks) + 1):
            if self.is_return[place]:
                self.return_of[self.operation[place]] = place

    def run(self) -> Verdict:
        state, done = self.model.initial, 0
        seen = {(done, state)}
        path: list[tuple[int, State, int]] = []
        waiting = len(self.return_of)
        stuck: tuple[list[int], State, int] = ([], state, 0)
        place = self.next[0]
        while waiting:
            number = self.operation[place]
            if place and not self.is_return[place]:
                following = self.model.step(state, self.operations[number])
                configuration = (done | 1 << number, following)
                if following is not None and configuration not in seen:
                    if len(seen) >= self.max_configurations:
                        raise SearchTooLarge(f"no order was found in {len(seen)} configurations")
                    seen.add(configuration)  # type: ignore[arg-type]
                    path.append((place, state, done))
                    done, state = configuration[0], following
                    self._take_out(number, place)
                    waiting -= number in self.return_of
                    place = self.next[0]
                else:
                    place = self.next[place]
                continue
            # Here an operation returns that has no moment yet: the last choice was wrong.
            if len(path) >= len(stuck[0]):
                stuck = ([self.operation[step[0]] for step in path], state, place)
            if not path:
                return Verdict(None, self._explain(*stuck))
            place, state, done = path.pop()
            number = self.operation[place]
            self._put_back(number, place)
            waiting += number in self.return_of
            place = self.next[place]
        return Verdict(tuple(self.operations[self.operation[step[0]]] for step in path))

    def _take_out(self, number: int, place: int) -> None:
        for node in (place, self.return_of.get(number)):
            if node is not None:
                self.next[self.previous[node]] = self.next[node]
                self.previous[self.next[node]] = self.previous[node]

    def _put_back(self, number: int, place: int) -> None:
        for node in (self.return_of.get(number), place):
            if node is not None:
                self.next[self.previous[node]] = node
                self.previous[self.next[node]] = node

    def _explain(self, ordered: list[int], state: State, place: int) -> str:
        blocked = self.operations[self.operation[place]]
        before = [str(self.operations[number]) for number in ordered[-SHOWN:]]
        taken = set(ordered)
        others = [
            str(op)
            for number, op in enumerate(self.operations)
            if number not in taken
            and op is not blocked
            and blocked.returned is not None
            and op.called <= blocked.returned
        ]
        return "\n  ".join(
            [
                f"no order explains this operation: {blocked}",
                f"the best order found begins with {len(ordered)} operations, the last of them:",
                *(f"  {line}" for line in before),
                f"which leave: {state}",
                f"{len(others)} others could have happened then, and do not help:",
                *(f"  {line}" for line in others[:SHOWN]),
            ]
        )
