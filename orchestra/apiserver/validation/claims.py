"""Rules of PersistentVolumeClaims. Source: core/v1, as kube-apiserver 1.36 answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from orchestra.api.quantity import Quantity
from orchestra.apiserver.validation.fields import (
    NOT_POSITIVE,
    Errors,
    check_immutable,
    each_invalid,
    forbidden,
    invalid,
    not_supported,
    quoted,
    required,
)
from orchestra.apiserver.validation.formats import dns_label, dns_subdomain
from orchestra.apiserver.validation.metadata import check_label_selector, check_metadata, check_metadata_update
from orchestra.apiserver.validation.pod_update import difference
from orchestra.apiserver.validation.resources import ZERO, check_amount, resource_name

Document = Mapping[str, Any]
ACCESS_MODES: Final = ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")
VOLUME_MODES: Final = ("Block", "Filesystem")
OLD_CLASS: Final = "volume.beta.kubernetes.io/storage-class"
_ONE_POD: Final = "ReadWriteOncePod"
_CLASS: Final = "volumeAttributesClassName"
_AMOUNTS: Final = ("limits", "requests")
_FIXED: Final = (
    "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"
)
_RESIZE_STATES: Final = (
    "ControllerResizeInProgress",
    "ControllerResizeInfeasible",
    "NodeResizePending",
    "NodeResizeInProgress",
    "NodeResizeInfeasible",
)


def validate_claim(document: Document) -> Errors:
    """Return the faults of a PersistentVolumeClaim."""
    errors: Errors = []
    check_metadata(document, dns_subdomain, errors)
    check_claim_spec(document.get("spec") or {}, "spec", errors)
    return errors


def check_modes(modes: Any, path: str, errors: Errors) -> None:
    """Append the faults of access modes: one Pod alone goes with no other mode."""
    for mode in modes:
        if mode not in ACCESS_MODES:
            errors.append(not_supported(path, mode, ACCESS_MODES))
    if _ONE_POD in modes and any(mode != _ONE_POD for mode in modes):
        errors.append(forbidden(path, "may not use ReadWriteOncePod with other access modes"))


def check_claim_spec(spec: Document, path: str, errors: Errors) -> None:
    """Append the faults of what a claim asks for."""
    modes = spec.get("accessModes") or ()
    if not modes:
        errors.append(required(f"{path}.accessModes", "at least 1 access mode is required"))
    check_label_selector(spec.get("selector"), f"{path}.selector", errors)
    check_modes(modes, f"{path}.accessModes", errors)
    storage = _asked(spec)
    at = f"{path}.resources[storage]"
    if storage is None:
        errors.append(required(at))
    elif storage <= ZERO:
        errors.append(invalid(at, str(storage), NOT_POSITIVE))
    else:
        check_amount("storage", str(storage), at, errors)
    name = spec.get("storageClassName")
    if name:
        each_invalid(f"{path}.storageClassName", name, dns_subdomain(name), errors)
    mode = spec.get("volumeMode")
    if mode is not None and mode not in VOLUME_MODES:
        errors.append(not_supported(f"{path}.volumeMode", mode, VOLUME_MODES))
    _check_sources(spec, path, errors)
    if spec.get(_CLASS):
        each_invalid(f"{path}.{_CLASS}", spec[_CLASS], dns_subdomain(spec[_CLASS]), errors)


def _asked(spec: Document) -> Quantity | None:
    amount = ((spec.get("resources") or {}).get("requests") or {}).get("storage")
    return None if amount is None else Quantity(amount)


def _check_sources(spec: Document, path: str, errors: Errors) -> None:
    source, reference = spec.get("dataSource"), spec.get("dataSourceRef")
    for name, given in (("dataSource", source), ("dataSourceRef", reference)):
        if given is not None:
            _check_source(given, f"{path}.{name}", errors)
    if reference is not None and reference.get("namespace"):
        each_invalid(
            f"{path}.dataSourceRef.namespace", reference["namespace"], dns_label(reference["namespace"]), errors
        )
        if source is not None:
            detail = "may not be specified when dataSourceRef.namespace is specified"
            errors.append(invalid(path, f"{path}.dataSource", detail))
    elif source is not None and reference is not None and _reference(source) != _reference(reference):
        errors.append(invalid(path, f"{path}.dataSource", "must match dataSourceRef"))


def _check_source(source: Document, path: str, errors: Errors) -> None:
    for name in ("name", "kind"):
        if not source.get(name):
            errors.append(required(f"{path}.{name}"))
    group = source.get("apiGroup") or ""
    if not group and source.get("kind") != "PersistentVolumeClaim":
        errors.append(invalid(path, source.get("kind") or "", ""))
    if group:
        each_invalid(f"{path}.apiGroup", group, dns_subdomain(group), errors)


def validate_claim_update(new: Document, old: Document) -> Errors:
    """Return the faults of an update of a claim, of which only size and attributes change once it is bound."""
    errors: Errors = []
    check_metadata_update(new, old, errors, kube_finalizers=True)
    errors += validate_claim(new)
    spec, before = new.get("spec") or {}, old.get("spec") or {}
    bound = (new.get("status") or {}).get("phase") == "Bound"
    now, was = _internal(_munged(spec, before, bound=bound)), _internal(before)
    if not was["VolumeName"]:
        was["VolumeName"] = now["VolumeName"]  # it can be set once, by whoever binds the claim
    if now != was:
        errors.append(forbidden("spec", f"{_FIXED}\n{difference(was, now)}"))
    size, old_size = _asked(spec), _asked(before)
    if size is not None and old_size is not None and size < old_size:
        capacity = ((old.get("status") or {}).get("capacity") or {}).get("storage")
        if size <= Quantity(capacity or "0"):
            errors.append(forbidden("spec.resources.requests.storage", "field can not be less than status.capacity"))
    check_immutable("volumeMode", spec.get("volumeMode"), before.get("volumeMode"), errors)
    if before.get(_CLASS) is not None and spec.get(_CLASS) is None:
        errors.append(forbidden(f"spec.{_CLASS}", "update from non-nil value to nil is forbidden"))
    return errors


def _munged(spec: Document, before: Document, *, bound: bool) -> Document:
    """Return the new spec with the old values of what a bound claim may change."""
    if not bound:
        return spec
    result = dict(spec)
    resources = spec.get("resources") or {}
    if resources.get("requests") is not None:
        old = ((before.get("resources") or {}).get("requests") or {}).get("storage")
        result["resources"] = {**resources, "requests": {**resources["requests"], "storage": old}}
    if spec.get(_CLASS) is not None:
        result[_CLASS] = before.get(_CLASS)
    return result


def _internal(spec: Document) -> dict[str, Any]:
    """Return a spec in the shape of Go's internal type, whose fields have no other names for JSON."""
    resources = spec.get("resources") or {}
    source, reference = spec.get("dataSource"), spec.get("dataSourceRef")
    return {
        "AccessModes": list(spec.get("accessModes") or ()) or None,
        "Selector": spec.get("selector"),
        "Resources": {name.title(): dict(sorted((resources.get(name) or {}).items())) or None for name in _AMOUNTS},
        "VolumeName": spec.get("volumeName") or "",
        "StorageClassName": spec.get("storageClassName"),
        "VolumeMode": spec.get("volumeMode"),
        "DataSource": None if source is None else _reference(source),
        "DataSourceRef": None
        if reference is None
        else {**_reference(reference), "Namespace": reference.get("namespace")},
        "VolumeAttributesClassName": spec.get(_CLASS),
    }


def _reference(given: Document) -> dict[str, Any]:
    return {"APIGroup": given.get("apiGroup"), "Kind": given.get("kind") or "", "Name": given.get("name") or ""}


def validate_claim_status(new: Document, old: Document) -> Errors:
    """Return the faults of an update of a claim's status."""
    errors: Errors = []
    check_metadata_update(new, old, errors, kube_finalizers=True)
    status = new.get("status") or {}
    if not (new.get("spec") or {}).get("accessModes"):
        errors.append(required("Spec.accessModes"))
    for name in sorted(status.get("capacity") or ()):
        check_amount(name, status["capacity"][name], f"status.capacity[{name}]", errors)
    for name in sorted(status.get("allocatedResources") or ()):
        at = f"status.allocatedResources[{name}]"
        each_invalid(at, name, resource_name(name), errors)
        check_amount(name, status["allocatedResources"][name], at, errors)
    for name in sorted(status.get("allocatedResourceStatuses") or ()):
        state = status["allocatedResourceStatuses"][name]
        if state not in _RESIZE_STATES:
            errors.append(not_supported(f"status.allocatedResourceStatus[{name}]", state, _RESIZE_STATES))
    return errors


def old_class_warnings(document: Document) -> list[str]:
    """Return the warning of a storage class that is named by an annotation."""
    if OLD_CLASS not in ((document.get("metadata") or {}).get("annotations") or {}):
        return []
    return [f'metadata.annotations[{OLD_CLASS}]: deprecated since v1.8; use "storageClassName" attribute instead']


def fraction_warnings(amount: Any, path: str) -> list[str]:
    """Return the warning of an amount of storage that is no whole number of bytes."""
    if amount is None or not Quantity(amount).milli_value() % 1000:
        return []
    return [f"{path}: fractional byte value {quoted(str(Quantity(amount)))} is invalid, must be an integer"]


def warnings_of_claim(document: Document, _old: Document | None) -> list[str]:
    """Return the warnings of a claim."""
    resources = (document.get("spec") or {}).get("resources") or {}
    told = old_class_warnings(document)
    for name in ("requests", "limits"):
        told += fraction_warnings((resources.get(name) or {}).get("storage"), f"spec.resources.{name}[storage]")
    return told
