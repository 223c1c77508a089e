"""Subresources that are views of their object, as pure functions over documents: binding and scale."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

from orchestra.api.builtin import SCALE
from orchestra.api.codec import decode, format_time
from orchestra.api.frozen import FrozenDict
from orchestra.api.object import Object
from orchestra.api.scheme import Scheme
from orchestra.api.selectors import label_selector
from orchestra.apiserver import refusals
from orchestra.apiserver.bounds import dumps
from orchestra.apiserver.metadata import deleting, meta_of
from orchestra.apiserver.record import Record, varied
from orchestra.errors import Cause, Invalid

if TYPE_CHECKING:
    from orchestra.api.core.pod import Pod
    from orchestra.api.core.status import PodCondition

Document = dict[str, Any]


MAX_REPLICAS = 2**31 - 1
"""The type of `replicas` is int32."""

TOPOLOGY_LABELS = ("topology.kubernetes.io/region", "topology.kubernetes.io/zone")
"""Labels of a node that its Pods get (KEP-4742)."""


def bound(record: Record, node: str, now: datetime, given: Document | None = None) -> tuple[Document, Object]:
    """Return a Pod assigned to a node, as document and typed (core/pod/storage, `assignPod`).

    `given` are the labels and annotations that go over to the Pod: those of `Binding` and node. Raises Conflict when
    the Pod cannot be bound.
    """
    document = record.document
    spec, meta = document["spec"], document["metadata"]
    name = meta["name"]
    if deleting(document):
        raise _unbindable(record, f"pod {name} is being deleted, cannot be assigned to a host")
    if spec.get("nodeName"):
        raise _unbindable(record, f'pod {name} is already assigned to node "{spec["nodeName"]}"')
    if spec.get("schedulingGates"):
        raise _unbindable(record, f"pod {name} has non-empty .spec.schedulingGates")
    parts = {part: {**(meta.get(part) or {}), **more} for part, more in (given or {}).items()}
    status = document.get("status") or {}
    scheduled, typed = _scheduled(format_time(now.replace(microsecond=0)))
    others = [item for item in status.get("conditions") or () if item.get("type") != "PodScheduled"]
    result = {
        **document,
        "metadata": {**meta, **parts},
        "spec": {**spec, "nodeName": node},
        "status": {**status, "conditions": [*others, scheduled]},
    }
    pod = cast("Pod", record.object)
    conditions = (*(item for item in pod.status.conditions if item.type != "PodScheduled"), typed)
    frozen = {part: FrozenDict(values) for part, values in parts.items()}
    twin = varied(
        pod,
        metadata=varied(pod.metadata, **frozen),
        spec=varied(pod.spec, node_name=node),
        status=varied(pod.status, conditions=conditions),
    )
    return result, twin


@lru_cache(maxsize=16)
def _scheduled(since: str) -> tuple[Document, PodCondition]:
    """Return the condition that all Pods which are bound in one second share."""
    from orchestra.api.core.status import PodCondition

    document = {"type": "PodScheduled", "status": "True", "lastProbeTime": None, "lastTransitionTime": since}
    return document, decode(document, PodCondition)


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


def _unbindable(record: Record, why: str) -> Exception:
    return refusals.conflict(record.cls.resource_info, record.name, why, subresource="binding")


def view(record: Record, subresource: str) -> Record:
    """Return what a subresource shows of an object: its Scale, or for all others the object itself."""
    if subresource != "scale":
        return record
    from orchestra.api.autoscaling import Scale

    document = scale_of(record)
    return Record(Scale, record.namespace, record.name, record.revision, dumps(document), document)


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
    selector = spec.get("selector")
    if selector:
        # A ReplicationController's selector is a map of labels and nothing more.
        plain = record.cls.resource_info.group_kind == "ReplicationController"
        view["status"]["selector"] = str(label_selector({"matchLabels": selector} if plain else selector))
    return view


def check_scale(record: Record, given: Document, scheme: Scheme) -> None:
    """Refuse what is no Scale, nor a whole object of the kind itself, and what means another object."""
    info, scale = record.cls.resource_info, SCALE
    version, kind = given.get("apiVersion", scale.api_version), given.get("kind", scale.kind)
    if (version, kind) not in ((scale.api_version, scale.kind), (info.api_version, info.kind)):
        known = any(each.api_version == version and each.kind == kind for each in scheme)
        raise refusals.other_kind(scale, str(version), str(kind), known=known)
    uid, actual = meta_of(given).get("uid"), record.document["metadata"]["uid"]
    if uid and uid != actual:
        raise refusals.uid_conflict(info, record.namespace, record.name, wanted=uid, actual=actual)


def scaled(document: Document, scale: Document) -> Document:
    """Return the object with the replicas that a Scale asks for.

    Raises Invalid for a negative number and BadRequest for what is no number of replicas at all.
    """
    spec = scale.get("spec") or {}
    if not isinstance(spec, dict):
        raise _no_scale(spec, ".spec of type v1.ScaleSpec")
    wanted = spec.get("replicas")
    wanted = 0 if wanted is None else wanted
    if type(wanted) is not int or abs(wanted) > MAX_REPLICAS:
        raise _no_scale(wanted, "Spec.spec.replicas of type int32")
    if wanted < 0:
        text = f"Invalid value: {wanted}: must be greater than or equal to 0"
        name = document["metadata"]["name"]
        message = f'Scale.autoscaling "{name}" is invalid: spec.replicas: {text}'
        cause = Cause(reason="FieldValueInvalid", message=text, field="spec.replicas")
        raise Invalid(message, kind="Scale", group="autoscaling", name=name, causes=(cause,))
    if (document.get("spec") or {}).get("replicas") == wanted:
        return document
    return {**document, "spec": {**(document.get("spec") or {}), "replicas": wanted}}


def _no_scale(given: Any, field: str) -> refusals.Misfit:
    word = {str: "string", list: "array", bool: "bool", dict: "object"}.get(type(given), "number")
    number = f" {given}" if word == "number" else ""
    return refusals.Misfit(SCALE, f"json: cannot unmarshal {word}{number} into Go struct field Scale{field}")
