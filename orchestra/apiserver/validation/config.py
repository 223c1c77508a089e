"""Rules of ConfigMaps and Secrets. Source: core/v1, as kube-apiserver 1.36 answers."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any

from orchestra.apiserver.validation.fields import (
    Errors,
    check_immutable,
    each_invalid,
    forbidden,
    invalid,
    required,
    too_long,
)
from orchestra.apiserver.validation.formats import config_key, dns_subdomain
from orchestra.apiserver.validation.json_errors import json_error
from orchestra.apiserver.validation.metadata import check_metadata, check_metadata_update

Document = Mapping[str, Any]
MAX_DATA_BYTES = 1024 * 1024
ACCOUNT_NAME = "kubernetes.io/service-account.name"
_FIXED = "field is immutable when `immutable` is set"
_REDACTED = "<secret contents redacted>"

_NEEDED_KEYS = {"kubernetes.io/dockercfg": ".dockercfg", "kubernetes.io/dockerconfigjson": ".dockerconfigjson"}


def _size(value: str | None) -> int:
    return len((value or "").encode())


def _decoded(value: str | None) -> bytes:
    try:
        return base64.b64decode(value or "", validate=True)
    except (binascii.Error, ValueError):
        return (value or "").encode()


def validate_config_map(document: Document) -> Errors:
    """Return the faults of a ConfigMap."""
    errors: Errors = []
    check_metadata(document, dns_subdomain, errors)
    _check_config_map(document, errors)
    return errors


def _check_config_map(document: Document, errors: Errors) -> None:
    data, binary = document.get("data") or {}, document.get("binaryData") or {}
    size = 0
    for key in sorted(data):
        each_invalid(f"data[{key}]", key, config_key(key), errors)
        if key in binary:
            errors.append(invalid(f"data[{key}]", key, "duplicate of key present in binaryData"))
        size += _size(data[key])
    for key in sorted(binary):
        each_invalid(f"binaryData[{key}]", key, config_key(key), errors)
        size += len(_decoded(binary[key]))
    if size > MAX_DATA_BYTES:
        errors.append(too_long("[]", MAX_DATA_BYTES))  # the root, as Kubernetes writes its path


def _check_frozen(new: Document, old: Document, fields: tuple[str, ...], errors: Errors) -> None:
    if not old.get("immutable"):
        return
    if not new.get("immutable"):
        errors.append(forbidden("immutable", _FIXED))
    for field in fields:
        if (new.get(field) or {}) != (old.get(field) or {}):
            errors.append(forbidden(field, _FIXED))


def validate_config_map_update(new: Document, old: Document) -> Errors:
    """Return the faults of an update of a ConfigMap, whose content may be frozen."""
    errors: Errors = []
    check_metadata_update(new, old, errors, kube_finalizers=True)
    _check_frozen(new, old, ("data", "binaryData"), errors)
    check_metadata(new, dns_subdomain, errors)
    _check_config_map(new, errors)
    return errors


def validate_secret(document: Document) -> Errors:
    """Return the faults of a Secret: what it holds fits its type."""
    errors: Errors = []
    check_metadata(document, dns_subdomain, errors)
    _check_secret(document, errors)
    return errors


def _check_secret(document: Document, errors: Errors) -> None:
    data = document.get("data") or {}
    size = 0
    for key in sorted(data):
        each_invalid(f"data[{key}]", key, config_key(key), errors)
        size += len(_decoded(data[key]))
    if size > MAX_DATA_BYTES:
        errors.append(too_long("data", MAX_DATA_BYTES))
    kind = document.get("type") or ""
    if kind == "kubernetes.io/service-account-token":
        annotations = (document.get("metadata") or {}).get("annotations") or {}
        if not annotations.get(ACCOUNT_NAME):
            errors.append(required(f"metadata.annotations[{ACCOUNT_NAME}]"))
    elif kind in _NEEDED_KEYS:
        _check_docker(data, _NEEDED_KEYS[kind], errors)
    elif kind == "kubernetes.io/basic-auth":
        if "username" not in data and "password" not in data:
            errors.append(required("data[username]"))
            errors.append(required("data[password]"))
    elif kind == "kubernetes.io/ssh-auth":
        if not data.get("ssh-privatekey"):
            errors.append(required("data[ssh-privatekey]"))
    elif kind == "kubernetes.io/tls":
        errors += [required(f"data[{key}]") for key in ("tls.crt", "tls.key") if key not in data]


def _check_docker(data: Document, key: str, errors: Errors) -> None:
    if key not in data:
        errors.append(required(f"data[{key}]"))
        return
    fault = _object_fault(_decoded(data[key]))
    if fault:
        errors.append(invalid(f"data[{key}]", _REDACTED, fault))


def _object_fault(content: bytes) -> str:
    """Return why `content` is no JSON object; empty when it is one."""
    fault = json_error(content)
    if fault:
        return fault
    value = json.loads(content)
    if isinstance(value, dict) or value is None:
        return ""
    names: dict[type, str] = {list: "array", str: "string", bool: "bool"}
    found = names.get(type(value), "number")
    return f"json: cannot unmarshal {found} into Go value of type map[string]interface {{}}"


def validate_secret_update(new: Document, old: Document) -> Errors:
    """Return the faults of an update of a Secret, whose type is fixed and whose content may be frozen."""
    errors: Errors = []
    check_metadata_update(new, old, errors, kube_finalizers=True)
    check_immutable("type", new.get("type") or "", old.get("type") or "", errors)
    _check_frozen(new, old, ("data",), errors)
    check_metadata(new, dns_subdomain, errors)
    _check_secret(new, errors)
    return errors
