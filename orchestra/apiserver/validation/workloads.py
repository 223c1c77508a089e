"""Rules of ReplicaSets and Deployments. Source: apps/v1, as kube-apiserver 1.36 answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestra.api.selectors import NOTHING, Selector, label_selector
from orchestra.apiserver.validation.amounts import amount_of, check_int_or_percent, check_not_above_all, shown_selector
from orchestra.apiserver.validation.fields import (
    Errors,
    check_immutable,
    check_non_negative,
    forbidden,
    invalid,
    not_supported,
    required,
)
from orchestra.apiserver.validation.formats import dns_subdomain
from orchestra.apiserver.validation.metadata import (
    check_label_selector,
    check_metadata,
    check_metadata_update,
)
from orchestra.apiserver.validation.options import DEFAULT_OPTIONS, RuleOptions
from orchestra.apiserver.validation.pod import check_restarting_template
from orchestra.errors import BadRequest

Document = Mapping[str, Any]
_COUNTS = ("replicas", "fullyLabeledReplicas", "readyReplicas", "availableReplicas", "observedGeneration")
_DEPLOYMENT_COUNTS = (
    "observedGeneration",
    "replicas",
    "updatedReplicas",
    "readyReplicas",
    "availableReplicas",
    "unavailableReplicas",
    "collisionCount",
)


def check_selector(selector: Document | None, path: str, errors: Errors) -> Selector | None:
    """Append the faults of a workload's selector, which selects something; return it, or None if it makes no sense."""
    if selector is None:
        errors.append(required(path))
        return NOTHING
    check_label_selector(selector, path, errors)
    if not selector.get("matchLabels") and not selector.get("matchExpressions"):
        detail = "empty selector is invalid for deployment"
        errors.append(invalid(path, {}, detail))
    try:
        return label_selector(selector)
    except BadRequest:
        errors.append(invalid(path, shown_selector(selector), "invalid label selector"))
        return None


def _check_template(spec: Document, selector: Selector | None, path: str, errors: Errors, options: RuleOptions) -> None:
    if selector is None:
        return
    template = spec.get("template") or {}
    labels = (template.get("metadata") or {}).get("labels") or {}
    if not selector.empty and not selector.matches(labels):
        shown = dict(sorted(labels.items())) or None
        detail = "`selector` does not match template `labels`"
        errors.append(invalid(f"{path}.metadata.labels", shown, detail))
    check_restarting_template(template, path, "ReplicaSet", errors, options)


def _check_immutable_selector(new: Document, old: Document, errors: Errors) -> None:
    now, was = (
        shown_selector((new.get("spec") or {}).get("selector")),
        shown_selector((old.get("spec") or {}).get("selector")),
    )
    check_immutable("spec.selector", now, was, errors)


def _check_replica_set_spec(document: Document, errors: Errors, options: RuleOptions) -> None:
    spec = document.get("spec") or {}
    check_non_negative("spec.replicas", spec.get("replicas"), errors)
    check_non_negative("spec.minReadySeconds", spec.get("minReadySeconds"), errors)
    selector = check_selector(spec.get("selector"), "spec.selector", errors)
    _check_template(spec, selector, "spec.template", errors, options)


def validate_replica_set(document: Document, options: RuleOptions = DEFAULT_OPTIONS) -> Errors:
    """Return the faults of a ReplicaSet."""
    errors: Errors = []
    check_metadata(document, dns_subdomain, errors)
    _check_replica_set_spec(document, errors, options)
    return errors


def validate_replica_set_update(new: Document, old: Document, options: RuleOptions = DEFAULT_OPTIONS) -> Errors:
    """Return the faults of an update of a ReplicaSet; those of the spec are told twice, as Kubernetes does."""
    errors = validate_replica_set(new, options)
    check_metadata_update(new, old, errors, kube_finalizers=True)
    _check_replica_set_spec(new, errors, options)
    _check_immutable_selector(new, old, errors)
    return errors


def _check_counts(status: Document, names: tuple[str, ...], errors: Errors) -> None:
    for name in names:
        check_non_negative(f"status.{name}", status.get(name), errors)


def _check_at_most(status: Document, names: tuple[str, ...], errors: Errors) -> None:
    replicas, ready = status.get("replicas") or 0, status.get("readyReplicas") or 0
    for name in names:
        if (status.get(name) or 0) > replicas:
            errors.append(invalid(f"status.{name}", status[name], "cannot be greater than status.replicas"))
    available = status.get("availableReplicas") or 0
    if available > ready:
        detail = "cannot be greater than readyReplicas"
        errors.append(invalid("status.availableReplicas", available, detail))


def validate_replica_set_status(new: Document, old: Document) -> Errors:
    """Return the faults of an update of a ReplicaSet's status."""
    errors: Errors = []
    check_metadata_update(new, old, errors, kube_finalizers=True)
    status = new.get("status") or {}
    _check_counts(status, _COUNTS, errors)
    _check_at_most(status, ("fullyLabeledReplicas", "readyReplicas", "availableReplicas"), errors)
    return errors


def _check_rolling_update(rolling: Document, path: str, errors: Errors) -> None:
    unavailable, surge = rolling.get("maxUnavailable"), rolling.get("maxSurge")
    check_int_or_percent(unavailable, f"{path}.maxUnavailable", errors)
    check_int_or_percent(surge, f"{path}.maxSurge", errors)
    if amount_of(unavailable) == 0 and amount_of(surge) == 0:
        detail = "may not be 0 when `maxSurge` is 0"
        errors.append(invalid(f"{path}.maxUnavailable", unavailable or 0, detail))
    check_not_above_all(unavailable, f"{path}.maxUnavailable", errors)


def _check_strategy(strategy: Document, path: str, errors: Errors) -> None:
    kind, rolling = strategy.get("type") or "", strategy.get("rollingUpdate")
    if kind == "Recreate":
        if rolling is not None:
            detail = "may not be specified when strategy `type` is 'Recreate'"
            errors.append(forbidden(f"{path}.rollingUpdate", detail))
    elif kind == "RollingUpdate":
        if rolling is None:
            detail = "this should be defaulted and never be nil"
            errors.append(required(f"{path}.rollingUpdate", detail))
        else:
            _check_rolling_update(rolling, f"{path}.rollingUpdate", errors)
    else:
        errors.append(not_supported(f"{path}.type", kind, ("Recreate", "RollingUpdate")))


def _check_deployment_spec(document: Document, errors: Errors, options: RuleOptions) -> None:
    spec = document.get("spec") or {}
    check_non_negative("spec.replicas", spec.get("replicas"), errors)
    selector = check_selector(spec.get("selector"), "spec.selector", errors)
    _check_template(spec, selector, "spec.template", errors, options)
    _check_strategy(spec.get("strategy") or {}, "spec.strategy", errors)
    check_non_negative("spec.minReadySeconds", spec.get("minReadySeconds"), errors)
    check_non_negative("spec.revisionHistoryLimit", spec.get("revisionHistoryLimit"), errors)
    deadline = spec.get("progressDeadlineSeconds")
    if deadline is not None:
        check_non_negative("spec.progressDeadlineSeconds", deadline, errors)
        if deadline <= (spec.get("minReadySeconds") or 0):
            detail = "must be greater than minReadySeconds"
            errors.append(invalid("spec.progressDeadlineSeconds", deadline, detail))


def validate_deployment(document: Document, options: RuleOptions = DEFAULT_OPTIONS) -> Errors:
    """Return the faults of a Deployment."""
    errors: Errors = []
    check_metadata(document, dns_subdomain, errors)
    _check_deployment_spec(document, errors, options)
    return errors


def validate_deployment_update(new: Document, old: Document, options: RuleOptions = DEFAULT_OPTIONS) -> Errors:
    """Return the faults of an update of a Deployment, whose selector is fixed."""
    errors: Errors = []
    check_metadata_update(new, old, errors, kube_finalizers=True)
    _check_deployment_spec(new, errors, options)
    _check_immutable_selector(new, old, errors)
    return errors


def validate_deployment_status(new: Document, old: Document) -> Errors:
    """Return the faults of an update of a Deployment's status."""
    errors: Errors = []
    check_metadata_update(new, old, errors, kube_finalizers=True)
    status, was = new.get("status") or {}, old.get("status") or {}
    _check_counts(status, _DEPLOYMENT_COUNTS, errors)
    _check_at_most(status, ("updatedReplicas", "readyReplicas", "availableReplicas"), errors)
    count, before = status.get("collisionCount"), was.get("collisionCount")
    if before is not None and (count is None or count < before):
        errors.append(invalid("status.collisionCount", count or 0, "cannot be decremented"))
    return errors
