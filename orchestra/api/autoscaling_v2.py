"""Replicas by measurement: autoscaling/v2."""

from __future__ import annotations

from datetime import datetime

from attrs import frozen

from orchestra.api import builtin
from orchestra.api.meta import LabelSelector
from orchestra.api.object import Object, Struct, declared, freeze_fields, int32, list_map, omit_empty, resource
from orchestra.api.quantity import Quantity


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class CrossVersionObjectReference(Struct):
    """The object that is scaled or measured."""

    kind: str = ""
    name: str = ""
    api_version: str = omit_empty()


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class MetricIdentifier(Struct):
    """A metric by name and selector."""

    name: str = ""
    selector: LabelSelector | None = None


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class MetricTarget(Struct):
    """What a metric should be: an average or a value, or a percentage of what Pods request."""

    type: str = declared("", go="v1.MetricTargetType")
    value: Quantity | None = None
    average_value: Quantity | None = None
    average_utilization: int | None = int32()


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class ObjectMetricSource(Struct):
    """A metric of one object."""

    described_object: CrossVersionObjectReference = CrossVersionObjectReference()
    target: MetricTarget = MetricTarget()
    metric: MetricIdentifier = MetricIdentifier()


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class PodsMetricSource(Struct):
    """A metric of each Pod, averaged."""

    metric: MetricIdentifier = MetricIdentifier()
    target: MetricTarget = MetricTarget()


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class ResourceMetricSource(Struct):
    """CPU or memory of each Pod, averaged."""

    name: str = declared("", go="v1.ResourceName")
    target: MetricTarget = MetricTarget()


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class ContainerResourceMetricSource(Struct):
    """CPU or memory of one container of each Pod, averaged."""

    name: str = declared("", go="v1.ResourceName")
    target: MetricTarget = MetricTarget()
    container: str = ""


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class ExternalMetricSource(Struct):
    """A metric of something outside the cluster."""

    metric: MetricIdentifier = MetricIdentifier()
    target: MetricTarget = MetricTarget()


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class MetricSpec(Struct):
    """One metric that decides; the field that `type` names is set."""

    type: str = declared("", go="v1.MetricSourceType")
    object: ObjectMetricSource | None = None
    pods: PodsMetricSource | None = None
    resource: ResourceMetricSource | None = None
    container_resource: ContainerResourceMetricSource | None = None
    external: ExternalMetricSource | None = None


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class HPAScalingPolicy(Struct):
    """How much may change in a period: Pods or Percent."""

    type: str = declared("", go="v1.HPAScalingPolicyType")
    value: int = int32(0)
    period_seconds: int = int32(0)


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class HPAScalingRules(Struct):
    """How fast to scale in one direction, and how long to remember earlier wishes."""

    stabilization_window_seconds: int | None = int32()
    select_policy: str | None = declared(go="v1.ScalingPolicySelect")
    policies: tuple[HPAScalingPolicy, ...] = ()
    tolerance: Quantity | None = None


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class HorizontalPodAutoscalerBehavior(Struct):
    """How fast to scale up and down."""

    scale_up: HPAScalingRules | None = None
    scale_down: HPAScalingRules | None = None


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class HorizontalPodAutoscalerSpec(Struct):
    """What is scaled between which bounds by which metrics."""

    scale_target_ref: CrossVersionObjectReference = CrossVersionObjectReference()
    min_replicas: int | None = int32()
    max_replicas: int = int32(0)
    metrics: tuple[MetricSpec, ...] = ()
    behavior: HorizontalPodAutoscalerBehavior | None = None


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class MetricValueStatus(Struct):
    """What a metric is now."""

    value: Quantity | None = None
    average_value: Quantity | None = None
    average_utilization: int | None = int32()


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class ObjectMetricStatus(Struct):
    """A metric of one object, as it was seen."""

    metric: MetricIdentifier = MetricIdentifier()
    current: MetricValueStatus = MetricValueStatus()
    described_object: CrossVersionObjectReference = CrossVersionObjectReference()


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class PodsMetricStatus(Struct):
    """A metric of each Pod, as it was seen."""

    metric: MetricIdentifier = MetricIdentifier()
    current: MetricValueStatus = MetricValueStatus()


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class ResourceMetricStatus(Struct):
    """CPU or memory of the Pods, as it was seen."""

    name: str = declared("", go="v1.ResourceName")
    current: MetricValueStatus = MetricValueStatus()


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class ContainerResourceMetricStatus(Struct):
    """CPU or memory of one container of the Pods, as it was seen."""

    name: str = declared("", go="v1.ResourceName")
    current: MetricValueStatus = MetricValueStatus()
    container: str = ""


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class ExternalMetricStatus(Struct):
    """A metric from outside, as it was seen."""

    metric: MetricIdentifier = MetricIdentifier()
    current: MetricValueStatus = MetricValueStatus()


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class MetricStatus(Struct):
    """One metric as it was seen."""

    type: str = declared("", go="v1.MetricSourceType")
    object: ObjectMetricStatus | None = None
    pods: PodsMetricStatus | None = None
    resource: ResourceMetricStatus | None = None
    container_resource: ContainerResourceMetricStatus | None = None
    external: ExternalMetricStatus | None = None


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class HorizontalPodAutoscalerCondition(Struct):
    """Whether scaling is possible, active or limited."""

    type: str = declared("", go="v1.HorizontalPodAutoscalerConditionType")
    status: str = declared("", go="v1.ConditionStatus")
    last_transition_time: datetime | None = declared(nullable=True)
    reason: str = omit_empty()
    message: str = omit_empty()
    observed_generation: int | None = None


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class HorizontalPodAutoscalerStatus(Struct):
    """How many replicas there are and should be, and the metrics that say so."""

    observed_generation: int | None = None
    last_scale_time: datetime | None = None
    current_replicas: int = omit_empty(0, int32=True)
    desired_replicas: int = int32(0)
    current_metrics: tuple[MetricStatus, ...] = declared((), required=True)
    conditions: tuple[HorizontalPodAutoscalerCondition, ...] = list_map("type")


@resource(builtin.HORIZONTAL_POD_AUTOSCALER)
@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class HorizontalPodAutoscaler(Object):
    """Changes the number of replicas of a workload by what is measured."""

    spec: HorizontalPodAutoscalerSpec = HorizontalPodAutoscalerSpec()
    status: HorizontalPodAutoscalerStatus = HorizontalPodAutoscalerStatus()
