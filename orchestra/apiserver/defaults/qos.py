"""A Pod's quality of service, from its document: guaranteed, burstable or best effort."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestra.api.quantity import Quantity

Document = Mapping[str, Any]
_COMPUTE = ("cpu", "memory")


def qos_class(spec: Document) -> str:
    """Return the class of a Pod with this spec. Source: Kubernetes, `ComputePodQOS`."""
    if spec.get("resources") is not None:
        holders = [spec]
    else:
        holders = [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]
    asked, guaranteed = False, True
    sums: dict[str, dict[str, Quantity]] = {"requests": {}, "limits": {}}
    for holder in holders:
        resources = holder.get("resources") or {}
        limited = 0
        for kind in ("requests", "limits"):
            for name in _COMPUTE:
                amount = Quantity((resources.get(kind) or {}).get(name) or "0")
                if amount > Quantity("0"):
                    asked = True
                    limited += kind == "limits"
                    sums[kind][name] = sums[kind].get(name, Quantity("0")) + amount
        guaranteed = guaranteed and limited == len(_COMPUTE)
    if not asked:
        return "BestEffort"
    requests, limits = sums["requests"], sums["limits"]
    equal = len(requests) == len(limits) and all(limits.get(name) == amount for name, amount in requests.items())
    return "Guaranteed" if guaranteed and equal else "Burstable"
