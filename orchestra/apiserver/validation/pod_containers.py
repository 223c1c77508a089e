"""Rules of a Pod's containers: regular, init (sidecars included) and ephemeral ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from orchestra.apiserver.validation.container_parts import (
    check_env,
    check_env_from,
    check_mounts,
    check_ports,
    check_resize_policy,
    check_restart_policy,
    devices_of,
    mounts_of,
)
from orchestra.apiserver.validation.context import PodContext
from orchestra.apiserver.validation.devices import check_devices
from orchestra.apiserver.validation.fields import (
    Errors,
    check_enum,
    duplicate,
    each_invalid,
    forbidden,
    invalid,
    not_found,
    required,
)
from orchestra.apiserver.validation.formats import dns_label
from orchestra.apiserver.validation.pod_security import check_security_context
from orchestra.apiserver.validation.probes import PROBES, check_lifecycle, check_probes
from orchestra.apiserver.validation.resources import check_requirements

Document = Mapping[str, Any]
PULL_POLICIES = ("Always", "IfNotPresent", "Never")
MESSAGE_POLICIES = ("File", "FallbackToLogsOnError")
_NOT_EPHEMERAL = ("ports", "resources", *PROBES, "lifecycle", "resizePolicy")


def _check_common(container: Document, path: str, context: PodContext, errors: Errors) -> None:
    name = container.get("name") or ""
    if name:
        each_invalid(f"{path}.name", name, dns_label(name), errors)
    else:
        errors.append(required(f"{path}.name"))
    if not container.get("image"):
        errors.append(required(f"{path}.image"))
    policy = container.get("terminationMessagePolicy")
    check_enum(f"{path}.terminationMessagePolicy", policy, MESSAGE_POLICIES, errors)
    mounts, devices = container.get("volumeMounts"), container.get("volumeDevices")
    if container.get("ports"):
        check_ports(container["ports"], f"{path}.ports", errors)
    if container.get("env"):
        check_env(container["env"], f"{path}.env", context, errors)
    if container.get("envFrom"):
        check_env_from(container["envFrom"], f"{path}.envFrom", errors)
    if mounts:
        check_mounts(container, devices_of(devices), f"{path}.volumeMounts", context, errors)
    if devices:
        check_devices(devices, mounts_of(mounts), f"{path}.volumeDevices", context, errors)
    check_enum(f"{path}.imagePullPolicy", container.get("imagePullPolicy"), PULL_POLICIES, errors)
    check_requirements(container.get("resources"), f"{path}.resources", context.claims, errors)
    if container.get("resizePolicy"):
        check_resize_policy(container["resizePolicy"], f"{path}.resizePolicy", context, errors)
    if container.get("securityContext") is not None:
        check_security_context(container["securityContext"], f"{path}.securityContext", context, errors)


def _check_host_ports(containers: Sequence[Document], path: str, errors: Errors) -> None:
    """A port of the host is taken once; `path` is of the list even where one container is looked at."""
    taken: set[str] = set()
    for index, container in enumerate(containers):
        for position, port in enumerate(container.get("ports") or ()):
            number = port.get("hostPort")
            if not number:
                continue
            key = f"{port.get('protocol') or ''}/{port.get('hostIP') or ''}/{number}"
            if key in taken:
                errors.append(duplicate(f"{path}[{index}].ports[{position}].hostPort", key))
            taken.add(key)


def check_containers(containers: Sequence[Document] | None, path: str, context: PodContext, errors: Errors) -> None:
    """Append the faults of the regular containers; there is at least one."""
    if not containers:
        errors.append(required(path))
        return
    names: set[str] = set()
    for index, container in enumerate(containers):
        at = f"{path}[{index}]"
        _check_common(container, at, context, errors)
        name = container.get("name") or ""
        if name in names:
            errors.append(duplicate(f"{at}.name", name))
        names.add(name)
        if container.get("lifecycle") is not None:
            check_lifecycle(container["lifecycle"], f"{at}.lifecycle", context.grace_seconds, errors)
        check_probes(container, at, errors)
        check_restart_policy(container, at, errors)
    _check_host_ports(containers, path, errors)


def check_init_containers(
    containers: Sequence[Document] | None,
    regular: Sequence[Document] | None,
    path: str,
    context: PodContext,
    errors: Errors,
) -> None:
    """Append the faults of the init containers; those that restart always are sidecars and may have probes."""
    names = {container.get("name") or "" for container in regular or ()}
    for index, container in enumerate(containers or ()):
        at = f"{path}[{index}]"
        _check_common(container, at, context, errors)
        check_restart_policy(container, at, errors)
        name = container.get("name") or ""
        if name in names:
            errors.append(duplicate(f"{at}.name", name))
        elif name:
            names.add(name)
        _check_host_ports((container,), path, errors)
        if container.get("restartPolicy") == "Always":
            if container.get("lifecycle") is not None:
                check_lifecycle(container["lifecycle"], f"{at}.lifecycle", context.grace_seconds, errors)
            check_probes(container, at, errors)
            continue
        for field in ("lifecycle", *PROBES):
            if container.get(field) is not None:
                detail = "may not be set for init containers without restartPolicy=Always"
                errors.append(forbidden(f"{at}.{field}", detail))


def check_ephemeral_containers(
    containers: Sequence[Document] | None, others: Sequence[Document], path: str, context: PodContext, errors: Errors
) -> None:
    """Append the faults of the ephemeral containers; `others` are all that they can look into."""
    targets = {container.get("name") or "" for container in others}
    names = set(targets)
    for index, container in enumerate(containers or ()):
        at = f"{path}[{index}]"
        _check_common(container, at, context, errors)
        check_image_padding(container, at, errors)
        name = container.get("name") or ""
        if name in names:
            errors.append(duplicate(f"{at}.name", name))
        names.add(name)
        target = container.get("targetContainerName")
        if target and target not in targets:
            errors.append(not_found(f"{at}.targetContainerName", target))
        for field in _NOT_EPHEMERAL:
            if container.get(field):
                errors.append(forbidden(f"{at}.{field}", "cannot be set for an Ephemeral Container"))
        for position, mount in enumerate(container.get("volumeMounts") or ()):
            for field in ("subPath", "subPathExpr"):
                if mount.get(field):
                    detail = "cannot be set for an Ephemeral Container"
                    errors.append(forbidden(f"{at}.volumeMounts[{position}].{field}", detail))


def check_image_padding(container: Document, path: str, errors: Errors) -> None:
    """A Pod's image has no blanks around it; a template's may."""
    image = container.get("image") or ""
    if image != image.strip():
        errors.append(invalid(f"{path}.image", image, "must not have leading or trailing whitespace"))
