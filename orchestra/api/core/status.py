"""What is reported of a Pod; of its containers: `container_status`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from attrs import frozen

from orchestra.api.frozen import ABSENT_MAP
from orchestra.api.object import Struct, declared, freeze_fields, list_map, list_set, omit_empty
from orchestra.api.quantity import Quantity

if TYPE_CHECKING:
    from orchestra.api.core.container_status import ContainerStatus
    from orchestra.api.core.resources import ResourceRequirements


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class PodCondition(Struct):
    """One aspect of a Pod's state, such as PodScheduled or Ready."""

    type: str = declared("", go="v1.PodConditionType")
    observed_generation: int = omit_empty(0)
    status: str = declared("", go="v1.ConditionStatus")
    last_probe_time: datetime | None = declared(nullable=True)
    last_transition_time: datetime | None = declared(nullable=True)
    reason: str = omit_empty()
    message: str = omit_empty()


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class HostIP(Struct):
    """An address of the Pod's node."""

    ip: str = ""


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class PodIP(Struct):
    """An address of the Pod."""

    ip: str = ""


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class PodResourceClaimStatus(Struct):
    """Which ResourceClaim object stands for a claim of the Pod."""

    name: str = ""
    resource_claim_name: str | None = None


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class ContainerExtendedResourceRequest(Struct):
    """Which request of a claim serves an extended resource of a container."""

    container_name: str = ""
    resource_name: str = ""
    request_name: str = ""


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class PodExtendedResourceClaimStatus(Struct):
    """The claim that serves a Pod's extended resources."""

    request_mappings: tuple[ContainerExtendedResourceRequest, ...] = declared((), required=True)
    resource_claim_name: str = ""


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class NodeAllocatableResourceClaimStatus(Struct):
    """What a claim takes of the node's own resources."""

    resource_claim_name: str = ""
    containers: tuple[str, ...] = list_set()
    resources: Mapping[str, Quantity] = ABSENT_MAP


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class PodStatus(Struct):
    """The newest state of a Pod that its node has reported."""

    observed_generation: int = omit_empty(0)
    phase: str = omit_empty(go="v1.PodPhase")
    conditions: tuple[PodCondition, ...] = list_map("type")
    message: str = omit_empty()
    reason: str = omit_empty()
    nominated_node_name: str = omit_empty()
    host_ip: str = omit_empty()
    host_ips: tuple[HostIP, ...] = declared((), patch_merge_key="ip")
    pod_ip: str = omit_empty()
    pod_ips: tuple[PodIP, ...] = list_map("ip")
    start_time: datetime | None = None
    init_container_statuses: tuple[ContainerStatus, ...] = ()
    container_statuses: tuple[ContainerStatus, ...] = ()
    qos_class: str = omit_empty(go="v1.PodQOSClass")
    ephemeral_container_statuses: tuple[ContainerStatus, ...] = ()
    resize: str = omit_empty(go="v1.PodResizeStatus")
    resource_claim_statuses: tuple[PodResourceClaimStatus, ...] = list_map("name", retain_keys=True)
    extended_resource_claim_status: PodExtendedResourceClaimStatus | None = None
    allocated_resources: Mapping[str, Quantity] = ABSENT_MAP
    resources: ResourceRequirements | None = None
    node_allocatable_resource_claim_statuses: tuple[NodeAllocatableResourceClaimStatus, ...] = ()
