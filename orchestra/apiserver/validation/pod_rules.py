"""The rules of Pods, as the registry asks for them."""

from __future__ import annotations

from orchestra.apiserver.defaults import pod_prepare, prepare
from orchestra.apiserver.defaults.pod import default_pod
from orchestra.apiserver.validation.kind_rules import KindRules
from orchestra.apiserver.validation.options import RuleOptions
from orchestra.apiserver.validation.pod import validate_pod
from orchestra.apiserver.validation.pod_status import validate_pod_status
from orchestra.apiserver.validation.pod_subresources import pod_part_rules
from orchestra.apiserver.validation.pod_update import validate_pod_update
from orchestra.apiserver.validation.pod_warnings import warnings_of_pod


def pod_rules(options: RuleOptions) -> KindRules:
    """Return the rules of a Pod."""
    return KindRules(
        default=default_pod,
        prepare_create=pod_prepare.create_pod,
        prepare_update=prepare.keep_status,
        prepare_status_update=pod_prepare.update_pod_status,
        validate=lambda new: validate_pod(new, options),
        validate_update=lambda new, old: validate_pod_update(new, old, options),
        validate_status_update=validate_pod_status,
        warnings=warnings_of_pod,
        parts=pod_part_rules(options),
    )
