"""Namespaces, and the binding of a Pod to its node."""

from __future__ import annotations

from datetime import datetime

from attrs import frozen

from orchestra.api import builtin
from orchestra.api.core.reference import ObjectReference
from orchestra.api.object import Object, Struct, declared, freeze_fields, list_map, omit_empty, resource


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class NamespaceSpec(Struct):
    """What holds a namespace back from going away: its own finalizers."""

    finalizers: tuple[str, ...] = declared((), go="v1.FinalizerName")


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class NamespaceCondition(Struct):
    """Why a namespace is not gone yet."""

    type: str = declared("", go="v1.NamespaceConditionType")
    status: str = declared("", go="v1.ConditionStatus")
    last_transition_time: datetime | None = declared(nullable=True)
    reason: str = omit_empty()
    message: str = omit_empty()


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class NamespaceStatus(Struct):
    """Whether a namespace is Active or Terminating."""

    phase: str = omit_empty(go="v1.NamespacePhase")
    conditions: tuple[NamespaceCondition, ...] = list_map("type")


@resource(builtin.NAMESPACE)
@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class Namespace(Object):
    """A room for names: most objects live in one and go away with it."""

    spec: NamespaceSpec = NamespaceSpec()
    status: NamespaceStatus = NamespaceStatus()


@resource(builtin.BINDING)
@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class Binding(Object):
    """The request that assigns a Pod to a node; it is sent to the `binding` subresource and never stored."""

    target: ObjectReference = ObjectReference()
