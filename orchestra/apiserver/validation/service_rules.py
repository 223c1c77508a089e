"""The rules of Services, as the registry asks for them."""

from __future__ import annotations

from orchestra.apiserver.defaults import prepare, service_prepare
from orchestra.apiserver.defaults.service import default_service
from orchestra.apiserver.validation.address_warnings import warnings_of_service
from orchestra.apiserver.validation.kind_rules import KindRules
from orchestra.apiserver.validation.options import RuleOptions
from orchestra.apiserver.validation.service import validate_service
from orchestra.apiserver.validation.service_update import validate_service_status, validate_service_update


def service_rules(options: RuleOptions) -> KindRules:
    """Return the rules of a Service."""
    families = options.ip_families
    return KindRules(
        default=default_service,
        prepare_create=lambda new: service_prepare.create_service(new, families),
        prepare_update=lambda new, old: service_prepare.update_service(new, old, families),
        prepare_status_update=prepare.update_service_status,
        validate=lambda new: validate_service(new, options),
        validate_update=lambda new, old: validate_service_update(new, old, options),
        validate_status_update=validate_service_status,
        warnings=warnings_of_service,
    )
