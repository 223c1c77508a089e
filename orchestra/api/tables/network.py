"""Rows of Services and of what stands behind them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Final

from orchestra.api.discovery import EndpointSlice
from orchestra.api.tables.durations import human_age
from orchestra.api.tables.model import NONE, UNSET, Cell, Printer, columns

if TYPE_CHECKING:
    from orchestra.api.core.service import Service, ServicePort

MAX_SHOWN: Final = 3
"""How many addresses or ports of a slice a row shows."""


def labels_text(labels: Mapping[str, str]) -> str:
    """Return labels as `a=1,b=2`, in the order of their keys."""
    return ",".join(f"{key}={labels[key]}" for key in sorted(labels)) or NONE


def external_address(obj: Service) -> str:
    """Return the addresses by which a Service is reached from outside."""
    kind, spec = obj.spec.type, obj.spec
    if kind == "ExternalName":
        return spec.external_name
    addresses = list(spec.external_ips)
    if kind == "LoadBalancer":
        balanced = [item.ip or item.hostname for item in obj.status.load_balancer.ingress]
        return ",".join(addresses + balanced) or "<pending>"
    return ",".join(addresses) or NONE


def port_text(port: ServicePort) -> str:
    """Return `80/TCP`, or `80:30080/TCP` with the port of the nodes."""
    node = f":{port.node_port}" if port.node_port else ""
    return f"{port.port}{node}/{port.protocol}"


def service_cells(obj: Service, now: datetime) -> tuple[Cell, ...]:
    """Return a Service's row."""
    spec = obj.spec
    return (
        obj.metadata.name,
        spec.type,
        spec.cluster_ips[0] if spec.cluster_ips else spec.cluster_ip or NONE,
        external_address(obj),
        ",".join(port_text(port) for port in spec.ports) or NONE,
        human_age(obj.metadata.creation_timestamp, now),
        labels_text(spec.selector),
    )


def _some(words: Iterable[str]) -> str:
    every = list(words)
    if not every:
        return UNSET
    more = f" + {len(every) - MAX_SHOWN} more..." if len(every) > MAX_SHOWN else ""
    return ",".join(every[:MAX_SHOWN]) + more


def endpoint_slice_cells(obj: EndpointSlice, now: datetime) -> tuple[Cell, ...]:
    """Return a slice's row."""
    return (
        obj.metadata.name,
        obj.address_type,
        _some("*" if port.port is None else str(port.port) for port in obj.ports),
        _some(address for endpoint in obj.endpoints for address in endpoint.addresses),
        human_age(obj.metadata.creation_timestamp, now),
    )


SERVICE = Printer(columns("Name|Type|Cluster-IP|External-IP|Port(s)|Age|*Selector"), service_cells)
ENDPOINT_SLICE = Printer(columns("Name|AddressType|Ports|Endpoints|Age"), endpoint_slice_cells)
