"""Rules of the volume sources that name a storage product. Most ask for one or two fields: a table says which."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from orchestra.apiserver.validation.fields import Errors, forbidden, invalid, not_supported, required
from orchestra.apiserver.validation.formats import range_error
from orchestra.apiserver.validation.references import check_descending_path

Document = Mapping[str, Any]
Rule = Callable[[Document, str, Errors], None]

_ISCSI_FORMS = {
    "iqn": re.compile(r"iqn\.\d{4}-\d{2}\.([A-Za-z0-9.-]+)(:[^,;*&$|\s]+)"),
    "eui": re.compile(r"eui.[A-Za-z0-9]{16}"),
    "naa": re.compile(r"naa.[A-Za-z0-9]{32}"),
}


def _needs(*fields: str) -> Rule:
    def check(source: Document, path: str, errors: Errors) -> None:
        for field in fields:
            if not source.get(field):
                errors.append(required(f"{path}.{field}"))

    return check


def _check_disk(field: str) -> Rule:
    def check(source: Document, path: str, errors: Errors) -> None:
        _needs(field)(source, path, errors)
        partition = source.get("partition") or 0
        if not 0 <= partition <= 255:
            errors.append(invalid(f"{path}.partition", partition, range_error(1, 255)))

    return check


def _check_git(source: Document, path: str, errors: Errors) -> None:
    _needs("repository")(source, path, errors)
    check_descending_path(source.get("directory") or "", f"{path}.directory", errors)


def _check_nfs(source: Document, path: str, errors: Errors) -> None:
    _needs("server", "path")(source, path, errors)
    if not (source.get("path") or "").startswith("/"):
        errors.append(invalid(f"{path}.path", source.get("path") or "", "must be an absolute path"))


def _check_iscsi(source: Document, path: str, errors: Errors) -> None:
    _needs("targetPortal", "iqn")(source, path, errors)
    if source.get("iqn"):
        _check_iscsi_name(source["iqn"], f"{path}.iqn", errors)
    lun = source.get("lun") or 0
    if not 0 <= lun <= 255:
        errors.append(invalid(f"{path}.lun", lun, range_error(0, 255)))
    if (source.get("chapAuthDiscovery") or source.get("chapAuthSession")) and source.get("secretRef") is None:
        errors.append(required(f"{path}.secretRef"))
    if source.get("initiatorName") is not None:
        _check_iscsi_name(source["initiatorName"], f"{path}.initiatorname", errors)


def _check_iscsi_name(name: str, path: str, errors: Errors) -> None:
    form = _ISCSI_FORMS.get(name[:3])
    if form is None:
        errors.append(invalid(path, name, "must be valid format starting with iqn, eui, or naa"))
    elif not form.fullmatch(name):
        errors.append(invalid(path, name, "must be valid format"))


def _check_flocker(source: Document, path: str, errors: Errors) -> None:
    name, uuid = source.get("datasetName") or "", source.get("datasetUUID") or ""
    if not name and not uuid:
        errors.append(required(path, "one of datasetName and datasetUUID is required"))
    if name and uuid:
        detail = "datasetName and datasetUUID can not be specified simultaneously"
        errors.append(invalid(path, "resource", detail))
    if "/" in name:
        errors.append(invalid(f"{path}.datasetName", name, "must not contain '/'"))


def _check_cinder(source: Document, path: str, errors: Errors) -> None:
    _needs("volumeID")(source, path, errors)
    if source.get("secretRef") is not None and not source["secretRef"].get("name"):
        errors.append(required(f"{path}.secretRef.name"))


def _check_quobyte(source: Document, path: str, errors: Errors) -> None:
    registry, tenant = source.get("registry") or "", source.get("tenant") or ""
    pairs = "must be a host:port pair or multiple pairs separated by commas"
    if not registry:
        errors.append(required(f"{path}.registry", pairs))
    elif len(tenant) >= 65:
        errors.append(required(f"{path}.tenant", "must be a UUID and may not exceed a length of 64 characters"))
    else:
        for pair in registry.split(","):
            if pair.count(":") != 1:
                errors.append(invalid(f"{path}.registry", registry, pairs))
    _needs("volume")(source, path, errors)


def _check_fibre_channel(source: Document, path: str, errors: Errors) -> None:
    names, ids, lun = source.get("targetWWNs"), source.get("wwids"), source.get("lun")
    if not names and not ids:
        errors.append(required(f"{path}.targetWWNs", "must specify either targetWWNs or wwids, but not both"))
    if names and ids:
        detail = "targetWWNs and wwids can not be specified simultaneously"
        errors.append(invalid(f"{path}.targetWWNs", names, detail))
    if names:
        if lun is None:
            errors.append(required(f"{path}.lun", "lun is required if targetWWNs is specified"))
        elif not 0 <= lun <= 255:
            errors.append(invalid(f"{path}.lun", lun, range_error(0, 255)))


def _check_flex(source: Document, path: str, errors: Errors) -> None:
    _needs("driver")(source, path, errors)
    for key in sorted(source.get("options") or ()):
        domain = f".{key.partition('/')[0].lower()}"
        if domain.endswith((".kubernetes.io", ".k8s.io")):
            detail = "kubernetes.io and k8s.io namespaces are reserved"
            errors.append(invalid(f"{path}.options[{key}]", key, detail))


_AZURE_MANAGED = ("/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}",)
_AZURE_BLOB = ("https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd",)


def _check_azure_disk(source: Document, path: str, errors: Errors) -> None:
    _needs("diskName", "diskURI")(source, path, errors)
    uri, kind, caching = source.get("diskURI") or "", source.get("kind"), source.get("cachingMode")
    if caching is not None and caching not in ("None", "ReadOnly", "ReadWrite"):
        errors.append(not_supported(f"{path}.cachingMode", caching, ("None", "ReadOnly", "ReadWrite")))
    if kind is None:
        return
    if kind not in ("Dedicated", "Managed", "Shared"):
        errors.append(not_supported(f"{path}.kind", kind, ("Dedicated", "Managed", "Shared")))
    if kind == "Managed" and not uri.startswith("/subscriptions/"):
        errors.append(not_supported(f"{path}.diskURI", uri, _AZURE_MANAGED))
    if kind != "Managed" and not uri.startswith("https://"):
        errors.append(not_supported(f"{path}.diskURI", uri, _AZURE_BLOB))


def _check_scale_io(source: Document, path: str, errors: Errors) -> None:
    _needs("gateway", "system", "volumeName")(source, path, errors)
    if source.get("secretRef") is None:
        errors.append(required(f"{path}.secretRef"))


def _check_storage_os(source: Document, path: str, errors: Errors) -> None:
    _needs("volumeName")(source, path, errors)
    if "/" in (source.get("volumeName") or ""):
        errors.append(forbidden(f"{path}.volumeName", "must not contain '/'"))


LEGACY: dict[str, Rule] = {
    "gitRepo": _check_git,
    "gcePersistentDisk": _check_disk("pdName"),
    "awsElasticBlockStore": _check_disk("volumeID"),
    "nfs": _check_nfs,
    "iscsi": _check_iscsi,
    "glusterfs": _needs("endpoints", "path"),
    "flocker": _check_flocker,
    "rbd": _needs("monitors", "image"),
    "cinder": _check_cinder,
    "cephfs": _needs("monitors"),
    "quobyte": _check_quobyte,
    "fc": _check_fibre_channel,
    "flexVolume": _check_flex,
    "azureFile": _needs("secretName", "shareName"),
    "vsphereVolume": _needs("volumePath"),
    "photonPersistentDisk": _needs("pdID"),
    "portworxVolume": _needs("volumeID"),
    "azureDisk": _check_azure_disk,
    "storageos": _check_storage_os,
    "scaleIO": _check_scale_io,
}
"""The rule of each source by the field that holds it."""
