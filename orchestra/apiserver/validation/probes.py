"""Rules of probes and lifecycle hooks. Source: Probe, LifecycleHandler in the Pod API."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from orchestra.apiserver.validation.fields import (
    Errors,
    check_non_negative,
    each_invalid,
    forbidden,
    invalid,
    not_supported,
    required,
)
from orchestra.apiserver.validation.formats import http_header, port_name, port_number

Document = Mapping[str, Any]
PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
_COUNTS = ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold")


def check_port(value: Any, path: str, errors: Errors) -> None:
    """A port by number or by name; an absent one is port 0."""
    if isinstance(value, str):
        each_invalid(path, value, port_name(value), errors)
    else:
        each_invalid(path, value or 0, port_number(value or 0), errors)


def _check_exec(action: Document, path: str, _grace: int | None, errors: Errors) -> None:
    if not action.get("command"):
        errors.append(required(f"{path}.command"))


def _check_http(action: Document, path: str, _grace: int | None, errors: Errors) -> None:
    if not action.get("path"):
        errors.append(required(f"{path}.path"))
    check_port(action.get("port"), f"{path}.port", errors)
    scheme = action.get("scheme") or ""
    if scheme not in ("HTTP", "HTTPS"):
        errors.append(not_supported(f"{path}.scheme", scheme, ("HTTP", "HTTPS")))
    for header in action.get("httpHeaders") or ():
        name = header.get("name") or ""
        each_invalid(f"{path}.httpHeaders", name, http_header(name), errors)


def _check_tcp(action: Document, path: str, _grace: int | None, errors: Errors) -> None:
    check_port(action.get("port"), f"{path}.port", errors)


def _check_sleep(action: Document, path: str, grace: int | None, errors: Errors) -> None:
    seconds = action.get("seconds") or 0
    if grace is not None and not 0 <= seconds <= grace:
        detail = f"must be non-negative and less than terminationGracePeriodSeconds ({grace})"
        errors.append(invalid(path, seconds, detail))


_HANDLERS: dict[str, Callable[[Document, str, int | None, Errors], None]] = {
    "exec": _check_exec,
    "httpGet": _check_http,
    "tcpSocket": _check_tcp,
    "grpc": _check_tcp,
    "sleep": _check_sleep,
}
_OF_PROBES = ("exec", "httpGet", "tcpSocket", "grpc")
_OF_HOOKS = ("exec", "httpGet", "tcpSocket", "sleep")


def _check_handler(
    handler: Document, kinds: tuple[str, ...], path: str, grace_seconds: int | None, errors: Errors
) -> None:
    found = False
    for kind in kinds:
        action = handler.get(kind)
        if action is None:
            continue
        if found:
            errors.append(forbidden(f"{path}.{kind}", "may not specify more than 1 handler type"))
        else:
            _HANDLERS[kind](action, f"{path}.{kind}", grace_seconds, errors)
        found = True
    if not found:
        errors.append(required(path, "must specify a handler type"))


def check_probe(probe: Document, kind: str, path: str, errors: Errors) -> None:
    """Append the faults of a probe; `kind` is the name of the field that holds it."""
    _check_handler(probe, _OF_PROBES, path, None, errors)
    for field in _COUNTS:
        check_non_negative(f"{path}.{field}", probe.get(field), errors)
    grace = probe.get("terminationGracePeriodSeconds")
    if grace is not None and grace <= 0:
        errors.append(invalid(f"{path}.terminationGracePeriodSeconds", grace, "must be greater than 0"))
    if kind == "readinessProbe":
        if grace is not None:
            detail = "must not be set for readinessProbes"
            errors.append(invalid(f"{path}.terminationGracePeriodSeconds", grace, detail))
    elif (probe.get("successThreshold") or 0) != 1:
        errors.append(invalid(f"{path}.successThreshold", probe.get("successThreshold") or 0, "must be 1"))


def check_probes(container: Document, path: str, errors: Errors) -> None:
    """Append the faults of all probes of a container."""
    for kind in PROBES:
        probe = container.get(kind)
        if probe is not None:
            check_probe(probe, kind, f"{path}.{kind}", errors)


def check_lifecycle(lifecycle: Document, path: str, grace_seconds: int | None, errors: Errors) -> None:
    """Append the faults of a container's hooks; `grace_seconds` is the Pod's grace period."""
    for hook in ("postStart", "preStop"):
        handler = lifecycle.get(hook)
        if handler is not None:
            _check_handler(handler, _OF_HOOKS, f"{path}.{hook}", grace_seconds, errors)
