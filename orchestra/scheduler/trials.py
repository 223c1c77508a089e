"""Would a Pod fit a node if some Pods were gone from it, or had come to it? Asked in thought, or by really doing it.

Where all filters that have something to say of the Pod look at nothing but a node (`Evaluation.alone`), a copy of the
node's row is enough: that is what `Thought` changes. Else the node table is changed, asked, and changed back.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from orchestra.scheduler.budgets import DisruptionBudget
from orchestra.scheduler.interface import Rejection
from orchestra.scheduler.noderow import NodeRow
from orchestra.scheduler.nodetable import NodeTable
from orchestra.scheduler.podinfo import PodInfo

if TYPE_CHECKING:
    from orchestra.scheduler.evaluation import Evaluation

T = TypeVar("T")
Ask = Callable[[], "Rejection | None"]


class Trial(Protocol):
    """A node that Pods are taken from and put back to, for a while."""

    def remove(self, pod: PodInfo) -> None:
        """Take away a Pod that is there."""
        ...

    def put_back(self, pod: PodInfo) -> None:
        """Put back a Pod that was taken away."""
        ...

    def refusal(self) -> Rejection | None:
        """Return why the node would be refused now; None when the Pod would fit."""
        ...

    def end(self) -> None:
        """Put everything back."""
        ...


class Check(Protocol):
    """Runs all filters for one node on the table as it is at that moment, nominated Pods being there already."""

    def __call__(self, node: str) -> Rejection | None:
        """Return why the named node is refused, or None."""
        ...

    def trial(self, row: NodeRow) -> Trial:
        """Return the node in a form that Pods can be taken from and put back to."""
        ...

    def remembered(self, row: NodeRow, find: Callable[[], T]) -> T:
        """Return what `find` returns, or has returned for a Pod of the shape and priority while the row was the same.

        It may depend on nothing else but the budgets for disruptions.
        """
        ...


class Thought:
    """A copy of a node's row."""

    def __init__(self, row: NodeRow, ask: Callable[[NodeRow], Rejection | None]) -> None:
        self.row = row.copy()
        self._ask = ask

    def remove(self, pod: PodInfo) -> None:
        """See `Trial.remove`."""
        del self.row.pods[pod.uid]
        self.row.count(pod, -1)

    def put_back(self, pod: PodInfo) -> None:
        """See `Trial.put_back`; in thought any Pod can come."""
        self.row.pods[pod.uid] = pod
        self.row.count(pod, 1)

    def refusal(self) -> Rejection | None:
        """See `Trial.refusal`."""
        return self._ask(self.row)

    def end(self) -> None:
        """Do nothing: the table was not touched."""


class Deed:
    """The table itself, which is afterwards as it was before."""

    def __init__(self, table: NodeTable, row: NodeRow, ask: Ask) -> None:
        self._table = table
        self._row = row
        self._order = tuple(row.pods)
        self._ask = ask
        self._gone: dict[str, tuple[PodInfo, bool]] = {}

    def remove(self, pod: PodInfo) -> None:
        """See `Trial.remove`."""
        self._gone[pod.uid] = (pod, pod.uid in self._table.assumed)
        self._table.remove_pod(pod.uid)

    def put_back(self, pod: PodInfo) -> None:
        """See `Trial.put_back`."""
        _, assumed = self._gone.pop(pod.uid)
        (self._table.assume if assumed else self._table.set_pod)(pod, self._row.name)

    def refusal(self) -> Rejection | None:
        """See `Trial.refusal`."""
        return self._ask()

    def end(self) -> None:
        """See `Trial.end`."""
        for pod, _ in tuple(self._gone.values()):
            self.put_back(pod)
        # Their order decides between Pods that are equally important.
        self._row.pods = {uid: self._row.pods[uid] for uid in self._order}


def stands_alone(evaluation: Evaluation) -> bool:
    """Say whether what Filters say of a node depends on nothing but that node.

    That is to stay so when Pods go, and when others come that have no affinity terms.
    """
    if evaluation.refused is not None or evaluation.merges:
        return False
    skipping, profile = evaluation.skipping, evaluation.profile
    return all(
        plugin.node_local or not plugin.reads_pods or (plugin.name in skipping and plugin.skip_holds)
        for plugin in (*profile.pre_filters, *profile.filters)
    )


def refusal_of(evaluation: Evaluation, node: NodeRow) -> Rejection | None:
    """Return why a row in thought is refused first, where the evaluation stands alone."""
    position = evaluation.other_refusal.item(node.index)
    code = 0
    for at, said in evaluation.rows.codes_of(node):
        if said and at < position:
            position, code = at, said
    if position == len(evaluation.filters):
        return None
    rejections = evaluation.filters[position].rejections
    assert rejections is not None
    return rejections.explain(code or rejections.codes.item(node.index))


class Memory:
    """What was found out about rows, for Pods of one shape and priority; what changed is forgotten."""

    __slots__ = ("_budgets", "_position", "found")

    def __init__(self) -> None:
        self.found: dict[int, Any] = {}
        self._position = -1
        self._budgets: tuple[DisruptionBudget, ...] = ()

    def refresh(self, table: NodeTable) -> None:
        """Forget what may be otherwise by now."""
        changes = table.changes_since(self._position)
        if changes.everything or self._budgets is not table.disruption_budgets:
            self.found.clear()
        for row in changes.pod_rows:
            self.found.pop(row, None)
        self._position, self._budgets = changes.position, table.disruption_budgets


class Checks:
    """The `Check` of one Pod. `evaluation` is what was said of its shape just now; None: only the table is asked."""

    def __init__(
        self,
        table: NodeTable,
        pod: PodInfo,
        evaluation: Evaluation | None,
        ask: Callable[[NodeRow], Rejection | None],
    ) -> None:
        self._table = table
        self._pod = pod
        self._evaluation = evaluation if evaluation is not None and stands_alone(evaluation) else None
        self._ask = ask
        self._own = table.nominated.node_of(pod.uid)
        self._memory: Memory | None = None
        if self._evaluation is not None:
            self._memory = self._evaluation.remembered.setdefault(pod.priority, Memory())
            self._memory.refresh(table)

    def __call__(self, node: str) -> Rejection | None:
        """See `Check`."""
        row = self._table.by_name.get(node)
        if row is None or row.node is None:
            return Rejection((f"node {node} not found",), resolvable=False)
        beside = self.beside(node)
        for other in beside:
            self._table.assume(other, node)
        try:
            return self._ask(row)
        finally:
            for other in beside:
                self._table.forget(other.uid)
                self._table.nominate(other, node)

    def beside(self, node: str) -> list[PodInfo]:
        """Return the Pods that are to have room on a node before this one."""
        return self._beside(node, self._pod.uid)

    def _beside(self, node: str, but: str) -> list[PodInfo]:
        table, pod = self._table, self._pod
        return [
            other
            for other in table.nominated.on(node).values()
            if other.priority >= pod.priority and other.uid != but and other.uid not in table.placed
        ]

    def thought(self, row: NodeRow, but: str | None = None) -> Thought | None:
        """Return a node in thought, nominated Pods being there already; None where thinking is not enough.

        All of them are there but the one with the uid `but`, which is the Pod's own if nothing is said.
        """
        evaluation = self._evaluation
        if evaluation is None:
            return None
        beside = self._beside(row.name, self._pod.uid if but is None else but)
        if any(other.affinity_terms for other in beside):
            return None
        thought = Thought(row, lambda node: refusal_of(evaluation, node))
        for other in beside:
            thought.put_back(other)
        return thought

    def trial(self, row: NodeRow) -> Trial:
        """See `Check.trial`."""
        thought = self.thought(row)
        return Deed(self._table, row, lambda: self(row.name)) if thought is None else thought

    def codes(self, thought: Thought) -> tuple[tuple[int, int], ...]:
        """Return what the Filters with functions for rows say of a node in thought."""
        assert self._evaluation is not None
        return tuple(self._evaluation.rows.codes_of(thought.row))

    @property
    def thinks(self) -> bool:
        """Whether thinking is enough, but for nominated Pods with affinity terms."""
        return self._evaluation is not None

    def remembered(self, row: NodeRow, find: Callable[[], T]) -> T:
        """See `Check.remembered`."""
        if self._memory is None or row.name == self._own:
            return find()
        found: T | None = self._memory.found.get(row.index)
        if found is None:
            found = self._memory.found[row.index] = find()
        return found
