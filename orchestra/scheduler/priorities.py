"""What priority classes stand for, where no server has given Pods their numbers: in a harness, and in what-if. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import attrs

from orchestra.api.core.pod import Pod
from orchestra.api.scheduling import PriorityClass

SYSTEM_PRIORITIES: Final = {"system-cluster-critical": 2_000_000_000, "system-node-critical": 2_000_001_000}
"""The classes that every Kubernetes has."""


class Priorities:
    """The numbers of priority classes, by name, and of Pods that name none."""

    def __init__(self, classes: Iterable[PriorityClass] = ()) -> None:
        self._values = dict(SYSTEM_PRIORITIES)
        self._usual = 0
        for known in classes:
            self.add(known)

    def add(self, known: PriorityClass) -> None:
        """Take in a class."""
        self._values[known.metadata.name] = known.value
        if known.global_default:
            self._usual = known.value

    def given_to(self, pod: Pod) -> Pod:
        """Return the Pod with a priority: its own, else that of its class, else the usual one."""
        if pod.spec.priority is not None:
            return pod
        priority = self._values.get(pod.spec.priority_class_name or "", self._usual)
        return pod if not priority else attrs.evolve(pod, spec=attrs.evolve(pod.spec, priority=priority))
