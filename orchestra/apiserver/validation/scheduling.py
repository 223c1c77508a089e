"""Rules of PriorityClasses, PodGroups and PodDisruptionBudgets.

Source: scheduling/v1, scheduling/v1alpha2 and policy/v1 of Kubernetes 1.36.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from orchestra.api.scheduling import HIGHEST_USER_PRIORITY, SYSTEM_CLASS_PREFIX
from orchestra.apiserver.defaults.admission import SYSTEM_PRIORITIES
from orchestra.apiserver.validation.amounts import check_int_or_percent, check_not_above_all, shown_selector
from orchestra.apiserver.validation.fields import (
    Errors,
    check_immutable,
    check_non_negative,
    forbidden,
    invalid,
    not_supported,
    ordered,
    required,
)
from orchestra.apiserver.validation.formats import dns_label, dns_subdomain, path_segment
from orchestra.apiserver.validation.metadata import (
    check_condition_status,
    check_label_selector,
    check_metadata,
    check_metadata_update,
)

Document = Mapping[str, Any]
PREEMPTION_POLICIES: Final = ("Never", "PreemptLowerPriority")
EVICTION_POLICIES: Final = ("AlwaysAllow", "IfHealthyBudget")
_BUDGET_COUNTS: Final = ("disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods")
_BUDGET_SPEC: Final = ("minAvailable", "selector", "maxUnavailable", "unhealthyPodEvictionPolicy")


def validate_priority_class(document: Document) -> Errors:
    """Return the faults of a PriorityClass."""
    errors: Errors = []
    check_metadata(document, dns_subdomain, errors, namespaced=False)
    name, value = (document.get("metadata") or {}).get("name") or "", document.get("value") or 0
    if name.startswith(SYSTEM_CLASS_PREFIX):
        fault = _system_class_fault(name, value, bool(document.get("globalDefault")))
        if fault:
            detail = f"priority class names with '{SYSTEM_CLASS_PREFIX}' prefix are reserved for system use only. "
            errors.append(forbidden("metadata.name", f"{detail}error: {fault}"))
    elif value > HIGHEST_USER_PRIORITY:
        detail = f"maximum allowed value of a user defined priority is {HIGHEST_USER_PRIORITY}"
        errors.append(forbidden("value", detail))
    policy = document.get("preemptionPolicy")
    if policy == "":
        errors.append(required("preemptionPolicy"))
    elif policy is not None and policy not in PREEMPTION_POLICIES:
        errors.append(not_supported("preemptionPolicy", policy, PREEMPTION_POLICIES))
    return errors


def _system_class_fault(name: str, value: int, is_default: bool) -> str:
    known = SYSTEM_PRIORITIES.get(name)
    if known is None:
        return f"{name} is not a known system priority class"
    if known.value != value:
        return f"value of {name} PriorityClass must be {known.value}"
    return f"globalDefault of {name} PriorityClass must be false" if is_default else ""


def validate_priority_class_update(new: Document, old: Document) -> Errors:
    """Return the faults of an update of a PriorityClass: its value and policy are fixed."""
    errors: Errors = []
    check_metadata_update(new, old, errors)
    if (new.get("value") or 0) != (old.get("value") or 0):
        errors.append(forbidden("value", "may not be changed in an update."))
    check_immutable("preemptionPolicy", new.get("preemptionPolicy"), old.get("preemptionPolicy"), errors)
    return errors


def _check_budget(document: Document, errors: Errors) -> None:
    spec = document.get("spec") or {}
    least, most = spec.get("minAvailable"), spec.get("maxUnavailable")
    if least is not None and most is not None:
        shown = ordered(spec, _BUDGET_SPEC) or {}
        shown = {**shown, "selector": shown_selector(spec.get("selector"))} if "selector" in shown else shown
        errors.append(invalid("spec", shown, "minAvailable and maxUnavailable cannot be both set"))
    for name, value in (("minAvailable", least), ("maxUnavailable", most)):
        if value is not None:
            check_int_or_percent(value, f"spec.{name}", errors)
            check_not_above_all(value, f"spec.{name}", errors)
    check_label_selector(spec.get("selector"), "spec.selector", errors)
    policy = spec.get("unhealthyPodEvictionPolicy")
    if policy is not None and policy not in EVICTION_POLICIES:
        errors.append(not_supported("spec.unhealthyPodEvictionPolicy", policy, EVICTION_POLICIES))


def validate_disruption_budget(document: Document) -> Errors:
    """Return the faults of a PodDisruptionBudget; its metadata is looked at when the rest is sound, as for Events."""
    errors: Errors = []
    _check_budget(document, errors)
    if not errors:
        check_metadata(document, path_segment, errors, kube_finalizers=False)
    return errors


def validate_disruption_budget_update(new: Document, _old: Document) -> Errors:
    """Return the faults of an update of a PodDisruptionBudget."""
    errors: Errors = []
    _check_budget(new, errors)
    return errors


def validate_disruption_budget_status(new: Document, _old: Document) -> Errors:
    """Return the faults of an update of a PodDisruptionBudget's status."""
    errors: Errors = []
    status = new.get("status") or {}
    _check_conditions(status, errors)
    for name in _BUDGET_COUNTS:
        check_non_negative(f"status.{name}", status.get(name), errors)
    return errors


def _check_conditions(status: Document, errors: Errors) -> None:
    for index, condition in enumerate(status.get("conditions") or ()):
        at = f"status.conditions[{index}]"
        if not condition.get("type"):
            errors.append(required(f"{at}.type"))
        check_condition_status(condition.get("status") or "", f"{at}.status", errors)
        if not condition.get("lastTransitionTime"):
            errors.append(required(f"{at}.lastTransitionTime"))
        if not condition.get("reason"):
            errors.append(required(f"{at}.reason"))


def validate_pod_group(document: Document) -> Errors:
    """Return the faults of a PodGroup: it has exactly one policy."""
    errors: Errors = []
    check_metadata(document, dns_subdomain, errors)
    spec = document.get("spec") or {}
    policy = spec.get("schedulingPolicy") or {}
    chosen = [name for name in ("basic", "gang") if policy.get(name) is not None]
    if len(chosen) != 1:
        detail = f"must specify exactly one of: `basic`, `gang`{', but both are given' if chosen else ''}"
        errors.append(invalid("spec.schedulingPolicy", ", ".join(chosen), detail))
    gang = policy.get("gang")
    if gang is not None and (gang.get("minCount") or 0) < 1:
        at = "spec.schedulingPolicy.gang.minCount"
        errors.append(invalid(at, gang.get("minCount") or 0, "must be greater than or equal to 1"))
    reference = spec.get("podGroupTemplateRef")
    if reference is not None:
        _check_template_reference(reference, errors)
    return errors


def _check_template_reference(reference: Document, errors: Errors) -> None:
    workload = reference.get("workload")
    if workload is None:
        errors.append(required("spec.podGroupTemplateRef.workload"))
        return
    for name in ("workloadName", "podGroupTemplateName"):
        at, value = f"spec.podGroupTemplateRef.workload.{name}", workload.get(name) or ""
        if not value:
            errors.append(required(at))
        else:
            errors.extend(invalid(at, value, detail) for detail in dns_label(value))


def validate_pod_group_update(new: Document, old: Document) -> Errors:
    """Return the faults of an update of a PodGroup, whose spec is fixed."""
    errors = validate_pod_group(new)
    check_metadata_update(new, old, errors)
    before, after = old.get("spec") or {}, new.get("spec") or {}
    for name in ("podGroupTemplateRef", "schedulingPolicy"):
        check_immutable(f"spec.{name}", after.get(name), before.get(name), errors)
    return errors


def validate_pod_group_status(new: Document, old: Document) -> Errors:
    """Return the faults of an update of a PodGroup's status."""
    errors: Errors = []
    check_metadata_update(new, old, errors)
    _check_conditions(new.get("status") or {}, errors)
    return errors
