"""Rules of files made from keys and fields: items of ConfigMaps, Secrets, downward API and projected volumes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from orchestra.apiserver.validation.fields import Errors, forbidden, invalid, ordered, required
from orchestra.apiserver.validation.metadata import check_label_selector
from orchestra.apiserver.validation.references import (
    VOLUME_FIELDS,
    check_field_ref,
    check_reserved_path,
    check_resource_ref,
)

Document = Mapping[str, Any]
MIN_TOKEN_SECONDS = 600
MAX_TOKEN_SECONDS = 2**32


def check_mode(mode: int | None, path: str, errors: Errors) -> None:
    """Permission bits of a file."""
    if mode is not None and not 0 <= mode <= 0o777:
        errors.append(invalid(path, mode, "must be a number between 0 and 0777 (octal), both inclusive"))


def _check_key(item: Document, path: str, errors: Errors) -> None:
    if not item.get("key"):
        errors.append(required(f"{path}.key"))
    if not item.get("path"):
        errors.append(required(f"{path}.path"))
    check_reserved_path(item.get("path") or "", f"{path}.path", errors)
    check_mode(item.get("mode"), f"{path}.mode", errors)


def check_keys(items: Sequence[Document] | None, path: str, errors: Errors) -> None:
    """Append the faults of the `items` of a ConfigMap or Secret."""
    for index, item in enumerate(items or ()):
        _check_key(item, f"{path}[{index}]", errors)


def check_downward_file(file: Document, path: str, errors: Errors) -> None:
    """Append the faults of one file of the downward API; Kubernetes does not tell which one of several."""
    if not file.get("path"):
        errors.append(required(f"{path}.path"))
    check_reserved_path(file.get("path") or "", f"{path}.path", errors)
    field, resource = file.get("fieldRef"), file.get("resourceFieldRef")
    if field is not None:
        check_field_ref(field, VOLUME_FIELDS, f"{path}.fieldRef", errors)
        if resource is not None:
            detail = "fieldRef and resourceFieldRef can not be specified simultaneously"
            errors.append(invalid(path, "resource", detail))
    elif resource is not None:
        check_resource_ref(resource, f"{path}.resourceFieldRef", errors, in_volume=True)
    else:
        errors.append(required(path, "one of fieldRef and resourceFieldRef is required"))
    check_mode(file.get("mode"), f"{path}.mode", errors)


class _Paths:
    """The paths that a projected volume fills, to find the ones that two sources want."""

    def __init__(self, path: str, errors: Errors) -> None:
        self._seen: set[str] = set()
        self._path = path
        self._errors = errors

    def take(self, path: str, shown: str) -> None:
        """Note that a source fills `path`; `shown` is named when another one did before."""
        if path in self._seen:
            self._errors.append(invalid(self._path, shown, "conflicting duplicate paths"))
        self._seen.add(path)


def _check_named(source: Document, path: str, paths: _Paths, errors: Errors) -> None:
    name = source.get("name") or ""
    if not name:
        errors.append(required(f"{path}.name"))
    for index, item in enumerate(source.get("items") or ()):
        _check_key(item, f"{path}.items[{index}]", errors)
        if item.get("path"):
            paths.take(item["path"], name)


def _check_token(source: Document, path: str, volume_path: str, errors: Errors) -> None:
    seconds = source.get("expirationSeconds") or 0
    if seconds < MIN_TOKEN_SECONDS:
        detail = "may not specify a duration less than 10 minutes"
        errors.append(invalid(f"{path}.expirationSeconds", seconds, detail))
    if seconds > MAX_TOKEN_SECONDS:
        detail = "may not specify a duration larger than 2^32 seconds"
        errors.append(invalid(f"{path}.expirationSeconds", seconds, detail))
    if not source.get("path"):
        errors.append(required(f"{volume_path}.path"))
    else:
        check_reserved_path(source["path"], f"{volume_path}.path", errors)


def _check_trust_bundle(source: Document, path: str, paths: _Paths, errors: Errors) -> None:
    name, signer = source.get("name"), source.get("signerName")
    if name is not None and signer is not None:
        names = ("name", "signerName", "labelSelector", "optional", "path")
        errors.append(invalid(path, ordered(source, names), "only one of name and signerName may be used"))
    elif name is not None:
        if not name:
            errors.append(required(f"{path}.name", "must be a valid object name"))
        if source.get("labelSelector") is not None:
            detail = "labelSelector must be unset if name is specified"
            errors.append(invalid(f"{path}.labelSelector", source["labelSelector"], detail))
    elif signer is not None:
        if not signer:
            errors.append(required(f"{path}.signerName", "must be a valid signer name"))
        check_label_selector(source.get("labelSelector"), f"{path}.labelSelector", errors)
    else:
        errors.append(required(path, "either name or signerName must be specified"))
    if not source.get("path"):
        errors.append(required(f"{path}.path"))
    check_reserved_path(source.get("path") or "", f"{path}.path", errors)
    paths.take(source.get("path") or "", source.get("path") or "")


def check_projected(volume: Document, path: str, errors: Errors) -> None:
    """Append the faults of a projected volume's sources."""
    paths = _Paths(path, errors)
    for index, source in enumerate(volume.get("sources") or ()):
        at = f"{path}.sources[{index}]"
        kinds = [kind for kind, value in source.items() if value is not None]
        for kind in ("secret", "configMap"):
            if source.get(kind) is not None:
                _check_named(source[kind], f"{at}.{kind}", paths, errors)
        if source.get("downwardAPI") is not None:
            for file in source["downwardAPI"].get("items") or ():
                check_downward_file(file, f"{at}.downwardAPI", errors)
                if file.get("path"):
                    paths.take(file["path"], file["path"])
        if source.get("serviceAccountToken") is not None:
            _check_token(source["serviceAccountToken"], f"{at}.serviceAccountToken", path, errors)
        if source.get("clusterTrustBundle") is not None:
            _check_trust_bundle(source["clusterTrustBundle"], f"{at}.clusterTrustBundle", paths, errors)
        if len(kinds) > 1:
            errors.append(forbidden(at, "may not specify more than 1 volume type per source"))
