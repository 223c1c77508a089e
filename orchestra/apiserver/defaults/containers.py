"""Defaults of containers: probes, ports, environment, pull policy. Source: core/v1 defaults of Kubernetes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from orchestra.apiserver.defaults.images import default_pull_policy

Document = dict[str, Any]
PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
_PROBE = {"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3}


def with_defaults(document: Mapping[str, Any], defaults: Mapping[str, Any]) -> Document:
    """Return a new document with `defaults` where a field is absent, null, empty or zero."""
    new = dict(document)
    for name, value in defaults.items():
        if not new.get(name):
            new[name] = value
    return new


def each(items: Any, change: Callable[[Any], Any]) -> list[Any]:
    """Return the changed items of a list of a document."""
    return [change(item) for item in items or ()]


def _http_get(action: Document) -> Document:
    return with_defaults(action, {"path": "/", "scheme": "HTTP"})


def default_probe(probe: Document) -> Document:
    """Return a probe with its period, thresholds and handler filled in."""
    new = with_defaults(probe, _PROBE)
    if new.get("httpGet") is not None:
        new["httpGet"] = _http_get(new["httpGet"])
    if new.get("grpc") is not None and new["grpc"].get("service") is None:
        new["grpc"] = {**new["grpc"], "service": ""}
    return new


def _default_lifecycle(lifecycle: Document) -> Document | None:
    # Stop signals are behind a gate that is off in Kubernetes 1.36: the field is dropped.
    new = {name: value for name, value in lifecycle.items() if name != "stopSignal"}
    for hook in ("postStart", "preStop"):
        if new.get(hook) is not None and new[hook].get("httpGet") is not None:
            new[hook] = {**new[hook], "httpGet": _http_get(new[hook]["httpGet"])}
    return new if new or "stopSignal" not in lifecycle else None


def default_field_ref(holder: Document) -> Document:
    """Return what holds a `fieldRef` with the version of the Pod API named in it."""
    ref = holder.get("fieldRef")
    if ref is None or ref.get("apiVersion"):
        return holder
    return {**holder, "fieldRef": {**ref, "apiVersion": "v1"}}


def _default_variable(variable: Document) -> Document:
    source = variable.get("valueFrom")
    if not source:
        return variable
    new = default_field_ref(source)
    return variable if new is source else {**variable, "valueFrom": new}


def _default_port(port: Document) -> Document:
    return port if port.get("protocol") else {**port, "protocol": "TCP"}


def default_container(container: Document) -> Document:
    """Return a container of any sort with everything filled in that does not depend on its Pod."""
    new = dict(container)
    new.setdefault("resources", {})
    if not new.get("terminationMessagePath"):
        new["terminationMessagePath"] = "/dev/termination-log"
    if not new.get("terminationMessagePolicy"):
        new["terminationMessagePolicy"] = "File"
    if not new.get("imagePullPolicy"):
        new["imagePullPolicy"] = default_pull_policy(new.get("image") or "")
    for probe in PROBES:
        if new.get(probe) is not None:
            new[probe] = default_probe(new[probe])
    if new.get("lifecycle") is not None:
        lifecycle = _default_lifecycle(new.pop("lifecycle"))
        if lifecycle is not None:
            new["lifecycle"] = lifecycle
    if new.get("ports"):
        new["ports"] = each(new["ports"], _default_port)
    if new.get("env"):
        new["env"] = each(new["env"], _default_variable)
    return new


def requests_from_limits(container: Document) -> Document:
    """Return a Pod's container that asks for as much as it is limited to, where it does not say."""
    limits = (container.get("resources") or {}).get("limits")
    if not limits:
        return container
    requests = container["resources"].get("requests") or {}
    missing = {name: value for name, value in limits.items() if name not in requests}
    if not missing:
        return container
    resources = {**container["resources"], "requests": {**requests, **missing}}
    return {**container, "resources": resources}


def ports_on_host(container: Document) -> Document:
    """Return a container whose ports are the host's, as on the host's network."""
    if not container.get("ports"):
        return container

    def on_host(port: Document) -> Document:
        return port if port.get("hostPort") else {**port, "hostPort": port.get("containerPort") or 0}

    return {**container, "ports": each(container["ports"], on_host)}
