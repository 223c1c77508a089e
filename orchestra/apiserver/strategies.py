"""The strategy of every kind: the validation package's rules plus what the server itself must know of the kind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from orchestra.api.object import ResourceInfo
from orchestra.apiserver.defaults.admission import default_toleration_seconds, keep_priority
from orchestra.apiserver.deletion import pod_grace_seconds
from orchestra.apiserver.interface import Strategy
from orchestra.apiserver.validation.options import RuleOptions
from orchestra.apiserver.validation.registry import rules_for

Document = dict[str, Any]
Changed = Callable[[Document, Document], bool]


def strategy_for(info: ResourceInfo, options: RuleOptions) -> Strategy:
    """Return what a kind decides about its writes; a user's kind gets the rules of custom resources."""
    rules = rules_for(info, options)
    prepare_create, prepare_update = rules.prepare_create, rules.prepare_update
    if info.group_kind == "Pod":
        prepare_create, prepare_update = _admitted_pod(prepare_create), _kept_pod(prepare_update)
    return Strategy(
        info=info,
        default=rules.default,
        prepare_create=prepare_create,
        finish_create=rules.finish_create,
        prepare_update=prepare_update,
        prepare_status_update=rules.prepare_status_update,
        validate=rules.validate,
        validate_update=rules.validate_update,
        validate_status_update=rules.validate_status_update,
        warnings=rules.warnings,
        parts=rules.parts,
        generation=_GENERATION.get(info.group_kind, _everything_but_status),
        grace_seconds=pod_grace_seconds if info.group_kind == "Pod" else None,
        unconditional_update=info.group_kind not in _CONDITIONAL,
        create_on_update=info.group_kind in _CREATED_BY_UPDATE,
        default_propagation="Orphan" if info.group_kind in _ORPHANING else "Background",
        deletion_warning=_PODS_STAY if info.group_kind == "Job.batch" else "",
        spec_finalizers=info.group_kind == "Namespace",
    )


def _admitted_pod(prepare: Callable[[Document], Document]) -> Callable[[Document], Document]:
    """Do to a new Pod what an admission plugin does that every Kubernetes cluster runs: its tolerations."""
    return lambda new: default_toleration_seconds(prepare(new))


def _kept_pod(prepare: Callable[[Document, Document], Document]) -> Callable[[Document, Document], Document]:
    return lambda new, old: default_toleration_seconds(keep_priority(prepare(new, old), old))


def _spec(new: Document, old: Document) -> bool:
    return new.get("spec") != old.get("spec")


def _spec_or_annotations(new: Document, old: Document) -> bool:
    return _spec(new, old) or _meta(new, "annotations") != _meta(old, "annotations")


def _content_or_labels(new: Document, old: Document) -> bool:
    return _without(new, "metadata") != _without(old, "metadata") or _meta(new, "labels") != _meta(old, "labels")


def _everything_but_status(new: Document, old: Document) -> bool:
    return _without(new, "metadata", "status") != _without(old, "metadata", "status")


def _meta(document: Document, name: str) -> Any:
    return document["metadata"].get(name) or {}


def _without(document: Document, *names: str) -> Document:
    return {key: value for key, value in document.items() if key not in names}


_GENERATION: dict[str, Changed | None] = {
    "Pod": _spec,
    "Deployment.apps": _spec_or_annotations,
    **dict.fromkeys(("ReplicaSet.apps", "StatefulSet.apps", "DaemonSet.apps", "ReplicationController"), _spec),
    **dict.fromkeys(("Job.batch", "CronJob.batch"), _spec),
    "ControllerRevision.apps": None,
    "HorizontalPodAutoscaler.autoscaling": None,
    "PodDisruptionBudget.policy": _spec,
    "PodGroup.scheduling.k8s.io": _spec,
    "PriorityClass.scheduling.k8s.io": lambda _new, _old: False,
    "EndpointSlice.discovery.k8s.io": _content_or_labels,
    "Ingress.networking.k8s.io": _spec,
    "NetworkPolicy.networking.k8s.io": _spec,
    **dict.fromkeys(("Endpoints", "ServiceAccount", "ResourceQuota", "LimitRange"), None),
    **dict.fromkeys(("PersistentVolume", "PersistentVolumeClaim", "StorageClass.storage.k8s.io"), None),
    **dict.fromkeys(
        ("Namespace", "Node", "Service", "ConfigMap", "Secret", "Event", "Binding", "Lease.coordination.k8s.io"), None
    ),
}
"""Which changes raise the generation (pkg/registry, the strategies' PrepareForUpdate); None: the kind has none."""

_CONDITIONAL = frozenset({"Lease.coordination.k8s.io", "PodDisruptionBudget.policy"})
_CREATED_BY_UPDATE = frozenset({"Service", "Event", "Lease.coordination.k8s.io", "LimitRange"})
_ORPHANING = frozenset({"Job.batch", "ReplicationController"})
_PODS_STAY = (
    "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them or set "
    "propagationPolicy=Orphan to suppress this warning"
)
