"""What the creation of a Pod and an update of its status may set, as `prepare` says it for every kind."""

from __future__ import annotations

from typing import Any

from orchestra.apiserver.defaults.app_armor import with_profile_fields
from orchestra.apiserver.defaults.matching import merge_match_label_keys
from orchestra.apiserver.defaults.others import with_status
from orchestra.apiserver.defaults.pod import default_pod_status
from orchestra.apiserver.defaults.prepare import only_status
from orchestra.apiserver.defaults.qos import qos_class

Document = dict[str, Any]

_GATED = {
    "type": "PodScheduled",
    "status": "False",
    "reason": "SchedulingGated",
    "message": "Scheduling is blocked due to non-empty scheduling gates",
}


def create_pod(document: Document) -> Document:
    """Return a new Pod: pending, of the quality that its requests and limits give."""
    document = with_profile_fields(merge_match_label_keys(document))
    spec = document.get("spec") or {}
    status: Document = {"phase": "Pending", "qosClass": qos_class(spec)}
    if spec.get("schedulingGates"):
        status["conditions"] = [_GATED]
    return with_status(document, status)


def update_pod_status(new: Document, old: Document) -> Document:
    """Return an update of a Pod's status; old kubelets write owners that they do not know, so those stay too."""
    result = only_status(new, old)
    meta, kept = result["metadata"], old["metadata"].get("ownerReferences")
    if meta.get("ownerReferences") != kept:
        meta = {name: value for name, value in meta.items() if name != "ownerReferences"}
        result["metadata"] = {**meta, "ownerReferences": kept} if kept else meta
    status = default_pod_status(result.get("status") or {})
    quality = (old.get("status") or {}).get("qosClass")
    if quality and not status.get("qosClass"):
        status = {**status, "qosClass": quality}
    return with_status(result, status)
