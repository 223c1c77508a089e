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

    def count(self, pod: PodInfo, sign: int) -> None:
        """Count what a Pod asks for: it comes (1) or goes (-1)."""
        requests, columns, used = pod.requests, self.columns, self.used
        for name, value in requests.amounts:
            used[columns[name]] += sign * value
        self.nonzero_cpu += sign * requests.nonzero_cpu
        self.nonzero_memory += sign * requests.nonzero_memory
        self.pod_count += sign
        for port in pod.ports:
            users = self.ports.get(port, 0) + sign
            if users:
                self.ports[port] = users
            else:
                del self.ports[port]
        self.amounts = 0

    def copy(self) -> NodeRow:
        """Return a row that can be changed without changing this one."""
        twin = NodeRow.__new__(NodeRow)
        for name in NodeRow.__slots__:
            setattr(twin, name, getattr(self, name))
        twin.used = self.used.copy()
        twin.pods = self.pods.copy()
        twin.ports = self.ports.copy()
        return twin
