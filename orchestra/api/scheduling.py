"""How Pods matter and which belong together when nodes are chosen: scheduling.k8s.io.

PriorityClass is scheduling.k8s.io/v1. PodGroup is the scheduling.k8s.io/v1alpha2 of Kubernetes 1.36 (KEP-4671 and
KEP-5832) without the fields that stand behind further feature gates there: schedulingConstraints, resourceClaims,
disruptionMode, priorityClassName and priority.
"""

from __future__ import annotations

from attrs import frozen

from orchestra.api import builtin
from orchestra.api.meta import Condition
from orchestra.api.object import Object, Struct, declared, freeze_fields, int32, list_map, omit_empty, resource

HIGHEST_USER_PRIORITY = 1_000_000_000
"""The largest value of a class that users define (scheduling.HighestUserDefinablePriority)."""
SYSTEM_CLASS_PREFIX = "system-"


@resource(builtin.PRIORITY_CLASS)
@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class PriorityClass(Object):
    """A name for a priority; Pods that name it get its value, and those that name none that of the global default."""

    value: int = int32(0)
    global_default: bool = omit_empty(False)
    description: str = omit_empty()
    preemption_policy: str | None = declared(go="v1.PreemptionPolicy")


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class BasicSchedulingPolicy(Struct):
    """Pods of the group are placed one by one."""


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class GangSchedulingPolicy(Struct):
    """At least `min_count` Pods of the group get nodes at the same time, or none does."""

    min_count: int = int32(0)


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class PodGroupSchedulingPolicy(Struct):
    """How the Pods of a group are placed: exactly one of these."""

    basic: BasicSchedulingPolicy | None = None
    gang: GangSchedulingPolicy | None = None


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class WorkloadPodGroupTemplateReference(Struct):
    """The template of a Workload that a group was made from."""

    workload_name: str = ""
    pod_group_template_name: str = ""


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class PodGroupTemplateReference(Struct):
    """Where a group came from."""

    workload: WorkloadPodGroupTemplateReference | None = None


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class PodGroupSpec(Struct):
    """Which policy a group of Pods is placed by."""

    pod_group_template_ref: PodGroupTemplateReference | None = None
    scheduling_policy: PodGroupSchedulingPolicy = PodGroupSchedulingPolicy()


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class PodGroupStatus(Struct):
    """Whether a group has its nodes: condition PodGroupScheduled."""

    conditions: tuple[Condition, ...] = list_map("type")


@resource(builtin.POD_GROUP)
@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class PodGroup(Object):
    """Pods that are placed together; they name it in `spec.schedulingGroup.podGroupName`."""

    spec: PodGroupSpec = PodGroupSpec()
    status: PodGroupStatus = PodGroupStatus()
