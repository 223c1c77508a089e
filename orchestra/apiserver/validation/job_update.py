"""What an update of a Job may change: of its template nothing, except while it is suspended and has no Pods.

Source: batch/v1, as kube-apiserver 1.36 answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from orchestra.apiserver.defaults.jobs import CONTROLLER_UID_LABELS, JOB_NAME_LABELS
from orchestra.apiserver.validation.amounts import shown_selector
from orchestra.apiserver.validation.fields import IMMUTABLE, Errors, invalid
from orchestra.apiserver.validation.go_shapes import go_template, go_value
from orchestra.apiserver.validation.jobs import check_selecting_spec, validate_job
from orchestra.apiserver.validation.metadata import check_metadata_update
from orchestra.apiserver.validation.options import DEFAULT_OPTIONS, RuleOptions

Document = Mapping[str, Any]
_PLACEMENT: Final = ("nodeSelector", "tolerations", "schedulingGates")
_CONTAINERS: Final = ("containers", "initContainers")


def validate_job_update(new: Document, old: Document, options: RuleOptions = DEFAULT_OPTIONS) -> Errors:
    """Return the faults of an update of a Job; those of the spec are told twice, as Kubernetes does."""
    before = old.get("spec") or {}
    labels = ((before.get("template") or {}).get("metadata") or {}).get("labels") or {}
    new_labels = JOB_NAME_LABELS[1] in labels and CONTROLLER_UID_LABELS[1] in labels
    errors = validate_job(new, options, new_labels=new_labels)
    check_metadata_update(new, old, errors, kube_finalizers=True)
    spec = new.get("spec") or {}
    check_selecting_spec(spec, errors, options)
    _check_completions(spec, before, errors)
    _check_fixed("selector", spec, before, errors, shown_selector(spec.get("selector")))
    _check_template(spec, before, old.get("status") or {}, errors)
    _check_fixed("completionMode", spec, before, errors)
    _check_fixed("podFailurePolicy", spec, before, errors, _go("PodFailurePolicy", spec.get("podFailurePolicy")))
    _check_fixed("backoffLimitPerIndex", spec, before, errors)
    _check_fixed("managedBy", spec, before, errors)
    _check_fixed("successPolicy", spec, before, errors, _go("SuccessPolicy", spec.get("successPolicy")))
    return errors


def _go(type_name: str, value: Document | None) -> dict[str, Any] | None:
    return None if value is None else go_value(type_name, value)


def _check_fixed(name: str, spec: Document, old: Document, errors: Errors, shown: Any = None) -> None:
    if spec.get(name) != old.get(name):
        errors.append(invalid(f"spec.{name}", spec.get(name) if shown is None else shown, IMMUTABLE))


def _check_completions(spec: Document, old: Document, errors: Errors) -> None:
    """An indexed Job may grow and shrink, as long as all of its indexes run at once."""
    if spec.get("completionMode") != "Indexed":
        _check_fixed("completions", spec, old, errors)
        return
    completions = spec.get("completions")
    if completions is not None and completions != old.get("completions") and completions != spec.get("parallelism"):
        detail = "can only be modified in tandem with spec.parallelism"
        errors.append(invalid("spec.completions", completions, detail))


def _check_template(spec: Document, old: Document, status: Document, errors: Errors) -> None:
    template, before = spec.get("template") or {}, old.get("template") or {}
    if template == before:
        return
    if old.get("suspend") and not status.get("active"):
        before = _with_free_parts(before, template)
    # Compared in full, so that what is not set and what is empty are the same.
    if go_template(template) != go_template(before):
        errors.append(invalid("spec.template", go_template(template), IMMUTABLE))


def _with_free_parts(before: Document, template: Document) -> Document:
    """Return the old template with those parts of the new one that may change while no Pod runs."""
    meta, new_meta = before.get("metadata") or {}, template.get("metadata") or {}
    inner, new = before.get("spec") or {}, template.get("spec") or {}
    free = {name: new.get(name) for name in _PLACEMENT}
    affinity = _with_node_affinity(inner.get("affinity"), new.get("affinity"))
    resources = {
        kind: _with_resources(inner.get(kind) or (), new.get(kind) or ()) for kind in _CONTAINERS if inner.get(kind)
    }
    return {
        **before,
        "metadata": {**meta, "labels": new_meta.get("labels"), "annotations": new_meta.get("annotations")},
        "spec": {**inner, **free, "affinity": affinity, **resources},
    }


def _with_node_affinity(old: Document | None, new: Document | None) -> Document | None:
    nodes = (new or {}).get("nodeAffinity")
    rest = {name: value for name, value in (old or {}).items() if name != "nodeAffinity"}
    if new is None and not rest:
        return None
    return {**rest, "nodeAffinity": nodes} if nodes is not None else rest


def _with_resources(old: Any, new: Any) -> list[Document]:
    if len(old) != len(new):
        return list(old)
    return [{**before, "resources": after.get("resources")} for before, after in zip(old, new, strict=True)]
