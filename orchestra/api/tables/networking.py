"""Rows of Endpoints, Ingresses and NetworkPolicies."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from orchestra.api.core.endpoints import Endpoints
from orchestra.api.networking import Ingress, NetworkPolicy
from orchestra.api.tables.durations import human_age
from orchestra.api.tables.model import NONE, Cell, Printer, columns
from orchestra.api.tables.workloads import selector_text

MAX_SHOWN: Final = 3
"""How many addresses or hosts a row shows."""


def endpoints_cells(obj: Endpoints, now: datetime) -> tuple[Cell, ...]:
    """Return a row of Endpoints."""
    return obj.metadata.name, _reached(obj), human_age(obj.metadata.creation_timestamp, now)


def _reached(obj: Endpoints) -> str:
    if not obj.subsets:
        return NONE
    every: list[str] = []
    for subset in obj.subsets:
        if not subset.ports:
            every += [address.ip for address in subset.addresses]
        for port in subset.ports:
            every += [_joined(address.ip, port.port) for address in subset.addresses]
    more = f" + {len(every) - MAX_SHOWN} more..." if len(every) > MAX_SHOWN else ""
    return ",".join(every[:MAX_SHOWN]) + more


def _joined(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def ingress_cells(obj: Ingress, now: datetime) -> tuple[Cell, ...]:
    """Return an Ingress's row."""
    name = obj.spec.ingress_class_name
    if name is None:
        name = obj.metadata.annotations.get("kubernetes.io/ingress.class", NONE)
    hosts = [rule.host for rule in obj.spec.rules if rule.host]
    more = f" + {len(hosts) - MAX_SHOWN} more..." if len(hosts) > MAX_SHOWN else ""
    addresses = [each.ip or each.hostname for each in obj.status.load_balancer.ingress]
    return (
        obj.metadata.name,
        name,
        ",".join(hosts[:MAX_SHOWN]) + more if hosts else "*",
        ",".join(dict.fromkeys(each for each in addresses if each)),
        "80, 443" if obj.spec.tls else "80",
        human_age(obj.metadata.creation_timestamp, now),
    )


def network_policy_cells(obj: NetworkPolicy, now: datetime) -> tuple[Cell, ...]:
    """Return a NetworkPolicy's row."""
    return obj.metadata.name, selector_text(obj.spec.pod_selector), human_age(obj.metadata.creation_timestamp, now)


ENDPOINTS = Printer(columns("Name|Endpoints|Age"), endpoints_cells)
INGRESS = Printer(columns("Name|Class|Hosts|Address|Ports|Age"), ingress_cells)
NETWORK_POLICY = Printer(columns("Name|Pod-Selector|Age"), network_policy_cells)
