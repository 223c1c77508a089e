"""The rules of configuration, as the registry asks for them."""

from __future__ import annotations

from orchestra.apiserver.defaults import others
from orchestra.apiserver.validation import config
from orchestra.apiserver.validation.kind_rules import KindRules
from orchestra.apiserver.validation.options import RuleOptions


def config_map_rules(_options: RuleOptions) -> KindRules:
    """Return the rules of a ConfigMap."""
    return KindRules(
        default=others.default_config_map,
        validate=config.validate_config_map,
        validate_update=config.validate_config_map_update,
    )


def secret_rules(_options: RuleOptions) -> KindRules:
    """Return the rules of a Secret."""
    return KindRules(
        default=others.default_secret,
        validate=config.validate_secret,
        validate_update=config.validate_secret_update,
    )
