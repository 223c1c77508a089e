"""Defaults of Services. Source: core/v1 defaults, and the Service registry's rules on IP families."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestra.apiserver.defaults.canonical import canonical
from orchestra.apiserver.defaults.containers import each

Document = dict[str, Any]
AFFINITY_TIMEOUT_SECONDS = 10800
FAMILIES = ("IPv4", "IPv6")


def is_headless(spec: Document) -> bool:
    """Say whether a Service has no address of its own."""
    return spec.get("clusterIPs") == ["None"] or (not spec.get("clusterIPs") and spec.get("clusterIP") == "None")


def is_external(spec: Mapping[str, Any]) -> bool:
    """Say whether a Service can be reached from outside the cluster."""
    kind = spec.get("type")
    return kind in ("LoadBalancer", "NodePort") or (kind == "ClusterIP" and bool(spec.get("externalIPs")))


def needs_health_check(spec: Mapping[str, Any]) -> bool:
    """Say whether a Service has a port at which nodes answer for it."""
    return spec.get("type") == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local"


def _port(port: Document) -> Document:
    new = dict(port)
    if not new.get("protocol"):
        new["protocol"] = "TCP"
    if not new.get("targetPort"):
        new["targetPort"] = new.get("port") or 0
    return new


def _affinity(spec: Document) -> None:
    if not spec.get("sessionAffinity"):
        spec["sessionAffinity"] = "None"
    if spec["sessionAffinity"] == "None":
        spec.pop("sessionAffinityConfig", None)
    elif spec["sessionAffinity"] == "ClientIP":
        client = (spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}
        if client.get("timeoutSeconds") is None:
            client = {**client, "timeoutSeconds": AFFINITY_TIMEOUT_SECONDS}
            spec["sessionAffinityConfig"] = {**(spec.get("sessionAffinityConfig") or {}), "clientIP": client}


def default_service(document: Document) -> Document:
    """Return a Service with its type, ports and policies filled in; addresses and families are not chosen here."""
    from orchestra.api.core.service import Service

    document = canonical(document, Service)
    spec = dict(document.get("spec") or {})
    _affinity(spec)
    if not spec.get("type"):
        spec["type"] = "ClusterIP"
    if spec.get("ports"):
        spec["ports"] = each(spec["ports"], _port)
    if is_external(spec) and not spec.get("externalTrafficPolicy"):
        spec["externalTrafficPolicy"] = "Cluster"
    if spec["type"] in ("ClusterIP", "NodePort", "LoadBalancer") and spec.get("internalTrafficPolicy") is None:
        spec["internalTrafficPolicy"] = "Cluster"
    if spec["type"] == "LoadBalancer":
        if spec.get("allocateLoadBalancerNodePorts") is None:
            spec["allocateLoadBalancerNodePorts"] = True
        document = _ingress_modes(document)
    return document if spec == document.get("spec") else {**document, "spec": spec}


def _ingress_modes(document: Document) -> Document:
    status = document.get("status") or {}
    ingress = (status.get("loadBalancer") or {}).get("ingress") or ()
    if not any(point.get("ip") and point.get("ipMode") is None for point in ingress):
        return document
    new = [point if point.get("ipMode") or not point.get("ip") else {**point, "ipMode": "VIP"} for point in ingress]
    return {**document, "status": {**status, "loadBalancer": {**status["loadBalancer"], "ingress": new}}}


def with_families(spec: Document, cluster_families: tuple[str, ...]) -> Document:
    """Return a Service's spec with its IP families and their policy chosen, as far as that is possible.

    What cannot be (two families on a cluster of one) is left for validation to refuse.
    """
    if spec.get("type") == "ExternalName":
        return spec
    new = dict(spec)
    families = list(new.get("ipFamilies") or ())
    if is_headless(new) and not new.get("selector"):
        new.setdefault("ipFamilyPolicy", "RequireDualStack")
        families = families or [cluster_families[0]]
        if len(families) == 1 and new["ipFamilyPolicy"] != "SingleStack":
            families += [family for family in FAMILIES if family not in families]
    else:
        addresses = [each for each in new.get("clusterIPs") or () if each != "None"]
        families += ["IPv6" if ":" in each else "IPv4" for each in addresses[len(families) :]]
        families = families or [cluster_families[0]]
        new.setdefault("ipFamilyPolicy", "SingleStack")
        if new["ipFamilyPolicy"] != "SingleStack" and len(families) == 1:
            families += [family for family in cluster_families if family not in families]
    new["ipFamilies"] = families
    return spec if new == spec else new
