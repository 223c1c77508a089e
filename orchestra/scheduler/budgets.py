"""PodDisruptionBudgets, as far as choosing victims reads them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

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
    def from_document(cls, document: Mapping[str, Any]) -> DisruptionBudget:
        """Return what a policy/v1 PodDisruptionBudget in wire form says."""
        meta, status = document["metadata"], document.get("status") or {}
        return cls(
            namespace=meta.get("namespace") or "default",
            name=meta["name"],
            selector=label_selector((document.get("spec") or {}).get("selector")),
            disruptions_allowed=int(status.get("disruptionsAllowed") or 0),
            disrupted=frozenset(status.get("disruptedPods") or ()),
        )
