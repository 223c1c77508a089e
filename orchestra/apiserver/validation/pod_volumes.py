"""Rules of a Pod's volumes. Every kind of volume source is checked in one fixed order; a volume has one source."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from orchestra.api.quantity import Quantity
from orchestra.apiserver.validation.context import PodContext
from orchestra.apiserver.validation.fields import (
    Errors,
    check_enum,
    duplicate,
    each_invalid,
    forbidden,
    invalid,
    not_supported,
    required,
)
from orchestra.apiserver.validation.formats import dns_label, dns_subdomain
from orchestra.apiserver.validation.legacy_volumes import LEGACY
from orchestra.apiserver.validation.projections import (
    check_downward_file,
    check_keys,
    check_mode,
    check_projected,
)
from orchestra.apiserver.validation.references import check_no_backsteps

Document = Mapping[str, Any]
SourceRule = Callable[[Document, str, PodContext, Errors], None]

PULL_POLICIES = ("Always", "IfNotPresent", "Never")
_HOST_PATH_TYPES = (
    "",
    "BlockDevice",
    "CharDevice",
    "Directory",
    "DirectoryOrCreate",
    "File",
    "FileOrCreate",
    "Socket",
)


def _check_empty_dir(source: Document, path: str, _context: PodContext, errors: Errors) -> None:
    limit = source.get("sizeLimit")
    if limit is not None and Quantity(limit) < Quantity("0"):
        errors.append(forbidden(f"{path}.sizeLimit", "SizeLimit field must be a valid resource quantity"))


def check_host_path(source: Document, path: str, errors: Errors) -> None:
    """Append the faults of a path of the node."""
    if not source.get("path"):
        errors.append(required(f"{path}.path"))
        return
    check_no_backsteps(source["path"], f"{path}.path", errors)
    kind = source.get("type")
    if kind is not None and kind not in _HOST_PATH_TYPES:
        errors.append(not_supported(f"{path}.type", kind, _HOST_PATH_TYPES))


def _check_secret(source: Document, path: str, _context: PodContext, errors: Errors) -> None:
    if not source.get("secretName"):
        errors.append(required(f"{path}.secretName"))
    check_mode(source.get("defaultMode"), f"{path}.defaultMode", errors)
    check_keys(source.get("items"), f"{path}.items", errors)


def _check_config_map(source: Document, path: str, _context: PodContext, errors: Errors) -> None:
    if not source.get("name"):
        errors.append(required(f"{path}.name"))
    check_mode(source.get("defaultMode"), f"{path}.defaultMode", errors)
    check_keys(source.get("items"), f"{path}.items", errors)


def _check_claim(source: Document, path: str, _context: PodContext, errors: Errors) -> None:
    if not source.get("claimName"):
        errors.append(required(f"{path}.claimName"))


def _check_downward(source: Document, path: str, _context: PodContext, errors: Errors) -> None:
    check_mode(source.get("defaultMode"), f"{path}.defaultMode", errors)
    for file in source.get("items") or ():
        check_downward_file(file, path, errors)


def _check_projected(source: Document, path: str, _context: PodContext, errors: Errors) -> None:
    check_mode(source.get("defaultMode"), f"{path}.defaultMode", errors)
    check_projected(source, path, errors)


def _check_csi(source: Document, path: str, _context: PodContext, errors: Errors) -> None:
    driver = source.get("driver") or ""
    if not driver:
        errors.append(required(f"{path}.driver"))
    elif len(driver) > 63:
        errors.append(invalid(f"{path}.driver", driver, "must be no more than 63 characters"))
    else:
        each_invalid(f"{path}.driver", driver, dns_subdomain(driver.lower()), errors)
    secret = source.get("nodePublishSecretRef")
    if secret is not None and not secret.get("name"):
        errors.append(required(f"{path}.nodePublishSecretRef.name"))


def _check_ephemeral(source: Document, path: str, context: PodContext, errors: Errors) -> None:
    template = source.get("volumeClaimTemplate")
    if template is None:
        errors.append(required(f"{path}.volumeClaimTemplate"))
        return
    spec = template.get("spec") or {}
    at = f"{path}.volumeClaimTemplate.spec"
    if not spec.get("accessModes"):
        errors.append(required(f"{at}.accessModes", "at least 1 access mode is required"))
    storage = ((spec.get("resources") or {}).get("requests") or {}).get("storage")
    if storage is None:
        errors.append(required(f"{at}.resources[storage]"))
    elif Quantity(storage) <= Quantity("0"):
        errors.append(invalid(f"{at}.resources[storage]", str(Quantity(storage)), "must be greater than zero"))


def _check_image(source: Document, path: str, context: PodContext, errors: Errors) -> None:
    if context.is_pod and not source.get("reference"):
        errors.append(required(f"{path}.reference"))
    check_enum(f"{path}.pullPolicy", source.get("pullPolicy"), PULL_POLICIES, errors)


def _legacy(name: str) -> SourceRule:
    rule = LEGACY[name]
    return lambda source, path, _context, errors: rule(source, path, errors)


# The order is the one in which faults are told. Where Kubernetes names a field differently in its messages, the
# second name stands here.
_SOURCES: tuple[tuple[str, str, SourceRule], ...] = (
    ("emptyDir", "emptyDir", _check_empty_dir),
    ("hostPath", "hostPath", lambda source, path, _context, errors: check_host_path(source, path, errors)),
    ("gitRepo", "gitRepo", _legacy("gitRepo")),
    ("gcePersistentDisk", "persistentDisk", _legacy("gcePersistentDisk")),
    ("awsElasticBlockStore", "awsElasticBlockStore", _legacy("awsElasticBlockStore")),
    ("secret", "secret", _check_secret),
    ("nfs", "nfs", _legacy("nfs")),
    ("iscsi", "iscsi", _legacy("iscsi")),
    ("glusterfs", "glusterfs", _legacy("glusterfs")),
    ("flocker", "flocker", _legacy("flocker")),
    ("persistentVolumeClaim", "persistentVolumeClaim", _check_claim),
    ("rbd", "rbd", _legacy("rbd")),
    ("cinder", "cinder", _legacy("cinder")),
    ("cephfs", "cephfs", _legacy("cephfs")),
    ("quobyte", "quobyte", _legacy("quobyte")),
    ("downwardAPI", "downwardAPI", _check_downward),
    ("fc", "fc", _legacy("fc")),
    ("flexVolume", "flexVolume", _legacy("flexVolume")),
    ("configMap", "configMap", _check_config_map),
    ("azureFile", "azureFile", _legacy("azureFile")),
    ("vsphereVolume", "vsphereVolume", _legacy("vsphereVolume")),
    ("photonPersistentDisk", "photonPersistentDisk", _legacy("photonPersistentDisk")),
    ("portworxVolume", "portworxVolume", _legacy("portworxVolume")),
    ("azureDisk", "azureDisk", _legacy("azureDisk")),
    ("storageos", "storageos", _legacy("storageos")),
    ("projected", "projected", _check_projected),
    ("scaleIO", "scaleIO", _legacy("scaleIO")),
    ("csi", "csi", _check_csi),
    ("ephemeral", "ephemeral", _check_ephemeral),
    ("image", "image", _check_image),
)


def _check_source(volume: Document, path: str, context: PodContext, errors: Errors) -> None:
    found = False
    for name, shown, rule in _SOURCES:
        source = volume.get(name)
        if source is None:
            continue
        if found:
            errors.append(forbidden(f"{path}.{name}", "may not specify more than 1 volume type"))
        else:
            rule(source, f"{path}.{shown}", context, errors)
        found = True
    if not found:
        errors.append(required(path, "must specify a volume type"))
    volume_name = volume.get("name")
    if volume.get("ephemeral") is not None and context.pod_name and volume_name:
        claim = f"{context.pod_name}-{volume_name}"
        for fault in dns_subdomain(claim):
            errors.append(invalid(f"{path}.name", volume_name, f'PVC name "{claim}": {fault}'))


def check_volumes(
    volumes: Sequence[Document] | None, path: str, context: PodContext, errors: Errors
) -> dict[str, Document]:
    """Append the faults of all volumes and return the valid ones by name: only those can be mounted."""
    valid: dict[str, Document] = {}
    claims = _created_claims(volumes or (), context.pod_name)
    for index, volume in enumerate(volumes or ()):
        at = f"{path}[{index}]"
        faults: Errors = []
        _check_source(volume, at, context, faults)
        name = volume.get("name") or ""
        if name:
            each_invalid(f"{at}.name", name, dns_label(name), faults)
        else:
            faults.append(required(f"{at}.name"))
        if name in valid:
            faults.append(duplicate(f"{at}.name", name))
        if not faults:
            valid[name] = volume
        errors += faults
        claim = (volume.get("persistentVolumeClaim") or {}).get("claimName")
        if claim in claims:
            detail = "must not reference a PVC that gets created for an ephemeral volume"
            errors.append(invalid(f"{at}.persistentVolumeClaim.claimName", claim, detail))
    return valid


def _created_claims(volumes: Sequence[Document], pod_name: str) -> frozenset[str]:
    if not pod_name:
        return frozenset()
    return frozenset(f"{pod_name}-{each.get('name')}" for each in volumes if each.get("ephemeral") is not None)
