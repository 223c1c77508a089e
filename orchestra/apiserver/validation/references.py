"""Rules of what a container takes from elsewhere: fields of its Pod, resources, keys of ConfigMaps and Secrets, files.

Source: the Kubernetes downward API and EnvVarSource.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from orchestra.api.quantity import Quantity
from orchestra.apiserver.validation.fields import Errors, each_invalid, invalid, not_supported, required
from orchestra.apiserver.validation.formats import config_key, dns_subdomain, qualified_name

Document = Mapping[str, Any]

ENV_FIELDS = (
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
)
VOLUME_FIELDS = ("metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid")
_KNOWN_FIELDS = frozenset({*ENV_FIELDS, *VOLUME_FIELDS, "spec.restartPolicy", "spec.schedulerName", "status.phase"})
_SUBSCRIPT = re.compile(r"(.+?)\['(.*)'\]")

_RESOURCES = (
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
)
_HUGE_PAGES = ("limits.hugepages-", "requests.hugepages-")
_BYTE_DIVISORS = ("1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei")
_DIVISORS: dict[str, tuple[tuple[str, ...], str]] = {
    "cpu": (("1m", "1"), "only divisor's values 1m and 1 are supported with the cpu resource"),
    "memory": (
        _BYTE_DIVISORS,
        f"only divisor's values {', '.join(_BYTE_DIVISORS)} are supported with the memory resource",
    ),
    "ephemeral-storage": (
        _BYTE_DIVISORS,
        f"only divisor's values {', '.join(_BYTE_DIVISORS)} are supported with the local ephemeral storage resource",
    ),
    "hugepages": (
        _BYTE_DIVISORS,
        f"only divisor's values {', '.join(_BYTE_DIVISORS)} are supported with the hugepages resource",
    ),
}


def check_field_ref(ref: Document, supported: Sequence[str], path: str, errors: Errors) -> None:
    """A field of the Pod that the downward API offers; labels and annotations may have a subscript."""
    field = ref.get("fieldPath") or ""
    if not ref.get("apiVersion"):
        errors.append(required(f"{path}.apiVersion"))
        return
    if not field:
        errors.append(required(f"{path}.fieldPath"))
        return
    subscript = _SUBSCRIPT.fullmatch(field)
    name = subscript[1] if subscript else field
    if ref["apiVersion"] != "v1":
        detail = f"error converting fieldPath: unsupported pod version: {ref['apiVersion']}"
        errors.append(invalid(f"{path}.fieldPath", field, detail))
    elif subscript and name in ("metadata.annotations", "metadata.labels"):
        key = subscript[2].lower() if name == "metadata.annotations" else subscript[2]
        each_invalid(path, key, qualified_name(key), errors)
    elif subscript:
        detail = f"error converting fieldPath: field label does not support subscript: {field}"
        errors.append(invalid(f"{path}.fieldPath", field, detail))
    elif field not in _KNOWN_FIELDS:
        detail = f"error converting fieldPath: field label not supported: {field}"
        errors.append(invalid(f"{path}.fieldPath", field, detail))
    elif field not in supported:
        errors.append(not_supported(f"{path}.fieldPath", field, supported))


def check_resource_ref(ref: Document, path: str, errors: Errors, *, in_volume: bool = False) -> None:
    """A request or limit of a container, divided by a unit."""
    resource = ref.get("resource") or ""
    if in_volume and not ref.get("containerName"):
        errors.append(required(f"{path}.containerName"))
    elif not resource:
        errors.append(required(f"{path}.resource"))
    elif resource not in _RESOURCES and not resource.startswith(_HUGE_PAGES):
        errors.append(not_supported(f"{path}.resource", resource, _RESOURCES))
    divisor = Quantity(ref.get("divisor") or "0")
    kind = "hugepages" if resource.startswith(_HUGE_PAGES) else resource.partition(".")[2]
    if divisor and kind in _DIVISORS:
        allowed, detail = _DIVISORS[kind]
        if str(divisor) not in allowed:
            errors.append(invalid(f"{path}.divisor", resource, detail))


def check_key_ref(ref: Document, path: str, errors: Errors) -> None:
    """A key of a ConfigMap or Secret."""
    name, key = ref.get("name") or "", ref.get("key") or ""
    each_invalid(f"{path}.name", name, dns_subdomain(name), errors)
    if key:
        each_invalid(f"{path}.key", key, config_key(key), errors)
    else:
        errors.append(required(f"{path}.key"))


def check_file_ref(ref: Document, volumes: Mapping[str, Document], path: str, errors: Errors) -> None:
    """A key of a file of variables in an emptyDir volume."""
    for field in ("key", "volumeName", "path"):
        if not ref.get(field):
            errors.append(required(f"{path}.{field}"))
    check_reserved_path(ref.get("path") or "", f"{path}.path", errors)
    name = ref.get("volumeName")
    if name and name in volumes and volumes[name].get("emptyDir") is None:
        errors.append(invalid(f"{path}.volumeName", name, "referenced volume must be of type emptyDir"))


def check_no_backsteps(value: str, path: str, errors: Errors) -> None:
    """A path without `..` in it."""
    if ".." in value and ".." in value.split("/"):
        errors.append(invalid(path, value, "must not contain '..'"))


def check_descending_path(value: str, path: str, errors: Errors) -> None:
    """A relative path that stays below where it starts."""
    if value.startswith("/"):
        errors.append(invalid(path, value, "must be a relative path"))
    check_no_backsteps(value, path, errors)


def check_reserved_path(value: str, path: str, errors: Errors) -> None:
    """A relative path below where it starts, whose first name does not begin with two dots."""
    check_descending_path(value, path, errors)
    if value.startswith("..") and value != ".." and not value.startswith("../"):
        errors.append(invalid(path, value, "must not start with '..'"))
