"""Rules of the annotations that are an older spelling of a Pod's fields: seccomp, AppArmor, deletion cost, mirrors."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from orchestra.apiserver.validation.fields import Errors, forbidden, invalid
from orchestra.apiserver.validation.references import check_descending_path

Document = Mapping[str, Any]
MIRROR = "kubernetes.io/config.mirror"
DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
SECCOMP_POD = "seccomp.security.alpha.kubernetes.io/pod"
SECCOMP_CONTAINER = "container.seccomp.security.alpha.kubernetes.io/"
APP_ARMOR = "container.apparmor.security.beta.kubernetes.io/"
_is_cost = re.compile(r"0|-?[1-9][0-9]*").fullmatch
_CONTAINERS = ("initContainers", "containers", "ephemeralContainers")


def containers_of(spec: Document, path: str) -> Iterator[tuple[str, Document]]:
    """Yield every container with its path, in the order Kubernetes visits them."""
    for kind in _CONTAINERS:
        for index, container in enumerate(spec.get(kind) or ()):
            yield f"{path}.{kind}[{index}]", container


def check_special_annotations(annotations: Mapping[str, str] | None, spec: Document, path: str, errors: Errors) -> None:
    """Append the faults of annotations that mean something."""
    if not annotations:
        return
    if MIRROR in annotations and not spec.get("nodeName"):
        detail = "must set spec.nodeName if mirror pod annotation is set"
        errors.append(invalid(f"{path}[{MIRROR}]", annotations[MIRROR], detail))
    cost = annotations.get(DELETION_COST)
    if cost is not None and not (_is_cost(cost) and -(2**31) <= int(cost) < 2**31):
        errors.append(invalid(f"{path}[{DELETION_COST}]", cost, "must be a 32bit integer"))
    for key in sorted(annotations):
        if key == SECCOMP_POD or key.startswith(SECCOMP_CONTAINER):
            _check_seccomp(annotations[key], f"{path}.{key}", errors)
    for key in sorted(annotations):
        if key.startswith(APP_ARMOR):
            _check_app_armor(key.removeprefix(APP_ARMOR), annotations[key], spec, f"{path}[{key}]", errors)


def _check_seccomp(profile: str, path: str, errors: Errors) -> None:
    if profile in ("runtime/default", "docker/default", "unconfined"):
        return
    if profile.startswith("localhost/"):
        check_descending_path(profile.removeprefix("localhost/"), path, errors)
    else:
        errors.append(invalid(path, profile, "must be a valid seccomp profile"))


def _check_app_armor(container: str, profile: str, spec: Document, path: str, errors: Errors) -> None:
    if not any(each.get("name") == container for _, each in containers_of(spec, "spec")):
        errors.append(invalid(path, container, "container not found"))
    if profile not in ("", "runtime/default", "unconfined") and not profile.startswith("localhost/"):
        errors.append(invalid(path, profile, f'invalid AppArmor profile name: "{profile}"'))


def check_annotation_changes(new: Document, old: Document, path: str, errors: Errors) -> None:
    """Append a fault per change of an annotation that is fixed at creation; arguments are the metadata."""
    now, before = new.get("annotations") or {}, old.get("annotations") or {}
    for key in sorted(before):
        if now.get(key) != before[key]:
            if key.startswith(APP_ARMOR):
                errors.append(forbidden(f"{path}[{key}]", "may not remove or update AppArmor annotations"))
            if key == MIRROR:
                errors.append(forbidden(f"{path}[{key}]", "may not remove or update mirror pod annotation"))
    for key in sorted(set(now) - set(before)):
        if key.startswith(APP_ARMOR):
            errors.append(forbidden(f"{path}[{key}]", "may not add AppArmor annotations"))
        if key == MIRROR:
            errors.append(forbidden(f"{path}[{key}]", "may not add mirror pod annotation"))


def _check_match(annotation: str, profile: Document, what: str, path: str, errors: Errors) -> None:
    kind = profile.get("type")
    spellings = {"Unconfined": ("unconfined",), "RuntimeDefault": ("runtime/default", "docker/default")}
    if kind in spellings:
        allowed = spellings[kind] if what == "seccomp" else spellings[kind][:1]
        if annotation not in allowed:
            errors.append(forbidden(f"{path}.type", f"{what} type in annotation and field must match"))
    elif kind == "Localhost":
        if not annotation.startswith("localhost/"):
            errors.append(forbidden(f"{path}.type", f"{what} type in annotation and field must match"))
        elif annotation.removeprefix("localhost/") != profile.get("localhostProfile"):
            detail = f"{what} profile in annotation and field must match"
            errors.append(forbidden(f"{path}.localhostProfile", detail))


def check_profile_matches(meta: Document, spec: Document, path: str, errors: Errors) -> None:
    """Append a fault per profile that an annotation and a field name differently."""
    annotations = meta.get("annotations")
    if not annotations:
        return
    context = spec.get("securityContext") or {}
    seccomp = context.get("seccompProfile")
    if seccomp is not None and SECCOMP_POD in annotations:
        at = f"{path}.securityContext.seccompProfile"
        _check_match(annotations[SECCOMP_POD], seccomp, "seccomp", at, errors)
    for at, container in containers_of(spec, path):
        own = (container.get("securityContext") or {}).get("seccompProfile")
        key = SECCOMP_CONTAINER + (container.get("name") or "")
        if own is not None and key in annotations:
            _check_match(annotations[key], own, "seccomp", f"{at}.securityContext.seccompProfile", errors)
    if (spec.get("os") or {}).get("name") == "windows":
        return
    for at, container in containers_of(spec, path):
        own = (container.get("securityContext") or {}).get("appArmorProfile") or context.get("appArmorProfile")
        key = APP_ARMOR + (container.get("name") or "")
        if own is not None and key in annotations:
            _check_match(annotations[key], own, "apparmor", f"{at}.securityContext.appArmorProfile", errors)
