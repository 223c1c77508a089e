"""One node of the table as Python values: what decisions about a single row read."""

from __future__ import annotations

from collections.abc import Mapping

from orchestra.api.core.node import Node
from orchestra.api.frozen import ABSENT_MAP
from orchestra.scheduler.podinfo import HostPort, PodInfo


class NodeRow:
    """One node. `node` is None while only its Pods are known; `alloc` and `used` follow the resource `columns`.

    `amounts` is a number that rows with equal amounts and equal counts of Pods share; 0 while nobody has asked.
    """

    __slots__ = (
        "alloc",
        "amounts",
        "columns",
        "images",
        "index",
        "labels",
        "name",
        "node",
        "nonzero_cpu",
        "nonzero_memory",
        "pod_count",
        "pod_limit",
        "pods",
        "ports",
        "used",
    )

    def __init__(self, index: int, name: str, columns: dict[str, int]) -> None:
        self.index = index
        self.name = name
        self.columns = columns
        self.amounts = 0
        self.node: Node | None = None
        self.labels: Mapping[str, str] = ABSENT_MAP
        self.alloc = [0] * len(columns)
        self.used = [0] * len(columns)
        self.nonzero_cpu = 0
        self.nonzero_memory = 0
        self.pod_count = 0
        self.pod_limit = 0
        self.pods: dict[str, PodInfo] = {}
        self.ports: dict[HostPort, int] = {}
        self.images: dict[str, int] = {}
