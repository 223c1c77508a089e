"""The scheduling framework: its extension points, under the names that Kubernetes gives them.

A Pod passes them in this order: PreEnqueue and QueueSort while it waits; PreFilter, Filter and, when no node is left,
PostFilter; PreScore and Score with normalisation; Reserve and Permit; PreBind, Bind and PostBind. A plugin is a small
stateless class that has a `name` and the methods of the points it takes part in; nothing else makes it a plugin.
Whatever it wants to remember between the points of one cycle goes into the `CycleState`.

Points are vectorised: Filter answers for all nodes at once with a boolean array, Score with an int64 array.
`per_node` makes such a method from a function of one node:

    class AvoidSpot(Plugin):
        name = "AvoidSpot"
        node_local = True

        @per_node
        def filter(self, pod: PodInfo, node: NodeRow) -> str | None:
            return "gpu pods do not run on spot nodes" if node.labels.get("spot") else None
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from enum import StrEnum
from functools import wraps
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeAlias, TypeVar, runtime_checkable

import attrs
import numpy as np
from numpy.typing import NDArray

from orchestra.scheduler.events import EventHint

if TYPE_CHECKING:
    from orchestra.client.interface import Client
    from orchestra.scheduler.diagnosis import Diagnosis
    from orchestra.scheduler.noderow import NodeRow
    from orchestra.scheduler.nodetable import NodeTable
    from orchestra.scheduler.podinfo import PodInfo
    from orchestra.scheduler.trials import Check
    from orchestra.scheduler.view import Nodes

MAX_SCORE = 100
"""Normalised scores are from 0 to this; weights multiply it."""

MAX_PERMIT_WAIT_SECONDS = 15 * 60
"""Longest that Permit may keep a placed Pod waiting."""

Bools: TypeAlias = NDArray[np.bool_]
Ints: TypeAlias = NDArray[np.int64]


class Verdict(StrEnum):
    """What a plugin says of a Pod, or of a Pod on a node."""

    SUCCESS = "Success"
    UNSCHEDULABLE = "Unschedulable"
    """Not now; evicting Pods could help."""
    UNRESOLVABLE = "UnschedulableAndUnresolvable"
    """Not now, and evicting Pods cannot help."""
    WAIT = "Wait"
    SKIP = "Skip"
    ERROR = "Error"


@attrs.frozen
class Status:
    """A verdict with its reasons; `wait_seconds` goes with WAIT."""

    verdict: Verdict
    reasons: tuple[str, ...] = ()
    plugin: str = ""
    wait_seconds: float = 0.0

    @property
    def success(self) -> bool:
        """Whether the Pod goes on."""
        return self.verdict is Verdict.SUCCESS


SUCCESS = Status(Verdict.SUCCESS)
SKIP = Status(Verdict.SKIP)
"""From PreFilter or PreScore: this plugin's Filter or Score has nothing to say of this Pod."""


def unschedulable(*reasons: str, resolvable: bool = True) -> Status:
    """Return the verdict that refuses; `resolvable` says whether evicting Pods could help."""
    return Status(Verdict.UNSCHEDULABLE if resolvable else Verdict.UNRESOLVABLE, reasons)


@attrs.frozen
class OnlyNodes:
    """From PreFilter: no other nodes need to be looked at."""

    names: frozenset[str]


@attrs.frozen
class Rejection:
    """Why a node was refused; `resolvable` says whether evicting Pods from it could help."""

    reasons: tuple[str, ...]
    resolvable: bool = True


@attrs.frozen
class ByCode:
    """What codes mean: code n is the nth rejection; any other code is the last one."""

    rejections: tuple[Rejection, ...]

    def __call__(self, code: int) -> Rejection:
        """Return the rejection of a code."""
        return self.rejections[min(code, len(self.rejections)) - 1]


@attrs.frozen(eq=False)
class Rejections:
    """The answer of a Filter with reasons: code 0 lets a node pass, `explain` says what any other code means.

    Equal explanations must mean the same by every code: then answers for some rows can be put into older ones.
    """

    codes: Ints
    explain: Callable[[int], Rejection]


FilterResult: TypeAlias = "Rejections | Bools"
PreFilterResult: TypeAlias = "Status | OnlyNodes | None"


class CycleState:
    """What plugins remember from one point to a later one of the same Pod, by their own keys."""

    __slots__ = ("_data",)

    def __init__(self) -> None:
        self._data: dict[str, Any] = {}

    def read(self, key: str) -> Any:
        """Return what was written under `key`; raises KeyError when nothing was."""
        return self._data[key]

    def find(self, key: str) -> Any:
        """Return what was written under `key`; None when nothing was."""
        return self._data.get(key)

    def write(self, key: str, value: Any) -> None:
        """Remember `value` until the end of the cycle."""
        self._data[key] = value


class Plugin:
    """Base of plugins: who it is and what its answers depend on.

    `node_local`: what it says of a node depends on the Pod and that node alone, so only rows that changed are
    recomputed. `reads_pods`: its answers depend on the Pods that run on nodes, not only on the nodes' own fields.
    `core_shape_only`: it reads nothing of a Pod but what is in `PodInfo.core_shape`. `even_stays_even`: where all
    raw scores are equal, `normalize` gives the same score whichever nodes are left. `amounts_only`: of a row its
    functions for rows read nothing but amounts and the number of Pods: `alloc`, `used`, `nonzero_*`, `pod_*`.
    `skip_holds`: a Pod that its PreFilter skips it would skip as well if Pods were gone, or others had come that have
    no affinity terms.

    A plugin that can be told something is an attrs class: its fields are its arguments, checked against their types
    when a profile is read from a document. Where the arguments have another shape, `arguments` is an attrs class of
    theirs and `configured` makes a plugin of one.
    """

    name: ClassVar[str] = ""
    arguments: ClassVar[type[Any] | None] = None
    node_local: ClassVar[bool] = False
    reads_pods: ClassVar[bool] = True
    core_shape_only: ClassVar[bool] = False
    even_stays_even: ClassVar[bool] = False
    amounts_only: ClassVar[bool] = False
    skip_holds: ClassVar[bool] = False

    @classmethod
    def configured(cls, arguments: Any) -> Plugin:
        """Return a plugin with these `arguments`; `ValueError` says what is wrong with them."""
        raise NotImplementedError(f"{cls.__name__} declares `arguments` and must say what it makes of them")

    def shape_key(self, pod: PodInfo) -> Hashable:
        """Return what of the Pod the plugin reads: Pods with equal keys share its answers.

        It is not asked with `core_shape_only`. The default is everything but name, uid and status; what is in
        `PodInfo.core_shape` need not be repeated.
        """
        return (pod.pod.metadata.annotations, pod.pod.metadata.owner_references, pod.pod.spec)

    def fixed_key(self, _pod: PodInfo) -> Hashable:
        """Return all that a plugin which does not read Pods reads of a Pod; None: do not share its answers.

        Pods of different shapes with equal keys share them. PreScore is then told of all nodes instead of those that
        are left, and only `normalize` may depend on which are.
        """
        return None

    def pods_version(self, _state: CycleState, _pod: PodInfo, _table: NodeTable) -> Hashable:
        """Return what changes whenever Pods that come or go may change the plugin's answers for a Pod.

        Asked of plugins that read Pods and are not node-local, after they were asked about the Pod for the first time;
        while it stays equal they are not asked again, unless the feasible nodes changed. None: always ask again.
        """
        return None

    def events(self) -> tuple[EventHint, ...]:
        """Return the events that may help a Pod which this plugin refused; the default is any event."""
        return (EventHint.any(),)


@runtime_checkable
class PreEnqueuePlugin(Protocol):
    """Decides whether a Pod may be tried at all."""

    def pre_enqueue(self, pod: PodInfo, table: NodeTable) -> Status | None:
        """Return a refusal, or None; a Pod that was refused is asked about again after the plugin's `events`."""
        ...


@runtime_checkable
class QueueSortPlugin(Protocol):
    """Orders the Pods that wait; a profile has one."""

    def sort_key(self, pod: PodInfo, since_seconds: float) -> Any:
        """Return a comparable value, smaller ones first; `since_seconds` is when the Pod began to wait."""
        ...


@runtime_checkable
class PreFilterPlugin(Protocol):
    """Prepares Filter, narrows the nodes, or refuses the Pod outright."""

    def pre_filter(self, state: CycleState, pod: PodInfo, table: NodeTable) -> PreFilterResult:
        """Return None to go on, SKIP, `OnlyNodes`, or a refusal."""
        ...


@runtime_checkable
class FilterPlugin(Protocol):
    """Says which nodes can run the Pod."""

    def filter(self, state: CycleState, pod: PodInfo, nodes: Nodes) -> FilterResult:
        """Return a boolean array, True where the node passes, or codes with reasons."""
        ...


@runtime_checkable
class RowFilter(Protocol):
    """Extra power of a node-local Filter: answers for single rows without array operations."""

    def row_filter(self, state: CycleState, pod: PodInfo) -> Callable[[NodeRow], int]:
        """Return a function that gives a row the code that `filter` would give it."""
        ...


@attrs.frozen
class PostFilterResult:
    """What PostFilter achieved: the node that evicting `victims` makes room on (empty: none), and what to tell.

    `keep`: there is nothing new to do, as what was begun earlier is still under way.
    """

    node: str = ""
    victims: tuple[PodInfo, ...] = ()
    message: str = ""
    keep: bool = False


@runtime_checkable
class PostFilterPlugin(Protocol):
    """Tries to help a Pod that fits nowhere."""

    def post_filter(self, pod: PodInfo, table: NodeTable, diagnosis: Diagnosis, check: Check) -> PostFilterResult:
        """Return a nomination, or only a message; the table must be afterwards as it was before."""
        ...


@runtime_checkable
class PreScorePlugin(Protocol):
    """Prepares Score."""

    def pre_score(self, state: CycleState, pod: PodInfo, nodes: Nodes, feasible: Bools) -> Status | None:
        """Return SKIP when Score has nothing to say."""
        ...


@runtime_checkable
class ScorePlugin(Protocol):
    """Rates nodes: higher is better. Without `normalize` the scores must be from 0 to MAX_SCORE already."""

    def score(self, state: CycleState, pod: PodInfo, nodes: Nodes) -> Ints:
        """Return a score for each node."""
        ...


@runtime_checkable
class RowScore(Protocol):
    """Extra power of a node-local Score without `normalize`: answers for single rows without array operations."""

    def row_score(self, state: CycleState, pod: PodInfo) -> Callable[[NodeRow], int]:
        """Return a function that gives a row the score that `score` would give it."""
        ...


@runtime_checkable
class NormalizePlugin(Protocol):
    """Brings raw scores into the range from 0 to MAX_SCORE."""

    def normalize(self, state: CycleState, pod: PodInfo, scores: Ints, rows: NDArray[np.int64]) -> Ints:
        """Return the normalised scores of the feasible nodes, which stand at `rows` of the table."""
        ...


@runtime_checkable
class ReservePlugin(Protocol):
    """Told when a node is chosen, and when that comes to nothing."""

    def reserve(self, state: CycleState, pod: PodInfo, node: str) -> Status | None:
        """Set aside what the Pod needs; a refusal undoes the placement."""
        ...

    def unreserve(self, state: CycleState, pod: PodInfo, node: str) -> None:
        """Give back what `reserve` set aside; harmless when there is nothing."""
        ...


@runtime_checkable
class PermitPlugin(Protocol):
    """Last word before binding: approve, refuse, or wait."""

    def permit(self, state: CycleState, pod: PodInfo, node: str) -> Status | None:
        """Return None, a refusal, or WAIT with a bound in seconds."""
        ...


@runtime_checkable
class PreBindPlugin(Protocol):
    """Does what must be done before the Pod is bound."""

    async def pre_bind(self, client: Client, pod: PodInfo, node: str) -> Status | None:
        """Return a refusal, or None."""
        ...


@runtime_checkable
class BindPlugin(Protocol):
    """Binds; the first that does not say SKIP has done it."""

    async def bind(self, client: Client, pod: PodInfo, node: str) -> Status | None:
        """Bind the Pod to the node, or return SKIP; errors of the client may be raised."""
        ...


@runtime_checkable
class PostBindPlugin(Protocol):
    """Told that a Pod was bound."""

    def post_bind(self, pod: PodInfo, node: str) -> None:
        """Clean up."""
        ...


F = TypeVar("F", bound=Callable[..., Any])


def per_node(function: Callable[[Any, PodInfo, NodeRow], Any]) -> Any:
    """Make the array form of `filter` or `score` from a method that looks at one node.

    For a filter it returns True or None where the Pod may run, False or a reason where not; for a score a number.
    """
    is_filter = function.__name__ == "filter"

    @wraps(function)
    def over_nodes(self: Any, _state: CycleState, pod: PodInfo, nodes: Nodes) -> Any:
        answers = [function(self, pod, row) if row.node is not None else True for row in nodes.each()]
        if not is_filter:
            return np.array([int(answer) for answer in answers], dtype=np.int64)
        return _reasons_of(answers, f"node(s) didn't satisfy plugin {type(self).name}")

    return over_nodes


def _reasons_of(answers: list[Any], default: str) -> Rejections:
    """Return answers of a per-node filter as codes; equal reasons share one code."""
    known: dict[str, int] = {}
    codes = np.zeros(len(answers), dtype=np.int64)
    for index, answer in enumerate(answers):
        if answer is None or answer is True:
            continue
        reason = answer if isinstance(answer, str) else default
        codes[index] = known.setdefault(reason, len(known) + 1)
    return Rejections(codes, ByCode(tuple(Rejection((reason,)) for reason in known)))
