"""Rules of Windows options. No Windows node exists here; manifests that name them are checked like any other."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from orchestra.apiserver.validation.fields import Errors, each_invalid, forbidden, invalid
from orchestra.apiserver.validation.formats import dns_subdomain

Document = Mapping[str, Any]
MAX_CREDENTIAL_BYTES = 64 * 1024
MAX_DOMAIN_LENGTH = 256
MAX_USER_LENGTH = 104
_DNS = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
_is_domain = re.compile(rf'[^\\/:*?"<>|.][^\\/:*?"<>|]{{0,14}}|{_DNS}(?:\.{_DNS})*').fullmatch
_has_control = re.compile(r"[\x00-\x1f\x7f]").search
_has_forbidden = re.compile(r'["/\\:;|=,+*?<>@\[\]]').search


def check_windows_options(options: Document | None, path: str, errors: Errors) -> None:
    """Append the faults of `windowsOptions`."""
    if not options:
        return
    name, spec, user = (options.get(key) for key in ("gmsaCredentialSpecName", "gmsaCredentialSpec", "runAsUserName"))
    if name is not None:
        each_invalid(f"{path}.gmsaCredentialSpecName", name, dns_subdomain(name), errors)
    if spec == "":
        detail = "gmsaCredentialSpec cannot be an empty string"
        errors.append(invalid(f"{path}.gmsaCredentialSpec", spec, detail))
    elif spec is not None and len(spec.encode()) > MAX_CREDENTIAL_BYTES:
        detail = f"gmsaCredentialSpec size must be under {MAX_CREDENTIAL_BYTES // 1024} KiB"
        errors.append(invalid(f"{path}.gmsaCredentialSpec", spec, detail))
    if user is not None:
        each_invalid(f"{path}.runAsUserName", user, _user_name(user), errors)


def _user_name(value: str) -> list[str]:
    if not value:
        return ["runAsUserName cannot be an empty string"]
    if _has_control(value):
        return ["runAsUserName cannot contain control characters"]
    domain, slash, user = value.rpartition("\\")
    if "\\" in domain:
        return ["runAsUserName cannot contain more than one backslash"]
    faults = []
    if len(domain) >= MAX_DOMAIN_LENGTH:
        faults.append(f"runAsUserName's Domain length must be under {MAX_DOMAIN_LENGTH} characters")
    if slash and not _is_domain(domain):
        faults.append("runAsUserName's Domain doesn't match the NetBios nor the DNS format")
    if not user:
        faults.append("runAsUserName's User cannot be empty")
    elif len(user) > MAX_USER_LENGTH:
        faults.append(f"runAsUserName's User length must not be longer than {MAX_USER_LENGTH} characters")
    if user and not user.strip(". "):
        faults.append("runAsUserName's User cannot contain only periods or spaces")
    if _has_forbidden(user):
        faults.append("runAsUserName's User cannot contain the following characters: \"/\\:;|=,+*?<>@[]")
    return faults


def _host_process(context: Document | None) -> bool | None:
    value = ((context or {}).get("windowsOptions") or {}).get("hostProcess")
    return None if value is None else bool(value)


def check_host_process(spec: Document, path: str, errors: Errors, *, allow_privileged: bool) -> None:
    """Append the faults of host process containers: all of a Pod's containers are, or none, and on the host network."""
    of_pod = _host_process(spec.get("securityContext"))
    count = total = 0
    for kind in ("initContainers", "containers", "ephemeralContainers"):
        containers: Sequence[Document] = spec.get(kind) or ()
        for index, container in enumerate(containers):
            total += 1
            own = _host_process(container.get("securityContext"))
            if of_pod is not None and own is not None and own != of_pod:
                at = f"{path}.{kind}[{index}].securityContext.windowsOptions.hostProcess"
                shown = str(of_pod).lower()
                detail = f"pod hostProcess value must be identical if both are specified, was {shown}"
                errors.append(invalid(at, own, detail))
            count += bool(of_pod if own is None else own)
    if not count:
        return
    if count != total:
        detail = "If pod contains any hostProcess containers then all containers must be HostProcess containers"
        errors.append(invalid(path, "", detail))
    if not spec.get("hostNetwork"):
        detail = "hostNetwork must be true if pod contains any hostProcess containers"
        errors.append(invalid(f"{path}.hostNetwork", False, detail))
    if not allow_privileged:
        errors.append(forbidden(path, "hostProcess containers are disallowed by cluster policy"))
