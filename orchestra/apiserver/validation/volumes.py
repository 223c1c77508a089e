"""Rules of PersistentVolumes and StorageClasses. Source: core/v1 and storage/v1 of Kubernetes 1.36."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from typing import Any, Final

from orchestra.api.quantity import Quantity
from orchestra.apiserver.validation.claims import VOLUME_MODES, check_modes, fraction_warnings, old_class_warnings
from orchestra.apiserver.validation.fields import (
    NOT_POSITIVE,
    Errors,
    check_immutable,
    duplicate,
    each_invalid,
    forbidden,
    invalid,
    not_supported,
    required,
)
from orchestra.apiserver.validation.formats import dns_subdomain, label_value, qualified_name
from orchestra.apiserver.validation.legacy_volumes import LEGACY
from orchestra.apiserver.validation.metadata import check_metadata, check_metadata_update
from orchestra.apiserver.validation.pod_scheduling import check_node_selector
from orchestra.apiserver.validation.pod_update import difference
from orchestra.apiserver.validation.pod_volumes import check_host_path
from orchestra.apiserver.validation.references import check_no_backsteps
from orchestra.apiserver.validation.resources import ZERO
from orchestra.apiserver.validation.volume_warnings import DEPRECATED_SOURCES

Document = Mapping[str, Any]
_RECLAIM_POLICIES: Final = ("Delete", "Recycle", "Retain")
_CLASS_POLICIES: Final = ("Delete", "Retain")
_BINDING_MODES: Final = ("Immediate", "WaitForFirstConsumer")
_MAX_PARAMETERS: Final = 512
_MAX_PARAMETERS_BYTES: Final = 256 * 1024
_SOURCES: Final = (
    "hostPath gcePersistentDisk awsElasticBlockStore glusterfs flocker nfs rbd quobyte cephfs iscsi cinder fc "
    "flexVolume azureFile vsphereVolume photonPersistentDisk portworxVolume azureDisk scaleIO local storageos csi"
)
"""In the order in which faults are told."""


def validate_volume(document: Document) -> Errors:
    """Return the faults of a PersistentVolume."""
    errors: Errors = []
    check_metadata(document, dns_subdomain, errors, namespaced=False)
    spec = document.get("spec") or {}
    modes = spec.get("accessModes") or ()
    if not modes:
        errors.append(required("spec.accessModes"))
    check_modes(modes, "spec.accessModes", errors)
    _check_capacity(spec.get("capacity") or {}, errors)
    policy = spec.get("persistentVolumeReclaimPolicy")
    if policy and policy not in _RECLAIM_POLICIES:
        errors.append(not_supported("spec.persistentVolumeReclaimPolicy", policy, _RECLAIM_POLICIES))
    affinity = spec.get("nodeAffinity")
    if affinity is not None:
        if affinity.get("required") is None:
            errors.append(required("spec.nodeAffinity.required", "must specify required node constraints"))
        else:
            check_node_selector(affinity["required"], "spec.nodeAffinity.required", errors)
    _check_source(spec, errors)
    host_path = spec.get("hostPath")
    if host_path and policy == "Recycle" and posixpath.normpath(host_path.get("path") or ".") == "/":
        detail = "may not be 'recycle' for a hostPath mount of '/'"
        errors.append(forbidden("spec.persistentVolumeReclaimPolicy", detail))
    name = spec.get("storageClassName")
    if name:
        each_invalid("spec.storageClassName", name, dns_subdomain(name), errors)
    mode = spec.get("volumeMode")
    if mode is not None and mode not in VOLUME_MODES:
        errors.append(not_supported("spec.volumeMode", mode, VOLUME_MODES))
    return errors


def _check_capacity(capacity: Mapping[str, Any], errors: Errors) -> None:
    if not capacity:
        errors.append(required("spec.capacity"))
    if "storage" not in capacity or len(capacity) > 1:
        errors.append(not_supported("spec.capacity", dict(sorted(capacity.items())) or None, ("storage",)))
    for name in sorted(capacity):
        amount = Quantity(capacity[name])
        if amount < ZERO:
            errors.append(invalid(f"spec.capacity[{name}]", amount.value(), "must be a valid resource quantity"))
        if amount <= ZERO:
            errors.append(invalid(f"spec.capacity[{name}]", str(amount), NOT_POSITIVE))


def _check_source(spec: Document, errors: Errors) -> None:
    given = [name for name in _SOURCES.split() if spec.get(name) is not None]
    for index, name in enumerate(given):
        at, source = f"spec.{name}", spec[name]
        if index:
            errors.append(forbidden(at, "may not specify more than 1 volume type"))
        elif name == "hostPath":
            check_host_path(source, at, errors)
        elif name == "local":
            _check_local(source, spec, at, errors)
        elif name == "csi":
            _check_csi(source, at, errors)
        else:
            LEGACY[name](source, at, errors)
    if not given:
        errors.append(required("spec", "must specify a volume type"))


def _check_local(source: Document, spec: Document, path: str, errors: Errors) -> None:
    if not source.get("path"):
        errors.append(required(f"{path}.path"))
    else:
        check_no_backsteps(source["path"], f"{path}.path", errors)
    if spec.get("nodeAffinity") is None:
        errors.append(required("spec.nodeAffinity", "Local volume requires node affinity"))


def _check_csi(source: Document, path: str, errors: Errors) -> None:
    driver = source.get("driver") or ""
    if not driver:
        errors.append(required(f"{path}.driver"))
    else:
        if len(driver) > 63:
            errors.append(invalid(f"{path}.driver", driver, "must be 63 characters or less"))
        each_invalid(f"{path}.driver", driver, dns_subdomain(driver.lower()), errors)
    if not source.get("volumeHandle"):
        errors.append(required(f"{path}.volumeHandle"))
    for name in (
        "controllerPublishSecretRef",
        "controllerExpandSecretRef",
        "nodePublishSecretRef",
        "nodeExpandSecretRef",
    ):
        reference = source.get(name)
        for field in ("name", "namespace"):
            if reference is not None and not reference.get(field):
                errors.append(required(f"{path}.{name}.{field}"))


def validate_volume_update(new: Document, old: Document) -> Errors:
    """Return the faults of an update of a PersistentVolume: what it is stays what it is."""
    errors: Errors = []
    check_metadata_update(new, old, errors, kube_finalizers=True)
    errors += validate_volume(new)
    spec, before = new.get("spec") or {}, old.get("spec") or {}
    now = {name: spec[name] for name in _SOURCES.split() if spec.get(name) is not None}
    was = {name: before[name] for name in _SOURCES.split() if before.get(name) is not None}
    if now != was:
        detail = f"spec.persistentvolumesource is immutable after creation\n{difference(was, now)}"
        errors.append(forbidden("spec.persistentvolumesource", detail))
    check_immutable("volumeMode", spec.get("volumeMode"), before.get("volumeMode"), errors)
    if before.get("nodeAffinity") is not None:
        check_immutable("nodeAffinity", spec.get("nodeAffinity"), before["nodeAffinity"], errors)
    return errors


def validate_volume_status(new: Document, old: Document) -> Errors:
    """Return the faults of an update of a volume's status."""
    errors: Errors = []
    check_metadata_update(new, old, errors, kube_finalizers=True)
    return errors


def warnings_of_volume(document: Document, _old: Document | None) -> list[str]:
    """Return the warnings of a volume."""
    spec = document.get("spec") or {}
    told = old_class_warnings(document)
    if spec.get("persistentVolumeReclaimPolicy") == "Recycle":
        advice = "Instead, the recommended approach is to use dynamic provisioning."
        told.append(f"spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. {advice}")
    told += [f"spec.{shown}: {text}" for name, shown, text in DEPRECATED_SOURCES if spec.get(name) is not None]
    return told + fraction_warnings((spec.get("capacity") or {}).get("storage"), "spec.capacity[storage]")


def validate_storage_class(document: Document) -> Errors:
    """Return the faults of a StorageClass."""
    errors: Errors = []
    check_metadata(document, dns_subdomain, errors, namespaced=False)
    provisioner = document.get("provisioner") or ""
    if not provisioner:
        errors.append(required("provisioner", provisioner))
    else:
        each_invalid("provisioner", provisioner, qualified_name(provisioner.lower()), errors)
    _check_parameters(document.get("parameters") or {}, errors)
    policy, mode = document.get("reclaimPolicy"), document.get("volumeBindingMode")
    if policy and policy not in _CLASS_POLICIES:
        errors.append(not_supported("reclaimPolicy", policy, _CLASS_POLICIES))
    if mode is None:
        errors.append(required("volumeBindingMode"))
    elif mode not in _BINDING_MODES:
        errors.append(not_supported("volumeBindingMode", mode, _BINDING_MODES))
    for index, term in enumerate(document.get("allowedTopologies") or ()):
        _check_topology(term, f"allowedTopologies[{index}]", errors)
    return errors


def _check_parameters(parameters: Mapping[str, str], errors: Errors) -> None:
    if len(parameters) > _MAX_PARAMETERS:
        errors.append(invalid("parameters", "Provisioner Parameters exceeded max allowed", str(_MAX_PARAMETERS)))
        return
    if "" in parameters:
        errors.append(invalid("parameters", "", "field can not be empty."))
    if (
        sum(len(key.encode()) + len((value or "").encode()) for key, value in parameters.items())
        > _MAX_PARAMETERS_BYTES
    ):
        errors.append(invalid("parameters", "", f"may not be more than {_MAX_PARAMETERS_BYTES} bytes"))


def _check_topology(term: Document, path: str, errors: Errors) -> None:
    seen: list[str] = []
    for index, requirement in enumerate(term.get("matchLabelExpressions") or ()):
        at, key = f"{path}.matchLabelExpressions[{index}]", requirement.get("key") or ""
        each_invalid(f"{at}.key", key, qualified_name(key), errors)
        values = requirement.get("values") or ()
        if not values:
            errors.append(required(f"{at}.values"))
        for position, value in enumerate(values):
            each_invalid(f"{at}.values[{position}]", value, label_value(value), errors)
            if value in values[:position]:
                errors.append(duplicate(f"{at}.values[{position}]", value))
        if key in seen:
            errors.append(duplicate(f"{at}.key", key))
        seen.append(key)


def validate_storage_class_update(new: Document, old: Document) -> Errors:
    """Return the faults of an update of a StorageClass: only expansion, options and topologies change."""
    errors: Errors = []
    check_metadata_update(new, old, errors, kube_finalizers=True)
    for name in ("parameters", "provisioner", "reclaimPolicy"):
        if (new.get(name) or None) != (old.get(name) or None):
            errors.append(forbidden(name, f"updates to {name} are forbidden."))
    check_immutable("volumeBindingMode", new.get("volumeBindingMode"), old.get("volumeBindingMode"), errors)
    return errors
