"""Rules of StatefulSets, DaemonSets, ReplicationControllers and ControllerRevisions.

Source: apps/v1 and core/v1, as kube-apiserver 1.36 answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from orchestra.api.selectors import NOTHING, Selector, label_selector
from orchestra.apiserver.validation.amounts import amount_of, check_int_or_percent, check_not_above_all, shown_selector
from orchestra.apiserver.validation.fields import (
    Errors,
    check_immutable,
    check_non_negative,
    each_invalid,
    forbidden,
    invalid,
    not_supported,
    required,
)
from orchestra.apiserver.validation.formats import dns_label, dns_subdomain
from orchestra.apiserver.validation.metadata import check_label_selector, check_metadata, check_metadata_update
from orchestra.apiserver.validation.options import DEFAULT_OPTIONS, RuleOptions
from orchestra.apiserver.validation.pod import check_restarting_template
from orchestra.errors import BadRequest

Document = Mapping[str, Any]
MISMATCH: Final = "`selector` does not match template `labels`"
_RETENTION: Final = ("Retain", "Delete")
_MUTABLE: Final = (
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
)
_FIXED: Final = (
    "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', "
    "'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"
)
_SET_COUNTS: Final = ("replicas", "readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas")
_DAEMON_COUNTS: Final = (
    "currentNumberScheduled",
    "numberMisscheduled",
    "desiredNumberScheduled",
    "numberReady",
    "observedGeneration",
    "updatedNumberScheduled",
    "numberAvailable",
    "numberUnavailable",
)
_CONTROLLER_COUNTS: Final = (
    "replicas",
    "fullyLabeledReplicas",
    "readyReplicas",
    "availableReplicas",
    "observedGeneration",
)


def validate_stateful_set(document: Document, options: RuleOptions = DEFAULT_OPTIONS) -> Errors:
    """Return the faults of a StatefulSet."""
    errors: Errors = []
    check_metadata(document, dns_subdomain, errors)
    _check_stateful_set(document.get("spec") or {}, errors, options)
    return errors


def validate_stateful_set_update(new: Document, old: Document, options: RuleOptions = DEFAULT_OPTIONS) -> Errors:
    """Return the faults of an update of a StatefulSet, most of whose spec is fixed."""
    errors: Errors = []
    check_metadata_update(new, old, errors, kube_finalizers=True)
    spec, before = new.get("spec") or {}, old.get("spec") or {}
    same_name = (spec.get("serviceName") or "") == (before.get("serviceName") or "")
    _check_stateful_set(spec, errors, options, check_service_name=not same_name)
    names = {*spec, *before} - set(_MUTABLE)
    if any(spec.get(name) != before.get(name) for name in names):
        errors.append(forbidden("spec", _FIXED))
    return errors


def _check_stateful_set(
    spec: Document, errors: Errors, options: RuleOptions, *, check_service_name: bool = True
) -> None:
    policy = spec.get("podManagementPolicy") or ""
    if not policy:
        errors.append(required("spec.podManagementPolicy"))
    elif policy not in ("OrderedReady", "Parallel"):
        errors.append(invalid("spec.podManagementPolicy", policy, "must be 'OrderedReady' or 'Parallel'"))
    _check_ordered_strategy(spec.get("updateStrategy") or {}, "spec.updateStrategy", errors)
    retention = spec.get("persistentVolumeClaimRetentionPolicy")
    if retention is not None:
        for name in ("whenDeleted", "whenScaled"):
            value = retention.get(name) or ""
            if value not in _RETENTION:
                path = f"spec.persistentVolumeClaimRetentionPolicy.{name}"
                errors.append(not_supported(path, value, _RETENTION))
    check_non_negative("spec.replicas", spec.get("replicas"), errors)
    check_non_negative("spec.minReadySeconds", spec.get("minReadySeconds"), errors)
    start = (spec.get("ordinals") or {}).get("start")
    check_non_negative("spec.ordinals.start", start, errors)
    service = spec.get("serviceName")
    if service and check_service_name:
        each_invalid("spec.serviceName", service, dns_label(service), errors)
    selector = _checked_selector(spec.get("selector"), "statefulset", errors)
    if selector is not None:
        _check_labels(selector, spec, errors)
        check_restarting_template(_with_claims(spec), "spec.template", "StatefulSet", errors, options)


def _with_claims(spec: Document) -> Document:
    """Return the template with a volume for each claim, which its containers may mount."""
    template: Document = spec.get("template") or {}
    claims = [(claim.get("metadata") or {}).get("name") for claim in spec.get("volumeClaimTemplates") or ()]
    inner = template.get("spec") or {}
    taken = {volume.get("name") for volume in inner.get("volumes") or ()}
    extra = [{"name": name, "emptyDir": {}} for name in claims if name and name not in taken]
    if not extra:
        return template
    return {**template, "spec": {**inner, "volumes": [*(inner.get("volumes") or ()), *extra]}}


def _checked_selector(selector: Document | None, kind: str, errors: Errors) -> Selector | None:
    """Append the faults of a selector, which must select something; return it, None if it makes no sense."""
    if selector is None:
        errors.append(required("spec.selector"))
        return NOTHING
    check_label_selector(selector, "spec.selector", errors)
    if not selector.get("matchLabels") and not selector.get("matchExpressions"):
        errors.append(invalid("spec.selector", {}, f"empty selector is invalid for {kind}"))
    try:
        return label_selector(selector)
    except BadRequest:
        errors.append(invalid("spec.selector", shown_selector(selector), ""))
        return None


def _check_labels(selector: Selector, spec: Document, errors: Errors) -> None:
    labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels") or {}
    if not selector.empty and not selector.matches(labels):
        errors.append(invalid("spec.template.metadata.labels", dict(sorted(labels.items())) or None, MISMATCH))


def _check_ordered_strategy(strategy: Document, path: str, errors: Errors) -> None:
    kind, rolling = strategy.get("type") or "", strategy.get("rollingUpdate")
    if not kind:
        errors.append(required(path))
    elif kind == "OnDelete":
        if rolling is not None:
            detail = "only allowed for updateStrategy 'RollingUpdate'"
            errors.append(invalid(f"{path}.rollingUpdate", _shown_ordered(rolling), detail))
    elif kind == "RollingUpdate":
        if rolling is not None:
            check_non_negative(f"{path}.rollingUpdate.partition", rolling.get("partition"), errors)
    else:
        shown = {"Type": kind, "RollingUpdate": _shown_ordered(rolling)}
        errors.append(invalid(path, shown, "must be 'RollingUpdate' or 'OnDelete'"))


def _shown_ordered(rolling: Document | None) -> dict[str, Any] | None:
    """Return the strategy as Go's type writes it."""
    if rolling is None:
        return None
    return {"Partition": rolling.get("partition") or 0, "MaxUnavailable": rolling.get("maxUnavailable")}


def validate_stateful_set_status(new: Document, old: Document) -> Errors:
    """Return the faults of an update of a StatefulSet's status."""
    errors: Errors = []
    status = new.get("status") or {}
    for name in (*_SET_COUNTS, "observedGeneration", "collisionCount"):
        check_non_negative(f"status.{name}", status.get(name), errors)
    replicas, ready = status.get("replicas") or 0, status.get("readyReplicas") or 0
    for name in _SET_COUNTS[1:]:
        if (status.get(name) or 0) > replicas:
            errors.append(invalid(f"status.{name}", status.get(name) or 0, "cannot be greater than status.replicas"))
    if (status.get("availableReplicas") or 0) > ready:
        detail = "cannot be greater than status.readyReplicas"
        errors.append(invalid("status.availableReplicas", status["availableReplicas"], detail))
    check_metadata_update(new, old, errors, kube_finalizers=True)
    _check_collisions(new, old, errors)
    return errors


def _check_collisions(new: Document, old: Document, errors: Errors) -> None:
    count, before = (document.get("status", {}).get("collisionCount") for document in (new, old))
    if before is not None and (count is None or count < before):
        errors.append(invalid("status.collisionCount", count or 0, "cannot be decremented"))


def validate_daemon_set(document: Document, options: RuleOptions = DEFAULT_OPTIONS) -> Errors:
    """Return the faults of a DaemonSet."""
    errors: Errors = []
    check_metadata(document, dns_subdomain, errors)
    _check_daemon_set(document.get("spec") or {}, errors, options)
    return errors


def validate_daemon_set_update(new: Document, old: Document, options: RuleOptions = DEFAULT_OPTIONS) -> Errors:
    """Return the faults of an update of a DaemonSet, whose selector is fixed."""
    errors = validate_daemon_set(new, options)
    check_metadata_update(new, old, errors, kube_finalizers=True)
    spec, before = new.get("spec") or {}, old.get("spec") or {}
    _check_daemon_set(spec, errors, options)
    now, was = shown_selector(spec.get("selector")), shown_selector(before.get("selector"))
    check_immutable("spec.selector", now, was, errors)
    return errors


def _check_daemon_set(spec: Document, errors: Errors, options: RuleOptions) -> None:
    given = spec.get("selector")
    check_label_selector(given, "spec.selector", errors)
    try:
        selector = NOTHING if given is None else label_selector(given)
    except BadRequest:
        selector = None
    labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels") or {}
    if selector is not None and not selector.matches(labels):
        errors.append(invalid("spec.template.metadata.labels", dict(sorted(labels.items())) or None, MISMATCH))
    if given is not None and not given.get("matchLabels") and not given.get("matchExpressions"):
        errors.append(invalid("spec.selector", {}, "empty selector is invalid for daemonset"))
    check_restarting_template(spec.get("template") or {}, "spec.template", "DaemonSet", errors, options)
    check_non_negative("spec.minReadySeconds", spec.get("minReadySeconds"), errors)
    _check_daemon_strategy(spec.get("updateStrategy") or {}, "spec.updateStrategy", errors)
    check_non_negative("spec.revisionHistoryLimit", spec.get("revisionHistoryLimit"), errors)


def _check_daemon_strategy(strategy: Document, path: str, errors: Errors) -> None:
    kind, rolling = strategy.get("type") or "", strategy.get("rollingUpdate")
    if kind == "OnDelete":
        return
    if kind != "RollingUpdate":
        shown = {"Type": kind, "RollingUpdate": rolling}
        errors.append(not_supported(path, shown, ("RollingUpdate", "OnDelete")))
    elif rolling is None:
        errors.append(required(f"{path}.rollingUpdate"))
    else:
        _check_daemon_rollout(rolling, f"{path}.rollingUpdate", errors)


def _check_daemon_rollout(rolling: Document, path: str, errors: Errors) -> None:
    names = ("maxUnavailable", "maxSurge")
    for name in names:
        check_int_or_percent(rolling.get(name), f"{path}.{name}", errors)
    for name in names:
        check_not_above_all(rolling.get(name), f"{path}.{name}", errors)
    unavailable, surge = (amount_of(rolling.get(name)) != 0 for name in names)
    if unavailable and surge:
        detail = "may not be set when maxUnavailable is non-zero"
        errors.append(invalid(f"{path}.maxSurge", rolling.get("maxSurge"), detail))
    elif not unavailable and not surge:
        errors.append(required(f"{path}.maxUnavailable", "cannot be 0 when maxSurge is 0"))


def validate_daemon_set_status(new: Document, old: Document) -> Errors:
    """Return the faults of an update of a DaemonSet's status."""
    errors: Errors = []
    check_metadata_update(new, old, errors, kube_finalizers=True)
    status = new.get("status") or {}
    for name in _DAEMON_COUNTS:
        check_non_negative(f"status.{name}", status.get(name), errors)
    _check_collisions(new, old, errors)
    return errors


def validate_replication_controller(document: Document, options: RuleOptions = DEFAULT_OPTIONS) -> Errors:
    """Return the faults of a ReplicationController."""
    errors: Errors = []
    check_metadata(document, dns_subdomain, errors)
    _check_replication_controller(document.get("spec") or {}, errors, options)
    return errors


def validate_replication_controller_update(
    new: Document, old: Document, options: RuleOptions = DEFAULT_OPTIONS
) -> Errors:
    """Return the faults of an update of a ReplicationController; those of the spec are told twice."""
    errors = validate_replication_controller(new, options)
    check_metadata_update(new, old, errors, kube_finalizers=True)
    _check_replication_controller(new.get("spec") or {}, errors, options)
    return errors


def _check_replication_controller(spec: Document, errors: Errors, options: RuleOptions) -> None:
    check_non_negative("spec.minReadySeconds", spec.get("minReadySeconds"), errors)
    selector, template = spec.get("selector") or {}, spec.get("template")
    if not selector:
        errors.append(required("spec.selector"))
    check_non_negative("spec.replicas", spec.get("replicas"), errors)
    if template is None:
        errors.append(required("spec.template"))
        return
    labels = (template.get("metadata") or {}).get("labels") or {}
    if selector and not selector.items() <= labels.items():
        errors.append(invalid("spec.template.metadata.labels", dict(sorted(labels.items())) or None, MISMATCH))
    check_restarting_template(template, "spec.template", "ReplicationController", errors, options)


def validate_replication_controller_status(new: Document, old: Document) -> Errors:
    """Return the faults of an update of a ReplicationController's status."""
    errors: Errors = []
    check_metadata_update(new, old, errors, kube_finalizers=True)
    status = new.get("status") or {}
    for name in _CONTROLLER_COUNTS:
        check_non_negative(f"status.{name}", status.get(name), errors)
    replicas = status.get("replicas") or 0
    for name in _CONTROLLER_COUNTS[1:4]:
        if (status.get(name) or 0) > replicas:
            errors.append(invalid(f"status.{name}", status[name], "cannot be greater than status.replicas"))
    available = status.get("availableReplicas") or 0
    if available > (status.get("readyReplicas") or 0):
        errors.append(invalid("status.availableReplicas", available, "cannot be greater than readyReplicas"))
    return errors


def validate_controller_revision(document: Document) -> Errors:
    """Return the faults of a ControllerRevision."""
    errors: Errors = []
    check_metadata(document, dns_subdomain, errors)
    if document.get("data") is None:
        errors.append(required("data", "data is mandatory"))
    check_non_negative("revision", document.get("revision"), errors)
    return errors


def validate_controller_revision_update(new: Document, old: Document) -> Errors:
    """Return the faults of an update of a ControllerRevision, whose data is fixed."""
    errors: Errors = []
    check_metadata_update(new, old, errors, kube_finalizers=True)
    errors += validate_controller_revision(new)
    check_immutable("data", new.get("data"), old.get("data"), errors)
    return errors
