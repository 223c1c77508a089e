"""What containers and volumes ask for, and how much they may have."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

from orchestra.api.frozen import ABSENT_MAP
from orchestra.api.object import Struct, declared, freeze_fields, list_map, omit_empty
from orchestra.api.quantity import Quantity


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class ResourceClaim(Struct):
    """A container's use of one of its Pod's resource claims."""

    name: str = ""
    request: str = omit_empty()


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class ResourceRequirements(Struct):
    """What must be there (`requests`) and what may not be exceeded (`limits`)."""

    limits: Mapping[str, Quantity] = ABSENT_MAP
    requests: Mapping[str, Quantity] = ABSENT_MAP
    claims: tuple[ResourceClaim, ...] = list_map("name", merge_key="")


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class VolumeResourceRequirements(Struct):
    """How large a volume must be, and how large it may be."""

    limits: Mapping[str, Quantity] = ABSENT_MAP
    requests: Mapping[str, Quantity] = ABSENT_MAP


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class ContainerResizePolicy(Struct):
    """Whether a container restarts when one of its resources is resized."""

    resource_name: str = declared("", go="v1.ResourceName")
    restart_policy: str = declared("", go="v1.ResourceResizeRestartPolicy")
