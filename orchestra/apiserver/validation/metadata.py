"""Rules of `metadata` that every kind shares: names, labels, annotations, owners, finalizers, what may not change.

Source: apimachinery's object metadata validation and the Kubernetes API conventions, section Metadata.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from orchestra.apiserver.validation.fields import (
    Errors,
    check_immutable,
    check_non_negative,
    each_invalid,
    forbidden,
    invalid,
    not_supported,
    ordered,
    required,
    too_long,
)
from orchestra.apiserver.validation.formats import Rule, dns_label, generated, label_value, qualified_name

Document = Mapping[str, Any]
MAX_ANNOTATIONS_BYTES = 256 * 1024
MAX_FIELD_MANAGER_BYTES = 128
MAX_SUBRESOURCE_BYTES = 256

_STANDARD_FINALIZERS = frozenset({"kubernetes", "orphan", "foregroundDeletion"})
_OWNER_FIELDS = ("apiVersion", "kind", "name", "uid", "controller", "blockOwnerDeletion")


def check_labels(labels: Mapping[str, str] | None, path: str, errors: Errors) -> None:
    """Keys are qualified names, values label values."""
    for key in sorted(labels or ()):
        each_invalid(path, key, qualified_name(key), errors)
        value = (labels or {})[key] or ""
        each_invalid(path, value, label_value(value), errors)


def check_annotations(annotations: Mapping[str, str] | None, path: str, errors: Errors) -> None:
    """Keys are qualified names in any case; everything together has a limit."""
    if not annotations:
        return
    for key in sorted(annotations):
        each_invalid(path, key, qualified_name(key.lower()), errors)
    size = sum(len(key.encode()) + len((value or "").encode()) for key, value in annotations.items())
    if size > MAX_ANNOTATIONS_BYTES:
        errors.append(too_long(path, MAX_ANNOTATIONS_BYTES))


def _check_owner(owner: Document, path: str, errors: Errors) -> None:
    version = owner.get("apiVersion") or ""
    if not version.rpartition("/")[2]:
        errors.append(invalid(f"{path}.apiVersion", version, "version must not be empty"))
    for field in ("kind", "name", "uid"):
        if not owner.get(field):
            errors.append(invalid(f"{path}.{field}", owner.get(field) or "", "must not be empty"))
    if version == "v1" and owner.get("kind") == "Event":
        errors.append(invalid(path, ordered(owner, _OWNER_FIELDS), "/v1, Kind=Event is disallowed from being an owner"))


def check_owners(owners: Sequence[Document] | None, path: str, errors: Errors) -> None:
    """Each owner is complete, and at most one of them controls."""
    controller = ""
    for owner in owners or ():
        _check_owner(owner, path, errors)
        if owner.get("controller"):
            name = f"{owner.get('kind')}/{owner.get('name')}"
            if controller:
                detail = (
                    "Only one reference can have Controller set to true. "
                    f'Found "true" in references for {controller} and {name}'
                )
                errors.append(invalid(path, [ordered(each, _OWNER_FIELDS) for each in owners or ()], detail))
            controller = controller or name


def check_kube_finalizer(name: str, path: str, errors: Errors) -> None:
    """A finalizer without a domain is one of the standard ones."""
    if "/" not in name and name not in _STANDARD_FINALIZERS:
        errors.append(invalid(path, name, "name is neither a standard finalizer name nor is it fully qualified"))


def check_finalizers(finalizers: Sequence[str] | None, path: str, errors: Errors) -> None:
    """Finalizers are qualified names; orphaning and deleting the dependents exclude each other."""
    if not finalizers:
        return
    for name in finalizers:
        each_invalid(path, name, qualified_name(name), errors)
    if "orphan" in finalizers and "foregroundDeletion" in finalizers:
        detail = "finalizer orphan and foregroundDeletion cannot be both set"
        errors.append(invalid(path, list(finalizers), detail))


def check_managed_fields(entries: Sequence[Document] | None, path: str, errors: Errors) -> None:
    """Entries of managedFields are well formed; what they list is not looked at."""
    for index, entry in enumerate(entries or ()):
        at = f"{path}[{index}]"
        operation = entry.get("operation") or ""
        if operation not in ("Apply", "Update"):
            errors.append(invalid(f"{at}.operation", operation, "must be `Apply` or `Update`"))
        if entry.get("fieldsType") not in (None, "", "FieldsV1"):
            errors.append(invalid(f"{at}.fieldsType", entry["fieldsType"], "must be `FieldsV1`"))
        manager = entry.get("manager") or ""
        if len(manager.encode()) > MAX_FIELD_MANAGER_BYTES:
            errors.append(too_long(f"{at}.manager", MAX_FIELD_MANAGER_BYTES))
        if len((entry.get("subresource") or "").encode()) > MAX_SUBRESOURCE_BYTES:
            errors.append(too_long(f"{at}.subresource", MAX_SUBRESOURCE_BYTES))


def _check_common(meta: Document, errors: Errors, *, finalizers: bool) -> None:
    check_labels(meta.get("labels"), "metadata.labels", errors)
    check_annotations(meta.get("annotations"), "metadata.annotations", errors)
    if meta.get("ownerReferences"):
        check_owners(meta["ownerReferences"], "metadata.ownerReferences", errors)
    if finalizers and meta.get("finalizers"):
        check_finalizers(meta["finalizers"], "metadata.finalizers", errors)
    if meta.get("managedFields"):
        check_managed_fields(meta["managedFields"], "metadata.managedFields", errors)


def _check_kube_finalizers(meta: Document, errors: Errors) -> None:
    for index, name in enumerate(meta.get("finalizers") or ()):
        check_kube_finalizer(name, f"metadata.finalizers[{index}]", errors)


def check_metadata(
    document: Document, name_rule: Rule, errors: Errors, *, namespaced: bool = True, kube_finalizers: bool = True
) -> None:
    """Append the faults of an object's metadata at creation.

    `kube_finalizers`: whether finalizers without a domain must be known ones, as core kinds and apps demand.
    """
    meta = document.get("metadata") or {}
    prefix = meta.get("generateName")
    if prefix:
        each_invalid("metadata.generateName", prefix, generated(name_rule, prefix), errors)
    name = meta.get("name")
    if name:
        each_invalid("metadata.name", name, name_rule(name), errors)
    else:
        errors.append(required("metadata.name", "name or generateName is required"))
    namespace = meta.get("namespace")
    if not namespaced:
        if namespace:
            errors.append(forbidden("metadata.namespace", "not allowed on this type"))
    elif namespace:
        each_invalid("metadata.namespace", namespace, dns_label(namespace), errors)
    else:
        errors.append(required("metadata.namespace"))
    check_non_negative("metadata.generation", meta.get("generation"), errors)
    _check_common(meta, errors, finalizers=True)
    if kube_finalizers:
        _check_kube_finalizers(meta, errors)


def check_metadata_update(new: Document, old: Document, errors: Errors, *, kube_finalizers: bool = False) -> None:
    """Append the faults of a change of metadata.

    What the server keeps by itself (uid, timestamps, generation) is compared only when the new document sets it.
    """
    meta, before = new.get("metadata") or {}, old.get("metadata") or {}
    if before.get("deletionTimestamp"):
        extra = sorted(set(meta.get("finalizers") or ()) - set(before.get("finalizers") or ()))
        if extra:
            shown = ", ".join(f'"{name}"' for name in extra)
            detail = (
                "no new finalizers can be added if the object is being deleted, "
                f"found new finalizers []string{{{shown}}}"
            )
            errors.append(forbidden("metadata.finalizers", detail))
    check_non_negative("metadata.generation", meta.get("generation"), errors)
    for field in ("name", "namespace"):
        check_immutable(f"metadata.{field}", meta.get(field), before.get(field), errors)
    for field in ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"):
        if meta.get(field) is not None:
            check_immutable(f"metadata.{field}", meta[field], before.get(field), errors)
    _check_common(meta, errors, finalizers=False)
    if kube_finalizers:
        _check_kube_finalizers(meta, errors)


def check_label_selector(selector: Document | None, path: str, errors: Errors) -> None:
    """Append the faults of a metav1.LabelSelector; an absent one has none."""
    if not selector:
        return
    check_labels(selector.get("matchLabels"), f"{path}.matchLabels", errors)
    for index, expression in enumerate(selector.get("matchExpressions") or ()):
        at = f"{path}.matchExpressions[{index}]"
        operator, values = expression.get("operator") or "", expression.get("values") or ()
        check_operator_values(operator, values, at, errors)
        key = expression.get("key") or ""
        each_invalid(f"{at}.key", key, qualified_name(key), errors)
        for position, value in enumerate(values):
            each_invalid(f"{at}.values[{position}]", value, label_value(value), errors)


def check_operator_values(operator: str, values: Sequence[str], path: str, errors: Errors) -> None:
    """Append a fault when a requirement's values do not go with its operator."""
    if operator in ("In", "NotIn"):
        if not values:
            errors.append(required(f"{path}.values", "must be specified when `operator` is 'In' or 'NotIn'"))
    elif operator in ("Exists", "DoesNotExist"):
        if values:
            detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
            errors.append(forbidden(f"{path}.values", detail))
    else:
        errors.append(invalid(f"{path}.operator", operator, "not a valid selector operator"))


def check_condition_status(value: str, path: str, errors: Errors) -> None:
    """A condition is True, False or Unknown."""
    if value not in ("True", "False", "Unknown"):
        errors.append(not_supported(path, value, ("False", "True", "Unknown")))
