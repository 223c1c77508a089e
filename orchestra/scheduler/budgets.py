"""PodDisruptionBudgets, as far as choosing victims reads them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from orchestra.api.codec import decode
from orchestra.api.policy import PodDisruptionBudget
from orchestra.api.selectors import Selector, label_selector
from orchestra.scheduler.podinfo import PodInfo


@attrs.frozen
class DisruptionBudget:
    """How many of the Pods that a selector matches may be evicted now; those in `disrupted` are counted already."""

    namespace: str
    name: str
    selector: Selector
    disruptions_allowed: int
    disrupted: frozenset[str] = frozenset()

    def covers(self, pod: PodInfo) -> bool:
        """Say whether evicting a Pod uses up this budget; an empty selector covers nothing."""
        if pod.namespace != self.namespace or self.selector.empty or not self.selector.matches(pod.labels):
            return False
        return pod.pod.metadata.name not in self.disrupted

    @classmethod
    def of(cls, budget: PodDisruptionBudget) -> DisruptionBudget:
        """Return what a PodDisruptionBudget says."""
        return cls(
            namespace=budget.metadata.namespace or "default",
            name=budget.metadata.name,
            selector=label_selector(budget.spec.selector),
            disruptions_allowed=budget.status.disruptions_allowed,
            disrupted=frozenset(budget.status.disrupted_pods),
        )

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> DisruptionBudget:
        """Return what one in wire form says. Raises DecodeError."""
        return cls.of(decode(document, PodDisruptionBudget))
