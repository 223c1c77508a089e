"""The rules of the kinds that parts of a cluster tell each other by, as the registry asks for them."""

from __future__ import annotations

from orchestra.apiserver.defaults import others
from orchestra.apiserver.validation import coordination
from orchestra.apiserver.validation.address_warnings import warnings_of_endpoint_slice
from orchestra.apiserver.validation.kind_rules import KindRules
from orchestra.apiserver.validation.options import RuleOptions


def endpoint_slice_rules(options: RuleOptions) -> KindRules:
    """Return the rules of an EndpointSlice."""
    return KindRules(
        default=others.default_endpoint_slice,
        validate=lambda new: coordination.validate_endpoint_slice(new, options),
        validate_update=lambda new, old: coordination.validate_endpoint_slice_update(new, old, options),
        warnings=warnings_of_endpoint_slice,
    )


def lease_rules(_options: RuleOptions) -> KindRules:
    """Return the rules of a Lease."""
    return KindRules(
        default=others.default_lease,
        validate=coordination.validate_lease,
        validate_update=coordination.validate_lease_update,
    )


def event_rules(_options: RuleOptions) -> KindRules:
    """Return the rules of an Event."""
    return KindRules(
        default=others.default_event,
        validate=coordination.validate_event,
        validate_update=coordination.validate_event_update,
    )
