"""Rules of ResourceQuotas. Source: core/v1, as kube-apiserver 1.36 answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from orchestra.apiserver.validation.fields import IMMUTABLE, Errors, each_invalid, invalid, required
from orchestra.apiserver.validation.formats import dns_subdomain
from orchestra.apiserver.validation.metadata import check_metadata, check_metadata_update
from orchestra.apiserver.validation.resources import check_amount, resource_name

Document = Mapping[str, Any]
_POD_AMOUNTS: Final = frozenset({"cpu", "memory", "limits.cpu", "limits.memory", "requests.cpu", "requests.memory"})
_COUNTED: Final = frozenset(
    [
        "resourcequotas",
        "services",
        "replicationcontrollers",
        "secrets",
        "persistentvolumeclaims",
        "configmaps",
        "services.nodeports",
        "services.loadbalancers",
    ]
)
_STANDARD: Final = (
    _POD_AMOUNTS
    | _COUNTED
    | {"pods", "ephemeral-storage", "requests.storage", "requests.ephemeral-storage", "limits.ephemeral-storage"}
)
_SCOPED: Final[Mapping[str, frozenset[str]]] = {
    **dict.fromkeys(
        ("Terminating", "NotTerminating", "NotBestEffort", "PriorityClass", "CrossNamespacePodAffinity"),
        _POD_AMOUNTS | {"pods"},
    ),
    "BestEffort": frozenset({"pods"}),
    "VolumeAttributesClass": frozenset({"persistentvolumeclaims", "requests.storage"}),
}
"""What a quota of each scope can bound, of the standard resources."""

_EXISTS_ONLY: Final = frozenset({"BestEffort", "NotBestEffort", "Terminating", "NotTerminating"}) | {
    "CrossNamespacePodAffinity"
}
_OPPOSITES: Final = ({"BestEffort", "NotBestEffort"}, {"Terminating", "NotTerminating"})
_MUST_EXIST: Final = (
    "must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, "
    "ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity"
)


def validate_resource_quota(document: Document) -> Errors:
    """Return the faults of a ResourceQuota."""
    errors: Errors = []
    check_metadata(document, dns_subdomain, errors)
    _check_spec(document.get("spec") or {}, errors)
    _check_status(document, errors)
    return errors


def validate_resource_quota_update(new: Document, old: Document) -> Errors:
    """Return the faults of an update of a ResourceQuota, whose scopes are fixed."""
    errors: Errors = []
    check_metadata_update(new, old, errors, kube_finalizers=True)
    spec = new.get("spec") or {}
    _check_spec(spec, errors)
    scopes = spec.get("scopes")
    if set(scopes or ()) != set((old.get("spec") or {}).get("scopes") or ()):
        errors.append(invalid("spec.scopes", scopes or None, IMMUTABLE))
    return errors


def validate_resource_quota_status(new: Document, old: Document) -> Errors:
    """Return the faults of an update of a ResourceQuota's status."""
    errors: Errors = []
    check_metadata_update(new, old, errors, kube_finalizers=True)
    _check_status(new, errors)
    return errors


def _check_status(document: Document, errors: Errors) -> None:
    status = document.get("status") or {}
    for field in ("hard", "used"):
        _check_amounts(status.get(field), f"status.{field}", errors)


def _check_amounts(amounts: Mapping[str, Any] | None, path: str, errors: Errors) -> None:
    for name in sorted(amounts or ()):
        at = f"{path}[{name}]"
        each_invalid(at, name, resource_name(name), errors)
        if "/" not in name and name not in _STANDARD:
            errors.append(invalid(at, name, "must be a standard resource for quota"))
        check_amount(name, (amounts or {})[name], at, errors)


def _check_spec(spec: Document, errors: Errors) -> None:
    _check_amounts(spec.get("hard"), "spec.hard", errors)
    hard = [name for name in sorted(spec.get("hard") or ()) if name in _STANDARD]
    scopes = spec.get("scopes") or ()
    for scope in scopes:
        if scope not in _SCOPED:
            errors.append(invalid("spec.scopes", list(scopes), "unsupported scope"))
        _check_scoped(scope, hard, lambda: ("spec.scopes", list(scopes)), errors)
    _check_opposites(set(scopes), "spec.scopes", scopes, errors)
    if spec.get("scopeSelector") is not None:
        _check_selector(spec, hard, errors)


def _check_scoped(scope: str, hard: list[str], shown: Callable[[], tuple[str, Any]], errors: Errors) -> None:
    allowed = _SCOPED.get(scope)
    for name in hard:
        if allowed is not None and name not in allowed:
            path, value = shown()
            errors.append(invalid(path, value, "unsupported scope applied to resource"))


def _check_opposites(found: set[str], path: str, scopes: Any, errors: Errors) -> None:
    for pair in _OPPOSITES:
        if pair <= found:
            errors.append(invalid(path, list(scopes) or None, "conflicting scopes"))


def _check_selector(spec: Document, hard: list[str], errors: Errors) -> None:
    at, selector = "spec.scopeSelector.matchExpressions", spec["scopeSelector"]
    requirements = selector.get("matchExpressions") or ()
    for requirement in requirements:
        scope, operator = requirement.get("scopeName") or "", requirement.get("operator") or ""
        values = requirement.get("values") or ()
        if scope not in _SCOPED:
            errors.append(invalid(f"{at}.scopeName", scope, "unsupported scope"))
        _check_scoped(scope, hard, lambda: (at, _shown(requirements)), errors)
        if scope in _EXISTS_ONLY and operator != "Exists":
            errors.append(invalid(f"{at}.operator", operator, _MUST_EXIST))
        if operator in ("In", "NotIn"):
            if not values:
                detail = "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector"
                errors.append(required(f"{at}.values", detail))
        elif operator in ("Exists", "DoesNotExist"):
            if values:
                detail = "must be no value when `operator` is 'Exists' or 'DoesNotExist' for scope selector"
                errors.append(invalid(f"{at}.values", list(values), detail))
        else:
            errors.append(invalid(f"{at}.operator", operator, "not a valid selector operator"))
    found = {requirement.get("scopeName") or "" for requirement in requirements}
    _check_opposites(found, at, spec.get("scopes") or (), errors)


def _shown(requirements: Any) -> Document:
    """Return a scope selector as Go's internal type shows it, whose fields have no other names for JSON."""
    shown = [
        {"ScopeName": each.get("scopeName") or "", "Operator": each.get("operator") or ""}
        | {"Values": each.get("values") or None}
        for each in requirements
    ]
    return {"MatchExpressions": shown or None}
