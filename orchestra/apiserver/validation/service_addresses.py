"""Rules of a Service's addresses and IP families: alone, together, and against what the cluster has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestra.apiserver.validation.fields import (
    Errors,
    duplicate,
    each_invalid,
    invalid,
    not_supported,
    required,
)
from orchestra.apiserver.validation.network import ip_address, is_ipv6
from orchestra.apiserver.validation.options import RuleOptions

Document = Mapping[str, Any]
FAMILIES = ("IPv4", "IPv6")
FAMILY_POLICIES = ("PreferDualStack", "RequireDualStack", "SingleStack")
_IPS = "spec.clusterIPs"
_POLICY = "spec.ipFamilyPolicy"


def is_headless(spec: Document) -> bool:
    """Say whether a Service has no address of its own."""
    return list(spec.get("clusterIPs") or ()) == ["None"]


def check_addresses(spec: Document, errors: Errors) -> None:
    """Append the faults of clusterIP, clusterIPs, ipFamilies and ipFamilyPolicy."""
    if spec.get("type") == "ExternalName":
        return
    address, addresses = spec.get("clusterIP") or "", list(spec.get("clusterIPs") or ())
    families, policy = spec.get("ipFamilies") or (), spec.get("ipFamilyPolicy")
    if address and not addresses:
        errors.append(required(_IPS))
    elif address and addresses[0] != address:
        errors.append(invalid(_IPS, addresses, "first value must match `clusterIP`"))
    elif addresses and not address:
        errors.append(invalid(_IPS, addresses, "must be empty when `clusterIP` is not specified"))
    for index, family in enumerate(families):
        if family not in FAMILIES:
            errors.append(not_supported(f"spec.ipFamilies[{index}]", family, FAMILIES))
        if family in families[:index]:
            errors.append(duplicate(f"spec.ipFamilies[{index}]", family))
    if policy is not None and policy not in FAMILY_POLICIES:
        errors.append(not_supported(_POLICY, policy, FAMILY_POLICIES))
    if not _check_each(addresses, errors):
        return
    if len(addresses) > 1 and len({is_ipv6(each) for each in addresses}) < 2:
        errors.append(invalid(_IPS, addresses, "may specify no more than one IP for each IP family"))
    if not is_headless(spec):
        for index, (each, family) in enumerate(zip(addresses, families, strict=False)):
            if family in FAMILIES and (family == "IPv6") != is_ipv6(each):
                detail = f"expected an {family} value as indicated by `ipFamilies[{index}]`"
                errors.append(invalid(f"{_IPS}[{index}]", each, detail))


def _check_each(addresses: list[str], errors: Errors) -> bool:
    """Append the faults of single addresses; say whether they can be compared with one another."""
    sound = True
    for index, each in enumerate(addresses):
        if index == 0 and each == "None":
            if len(addresses) > 1:
                sound = False
                errors.append(invalid(_IPS, addresses, "'None' must be the first and only value"))
            continue
        faults = ip_address(each)
        sound = sound and not faults
        each_invalid(f"{_IPS}[{index}]", each, faults, errors)
    if len(addresses) > 2:
        errors.append(invalid(_IPS, addresses, "may only hold up to 2 values"))
    return sound


def address_faults(spec: Document, options: RuleOptions) -> Errors:
    """Return the faults that keep addresses from being allocated at all."""
    errors = _repeated_node_ports(spec)
    if spec.get("type") == "ExternalName":
        return errors
    check_addresses(spec, errors)
    if errors or (is_headless(spec) and not spec.get("selector")):
        return errors
    families, policy = list(spec.get("ipFamilies") or ()), spec.get("ipFamilyPolicy")
    if policy == "SingleStack":
        detail = "must be 'RequireDualStack' or 'PreferDualStack' when multiple {} are specified"
        if len(spec.get("clusterIPs") or ()) == 2:
            errors.append(invalid(_POLICY, policy, detail.format("cluster IPs")))
        elif len(families) == 2:
            errors.append(invalid(_POLICY, policy, detail.format("IP families")))
    if not errors:
        for index, family in enumerate(families):
            if family not in options.ip_families:
                errors.append(invalid(f"spec.ipFamilies[{index}]", family, "not configured on this cluster"))
    if not errors and policy == "RequireDualStack" and len(families) < 2:
        errors.append(invalid(_POLICY, policy, "this cluster is not configured for dual-stack services"))
    return errors


def _repeated_node_ports(spec: Document) -> Errors:
    """Return a fault per node port that the Service itself has taken before: one cannot be allocated twice."""
    errors: Errors = []
    seen: set[tuple[str, int]] = set()
    for index, port in enumerate(spec.get("ports") or ()):
        number, key = port.get("nodePort"), (port.get("protocol") or "", port.get("nodePort") or 0)
        if number and key in seen and spec.get("type") in ("NodePort", "LoadBalancer"):
            errors.append(invalid(f"spec.ports[{index}].nodePort", number, "provided port is already allocated"))
        seen.add(key)
    return errors
