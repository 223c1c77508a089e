"""The scale of a workload, whatever its kind: autoscaling/v1."""

from __future__ import annotations

from attrs import frozen

from orchestra.api import builtin
from orchestra.api.object import Object, Struct, freeze_fields, int32, omit_empty, resource


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class ScaleSpec(Struct):
    """How many replicas there shall be."""

    replicas: int = omit_empty(0, int32=True)


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class ScaleStatus(Struct):
    """How many replicas there are, and which selector finds them (in its string form)."""

    replicas: int = int32(0)
    selector: str = omit_empty()


@resource(builtin.SCALE)
@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class Scale(Object):
    """The one view that everything with replicas shares: its `scale` subresource."""

    spec: ScaleSpec = ScaleSpec()
    status: ScaleStatus = ScaleStatus()
