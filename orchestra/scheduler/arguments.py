"""What the built-in plugins can be told, under the names of Kubernetes' KubeSchedulerConfiguration (v1).

Field names are the snake_case form of the wire names. Values are checked when an object is made: `ValueError` says what
is wrong with which field. Where a value means that something of Kubernetes does not exist here, it is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, Literal

import attrs

if TYPE_CHECKING:
    from orchestra.api.core import NodeAffinity, TopologySpreadConstraint

MAX_WEIGHT: Final = 100
MAX_SHAPE_SCORE: Final = 10
MAX_UTILIZATION: Final = 100

ScoringStrategyType = Literal["LeastAllocated", "MostAllocated", "RequestedToCapacityRatio"]


def _between(low: int, high: int) -> Any:
    def check(_instance: Any, attribute: attrs.Attribute[Any], value: int) -> None:
        if not low <= value <= high:
            raise ValueError(f"{attribute.name}: {value} is not from {low} to {high}")

    return check


@attrs.frozen
class ResourceSpec:
    """A resource, and how much it weighs."""

    name: str
    weight: int = attrs.field(default=1, validator=_between(1, MAX_WEIGHT))


def _default_resources() -> tuple[ResourceSpec, ...]:
    return (ResourceSpec("cpu"), ResourceSpec("memory"))


@attrs.frozen
class UtilizationShapePoint:
    """One point of a curve: at this utilization (percent) the score is this (0 to 10)."""

    utilization: int = attrs.field(validator=_between(0, MAX_UTILIZATION))
    score: int = attrs.field(validator=_between(0, MAX_SHAPE_SCORE))


@attrs.frozen
class RequestedToCapacityRatioParam:
    """The curve of the strategy RequestedToCapacityRatio."""

    shape: tuple[UtilizationShapePoint, ...] = attrs.field(converter=tuple)

    @shape.validator
    def _grows(self, _attribute: Any, value: Sequence[UtilizationShapePoint]) -> None:
        if not value:
            raise ValueError("shape: at least one point is needed")
        if any(one.utilization >= other.utilization for one, other in pairwise(value)):
            raise ValueError("shape: the utilization of points must grow")


@attrs.frozen
class ScoringStrategy:
    """How NodeResourcesFit rates nodes."""

    type: ScoringStrategyType = "LeastAllocated"
    resources: tuple[ResourceSpec, ...] = attrs.field(factory=_default_resources, converter=tuple)
    requested_to_capacity_ratio: RequestedToCapacityRatioParam | None = None

    def __attrs_post_init__(self) -> None:
        if self.type == "RequestedToCapacityRatio" and self.requested_to_capacity_ratio is None:
            raise ValueError("requestedToCapacityRatio: the strategy of this name needs a shape")


@attrs.frozen
class NodeResourcesFitArgs:
    """Arguments of NodeResourcesFit."""

    scoring_strategy: ScoringStrategy = ScoringStrategy()
    ignored_resources: tuple[str, ...] = ()
    ignored_resource_groups: tuple[str, ...] = ()


@attrs.frozen
class NodeResourcesBalancedAllocationArgs:
    """Arguments of NodeResourcesBalancedAllocation; all resources weigh the same."""

    resources: tuple[ResourceSpec, ...] = attrs.field(factory=_default_resources, converter=tuple)

    @resources.validator
    def _alike(self, _attribute: Any, value: Sequence[ResourceSpec]) -> None:
        if any(each.weight != 1 for each in value):
            raise ValueError("resources: every weight must be 1")


@attrs.frozen
class NodeAffinityArgs:
    """Arguments of NodeAffinity: what every Pod of the profile must match too, and may prefer."""

    added_affinity: NodeAffinity | None = None


@attrs.frozen
class InterPodAffinityArgs:
    """Arguments of InterPodAffinity."""

    hard_pod_affinity_weight: int = attrs.field(default=1, validator=_between(0, MAX_WEIGHT))
    ignore_preferred_terms_of_existing_pods: bool = False


@attrs.frozen
class PodTopologySpreadArgs:
    """Arguments of PodTopologySpread: the constraints of Pods that bring none."""

    default_constraints: tuple[TopologySpreadConstraint, ...] = ()
    defaulting_type: Literal["System", "List"] = "System"

    def __attrs_post_init__(self) -> None:
        if self.defaulting_type == "System" and self.default_constraints:
            raise ValueError("defaultConstraints: must be empty when defaultingType is System")
        seen = set()
        for each in self.default_constraints:
            if each.label_selector is not None:
                raise ValueError("defaultConstraints: a default constraint has no labelSelector")
            if each.max_skew <= 0:
                raise ValueError("defaultConstraints: maxSkew must be greater than zero")
            if not each.topology_key:
                raise ValueError("defaultConstraints: topologyKey can not be empty")
            if each.when_unsatisfiable not in ("DoNotSchedule", "ScheduleAnyway"):
                raise ValueError("defaultConstraints: whenUnsatisfiable must be DoNotSchedule or ScheduleAnyway")
            key = (each.topology_key, each.when_unsatisfiable)
            if key in seen:
                raise ValueError(f"defaultConstraints: {key[0]} and {key[1]} are given twice")
            seen.add(key)


@attrs.frozen
class DefaultPreemptionArgs:
    """Arguments of DefaultPreemption: how many nodes are tried at least, in percent of those that may help and in
    number.
    """

    min_candidate_nodes_percentage: int = attrs.field(default=10, validator=_between(0, 100))
    min_candidate_nodes_absolute: int = attrs.field(default=100, validator=_between(0, 2**31 - 1))

    def __attrs_post_init__(self) -> None:
        if not self.min_candidate_nodes_percentage and not self.min_candidate_nodes_absolute:
            raise ValueError("minCandidateNodesPercentage and minCandidateNodesAbsolute cannot both be zero")
