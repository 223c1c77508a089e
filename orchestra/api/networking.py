"""Traffic from outside and between Pods: networking.k8s.io/v1."""

from __future__ import annotations

from typing import ClassVar

from attrs import frozen

from orchestra.api import builtin
from orchestra.api.core.reference import TypedLocalObjectReference
from orchestra.api.meta import LabelSelector
from orchestra.api.object import Object, Struct, declared, freeze_fields, int32, omit_empty, resource


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class IPBlock(Struct):
    """Addresses of a network, some of them left out."""

    cidr: str = ""
    except_: tuple[str, ...] = ()


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class NetworkPolicyPort(Struct):
    """A port, or a range of ports, that traffic may go to."""

    protocol: str | None = declared(go="v1.Protocol")
    port: int | str | None = None
    end_port: int | None = int32()


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class NetworkPolicyPeer(Struct):
    """Who traffic may come from or go to: Pods, namespaces or a block of addresses."""

    pod_selector: LabelSelector | None = None
    namespace_selector: LabelSelector | None = None
    ip_block: IPBlock | None = None


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class NetworkPolicyIngressRule(Struct):
    """Traffic that may come in."""

    ports: tuple[NetworkPolicyPort, ...] = ()
    from_: tuple[NetworkPolicyPeer, ...] = ()


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class NetworkPolicyEgressRule(Struct):
    """Traffic that may go out."""

    ports: tuple[NetworkPolicyPort, ...] = ()
    to: tuple[NetworkPolicyPeer, ...] = ()


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class NetworkPolicySpec(Struct):
    """Which Pods are shut off, and the traffic that is allowed all the same."""

    pod_selector: LabelSelector = LabelSelector()
    ingress: tuple[NetworkPolicyIngressRule, ...] = ()
    egress: tuple[NetworkPolicyEgressRule, ...] = ()
    policy_types: tuple[str, ...] = declared((), go="v1.PolicyType")


@resource(builtin.NETWORK_POLICY)
@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class NetworkPolicy(Object):
    """Says what network traffic some Pods may have."""

    spec: NetworkPolicySpec = NetworkPolicySpec()


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class ServiceBackendPort(Struct):
    """A port of a Service, by name or by number."""

    atomic: ClassVar[bool] = True

    name: str = omit_empty()
    number: int = omit_empty(0, int32=True)


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class IngressServiceBackend(Struct):
    """The Service that requests go to."""

    name: str = ""
    port: ServiceBackendPort = ServiceBackendPort()


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class IngressBackend(Struct):
    """Where requests go: a Service, or another object of the same namespace."""

    service: IngressServiceBackend | None = None
    resource: TypedLocalObjectReference | None = None


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class HTTPIngressPath(Struct):
    """Requests with that path: Exact, Prefix or ImplementationSpecific."""

    path: str = omit_empty()
    path_type: str | None = declared(go="v1.PathType")
    backend: IngressBackend = IngressBackend()


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class HTTPIngressRuleValue(Struct):
    """Where the requests for a host go."""

    paths: tuple[HTTPIngressPath, ...] = declared((), required=True)


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class IngressRule(Struct):
    """Requests for one host."""

    host: str = omit_empty()
    http: HTTPIngressRuleValue | None = None


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class IngressTLS(Struct):
    """The certificate for some hosts."""

    hosts: tuple[str, ...] = ()
    secret_name: str = omit_empty()


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class IngressSpec(Struct):
    """Which requests from outside go to which Service."""

    ingress_class_name: str | None = None
    default_backend: IngressBackend | None = None
    tls: tuple[IngressTLS, ...] = ()
    rules: tuple[IngressRule, ...] = ()


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class IngressPortStatus(Struct):
    """A port that an ingress controller has or could not open."""

    port: int = int32(0)
    protocol: str = declared("", go="v1.Protocol")
    error: str | None = None


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class IngressLoadBalancerIngress(Struct):
    """An address that requests come in at."""

    ip: str = omit_empty()
    hostname: str = omit_empty()
    ports: tuple[IngressPortStatus, ...] = ()


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class IngressLoadBalancerStatus(Struct):
    """The addresses that requests come in at."""

    ingress: tuple[IngressLoadBalancerIngress, ...] = ()


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class IngressStatus(Struct):
    """What an ingress controller made of an Ingress."""

    load_balancer: IngressLoadBalancerStatus = IngressLoadBalancerStatus()


@resource(builtin.INGRESS)
@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class Ingress(Object):
    """Leads HTTP requests from outside to Services."""

    spec: IngressSpec = IngressSpec()
    status: IngressStatus = IngressStatus()
