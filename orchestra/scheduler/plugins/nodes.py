"""Plugins that look at a node's own fields: name, unschedulable, taints, labels, ports, images."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, ClassVar, Final

import attrs
import numpy as np
from numpy.typing import NDArray

from orchestra.api.core.node import Taint
from orchestra.api.rules.taints import untolerated
from orchestra.scheduler.arguments import NodeAffinityArgs
from orchestra.scheduler.events import Action, ClusterEvent, EventHint, Resource
from orchestra.scheduler.interface import (
    MAX_SCORE,
    SKIP,
    Bools,
    ByCode,
    CycleState,
    Ints,
    OnlyNodes,
    Plugin,
    PreFilterResult,
    Rejection,
    Rejections,
    Status,
    unschedulable,
)
from orchestra.scheduler.noderow import NodeRow
from orchestra.scheduler.nodetable import NodeTable
from orchestra.scheduler.podinfo import ALL_ADDRESSES, PodInfo
from orchestra.scheduler.selecting import required_mask, term_mask, terms_mask, tolerated_mask
from orchestra.scheduler.view import Nodes

if TYPE_CHECKING:
    from orchestra.api.core.affinity import NodeSelectorTerm

UNSCHEDULABLE_TAINT: Final = Taint(key="node.kubernetes.io/unschedulable", effect="NoSchedule")


def refuse_where(passes: Bools, reason: str, *, resolvable: bool = False) -> Rejections:
    """Return the answer of a filter that has one reason."""
    return Rejections((~passes).astype(np.int64), ByCode((Rejection((reason,), resolvable),)))


def scaled_to_maximum(scores: Ints, *, reverse: bool = False) -> Ints:
    """Scale scores so that the highest becomes MAX_SCORE, or 0 with `reverse`.

    Source: kube-scheduler DefaultNormalizeScore.
    """
    highest = int(scores.max(initial=0))
    if not highest:
        return np.full(len(scores), MAX_SCORE, dtype=np.int64) if reverse else scores
    scaled = scores * MAX_SCORE // highest
    return MAX_SCORE - scaled if reverse else scaled


class _OfNodeAlone(Plugin):
    """Reads only the node's own fields, and of the Pod only what every shape holds."""

    node_local: ClassVar[bool] = True
    reads_pods: ClassVar[bool] = False
    even_stays_even: ClassVar[bool] = True


@attrs.frozen
class NodeName(_OfNodeAlone):
    """Refuses every node but the one that the Pod names."""

    name: ClassVar[str] = "NodeName"
    core_shape_only: ClassVar[bool] = True

    def pre_filter(self, _state: CycleState, pod: PodInfo, _table: NodeTable) -> PreFilterResult:
        """Skip Pods that name none."""
        return None if pod.pod.spec.node_name else SKIP

    def filter(self, _state: CycleState, pod: PodInfo, nodes: Nodes) -> Rejections:
        """Let the named node pass."""
        row = nodes.table.by_name.get(pod.pod.spec.node_name or "")
        passes = nodes.among(() if row is None else (row.index,))
        return refuse_where(passes, "node(s) didn't match the requested node name")

    def fixed_key(self, pod: PodInfo) -> Hashable:
        """Return the node's name."""
        return pod.pod.spec.node_name or ""

    def events(self) -> tuple[EventHint, ...]:
        """The node may come."""
        return (EventHint(Resource.NODE, Action.ADD, lambda pod, e: e.new.metadata.name == pod.pod.spec.node_name),)


@attrs.frozen
class NodeUnschedulable(_OfNodeAlone):
    """Refuses nodes with `spec.unschedulable`, unless the Pod tolerates the taint that stands for it."""

    name: ClassVar[str] = "NodeUnschedulable"
    core_shape_only: ClassVar[bool] = True

    def filter(self, _state: CycleState, pod: PodInfo, nodes: Nodes) -> Rejections:
        """Refuse cordoned nodes."""
        passes = ~nodes.unschedulable
        if not passes.all() and untolerated((UNSCHEDULABLE_TAINT,), pod.tolerations) is None:
            passes = np.ones(nodes.count, dtype=np.bool_)
        return refuse_where(passes, "node(s) were unschedulable")

    def fixed_key(self, pod: PodInfo) -> Hashable:
        """Return the tolerations."""
        return pod.tolerations

    def events(self) -> tuple[EventHint, ...]:
        """A node that comes, or takes Pods again."""
        kinds = Action.ADD | Action.UPDATE_TAINT
        return (EventHint(Resource.NODE, kinds, lambda _pod, event: not event.new.spec.unschedulable),)


@attrs.frozen
class TaintToleration(_OfNodeAlone):
    """Refuses nodes with taints that the Pod does not tolerate; prefers those with fewer PreferNoSchedule ones."""

    name: ClassVar[str] = "TaintToleration"
    core_shape_only: ClassVar[bool] = True

    def filter(self, _state: CycleState, pod: PodInfo, nodes: Nodes) -> Rejections:
        """Refuse nodes with an untolerated NoSchedule or NoExecute taint."""
        return refuse_where(tolerated_mask(nodes, pod), "node(s) had untolerated taint(s)")

    def score(self, _state: CycleState, pod: PodInfo, nodes: Nodes) -> Ints:
        """Count the PreferNoSchedule taints that are not tolerated."""
        soft = tuple(t for t in pod.tolerations if t.effect in (None, "", "PreferNoSchedule"))
        by_set = [
            sum(untolerated((taint,), soft, ("PreferNoSchedule",)) is not None for taint in taints)
            for taints in nodes.taint_sets
        ]
        return np.array(by_set, dtype=np.int64)[nodes.taint_set]

    def normalize(self, _state: CycleState, _pod: PodInfo, scores: Ints, _rows: NDArray[np.int64]) -> Ints:
        """The fewer the better."""
        return scaled_to_maximum(scores, reverse=True)

    def fixed_key(self, pod: PodInfo) -> Hashable:
        """Return the tolerations."""
        return pod.tolerations

    def events(self) -> tuple[EventHint, ...]:
        """A node whose taints the Pod tolerates."""
        return (
            EventHint(Resource.NODE, Action.ADD | Action.UPDATE_TAINT, _taints_tolerated),
            EventHint(Resource.UNSCHEDULED_POD, Action.UPDATE_TOLERATION),
        )


def _taints_tolerated(pod: PodInfo, event: ClusterEvent) -> bool:
    return untolerated(event.new.spec.taints, pod.tolerations) is None


_NOT_ENFORCED: Final = 1
_NOT_WANTED: Final = 2
_NODE_AFFINITY: Final = ByCode(
    (
        Rejection(("node(s) didn't match scheduler-enforced node affinity",), resolvable=False),
        Rejection(("node(s) didn't match Pod's node affinity/selector",), resolvable=False),
    )
)


@attrs.frozen
class NodeAffinity(_OfNodeAlone):
    """Refuses nodes that nodeSelector and required node affinity rule out; prefers those that the Pod wishes for.

    `added_terms` and `added_wishes` are the profile's: they hold for every Pod, beside its own.
    """

    arguments: ClassVar[type[NodeAffinityArgs]] = NodeAffinityArgs
    name: ClassVar[str] = "NodeAffinity"
    core_shape_only: ClassVar[bool] = True
    added_terms: tuple[NodeSelectorTerm, ...] | None = None
    added_wishes: tuple[tuple[int, NodeSelectorTerm], ...] = ()

    @classmethod
    def configured(cls, arguments: NodeAffinityArgs) -> NodeAffinity:
        """Return the plugin with a profile's arguments."""
        added = arguments.added_affinity
        if added is None:
            return cls()
        required = added.required_during_scheduling_ignored_during_execution
        wishes = added.preferred_during_scheduling_ignored_during_execution
        return cls(
            None if required is None else required.node_selector_terms,
            tuple((wish.weight, wish.preference) for wish in wishes if wish.weight),
        )

    def pre_filter(self, _state: CycleState, pod: PodInfo, _table: NodeTable) -> PreFilterResult:
        """Skip Pods without requirements; narrow the nodes when every term gives names."""
        if not pod.pod.spec.node_selector and pod.required_node_terms is None and self.added_terms is None:
            return SKIP
        names = pod.node_names
        if names is None:
            return None
        return OnlyNodes(names) if names else unschedulable("pod affinity terms conflict", resolvable=False)

    def filter(self, _state: CycleState, pod: PodInfo, nodes: Nodes) -> Rejections:
        """Refuse nodes that do not match what the profile adds, or what the Pod requires."""
        codes = np.where(required_mask(nodes, pod), 0, _NOT_WANTED)
        if self.added_terms is not None:
            codes = np.where(terms_mask(nodes, self.added_terms), codes, _NOT_ENFORCED)
        return Rejections(codes.astype(np.int64), _NODE_AFFINITY)

    def pre_score(self, _state: CycleState, pod: PodInfo, _nodes: Nodes, _feasible: Bools) -> Status | None:
        """Skip Pods without wishes."""
        return None if pod.preferred_node_terms or self.added_wishes else SKIP

    def score(self, _state: CycleState, pod: PodInfo, nodes: Nodes) -> Ints:
        """Add up the weights of the wishes that a node fulfils."""
        total = np.zeros(nodes.count, dtype=np.int64)
        for weight, term in (*self.added_wishes, *pod.preferred_node_terms):
            total += np.where(term_mask(nodes, term), weight, 0)
        return total

    def normalize(self, _state: CycleState, _pod: PodInfo, scores: Ints, _rows: NDArray[np.int64]) -> Ints:
        """The more the better."""
        return scaled_to_maximum(scores)

    def fixed_key(self, pod: PodInfo) -> Hashable:
        """Return the selector and the terms."""
        affinity = pod.pod.spec.affinity
        return pod.pod.spec.node_selector, None if affinity is None else affinity.node_affinity

    def events(self) -> tuple[EventHint, ...]:
        """A node that comes, or gets other labels."""
        return (EventHint(Resource.NODE, Action.ADD | Action.UPDATE_LABEL),)


@attrs.frozen
class NodePorts(Plugin):
    """Refuses nodes where another Pod has one of the host ports that the Pod asks for."""

    name: ClassVar[str] = "NodePorts"
    core_shape_only: ClassVar[bool] = True
    node_local: ClassVar[bool] = True

    def pre_filter(self, _state: CycleState, pod: PodInfo, _table: NodeTable) -> PreFilterResult:
        """Skip Pods without host ports."""
        return None if pod.ports else SKIP

    def filter(self, _state: CycleState, pod: PodInfo, nodes: Nodes) -> Rejections:
        """Refuse nodes where a port is taken, on the same address or on all."""
        taken: set[int] = set()
        for address, protocol, number in pod.ports:
            for row, addresses in nodes.table.port_users.get((protocol, number), {}).items():
                if address == ALL_ADDRESSES or ALL_ADDRESSES in addresses or address in addresses:
                    taken.add(row)
        reason = "node(s) didn't have free ports for the requested pod ports"
        return refuse_where(~nodes.among(taken), reason, resolvable=True)

    def row_filter(self, _state: CycleState, pod: PodInfo) -> Callable[[NodeRow], int]:
        """Do what `filter` does, row by row."""
        wanted = pod.ports

        def answer(row: NodeRow) -> int:
            for address, protocol, number in wanted:
                for other, other_protocol, other_number in row.ports:
                    if (protocol, number) == (other_protocol, other_number) and (
                        address == other or ALL_ADDRESSES in (address, other)
                    ):
                        return 1
            return 0

        return answer

    def events(self) -> tuple[EventHint, ...]:
        """A Pod with one of the ports goes, or a node comes."""
        return (
            EventHint(Resource.ASSIGNED_POD, Action.DELETE, _shares_port),
            EventHint(Resource.NODE, Action.ADD),
        )


def _shares_port(pod: PodInfo, event: ClusterEvent) -> bool:
    wanted = {(protocol, number) for _, protocol, number in pod.ports}
    return any((protocol, number) in wanted for _, protocol, number in PodInfo(event.old).ports)


_MB: Final = 1024 * 1024
MIN_IMAGE_BYTES: Final = 23 * _MB
MAX_IMAGE_BYTES_PER_CONTAINER: Final = 1000 * _MB


@attrs.frozen
class ImageLocality(Plugin):
    """Prefers nodes that have the Pod's images; an image counts by its size and by the share of nodes that have it."""

    name: ClassVar[str] = "ImageLocality"
    core_shape_only: ClassVar[bool] = True
    reads_pods: ClassVar[bool] = False

    def fixed_key(self, pod: PodInfo) -> Hashable:
        """Return the images."""
        return pod.images

    def score(self, _state: CycleState, pod: PodInfo, nodes: Nodes) -> Ints:
        """Rate between the thresholds of a small image and of large ones."""
        table = nodes.table
        total = np.zeros(table.size, dtype=np.int64)
        for image in pod.images:
            users = table.image_nodes.get(image, {})
            spread = len(users) / table.node_count if users else 0.0
            for row, size_bytes in users.items():
                total[row] += int(size_bytes * spread)
        highest = MAX_IMAGE_BYTES_PER_CONTAINER * max(len(pod.images), 1)
        clipped = np.clip(total, MIN_IMAGE_BYTES, highest)
        scores: Ints = MAX_SCORE * (clipped - MIN_IMAGE_BYTES) // (highest - MIN_IMAGE_BYTES)
        return scores if nodes.rows is None else scores[nodes.rows]
