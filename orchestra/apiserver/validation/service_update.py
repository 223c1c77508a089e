"""What an update of a Service may change: addresses are fixed unless its type changes; and rules of its status."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestra.apiserver.defaults.service import needs_health_check
from orchestra.apiserver.validation.fields import Errors, each_invalid, forbidden, invalid, not_supported, required
from orchestra.apiserver.validation.formats import dns_subdomain
from orchestra.apiserver.validation.metadata import check_metadata_update
from orchestra.apiserver.validation.network import ip_address, parse_ip
from orchestra.apiserver.validation.options import DEFAULT_OPTIONS, RuleOptions
from orchestra.apiserver.validation.service import check_load_balancer_class, check_service
from orchestra.apiserver.validation.service_addresses import address_faults, is_headless

Document = Mapping[str, Any]
_FIXED = "may not change once set"
_RELEASE = "must be set to 'SingleStack' when releasing the secondary {}"


def _list(spec: Document, name: str) -> list[str]:
    return list(spec.get(name) or ())


def _check_addresses(spec: Document, old: Document, errors: Errors) -> None:
    if is_headless(spec) and is_headless(old):
        return
    now, was = _list(spec, "clusterIPs"), _list(old, "clusterIPs")
    if len(now) == len(was):
        for index, address in enumerate(was):
            if address != now[index]:
                errors.append(invalid(f"spec.clusterIPs[{index}]", now, _FIXED))
        return
    if len(was) > len(now) and not now:
        errors.append(invalid("spec.clusterIPs[0]", now or None, "primary clusterIP can not be unset"))
    if was and now and now[0] != was[0]:
        errors.append(invalid("spec.clusterIPs[0]", now, _FIXED))
    if len(was) > len(now) == 1 and spec.get("ipFamilyPolicy") != "SingleStack":
        detail = _RELEASE.format("clusterIP")
        errors.append(invalid("spec.ipFamilyPolicy", spec.get("ipFamilyPolicy"), detail))


def _check_families(spec: Document, old: Document, errors: Errors) -> None:
    if is_headless(spec) or is_headless(old):
        return
    now, was = _list(spec, "ipFamilies"), _list(old, "ipFamilies")
    if len(now) == len(was):
        errors += (
            invalid("spec.ipFamilies[0]", now, _FIXED) for new, before in zip(now, was, strict=True) if new != before
        )
        return
    addresses = _list(spec, "clusterIPs")
    if len(was) > len(now) and not addresses:
        errors.append(invalid("spec.ipFamilies[0]", now or None, "primary ipFamily can not be unset"))
    if was and now and now[0] != was[0]:
        errors.append(invalid("spec.ipFamilies[0]", addresses or None, _FIXED))
    if len(was) > len(now) == 1 and spec.get("ipFamilyPolicy") != "SingleStack":
        detail = _RELEASE.format("ipFamily")
        errors.append(invalid("spec.ipFamilyPolicy", spec.get("ipFamilyPolicy"), detail))


def validate_service_update(new: Document, old: Document, options: RuleOptions = DEFAULT_OPTIONS) -> Errors:
    """Return the faults of an update of a Service."""
    spec, before = new.get("spec") or {}, old.get("spec") or {}
    errors = address_faults(spec, options) if _changes_addresses(spec, before) else []
    if errors:
        return errors
    check_metadata_update(new, old, errors, kube_finalizers=True)
    if "ExternalName" not in (spec.get("type"), before.get("type")):
        _check_addresses(spec, before, errors)
        _check_families(spec, before, errors)
    both = spec.get("type") == before.get("type") == "LoadBalancer"
    if both and spec.get("loadBalancerClass") != before.get("loadBalancerClass"):
        errors.append(invalid("spec.loadBalancerClass", spec.get("loadBalancerClass"), _FIXED))
    check_load_balancer_class(spec, errors)
    port, kept = spec.get("healthCheckNodePort") or 0, before.get("healthCheckNodePort") or 0
    if needs_health_check(spec) and needs_health_check(before) and port != kept:
        errors.append(forbidden("spec.healthCheckNodePort", "field is immutable"))
    check_service(new, errors)
    return errors


def _changes_addresses(spec: Document, old: Document) -> bool:
    names = ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "type", "ports")
    return any(spec.get(name) != old.get(name) for name in names)


def validate_service_status(new: Document, old: Document) -> Errors:
    """Return the faults of an update of a Service's status."""
    errors: Errors = []
    check_metadata_update(new, old, errors, kube_finalizers=True)
    ingress = ((new.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
    path = "status.loadBalancer.ingress"
    if ingress and (new.get("spec") or {}).get("type") != "LoadBalancer":
        errors.append(forbidden(path, "may only be used when `spec.type` is 'LoadBalancer'"))
        return errors
    for index, point in enumerate(ingress):
        _check_ingress(point, f"{path}[{index}]", errors)
    return errors


def _check_ingress(point: Document, path: str, errors: Errors) -> None:
    address, name, mode = point.get("ip"), point.get("hostname"), point.get("ipMode")
    if address:
        each_invalid(f"{path}.ip", address, ip_address(address), errors)
    if mode is None:
        if address:
            errors.append(required(f"{path}.ipMode", "must be specified when `ip` is set"))
    elif not address:
        errors.append(forbidden(f"{path}.ipMode", "may not be specified when `ip` is not set"))
    elif mode not in ("Proxy", "VIP"):
        errors.append(not_supported(f"{path}.ipMode", mode, ("Proxy", "VIP")))
    if name:
        each_invalid(f"{path}.hostname", name, dns_subdomain(name), errors)
        if parse_ip(name):
            errors.append(invalid(f"{path}.hostname", name, "must be a DNS name, not an IP address"))
