"""What may be changed of a Pod through its subresources `resize` and `ephemeralcontainers`, and the rules of that.

Source: Kubernetes' strategies of these subresources (registry/core/pod) and their validation (core/validation).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from orchestra.apiserver.defaults.qos import qos_class
from orchestra.apiserver.validation.fields import Errors, FieldError, forbidden, invalid
from orchestra.apiserver.validation.kind_rules import PartRules
from orchestra.apiserver.validation.metadata import check_metadata_update
from orchestra.apiserver.validation.options import RuleOptions
from orchestra.apiserver.validation.pod import check_pod

Document = dict[str, Any]
MIRROR = "kubernetes.io/config.mirror"
_WHOLE = "[]"
"""How Kubernetes writes the path of a fault that is no field's."""
_RESIZED = ("cpu", "memory")
_KINDS = ("containers", "initContainers")


def pod_part_rules(options: RuleOptions) -> dict[str, PartRules]:
    """Return the rules of each subresource that changes a part of a Pod's spec."""
    return {
        "resize": PartRules(only_resources, lambda new, old: validate_resize(new, old, options)),
        "ephemeralcontainers": PartRules(only_ephemeral, lambda new, old: validate_ephemeral(new, old, options)),
    }


def only_resources(new: Document, old: Document) -> Document:
    """Return the stored Pod with the resources that the new one asks for its containers, which are known by name."""
    spec, kept = new.get("spec") or {}, old["spec"]
    changed = dict(kept)
    for kind in _KINDS:
        wanted = {container.get("name"): container for container in spec.get(kind) or ()}
        if kept.get(kind):
            changed[kind] = [_resized(was, wanted.get(was.get("name")), kind) for was in kept[kind]]
    return {**old, "metadata": _identity(new, old), "spec": kept if changed == kept else changed}


def only_ephemeral(new: Document, old: Document) -> Document:
    """Return the stored Pod with the ephemeral containers of the new one."""
    spec = dict(old["spec"])
    spec.pop("ephemeralContainers", None)
    wanted = (new.get("spec") or {}).get("ephemeralContainers")
    if wanted:
        spec["ephemeralContainers"] = wanted
    return {**old, "metadata": _identity(new, old), "spec": spec}


def validate_resize(new: Document, old: Document, options: RuleOptions) -> Errors:
    """Return the faults of a change of resources."""
    errors = _whole(new, old, options)
    meta, spec = old.get("metadata") or {}, old.get("spec") or {}
    if MIRROR in (meta.get("annotations") or {}):
        return [forbidden(_WHOLE, "static pods cannot be resized")]
    if (spec.get("os") or {}).get("name") == "windows":
        return [forbidden(_WHOLE, "windows pods cannot be resized")]
    quality = (old.get("status") or {}).get("qosClass") or qos_class(spec)
    if quality != qos_class(new.get("spec") or {}):
        shown = (new.get("status") or {}).get("qosClass") or ""
        errors.append(invalid("spec", shown, "Pod QOS Class may not change as a result of resizing"))
    if not _can_resize(old):
        errors.append(forbidden("spec", "Pod running on node without support for resize"))
    only_known = True
    for kind in ("initContainers", "containers"):
        now, was = (new["spec"].get(kind) or ()), (spec.get(kind) or ())
        for index, (each, before) in enumerate(zip(now, was, strict=False)):
            _check_removed(each, before, f"spec.{kind}[{index}].resources", errors)
            only_known = only_known and _others(each) == _others(before)
    if not only_known:
        errors.append(forbidden("spec", "only cpu and memory resources are mutable"))
    return errors


def validate_ephemeral(new: Document, old: Document, options: RuleOptions) -> Errors:
    """Return the faults of a change of ephemeral containers: they can be added, and are never changed or removed."""
    errors = _whole(new, old, options)
    if MIRROR in ((old.get("metadata") or {}).get("annotations") or {}):
        return [forbidden(_WHOLE, "static pods do not support ephemeral containers")]
    at = "spec.ephemeralContainers"
    known = {each.get("name"): each for each in new["spec"].get("ephemeralContainers") or ()}
    for before in (old.get("spec") or {}).get("ephemeralContainers") or ():
        name = before.get("name")
        if name not in known:
            errors.append(forbidden(at, f'existing ephemeral containers "{name}" may not be removed\n'))
        elif known[name] != before:
            errors.append(forbidden(at, f'existing ephemeral containers "{name}" may not be changed\n'))
    return errors


def _whole(new: Document, old: Document, options: RuleOptions) -> list[FieldError]:
    errors: Errors = []
    check_metadata_update(new, old, errors, kube_finalizers=True)
    check_pod(new, errors, options)
    return errors


def _identity(new: Document, old: Document) -> Document:
    """Return the stored metadata, with what the writer says of which object it means and of who owns its fields."""
    kept, given = old["metadata"], new.get("metadata") or {}
    meta = {**kept, **{name: given[name] for name in ("name", "namespace", "uid") if given.get(name)}}
    if "managedFields" in given:
        meta["managedFields"] = given["managedFields"]
    return kept if meta == kept else meta


def _resized(was: Document, wanted: Document | None, kind: str) -> Document:
    if wanted is None or (kind == "initContainers" and was.get("restartPolicy") != "Always"):
        return was
    result = {name: value for name, value in was.items() if name not in ("resources", "resizePolicy")}
    for name in ("resources", "resizePolicy"):
        if name in wanted:
            result[name] = wanted[name]
    return was if result == was else {name: result[name] for name in (*was, *result) if name in result}


def _check_removed(now: Mapping[str, Any], was: Mapping[str, Any], path: str, errors: Errors) -> None:
    new, old = now.get("resources") or {}, was.get("resources") or {}
    for field in ("requests", "limits"):
        if set(old.get(field) or ()) - set(new.get(field) or ()):
            errors.append(forbidden(f"{path}.{field}", f"resource {field} cannot be removed"))


def _others(container: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the amounts of a container that no resize may change."""
    resources = container.get("resources") or {}
    amounts: Sequence[Mapping[str, Any]] = [resources.get(field) or {} for field in ("requests", "limits")]
    return [{name: value for name, value in each.items() if name not in _RESIZED} for each in amounts]


def _can_resize(pod: Document) -> bool:
    for status in (pod.get("status") or {}).get("containerStatuses") or ():
        if (status.get("state") or {}).get("running") is not None:
            return status.get("resources") is not None
    return True
