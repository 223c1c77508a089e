"""How objects point at other objects, and at single values in them."""

from __future__ import annotations

from typing import ClassVar

from attrs import frozen

from orchestra.api.object import Struct, declared, freeze_fields, omit_empty
from orchestra.api.quantity import Quantity


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class ObjectReference(Struct):
    """Points at any object, in any namespace, or with `field_path` at a part of one."""

    atomic: ClassVar[bool] = True

    kind: str = omit_empty()
    namespace: str = omit_empty()
    name: str = omit_empty()
    uid: str = omit_empty(go="types.UID")
    api_version: str = omit_empty()
    resource_version: str = omit_empty()
    field_path: str = omit_empty()


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class LocalObjectReference(Struct):
    """Names an object of an implied kind in the same namespace."""

    atomic: ClassVar[bool] = True

    name: str = omit_empty()


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class TypedLocalObjectReference(Struct):
    """Names an object of a stated kind in the same namespace."""

    atomic: ClassVar[bool] = True

    api_group: str | None = declared(required=True)
    kind: str = ""
    name: str = ""


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class TypedObjectReference(Struct):
    """Names an object of a stated kind, also in another namespace."""

    api_group: str | None = declared(required=True)
    kind: str = ""
    name: str = ""
    namespace: str | None = None


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class ConfigMapKeySelector(Struct):
    """One key of a ConfigMap."""

    atomic: ClassVar[bool] = True

    name: str = omit_empty()
    key: str = ""
    optional: bool | None = None


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class SecretKeySelector(Struct):
    """One key of a Secret."""

    atomic: ClassVar[bool] = True

    name: str = omit_empty()
    key: str = ""
    optional: bool | None = None


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class FileKeySelector(Struct):
    """One key of a file in `KEY=VALUE` lines on a volume of the Pod."""

    atomic: ClassVar[bool] = True

    volume_name: str = ""
    path: str = ""
    key: str = ""
    optional: bool | None = None


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class ObjectFieldSelector(Struct):
    """One field of the Pod itself, such as `metadata.name` or `status.podIP`."""

    atomic: ClassVar[bool] = True

    api_version: str = omit_empty()
    field_path: str = ""


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class ResourceFieldSelector(Struct):
    """A request or limit of one of the Pod's containers, divided by `divisor` and rounded up."""

    atomic: ClassVar[bool] = True

    container_name: str = omit_empty()
    resource: str = ""
    divisor: Quantity | None = None
