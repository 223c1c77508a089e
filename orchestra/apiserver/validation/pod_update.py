"""What an update of a Pod may change, and what its status may not do.

Of a Pod's spec only images, deadline, tolerations and gates can change; everything else is told as the difference of
the two specs, printed as Kubernetes prints its internal type.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from orchestra.apiserver.validation.fields import (
    MAX_INT32,
    Errors,
    forbidden,
    invalid,
    ordered,
    required,
)
from orchestra.apiserver.validation.formats import range_error
from orchestra.apiserver.validation.go_shapes import go_pod_spec
from orchestra.apiserver.validation.metadata import check_metadata_update
from orchestra.apiserver.validation.options import DEFAULT_OPTIONS, RuleOptions
from orchestra.apiserver.validation.pod import check_pod
from orchestra.apiserver.validation.pod_annotations import check_annotation_changes, check_special_annotations
from orchestra.apiserver.validation.pod_scheduling import check_tolerations

Document = Mapping[str, Any]
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_TERM = ("matchExpressions", "matchFields")
_UPDATABLE = (
    "`spec.containers[*].image`",
    "`spec.initContainers[*].image`",
    "`spec.activeDeadlineSeconds`",
    "`spec.tolerations` (only additions to existing tolerations)",
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)",
)
_TOLERATION = ("key", "operator", "value", "effect")


def validate_pod_update(new: Document, old: Document, options: RuleOptions = DEFAULT_OPTIONS) -> Errors:
    """Return the faults of an update of a Pod's metadata and spec."""
    errors: Errors = []
    meta, before = new.get("metadata") or {}, old.get("metadata") or {}
    check_metadata_update(new, old, errors, kube_finalizers=True)
    check_pod(new, errors, options)
    check_annotation_changes(meta, before, "metadata.annotations", errors)
    spec, kept = new.get("spec") or {}, old.get("spec") or {}
    check_special_annotations(meta.get("annotations"), spec, "metadata.annotations", errors)
    if spec is not kept:
        _check_spec(spec, kept, errors)
    return errors


def _check_spec(spec: Document, old: Document, errors: Errors) -> None:
    for kind in ("containers", "initContainers"):
        if not _check_images(spec.get(kind) or (), old.get(kind) or (), f"spec.{kind}", errors):
            return
    if not _check_deadline(spec.get("activeDeadlineSeconds"), old.get("activeDeadlineSeconds"), errors):
        return
    _check_added_tolerations(spec.get("tolerations") or (), old.get("tolerations") or (), errors)
    _check_removed_gates(spec.get("schedulingGates") or (), old.get("schedulingGates") or (), errors)
    if spec == old:
        return
    munged = _munged(spec, old)
    if old.get("schedulingGates"):
        _check_gated(munged, old, errors)
    now, was = go_pod_spec(munged), go_pod_spec(old)
    if now != was:
        shown = ",".join(_UPDATABLE)
        detail = f"pod updates may not change fields other than {shown}\n{difference(was, now)}"
        errors.append(forbidden("spec", detail))


def _check_images(new: Sequence[Document], old: Sequence[Document], path: str, errors: Errors) -> bool:
    if len(new) != len(old):
        errors.append(forbidden(path, "pod updates may not add or remove containers"))
        return False
    for index, container in enumerate(new):
        image = container.get("image") or ""
        if not image:
            errors.append(required(f"{path}[{index}].image"))
        if image != image.strip():
            detail = "must not have leading or trailing whitespace"
            errors.append(invalid(f"{path}[{index}].image", image, detail))
    return True


def _check_deadline(new: int | None, old: int | None, errors: Errors) -> bool:
    path = "spec.activeDeadlineSeconds"
    if new is None:
        if old is not None:
            errors.append(invalid(path, None, "must not update from a positive integer to nil value"))
        return True
    if not 0 <= new <= MAX_INT32:
        errors.append(invalid(path, new, range_error(0, MAX_INT32)))
        return False
    if old is not None and old < new:
        errors.append(invalid(path, new, "must be less than or equal to previous value"))
        return False
    return True


def _check_added_tolerations(new: Sequence[Document], old: Sequence[Document], errors: Errors) -> None:
    known = [tuple(each.get(name) or "" for name in _TOLERATION) for each in new]
    for each in old:
        if tuple(each.get(name) or "" for name in _TOLERATION) not in known:
            detail = "existing toleration can not be modified except its tolerationSeconds"
            errors.append(forbidden("spec.tolerations", detail))
            return
    check_tolerations(new, "spec.tolerations", errors)


def _check_removed_gates(new: Sequence[Document], old: Sequence[Document], errors: Errors) -> None:
    known = {gate.get("name") for gate in old}
    for index, gate in enumerate(new):
        if gate.get("name") not in known:
            detail = f"only deletion is allowed, but found new scheduling gate '{gate.get('name')}'"
            errors.append(forbidden(f"spec.schedulingGates[{index}].name", detail))


def _munged(spec: Document, old: Document) -> dict[str, Any]:
    """Return the new spec with the old values of what may change: what still differs is forbidden."""
    munged = dict(spec)
    for kind in ("containers", "initContainers"):
        if spec.get(kind):
            pairs = zip(spec[kind], old[kind], strict=True)
            munged[kind] = [{**now, "image": was.get("image")} for now, was in pairs]
    for name in ("activeDeadlineSeconds", "schedulingGates", "tolerations"):
        munged[name] = old.get(name)
    if (old.get("terminationGracePeriodSeconds") or 0) < 0 and spec.get("terminationGracePeriodSeconds") == 1:
        munged["terminationGracePeriodSeconds"] = old["terminationGracePeriodSeconds"]
    return munged


def _check_gated(munged: dict[str, Any], old: Document, errors: Errors) -> None:
    """A Pod that waits at a gate may be steered further: nodes are narrowed down, never let go."""
    new, kept = munged.get("nodeSelector") or {}, old.get("nodeSelector") or {}
    if any(new.get(key) != value for key, value in kept.items()):
        detail = "only additions to spec.nodeSelector are allowed (no mutations or deletions)"
        errors.append(invalid("spec.nodeSelector", new or None, detail))
    munged["nodeSelector"] = old.get("nodeSelector")
    affinity, before = munged.get("affinity") or {}, old.get("affinity") or {}
    now, was = affinity.get("nodeAffinity"), before.get("nodeAffinity")
    if now == was:
        return
    _check_gated_affinity(now or {}, was or {}, errors)
    rest = {name: value for name, value in affinity.items() if name != "nodeAffinity" and value is not None}
    if was is not None:
        rest["nodeAffinity"] = was
    munged["affinity"] = rest if rest or old.get("affinity") is not None else None


def _check_gated_affinity(now: Document, was: Document, errors: Errors) -> None:
    old_terms = (was.get(_REQUIRED) or {}).get("nodeSelectorTerms") or ()
    new_terms = (now.get(_REQUIRED) or {}).get("nodeSelectorTerms") or ()
    path = f"spec.affinity.nodeAffinity.{_REQUIRED}.nodeSelectorTerms"
    if old_terms and len(old_terms) != len(new_terms):
        detail = "no additions/deletions to non-empty NodeSelectorTerms list are allowed"
        shown = [ordered(term, _TERM) for term in new_terms] or None
        errors.append(invalid(path, shown, detail))
        return
    for index, (new, old) in enumerate(zip(new_terms, old_terms, strict=False)):
        if not _only_adds(new, old):
            detail = "only additions are allowed (no mutations or deletions)"
            errors.append(invalid(f"{path}[{index}]", ordered(new, _TERM), detail))


def _only_adds(new: Document, old: Document) -> bool:
    if not any(old.get(name) for name in _TERM):
        return not any(new.get(name) for name in _TERM)
    return all(list(new.get(name) or ())[: len(old.get(name) or ())] == list(old.get(name) or ()) for name in _TERM)


def difference(old: Document, new: Document) -> str:
    """Return what is different as lines of indented JSON, in the form of a unified diff without its head."""
    lines = list(difflib.unified_diff(_lines(old), _lines(new), n=3, lineterm=""))
    return "".join(f"{line}\n" for line in lines[2:])


def _lines(value: Document) -> list[str]:
    """Return indented JSON as Go writes it: one blank per level, empty containers on one line."""
    text = orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
    lines = []
    for line in text.splitlines():
        bare = line.lstrip(" ")
        lines.append(" " * ((len(line) - len(bare)) // 2) + bare)
    return lines
