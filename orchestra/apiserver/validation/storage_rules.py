"""The rules of volumes, claims and classes of volumes, as the registry asks for them."""

from __future__ import annotations

from orchestra.apiserver.defaults import persistent_volumes as defaults
from orchestra.apiserver.defaults import prepare
from orchestra.apiserver.validation import claims, volumes
from orchestra.apiserver.validation.kind_rules import KindRules
from orchestra.apiserver.validation.options import RuleOptions


def claim_rules(_options: RuleOptions) -> KindRules:
    """Return the rules of a PersistentVolumeClaim."""
    return KindRules(
        default=defaults.default_claim,
        prepare_create=defaults.create_claim,
        prepare_update=prepare.keep_status,
        prepare_status_update=defaults.update_claim_status,
        validate=claims.validate_claim,
        validate_update=claims.validate_claim_update,
        validate_status_update=claims.validate_claim_status,
        warnings=claims.warnings_of_claim,
    )


def volume_rules(_options: RuleOptions) -> KindRules:
    """Return the rules of a PersistentVolume."""
    return KindRules(
        default=defaults.default_volume,
        prepare_create=defaults.create_volume,
        prepare_update=prepare.keep_status,
        prepare_status_update=defaults.update_volume_status,
        validate=volumes.validate_volume,
        validate_update=volumes.validate_volume_update,
        validate_status_update=volumes.validate_volume_status,
        warnings=volumes.warnings_of_volume,
    )


def storage_class_rules(_options: RuleOptions) -> KindRules:
    """Return the rules of a StorageClass."""
    return KindRules(
        default=defaults.default_storage_class,
        validate=volumes.validate_storage_class,
        validate_update=volumes.validate_storage_class_update,
    )
