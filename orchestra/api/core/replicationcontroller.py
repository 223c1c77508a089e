"""ReplicationControllers."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from attrs import frozen

from orchestra.api import builtin
from orchestra.api.core.pod import PodTemplateSpec
from orchestra.api.frozen import ABSENT_MAP
from orchestra.api.object import Object, Struct, declared, freeze_fields, int32, list_map, omit_empty, resource


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class ReplicationControllerSpec(Struct):
    """How many Pods of which template."""

    replicas: int | None = int32()
    min_ready_seconds: int = omit_empty(0, int32=True)
    selector: Mapping[str, str] = declared(ABSENT_MAP, atomic=True)
    template: PodTemplateSpec | None = None


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class ReplicationControllerCondition(Struct):
    """Why Pods could not be made or removed."""

    type: str = declared("", go="v1.ReplicationControllerConditionType")
    status: str = declared("", go="v1.ConditionStatus")
    last_transition_time: datetime | None = declared(nullable=True)
    reason: str = omit_empty()
    message: str = omit_empty()


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class ReplicationControllerStatus(Struct):
    """How many Pods there are."""

    replicas: int = int32(0)
    fully_labeled_replicas: int = omit_empty(0, int32=True)
    ready_replicas: int = omit_empty(0, int32=True)
    available_replicas: int = omit_empty(0, int32=True)
    observed_generation: int = omit_empty(0)
    conditions: tuple[ReplicationControllerCondition, ...] = list_map("type")


@resource(builtin.REPLICATION_CONTROLLER)
@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class ReplicationController(Object):
    """Keeps a number of Pods of one template running; ReplicaSets have taken its place."""

    spec: ReplicationControllerSpec = ReplicationControllerSpec()
    status: ReplicationControllerStatus = ReplicationControllerStatus()
