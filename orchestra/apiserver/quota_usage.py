"""What an object uses of a ResourceQuota, which quotas it is counted by, and whether it fits: pure functions.

Source: Kubernetes' quota evaluators (pkg/quota/v1/evaluator/core), and the admission plugin ResourceQuota with its
words.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from orchestra.api.object import ResourceInfo
from orchestra.api.quantity import Quantity
from orchestra.api.rules.resources import pod_limits, pod_requests
from orchestra.apiserver.defaults.qos import qos_class
from orchestra.apiserver.validation.resources import HUGE_PAGES, is_extended

Document = dict[str, Any]
Usage = dict[str, Quantity]
ONE: Final = Quantity("1")
ZERO: Final = Quantity("0")
IGNORED: Final = frozenset({"Event", "Binding", "Eviction.policy", "Scale.autoscaling"})
_PLAIN: Final = ("cpu", "memory", "ephemeral-storage")
_EXPLICIT: Final = ("cpu", "limits.cpu", "limits.memory", "memory", "requests.cpu", "requests.memory")
"""What each container must say for itself where a quota bounds it."""

_OLD_NAMES: Final = frozenset(["configmaps", "resourcequotas", "replicationcontrollers", "secrets"])
_CLASS: Final = ".storageclass.storage.k8s.io/"


class ExceededError(Exception):
    """An object does not fit into a quota; the text says why."""


def is_charged(info: ResourceInfo, *, creates: bool, subresource: str) -> bool:
    """Say whether a write can change what is used: most objects count when they are made, some when they grow."""
    if info.group_kind in IGNORED or not info.namespaced:
        return False
    if info.group_kind == "Pod":
        return creates if subresource == "" else subresource == "resize" and not creates
    if info.group_kind in ("Service", "PersistentVolumeClaim"):
        return subresource == ""
    return creates and subresource == ""


def usage(info: ResourceInfo, document: Document, typed: Callable[[Document], Any]) -> Usage:
    """Return what an object uses, by the names of quotas; `typed` decodes a Pod."""
    used: Usage = {f"count/{info.group_resource}": ONE}
    if info.group_kind == "Pod":
        if (document.get("status") or {}).get("phase") not in ("Succeeded", "Failed"):
            pod = typed(document)
            used |= _compute(pod_requests(pod), pod_limits(pod))
    elif info.group_kind == "Service":
        used |= _of_service(document.get("spec") or {})
    elif info.group_kind == "PersistentVolumeClaim":
        used |= _of_claim(document)
    elif not info.group and info.plural in _OLD_NAMES:
        used[info.plural] = ONE
    return used


def _compute(requests: Mapping[str, Quantity], limits: Mapping[str, Quantity]) -> Usage:
    used: Usage = {"pods": ONE}
    for name in _PLAIN:
        if name in requests:
            used[name] = used[f"requests.{name}"] = requests[name]
        if name in limits:
            used[f"limits.{name}"] = limits[name]
    for name, amount in requests.items():
        if name.startswith(HUGE_PAGES):
            used[name] = used[f"requests.{name}"] = amount
        elif is_extended(name):
            used[f"requests.{name}"] = amount
    return used


def _of_service(spec: Document) -> Usage:
    ports, balanced = spec.get("ports") or (), spec.get("type") == "LoadBalancer"
    numbered = 0
    if balanced and spec.get("allocateLoadBalancerNodePorts") is False:
        numbered = sum(bool(port.get("nodePort")) for port in ports)
    elif balanced or spec.get("type") == "NodePort":
        numbered = len(ports)
    return {
        "services": ONE,
        "services.nodeports": Quantity(str(numbered)),
        "services.loadbalancers": ONE if balanced else ZERO,
    }


def _of_claim(document: Document) -> Usage:
    spec = document.get("spec") or {}
    used = {"persistentvolumeclaims": ONE}
    asked = ((spec.get("resources") or {}).get("requests") or {}).get("storage")
    if asked is not None:
        used["requests.storage"] = Quantity(asked)
    name = spec.get("storageClassName")
    if name:
        used |= {f"{name}{_CLASS}{resource}": amount for resource, amount in used.items()}
    return used


def counted_by(quota: Document, info: ResourceInfo, document: Document, used: Usage) -> list[str]:
    """Return the resources of a quota that an object is counted by; none when the quota is not about it."""
    hard = [name for name in (quota.get("status") or {}).get("hard") or () if _is_about(info, name, used)]
    if not hard or not all(_in_scope(info, document, each) for each in _scopes(quota.get("spec") or {})):
        return []
    return sorted(hard)


def _is_about(info: ResourceInfo, name: str, used: Usage) -> bool:
    if name in used:
        return True
    if info.group_kind == "Pod":
        plain = name.removeprefix("requests.").removeprefix("limits.")
        return plain in _PLAIN or plain.startswith(HUGE_PAGES) or name == "pods" or is_extended(plain)
    return False


def _scopes(spec: Document) -> Iterable[Document]:
    for scope in spec.get("scopes") or ():
        yield {"scopeName": scope, "operator": "Exists"}
    yield from (spec.get("scopeSelector") or {}).get("matchExpressions") or ()


def _in_scope(info: ResourceInfo, document: Document, requirement: Document) -> bool:
    spec, scope = document.get("spec") or {}, requirement.get("scopeName")
    if info.group_kind == "PersistentVolumeClaim":
        return scope == "VolumeAttributesClass" and _selected(spec.get("volumeAttributesClassName"), requirement)
    if info.group_kind != "Pod":
        return False
    if scope in ("Terminating", "NotTerminating"):
        return (spec.get("activeDeadlineSeconds") is not None) is (scope == "Terminating")
    if scope in ("BestEffort", "NotBestEffort"):
        return (qos_class(spec) == "BestEffort") is (scope == "BestEffort")
    if scope == "PriorityClass":
        return _selected(spec.get("priorityClassName"), requirement)
    return scope == "CrossNamespacePodAffinity" and _crosses(spec.get("affinity") or {})


def _selected(value: str | None, requirement: Document) -> bool:
    operator, values = requirement.get("operator"), requirement.get("values") or ()
    if operator == "In":
        return bool(value) and value in values
    if operator == "NotIn":
        return not value or value not in values
    return bool(value) is (operator == "Exists")


def _crosses(affinity: Document) -> bool:
    for kind in ("podAffinity", "podAntiAffinity"):
        part = affinity.get(kind) or {}
        terms = list(part.get("requiredDuringSchedulingIgnoredDuringExecution") or ())
        preferred = part.get("preferredDuringSchedulingIgnoredDuringExecution") or ()
        terms += [each.get("podAffinityTerm") or {} for each in preferred]
        if any(term.get("namespaces") or term.get("namespaceSelector") is not None for term in terms):
            return True
    return False


def missing(document: Document, required: Iterable[str]) -> str:
    """Return what the containers of a Pod must say and do not; empty when they say it, or the Pod does as a whole."""
    spec, names = document.get("spec") or {}, set(required)
    silent: dict[str, set[str]] = {}
    whole = _said(spec.get("resources") or {})
    for container in (*(spec.get("containers") or ()), *(spec.get("initContainers") or ())):
        said = _said(container.get("resources") or {}) | whole
        for name in _EXPLICIT:
            if name in names and name not in said:
                silent.setdefault(name, set()).add(container.get("name") or "")
    if not silent:
        return ""
    return "must specify " + "; ".join(f"{name} for: {','.join(sorted(silent[name]))}" for name in sorted(silent))


def _said(resources: Document) -> set[str]:
    asked, limits = resources.get("requests") or {}, resources.get("limits") or {}
    return {*asked, *(f"requests.{name}" for name in asked), *(f"limits.{name}" for name in limits)}


def charge(quota: Document, names: Iterable[str], delta: Usage) -> Document | None:
    """Return a quota that `delta` more is used of, None when nothing is; raises `ExceededError` when it is too much."""
    status, name = quota.get("status") or {}, quota["metadata"]["name"]
    hard, used = status.get("hard") or {}, status.get("used") or {}
    unknown = sorted(each for each in names if each not in used)
    if unknown:
        raise ExceededError(f"status unknown for quota: {name}, resources: {','.join(sorted(names))}")
    asked = {each: amount for each, amount in sorted(delta.items()) if each in hard and amount}
    if not asked:
        return None
    after = {each: Quantity(used.get(each, "0")) + amount for each, amount in asked.items()}
    over = [each for each in asked if after[each] > Quantity(hard[each])]
    if over:
        shown = (
            ",".join(f"{each}={Quantity(amounts.get(each, '0'))}" for each in over) for amounts in (asked, used, hard)
        )
        told = zip(("requested", "used", "limited"), shown, strict=True)
        raise ExceededError(f"exceeded quota: {name}, " + ", ".join(f"{word}: {text}" for word, text in told))
    return {**quota, "status": {**status, "used": {**used, **{each: str(amount) for each, amount in after.items()}}}}


def growth(new: Usage, old: Usage) -> Usage:
    """Return by how much more is used than before; what shrinks is given back when it is counted again."""
    grown = {name: amount - old.get(name, ZERO) for name, amount in new.items()}
    return {name: amount for name, amount in grown.items() if amount > ZERO}
