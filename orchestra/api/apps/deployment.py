"""Pods that are all alike: apps/v1 Deployment and ReplicaSet."""

from __future__ import annotations

from datetime import datetime

from attrs import frozen

from orchestra.api import builtin
from orchestra.api.core.pod import PodTemplateSpec
from orchestra.api.meta import LabelSelector
from orchestra.api.object import Object, Struct, declared, freeze_fields, int32, list_map, omit_empty, resource


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class RollingUpdateDeployment(Struct):
    """How many Pods may be missing and how many may be too many during a rollout; numbers or percentages."""

    max_unavailable: int | str | None = None
    max_surge: int | str | None = None


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class DeploymentStrategy(Struct):
    """How old Pods give way to new ones: RollingUpdate or Recreate."""

    type: str = omit_empty(go="v1.DeploymentStrategyType")
    rolling_update: RollingUpdateDeployment | None = None


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class DeploymentSpec(Struct):
    """How many Pods of which template, and how changes roll out."""

    replicas: int | None = int32()
    selector: LabelSelector | None = declared(required=True)
    template: PodTemplateSpec = PodTemplateSpec()
    strategy: DeploymentStrategy = declared(DeploymentStrategy(), retain_keys=True)
    min_ready_seconds: int = omit_empty(0, int32=True)
    revision_history_limit: int | None = int32()
    paused: bool = omit_empty(False)
    progress_deadline_seconds: int | None = int32()


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class DeploymentCondition(Struct):
    """One aspect of a rollout: Available, Progressing or ReplicaFailure."""

    type: str = declared("", go="v1.DeploymentConditionType")
    status: str = declared("", go="v1.ConditionStatus")
    last_update_time: datetime | None = declared(nullable=True)
    last_transition_time: datetime | None = declared(nullable=True)
    reason: str = omit_empty()
    message: str = omit_empty()


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class DeploymentStatus(Struct):
    """How far a rollout is."""

    observed_generation: int = omit_empty(0)
    replicas: int = omit_empty(0, int32=True)
    updated_replicas: int = omit_empty(0, int32=True)
    ready_replicas: int = omit_empty(0, int32=True)
    available_replicas: int = omit_empty(0, int32=True)
    unavailable_replicas: int = omit_empty(0, int32=True)
    terminating_replicas: int | None = int32()
    conditions: tuple[DeploymentCondition, ...] = list_map("type")
    collision_count: int | None = int32()


@resource(builtin.DEPLOYMENT)
@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class Deployment(Object):
    """Keeps Pods of a template running and replaces them step by step when the template changes."""

    spec: DeploymentSpec = DeploymentSpec()
    status: DeploymentStatus = DeploymentStatus()


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class ReplicaSetSpec(Struct):
    """How many Pods of which template."""

    replicas: int | None = int32()
    min_ready_seconds: int = omit_empty(0, int32=True)
    selector: LabelSelector | None = declared(required=True)
    template: PodTemplateSpec = PodTemplateSpec()


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class ReplicaSetCondition(Struct):
    """Why Pods could not be made or removed."""

    type: str = declared("", go="v1.ReplicaSetConditionType")
    status: str = declared("", go="v1.ConditionStatus")
    last_transition_time: datetime | None = declared(nullable=True)
    reason: str = omit_empty()
    message: str = omit_empty()


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class ReplicaSetStatus(Struct):
    """How many Pods there are."""

    replicas: int = int32(0)
    fully_labeled_replicas: int = omit_empty(0, int32=True)
    ready_replicas: int = omit_empty(0, int32=True)
    available_replicas: int = omit_empty(0, int32=True)
    terminating_replicas: int | None = int32()
    observed_generation: int = omit_empty(0)
    conditions: tuple[ReplicaSetCondition, ...] = list_map("type")


@resource(builtin.REPLICA_SET)
@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class ReplicaSet(Object):
    """Keeps a number of Pods of one template running."""

    spec: ReplicaSetSpec = ReplicaSetSpec()
    status: ReplicaSetStatus = ReplicaSetStatus()
