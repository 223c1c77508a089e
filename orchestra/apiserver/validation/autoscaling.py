"""Rules of HorizontalPodAutoscalers. Source: autoscaling/v2, as kube-apiserver 1.36 answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import attrs

from orchestra.api.quantity import Quantity
from orchestra.apiserver.validation.fields import (
    Errors,
    check_non_negative,
    each_invalid,
    forbidden,
    invalid,
    not_supported,
    required,
)
from orchestra.apiserver.validation.formats import dns_label, dns_subdomain, path_segment
from orchestra.apiserver.validation.metadata import check_metadata, check_metadata_update
from orchestra.apiserver.validation.resources import container_resource_name

Document = Mapping[str, Any]
MAX_PERIOD_SECONDS: Final = 1800
MAX_WINDOW_SECONDS: Final = 3600
_TYPES: Final = ("ContainerResource", "External", "Object", "Pods", "Resource")
_SELECTED: Final = ("Disabled", "Max", "Min")
_POLICIES: Final = ("Percent", "Pods")
_TARGETS: Final = ("Utilization", "Value", "AverageValue")
_POSITIVE: Final = "must be greater than zero"


@attrs.frozen
class _Reference:
    """Whether a reference's group and version are looked at, and whether the group may be the core's, without name."""

    check_version: bool = True
    core_group: bool = False

    def fault(self, version: str) -> str:
        """Return what is wrong with an apiVersion; empty for nothing."""
        if not self.check_version:
            return ""
        if version.count("/") > 1:
            return f"unexpected GroupVersion string: {version}"
        if not self.core_group and not version.rpartition("/")[0]:
            return "apiVersion must specify API group"
        return ""


def validate_autoscaler(document: Document) -> Errors:
    """Return the faults of a HorizontalPodAutoscaler."""
    errors: Errors = []
    check_metadata(document, dns_subdomain, errors)
    _check_spec(document.get("spec") or {}, {}, errors)
    return errors


def validate_autoscaler_update(new: Document, old: Document) -> Errors:
    """Return the faults of an update of a HorizontalPodAutoscaler."""
    errors: Errors = []
    check_metadata_update(new, old, errors, kube_finalizers=True)
    _check_spec(new.get("spec") or {}, old.get("spec") or {}, errors)
    return errors


def validate_autoscaler_status(new: Document, old: Document) -> Errors:
    """Return the faults of an update of a HorizontalPodAutoscaler's status."""
    errors: Errors = []
    check_metadata_update(new, old, errors, kube_finalizers=True)
    for name in ("currentReplicas", "desiredReplicas"):
        check_non_negative(f"status.{name}", (new.get("status") or {}).get(name), errors)
    return errors


def _check_spec(spec: Document, old: Document, errors: Errors) -> None:
    least, most = spec.get("minReplicas"), spec.get("maxReplicas") or 0
    lowest = 0 if old.get("minReplicas") == 0 else 1
    if most == 0:
        errors.append(required("spec.maxReplicas", "must be set and greater than 0"))
    elif most < 1:
        errors.append(invalid("spec.maxReplicas", most, "must be greater than or equal to 1"))
    if least is not None and least < lowest:
        errors.append(invalid("spec.minReplicas", least, f"must be greater than or equal to {lowest}"))
    if least is not None and most < least:
        errors.append(invalid("spec.maxReplicas", most, "must be greater than or equal to `minReplicas`"))
    _check_reference(spec.get("scaleTargetRef") or {}, "spec.scaleTargetRef", _target_rule(spec, old), errors)
    metrics = spec.get("metrics") or ()
    rule = _metrics_rule(old)
    for index, metric in enumerate(metrics):
        _check_metric(metric, f"spec.metrics[{index}]", rule, errors)
    if least == 0 and not any(metric.get("type") in ("Object", "External") for metric in metrics):
        detail = "must specify at least one Object or External metric to support scaling to zero replicas"
        errors.append(forbidden("spec.metrics", detail))
    behavior = spec.get("behavior") or {}
    for direction in ("scaleUp", "scaleDown"):
        if behavior.get(direction) is not None:
            _check_rules(behavior[direction], f"spec.behavior.{direction}", errors)


def _target_rule(spec: Document, old: Document) -> _Reference:
    target, before = spec.get("scaleTargetRef") or {}, old.get("scaleTargetRef") or {}
    if old and all((target.get(name) or "") == (before.get(name) or "") for name in ("apiVersion", "kind")):
        return _Reference(check_version=False)
    return _Reference(core_group=target.get("kind") == "ReplicationController")


def _metrics_rule(old: Document) -> _Reference:
    """Metrics may be of core objects, and a version that was wrong already may stay."""
    rule = _Reference(core_group=True)
    for metric in old.get("metrics") or ():
        described = (metric.get("object") or {}).get("describedObject") or {}
        if metric.get("type") == "Object" and rule.fault(described.get("apiVersion") or ""):
            return _Reference(check_version=False)
    return rule


def _check_reference(reference: Document, path: str, rule: _Reference, errors: Errors) -> None:
    for name in ("kind", "name"):
        value = reference.get(name) or ""
        if not value:
            errors.append(required(f"{path}.{name}"))
        else:
            each_invalid(f"{path}.{name}", value, path_segment(value), errors)
    version = reference.get("apiVersion") or ""
    fault = rule.fault(version)
    if fault:
        errors.append(invalid(f"{path}.apiVersion", version, fault))


def _check_metric(metric: Document, path: str, rule: _Reference, errors: Errors) -> None:
    kind = metric.get("type") or ""
    if not kind:
        errors.append(required(f"{path}.type", "must specify a metric source type"))
    if kind not in _TYPES:
        errors.append(not_supported(f"{path}.type", kind, _TYPES))
    checks: dict[str, Callable[[Document, str], None]] = {
        "object": lambda source, at: _check_object(source, at, rule, errors),
        "external": lambda source, at: _check_external(source, at, errors),
        "pods": lambda source, at: _check_pods(source, at, errors),
        "resource": lambda source, at: _check_resource(source, at, errors),
        "containerResource": lambda source, at: _check_container_resource(source, at, errors),
    }
    present = [name for name in checks if metric.get(name) is not None]
    if present:
        checks[present[0]](metric[present[0]], f"{path}.{present[0]}")
    if kind not in _TYPES:
        errors.append(not_supported(f"{path}.type", kind, _TYPES))
        expected = ""
    else:
        expected = kind[0].lower() + kind[1:]
        if expected not in present:
            detail = "must populate information for the given metric source"
            errors.append(required(f"{path}.{expected}", detail))
    if len(present) != 1:
        others = [name for name in present if name != expected]
        errors += [forbidden(f"{path}.{name}", "must populate the given metric source only") for name in others]


def _check_object(source: Document, path: str, rule: _Reference, errors: Errors) -> None:
    target = source.get("target") or {}
    _check_reference(source.get("describedObject") or {}, f"{path}.describedObject", rule, errors)
    _check_identifier(source.get("metric") or {}, f"{path}.metric", errors)
    _check_target(target, f"{path}.target", errors)
    if target.get("value") is None and target.get("averageValue") is None:
        detail = "must set either a target value or averageValue"
        errors.append(required(f"{path}.target.averageValue", detail))


def _check_external(source: Document, path: str, errors: Errors) -> None:
    target = source.get("target") or {}
    _check_identifier(source.get("metric") or {}, f"{path}.metric", errors)
    _check_target(target, f"{path}.target", errors)
    value, average = target.get("value"), target.get("averageValue")
    if value is None and average is None:
        detail = "must set either a target value for metric or a per-pod target"
        errors.append(required(f"{path}.target.averageValue", detail))
    if value is not None and average is not None:
        detail = "may not set both a target value for metric and a per-pod target"
        errors.append(forbidden(f"{path}.target.value", detail))


def _check_pods(source: Document, path: str, errors: Errors) -> None:
    target = source.get("target") or {}
    _check_identifier(source.get("metric") or {}, f"{path}.metric", errors)
    _check_target(target, f"{path}.target", errors)
    if target.get("averageValue") is None:
        errors.append(required(f"{path}.target.averageValue", "must specify a positive target averageValue"))


def _check_resource(source: Document, path: str, errors: Errors) -> None:
    if not source.get("name"):
        errors.append(required(f"{path}.name", "must specify a resource name"))
    _check_usage(source.get("target") or {}, f"{path}.target", errors)


def _check_container_resource(source: Document, path: str, errors: Errors) -> None:
    name, container = source.get("name") or "", source.get("container") or ""
    if not name:
        errors.append(required(f"{path}.name", "must specify a resource name"))
    else:
        each_invalid(f"{path}.name", name, container_resource_name(name), errors)
    if not container:
        errors.append(required(f"{path}.container", "must specify a container"))
    else:
        each_invalid(f"{path}.container", container, dns_label(container), errors)
    _check_usage(source.get("target") or {}, f"{path}.target", errors)


def _check_usage(target: Document, path: str, errors: Errors) -> None:
    _check_target(target, path, errors)
    share, average = target.get("averageUtilization"), target.get("averageValue")
    if share is None and average is None:
        detail = "must set either a target raw value or a target utilization"
        errors.append(required(f"{path}.averageUtilization", detail))
    if share is not None and average is not None:
        detail = "may not set both a target raw value and a target utilization"
        errors.append(forbidden(f"{path}.averageValue", detail))


def _check_identifier(metric: Document, path: str, errors: Errors) -> None:
    name = metric.get("name") or ""
    if not name:
        errors.append(required(f"{path}.name", "must specify a metric name"))
    else:
        each_invalid(f"{path}.name", name, path_segment(name), errors)


def _check_target(target: Document, path: str, errors: Errors) -> None:
    kind, share = target.get("type") or "", target.get("averageUtilization")
    if not kind:
        errors.append(required(f"{path}.type", "must specify a metric target type"))
    if kind not in _TARGETS:
        errors.append(invalid(f"{path}.type", kind, "must be either Utilization, Value, or AverageValue"))
    for name in ("value", "averageValue"):
        value = target.get(name)
        if value is not None and Quantity(value).nanos <= 0:
            errors.append(invalid(f"{path}.{name}", str(Quantity(value)), "must be positive"))
    if share is not None and share < 1:
        errors.append(invalid(f"{path}.averageUtilization", share, "must be greater than 0"))


def _check_rules(rules: Document, path: str, errors: Errors) -> None:
    window, selected, tolerance = (rules.get(n) for n in ("stabilizationWindowSeconds", "selectPolicy", "tolerance"))
    at = f"{path}.stabilizationWindowSeconds"
    if window is not None and window < 0:
        errors.append(invalid(at, window, "must be greater than or equal to zero"))
    if window is not None and window > MAX_WINDOW_SECONDS:
        errors.append(invalid(at, window, f"must be less than or equal to {MAX_WINDOW_SECONDS}"))
    if selected is not None and selected not in _SELECTED:
        errors.append(not_supported(f"{path}.selectPolicy", selected, _SELECTED))
    policies: Sequence[Document] = rules.get("policies") or ()
    if not policies:
        errors.append(required(f"{path}.policies", "must specify at least one Policy"))
    for index, policy in enumerate(policies):
        _check_policy(policy, f"{path}.policies[{index}]", errors)
    if tolerance is not None and Quantity(tolerance).nanos < 0:
        errors.append(invalid(f"{path}.tolerance", str(Quantity(tolerance)), "must be greater than or equal to 0"))


def _check_policy(policy: Document, path: str, errors: Errors) -> None:
    kind, value, period = policy.get("type") or "", policy.get("value") or 0, policy.get("periodSeconds") or 0
    if kind not in _POLICIES:
        errors.append(not_supported(f"{path}.type", kind, _POLICIES))
    if value <= 0:
        errors.append(invalid(f"{path}.value", value, _POSITIVE))
    if period <= 0:
        errors.append(invalid(f"{path}.periodSeconds", period, _POSITIVE))
    if period > MAX_PERIOD_SECONDS:
        errors.append(invalid(f"{path}.periodSeconds", period, f"must be less than or equal to {MAX_PERIOD_SECONDS}"))
