"""The rules of the kinds that make up a cluster, as the registry asks for them."""

from __future__ import annotations

from orchestra.apiserver.defaults import others, prepare
from orchestra.apiserver.validation import cluster
from orchestra.apiserver.validation.kind_rules import KindRules, accept
from orchestra.apiserver.validation.options import RuleOptions


def namespace_rules(_options: RuleOptions) -> KindRules:
    """Return the rules of a Namespace."""
    return KindRules(
        default=others.default_namespace,
        prepare_create=prepare.create_namespace,
        prepare_update=prepare.update_namespace,
        prepare_status_update=prepare.update_namespace_status,
        validate=cluster.validate_namespace,
        validate_update=cluster.validate_namespace_update,
        validate_status_update=cluster.validate_namespace_status,
    )


def node_rules(_options: RuleOptions) -> KindRules:
    """Return the rules of a Node."""
    return KindRules(
        default=others.default_node,
        prepare_update=prepare.keep_status,
        prepare_status_update=prepare.update_node_status,
        validate=cluster.validate_node,
        validate_update=cluster.validate_node_update,
        validate_status_update=cluster.validate_node_update,
    )


def binding_rules(_options: RuleOptions) -> KindRules:
    """Return the rules of a Binding."""
    return KindRules(default=others.default_binding, validate=cluster.validate_binding, validate_update=accept)
