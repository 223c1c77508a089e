"""Services, as `describe` shows them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from orchestra.api.core.service import Service, ServicePort
from orchestra.api.discovery import EndpointSlice
from orchestra.api.tables.network import labels_text
from orchestra.cli.describe.sheet import Sheet

MAX_SHOWN: Final = 3
"""How many endpoints are shown."""


def describe_service(sheet: Sheet, obj: Service, slices: Iterable[EndpointSlice]) -> None:
    """Write a Service and what stands behind each of its ports."""
    meta, spec = obj.metadata, obj.spec
    known = list(slices)
    sheet.line(0, f"Name:\t{meta.name}")
    sheet.line(0, f"Namespace:\t{meta.namespace}")
    sheet.labels("Labels", meta.labels)
    sheet.annotations(meta.annotations)
    sheet.line(0, f"Selector:\t{labels_text(spec.selector)}")
    sheet.line(0, f"Type:\t{spec.type}")
    if spec.ip_family_policy:
        sheet.line(0, f"IP Family Policy:\t{spec.ip_family_policy}")
    if spec.ip_families:
        sheet.line(0, f"IP Families:\t{','.join(spec.ip_families)}")
    sheet.line(0, f"IP:\t{spec.cluster_ip}")
    if spec.cluster_ips:
        sheet.line(0, f"IPs:\t{','.join(spec.cluster_ips)}")
    if spec.external_ips:
        sheet.line(0, f"External IPs:\t{','.join(spec.external_ips)}")
    if spec.external_name:
        sheet.line(0, f"External Name:\t{spec.external_name}")
    for port in spec.ports:
        sheet.line(0, f"Port:\t{port.name or '<unset>'}\t{port.port}/{port.protocol}")
        sheet.line(0, f"TargetPort:\t{port.target_port}/{port.protocol}")
        if port.node_port:
            sheet.line(0, f"NodePort:\t{port.name or '<unset>'}\t{port.node_port}/{port.protocol}")
        sheet.line(0, f"Endpoints:\t{endpoints_text(known, port)}")
    sheet.line(0, f"Session Affinity:\t{spec.session_affinity}")
    if spec.external_traffic_policy:
        sheet.line(0, f"External Traffic Policy:\t{spec.external_traffic_policy}")
    if spec.internal_traffic_policy:
        sheet.line(0, f"Internal Traffic Policy:\t{spec.internal_traffic_policy}")


def endpoints_text(slices: Iterable[EndpointSlice], port: ServicePort) -> str:
    """Return the ready addresses behind a port, the first few of them."""
    found = [
        f"{address}:{item.port}"
        for one in slices
        for item in one.ports
        if (item.name or "") == port.name and item.port is not None
        for endpoint in one.endpoints
        if endpoint.conditions.ready is not False
        for address in endpoint.addresses
    ]
    if not found:
        return "<none>" if not any(True for _ in slices) else ""
    more = f" + {len(found) - MAX_SHOWN} more..." if len(found) > MAX_SHOWN else ""
    return ",".join(found[:MAX_SHOWN]) + more
