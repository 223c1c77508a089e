"""What a LimitRange gives to containers and asks of containers, Pods and claims, as pure functions.

Source: the admission plugin LimitRanger, and its words.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from orchestra.api.quantity import Quantity
from orchestra.api.rules.resources import pod_limits, pod_requests
from orchestra.apiserver.defaults.qos import qos_class

Document = dict[str, Any]
Amounts = Mapping[str, Quantity]
ANNOTATION: Final = "kubernetes.io/limit-ranger"
_ZERO: Final = Quantity("0")
_CONTAINERS: Final = (("containers", "container"), ("initContainers", "init container"))


def with_defaults(pod: Document, ranges: Iterable[Document]) -> Document:
    """Return a new Pod whose containers have the requests and limits that they leave open, as LimitRanges say."""
    given = pod
    for each in ranges:
        pod = _with_defaults_of(pod, each)
    if pod is given:
        return pod
    return {**pod, "status": {**(pod.get("status") or {}), "qosClass": qos_class(pod.get("spec") or {})}}


def _with_defaults_of(pod: Document, limit_range: Document) -> Document:
    requests: dict[str, Any] = {}
    limits: dict[str, Any] = {}
    for item in _items(limit_range, "Container"):
        requests |= item.get("defaultRequest") or {}
        limits |= item.get("default") or {}
    spec, told = dict(pod.get("spec") or {}), []
    for field, shown in _CONTAINERS:
        containers = []
        for container in spec.get(field) or ():
            filled = container
            for part, defaults, word in (("requests", requests, "request"), ("limits", limits, "limit")):
                has = (filled.get("resources") or {}).get(part) or {}
                missing = {name: defaults[name] for name in sorted(defaults) if name not in has}
                if missing:
                    resources = {**(filled.get("resources") or {}), part: {**has, **missing}}
                    filled = {**filled, "resources": resources}
                    told.append(f"{', '.join(missing)} {word} for {shown} {container.get('name')}")
            containers.append(filled)
        if containers:
            spec[field] = containers
    if not told:
        return pod
    meta = pod.get("metadata") or {}
    annotations = {**(meta.get("annotations") or {}), ANNOTATION: f"LimitRanger plugin set: {'; '.join(told)}"}
    return {**pod, "metadata": {**meta, "annotations": annotations}, "spec": spec}


def _items(limit_range: Document, kind: str) -> list[Document]:
    return [each for each in (limit_range.get("spec") or {}).get("limits") or () if each.get("type") == kind]


def pod_faults(document: Document, pod: Any, limit_range: Document) -> list[str]:
    """Return how a Pod is outside a LimitRange; `pod` is its typed view."""
    faults: list[str] = []
    for item in (limit_range.get("spec") or {}).get("limits") or ():
        if item.get("type") == "Container":
            for field, _ in _CONTAINERS:
                for container in (document.get("spec") or {}).get(field) or ():
                    resources = container.get("resources") or {}
                    asked, limits = _amounts(resources.get("requests")), _amounts(resources.get("limits"))
                    faults += _faults(item, "Container", asked, limits)
        elif item.get("type") == "Pod":
            faults += _faults(item, "Pod", pod_requests(pod), pod_limits(pod))
    return list(dict.fromkeys(faults))


def claim_faults(document: Document, limit_range: Document) -> list[str]:
    """Return how a claim is outside a LimitRange."""
    asked = _amounts(((document.get("spec") or {}).get("resources") or {}).get("requests"))
    faults: list[str] = []
    for item in _items(limit_range, "PersistentVolumeClaim"):
        for name, least in sorted(_amounts(item.get("min")).items()):
            faults += _below(name, "PersistentVolumeClaim", least, asked, {})
        for name, most in sorted(_amounts(item.get("max")).items()):
            text = f"maximum {name} usage per PersistentVolumeClaim is {most}"
            if name not in asked:
                faults.append(f"{text}.  No request is specified")
            elif asked[name] > most:
                faults.append(f"{text}, but request is {asked[name]}")
    return list(dict.fromkeys(faults))


def _amounts(given: Mapping[str, Any] | None) -> dict[str, Quantity]:
    return {name: Quantity(value) for name, value in (given or {}).items()}


def _faults(item: Document, kind: str, requests: Amounts, limits: Amounts) -> list[str]:
    faults: list[str] = []
    for name, least in sorted(_amounts(item.get("min")).items()):
        faults += _below(name, kind, least, requests, limits)
    for name, most in sorted(_amounts(item.get("max")).items()):
        text = f"maximum {name} usage per {kind} is {most}"
        if name not in limits:
            faults.append(f"{text}.  No limit is specified")
        elif limits[name] > most:
            faults.append(f"{text}, but limit is {limits[name]}")
        elif name in requests and requests[name] > most:
            faults.append(f"{text}, but request is {requests[name]}")
    for name, ratio in sorted(_amounts(item.get("maxLimitRequestRatio")).items()):
        faults += _beyond(name, kind, ratio, requests, limits)
    return faults


def _below(name: str, kind: str, least: Quantity, requests: Amounts, limits: Amounts) -> Sequence[str]:
    text = f"minimum {name} usage per {kind} is {least}"
    if name not in requests:
        return (f"{text}.  No request is specified",)
    if requests[name] < least:
        return (f"{text}, but request is {requests[name]}",)
    if name in limits and limits[name] < least:
        return (f"{text}, but limit is {limits[name]}",)
    return ()


def _beyond(name: str, kind: str, ratio: Quantity, requests: Amounts, limits: Amounts) -> Sequence[str]:
    text = f"{name} max limit to request ratio per {kind} is {ratio}, but"
    request, limit = requests.get(name, _ZERO), limits.get(name, _ZERO)
    if not request:
        return (f"{text} no request is specified or request is 0",)
    if not limit:
        return (f"{text} no limit is specified or limit is 0",)
    actual = limit.nanos / request.nanos
    return (f"{text} provided ratio is {actual:f}",) if actual * 1000 > ratio.milli_value() else ()
