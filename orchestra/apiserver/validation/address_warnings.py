"""Warnings of the kinds that hold addresses: Services and EndpointSlices. A warning refuses nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from orchestra.apiserver.validation.fields import quoted
from orchestra.apiserver.validation.network import parse_ip
from orchestra.apiserver.validation.service import TOPOLOGY_HINTS, TOPOLOGY_MODE

Document = Mapping[str, Any]


def warnings_of_service(document: Document, _old: Document | None) -> list[str]:
    """Return the warnings of a Service."""
    return list(_service(document))


def _service(document: Document) -> Iterator[str]:
    annotations = (document.get("metadata") or {}).get("annotations") or {}
    spec = document.get("spec") or {}
    if TOPOLOGY_HINTS in annotations:
        yield f"annotation {TOPOLOGY_HINTS} is deprecated, please use {TOPOLOGY_MODE} instead"
    headless = spec.get("type") == "ClusterIP" and spec.get("clusterIP") == "None"
    external = spec.get("externalIPs") or ()
    if spec.get("type") != "ExternalName" and not headless:
        for index, address in enumerate(spec.get("clusterIPs") or ()):
            yield from spelling_warnings(address, f"spec.clusterIPs[{index}]")
    if headless:
        if spec.get("loadBalancerIP"):
            yield "spec.loadBalancerIP is ignored for headless services"
        if external:
            yield "spec.externalIPs is ignored for headless services"
        if spec.get("sessionAffinity") != "None":
            yield "spec.SessionAffinity is ignored for headless services"
    for index, address in enumerate(external):
        yield from spelling_warnings(address, f"spec.externalIPs[{index}]")
    if spec.get("type") == "ExternalName" and external:
        yield 'spec.externalIPs is ignored when spec.type is "ExternalName"'
    if spec.get("type") != "ExternalName" and spec.get("externalName"):
        yield 'spec.externalName is ignored when spec.type is not "ExternalName"'
    if spec.get("trafficDistribution") == "PreferClose":
        yield 'spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"'


def spelling_warnings(address: str, path: str) -> Iterator[str]:
    """Tell an IPv6 address that is not in its canonical form."""
    parsed = parse_ip(address)
    if parsed is not None and ":" in address and str(parsed) != address:
        told = f"should be in RFC 5952 canonical format ({quoted(str(parsed))})"
        yield f"{path}: IPv6 address {quoted(address)} {told}"


def warnings_of_endpoint_slice(document: Document, _old: Document | None) -> list[str]:
    """Return the warnings of an EndpointSlice."""
    told = []
    if document.get("addressType") == "FQDN":
        told.append("spec.addressType: FQDN endpoints are deprecated")
    for index, endpoint in enumerate(document.get("endpoints") or ()):
        for position, address in enumerate(endpoint.get("addresses") or ()):
            told += spelling_warnings(address, f"endpoints[{index}].addresses[{position}]")
    return told
