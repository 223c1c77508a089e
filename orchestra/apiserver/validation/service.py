"""Rules of Services. Source: core/v1, as kube-apiserver 1.36 answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from orchestra.apiserver.defaults.service import is_external, needs_health_check
from orchestra.apiserver.validation.fields import (
    Errors,
    check_enum,
    duplicate,
    each_invalid,
    forbidden,
    invalid,
    not_supported,
    required,
)
from orchestra.apiserver.validation.formats import dns_label, dns_subdomain, port_number, qualified_name
from orchestra.apiserver.validation.go_shapes import go_value
from orchestra.apiserver.validation.metadata import check_labels, check_metadata
from orchestra.apiserver.validation.network import check_not_special, cidr, ip_address
from orchestra.apiserver.validation.options import DEFAULT_OPTIONS, RuleOptions
from orchestra.apiserver.validation.probes import check_port
from orchestra.apiserver.validation.service_addresses import (
    address_faults,
    check_addresses,
    is_headless,
)

Document = Mapping[str, Any]
TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
PROTOCOLS = ("SCTP", "TCP", "UDP")
POLICIES = ("Cluster", "Local")
DISTRIBUTIONS = ("PreferClose", "PreferSameZone", "PreferSameNode")
MAX_AFFINITY_SECONDS = 86400
SOURCE_RANGES = "service.beta.kubernetes.io/load-balancer-source-ranges"
TOPOLOGY_MODE = "service.kubernetes.io/topology-mode"
TOPOLOGY_HINTS = "service.kubernetes.io/topology-aware-hints"
ONLY_LOAD_BALANCER = "may only be used when `type` is 'LoadBalancer'"


def _check_by_type(spec: Document, errors: Errors) -> None:
    kind = spec.get("type")
    if not spec.get("ports") and not is_headless(spec) and kind != "ExternalName":
        errors.append(required("spec.ports"))
    if kind in ("LoadBalancer", "NodePort"):
        if is_headless(spec):
            detail = f"may not be set to 'None' for {kind} services"
            errors.append(invalid("spec.clusterIPs[0]", "None", detail))
    elif kind == "ExternalName":
        for field in ("clusterIPs", "ipFamilies", "ipFamilyPolicy"):
            if spec.get(field):
                errors.append(forbidden(f"spec.{field}", "may not be set for ExternalName services"))
        name = (spec.get("externalName") or "").removesuffix(".")
        if name:
            each_invalid("spec.externalName", name, dns_subdomain(name), errors)
        else:
            errors.append(required("spec.externalName"))


def _check_ports(spec: Document, errors: Errors) -> None:
    names: set[str] = set()
    ports = spec.get("ports") or ()
    for index, port in enumerate(ports):
        at, name = f"spec.ports[{index}]", port.get("name")
        if name:
            each_invalid(f"{at}.name", name, dns_label(name), errors)
            if name in names:
                errors.append(duplicate(f"{at}.name", name))
            names.add(name)
        elif len(ports) > 1:
            errors.append(required(f"{at}.name"))
        number = port.get("port") or 0
        each_invalid(f"{at}.port", number, port_number(number), errors)
        check_enum(f"{at}.protocol", port.get("protocol"), PROTOCOLS, errors)
        check_port(port.get("targetPort"), f"{at}.targetPort", errors)
        protocol = port.get("appProtocol")
        if protocol is not None:
            each_invalid(f"{at}.appProtocol", protocol, qualified_name(protocol), errors)


def _check_affinity(spec: Document, errors: Errors) -> None:
    affinity, config = spec.get("sessionAffinity"), spec.get("sessionAffinityConfig")
    check_enum("spec.sessionAffinity", affinity, ("ClientIP", "None"), errors)
    path = "spec.sessionAffinityConfig"
    if affinity == "None" and config is not None:
        errors.append(forbidden(path, "must not be set when session affinity is None"))
    if affinity != "ClientIP":
        return
    detail = "when session affinity type is ClientIP"
    seconds = ((config or {}).get("clientIP") or {}).get("timeoutSeconds")
    if config is None:
        errors.append(required(path, detail))
    elif config.get("clientIP") is None:
        errors.append(required(f"{path}.clientIP", detail))
    elif seconds is None:
        errors.append(required(f"{path}.clientIP.timeoutSeconds", detail))
    elif not 1 <= seconds <= MAX_AFFINITY_SECONDS:
        text = f"must be greater than 0 and less than {MAX_AFFINITY_SECONDS}"
        errors.append(invalid(f"{path}.clientIP.timeoutSeconds", seconds, text))


def _check_external_ips(spec: Document, errors: Errors) -> None:
    for index, address in enumerate(spec.get("externalIPs") or ()):
        faults = ip_address(address)
        each_invalid(f"spec.externalIPs[{index}]", address, faults, errors)
        if not faults:
            check_not_special(address, f"spec.externalIPs[{index}]", errors)


def _check_repeated_ports(spec: Document, errors: Errors) -> None:
    ports = spec.get("ports") or ()
    if spec.get("type") == "ClusterIP":
        for index, port in enumerate(ports):
            if port.get("nodePort"):
                detail = "may not be used when `type` is 'ClusterIP'"
                errors.append(forbidden(f"spec.ports[{index}].nodePort", detail))
    for field, shown in (("nodePort", _node_port), ("port", _port)):
        seen: set[tuple[Any, Any]] = set()
        for index, port in enumerate(ports):
            key = (port.get("protocol"), port.get(field))
            if field == "nodePort" and not key[1]:
                continue
            if key in seen:
                errors.append(shown(port, f"spec.ports[{index}]"))
            seen.add(key)


def _node_port(port: Document, path: str) -> Any:
    return duplicate(f"{path}.nodePort", port["nodePort"])


def _port(port: Document, path: str) -> Any:
    pair = {"protocol": port.get("protocol"), "port": port.get("port")}
    return duplicate(path, go_value("ServicePort", pair))


def _check_source_ranges(document: Document, spec: Document, errors: Errors) -> None:
    ranges = spec.get("loadBalancerSourceRanges")
    annotation = ((document.get("metadata") or {}).get("annotations") or {}).get(SOURCE_RANGES)
    if ranges:
        path: Callable[[int], str] = "spec.LoadBalancerSourceRanges[{}]".format
        values, field = [value.strip() for value in ranges], "spec.LoadBalancerSourceRanges"
    elif annotation is not None:
        field = f"metadata.annotations[{SOURCE_RANGES}]"
        path = lambda _index: field  # noqa: E731 - one of two ways to name an entry
        values = [value.strip() for value in annotation.strip().split(",")] if annotation.strip() else []
    else:
        return
    if spec.get("type") != "LoadBalancer":
        errors.append(forbidden(field, ONLY_LOAD_BALANCER))
    for index, value in enumerate(values):
        each_invalid(path(index), value, cidr(value), errors)


def _check_load_balancer(spec: Document, errors: Errors) -> None:
    allocate = spec.get("allocateLoadBalancerNodePorts")
    if spec.get("type") == "LoadBalancer":
        if allocate is None:
            errors.append(required("allocateLoadBalancerNodePorts"))
    elif allocate is not None:
        errors.append(forbidden("spec.allocateLoadBalancerNodePorts", ONLY_LOAD_BALANCER))
    check_load_balancer_class(spec, errors)


def check_load_balancer_class(spec: Document, errors: Errors) -> None:
    """Append the faults of `loadBalancerClass`."""
    name = spec.get("loadBalancerClass")
    if name is None:
        return
    if spec.get("type") == "LoadBalancer":
        each_invalid("spec.loadBalancerClass", name, qualified_name(name), errors)
    else:
        errors.append(forbidden("spec.loadBalancerClass", ONLY_LOAD_BALANCER))


def _check_policies(spec: Document, errors: Errors) -> None:
    policy = spec.get("externalTrafficPolicy") or ""
    if is_external(spec):
        check_enum("spec.externalTrafficPolicy", policy, POLICIES, errors)
    elif policy:
        detail = "may only be set for externally-accessible services"
        errors.append(invalid("spec.externalTrafficPolicy", policy, detail))
    port = spec.get("healthCheckNodePort") or 0
    if needs_health_check(spec):
        # The port is allocated after validation, so a missing one is no fault here.
        if port:
            each_invalid("spec.healthCheckNodePort", port, port_number(port), errors)
    elif port:
        detail = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
        errors.append(invalid("spec.healthCheckNodePort", port, detail))
    internal = spec.get("internalTrafficPolicy")
    if internal is None:
        if spec.get("type") in ("NodePort", "LoadBalancer", "ClusterIP"):
            errors.append(required("spec.internalTrafficPolicy"))
    elif internal not in POLICIES:
        errors.append(not_supported("spec.internalTrafficPolicy", internal, POLICIES))
    distribution = spec.get("trafficDistribution")
    if distribution is not None and distribution not in DISTRIBUTIONS:
        errors.append(not_supported("spec.trafficDistribution", distribution, DISTRIBUTIONS))


def check_service(document: Document, errors: Errors) -> None:
    """Append the faults of a Service, at creation and at every update."""
    # Kubernetes 1.36 takes names that begin with a digit, so the rule is RFC 1123's, not RFC 1035's.
    check_metadata(document, dns_label, errors)
    annotations = (document.get("metadata") or {}).get("annotations") or {}
    mode, hints = annotations.get(TOPOLOGY_MODE), annotations.get(TOPOLOGY_HINTS)
    if mode is not None and hints is not None and mode != hints:
        detail = f"must match annotations[{TOPOLOGY_HINTS}] when both are specified"
        errors.append(invalid(f"metadata.annotations[{TOPOLOGY_MODE}]", mode, detail))
    spec = document.get("spec") or {}
    _check_by_type(spec, errors)
    _check_ports(spec, errors)
    check_labels(spec.get("selector"), "spec.selector", errors)
    _check_affinity(spec, errors)
    check_addresses(spec, errors)
    _check_external_ips(spec, errors)
    check_enum("spec.type", spec.get("type"), TYPES, errors)
    _check_repeated_ports(spec, errors)
    _check_source_ranges(document, spec, errors)
    _check_load_balancer(spec, errors)
    _check_policies(spec, errors)


def validate_service(document: Document, options: RuleOptions = DEFAULT_OPTIONS) -> Errors:
    """Return the faults of a Service; those of its addresses are found first, and then alone, as in Kubernetes."""
    errors = address_faults(document.get("spec") or {}, options)
    if not errors:
        check_service(document, errors)
    return errors
