"""Rules of what a container is given: ports, environment, mounts, and how it is resized and restarted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from orchestra.apiserver.validation.context import PodContext
from orchestra.apiserver.validation.fields import (
    Errors,
    check_enum,
    duplicate,
    each_invalid,
    forbidden,
    invalid,
    not_found,
    not_supported,
    required,
    too_many,
)
from orchestra.apiserver.validation.formats import dns_subdomain, env_name, generated, port_name, port_number
from orchestra.apiserver.validation.references import (
    ENV_FIELDS,
    check_descending_path,
    check_field_ref,
    check_file_ref,
    check_key_ref,
    check_resource_ref,
)

Document = Mapping[str, Any]
PROTOCOLS = ("SCTP", "TCP", "UDP")
RESTART_POLICIES = ("Always", "Never", "OnFailure")
MAX_RESTART_RULES = 20
MAX_EXIT_CODES = 255
_PROPAGATIONS = ("Bidirectional", "HostToContainer", "None")
_RECURSIVE_READ_ONLY = ("Disabled", "Enabled", "IfPossible")
_NO_SOURCE = "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"
_ONE_SOURCE = "may not have more than one field specified at a time"


def check_ports(ports: Sequence[Document], path: str, errors: Errors) -> None:
    """Append the faults of container ports; two ports may be equal, which only warns."""
    names: set[str] = set()
    for index, port in enumerate(ports):
        at = f"{path}[{index}]"
        name = port.get("name")
        if name:
            faults = port_name(name)
            each_invalid(f"{at}.name", name, faults, errors)
            if not faults and name in names:
                errors.append(duplicate(f"{at}.name", name))
            elif not faults:
                names.add(name)
        number, host = port.get("containerPort"), port.get("hostPort")
        if not number:
            errors.append(required(f"{at}.containerPort"))
        else:
            each_invalid(f"{at}.containerPort", number, port_number(number), errors)
        if host:
            each_invalid(f"{at}.hostPort", host, port_number(host), errors)
        check_enum(f"{at}.protocol", port.get("protocol"), PROTOCOLS, errors)


def check_env(variables: Sequence[Document], path: str, context: PodContext, errors: Errors) -> None:
    """Append the faults of environment variables."""
    for index, variable in enumerate(variables):
        name = variable.get("name")
        if not name:
            errors.append(required(f"{path}[{index}].name"))
        elif faults := env_name(name):
            each_invalid(f"{path}[{index}].name", name, faults, errors)
        source = variable.get("valueFrom")
        if source is not None:
            _check_env_source(source, variable.get("value") or "", f"{path}[{index}].valueFrom", context, errors)


def _check_env_source(source: Document, value: str, path: str, context: PodContext, errors: Errors) -> None:
    count = 0
    if source.get("fieldRef") is not None:
        count += 1
        check_field_ref(source["fieldRef"], ENV_FIELDS, f"{path}.fieldRef", errors)
    if source.get("resourceFieldRef") is not None:
        count += 1
        check_resource_ref(source["resourceFieldRef"], f"{path}.resourceFieldRef", errors)
    for kind in ("configMapKeyRef", "secretKeyRef"):
        if source.get(kind) is not None:
            count += 1
            check_key_ref(source[kind], f"{path}.{kind}", errors)
    if source.get("fileKeyRef") is not None:
        count += 1
        check_file_ref(source["fileKeyRef"], context.volumes, f"{path}.fileKeyRef", errors)
    if not count:
        errors.append(invalid(path, "", _NO_SOURCE))
    elif value:
        errors.append(invalid(path, "", "may not be specified when `value` is not empty"))
    elif count > 1:
        errors.append(invalid(path, "", _ONE_SOURCE))


def check_env_from(sources: Sequence[Document], path: str, errors: Errors) -> None:
    """Append the faults of whole ConfigMaps and Secrets as environment."""
    for index, source in enumerate(sources):
        at = f"{path}[{index}]"
        prefix = source.get("prefix")
        if prefix:
            each_invalid(f"{at}.prefix", prefix, env_name(prefix), errors)
        count = 0
        for kind in ("configMapRef", "secretRef"):
            if source.get(kind) is None:
                continue
            count += 1
            name = source[kind].get("name")
            if name:
                each_invalid(f"{at}.{kind}.name", name, generated(dns_subdomain, name), errors)
            else:
                errors.append(required(f"{at}.{kind}.name"))
        if not count:
            errors.append(invalid(path, "", "must specify one of: `configMapRef` or `secretRef`"))
        elif count > 1:
            errors.append(invalid(path, "", _ONE_SOURCE))


def mounts_of(mounts: Sequence[Document] | None) -> dict[str, str]:
    """Return where each volume is mounted."""
    return {mount.get("name") or "": mount.get("mountPath") or "" for mount in mounts or ()}


def devices_of(devices: Sequence[Document] | None) -> dict[str, str]:
    """Return where each block device appears."""
    return {device.get("name") or "": device.get("devicePath") or "" for device in devices or ()}


def check_mounts(
    container: Document, devices: Mapping[str, str], path: str, context: PodContext, errors: Errors
) -> None:
    """Append the faults of a container's volume mounts; `devices` maps its volume devices to their paths."""
    points: set[str] = set()
    for index, mount in enumerate(container["volumeMounts"]):
        at = f"{path}[{index}]"
        name, point = mount.get("name") or "", mount.get("mountPath") or ""
        if not name:
            errors.append(required(f"{at}.name"))
        if name not in context.volumes:
            errors.append(not_found(f"{at}.name", name))
        if not point:
            errors.append(required(f"{at}.mountPath"))
        if point in points:
            errors.append(invalid(f"{at}.mountPath", point, "must be unique"))
        points.add(point)
        if name in devices:
            errors.append(invalid(f"{at}.name", name, "must not already exist in volumeDevices"))
        if point in devices.values():
            detail = "must not already exist as a path in volumeDevices"
            errors.append(invalid(f"{at}.mountPath", point, detail))
        _check_sub_paths(mount, at, path, context, errors)
        if mount.get("mountPropagation") is not None:
            _check_propagation(mount["mountPropagation"], container, f"{path}.mountPropagation", errors)
        if mount.get("recursiveReadOnly") is not None:
            _check_recursive(mount, f"{path}.recursiveReadOnly", errors)


def _check_sub_paths(mount: Document, path: str, list_path: str, context: PodContext, errors: Errors) -> None:
    plain, expression = mount.get("subPath"), mount.get("subPathExpr")
    if not plain and not expression:
        return
    if (context.volumes.get(mount.get("name") or "") or {}).get("image") is not None:
        for field, value in (("subPath", plain), ("subPathExpr", expression)):
            if value:
                errors.append(invalid(f"{path}.{field}", value, "not allowed in image volume sources"))
    if plain:
        check_descending_path(plain, f"{list_path}.subPath", errors)
    if expression:
        if plain:
            detail = "subPathExpr and subPath are mutually exclusive"
            errors.append(invalid(f"{path}.subPathExpr", expression, detail))
        check_descending_path(expression, f"{list_path}.subPathExpr", errors)


def _check_propagation(mode: str, container: Document, path: str, errors: Errors) -> None:
    if mode not in _PROPAGATIONS:
        errors.append(not_supported(path, mode, _PROPAGATIONS))
    if mode == "Bidirectional" and not (container.get("securityContext") or {}).get("privileged"):
        detail = "Bidirectional mount propagation is available only to privileged containers"
        errors.append(forbidden(path, detail))


def _check_recursive(mount: Document, path: str, errors: Errors) -> None:
    mode = mount["recursiveReadOnly"]
    if mode not in _RECURSIVE_READ_ONLY:
        errors.append(not_supported(path, mode, _RECURSIVE_READ_ONLY))
    elif mode != "Disabled":
        if not mount.get("readOnly"):
            errors.append(forbidden(path, "may only be specified when readOnly is true"))
        if mount.get("mountPropagation") not in (None, "None"):
            detail = "may only be specified when mountPropagation is None or not specified"
            errors.append(forbidden(path, detail))


def check_resize_policy(policies: Sequence[Document], path: str, context: PodContext, errors: Errors) -> None:
    """Append the faults of what happens to a container whose resources change."""
    seen: set[str] = set()
    for index, policy in enumerate(policies):
        resource, restart = policy.get("resourceName") or "", policy.get("restartPolicy") or ""
        if resource in seen:
            errors.append(duplicate(f"{path}[{index}]", resource))
        seen.add(resource)
        check_enum(path, resource, ("cpu", "memory"), errors)
        check_enum(path, restart, ("NotRequired", "RestartContainer"), errors)
        if context.restart_policy == "Never" and restart != "NotRequired":
            detail = "must be 'NotRequired' when `restartPolicy` is 'Never'"
            errors.append(invalid(path, restart, detail))


def check_restart_policy(container: Document, path: str, errors: Errors) -> None:
    """Append the faults of a container's own restart policy and of its rules by exit code."""
    policy, rules = container.get("restartPolicy"), container.get("restartPolicyRules") or ()
    if policy is None:
        if rules:
            detail = "must specify restartPolicy when restart rules are used"
            errors.append(required(f"{path}.restartPolicy", detail))
    elif policy not in RESTART_POLICIES:
        errors.append(not_supported(f"{path}.restartPolicy", policy, RESTART_POLICIES))
    if len(rules) > MAX_RESTART_RULES:
        errors.append(too_many(f"{path}.restartPolicyRules", len(rules), MAX_RESTART_RULES))
    for index, rule in enumerate(rules):
        _check_restart_rule(rule, f"{path}.restartPolicyRules[{index}]", errors)


def _check_restart_rule(rule: Document, path: str, errors: Errors) -> None:
    check_enum(f"{path}.action", rule.get("action"), ("Restart", "RestartAllContainers"), errors)
    codes = rule.get("exitCodes")
    if codes is None:
        errors.append(required(f"{path}.exitCodes", "must be specified"))
        return
    check_enum(f"{path}.exitCodes.operator", codes.get("operator"), ("In", "NotIn"), errors)
    values = codes.get("values") or ()
    if not values:
        errors.append(invalid(f"{path}.exitCodes.values", list(values), "must specify at least one value"))
    elif len(values) > MAX_EXIT_CODES:
        errors.append(too_many(f"{path}.exitCodes.values", len(values), MAX_EXIT_CODES))
