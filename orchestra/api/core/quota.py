"""What a namespace may use: quotas and limits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from attrs import frozen

from orchestra.api import builtin
from orchestra.api.frozen import ABSENT_MAP
from orchestra.api.object import Object, Struct, declared, freeze_fields, resource
from orchestra.api.quantity import Quantity


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class ScopedResourceSelectorRequirement(Struct):
    """One requirement on what a quota counts: `operator` is In, NotIn, Exists or DoesNotExist."""

    scope_name: str = declared("", go="v1.ResourceQuotaScope")
    operator: str = declared("", go="v1.ScopeSelectorOperator")
    values: tuple[str, ...] = ()


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class ScopeSelector(Struct):
    """What a quota counts; every requirement must hold."""

    atomic: ClassVar[bool] = True

    match_expressions: tuple[ScopedResourceSelectorRequirement, ...] = ()


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class ResourceQuotaSpec(Struct):
    """The most that the objects of a namespace may use together."""

    hard: Mapping[str, Quantity] = ABSENT_MAP
    scopes: tuple[str, ...] = declared((), go="v1.ResourceQuotaScope")
    scope_selector: ScopeSelector | None = None


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class ResourceQuotaStatus(Struct):
    """What is allowed and what is used."""

    hard: Mapping[str, Quantity] = ABSENT_MAP
    used: Mapping[str, Quantity] = ABSENT_MAP


@resource(builtin.RESOURCE_QUOTA)
@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class ResourceQuota(Object):
    """Bounds what the objects of a namespace may use together."""

    spec: ResourceQuotaSpec = ResourceQuotaSpec()
    status: ResourceQuotaStatus = ResourceQuotaStatus()


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class LimitRangeItem(Struct):
    """Bounds and defaults for one type of thing: Container, Pod or PersistentVolumeClaim."""

    type: str = declared("", go="v1.LimitType")
    max: Mapping[str, Quantity] = ABSENT_MAP
    min: Mapping[str, Quantity] = ABSENT_MAP
    default: Mapping[str, Quantity] = ABSENT_MAP
    default_request: Mapping[str, Quantity] = ABSENT_MAP
    max_limit_request_ratio: Mapping[str, Quantity] = ABSENT_MAP


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class LimitRangeSpec(Struct):
    """The bounds of a namespace."""

    limits: tuple[LimitRangeItem, ...] = declared((), required=True)


@resource(builtin.LIMIT_RANGE)
@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class LimitRange(Object):
    """Bounds what one container, Pod or claim of a namespace may use, and gives those defaults that say nothing."""

    spec: LimitRangeSpec = LimitRangeSpec()
