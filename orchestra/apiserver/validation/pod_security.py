"""Rules of security contexts, of a Pod and of a container, and of the operating system that a Pod names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from orchestra.apiserver.validation.context import PodContext
from orchestra.apiserver.validation.fields import (
    Errors,
    duplicate,
    each_invalid,
    forbidden,
    invalid,
    not_supported,
    required,
    too_long,
)
from orchestra.apiserver.validation.formats import id_number
from orchestra.apiserver.validation.go_shapes import go_value
from orchestra.apiserver.validation.references import check_descending_path
from orchestra.apiserver.validation.windows import check_windows_options

Document = Mapping[str, Any]

MAX_SYSCTL_LENGTH = 253
MAX_PROFILE_BYTES = 4095
_SYSCTL_SEGMENT = "[a-z0-9]([-_a-z0-9]*[a-z0-9])?"
_SYSCTL = rf"({_SYSCTL_SEGMENT}[\./])*{_SYSCTL_SEGMENT}"
_is_sysctl = re.compile(_SYSCTL).fullmatch
_PROFILE_TYPES = ("Localhost", "RuntimeDefault", "Unconfined")

# In the order in which a Windows Pod is told that it cannot have them: field of the message, field of the document.
_NOT_WINDOWS_POD = (
    ("securityContext.appArmorProfile", "appArmorProfile"),
    ("securityContext.seLinuxOptions", "seLinuxOptions"),
    ("hostUsers", "^hostUsers"),
    ("hostPID", "^hostPID"),
    ("hostIPC", "^hostIPC"),
    ("securityContext.seccompProfile", "seccompProfile"),
    ("securityContext.fsGroup", "fsGroup"),
    ("securityContext.fsGroupChangePolicy", "fsGroupChangePolicy"),
    ("securityContext.sysctls", "sysctls"),
    ("shareProcessNamespace", "^shareProcessNamespace"),
    ("securityContext.runAsUser", "runAsUser"),
    ("securityContext.runAsGroup", "runAsGroup"),
    ("securityContext.supplementalGroups", "supplementalGroups"),
    ("securityContext.supplementalGroupsPolicy", "supplementalGroupsPolicy"),
    ("securityContext.seLinuxChangePolicy", "seLinuxChangePolicy"),
)
_NOT_WINDOWS_CONTAINER = (
    "appArmorProfile",
    "seLinuxOptions",
    "seccompProfile",
    "capabilities",
    "readOnlyRootFilesystem",
    "privileged",
    "allowPrivilegeEscalation",
    "procMount",
    "runAsUser",
    "runAsGroup",
)


def _check_id(value: int | None, path: str, errors: Errors) -> None:
    if value is not None:
        each_invalid(path, value, id_number(value), errors)


def _check_choice(value: str | None, known: Sequence[str], path: str, errors: Errors) -> None:
    if value is not None and value not in known:
        errors.append(not_supported(path, value, known))


def _check_seccomp(profile: Document | None, path: str, errors: Errors) -> None:
    if profile is None:
        return
    kind, local = profile.get("type") or "", profile.get("localhostProfile")
    if not kind:
        errors.append(required(f"{path}.type", "type is required when seccompProfile is set"))
    elif kind not in _PROFILE_TYPES:
        errors.append(not_supported(f"{path}.type", kind, _PROFILE_TYPES))
    if kind == "Localhost":
        if local is None:
            detail = "must be set when seccomp type is Localhost"
            errors.append(required(f"{path}.localhostProfile", detail))
        else:
            check_descending_path(local, f"{path}.localhostProfile", errors)
    elif local is not None:
        shown = {"Type": kind, "LocalhostProfile": local}
        errors.append(invalid(f"{path}.localhostProfile", shown, "can only be set when seccomp type is Localhost"))


def _check_app_armor(profile: Document | None, path: str, errors: Errors) -> None:
    if profile is None:
        return
    kind, local = profile.get("type") or "", profile.get("localhostProfile")
    needed = "must be set when AppArmor type is Localhost"
    if kind == "Localhost":
        if not local:
            errors.append(required(f"{path}.localhostProfile", needed))
        elif local.strip() != local:
            errors.append(invalid(f"{path}.localhostProfile", local, "must not be padded with whitespace"))
        if local and len(local.encode()) > MAX_PROFILE_BYTES:
            errors.append(too_long(f"{path}.localhostProfile", MAX_PROFILE_BYTES))
    elif kind in _PROFILE_TYPES:
        if local is not None:
            detail = "can only be set when AppArmor type is Localhost"
            errors.append(invalid(f"{path}.localhostProfile", local, detail))
    elif not kind:
        errors.append(required(f"{path}.type", "type is required when appArmorProfile is set"))
    else:
        errors.append(not_supported(f"{path}.type", kind, _PROFILE_TYPES))


def _check_sysctls(sysctls: Sequence[Document], path: str, errors: Errors) -> None:
    names: set[str] = set()
    for index, sysctl in enumerate(sysctls):
        at, name = f"{path}[{index}].name", sysctl.get("name") or ""
        if not name:
            errors.append(required(at))
        elif len(name) > MAX_SYSCTL_LENGTH or not _is_sysctl(name):
            detail = f"must have at most {MAX_SYSCTL_LENGTH} characters and match regex ^{_SYSCTL}$"
            errors.append(invalid(at, name, detail))
        elif name in names:
            errors.append(duplicate(at, name))
        names.add(name)


def check_pod_security(spec: Document, path: str, errors: Errors) -> None:
    """Append the faults of a Pod's security context; `path` is of the Pod's spec."""
    context = spec.get("securityContext") or {}
    at = f"{path}.securityContext"
    for field in ("fsGroup", "runAsUser", "runAsGroup"):
        _check_id(context.get(field), f"{at}.{field}", errors)
    for index, group in enumerate(context.get("supplementalGroups") or ()):
        _check_id(group, f"{at}.supplementalGroups[{index}]", errors)
    if spec.get("shareProcessNamespace") and spec.get("hostPID"):
        detail = "ShareProcessNamespace and HostPID cannot both be enabled"
        errors.append(invalid(f"{at}.shareProcessNamespace", True, detail))
    if not context:
        return
    if context.get("sysctls"):
        _check_sysctls(context["sysctls"], f"{at}.sysctls", errors)
    known = ("Always", "OnRootMismatch")
    _check_choice(context.get("fsGroupChangePolicy"), known, f"{at}.fsGroupChangePolicy", errors)
    _check_seccomp(context.get("seccompProfile"), f"{at}.seccompProfile", errors)
    check_windows_options(context.get("windowsOptions"), f"{at}.windowsOptions", errors)
    _check_app_armor(context.get("appArmorProfile"), f"{at}.appArmorProfile", errors)
    known = ("Merge", "Strict")
    _check_choice(context.get("supplementalGroupsPolicy"), known, f"{at}.supplementalGroupsPolicy", errors)
    known = ("MountOption", "Recursive")
    _check_choice(context.get("seLinuxChangePolicy"), known, f"{at}.seLinuxChangePolicy", errors)


def check_security_context(security: Document, path: str, context: PodContext, errors: Errors) -> None:
    """Append the faults of a container's security context."""
    if not security:
        return
    privileged = security.get("privileged")
    if privileged and not context.options.allow_privileged:
        errors.append(forbidden(f"{path}.privileged", "disallowed by cluster policy"))
    for field in ("runAsUser", "runAsGroup"):
        _check_id(security.get(field), f"{path}.{field}", errors)
    mount = security.get("procMount")
    _check_choice(mount, ("Default", "Unmasked"), f"{path}.procMount", errors)
    if mount == "Unmasked" and context.host_users:
        errors.append(invalid(f"{path}.procMount", mount, "`hostUsers` must be false to use `Unmasked`"))
    _check_seccomp(security.get("seccompProfile"), f"{path}.seccompProfile", errors)
    if security.get("allowPrivilegeEscalation") is False:
        told = "cannot set `allowPrivilegeEscalation` to false and"
        if privileged:
            detail = f"{told} `privileged` to true"
            errors.append(invalid(path, go_value("SecurityContext", security), detail))
        for capability in (security.get("capabilities") or {}).get("add") or ():
            if capability == "CAP_SYS_ADMIN":
                detail = f"{told} `capabilities.Add` CAP_SYS_ADMIN"
                errors.append(invalid(path, go_value("SecurityContext", security), detail))
    check_windows_options(security.get("windowsOptions"), f"{path}.windowsOptions", errors)
    _check_app_armor(security.get("appArmorProfile"), f"{path}.appArmorProfile", errors)


def _contexts(spec: Document, path: str) -> Iterator[tuple[str, Document]]:
    """Yield the security context of every container that has one, in the order Kubernetes visits them."""
    for kind in ("initContainers", "containers", "ephemeralContainers"):
        for index, container in enumerate(spec.get(kind) or ()):
            if container.get("securityContext"):
                yield f"{path}.{kind}[{index}].securityContext", container["securityContext"]


def check_os(spec: Document, path: str, errors: Errors) -> None:
    """Append the faults of `os`, and of settings that the named system does not have."""
    system = (spec.get("os") or {}).get("name") or ""
    if not system:
        errors.append(required(f"{path}.os.name"))
    elif system == "linux":
        detail = "windows options cannot be set for a linux pod"
        if (spec.get("securityContext") or {}).get("windowsOptions") is not None:
            errors.append(forbidden(f"{path}.securityContext.windowsOptions", detail))
        for at, security in _contexts(spec, path):
            if security.get("windowsOptions") is not None:
                errors.append(forbidden(f"{at}.windowsOptions", detail))
    elif system == "windows":
        _check_windows(spec, path, errors)
    else:
        errors.append(not_supported(f"{path}.os", system, ("linux", "windows")))


def _check_windows(spec: Document, path: str, errors: Errors) -> None:
    detail = "cannot be set for a windows pod"
    context = spec.get("securityContext") or {}
    for shown, field in _NOT_WINDOWS_POD:
        value = spec.get(field[1:]) if field.startswith("^") else context.get(field)
        if value is None or (field in ("^hostPID", "^hostIPC", "sysctls") and not value):
            continue
        errors.append(forbidden(f"{path}.{shown}", detail))
    for at, security in _contexts(spec, path):
        for field in _NOT_WINDOWS_CONTAINER:
            if security.get(field) is not None:
                errors.append(forbidden(f"{at}.{field}", detail))
