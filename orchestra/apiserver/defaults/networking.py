"""Defaults of Endpoints, Ingresses and NetworkPolicies. Source: core/v1 and networking/v1 defaults and strategies."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from typing import Any

from orchestra.apiserver.defaults.canonical import canonical
from orchestra.apiserver.defaults.others import with_status
from orchestra.apiserver.defaults.prepare import keep_status, only_status
from orchestra.apiserver.defaults.workloads import filled

Document = dict[str, Any]
_NO_ADDRESSES: Document = {"loadBalancer": {}}


def default_endpoints(document: Document) -> Document:
    """Return Endpoints whose ports have a protocol and whose addresses are grouped by the ports that they share."""
    from orchestra.api.core.endpoints import Endpoints

    document = canonical(document, Endpoints)
    subsets = document.get("subsets")
    if not subsets:
        return document
    named = [
        {**subset, "ports": [filled(port, {"protocol": "TCP"}) for port in subset["ports"]]}
        if subset.get("ports")
        else subset
        for subset in subsets
    ]
    packed = _packed(named)
    return document if packed == subsets else {**document, "subsets": packed}


def _packed(subsets: Iterable[Document]) -> list[Document]:
    """Return the subsets in which every address and every set of ports stands once; not ready trumps ready."""
    addresses: dict[tuple[str, str], Document] = {}
    ports: dict[tuple[Any, ...], Document | None] = {}
    offered: dict[tuple[Any, ...], dict[tuple[str, str], bool]] = {}
    for subset in subsets:
        for port in subset.get("ports") or (None,):
            port_key = () if port is None else tuple(sorted(port.items()))
            ports[port_key] = port
            ready_by = offered.setdefault(port_key, {})
            for field, ready in (("addresses", True), ("notReadyAddresses", False)):
                for address in subset.get(field) or ():
                    key = (address.get("ip") or "", (address.get("targetRef") or {}).get("uid") or "")
                    addresses.setdefault(key, address)
                    ready_by[key] = ready_by.get(key, True) and ready
    groups: dict[tuple[Any, ...], list[tuple[Any, ...]]] = {}
    for port_key, ready_by in offered.items():
        groups.setdefault(tuple(sorted(ready_by.items())), []).append(port_key)
    packed = [_subset(members, [ports[key] for key in keys], addresses) for members, keys in groups.items()]
    return sorted(packed, key=_first_of)


def _first_of(subset: Document) -> tuple[Any, ...]:
    address = (subset.get("addresses") or subset.get("notReadyAddresses") or [{}])[0]
    port = (subset.get("ports") or [{}])[0]
    return *_place(address), port.get("name") or "", port.get("port") or 0


def _subset(
    members: Iterable[tuple[tuple[str, str], bool]],
    ports: Iterable[Document | None],
    addresses: Mapping[tuple[str, str], Document],
) -> Document:
    ready = sorted((addresses[key] for key, is_ready in members if is_ready), key=_place)
    rest = sorted((addresses[key] for key, is_ready in members if not is_ready), key=_place)
    shown = [port for port in ports if port is not None]
    shown.sort(key=lambda port: (port.get("name") or "", port.get("port") or 0, port.get("protocol") or ""))
    parts = (("addresses", ready), ("notReadyAddresses", rest), ("ports", shown))
    return {name: part for name, part in parts if part}


def _place(address: Document) -> tuple[bytes, str]:
    text = address.get("ip") or ""
    try:
        packed = ipaddress.ip_address(text).packed
    except ValueError:
        packed = text.encode()
    return packed, (address.get("targetRef") or {}).get("uid") or ""


def default_ingress(document: Document) -> Document:
    """Return an Ingress in canonical form."""
    from orchestra.api.networking import Ingress

    new: Document = canonical(document, Ingress)
    return new


def create_ingress(document: Document) -> Document:
    """Return a new Ingress, which no controller has given addresses yet."""
    return with_status(document, dict(_NO_ADDRESSES))


def update_ingress(new: Document, old: Document) -> Document:
    """Return an update of an Ingress."""
    return keep_status(new, old)


def update_ingress_status(new: Document, old: Document) -> Document:
    """Return an update of an Ingress's status."""
    result = default_ingress(only_status(new, old))
    return with_status(result, {**_NO_ADDRESSES, **(result.get("status") or {})})


def default_network_policy(document: Document) -> Document:
    """Return a NetworkPolicy that says which directions it governs, and whose ports have a protocol."""
    from orchestra.api.networking import NetworkPolicy

    document = canonical(document, NetworkPolicy)
    spec = dict(document.get("spec") or {})
    if not spec.get("policyTypes"):
        spec["policyTypes"] = ["Ingress", "Egress"] if spec.get("egress") else ["Ingress"]
    for direction in ("ingress", "egress"):
        if spec.get(direction):
            spec[direction] = [_with_protocols(rule) for rule in spec[direction]]
    return document if spec == document.get("spec") else {**document, "spec": spec}


def _with_protocols(rule: Document) -> Document:
    if not rule.get("ports"):
        return rule
    return {**rule, "ports": [filled(port, {"protocol": "TCP"}) for port in rule["ports"]]}
