"""Nodes: the machines that Pods run on."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from attrs import frozen

from orchestra.api import builtin
from orchestra.api.frozen import ABSENT_MAP
from orchestra.api.object import (
    Object,
    Struct,
    declared,
    freeze_fields,
    int32,
    list_map,
    list_set,
    omit_empty,
    resource,
)
from orchestra.api.quantity import Quantity


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class Taint(Struct):
    """Keeps Pods that do not tolerate it away from a node; `effect` is NoSchedule, PreferNoSchedule or NoExecute."""

    key: str = ""
    value: str = omit_empty()
    effect: str = declared("", go="v1.TaintEffect")
    time_added: datetime | None = None


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class ConfigMapNodeConfigSource(Struct):
    """The ConfigMap key that a node once took its configuration from (no longer acted on)."""

    namespace: str = ""
    name: str = ""
    uid: str = omit_empty(go="types.UID")
    resource_version: str = omit_empty()
    kubelet_config_key: str = ""


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class NodeConfigSource(Struct):
    """Where a node once took its configuration from (no longer acted on)."""

    config_map: ConfigMapNodeConfigSource | None = None


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class NodeSpec(Struct):
    """What an administrator says of a node: addresses for its Pods, taints, whether it takes new Pods."""

    pod_cidr: str = omit_empty()
    pod_cidrs: tuple[str, ...] = list_set(patch_merge=True)
    provider_id: str = omit_empty()
    unschedulable: bool = omit_empty(False)
    taints: tuple[Taint, ...] = ()
    config_source: NodeConfigSource | None = None
    external_id: str = omit_empty()


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class NodeCondition(Struct):
    """One aspect of a node's health, such as Ready or MemoryPressure, with the time of its last sign of life."""

    type: str = declared("", go="v1.NodeConditionType")
    status: str = declared("", go="v1.ConditionStatus")
    last_heartbeat_time: datetime | None = declared(nullable=True)
    last_transition_time: datetime | None = declared(nullable=True)
    reason: str = omit_empty()
    message: str = omit_empty()


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class NodeAddress(Struct):
    """An address of a node, of a type such as InternalIP or Hostname."""

    type: str = declared("", go="v1.NodeAddressType")
    address: str = ""


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class DaemonEndpoint(Struct):
    """The port of an agent on a node; its wire name is `Port`, with a capital."""

    port: int = int32(0, wire="Port")


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class NodeDaemonEndpoints(Struct):
    """The ports of a node's agents."""

    kubelet_endpoint: DaemonEndpoint = DaemonEndpoint()


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class NodeSwapStatus(Struct):
    """How much swap a node has, in bytes."""

    capacity: int | None = None


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class NodeSystemInfo(Struct):
    """What a node is and runs: machine, kernel, runtime, agent."""

    machine_id: str = ""
    system_uuid: str = ""
    boot_id: str = ""
    kernel_version: str = ""
    os_image: str = ""
    container_runtime_version: str = ""
    kubelet_version: str = ""
    kube_proxy_version: str = ""
    operating_system: str = ""
    architecture: str = ""
    swap: NodeSwapStatus | None = None


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class ContainerImage(Struct):
    """An image that lies ready on a node, under all of its names."""

    names: tuple[str, ...] = declared((), required=True)
    size_bytes: int = omit_empty(0)


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class AttachedVolume(Struct):
    """A volume that is attached to a node."""

    name: str = declared("", go="v1.UniqueVolumeName")
    device_path: str = ""


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class NodeConfigStatus(Struct):
    """Which configuration a node once ran with (no longer acted on)."""

    assigned: NodeConfigSource | None = None
    active: NodeConfigSource | None = None
    last_known_good: NodeConfigSource | None = None
    error: str = omit_empty()


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class NodeRuntimeHandlerFeatures(Struct):
    """What a runtime handler can do."""

    recursive_read_only_mounts: bool | None = None
    user_namespaces: bool | None = None


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class NodeRuntimeHandler(Struct):
    """A runtime handler of a node; the default one has an empty name."""

    name: str = ""
    features: NodeRuntimeHandlerFeatures | None = None


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class NodeFeatures(Struct):
    """What a node's runtime can do, whichever handler is used."""

    supplemental_groups_policy: bool | None = None


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class NodeStatus(Struct):
    """What a node's agent reports: resources, conditions, addresses, images."""

    capacity: Mapping[str, Quantity] = ABSENT_MAP
    allocatable: Mapping[str, Quantity] = ABSENT_MAP
    phase: str = omit_empty(go="v1.NodePhase")
    conditions: tuple[NodeCondition, ...] = list_map("type")
    addresses: tuple[NodeAddress, ...] = list_map("type")
    daemon_endpoints: NodeDaemonEndpoints = NodeDaemonEndpoints()
    node_info: NodeSystemInfo = NodeSystemInfo()
    images: tuple[ContainerImage, ...] = ()
    volumes_in_use: tuple[str, ...] = declared((), go="v1.UniqueVolumeName")
    volumes_attached: tuple[AttachedVolume, ...] = ()
    config: NodeConfigStatus | None = None
    runtime_handlers: tuple[NodeRuntimeHandler, ...] = ()
    features: NodeFeatures | None = None
    declared_features: tuple[str, ...] = ()


@resource(builtin.NODE)
@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class Node(Object):
    """A machine that runs Pods."""

    spec: NodeSpec = NodeSpec()
    status: NodeStatus = NodeStatus()
