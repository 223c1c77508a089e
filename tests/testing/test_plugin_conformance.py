"""The conformance suite for plugins: it lets good ones pass and finds every broken promise."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from itertools import count
from typing import Any, ClassVar

import numpy as np
import pytest

from orchestra.errors import PluginError
from orchestra.scheduler import NodeRow, Plugin, PodInfo, per_node
from orchestra.scheduler.interface import Bools, ByCode, CycleState, Ints, Rejection, Rejections
from orchestra.scheduler.view import Nodes
from orchestra.testing import PluginConformance, Words, check_plugin

WORDS = Words(
    node_labels={"spot": ("true", None)},
    pod_labels={"kind": ("gpu", "web")},
    pod_annotations={"team": ("a", "b", None)},
)


class AvoidSpot(Plugin):
    name: ClassVar[str] = "AvoidSpot"
    node_local: ClassVar[bool] = True
    reads_pods: ClassVar[bool] = False

    @per_node
    def filter(self, pod: PodInfo, node: NodeRow) -> str | None:
        spot = pod.labels.get("kind") == "gpu" and node.labels.get("spot")
        return "gpu pods do not run on spot nodes" if spot else None


class TestAvoidSpot(PluginConformance):
    words = WORDS
    seeds = 8

    @pytest.fixture
    def plugin(self) -> Plugin:
        return AvoidSpot()


class _Local(Plugin):
    name: ClassVar[str] = "Mutant"
    node_local: ClassVar[bool] = True


class CountsCluster(_Local):
    """Says node_local, and looks at the whole cluster."""

    def score(self, _state: CycleState, _pod: PodInfo, nodes: Nodes) -> Ints:
        return np.full(nodes.count, min(int(nodes.table.pod_count.sum()), 100), dtype=np.int64)


class ReadsPods(_Local):
    """Says that Pods make no difference, and counts them."""

    reads_pods: ClassVar[bool] = False

    def score(self, _state: CycleState, _pod: PodInfo, nodes: Nodes) -> Ints:
        return np.minimum(nodes.pod_count, 100)


class Remembers(_Local):
    """Answers by how often it was asked."""

    def __init__(self) -> None:
        self._asked = count()

    def score(self, _state: CycleState, _pod: PodInfo, nodes: Nodes) -> Ints:
        return np.full(nodes.count, next(self._asked) % 100, dtype=np.int64)


class Writes(_Local):
    """Changes what it is shown."""

    def filter(self, _state: CycleState, _pod: PodInfo, nodes: Nodes) -> Bools:
        nodes.pod_limit[:] += 1
        return np.ones(nodes.count, dtype=np.bool_)


class BeyondTheScale(_Local):
    """Gives scores above 100."""

    def score(self, _state: CycleState, _pod: PodInfo, nodes: Nodes) -> Ints:
        return np.full(nodes.count, 101, dtype=np.int64)


class WithoutReason(_Local):
    """Refuses without a word."""

    def filter(self, _state: CycleState, _pod: PodInfo, nodes: Nodes) -> Rejections:
        return Rejections(np.ones(nodes.count, dtype=np.int64), ByCode((Rejection(("",)),)))


class WholeAlways(_Local):
    """Answers for all nodes when asked about some."""

    def filter(self, _state: CycleState, _pod: PodInfo, nodes: Nodes) -> Bools:
        return np.ones(nodes.table.size, dtype=np.bool_)


class Floats(_Local):
    """Gives scores that are no integers."""

    def score(self, _state: CycleState, _pod: PodInfo, nodes: Nodes) -> Any:
        return np.full(nodes.count, np.nan)


class OtherRows(_Local):
    """Says something else of a row than of the array."""

    def filter(self, _state: CycleState, pod: PodInfo, nodes: Nodes) -> Bools:
        return nodes.pod_count < 3 if pod.labels.get("kind") == "gpu" else np.ones(nodes.count, dtype=np.bool_)

    def row_filter(self, _state: CycleState, _pod: PodInfo) -> Callable[[NodeRow], int]:
        return lambda _row: 0


class HidesAnnotation(_Local):
    """Reads an annotation that its shape key does not name."""

    def shape_key(self, _pod: PodInfo) -> Hashable:
        return None

    @per_node
    def score(self, pod: PodInfo, _node: NodeRow) -> int:
        return {"a": 10, "b": 20}.get(pod.pod.metadata.annotations.get("team", ""), 0)


class StaleVersion(Plugin):
    """Counts the Pods of the whole cluster, and says that nothing of it ever changes."""

    name: ClassVar[str] = "Mutant"

    def pods_version(self, _state: CycleState, _pod: PodInfo, _table: object) -> Hashable:
        return 1

    def score(self, _state: CycleState, _pod: PodInfo, nodes: Nodes) -> Ints:
        total = int(nodes.table.pod_count.sum())
        return np.arange(nodes.count, dtype=np.int64) * total % 101


@pytest.mark.parametrize(
    ("mutant", "complaint"),
    [
        (CountsCluster, "it is not node_local"),
        (ReadsPods, "it says reads_pods = False, and Pods on nodes change its answers"),
        (Remembers, "it is not stateless"),
        (Writes, "it writes to the column pod_limit"),
        (WithoutReason, "is refused for"),
        (OtherRows, "row_filter gives other codes than filter"),
        (HidesAnnotation, "have one shape and different answers: see shape_key"),
        (StaleVersion, "are not those from scratch"),
    ],
)
def test_a_broken_promise_is_found_and_named(mutant: type[Plugin], complaint: str) -> None:
    with pytest.raises(pytest.fail.Exception, match=complaint) as caught:
        check_plugin(mutant(), WORDS)
    assert "plugin Mutant: " in str(caught.value)
    assert "cluster of seed" in str(caught.value)


@pytest.mark.parametrize(
    ("mutant", "complaint"),
    [(WholeAlways, "shape"), (Floats, "float64 from Score"), (BeyondTheScale, "from 101 to 101, wanted 0 to 100")],
)
def test_an_answer_of_the_wrong_shape_type_or_scale_is_the_error_that_a_cycle_reports(
    mutant: type[Plugin], complaint: str
) -> None:
    with pytest.raises(PluginError, match=complaint):
        check_plugin(mutant(), WORDS)
