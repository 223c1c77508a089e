"""Rules of Endpoints. Source: core/v1, as kube-apiserver 1.36 answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from orchestra.apiserver.validation.address_warnings import spelling_warnings
from orchestra.apiserver.validation.fields import Errors, each_invalid, not_supported, required
from orchestra.apiserver.validation.formats import dns_label, dns_subdomain, port_number, qualified_name
from orchestra.apiserver.validation.metadata import check_metadata, check_metadata_update
from orchestra.apiserver.validation.network import check_not_special, ip_address
from orchestra.apiserver.validation.options import DEFAULT_OPTIONS, RuleOptions

Document = Mapping[str, Any]
PROTOCOLS: Final = ("SCTP", "TCP", "UDP")


def validate_endpoints(document: Document, options: RuleOptions = DEFAULT_OPTIONS) -> Errors:
    """Return the faults of Endpoints."""
    errors: Errors = []
    check_metadata(document, dns_subdomain, errors)
    _check_subsets(document, errors, options)
    return errors


def validate_endpoints_update(new: Document, old: Document, options: RuleOptions = DEFAULT_OPTIONS) -> Errors:
    """Return the faults of an update of Endpoints; addresses that stay are not looked at again."""
    errors: Errors = []
    check_metadata_update(new, old, errors, kube_finalizers=True)
    if new.get("subsets") != old.get("subsets"):
        _check_subsets(new, errors, options)
    return errors


def _check_subsets(document: Document, errors: Errors, options: RuleOptions) -> None:
    for index, subset in enumerate(document.get("subsets") or ()):
        at = f"subsets[{index}]"
        if not subset.get("addresses") and not subset.get("notReadyAddresses"):
            errors.append(required(at, "must specify `addresses` or `notReadyAddresses`"))
        for field in ("addresses", "notReadyAddresses"):
            for position, address in enumerate(subset.get(field) or ()):
                _check_address(address, f"{at}.{field}[{position}]", errors, options)
        ports = subset.get("ports") or ()
        for position, port in enumerate(ports):
            _check_port(port, f"{at}.ports[{position}]", errors, named=len(ports) > 1)


def _check_address(address: Document, path: str, errors: Errors, options: RuleOptions) -> None:
    value = address.get("ip") or ""
    faults = ip_address(value)
    each_invalid(f"{path}.ip", value, faults, errors)
    if address.get("hostname"):
        each_invalid(f"{path}.hostname", address["hostname"], dns_label(address["hostname"]), errors)
    node = address.get("nodeName")
    if node is not None:
        each_invalid(f"{path}.nodeName", node, dns_subdomain(node), errors)
    if not faults:
        check_not_special(value, f"{path}.ip", errors, loopback=options.loopback_endpoints)


def _check_port(port: Document, path: str, errors: Errors, *, named: bool) -> None:
    name, protocol = port.get("name") or "", port.get("protocol") or ""
    if name:
        each_invalid(f"{path}.name", name, dns_label(name), errors)
    elif named:
        errors.append(required(f"{path}.name"))
    each_invalid(f"{path}.port", port.get("port") or 0, port_number(port.get("port") or 0), errors)
    if not protocol:
        errors.append(required(f"{path}.protocol"))
    elif protocol not in PROTOCOLS:
        errors.append(not_supported(f"{path}.protocol", protocol, PROTOCOLS))
    if port.get("appProtocol") is not None:
        each_invalid(f"{path}.appProtocol", port["appProtocol"], qualified_name(port["appProtocol"]), errors)


def warnings_of_endpoints(document: Document, _old: Document | None) -> list[str]:
    """Return the warnings of Endpoints: addresses in an unusual spelling."""
    told: list[str] = []
    for index, subset in enumerate(document.get("subsets") or ()):
        for field in ("addresses", "notReadyAddresses"):
            for position, address in enumerate(subset.get(field) or ()):
                told += spelling_warnings(address.get("ip") or "", f"subsets[{index}].{field}[{position}].ip")
    return told
