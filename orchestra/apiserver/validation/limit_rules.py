"""The rules of what a namespace may use, and of ServiceAccounts, as the registry asks for them."""

from __future__ import annotations

from orchestra.apiserver.defaults import limits as defaults
from orchestra.apiserver.defaults import prepare
from orchestra.apiserver.validation import limits, quotas
from orchestra.apiserver.validation.kind_rules import KindRules
from orchestra.apiserver.validation.options import RuleOptions


def resource_quota_rules(_options: RuleOptions) -> KindRules:
    """Return the rules of a ResourceQuota."""
    return KindRules(
        default=defaults.default_resource_quota,
        prepare_create=defaults.create_resource_quota,
        prepare_update=prepare.keep_status,
        prepare_status_update=defaults.update_resource_quota_status,
        validate=quotas.validate_resource_quota,
        validate_update=quotas.validate_resource_quota_update,
        validate_status_update=quotas.validate_resource_quota_status,
    )


def limit_range_rules(_options: RuleOptions) -> KindRules:
    """Return the rules of a LimitRange."""
    return KindRules(
        default=defaults.default_limit_range,
        validate=limits.validate_limit_range,
        validate_update=limits.validate_limit_range_update,
    )


def service_account_rules(_options: RuleOptions) -> KindRules:
    """Return the rules of a ServiceAccount."""
    return KindRules(
        default=defaults.default_service_account,
        prepare_create=defaults.create_service_account,
        prepare_update=defaults.update_service_account,
        validate=limits.validate_service_account,
        validate_update=limits.validate_service_account_update,
        warnings=limits.warnings_of_service_account,
    )
