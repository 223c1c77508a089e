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
from orchestra.errors import BadRequest, Cause, Invalid

Document = dict[str, Any]


MAX_REPLICAS = 2**31 - 1
"""The type of `replicas` is int32."""

TOPOLOGY_LABELS = ("topology.kubernetes.io/region", "topology.kubernetes.io/zone")
"""Labels of a node that its Pods get (KEP-4742)."""


def bound(info: ResourceInfo, document: Document, node: str, now: datetime, given: Document | None = None) -> Document:
    """Return a Pod assigned to a node (core/pod/storage, `assignPod`); raises Conflict when it cannot be.

    `given` are the labels and annotations that go over to the Pod: those of `Binding` and node.
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
    if given:
        result["metadata"] = {**meta, **{part: {**(meta.get(part) or {}), **more} for part, more in given.items()}}
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


def given_by(binding: Document | None, node: Record | None) -> Document:
    """Return the labels and annotations that a binding gives to a Pod; where the node lies is the node's to say."""
    result: Document = {}
    if binding is not None:
        meta = meta_of(binding)
        result = {part: dict(meta[part]) for part in ("labels", "annotations") if meta.get(part)}
    labels = node.object.metadata.labels if node is not None else {}
    found = {name: labels[name] for name in TOPOLOGY_LABELS if name in labels}
    if found:
        result["labels"] = {**result.get("labels", {}), **found}
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
    """Return the object with the replicas that a Scale asks for.

    Raises Invalid for a negative number and BadRequest for what is no number of replicas at all.
    """
    spec = scale.get("spec") or {}
    if not isinstance(spec, dict):
        raise _no_scale("spec: expected an object")
    wanted = spec.get("replicas") or 0
    if type(wanted) is not int or abs(wanted) > MAX_REPLICAS:
        raise _no_scale("spec.replicas: expected an integer of 32 bits")
    if wanted < 0:
        text = f"Invalid value: {wanted}: must be greater than or equal to 0"
        name = document["metadata"]["name"]
        message = f'Scale.autoscaling "{name}" is invalid: spec.replicas: {text}'
        cause = Cause(reason="FieldValueInvalid", message=text, field="spec.replicas")
        raise Invalid(message, kind="Scale", group="autoscaling", name=name, causes=(cause,))
    if (document.get("spec") or {}).get("replicas") == wanted:
        return document
    return {**document, "spec": {**(document.get("spec") or {}), "replicas": wanted}}


def _no_scale(why: str) -> BadRequest:
    return BadRequest(f'Scale in version "v1" cannot be handled as a Scale: {why}')
