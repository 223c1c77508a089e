"""The rules of the kinds that make Pods, as the registry asks for them."""

from __future__ import annotations

from orchestra.apiserver.defaults import prepare
from orchestra.apiserver.defaults.workloads import default_deployment, default_replica_set
from orchestra.apiserver.validation import workloads
from orchestra.apiserver.validation.kind_rules import KindRules
from orchestra.apiserver.validation.options import RuleOptions
from orchestra.apiserver.validation.pod_warnings import warnings_of_template


def replica_set_rules(options: RuleOptions) -> KindRules:
    """Return the rules of a ReplicaSet."""
    return KindRules(
        default=default_replica_set,
        prepare_create=prepare.create_replica_set,
        prepare_update=prepare.keep_status,
        prepare_status_update=prepare.update_replica_set_status,
        validate=lambda new: workloads.validate_replica_set(new, options),
        validate_update=lambda new, old: workloads.validate_replica_set_update(new, old, options),
        validate_status_update=workloads.validate_replica_set_status,
        warnings=warnings_of_template,
    )


def deployment_rules(options: RuleOptions) -> KindRules:
    """Return the rules of a Deployment."""
    return KindRules(
        default=default_deployment,
        prepare_create=prepare.create_without_status,
        prepare_update=prepare.keep_status,
        prepare_status_update=prepare.update_deployment_status,
        validate=lambda new: workloads.validate_deployment(new, options),
        validate_update=lambda new, old: workloads.validate_deployment_update(new, old, options),
        validate_status_update=workloads.validate_deployment_status,
        warnings=warnings_of_template,
    )
