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
from orchestra.apiserver.defaults import others, prepare, service_prepare
from orchestra.apiserver.defaults import pod as pod_defaults
from orchestra.apiserver.defaults import service as service_defaults
from orchestra.apiserver.defaults import workloads as workload_defaults
from orchestra.apiserver.defaults.canonical import pruned
from orchestra.apiserver.validation import cluster, config, coordination, warnings, workloads
from orchestra.apiserver.validation.fields import Errors
from orchestra.apiserver.validation.formats import dns_subdomain
from orchestra.apiserver.validation.metadata import check_metadata, check_metadata_update
from orchestra.apiserver.validation.options import DEFAULT_OPTIONS, RuleOptions
from orchestra.apiserver.validation.pod import validate_pod
from orchestra.apiserver.validation.pod_status import validate_pod_status
from orchestra.apiserver.validation.pod_update import validate_pod_update
from orchestra.apiserver.validation.service import validate_service
from orchestra.apiserver.validation.service_update import validate_service_status, validate_service_update

Document = dict[str, Any]
REMEMBERED_RULES = 256


def _accept(_new: Document, _old: Document) -> Errors:
    return []


def _accept_update(new: Document, old: Document) -> Errors:
    errors: Errors = []
    check_metadata_update(new, old, errors)
    return errors


@attrs.frozen(kw_only=True)
class KindRules:
    """What one kind says of its writes. All are pure and return the same document when nothing changes.

    `default` fills in what the writer left open, `prepare_*` give back what the writer has no say in, `validate*` list
    every fault, `warnings(document, old)` says what is valid but will surprise. A status update of a kind without
    status does not happen.
    """

    default: Callable[[Document], Document]
    validate: Callable[[Document], Errors]
    validate_update: Callable[[Document, Document], Errors]
    prepare_create: Callable[[Document], Document] = prepare.keep_all
    prepare_update: Callable[[Document, Document], Document] = prepare.keep_everything
    prepare_status_update: Callable[[Document, Document], Document] = prepare.only_status
    validate_status_update: Callable[[Document, Document], Errors] = _accept
    warnings: Callable[[Document, Document | None], list[str]] = warnings.no_warnings


def _generic_update(rule: Callable[[Document, Document], Errors]) -> Callable[[Document, Document], Errors]:
    """Return an update's rule behind the one that every kind has, as Kubernetes' generic registry does."""

    def validate(new: Document, old: Document) -> Errors:
        errors: Errors = []
        check_metadata_update(new, old, errors)
        return [*errors, *rule(new, old)]

    return validate


def _pod(options: RuleOptions) -> KindRules:
    return KindRules(
        default=pod_defaults.default_pod,
        prepare_create=prepare.create_pod,
        prepare_update=prepare.keep_status,
        prepare_status_update=prepare.update_pod_status,
        validate=lambda new: validate_pod(new, options),
        validate_update=lambda new, old: validate_pod_update(new, old, options),
        validate_status_update=validate_pod_status,
        warnings=warnings.warnings_of_pod,
    )


def _replica_set(options: RuleOptions) -> KindRules:
    return KindRules(
        default=workload_defaults.default_replica_set,
        prepare_create=prepare.create_replica_set,
        prepare_update=prepare.keep_status,
        prepare_status_update=prepare.update_replica_set_status,
        validate=lambda new: workloads.validate_replica_set(new, options),
        validate_update=lambda new, old: workloads.validate_replica_set_update(new, old, options),
        validate_status_update=workloads.validate_replica_set_status,
        warnings=warnings.warnings_of_template,
    )


def _deployment(options: RuleOptions) -> KindRules:
    return KindRules(
        default=workload_defaults.default_deployment,
        prepare_create=prepare.create_without_status,
        prepare_update=prepare.keep_status,
        prepare_status_update=prepare.update_deployment_status,
        validate=lambda new: workloads.validate_deployment(new, options),
        validate_update=lambda new, old: workloads.validate_deployment_update(new, old, options),
        validate_status_update=workloads.validate_deployment_status,
        warnings=warnings.warnings_of_template,
    )


def _service(options: RuleOptions) -> KindRules:
    families = options.ip_families
    return KindRules(
        default=service_defaults.default_service,
        prepare_create=lambda new: service_prepare.create_service(new, families),
        prepare_update=lambda new, old: service_prepare.update_service(new, old, families),
        prepare_status_update=prepare.update_service_status,
        validate=lambda new: validate_service(new, options),
        validate_update=lambda new, old: validate_service_update(new, old, options),
        validate_status_update=validate_service_status,
        warnings=warnings.warnings_of_service,
    )


def _namespace(_options: RuleOptions) -> KindRules:
    return KindRules(
        default=others.default_namespace,
        prepare_create=prepare.create_namespace,
        prepare_update=prepare.update_namespace,
        prepare_status_update=prepare.update_namespace_status,
        validate=cluster.validate_namespace,
        validate_update=cluster.validate_namespace_update,
        validate_status_update=cluster.validate_namespace_status,
    )


def _node(_options: RuleOptions) -> KindRules:
    return KindRules(
        default=others.default_node,
        prepare_update=prepare.keep_status,
        prepare_status_update=prepare.update_node_status,
        validate=cluster.validate_node,
        validate_update=cluster.validate_node_update,
        validate_status_update=cluster.validate_node_update,
    )


def _config_map(_options: RuleOptions) -> KindRules:
    return KindRules(
        default=others.default_config_map,
        validate=config.validate_config_map,
        validate_update=config.validate_config_map_update,
    )


def _secret(_options: RuleOptions) -> KindRules:
    return KindRules(
        default=others.default_secret,
        validate=config.validate_secret,
        validate_update=config.validate_secret_update,
    )


def _endpoint_slice(options: RuleOptions) -> KindRules:
    return KindRules(
        default=others.default_endpoint_slice,
        validate=lambda new: coordination.validate_endpoint_slice(new, options),
        validate_update=lambda new, old: coordination.validate_endpoint_slice_update(new, old, options),
        warnings=warnings.warnings_of_endpoint_slice,
    )


def _lease(_options: RuleOptions) -> KindRules:
    return KindRules(
        default=others.default_lease,
        validate=coordination.validate_lease,
        validate_update=coordination.validate_lease_update,
    )


def _event(_options: RuleOptions) -> KindRules:
    return KindRules(
        default=others.default_event,
        validate=coordination.validate_event,
        validate_update=coordination.validate_event_update,
    )


def _binding(_options: RuleOptions) -> KindRules:
    return KindRules(default=others.default_binding, validate=cluster.validate_binding, validate_update=_accept)


RULES: dict[str, Callable[[RuleOptions], KindRules]] = {
    "Pod": _pod,
    "ReplicaSet.apps": _replica_set,
    "Deployment.apps": _deployment,
    "Service": _service,
    "Namespace": _namespace,
    "Node": _node,
    "ConfigMap": _config_map,
    "Secret": _secret,
    "EndpointSlice.discovery.k8s.io": _endpoint_slice,
    "Lease.coordination.k8s.io": _lease,
    "Event": _event,
    "Binding": _binding,
}
"""How each kind's rules are made, by kind and group."""


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
    rules = _custom(info) if make is None else make(options)
    if make is not None:
        rules = attrs.evolve(
            rules,
            validate_update=_generic_update(rules.validate_update),
            validate_status_update=_generic_update(rules.validate_status_update),
        )
    if make is not None and options.prune_undeclared:
        rules = attrs.evolve(rules, default=_pruning(rules.default, info))
    if not info.namespaced:
        rules = attrs.evolve(rules, prepare_create=_without_namespace(rules.prepare_create))
    return rules
