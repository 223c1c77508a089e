"""Defaults of volumes, by the kind of their source. Source: core/v1 defaults of Kubernetes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from orchestra.apiserver.defaults.containers import default_field_ref, each, with_defaults
from orchestra.apiserver.defaults.images import default_pull_policy

Document = dict[str, Any]
FILE_MODE = 0o644
TOKEN_SECONDS = 3600


def _with_mode(source: Document) -> Document:
    return source if source.get("defaultMode") is not None else {**source, "defaultMode": FILE_MODE}


def _downward(source: Document) -> Document:
    if not source.get("items"):
        return source
    return {**source, "items": each(source["items"], default_field_ref)}


def _projection(source: Document) -> Document:
    new = dict(source)
    if new.get("downwardAPI") is not None:
        new["downwardAPI"] = _downward(new["downwardAPI"])
    token = new.get("serviceAccountToken")
    if token is not None and token.get("expirationSeconds") is None:
        new["serviceAccountToken"] = {**token, "expirationSeconds": TOKEN_SECONDS}
    return new


def _projected(source: Document) -> Document:
    new = _with_mode(source)
    return {**new, "sources": each(new["sources"], _projection)} if new.get("sources") else new


def _azure_disk(source: Document) -> Document:
    defaults = {"cachingMode": "ReadWrite", "kind": "Shared", "fsType": "ext4", "readOnly": False}
    return {**source, **{name: value for name, value in defaults.items() if source.get(name) is None}}


def _ephemeral(source: Document) -> Document:
    template = source.get("volumeClaimTemplate")
    if template is None:
        return source
    spec = template.get("spec") or {}
    if spec.get("volumeMode") is not None:
        return source
    return {**source, "volumeClaimTemplate": {**template, "spec": {**spec, "volumeMode": "Filesystem"}}}


def _image(source: Document) -> Document:
    return with_defaults(source, {"pullPolicy": default_pull_policy(source.get("reference") or "")})


_SOURCES: dict[str, Callable[[Document], Document]] = {
    "secret": _with_mode,
    "configMap": _with_mode,
    "downwardAPI": lambda source: _downward(_with_mode(source)),
    "projected": _projected,
    "hostPath": lambda source: source if source.get("type") is not None else {**source, "type": ""},
    "iscsi": lambda source: with_defaults(source, {"iscsiInterface": "default"}),
    "rbd": lambda source: with_defaults(source, {"pool": "rbd", "user": "admin", "keyring": "/etc/ceph/keyring"}),
    "azureDisk": _azure_disk,
    "scaleIO": lambda source: with_defaults(source, {"storageMode": "ThinProvisioned", "fsType": "xfs"}),
    "ephemeral": _ephemeral,
    "image": _image,
}


def default_volume(volume: Document) -> Document:
    """Return a volume with its source filled in; a volume without a source is an empty directory."""
    sources = [name for name, value in volume.items() if name != "name" and value is not None]
    if not sources:
        return {**volume, "emptyDir": {}}
    new = dict(volume)
    for name in sources:
        if name in _SOURCES:
            new[name] = _SOURCES[name](new[name])
    return new
