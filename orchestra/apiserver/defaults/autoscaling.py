"""Defaults of HorizontalPodAutoscalers. Source: autoscaling/v2 defaults of Kubernetes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from orchestra.apiserver.defaults.canonical import canonical
from orchestra.apiserver.defaults.prepare import only_status
from orchestra.apiserver.defaults.workloads import filled

Document = dict[str, Any]
CPU_PERCENT: Final = 80
_CPU: Final = {
    "type": "Resource",
    "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": CPU_PERCENT}},
}
_EVERYTHING: Final = {"type": "Percent", "value": 100, "periodSeconds": 15}
_RULES: Final[Mapping[str, Mapping[str, Any]]] = {
    "scaleUp": {
        "stabilizationWindowSeconds": 0,
        "selectPolicy": "Max",
        "policies": [{"type": "Pods", "value": 4, "periodSeconds": 15}, _EVERYTHING],
    },
    "scaleDown": {"selectPolicy": "Max", "policies": [_EVERYTHING]},
}
"""How fast to scale where the writer does not say; how long to wait before scaling down is the controller's to know."""


def default_autoscaler(document: Document) -> Document:
    """Return an autoscaler with a lower bound, a metric and its speeds filled in."""
    from orchestra.api.autoscaling_v2 import HorizontalPodAutoscaler

    given = (document.get("spec") or {}).get("behavior")
    document = canonical(document, HorizontalPodAutoscaler)
    spec = filled(document.get("spec") or {}, {"minReplicas": 1})
    if not spec.get("metrics"):
        spec = {**spec, "metrics": [_CPU]}
    if given is not None:
        behavior = _behavior(spec.get("behavior") or {}, given)
        if behavior != spec.get("behavior"):
            spec = {**spec, "behavior": behavior}
    return document if spec is document.get("spec") else {**document, "spec": spec}


def _behavior(behavior: Mapping[str, Any], given: Mapping[str, Any]) -> Document:
    result = dict(behavior)
    for direction, defaults in _RULES.items():
        rules = behavior.get(direction) or {}
        if (given.get(direction) or {}).get("policies") == []:
            # An empty list is not an absent one: it is refused, for nothing would ever change.
            rules = {**rules, "policies": []}
        result[direction] = filled(rules, defaults)
    return result


def update_autoscaler_status(new: Document, old: Document) -> Document:
    """Return an update of an autoscaler's status."""
    return default_autoscaler(only_status(new, old))
