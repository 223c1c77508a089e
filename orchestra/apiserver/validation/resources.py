"""Rules of resource names and amounts: `limits` and `requests` of containers and Pods, capacities of nodes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from orchestra.api.quantity import Quantity
from orchestra.apiserver.validation.fields import (
    NEGATIVE,
    Errors,
    duplicate,
    each_invalid,
    forbidden,
    invalid,
    not_found,
    not_supported,
    required,
)
from orchestra.apiserver.validation.formats import dns_label, qualified_name

ZERO = Quantity("0")
REMEMBERED_NAMES = 1024
HUGE_PAGES = "hugepages-"

_STANDARD = frozenset(
    [
        "cpu",
        "memory",
        "ephemeral-storage",
        "requests.cpu",
        "requests.memory",
        "requests.ephemeral-storage",
        "limits.cpu",
        "limits.memory",
        "limits.ephemeral-storage",
        "pods",
        "resourcequotas",
        "services",
        "replicationcontrollers",
        "secrets",
        "persistentvolumeclaims",
        "configmaps",
        "storage",
        "requests.storage",
        "services.nodeports",
        "services.loadbalancers",
    ]
)
_OF_CONTAINERS = frozenset({"cpu", "memory", "ephemeral-storage"})
_OF_PODS = ("cpu", "hugepages-", "memory")
_WHOLE_NUMBERS = frozenset(
    [
        "pods",
        "services",
        "replicationcontrollers",
        "resourcequotas",
        "secrets",
        "configmaps",
        "persistentvolumeclaims",
        "services.nodeports",
        "services.loadbalancers",
    ]
)

NameRule = Callable[[str], tuple[str, ...]]


def is_native(name: str) -> bool:
    """Say whether a resource is one of Kubernetes' own: without a domain, or of kubernetes.io."""
    return "/" not in name or "kubernetes.io/" in name


def is_extended(name: str) -> bool:
    """Say whether a resource is one that a node's owner named, such as `example.com/gpu`."""
    return not is_native(name) and not name.startswith("requests.") and not qualified_name(f"requests.{name}")


def can_overcommit(name: str) -> bool:
    """Say whether the sum of the limits may exceed what a node has."""
    return is_native(name) and not name.startswith(HUGE_PAGES)


@lru_cache(REMEMBERED_NAMES)
def resource_name(name: str) -> tuple[str, ...]:
    """A standard resource, or a fully qualified one."""
    faults = qualified_name(name)
    if faults or "/" in name or name in _STANDARD or name.startswith((HUGE_PAGES, f"requests.{HUGE_PAGES}")):
        return faults
    return ("must be a standard resource type or fully qualified",)


@lru_cache(REMEMBERED_NAMES)
def container_resource_name(name: str) -> tuple[str, ...]:
    """A resource that a container can ask for."""
    faults = resource_name(name)
    if "/" not in name:
        if name not in _OF_CONTAINERS and not name.startswith(HUGE_PAGES):
            return (*faults, "must be a standard resource for containers")
    elif not is_native(name) and not is_extended(name):
        return (*faults, "doesn't follow extended resource name standard")
    return faults


def check_amount(name: str, value: Any, path: str, errors: Errors) -> None:
    """Append the faults of an amount: it is not negative, and whole where a resource is counted."""
    amount = Quantity(value)
    if amount < ZERO:
        errors.append(invalid(path, str(amount), NEGATIVE))
    if (name in _WHOLE_NUMBERS or is_extended(name)) and amount.milli_value() % 1000:
        errors.append(invalid(path, str(amount), "must be an integer"))


def _check_huge_page(name: str, amount: Quantity, path: str, errors: Errors) -> None:
    try:
        size = Quantity(name.removeprefix(HUGE_PAGES)).value()
    except ValueError:
        size = 0
    if size <= 0 or amount.value() % size:
        errors.append(invalid(path, str(amount), f"{amount} is not positive integer multiple of {name}"))


def _check_entry(name: str, value: Any, path: str, rule: NameRule | None, errors: Errors) -> None:
    if rule is None:
        _check_pod_resource_name(name, path, errors)
    else:
        each_invalid(path, name, rule(name), errors)
    check_amount(name, value, path, errors)
    if name.startswith(HUGE_PAGES):
        _check_huge_page(name, Quantity(value), path, errors)


def _check_pod_resource_name(name: str, path: str, errors: Errors) -> None:
    faults = resource_name(name)
    each_invalid(path, name, faults, errors)
    if not faults and name not in ("cpu", "memory") and not name.startswith(HUGE_PAGES):
        errors.append(not_supported(path, name, _OF_PODS))


def check_requirements(
    resources: Mapping[str, Any] | None,
    path: str,
    claims: Sequence[str],
    errors: Errors,
    *,
    of_pod: bool = False,
) -> None:
    """Append the faults of `limits`, `requests` and `claims`; `claims` names what the Pod's resourceClaims declare."""
    if not resources:
        return
    rule = None if of_pod else container_resource_name
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    for name in sorted(limits):
        _check_entry(name, limits[name], f"{path}.limits[{name}]", rule, errors)
    for name in sorted(requests):
        _check_entry(name, requests[name], f"{path}.requests[{name}]", rule, errors)
        _check_against_limit(name, requests[name], limits, path, errors)
    asked = (*limits, *requests)
    if any(name.startswith(HUGE_PAGES) for name in asked) and not {"cpu", "memory"} & set(asked):
        errors.append(forbidden(path, "HugePages require cpu or memory"))
    if resources.get("claims"):
        _check_claims(resources["claims"], f"{path}.claims", claims, errors)


def _check_against_limit(name: str, request: Any, limits: Mapping[str, Any], path: str, errors: Errors) -> None:
    amount = Quantity(request)
    if name not in limits:
        if not can_overcommit(name):
            errors.append(required(f"{path}.limits", "Limit must be set for non overcommitable resources"))
        return
    limit = Quantity(limits[name])
    if amount != limit and not can_overcommit(name):
        errors.append(invalid(f"{path}.requests", str(amount), f"must be equal to {name} limit of {limit}"))
    elif amount > limit:
        detail = f"must be less than or equal to {name} limit of {limit}"
        errors.append(invalid(f"{path}.requests", str(amount), detail))


def _check_claims(entries: Sequence[Mapping[str, Any]], path: str, declared: Sequence[str], errors: Errors) -> None:
    seen: list[str] = []
    for index, entry in enumerate(entries):
        at = f"{path}[{index}]"
        name, request = entry.get("name") or "", entry.get("request") or ""
        if not name:
            errors.append(required(at))
            continue
        if name in seen:
            errors.append(duplicate(at, name))
        else:
            key = f"{name}/{request}" if request else name
            if request:
                each_invalid(f"{at}.request", request, dns_label(request), errors)
            if key in seen:
                errors.append(duplicate(at, key))
            elif not request and any(other.partition("/")[0] == name for other in seen):
                errors.append(duplicate(at, name))
            seen.append(key)
        if name not in declared:
            tail = f": {', '.join(sorted(declared))}" if declared else " which is empty"
            errors.append(not_found(at, name, f"must be one of the names in pod.spec.resourceClaims{tail}"))
