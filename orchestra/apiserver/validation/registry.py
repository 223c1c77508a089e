"""The rules of every kind in one table: `rules_for(info)` is what the server's write path asks.

A kind without rules of its own, such as a user's, gets the rules of metadata. Messages, their order and their number
are those of kube-apiserver 1.36, where metadata is checked by the generic update path and again by most kinds.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import attrs

from orchestra.api.object import ResourceInfo
from orchestra.apiserver.defaults import prepare
from orchestra.apiserver.defaults.canonical import pruned
from orchestra.apiserver.validation import warnings
from orchestra.apiserver.validation.fields import Errors
from orchestra.apiserver.validation.formats import dns_subdomain
from orchestra.apiserver.validation.kind_rules import KindRules
from orchestra.apiserver.validation.metadata import check_metadata, check_metadata_update
from orchestra.apiserver.validation.options import DEFAULT_OPTIONS, RuleOptions

Document = dict[str, Any]
REMEMBERED_RULES = 256


def _accept_update(new: Document, old: Document) -> Errors:
    errors: Errors = []
    check_metadata_update(new, old, errors)
    return errors


def _generic_update(rule: Callable[[Document, Document], Errors]) -> Callable[[Document, Document], Errors]:
    """Return an update's rule behind the one that every kind has, as Kubernetes' generic registry does."""

    def validate(new: Document, old: Document) -> Errors:
        errors: Errors = []
        check_metadata_update(new, old, errors)
        return [*errors, *rule(new, old)]

    return validate


RULES: dict[str, str] = {
    "Pod": "pod_rules.pod_rules",
    "ReplicaSet.apps": "workload_rules.replica_set_rules",
    "Deployment.apps": "workload_rules.deployment_rules",
    "StatefulSet.apps": "set_rules.stateful_set_rules",
    "DaemonSet.apps": "set_rules.daemon_set_rules",
    "ControllerRevision.apps": "set_rules.controller_revision_rules",
    "Job.batch": "job_rules.job_rules",
    "CronJob.batch": "job_rules.cron_job_rules",
    "HorizontalPodAutoscaler.autoscaling": "autoscaling_rules.autoscaler_rules",
    "ReplicationController": "set_rules.replication_controller_rules",
    "Service": "service_rules.service_rules",
    "Endpoints": "networking_rules.endpoints_rules",
    "Ingress.networking.k8s.io": "networking_rules.ingress_rules",
    "NetworkPolicy.networking.k8s.io": "networking_rules.network_policy_rules",
    "ServiceAccount": "limit_rules.service_account_rules",
    "ResourceQuota": "limit_rules.resource_quota_rules",
    "LimitRange": "limit_rules.limit_range_rules",
    "PersistentVolume": "storage_rules.volume_rules",
    "PersistentVolumeClaim": "storage_rules.claim_rules",
    "StorageClass.storage.k8s.io": "storage_rules.storage_class_rules",
    "Namespace": "cluster_rules.namespace_rules",
    "Node": "cluster_rules.node_rules",
    "ConfigMap": "config_rules.config_map_rules",
    "Secret": "config_rules.secret_rules",
    "EndpointSlice.discovery.k8s.io": "coordination_rules.endpoint_slice_rules",
    "Lease.coordination.k8s.io": "coordination_rules.lease_rules",
    "Event": "coordination_rules.event_rules",
    "Binding": "cluster_rules.binding_rules",
    "PriorityClass.scheduling.k8s.io": "scheduling_rules.priority_class_rules",
    "PodGroup.scheduling.k8s.io": "scheduling_rules.pod_group_rules",
    "PodDisruptionBudget.policy": "scheduling_rules.disruption_budget_rules",
}
"""What makes each kind's rules, by kind and group: module and function, loaded when the kind is first written."""


def _rules_of(make: str, options: RuleOptions) -> KindRules:
    module, _, name = make.partition(".")
    of_kind: Callable[[RuleOptions], KindRules] = getattr(
        importlib.import_module(f"orchestra.apiserver.validation.{module}"), name
    )
    rules = of_kind(options)
    return attrs.evolve(
        rules,
        validate_update=_generic_update(rules.validate_update),
        validate_status_update=_generic_update(rules.validate_status_update),
        parts={name: attrs.evolve(part, validate=_generic_update(part.validate)) for name, part in rules.parts.items()},
    )


def _custom(info: ResourceInfo) -> KindRules:
    def validate(new: Document) -> Errors:
        errors: Errors = []
        check_metadata(new, dns_subdomain, errors, namespaced=info.namespaced, kube_finalizers=False)
        return errors

    has_status = "status" in info.subresources
    return KindRules(
        default=lambda new: new,
        prepare_create=prepare.create_without_status if has_status else prepare.keep_all,
        prepare_update=prepare.keep_status if has_status else prepare.keep_everything,
        validate=validate,
        validate_update=_accept_update,
        validate_status_update=_accept_update,
        warnings=warnings.warnings_of_custom,
    )


def _without_namespace(prepare_create: Callable[[Document], Document]) -> Callable[[Document], Document]:
    def prepare_cluster_scoped(new: Document) -> Document:
        meta = new.get("metadata") or {}
        if "namespace" in meta:
            new = {**new, "metadata": {name: value for name, value in meta.items() if name != "namespace"}}
        return prepare_create(new)

    return prepare_cluster_scoped


def _pruning(default: Callable[[Document], Document], info: ResourceInfo) -> Callable[[Document], Document]:
    cls = getattr(importlib.import_module(info.module), info.kind)

    def prune_and_default(document: Document) -> Document:
        kept = pruned(document, cls)
        return default(document if kept == document else kept)

    return prune_and_default


@lru_cache(REMEMBERED_RULES)
def rules_for(info: ResourceInfo, options: RuleOptions = DEFAULT_OPTIONS) -> KindRules:
    """Return the rules of a kind on a server with these options."""
    make = RULES.get(info.group_kind) if info.module else None
    rules = _custom(info) if make is None else _rules_of(make, options)
    if make is not None and options.prune_undeclared:
        rules = attrs.evolve(rules, default=_pruning(rules.default, info))
    if not info.namespaced:
        rules = attrs.evolve(rules, prepare_create=_without_namespace(rules.prepare_create))
    return rules
