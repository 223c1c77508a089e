"""The rules of numbered Pods, of one Pod a node, and of older controllers, as the registry asks for them."""

from __future__ import annotations

from orchestra.apiserver.defaults import prepare
from orchestra.apiserver.defaults import sets as defaults
from orchestra.apiserver.validation import sets
from orchestra.apiserver.validation.kind_rules import KindRules
from orchestra.apiserver.validation.options import RuleOptions
from orchestra.apiserver.validation.pod_warnings import warnings_of_template


def stateful_set_rules(options: RuleOptions) -> KindRules:
    """Return the rules of a StatefulSet."""
    return KindRules(
        default=defaults.default_stateful_set,
        prepare_create=defaults.create_stateful_set,
        prepare_update=defaults.update_stateful_set,
        prepare_status_update=defaults.update_stateful_set_status,
        validate=lambda new: sets.validate_stateful_set(new, options),
        validate_update=lambda new, old: sets.validate_stateful_set_update(new, old, options),
        validate_status_update=sets.validate_stateful_set_status,
        warnings=warnings_of_template,
    )


def daemon_set_rules(options: RuleOptions) -> KindRules:
    """Return the rules of a DaemonSet."""
    return KindRules(
        default=defaults.default_daemon_set,
        prepare_create=defaults.create_daemon_set,
        prepare_update=defaults.update_daemon_set,
        prepare_status_update=defaults.update_daemon_set_status,
        validate=lambda new: sets.validate_daemon_set(new, options),
        validate_update=lambda new, old: sets.validate_daemon_set_update(new, old, options),
        validate_status_update=sets.validate_daemon_set_status,
        warnings=warnings_of_template,
    )


def replication_controller_rules(options: RuleOptions) -> KindRules:
    """Return the rules of a ReplicationController."""
    return KindRules(
        default=defaults.default_replication_controller,
        prepare_create=defaults.create_replication_controller,
        prepare_update=prepare.keep_status,
        prepare_status_update=defaults.update_replication_controller_status,
        validate=lambda new: sets.validate_replication_controller(new, options),
        validate_update=lambda new, old: sets.validate_replication_controller_update(new, old, options),
        validate_status_update=sets.validate_replication_controller_status,
        warnings=warnings_of_template,
    )


def controller_revision_rules(_options: RuleOptions) -> KindRules:
    """Return the rules of a ControllerRevision."""
    return KindRules(
        default=defaults.default_controller_revision,
        validate=sets.validate_controller_revision,
        validate_update=sets.validate_controller_revision_update,
    )
