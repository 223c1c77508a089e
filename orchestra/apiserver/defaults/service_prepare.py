"""What an update of a Service keeps of what was allocated to it, and what it gives back when its type changes.

Source: the Service registry of Kubernetes: a client that leaves out an address or a node port means the one it has.
"""

from __future__ import annotations

from typing import Any

from orchestra.apiserver.defaults.others import with_status
from orchestra.apiserver.defaults.service import is_external, needs_health_check, with_families

Document = dict[str, Any]
_WITH_ADDRESS = ("ClusterIP", "NodePort", "LoadBalancer")


def _has_address(spec: Document) -> bool:
    return spec.get("type") in _WITH_ADDRESS


def _has_node_ports(spec: Document) -> bool:
    return spec.get("type") == "NodePort" or (
        spec.get("type") == "LoadBalancer" and spec.get("allocateLoadBalancerNodePorts") is not False
    )


def normalized_addresses(spec: Document, old: Document | None) -> Document:
    """Return a spec whose clusterIP and clusterIPs say the same, where the writer gave one of them."""
    address, addresses = spec.get("clusterIP") or "", spec.get("clusterIPs") or []
    new = dict(spec)
    before = (old or {}).get("clusterIP") or ""
    before_all = (old or {}).get("clusterIPs") or []
    if address and not addresses:
        new["clusterIPs"] = [address]
    elif old is not None and address != before and addresses == before_all and addresses:
        if address:
            new["clusterIPs"] = [address, *addresses[1:]]
        else:
            del new["clusterIPs"]
    elif old is not None and before and address == before and not addresses and before_all:
        new.pop("clusterIP", None)
    return spec if new == spec else new


def _kept_allocations(new: Document, old: Document) -> None:
    if _has_address(old) and _has_address(new):
        if not new.get("clusterIP") and old.get("clusterIP"):
            new["clusterIP"] = old["clusterIP"]
        if not new.get("clusterIPs") and new.get("clusterIP") == old.get("clusterIP") and old.get("clusterIPs"):
            new["clusterIPs"] = old["clusterIPs"]
    if _has_node_ports(old) and _has_node_ports(new) and new.get("ports"):
        known = {port.get("name") or "": port.get("nodePort") for port in old.get("ports") or ()}
        taken = set(_node_ports(old)) & set(_node_ports(new))
        ports = []
        for port in new["ports"]:
            found = known.get(port.get("name") or "")
            if not port.get("nodePort") and found and found not in taken:
                port = {**port, "nodePort": found}
                taken.add(found)
            ports.append(port)
        new["ports"] = ports
    probe = old.get("healthCheckNodePort")
    if probe and needs_health_check(old) and needs_health_check(new) and not new.get("healthCheckNodePort"):
        new["healthCheckNodePort"] = probe


def _dropped_with_type(new: Document, old: Document) -> None:
    """Give back what the new type does not have, unless the writer changed it in the same update."""

    def drop(*names: str) -> None:
        for name in names:
            new.pop(name, None)

    def unchanged(name: str) -> bool:
        return bool(new.get(name) == old.get(name))

    if _has_address(old) and not _has_address(new) and unchanged("clusterIP") and unchanged("clusterIPs"):
        drop("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy")
    if _has_address(old) and not _has_address(new) and unchanged("internalTrafficPolicy"):
        drop("internalTrafficPolicy")
    if _has_node_ports(old) and not _has_node_ports(new) and _node_ports(new) == _node_ports(old):
        new["ports"] = [{name: value for name, value in port.items() if name != "nodePort"} for port in new["ports"]]
    if needs_health_check(old) and not needs_health_check(new) and unchanged("healthCheckNodePort"):
        drop("healthCheckNodePort")
    for name in ("allocateLoadBalancerNodePorts", "loadBalancerClass"):
        if old.get("type") == "LoadBalancer" != new.get("type") and unchanged(name):
            drop(name)
    if is_external(old) and not is_external(new) and unchanged("externalTrafficPolicy"):
        drop("externalTrafficPolicy")


def _node_ports(spec: Document) -> list[Any]:
    return [port.get("nodePort") for port in spec.get("ports") or ()]


def _trimmed_for_one_family(new: Document, old: Document) -> None:
    if new.get("ipFamilyPolicy") == "SingleStack" and old.get("ipFamilyPolicy") not in (None, "SingleStack"):
        for name in ("clusterIPs", "ipFamilies"):
            if len(new.get(name) or ()) == 2 and new.get(name) == old.get(name):
                new[name] = new[name][:1]


def create_service(document: Document, families: tuple[str, ...]) -> Document:
    """Return a new Service with its families chosen and no load balancer yet."""
    spec = with_families(normalized_addresses(document.get("spec") or {}, None), families)
    return with_status({**document, "spec": spec}, {"loadBalancer": {}})


def update_service(new: Document, old: Document, families: tuple[str, ...]) -> Document:
    """Return an update of a Service that keeps what was allocated and gives back what its type no longer has."""
    before: Document = old.get("spec") or {}
    spec = dict(normalized_addresses(new.get("spec") or {}, before))
    _kept_allocations(spec, before)
    _dropped_with_type(spec, before)
    _trimmed_for_one_family(spec, before)
    if _has_address(before) and spec.get("type") != "ExternalName":
        for name in ("ipFamilies", "ipFamilyPolicy"):
            if not spec.get(name) and before.get(name):
                spec[name] = before[name]
    return with_status({**new, "spec": with_families(spec, families)}, old.get("status"))
