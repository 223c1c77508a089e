"""One Pod a node: apps/v1 DaemonSet, and the revisions of templates."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from attrs import frozen

from orchestra.api import builtin
from orchestra.api.core.pod import PodTemplateSpec
from orchestra.api.meta import LabelSelector
from orchestra.api.object import Object, Struct, declared, freeze_fields, int32, list_map, omit_empty, resource


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class RollingUpdateDaemonSet(Struct):
    """How many nodes may lack their Pod, or have two, during a rollout; numbers or percentages."""

    max_unavailable: int | str | None = None
    max_surge: int | str | None = None


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class DaemonSetUpdateStrategy(Struct):
    """How Pods get a new template: RollingUpdate or OnDelete."""

    type: str = omit_empty(go="v1.DaemonSetUpdateStrategyType")
    rolling_update: RollingUpdateDaemonSet | None = None


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class DaemonSetSpec(Struct):
    """Which Pod shall run on every node that its template allows."""

    selector: LabelSelector | None = declared(required=True)
    template: PodTemplateSpec = PodTemplateSpec()
    update_strategy: DaemonSetUpdateStrategy = DaemonSetUpdateStrategy()
    min_ready_seconds: int = omit_empty(0, int32=True)
    revision_history_limit: int | None = int32()


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class DaemonSetCondition(Struct):
    """One aspect of a DaemonSet's state."""

    type: str = declared("", go="v1.DaemonSetConditionType")
    status: str = declared("", go="v1.ConditionStatus")
    last_transition_time: datetime | None = declared(nullable=True)
    reason: str = omit_empty()
    message: str = omit_empty()


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class DaemonSetStatus(Struct):
    """On how many nodes the Pod should run, does run, and should not."""

    current_number_scheduled: int = int32(0)
    number_misscheduled: int = int32(0)
    desired_number_scheduled: int = int32(0)
    number_ready: int = int32(0)
    observed_generation: int = omit_empty(0)
    updated_number_scheduled: int = omit_empty(0, int32=True)
    number_available: int = omit_empty(0, int32=True)
    number_unavailable: int = omit_empty(0, int32=True)
    collision_count: int | None = int32()
    conditions: tuple[DaemonSetCondition, ...] = list_map("type")


@resource(builtin.DAEMON_SET)
@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class DaemonSet(Object):
    """Keeps one Pod on every node that fits its template."""

    spec: DaemonSetSpec = DaemonSetSpec()
    status: DaemonSetStatus = DaemonSetStatus()


@resource(builtin.CONTROLLER_REVISION)
@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class ControllerRevision(Object):
    """One template that a StatefulSet or DaemonSet had; never changed after it was made."""

    data: Any = None
    revision: int = 0
