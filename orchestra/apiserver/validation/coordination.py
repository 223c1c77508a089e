"""Rules of EndpointSlices, Leases and Events. Source: discovery/v1, coordination/v1 and core/v1 of Kubernetes 1.36."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from orchestra.apiserver.validation.fields import (
    NEGATIVE,
    Errors,
    check_enum,
    check_immutable,
    duplicate,
    each_invalid,
    invalid,
    required,
    too_many,
)
from orchestra.apiserver.validation.formats import (
    dns_label,
    dns_subdomain,
    label_value,
    path_segment,
    qualified_name,
)
from orchestra.apiserver.validation.metadata import check_metadata, check_metadata_update
from orchestra.apiserver.validation.network import check_not_special, ip_address, is_ipv6
from orchestra.apiserver.validation.options import DEFAULT_OPTIONS, RuleOptions

Document = Mapping[str, Any]
ADDRESS_TYPES = ("FQDN", "IPv4", "IPv6")
PROTOCOLS = ("SCTP", "TCP", "UDP")
MAX_ENDPOINTS = 1000
MAX_ADDRESSES = 100
MAX_PORTS = 20000
MAX_HINTS = 8
MAX_EVENT_FIELD = 128
MAX_EVENT_MESSAGE = 1024


def _check_address(address: str, kind: str, path: str, errors: Errors, options: RuleOptions) -> None:
    if kind in ("IPv4", "IPv6"):
        faults = ip_address(address)
        each_invalid(path, address, faults, errors)
        if not faults and is_ipv6(address) != (kind == "IPv6"):
            errors.append(invalid(path, address, f"must be an {kind} address"))
        elif not faults:
            check_not_special(address, path, errors, loopback=options.loopback_endpoints)
    elif kind == "FQDN":
        _check_domain(address, path, errors)


def _check_domain(address: str, path: str, errors: Errors) -> None:
    name = address.removesuffix(".")
    if not address:
        errors.append(required(path))
    elif faults := dns_subdomain(name):
        errors.append(invalid(path, name, ",".join(faults)))
    elif "." not in name:
        detail = "should be a domain with at least two segments separated by dots"
        errors.append(invalid(path, name, detail))
    else:
        for label in name.split("."):
            if faults := dns_label(label):
                errors.append(invalid(path, label, ",".join(faults)))
                return


def _check_hints(hints: Document, path: str, errors: Errors) -> None:
    rules: tuple[tuple[str, Callable[[str], tuple[str, ...]]], ...] = (
        ("forZones", label_value),
        ("forNodes", dns_subdomain),
    )
    for field, rule in rules:
        entries = hints.get(field) or ()
        if len(entries) > MAX_HINTS:
            errors.append(too_many(f"{path}.{field}", len(entries), MAX_HINTS))
            return
        names: set[str] = set()
        for index, entry in enumerate(entries):
            at, name = f"{path}.{field}[{index}].name", entry.get("name") or ""
            if name in names:
                errors.append(duplicate(at, name))
            names.add(name)
            each_invalid(at, name, rule(name), errors)


def _check_endpoints(
    endpoints: Sequence[Document], kind: str, known: frozenset[str], errors: Errors, options: RuleOptions
) -> None:
    if len(endpoints) > MAX_ENDPOINTS:
        errors.append(too_many("endpoints", len(endpoints), MAX_ENDPOINTS))
        return
    for index, endpoint in enumerate(endpoints):
        at, addresses = f"endpoints[{index}]", endpoint.get("addresses") or ()
        if not addresses:
            errors.append(required(f"{at}.addresses", "must contain at least 1 address"))
        elif len(addresses) > MAX_ADDRESSES:
            errors.append(too_many(f"{at}.addresses", len(addresses), MAX_ADDRESSES))
        for position, address in enumerate(addresses):
            if address not in known:
                _check_address(address, kind, f"{at}.addresses[{position}]", errors, options)
        node, host, hints = endpoint.get("nodeName"), endpoint.get("hostname"), endpoint.get("hints")
        if node is not None:
            each_invalid(f"{at}.nodeName", node, dns_subdomain(node), errors)
        if host is not None:
            each_invalid(f"{at}.hostname", host, dns_label(host), errors)
        if hints is not None:
            _check_hints(hints, f"{at}.hints", errors)


def _check_ports(ports: Sequence[Document], errors: Errors) -> None:
    if len(ports) > MAX_PORTS:
        errors.append(too_many("ports", len(ports), MAX_PORTS))
        return
    names: set[str] = set()
    for index, port in enumerate(ports):
        at, name = f"ports[{index}]", port.get("name") or ""
        if name:
            each_invalid(f"{at}.name", name, dns_label(name), errors)
        if name in names:
            errors.append(duplicate(f"{at}.name", name))
        names.add(name)
        check_enum(f"{at}.protocol", port.get("protocol"), PROTOCOLS, errors)
        protocol = port.get("appProtocol")
        if protocol is not None:
            each_invalid(f"{at}.appProtocol", protocol, qualified_name(protocol), errors)


def _check_slice(document: Document, known: frozenset[str], errors: Errors, options: RuleOptions) -> None:
    check_metadata(document, dns_subdomain, errors)
    kind = document.get("addressType") or ""
    check_enum("addressType", kind, ADDRESS_TYPES, errors)
    _check_endpoints(document.get("endpoints") or (), kind, known, errors, options)
    _check_ports(document.get("ports") or (), errors)


def validate_endpoint_slice(document: Document, options: RuleOptions = DEFAULT_OPTIONS) -> Errors:
    """Return the faults of an EndpointSlice."""
    errors: Errors = []
    _check_slice(document, frozenset(), errors, options)
    return errors


def validate_endpoint_slice_update(new: Document, old: Document, options: RuleOptions = DEFAULT_OPTIONS) -> Errors:
    """Return the faults of an update of an EndpointSlice; addresses that it has had are not looked at again."""
    errors: Errors = []
    known = frozenset(address for each in old.get("endpoints") or () for address in each.get("addresses") or ())
    _check_slice(new, known, errors, options)
    check_immutable("addressType", new.get("addressType"), old.get("addressType"), errors)
    return errors


def _check_lease(document: Document, errors: Errors) -> None:
    spec = document.get("spec") or {}
    seconds, transitions = spec.get("leaseDurationSeconds"), spec.get("leaseTransitions")
    if seconds is not None and seconds <= 0:
        errors.append(invalid("spec.leaseDurationSeconds", seconds, "must be greater than 0"))
    if transitions is not None and transitions < 0:
        errors.append(invalid("spec.leaseTransitions", transitions, NEGATIVE))


def validate_lease(document: Document) -> Errors:
    """Return the faults of a Lease."""
    errors: Errors = []
    check_metadata(document, dns_subdomain, errors, kube_finalizers=False)
    _check_lease(document, errors)
    return errors


def validate_lease_update(new: Document, old: Document) -> Errors:
    """Return the faults of an update of a Lease."""
    errors: Errors = []
    check_metadata_update(new, old, errors)
    _check_lease(new, errors)
    return errors


def _check_event(document: Document, errors: Errors) -> None:
    namespace = (document.get("metadata") or {}).get("namespace") or ""
    about = (document.get("involvedObject") or {}).get("namespace") or ""
    apart = invalid("involvedObject.namespace", about, "does not match event.namespace")
    if document.get("eventTime") is None:
        if about != namespace and (about or namespace not in ("", "default")):
            errors.append(apart)
    else:
        if not about and namespace not in ("default", "kube-system"):
            errors.append(apart)
        _check_new_event(document, errors)
    each_invalid("namespace", namespace, dns_subdomain(namespace), errors)


def _check_new_event(document: Document, errors: Errors) -> None:
    component = document.get("reportingComponent") or ""
    if not component:
        errors.append(required("reportingComponent"))
    each_invalid("reportingComponent", component, qualified_name(component), errors)
    for field in ("reportingInstance", "action", "reason"):
        value = document.get(field) or ""
        if not value:
            errors.append(required(field))
        if len(value) > MAX_EVENT_FIELD:
            errors.append(invalid(field, "", f"can have at most {MAX_EVENT_FIELD} characters"))
    if len(document.get("message") or "") > MAX_EVENT_MESSAGE:
        errors.append(invalid("message", "", f"can have at most {MAX_EVENT_MESSAGE} characters"))


def validate_event(document: Document) -> Errors:
    """Return the faults of an Event; its metadata is looked at when the rest is sound, as Kubernetes does."""
    errors: Errors = []
    _check_event(document, errors)
    if not errors:
        check_metadata(document, path_segment, errors, kube_finalizers=False)
    return errors


def validate_event_update(new: Document, _old: Document) -> Errors:
    """Return the faults of an update of an Event."""
    errors: Errors = []
    _check_event(new, errors)
    return errors
