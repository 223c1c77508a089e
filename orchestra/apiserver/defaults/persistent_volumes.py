"""Defaults of volumes and of claims to them. Source: core/v1 defaults and strategies of Kubernetes."""

from __future__ import annotations

from typing import Any

from orchestra.apiserver.defaults.canonical import canonical
from orchestra.apiserver.defaults.others import with_status
from orchestra.apiserver.defaults.prepare import only_status
from orchestra.apiserver.defaults.workloads import filled

Document = dict[str, Any]
CLAIM_FINALIZER = "kubernetes.io/pvc-protection"
VOLUME_FINALIZER = "kubernetes.io/pv-protection"
"""What keeps a volume, or a claim to one, while it is in use (admission plugin StorageObjectInUseProtection)."""


def default_claim(document: Document) -> Document:
    """Return a PersistentVolumeClaim of a file system that waits for its volume, if it does not say otherwise."""
    from orchestra.api.core.persistentvolume import PersistentVolumeClaim

    document = canonical(document, PersistentVolumeClaim)
    spec = filled(document.get("spec") or {}, {"volumeMode": "Filesystem"})
    status = filled(document.get("status") or {}, {"phase": "Pending"})
    if spec is not document.get("spec"):
        document = {**document, "spec": spec}
    return with_status(document, status)


def create_claim(document: Document) -> Document:
    """Return a new claim, which has no volume yet; a source that is named in one way is named in both."""
    spec = document.get("spec") or {}
    source, reference = spec.get("dataSource"), spec.get("dataSourceRef")
    if reference and "namespace" in reference:  # behind a gate that is off: CrossNamespaceVolumeDataSource
        reference = {name: value for name, value in reference.items() if name != "namespace"}
        document = {**document, "spec": {**spec, "dataSourceRef": reference}}
        spec = document["spec"]
    if source and not reference:
        document = {**document, "spec": {**spec, "dataSourceRef": source}}
    elif reference and not source:
        document = {**document, "spec": {**spec, "dataSource": reference}}
    return with_status(_protected(document, CLAIM_FINALIZER), {"phase": "Pending"})


def _protected(document: Document, finalizer: str) -> Document:
    meta = document.get("metadata") or {}
    given = list(meta.get("finalizers") or ())
    if finalizer in given:
        return document
    return {**document, "metadata": {**meta, "finalizers": [*given, finalizer]}}


def update_claim_status(new: Document, old: Document) -> Document:
    """Return an update of a claim's status."""
    return default_claim(only_status(new, old))


def default_volume(document: Document) -> Document:
    """Return a PersistentVolume that is kept when its claim goes, if it does not say otherwise."""
    from orchestra.api.core.persistentvolume import PersistentVolume

    document = canonical(document, PersistentVolume)
    given = document.get("spec") or {}
    spec = filled(given, {"persistentVolumeReclaimPolicy": "Retain", "volumeMode": "Filesystem"})
    host_path = spec.get("hostPath")
    if host_path is not None and host_path.get("type") is None:
        spec = {**spec, "hostPath": {**host_path, "type": ""}}
    status = filled(document.get("status") or {}, {"phase": "Pending"})
    if spec is not document.get("spec"):
        document = {**document, "spec": spec}
    return with_status(document, status)


def create_volume(document: Document) -> Document:
    """Return a new volume, of which nothing is known yet."""
    return with_status(_protected(document, VOLUME_FINALIZER), {"phase": "Pending"})


def update_volume_status(new: Document, old: Document) -> Document:
    """Return an update of a volume's status."""
    return default_volume(only_status(new, old))


def default_storage_class(document: Document) -> Document:
    """Return a StorageClass whose volumes go with their claims and are made at once, if it does not say otherwise."""
    from orchestra.api.storage import StorageClass

    document = canonical(document, StorageClass)
    result: Document = filled(document, {"reclaimPolicy": "Delete", "volumeBindingMode": "Immediate"})
    return result
