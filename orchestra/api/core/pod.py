"""Pods: containers that live and die together on one node."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from attrs import frozen

from orchestra.api import builtin
from orchestra.api.core.status import PodStatus
from orchestra.api.frozen import ABSENT_MAP
from orchestra.api.object import (
    Object,
    ObjectMeta,
    Struct,
    declared,
    freeze_fields,
    int32,
    list_map,
    omit_empty,
    resource,
    wire,
)
from orchestra.api.quantity import Quantity

if TYPE_CHECKING:
    from orchestra.api.core.affinity import Affinity, Toleration, TopologySpreadConstraint
    from orchestra.api.core.container import Container, EphemeralContainer
    from orchestra.api.core.reference import LocalObjectReference
    from orchestra.api.core.resources import ResourceRequirements
    from orchestra.api.core.security import PodSecurityContext
    from orchestra.api.core.volume import Volume


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class HostAlias(Struct):
    """A line of the Pod's hosts file."""

    ip: str = ""
    hostnames: tuple[str, ...] = ()


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class PodDNSConfigOption(Struct):
    """An option of the resolver."""

    name: str = omit_empty()
    value: str | None = None


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class PodDNSConfig(Struct):
    """What the Pod's resolver is told beside what `dns_policy` gives."""

    nameservers: tuple[str, ...] = ()
    searches: tuple[str, ...] = ()
    options: tuple[PodDNSConfigOption, ...] = ()


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class PodReadinessGate(Struct):
    """A condition that must be True before the Pod is ready; somebody outside the node sets it."""

    condition_type: str = declared("", go="v1.PodConditionType")


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class PodOS(Struct):
    """The operating system that the Pod needs."""

    name: str = declared("", go="v1.OSName")


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class PodSchedulingGate(Struct):
    """Somebody's veto: the Pod is not scheduled while it has any."""

    name: str = ""


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class PodResourceClaim(Struct):
    """A claim for devices that the Pod's containers can refer to."""

    name: str = ""
    resource_claim_name: str | None = None
    resource_claim_template_name: str | None = None


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class PodSchedulingGroup(Struct):
    """The group that the Pod is scheduled with."""

    pod_group_name: str | None = None


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class PodSpec(Struct):
    """What a Pod shall be."""

    volumes: tuple[Volume, ...] = list_map("name", retain_keys=True)
    init_containers: tuple[Container, ...] = list_map("name")
    containers: tuple[Container, ...] = list_map("name", required=True)
    ephemeral_containers: tuple[EphemeralContainer, ...] = list_map("name")
    restart_policy: str = omit_empty(go="v1.RestartPolicy")
    termination_grace_period_seconds: int | None = None
    active_deadline_seconds: int | None = None
    dns_policy: str = omit_empty(go="v1.DNSPolicy")
    node_selector: Mapping[str, str] = declared(ABSENT_MAP, atomic=True)
    service_account_name: str = omit_empty()
    service_account: str = omit_empty()
    automount_service_account_token: bool | None = None
    node_name: str = omit_empty()
    host_network: bool = omit_empty(False)
    host_pid: bool = omit_empty(False)
    host_ipc: bool = omit_empty(False)
    share_process_namespace: bool | None = None
    security_context: PodSecurityContext | None = None
    image_pull_secrets: tuple[LocalObjectReference, ...] = list_map("name")
    hostname: str = omit_empty()
    subdomain: str = omit_empty()
    affinity: Affinity | None = None
    scheduler_name: str = omit_empty()
    tolerations: tuple[Toleration, ...] = ()
    host_aliases: tuple[HostAlias, ...] = list_map("ip")
    priority_class_name: str = omit_empty()
    priority: int | None = int32()
    dns_config: PodDNSConfig | None = None
    readiness_gates: tuple[PodReadinessGate, ...] = ()
    runtime_class_name: str | None = None
    enable_service_links: bool | None = None
    preemption_policy: str | None = declared(go="v1.PreemptionPolicy")
    overhead: Mapping[str, Quantity] = ABSENT_MAP
    topology_spread_constraints: tuple[TopologySpreadConstraint, ...] = list_map("topologyKey", "whenUnsatisfiable")
    set_hostname_as_fqdn: bool | None = wire("setHostnameAsFQDN")
    os: PodOS | None = None
    host_users: bool | None = None
    scheduling_gates: tuple[PodSchedulingGate, ...] = list_map("name")
    resource_claims: tuple[PodResourceClaim, ...] = list_map("name", retain_keys=True)
    resources: ResourceRequirements | None = None
    hostname_override: str | None = None
    scheduling_group: PodSchedulingGroup | None = None


@resource(builtin.POD)
@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class Pod(Object):
    """Containers that share one node, one address and their volumes, and live and die together."""

    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class PodTemplateSpec(Struct):
    """The Pods that a controller makes."""

    metadata: ObjectMeta = ObjectMeta()
    spec: PodSpec = PodSpec()
