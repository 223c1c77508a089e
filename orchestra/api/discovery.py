"""Which addresses stand behind a Service: discovery.k8s.io/v1."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from attrs import frozen

from orchestra.api import builtin
from orchestra.api.core.reference import ObjectReference
from orchestra.api.frozen import ABSENT_MAP
from orchestra.api.object import Object, Struct, declared, freeze_fields, int32, list_set, resource


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class EndpointConditions(Struct):
    """Whether an endpoint takes new traffic (`ready`), can serve, and is going away."""

    ready: bool | None = None
    serving: bool | None = None
    terminating: bool | None = None


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class ForZone(Struct):
    """A zone that should use an endpoint."""

    name: str = ""


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class ForNode(Struct):
    """A node that should use an endpoint."""

    name: str = ""


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class EndpointHints(Struct):
    """Who should use an endpoint."""

    for_zones: tuple[ForZone, ...] = ()
    for_nodes: tuple[ForNode, ...] = ()


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class Endpoint(Struct):
    """One backend of a Service."""

    addresses: tuple[str, ...] = list_set(required=True)
    conditions: EndpointConditions = EndpointConditions()
    hostname: str | None = None
    target_ref: ObjectReference | None = None
    deprecated_topology: Mapping[str, str] = ABSENT_MAP
    node_name: str | None = None
    zone: str | None = None
    hints: EndpointHints | None = None


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class EndpointPort(Struct):
    """A port of all endpoints of a slice."""

    atomic: ClassVar[bool] = True

    name: str | None = None
    protocol: str | None = declared(go="v1.Protocol")
    port: int | None = int32()
    app_protocol: str | None = None


@resource(builtin.ENDPOINT_SLICE)
@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class EndpointSlice(Object):
    """Some of the backends of a Service, with the ports that they all serve."""

    address_type: str = declared("", go="v1.AddressType")
    endpoints: tuple[Endpoint, ...] = declared((), required=True)
    ports: tuple[EndpointPort, ...] = declared((), required=True)
