"""The rules of HorizontalPodAutoscalers, as the registry asks for them."""

from __future__ import annotations

from orchestra.apiserver.defaults import autoscaling as defaults
from orchestra.apiserver.defaults import prepare
from orchestra.apiserver.validation import autoscaling
from orchestra.apiserver.validation.kind_rules import KindRules
from orchestra.apiserver.validation.options import RuleOptions


def autoscaler_rules(_options: RuleOptions) -> KindRules:
    """Return the rules of a HorizontalPodAutoscaler."""
    return KindRules(
        default=defaults.default_autoscaler,
        prepare_create=prepare.create_without_status,
        prepare_update=prepare.keep_status,
        prepare_status_update=defaults.update_autoscaler_status,
        validate=autoscaling.validate_autoscaler,
        validate_update=autoscaling.validate_autoscaler_update,
        validate_status_update=autoscaling.validate_autoscaler_status,
    )
