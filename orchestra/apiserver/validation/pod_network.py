"""Rules of a Pod's names and addresses: DNS settings, host aliases, ports on the host's network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from orchestra.apiserver.validation.context import PodContext
from orchestra.apiserver.validation.fields import Errors, each_invalid, invalid, required
from orchestra.apiserver.validation.formats import dns_subdomain, dns_subdomain_underscore
from orchestra.apiserver.validation.network import ip_address

Document = Mapping[str, Any]
MAX_NAMESERVERS = 3
MAX_SEARCH_PATHS = 32
MAX_SEARCH_CHARACTERS = 2048


def check_dns(spec: Document, path: str, errors: Errors) -> None:
    """Append the faults of `dnsConfig`; the policy None needs one."""
    config = spec.get("dnsConfig")
    if spec.get("dnsPolicy") == "None":
        if config is None:
            errors.append(required(path, "must provide `dnsConfig` when `dnsPolicy` is None"))
            return
        if not config.get("nameservers"):
            detail = "must provide at least one DNS nameserver when `dnsPolicy` is None"
            errors.append(required(f"{path}.nameservers", detail))
            return
    if not config:
        return
    servers, searches = list(config.get("nameservers") or ()), list(config.get("searches") or ())
    if len(servers) > MAX_NAMESERVERS:
        detail = f"must not have more than {MAX_NAMESERVERS} nameservers"
        errors.append(invalid(f"{path}.nameservers", servers, detail))
    for index, server in enumerate(servers):
        each_invalid(f"{path}.nameservers[{index}]", server, ip_address(server), errors)
    if len(searches) > MAX_SEARCH_PATHS:
        detail = f"must not have more than {MAX_SEARCH_PATHS} search paths"
        errors.append(invalid(f"{path}.searches", searches, detail))
    if len(" ".join(searches)) > MAX_SEARCH_CHARACTERS:
        detail = f"must not have more than {MAX_SEARCH_CHARACTERS} characters (including spaces) in the search list"
        errors.append(invalid(f"{path}.searches", searches, detail))
    for index, search in enumerate(searches):
        if search != ".":
            name = search.removesuffix(".")
            each_invalid(f"{path}.searches[{index}]", name, dns_subdomain_underscore(name), errors)
    for index, option in enumerate(config.get("options") or ()):
        if not option.get("name"):
            errors.append(required(f"{path}.options[{index}]", "must not be empty"))


def check_host_aliases(aliases: Sequence[Document], path: str, errors: Errors) -> None:
    """Append the faults of lines for /etc/hosts."""
    for index, alias in enumerate(aliases):
        address = alias.get("ip") or ""
        each_invalid(f"{path}[{index}].ip", address, ip_address(address), errors)
        for position, name in enumerate(alias.get("hostnames") or ()):
            each_invalid(f"{path}[{index}].hostnames[{position}]", name, dns_subdomain(name), errors)


def check_host_network(spec: Document, path: str, context: PodContext, errors: Errors) -> None:
    """Append a fault per port whose number on the host differs; a template may leave that number open."""
    for index, container in enumerate(spec.get("containers") or ()):
        for position, port in enumerate(container.get("ports") or ()):
            host, own = port.get("hostPort") or 0, port.get("containerPort") or 0
            if host != own and (context.is_pod or host):
                at = f"{path}.containers[{index}].ports[{position}].hostPort"
                errors.append(invalid(at, host, "must match `containerPort` when `hostNetwork` is true"))
