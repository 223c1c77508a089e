"""Services: one stable address for many Pods."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

from orchestra.api import builtin
from orchestra.api.frozen import ABSENT_MAP
from orchestra.api.meta import Condition
from orchestra.api.object import Object, Struct, declared, freeze_fields, int32, list_map, omit_empty, resource


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class ServicePort(Struct):
    """A port of a Service, and the port of the Pods behind it: a number or a container port's name."""

    name: str = omit_empty()
    protocol: str = omit_empty(go="v1.Protocol")
    app_protocol: str | None = None
    port: int = int32(0)
    target_port: int | str | None = None
    node_port: int = omit_empty(0, int32=True)


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class ClientIPConfig(Struct):
    """How long a client stays with one Pod."""

    timeout_seconds: int | None = int32()


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class SessionAffinityConfig(Struct):
    """How session affinity works."""

    client_ip: ClientIPConfig | None = None


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class ServiceSpec(Struct):
    """Which Pods a Service stands for, and under which addresses and ports."""

    ports: tuple[ServicePort, ...] = list_map("port", "protocol", key_defaults={"protocol": "TCP"})
    selector: Mapping[str, str] = declared(ABSENT_MAP, atomic=True)
    cluster_ip: str = omit_empty()
    cluster_ips: tuple[str, ...] = ()
    type: str = omit_empty(go="v1.ServiceType")
    external_ips: tuple[str, ...] = ()
    session_affinity: str = omit_empty(go="v1.ServiceAffinity")
    load_balancer_ip: str = omit_empty()
    load_balancer_source_ranges: tuple[str, ...] = ()
    external_name: str = omit_empty()
    external_traffic_policy: str = omit_empty(go="v1.ServiceExternalTrafficPolicy")
    health_check_node_port: int = omit_empty(0, int32=True)
    publish_not_ready_addresses: bool = omit_empty(False)
    session_affinity_config: SessionAffinityConfig | None = None
    ip_families: tuple[str, ...] = declared((), go="v1.IPFamily")
    ip_family_policy: str | None = declared(go="v1.IPFamilyPolicy")
    allocate_load_balancer_node_ports: bool | None = None
    load_balancer_class: str | None = None
    internal_traffic_policy: str | None = declared(go="v1.ServiceInternalTrafficPolicy")
    traffic_distribution: str | None = None


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class PortStatus(Struct):
    """A port that a load balancer has or could not open."""

    port: int = int32(0)
    protocol: str = declared("", go="v1.Protocol")
    error: str | None = None


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class LoadBalancerIngress(Struct):
    """An address of a load balancer."""

    ip: str = omit_empty()
    hostname: str = omit_empty()
    ip_mode: str | None = declared(go="v1.LoadBalancerIPMode")
    ports: tuple[PortStatus, ...] = ()


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class LoadBalancerStatus(Struct):
    """The addresses of a load balancer."""

    ingress: tuple[LoadBalancerIngress, ...] = ()


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class ServiceStatus(Struct):
    """What stands behind a Service of type LoadBalancer."""

    load_balancer: LoadBalancerStatus = LoadBalancerStatus()
    conditions: tuple[Condition, ...] = list_map("type")


@resource(builtin.SERVICE)
@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class Service(Object):
    """One stable address and name for the Pods that its selector matches."""

    spec: ServiceSpec = ServiceSpec()
    status: ServiceStatus = ServiceStatus()
