"""What a write may set: functions that give back what a creation, an update or a status update has no say in.

`new` is the document of the writer, already defaulted; `old` the stored one. Source: the strategies of Kubernetes'
registries (PrepareForCreate, PrepareForUpdate).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from orchestra.apiserver.defaults.canonical import canonical
from orchestra.apiserver.defaults.others import default_node_status, with_status

Document = dict[str, Any]
Change = Callable[[Document, Document], Document]


def keep_all(document: Document) -> Document:
    """Return the document of a kind whose creation may set everything."""
    return document


def keep_status(new: Document, old: Document) -> Document:
    """Return an update with the status that is stored."""
    return with_status(new, old.get("status"))


def keep_everything(new: Document, _old: Document) -> Document:
    """Return an update of a kind without status as it is."""
    return new


def only_status(new: Document, old: Document) -> Document:
    """Return a status update: everything but metadata and status is as stored."""
    result = {**old, "metadata": new.get("metadata") or old["metadata"]}
    return with_status(result, new.get("status"))


def create_without_status(document: Document) -> Document:
    """Return a creation whose status the controllers will tell."""
    return with_status(document, None)


def create_replica_set(document: Document) -> Document:
    """Return a new ReplicaSet, which has no Pods yet."""
    return with_status(document, {"replicas": 0})


def create_namespace(document: Document) -> Document:
    """Return a new namespace: active, and held by the finalizer that empties it."""
    spec = document.get("spec") or {}
    finalizers = list(spec.get("finalizers") or ())
    if "kubernetes" not in finalizers:
        document = {**document, "spec": {**spec, "finalizers": [*finalizers, "kubernetes"]}}
    return with_status(document, {"phase": "Active"})


def update_namespace(new: Document, old: Document) -> Document:
    """Return an update of a namespace; its finalizers have a subresource of their own."""
    return keep_status({**new, "spec": {**(new.get("spec") or {}), **_finalizers(old)}}, old)


def _finalizers(document: Document) -> Document:
    spec = document.get("spec") or {}
    return {"finalizers": spec["finalizers"]} if "finalizers" in spec else {}


def update_deployment_status(new: Document, old: Document) -> Document:
    """Return an update of a Deployment's status, which leaves the labels alone."""
    from orchestra.api.apps import Deployment

    result: Document = canonical(only_status(new, old), Deployment)
    meta, labels = result["metadata"], old["metadata"].get("labels")
    if meta.get("labels") == labels:
        return result
    rest = {name: value for name, value in meta.items() if name != "labels"}
    return {**result, "metadata": {**rest, "labels": labels} if labels else rest}


def update_replica_set_status(new: Document, old: Document) -> Document:
    """Return an update of a ReplicaSet's status."""
    from orchestra.api.apps import ReplicaSet

    result: Document = canonical(only_status(new, old), ReplicaSet)
    return result


def update_namespace_status(new: Document, old: Document) -> Document:
    """Return an update of a namespace's status."""
    from orchestra.api.core.cluster import Namespace

    result: Document = canonical(only_status(new, old), Namespace)
    return result


def update_service_status(new: Document, old: Document) -> Document:
    """Return an update of a Service's status."""
    from orchestra.api.core.service import Service

    result: Document = canonical(only_status(new, old), Service)
    return result if result.get("status") else with_status(result, {"loadBalancer": {}})


def update_node_status(new: Document, old: Document) -> Document:
    """Return an update of a node's status."""
    result = only_status(new, old)
    status = result.get("status")
    return result if status is None else with_status(result, default_node_status(status))
