"""Rules of LimitRanges and ServiceAccounts. Source: core/v1, as kube-apiserver 1.36 answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from orchestra.api.quantity import Quantity
from orchestra.apiserver.validation.fields import Errors, duplicate, each_invalid, forbidden, invalid, required
from orchestra.apiserver.validation.formats import dns_subdomain, qualified_name
from orchestra.apiserver.validation.metadata import check_metadata, check_metadata_update
from orchestra.apiserver.validation.resources import can_overcommit, container_resource_name, resource_name

Document = Mapping[str, Any]
MOUNTABLE_SECRETS: Final = "kubernetes.io/enforce-mountable-secrets"
_TYPES: Final = ("Pod", "Container", "PersistentVolumeClaim")
_FIELDS: Final = ("max", "min", "default", "defaultRequest", "maxLimitRequestRatio")
_WORDS: Final = {"request": "default request value", "limit": "default limit value"}
_MAX_MILLI: Final = (2**63 - 1) // 1000
_COMPARED: Final = (
    ("min", "max", "min", "min", "min value {a} is greater than max value {b}"),
    ("min", "defaultRequest", "defaultRequest", "defaultRequest", "min value {a} is greater than {request} {b}"),
    ("defaultRequest", "max", "defaultRequest", "defaultRequest", "{request} {a} is greater than max value {b}"),
    ("defaultRequest", "default", "defaultRequest", "defaultRequest", "{request} {a} is greater than {limit} {b}"),
    ("min", "default", "default", "min", "min value {a} is greater than default value {b}"),
    ("default", "max", "default", "max", "default value {a} is greater than max value {b}"),
)
"""Which bound may not exceed which, the field that is named, the one whose value is shown, and what is said."""


def validate_limit_range(document: Document) -> Errors:
    """Return the faults of a LimitRange."""
    errors: Errors = []
    check_metadata(document, dns_subdomain, errors)
    seen: set[str] = set()
    for index, item in enumerate((document.get("spec") or {}).get("limits") or ()):
        at, kind = f"spec.limits[{index}]", item.get("type") or ""
        faults = qualified_name(kind)
        each_invalid(f"{at}.type", kind, faults, errors)
        if not faults and "/" not in kind and kind not in _TYPES:
            errors.append(invalid(f"{at}.type", kind, "must be a standard limit type or fully qualified"))
        if kind in seen:
            errors.append(duplicate(f"{at}.type", kind))
        seen.add(kind)
        _check_item(item, kind, at, errors)
    return errors


def validate_limit_range_update(new: Document, _old: Document) -> Errors:
    """Return the faults of an update of a LimitRange, which may change everything."""
    return validate_limit_range(new)


def _check_item(item: Document, kind: str, path: str, errors: Errors) -> None:
    rule = container_resource_name if kind in ("Pod", "Container") else resource_name
    for field in _FIELDS:
        amounts = item.get(field) or {}
        if field in ("default", "defaultRequest") and kind == "Pod":
            if amounts:
                errors.append(forbidden(f"{path}.{field}", "may not be specified when `type` is 'Pod'"))
            continue
        if field == "maxLimitRequestRatio" and kind == "PersistentVolumeClaim":
            _check_claims(item, path, errors)
        for name in sorted(amounts):
            each_invalid(f"{path}.{field}[{name}]", name, rule(name), errors)
    known = _FIELDS if kind != "Pod" else ("max", "min", "maxLimitRequestRatio")
    amounts = {field: {name: Quantity(value) for name, value in (item.get(field) or {}).items()} for field in known}
    for name in sorted({name for values in amounts.values() for name in values}):
        _check_resource(name, {field: values.get(name) for field, values in amounts.items()}, path, errors)


def _check_claims(item: Document, path: str, errors: Errors) -> None:
    if "storage" not in (item.get("min") or {}) and "storage" not in (item.get("max") or {}):
        detail = "either minimum or maximum storage value is required, but neither was provided"
        errors.append(required(f"{path}.limits", detail))


def _check_resource(name: str, given: Mapping[str, Quantity | None], path: str, errors: Errors) -> None:
    for lower, upper, field, value, text in _COMPARED:
        a, b = given.get(lower), given.get(upper)
        if a is not None and b is not None and a > b:
            errors.append(invalid(f"{path}.{field}[{name}]", str(given[value]), text.format(a=a, b=b, **_WORDS)))
    _check_ratio(name, given, path, errors)
    default, request = given.get("default"), given.get("defaultRequest")
    if not can_overcommit(name) and default is not None and request is not None and default != request:
        detail = f"default value {default} must equal to defaultRequest value {request} in {name}"
        errors.append(invalid(f"{path}.defaultRequest[{name}]", str(request), detail))


def _check_ratio(name: str, given: Mapping[str, Quantity | None], path: str, errors: Errors) -> None:
    ratio, least, most = given.get("maxLimitRequestRatio"), given.get("min"), given.get("max")
    if ratio is None:
        return
    at = f"{path}.maxLimitRequestRatio[{name}]"
    if ratio < Quantity("1"):
        errors.append(invalid(at, str(ratio), f"ratio {ratio} is less than 1"))
    if least is None or most is None or not least.milli_value():
        return
    values = (float(ratio.value()), least.value(), most.value())
    if max(values) < _MAX_MILLI:
        values = (ratio.milli_value() / 1000, least.milli_value(), most.milli_value())
    limit = values[2] / values[1]
    if values[0] > limit:
        errors.append(invalid(at, str(ratio), f"ratio {ratio} is greater than max/min = {limit:f}"))


def validate_service_account(document: Document) -> Errors:
    """Return the faults of a ServiceAccount."""
    errors: Errors = []
    check_metadata(document, dns_subdomain, errors)
    return errors


def validate_service_account_update(new: Document, old: Document) -> Errors:
    """Return the faults of an update of a ServiceAccount."""
    errors: Errors = []
    check_metadata_update(new, old, errors, kube_finalizers=True)
    return [*errors, *validate_service_account(new)]


def warnings_of_service_account(document: Document, old: Document | None) -> list[str]:
    """Return the warnings of a ServiceAccount: an annotation that nothing heeds any more."""

    def has(given: Document | None) -> bool:
        return MOUNTABLE_SECRETS in (((given or {}).get("metadata") or {}).get("annotations") or {})

    if not has(document) or has(old):
        return []
    advice = "prefer separate namespaces to isolate access to mounted secrets"
    return [f"metadata.annotations[{MOUNTABLE_SECRETS}]: deprecated in v1.32+; {advice}"]
