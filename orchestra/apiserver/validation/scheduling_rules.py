"""The rules of the kinds that placement is governed by, as the registry asks for them."""

from __future__ import annotations

from orchestra.apiserver.defaults import prepare
from orchestra.apiserver.defaults import scheduling as defaults
from orchestra.apiserver.validation import scheduling
from orchestra.apiserver.validation.kind_rules import KindRules
from orchestra.apiserver.validation.options import RuleOptions


def priority_class_rules(_options: RuleOptions) -> KindRules:
    """Return the rules of a PriorityClass."""
    return KindRules(
        default=defaults.default_priority_class,
        validate=scheduling.validate_priority_class,
        validate_update=scheduling.validate_priority_class_update,
    )


def pod_group_rules(_options: RuleOptions) -> KindRules:
    """Return the rules of a PodGroup."""
    return KindRules(
        default=defaults.default_pod_group,
        prepare_create=prepare.create_without_status,
        prepare_update=prepare.keep_status,
        prepare_status_update=defaults.update_pod_group_status,
        validate=scheduling.validate_pod_group,
        validate_update=scheduling.validate_pod_group_update,
        validate_status_update=scheduling.validate_pod_group_status,
    )


def disruption_budget_rules(_options: RuleOptions) -> KindRules:
    """Return the rules of a PodDisruptionBudget."""
    return KindRules(
        default=defaults.default_disruption_budget,
        prepare_create=defaults.create_disruption_budget,
        prepare_update=prepare.keep_status,
        prepare_status_update=defaults.update_disruption_budget_status,
        validate=scheduling.validate_disruption_budget,
        validate_update=scheduling.validate_disruption_budget_update,
        validate_status_update=scheduling.validate_disruption_budget_status,
    )
