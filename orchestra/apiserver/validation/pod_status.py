"""What a Pod's status may hold, and which of its changes cannot be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from orchestra.apiserver.validation.fields import (
    Errors,
    check_immutable,
    duplicate,
    each_invalid,
    forbidden,
    invalid,
)
from orchestra.apiserver.validation.formats import dns_subdomain, id_number, qualified_name
from orchestra.apiserver.validation.go_shapes import go_value
from orchestra.apiserver.validation.metadata import check_metadata_update
from orchestra.apiserver.validation.network import ip_address, is_ipv6
from orchestra.apiserver.validation.pod_annotations import check_annotation_changes, check_special_annotations

Document = Mapping[str, Any]
_SYSTEM_CONDITIONS = frozenset({"PodScheduled", "Ready", "Initialized"})
_STATUSES = (
    ("containerStatuses", "containers"),
    ("initContainerStatuses", "initContainers"),
    ("ephemeralContainerStatuses", "ephemeralContainers"),
)


def validate_pod_status(new: Document, old: Document) -> Errors:
    """Return the faults of an update of a Pod's status."""
    errors: Errors = []
    meta, before = new.get("metadata") or {}, old.get("metadata") or {}
    spec, kept = new.get("spec") or {}, old.get("spec") or {}
    status, was = new.get("status") or {}, old.get("status") or {}
    check_metadata_update(new, old, errors, kube_finalizers=True)
    check_annotation_changes(meta, before, "metadata.annotations", errors)
    check_special_annotations(meta.get("annotations"), spec, "metadata.annotations", errors)
    for index, condition in enumerate(status.get("conditions") or ()):
        kind = condition.get("type") or ""
        if kind not in _SYSTEM_CONDITIONS:
            each_invalid(f"metadata.conditions[{index}].Type", kind, qualified_name(kind), errors)
    if spec.get("nodeName") != kept.get("nodeName"):
        errors.append(forbidden("status.nodeName", "may not be changed directly"))
    nominated = status.get("nominatedNodeName")
    if nominated and nominated != was.get("nominatedNodeName"):
        each_invalid("status.nominatedNodeName", nominated, dns_subdomain(nominated), errors)
    check_immutable("status.qosClass", status.get("qosClass") or "", was.get("qosClass") or "", errors)
    _check_transitions(status, was, kept, errors)
    _check_claim_statuses(status.get("resourceClaimStatuses") or (), spec, errors)
    _check_addresses(status.get("podIPs") or (), "status.podIPs", errors)
    hosts = status.get("hostIPs") or ()
    if hosts and hosts[0].get("ip") != status.get("hostIP"):
        errors.append(invalid("status.hostIPs[0].ip", hosts[0].get("ip") or "", "must be equal to `hostIP`"))
    _check_addresses(hosts, "status.hostIPs", errors)
    for field, _ in _STATUSES:
        _check_users(status.get(field) or (), f"status.{field}", spec, errors)
    return errors


def _check_transitions(status: Document, was: Document, spec: Document, errors: Errors) -> None:
    """A container that is not restarted stays terminated."""
    for field, kind in _STATUSES:
        policy = "Never" if field == "ephemeralContainerStatuses" else spec.get("restartPolicy")
        if policy == "Always" or not was.get(field):
            continue
        containers = {container.get("name"): container for container in spec.get(kind) or ()}
        for index, before in enumerate(was[field]):
            ended = (before.get("state") or {}).get("terminated")
            if ended is None:
                continue
            if _restarts(containers.get(before.get("name")) or {}, policy, ended.get("exitCode") or 0):
                continue
            for now in status.get(field) or ():
                if now.get("name") == before.get("name") and (now.get("state") or {}).get("terminated") is None:
                    detail = "may not be transitioned to non-terminated state"
                    errors.append(forbidden(f"status.{field}[{index}].state", detail))


def _restarts(container: Document, policy: str | None, exit_code: int) -> bool:
    """Say whether a container is started again after this exit: by a rule, by its own policy, or by the Pod's."""
    for rule in container.get("restartPolicyRules") or ():
        codes = rule.get("exitCodes") or {}
        if (exit_code in (codes.get("values") or ())) is (codes.get("operator") == "In"):
            return True
    policy = container.get("restartPolicy") or policy
    return policy == "Always" or (policy == "OnFailure" and exit_code != 0)


def _check_claim_statuses(statuses: Sequence[Document], spec: Document, errors: Errors) -> None:
    declared = {claim.get("name") for claim in spec.get("resourceClaims") or ()}
    seen: set[str] = set()
    for index, claim in enumerate(statuses):
        at, name = f"status.resourceClaimStatuses[{index}].name", claim.get("name") or ""
        if name not in declared:
            detail = "must match the name of an entry in `spec.resourceClaims`"
            errors.append(invalid(at, name, detail))
        if name in seen:
            errors.append(duplicate(at, name))
        seen.add(name)


def _check_addresses(addresses: Sequence[Document], path: str, errors: Errors) -> None:
    """Append the faults of a list of addresses: at most one of each family."""
    values = [each.get("ip") or "" for each in addresses]
    for index, value in enumerate(values):
        each_invalid(f"{path}[{index}]", value, ip_address(value), errors)
    if len(values) < 2:
        return
    shown = [go_value("PodIP", each) for each in addresses]
    if len(values) > 2 or is_ipv6(values[0]) == is_ipv6(values[1]):
        errors.append(invalid(path, shown, "may specify no more than one IP for each IP family"))
    for index, value in enumerate(values):
        if value in values[:index]:
            errors.append(duplicate(f"{path}[{index}]", shown[index]))


def _check_users(statuses: Sequence[Document], path: str, spec: Document, errors: Errors) -> None:
    system = (spec.get("os") or {}).get("name") or "linux"
    for index, status in enumerate(statuses):
        user = (status.get("user") or {}).get("linux")
        if user is None:
            continue
        at = f"{path}[{index}].linux"
        if system == "windows":
            errors.append(forbidden(at, "cannot be set for a windows pod"))
            continue
        for field in ("uid", "gid"):
            each_invalid(f"{at}.{field}", user.get(field) or 0, id_number(user.get(field) or 0), errors)
        for position, group in enumerate(user.get("supplementalGroups") or ()):
            each_invalid(f"{at}.supplementalGroups[{position}]", group, id_number(group), errors)
