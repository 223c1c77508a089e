"""Rules of Ingresses and NetworkPolicies. Source: networking/v1, as kube-apiserver 1.36 answers."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any, Final

from orchestra.apiserver.validation.fields import (
    Errors,
    each_invalid,
    forbidden,
    invalid,
    not_supported,
    quoted,
    required,
)
from orchestra.apiserver.validation.formats import (
    dns_label,
    dns_subdomain,
    path_segment,
    port_name,
    port_number,
    wildcard_subdomain,
)
from orchestra.apiserver.validation.metadata import check_label_selector, check_metadata, check_metadata_update
from orchestra.apiserver.validation.network import cidr, ip_address, parse_ip

Document = Mapping[str, Any]
CLASS_ANNOTATION: Final = "kubernetes.io/ingress.class"
NOT_A_NAME: Final = "must be a DNS name, not an IP address"
_PATH_TYPES: Final = ("Exact", "ImplementationSpecific", "Prefix")
_BAD_SEQUENCES: Final = ("//", "/./", "/../", "%2f", "%2F")
_BAD_SUFFIXES: Final = ("/..", "/.")
_PROTOCOLS: Final = ("TCP", "UDP", "SCTP")
_POLICY_TYPES: Final = ("Ingress", "Egress")


def validate_ingress(document: Document) -> Errors:
    """Return the faults of an Ingress."""
    errors: Errors = []
    _check_ingress(document, {}, errors)
    given = ((document.get("metadata") or {}).get("annotations") or {}).get(CLASS_ANNOTATION)
    named = (document.get("spec") or {}).get("ingressClassName")
    if given is not None and named is not None and given != named:
        detail = "must match `ingressClassName` when both are specified"
        errors.append(invalid(f"annotations.{CLASS_ANNOTATION}", given, detail))
    return errors


def validate_ingress_update(new: Document, old: Document) -> Errors:
    """Return the faults of an update of an Ingress; what older rules let in may stay."""
    errors: Errors = []
    check_metadata_update(new, old, errors, kube_finalizers=True)
    _check_ingress(new, old, errors)
    return errors


def validate_ingress_status(new: Document, old: Document) -> Errors:
    """Return the faults of an update of an Ingress's status."""
    errors: Errors = []
    check_metadata_update(new, old, errors, kube_finalizers=True)
    known = {each.get("ip") for each in _addresses(old)}
    for index, each in enumerate(_addresses(new)):
        at = f"status.loadBalancer.ingress[{index}]"
        address, host = each.get("ip"), each.get("hostname")
        if address and address not in known:
            each_invalid(f"{at}.ip", address, ip_address(address), errors)
        if host:
            each_invalid(f"{at}.hostname", host, dns_subdomain(host), errors)
            if parse_ip(host) is not None:
                errors.append(invalid(f"{at}.hostname", host, NOT_A_NAME))
    return errors


def _addresses(document: Document) -> Any:
    return ((document.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()


def _check_ingress(document: Document, old: Document, errors: Errors) -> None:
    check_metadata(document, dns_subdomain, errors)
    spec, before = document.get("spec") or {}, old.get("spec") or {}
    rules, backend = spec.get("rules") or (), spec.get("defaultBackend")
    if not rules and backend is None:
        errors.append(invalid("spec", None, "either `defaultBackend` or `rules` must be specified"))
    if backend is not None:
        _check_backend(backend, "spec.defaultBackend", errors)
    tolerant = any("*" in (rule.get("host") or "") and _faults_of_paths(rule) for rule in before.get("rules") or ())
    for index, rule in enumerate(rules):
        at, host = f"spec.rules[{index}]", rule.get("host") or ""
        _check_host(host, f"{at}.host", errors)
        if "*" not in host or not tolerant:
            _check_paths(rule, at, errors)
    old_secrets = any(_secret_faults(each) for each in before.get("tls") or ())
    for index, each in enumerate(spec.get("tls") or ()):
        at = f"spec.tls[{index}]"
        for position, host in enumerate(each.get("hosts") or ()):
            faults = wildcard_subdomain(host) if "*" in host else dns_subdomain(host)
            each_invalid(f"{at}.hosts[{position}]", host, faults, errors)
        if not old_secrets:
            each_invalid(f"{at}.secretName", each.get("secretName"), _secret_faults(each), errors)
    name = spec.get("ingressClassName")
    if name is not None:
        each_invalid("spec.ingressClassName", name, dns_subdomain(name), errors)


def _secret_faults(tls: Document) -> tuple[str, ...]:
    return dns_subdomain(tls["secretName"]) if tls.get("secretName") else ()


def _check_host(host: str, path: str, errors: Errors) -> None:
    if not host:
        return
    if parse_ip(host) is not None:
        errors.append(invalid(path, host, NOT_A_NAME))
    each_invalid(path, host, wildcard_subdomain(host) if "*" in host else dns_subdomain(host), errors)


def _faults_of_paths(rule: Document) -> Errors:
    errors: Errors = []
    _check_paths(rule, "", errors)
    return errors


def _check_paths(rule: Document, path: str, errors: Errors) -> None:
    http = rule.get("http")
    if http is None:
        return
    paths = http.get("paths") or ()
    if not paths:
        errors.append(required(f"{path}.http.paths"))
    for index, each in enumerate(paths):
        _check_path(each, f"{path}.http.paths[{index}]", errors)


def _check_path(each: Document, path: str, errors: Errors) -> None:
    kind, value = each.get("pathType"), each.get("path") or ""
    if kind is None:
        errors.append(required(f"{path}.pathType", "pathType must be specified"))
        return
    if kind in ("Exact", "Prefix"):
        if not value.startswith("/"):
            errors.append(invalid(f"{path}.path", value, "must be an absolute path"))
        for sequence in _BAD_SEQUENCES:
            if sequence in value:
                errors.append(invalid(f"{path}.path", value, f"must not contain '{sequence}'"))
        for suffix in _BAD_SUFFIXES:
            if value.endswith(suffix):
                errors.append(invalid(f"{path}.path", value, f"cannot end with '{suffix}'"))
    elif kind == "ImplementationSpecific":
        if value and not value.startswith("/"):
            errors.append(invalid(f"{path}.path", value, "must be an absolute path"))
    else:
        errors.append(not_supported(f"{path}.pathType", kind, _PATH_TYPES))
    _check_backend(each.get("backend") or {}, f"{path}.backend", errors)


def _check_backend(backend: Document, path: str, errors: Errors) -> None:
    resource, service = backend.get("resource"), backend.get("service")
    if resource is not None and service is not None:
        errors.append(invalid(path, "", "cannot set both resource and service backends"))
    elif resource is not None:
        _check_resource(resource, f"{path}.resource", errors)
    elif service is not None:
        _check_service(service, path, errors)
    else:
        errors.append(invalid(path, "", "resource or service backend is required"))


def _check_service(service: Document, path: str, errors: Errors) -> None:
    name, port = service.get("name") or "", service.get("port") or {}
    if not name:
        errors.append(required(f"{path}.service.name"))
    else:
        each_invalid(f"{path}.service.name", name, dns_label(name), errors)
    port_named, number = port.get("name") or "", port.get("number") or 0
    if port_named and number:
        errors.append(invalid(path, "", "cannot set both port name & port number"))
    elif port_named:
        each_invalid(f"{path}.service.port.name", port_named, port_name(port_named), errors)
    elif number:
        each_invalid(f"{path}.service.port.number", number, port_number(number), errors)
    else:
        errors.append(required(path, "port name or number is required"))


def _check_resource(resource: Document, path: str, errors: Errors) -> None:
    if resource.get("apiGroup") is not None:
        each_invalid(f"{path}.apiGroup", resource["apiGroup"], dns_subdomain(resource["apiGroup"]), errors)
    for field in ("kind", "name"):
        value = resource.get(field) or ""
        if not value:
            errors.append(required(f"{path}.{field}"))
        else:
            each_invalid(f"{path}.{field}", value, path_segment(value), errors)


def warnings_of_ingress(document: Document, old: Document | None) -> list[str]:
    """Return the warnings of an Ingress: a class that is named in the old way."""
    annotations = (document.get("metadata") or {}).get("annotations") or {}
    if old is not None or CLASS_ANNOTATION not in annotations:
        return []
    if (document.get("spec") or {}).get("ingressClassName") is not None:
        return []
    return [f"annotation {quoted(CLASS_ANNOTATION)} is deprecated, please use 'spec.ingressClassName' instead"]


def validate_network_policy(document: Document) -> Errors:
    """Return the faults of a NetworkPolicy."""
    errors: Errors = []
    check_metadata(document, dns_subdomain, errors)
    _check_policy(document.get("spec") or {}, frozenset(), errors)
    return errors


def validate_network_policy_update(new: Document, old: Document) -> Errors:
    """Return the faults of an update of a NetworkPolicy; blocks of addresses that were there before may stay."""
    errors: Errors = []
    check_metadata_update(new, old, errors, kube_finalizers=True)
    before = old.get("spec") or {}
    peers = [
        *(peer for rule in before.get("ingress") or () for peer in rule.get("from") or ()),
        *(peer for rule in before.get("egress") or () for peer in rule.get("to") or ()),
    ]
    blocks = [peer["ipBlock"] for peer in peers if peer.get("ipBlock") is not None]
    known = frozenset(each for block in blocks for each in (block.get("cidr") or "", *(block.get("except") or ())))
    _check_policy(new.get("spec") or {}, known, errors)
    return errors


def _check_policy(spec: Document, known: frozenset[str], errors: Errors) -> None:
    check_label_selector(spec.get("podSelector"), "spec.podSelector", errors)
    for direction, peers in (("ingress", "from"), ("egress", "to")):
        for index, rule in enumerate(spec.get(direction) or ()):
            at = f"spec.{direction}[{index}]"
            for position, port in enumerate(rule.get("ports") or ()):
                _check_policy_port(port, f"{at}.ports[{position}]", errors)
            for position, peer in enumerate(rule.get(peers) or ()):
                _check_peer(peer, f"{at}.{peers}[{position}]", known, errors)
    types = spec.get("policyTypes") or ()
    if len(types) > len(_POLICY_TYPES):
        errors.append(invalid("spec.policyTypes", list(types), "may not specify more than two policyTypes"))
        return
    for index, each in enumerate(types):
        if each not in _POLICY_TYPES:
            errors.append(not_supported(f"spec.policyTypes[{index}]", each, _POLICY_TYPES))


def _check_policy_port(entry: Document, path: str, errors: Errors) -> None:
    protocol, port, end = entry.get("protocol"), entry.get("port"), entry.get("endPort")
    if protocol is not None and protocol not in _PROTOCOLS:
        errors.append(not_supported(f"{path}.protocol", protocol, _PROTOCOLS))
    if port is None:
        if end is not None:
            errors.append(invalid(f"{path}.endPort", end, "may not be specified when `port` is not specified"))
    elif isinstance(port, int):
        each_invalid(f"{path}.port", port, port_number(port), errors)
        if end is not None:
            if end < port:
                errors.append(invalid(f"{path}.endPort", end, "must be greater than or equal to `port`"))
            each_invalid(f"{path}.endPort", end, port_number(end), errors)
    else:
        if end is not None:
            errors.append(invalid(f"{path}.endPort", end, "may not be specified when `port` is non-numeric"))
        each_invalid(f"{path}.port", port, port_name(port), errors)


def _check_peer(peer: Document, path: str, known: frozenset[str], errors: Errors) -> None:
    given = [name for name in ("podSelector", "namespaceSelector", "ipBlock") if peer.get(name) is not None]
    for name in ("podSelector", "namespaceSelector"):
        check_label_selector(peer.get(name), f"{path}.{name}", errors)
    if "ipBlock" in given:
        _check_block(peer["ipBlock"], f"{path}.ipBlock", known, errors)
    if not given:
        errors.append(required(path, "must specify a peer"))
    elif len(given) > 1 and "ipBlock" in given:
        errors.append(forbidden(path, "may not specify both ipBlock and another peer"))


def _check_block(block: Document, path: str, known: frozenset[str], errors: Errors) -> None:
    whole = block.get("cidr") or ""
    if not whole:
        errors.append(required(f"{path}.cidr"))
        return
    if whole not in known:
        each_invalid(f"{path}.cidr", whole, cidr(whole), errors)
    network = _network(whole)
    if network is None:
        return
    for index, part in enumerate(block.get("except") or ()):
        at = f"{path}.except[{index}]"
        if part not in known:
            each_invalid(at, part, cidr(part), errors)
        inner = _network(part)
        if inner is None:
            continue
        if inner.network_address not in network or network.prefixlen >= inner.prefixlen:
            errors.append(invalid(at, part, "must be a strict subset of `cidr`"))


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    address, _, bits = text.partition("/")
    parsed = parse_ip(address)
    if parsed is None or not bits.isdecimal() or int(bits) > parsed.max_prefixlen:
        return None
    return ipaddress.ip_network(f"{parsed}/{int(bits)}", strict=False)
