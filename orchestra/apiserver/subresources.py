"""Subresources that are views of their object, as pure functions over documents: binding and scale."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from orchestra.api.codec import format_time
from orchestra.api.object import ResourceInfo
from orchestra.api.selectors import label_selector
from orchestra.apiserver import refusals
from orchestra.apiserver.metadata import deleting, meta_of
from orchestra.apiserver.record import Record
from orchestra.errors import Cause, Invalid

Document = dict[str, Any]


def bound(
    info: ResourceInfo, document: Document, node: str, now: datetime, binding: Document | None = None
) -> Document:
    """Return a Pod assigned to a node (core/pod/storage, `assignPod`); raises Conflict when it cannot be.

    Labels and annotations of the Binding go over to the Pod.
    """
    spec, meta = document["spec"], document["metadata"]
    name = meta["name"]
    if deleting(document):
        raise _unbindable(info, name, f"pod {name} is being deleted, cannot be assigned to a host")
    if spec.get("nodeName"):
        raise _unbindable(info, name, f'pod {name} is already assigned to node "{spec["nodeName"]}"')
    if spec.get("schedulingGates"):
        raise _unbindable(info, name, f"pod {name} has non-empty .spec.schedulingGates")
    result = {**document, "spec": {**spec, "nodeName": node}}
    extra = {part: meta_of(binding).get(part) for part in ("labels", "annotations")} if binding else {}
    if any(extra.values()):
        merged = {part: {**(meta.get(part) or {}), **given} for part, given in extra.items() if given}
        result["metadata"] = {**meta, **merged}
    status = document.get("status") or {}
    condition = {
        "type": "PodScheduled",
        "status": "True",
        "lastProbeTime": None,
        "lastTransitionTime": format_time(now),
    }
    others = [item for item in status.get("conditions") or () if item.get("type") != "PodScheduled"]
    result["status"] = {**status, "conditions": [*others, condition]}
    return result


def _unbindable(info: ResourceInfo, name: str, why: str) -> Exception:
    return refusals.conflict(info, name, why, subresource="binding")


def scale_of(record: Record) -> Document:
    """Return the Scale of an object with replicas."""
    document = record.document
    meta = meta_of(document)
    spec, status = document.get("spec") or {}, document.get("status") or {}
    kept = {key: meta[key] for key in ("name", "namespace", "uid", "creationTimestamp") if key in meta}
    view: Document = {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {**kept, "resourceVersion": str(record.revision)},
        "spec": {"replicas": spec["replicas"]} if spec.get("replicas") else {},
        "status": {"replicas": status.get("replicas") or 0},
    }
    if spec.get("selector"):
        view["status"]["selector"] = str(label_selector(spec["selector"]))
    return view


def scaled(document: Document, scale: Document) -> Document:
    """Return the object with the replicas that a Scale asks for; raises Invalid for a negative number."""
    wanted = (scale.get("spec") or {}).get("replicas") or 0
    if wanted < 0:
        text = f"Invalid value: {wanted}: must be greater than or equal to 0"
        name = document["metadata"]["name"]
        message = f'Scale.autoscaling "{name}" is invalid: spec.replicas: {text}'
        cause = Cause(reason="FieldValueInvalid", message=text, field="spec.replicas")
        raise Invalid(message, kind="Scale", group="autoscaling", name=name, causes=(cause,))
    if (document.get("spec") or {}).get("replicas") == wanted:
        return document
    return {**document, "spec": {**(document.get("spec") or {}), "replicas": wanted}}
