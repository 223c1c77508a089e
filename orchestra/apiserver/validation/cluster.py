"""Rules of namespaces, nodes and bindings. Source: core/v1, as kube-apiserver 1.36 answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from orchestra.apiserver.validation.fields import (
    Errors,
    duplicate,
    each_invalid,
    forbidden,
    invalid,
    not_supported,
    required,
)
from orchestra.apiserver.validation.formats import dns_label, dns_subdomain, label_value, qualified_name
from orchestra.apiserver.validation.go_shapes import go_value
from orchestra.apiserver.validation.metadata import (
    check_finalizers,
    check_kube_finalizer,
    check_metadata,
    check_metadata_update,
)
from orchestra.apiserver.validation.network import cidr, is_ipv6
from orchestra.apiserver.validation.pod_scheduling import check_effect
from orchestra.apiserver.validation.resources import check_amount

Document = Mapping[str, Any]


def validate_namespace(document: Document) -> Errors:
    """Return the faults of a namespace."""
    errors: Errors = []
    check_metadata(document, dns_label, errors, namespaced=False)
    for name in (document.get("spec") or {}).get("finalizers") or ():
        check_finalizers((name,), "spec.finalizers", errors)
        check_kube_finalizer(name, "spec.finalizers", errors)
    return errors


def validate_namespace_update(new: Document, old: Document) -> Errors:
    """Return the faults of an update of a namespace."""
    errors: Errors = []
    check_metadata_update(new, old, errors, kube_finalizers=True)
    return errors


def validate_namespace_status(new: Document, old: Document) -> Errors:
    """Return the faults of an update of a namespace's status: its phase follows from its deletion."""
    errors = validate_namespace_update(new, old)
    phase = (new.get("status") or {}).get("phase") or ""
    deleting = bool((new.get("metadata") or {}).get("deletionTimestamp"))
    if deleting and phase != "Terminating":
        detail = "may only be 'Terminating' if `deletionTimestamp` is not empty"
        errors.append(invalid("status.Phase", phase, detail))
    elif not deleting and phase != "Active":
        errors.append(invalid("status.Phase", phase, "may only be 'Active' if `deletionTimestamp` is empty"))
    return errors


def _check_taints(taints: Sequence[Document] | None, errors: Errors) -> None:
    """Kubernetes names the taints as if they stood in the metadata."""
    seen: set[tuple[str, str]] = set()
    for index, taint in enumerate(taints or ()):
        at = f"metadata.taints[{index}]"
        key, value, effect = (taint.get(name) or "" for name in ("key", "value", "effect"))
        each_invalid(f"{at}.key", key, qualified_name(key), errors)
        faults = label_value(value)
        if faults:
            errors.append(invalid(f"{at}.value", value, ";".join(faults)))
        check_effect(effect, f"{at}.effect", errors)
        if (key, effect) in seen:
            detail = "taints must be unique by key and effect pair"
            errors.append(duplicate(at, go_value("Taint", taint), detail))
        seen.add((key, effect))


def _check_resources(document: Document, errors: Errors) -> None:
    status = document.get("status") or {}
    for kind in ("capacity", "allocatable"):
        amounts = status.get(kind) or {}
        for name in sorted(amounts):
            check_amount(name, amounts[name], f"status.{kind}.{name}", errors)


def validate_node(document: Document) -> Errors:
    """Return the faults of a node."""
    errors: Errors = []
    check_metadata(document, dns_subdomain, errors, namespaced=False)
    spec = document.get("spec") or {}
    _check_taints(spec.get("taints"), errors)
    _check_resources(document, errors)
    blocks = list(spec.get("podCIDRs") or ())
    for index, block in enumerate(blocks):
        each_invalid(f"spec.podCIDRs[{index}]", block, cidr(block), errors)
    if len(blocks) > 1:
        if len(blocks) > 2 or is_ipv6(blocks[0]) == is_ipv6(blocks[1]):
            detail = "may specify no more than one CIDR for each IP family"
            errors.append(invalid("spec.podCIDRs", blocks, detail))
        for index, block in enumerate(blocks):
            if block in blocks[:index]:
                errors.append(duplicate(f"spec.podCIDRs[{index}]", block))
    return errors


def validate_node_update(new: Document, old: Document) -> Errors:
    """Return the faults of an update of a node: its blocks of addresses and its provider's id are set once."""
    errors: Errors = []
    check_metadata_update(new, old, errors, kube_finalizers=True)
    _check_resources(new, errors)
    spec, before = new.get("spec") or {}, old.get("spec") or {}
    addresses = (new.get("status") or {}).get("addresses") or ()
    for index, address in enumerate(addresses):
        if address in addresses[:index]:
            errors.append(duplicate(f"status.addresses[{index}]", go_value("NodeAddress", address)))
    blocks, kept = list(spec.get("podCIDRs") or ()), list(before.get("podCIDRs") or ())
    if kept and blocks != kept:
        detail = 'node updates may not change podCIDR except from "" to valid'
        count = 1 if len(blocks) != len(kept) else sum(a != b for a, b in zip(blocks, kept, strict=True))
        errors += [forbidden("spec.podCIDRs", detail)] * count
    if before.get("providerID") and before["providerID"] != spec.get("providerID"):
        detail = 'node updates may not change providerID except from "" to valid'
        errors.append(forbidden("spec.providerID", detail))
    _check_taints(spec.get("taints"), errors)
    if spec.get("externalID") != before.get("externalID"):
        errors.append(forbidden("spec.externalID", "may not be updated"))
    return errors


def validate_binding(document: Document) -> Errors:
    """Return the faults of a Binding: it names a node."""
    errors: Errors = []
    target = document.get("target") or {}
    if target.get("kind") not in (None, "", "Node"):
        errors.append(not_supported("target.kind", target["kind"], ("Node", "<empty>")))
    if not target.get("name"):
        errors.append(required("target.name"))
    return errors
