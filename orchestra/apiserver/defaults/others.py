"""Defaults of the small kinds. Source: core/v1, discovery/v1 and coordination/v1 defaults and conversions."""

from __future__ import annotations

import base64
from typing import Any

from orchestra.apiserver.defaults.canonical import canonical, rounded_amounts

Document = dict[str, Any]
NAME_LABEL = "kubernetes.io/metadata.name"
_GATED_LEASE_FIELDS = ("strategy", "preferredHolder")


def default_namespace(document: Document) -> Document:
    """Return a namespace that carries its name as a label."""
    from orchestra.api.core.cluster import Namespace

    document = canonical(document, Namespace)
    meta = document.get("metadata") or {}
    name, labels = meta.get("name"), meta.get("labels") or {}
    if not name or labels.get(NAME_LABEL) == name:
        return document
    return {**document, "metadata": {**meta, "labels": {**labels, NAME_LABEL: name}}}


def default_node(document: Document) -> Document:
    """Return a node whose allocatable resources are its capacity, if it does not say, and whose blocks agree."""
    from orchestra.api.core.node import Node

    document = canonical(document, Node)
    spec, status = document.get("spec") or {}, document.get("status")
    block, blocks = spec.get("podCIDR"), spec.get("podCIDRs")
    if block and (not blocks or blocks[0] != block):
        document = {**document, "spec": {**spec, "podCIDRs": [block]}}
    elif blocks and not block:
        document = {**document, "spec": {**spec, "podCIDR": blocks[0]}}
    return document if status is None else with_status(document, default_node_status(status))


def default_node_status(status: Document) -> Document:
    """Return a node's status in which everything it has can be used, if it does not say otherwise."""
    from orchestra.api.core.node import NodeStatus

    status = canonical(status, NodeStatus)
    if status.get("capacity") and status.get("allocatable") is None:
        return {**status, "allocatable": rounded_amounts(status["capacity"])}
    return status


def with_status(document: Document, status: Document | None) -> Document:
    """Return a document with another status; None removes it."""
    if status is None:
        return (
            {name: value for name, value in document.items() if name != "status"} if "status" in document else document
        )
    return document if document.get("status") is status else {**document, "status": status}


def default_config_map(document: Document) -> Document:
    """Return a ConfigMap in canonical form."""
    from orchestra.api.core.config import ConfigMap

    new: Document = canonical(document, ConfigMap)
    return new


def default_secret(document: Document) -> Document:
    """Return a Secret whose plain texts have become data, encoded; its type is Opaque if it does not say."""
    from orchestra.api.core.config import Secret

    given = document.get("data")
    texts = document.get("stringData")
    document = canonical(document, Secret)
    if given and None in given.values():
        document = {**document, "data": {key: value or "" for key, value in given.items()}}
    if texts is not None:
        data = dict(document.get("data") or {})
        for key, text in texts.items():
            data[key] = base64.b64encode((text or "").encode()).decode()
        document = {name: value for name, value in document.items() if name not in ("stringData", "data")}
        if data:
            document["data"] = data
    return document if document.get("type") else {**document, "type": "Opaque"}


def _endpoint(endpoint: Document) -> Document:
    # Kubernetes drops the topology of endpoints, which the field nodeName replaced.
    if "deprecatedTopology" not in endpoint:
        return endpoint
    return {name: value for name, value in endpoint.items() if name != "deprecatedTopology"}


def _endpoint_port(port: Document) -> Document:
    defaults = {"name": "", "protocol": "TCP"}
    return {**port, **{name: value for name, value in defaults.items() if port.get(name) is None}}


def default_endpoint_slice(document: Document) -> Document:
    """Return an EndpointSlice whose ports have a name and a protocol."""
    from orchestra.api.discovery import EndpointSlice

    document = canonical(document, EndpointSlice)
    new = dict(document)
    if new.get("endpoints"):
        new["endpoints"] = [_endpoint(each) for each in new["endpoints"]]
    if new.get("ports"):
        new["ports"] = [_endpoint_port(each) for each in new["ports"]]
    return document if new == document else new


def default_lease(document: Document) -> Document:
    """Return a Lease without the fields of coordinated leader election, which is behind a gate that is off."""
    from orchestra.api.coordination import Lease

    document = canonical(document, Lease)
    spec = document.get("spec") or {}
    if not any(name in spec for name in _GATED_LEASE_FIELDS):
        return document
    kept = {name: value for name, value in spec.items() if name not in _GATED_LEASE_FIELDS}
    return {**document, "spec": kept}


def default_event(document: Document) -> Document:
    """Return an Event in canonical form."""
    from orchestra.api.core.event import Event

    new: Document = canonical(document, Event)
    return new


def default_binding(document: Document) -> Document:
    """Return a Binding in canonical form."""
    from orchestra.api.core.cluster import Binding

    new: Document = canonical(document, Binding)
    return new
