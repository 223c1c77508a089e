"""Endpoints: the older form of what stands behind a Service."""

from __future__ import annotations

from typing import ClassVar

from attrs import frozen

from orchestra.api import builtin
from orchestra.api.core.reference import ObjectReference
from orchestra.api.object import Object, Struct, freeze_fields, int32, omit_empty, resource


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class EndpointAddress(Struct):
    """One address behind a Service."""

    atomic: ClassVar[bool] = True

    ip: str = ""
    hostname: str = omit_empty()
    node_name: str | None = None
    target_ref: ObjectReference | None = None


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class EndpointPort(Struct):
    """A port of all addresses of a subset."""

    atomic: ClassVar[bool] = True

    name: str = omit_empty()
    port: int = int32(0)
    protocol: str = omit_empty(go="v1.Protocol")
    app_protocol: str | None = None


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class EndpointSubset(Struct):
    """Addresses that have the same ports."""

    addresses: tuple[EndpointAddress, ...] = ()
    not_ready_addresses: tuple[EndpointAddress, ...] = ()
    ports: tuple[EndpointPort, ...] = ()


@resource(builtin.ENDPOINTS)
@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class Endpoints(Object):
    """All addresses behind the Service of the same name; EndpointSlices have taken its place."""

    subsets: tuple[EndpointSubset, ...] = ()
