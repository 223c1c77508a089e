"""Numbered Pods with volumes of their own: apps/v1 StatefulSet."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from attrs import frozen

from orchestra.api import builtin
from orchestra.api.core.pod import PodTemplateSpec
from orchestra.api.meta import LabelSelector
from orchestra.api.object import Object, Struct, declared, freeze_fields, int32, list_map, omit_empty, resource

if TYPE_CHECKING:
    from orchestra.api.core.persistentvolume import PersistentVolumeClaim


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class RollingUpdateStatefulSetStrategy(Struct):
    """Ordinals below `partition` keep the old revision."""

    partition: int | None = int32()
    max_unavailable: int | str | None = None


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class StatefulSetUpdateStrategy(Struct):
    """How Pods get a new template: RollingUpdate or OnDelete."""

    type: str = omit_empty(go="v1.StatefulSetUpdateStrategyType")
    rolling_update: RollingUpdateStatefulSetStrategy | None = None


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class StatefulSetPersistentVolumeClaimRetentionPolicy(Struct):
    """Whether volume claims go (Delete) or stay (Retain) with their set, and with their Pod."""

    when_deleted: str = omit_empty(go="v1.PersistentVolumeClaimRetentionPolicyType")
    when_scaled: str = omit_empty(go="v1.PersistentVolumeClaimRetentionPolicyType")


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class StatefulSetOrdinals(Struct):
    """The number of the first Pod."""

    start: int = int32(0)


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class StatefulSetSpec(Struct):
    """How many numbered Pods of which template, with which volume claims."""

    replicas: int | None = int32()
    selector: LabelSelector | None = declared(required=True)
    template: PodTemplateSpec = PodTemplateSpec()
    volume_claim_templates: tuple[PersistentVolumeClaim, ...] = ()
    service_name: str = ""
    pod_management_policy: str = omit_empty(go="v1.PodManagementPolicyType")
    update_strategy: StatefulSetUpdateStrategy = StatefulSetUpdateStrategy()
    revision_history_limit: int | None = int32()
    min_ready_seconds: int = omit_empty(0, int32=True)
    persistent_volume_claim_retention_policy: StatefulSetPersistentVolumeClaimRetentionPolicy | None = None
    ordinals: StatefulSetOrdinals | None = None


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class StatefulSetCondition(Struct):
    """One aspect of a StatefulSet's state."""

    type: str = declared("", go="v1.StatefulSetConditionType")
    status: str = declared("", go="v1.ConditionStatus")
    last_transition_time: datetime | None = declared(nullable=True)
    reason: str = omit_empty()
    message: str = omit_empty()


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class StatefulSetStatus(Struct):
    """How many Pods there are, and of which revisions."""

    observed_generation: int = omit_empty(0)
    replicas: int = int32(0)
    ready_replicas: int = omit_empty(0, int32=True)
    current_replicas: int = omit_empty(0, int32=True)
    updated_replicas: int = omit_empty(0, int32=True)
    current_revision: str = omit_empty()
    update_revision: str = omit_empty()
    collision_count: int | None = int32()
    conditions: tuple[StatefulSetCondition, ...] = list_map("type")
    available_replicas: int = int32(0)


@resource(builtin.STATEFUL_SET)
@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class StatefulSet(Object):
    """Keeps Pods that have an ordinal, a stable name and claims of their own."""

    spec: StatefulSetSpec = StatefulSetSpec()
    status: StatefulSetStatus = StatefulSetStatus()
