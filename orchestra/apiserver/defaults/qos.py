"""A Pod's quality of service, from its document: guaranteed, burstable or best effort."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestra.api.quantity import Quantity

Document = Mapping[str, Any]
_COMPUTE = ("cpu", "memory")


def _nanos(amounts: Document | None, name: str) -> int:
    value = (amounts or {}).get(name)
    return Quantity(value).nanos if value else 0


def qos_class(spec: Document) -> str:
    """Return the class of a Pod with this spec. Source: Kubernetes, `ComputePodQOS`."""
    if spec.get("resources") is not None:
        holders = [spec]
    else:
        holders = [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]
    asked, guaranteed = False, True
    missing = [0] * len(_COMPUTE)
    for holder in holders:
        resources = holder.get("resources") or {}
        limits, requests = resources.get("limits"), resources.get("requests")
        for index, name in enumerate(_COMPUTE):
            limit, request = _nanos(limits, name), _nanos(requests, name)
            asked = asked or limit > 0 or request > 0
            guaranteed = guaranteed and limit > 0
            missing[index] += limit - request
    if not asked:
        return "BestEffort"
    return "Guaranteed" if guaranteed and not any(missing) else "Burstable"
