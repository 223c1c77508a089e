"""The rules of Endpoints, Ingresses and NetworkPolicies, as the registry asks for them."""

from __future__ import annotations

from orchestra.apiserver.defaults import networking as defaults
from orchestra.apiserver.validation import endpoints, networking
from orchestra.apiserver.validation.kind_rules import KindRules
from orchestra.apiserver.validation.options import RuleOptions


def endpoints_rules(options: RuleOptions) -> KindRules:
    """Return the rules of Endpoints."""
    return KindRules(
        default=defaults.default_endpoints,
        validate=lambda new: endpoints.validate_endpoints(new, options),
        validate_update=lambda new, old: endpoints.validate_endpoints_update(new, old, options),
        warnings=endpoints.warnings_of_endpoints,
    )


def ingress_rules(_options: RuleOptions) -> KindRules:
    """Return the rules of an Ingress."""
    return KindRules(
        default=defaults.default_ingress,
        prepare_create=defaults.create_ingress,
        prepare_update=defaults.update_ingress,
        prepare_status_update=defaults.update_ingress_status,
        validate=networking.validate_ingress,
        validate_update=networking.validate_ingress_update,
        validate_status_update=networking.validate_ingress_status,
        warnings=networking.warnings_of_ingress,
    )


def network_policy_rules(_options: RuleOptions) -> KindRules:
    """Return the rules of a NetworkPolicy."""
    return KindRules(
        default=defaults.default_network_policy,
        validate=networking.validate_network_policy,
        validate_update=networking.validate_network_policy_update,
    )
