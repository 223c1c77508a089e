"""The shape of every API object: frozen attrs classes whose fields mirror the Kubernetes wire form.

A kind is declared like this; the wire names are derived (`pod_ip` is `podIP`), optional scalars and sub-objects
default to None, lists to `()`, maps to `ABSENT_MAP`:

    @resource("example.dev/v1", plural="websites", short_names=("web",))
    @frozen(kw_only=True, repr=False, field_transformer=freeze_fields)
    class Website(Object):
        spec: WebsiteSpec = WebsiteSpec()
        status: WebsiteStatus | None = None

A scalar is `X | None` exactly where Kubernetes tells unset from zero. Any other one has its zero as default and is
always written, as Go writes a field without `omitempty`, unless it is declared with `omit_empty()`. A sub-object whose
default is not None is absent from the wire while it is that very default.

`list_map("name")` and `list_set()` declare how server-side apply and strategic merge combine a list
(Kubernetes' x-kubernetes-list-type); without them a list is atomic.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from operator import attrgetter
from typing import Any, ClassVar, NewType, Self, TypeVar

import attrs
from attrs import field, frozen

from orchestra.api.frozen import ABSENT_MAP, frozen_list, frozen_map, is_absent

MicroTime = NewType("MicroTime", datetime)
"""A time that is written with microseconds (metav1.MicroTime)."""

S = TypeVar("S", bound="Struct")
C = TypeVar("C", bound="type[Object]")


def freeze_fields(_cls: type, fields: list[attrs.Attribute[Any]]) -> list[attrs.Attribute[Any]]:
    """Give every list and map field a converter, so that a caller's list or dict cannot be changed behind us."""
    converters: dict[str, Callable[[Any], Any]] = {"tuple[": frozen_list, "Mapping[": frozen_map}
    result = []
    for item in fields:
        declared = item.type if isinstance(item.type, str) else ""
        converter = next((fn for prefix, fn in converters.items() if declared.startswith(prefix)), None)
        if converter is not None and item.converter is None:
            result.append(item.evolve(converter=converter))
        else:
            result.append(item)
    return result


def omit_empty(default: Any = "", **metadata: Any) -> Any:
    """Declare a scalar that is never None and is written only when it differs from `default`.

    These are the fields for which Kubernetes does not tell `""`, 0 and false from absent.
    """
    return field(default=default, metadata={"omit_empty": True, **metadata})


def declared(default: Any = None, **metadata: Any) -> Any:
    """Declare a field about which more is known than its type; `orchestra.api.schema` says what each word means."""
    return field(default=default, metadata=metadata)


def int32(default: int | None = None, **metadata: Any) -> Any:
    """Declare an integer of 32 bits; integers that are declared without this have 64."""
    return field(default=default, metadata={"int32": True, **metadata})


def wire(name: str, default: Any = None, **metadata: Any) -> Any:
    """Declare a field whose wire name does not follow from its Python name."""
    return field(default=default, metadata={"wire": name, **metadata})


def list_map(*keys: str, merge_key: str | None = None, **metadata: Any) -> Any:
    """Declare a list whose items are identified by the wire names `keys` (x-kubernetes-list-type: map).

    `merge_key` is the key of strategic merge patch where it is another one than the first of `keys`; an empty one says
    that such a patch replaces the list.
    """
    key = keys[0] if merge_key is None else merge_key
    return field(default=(), metadata={"list_keys": keys, "merge_key": key, **metadata})


def list_set(**metadata: Any) -> Any:
    """Declare a list of distinct scalars (x-kubernetes-list-type: set)."""
    return field(default=(), metadata={"list_set": True, **metadata})


_READERS: dict[type, Callable[[Any], tuple[Any, ...]]] = {}


def _reader(cls: type) -> Callable[[Any], tuple[Any, ...]]:
    """Return what reads all attributes of an object of `cls` at once; every class has at least `undeclared`."""
    known = _READERS.get(cls)
    if known is None:
        names = [item.name for item in attrs.fields(cls)]
        read = attrgetter(*names)
        known = _READERS[cls] = read if len(names) > 1 else lambda obj: (read(obj),)
    return known


def _rebuild(cls: type[Any], values: dict[str, Any]) -> Any:
    return cls(**values)


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class Struct:
    """Base of every object and of every part of one; `undeclared` carries fields that the class does not know."""

    undeclared: Mapping[str, Any] = field(default=ABSENT_MAP, metadata={"undeclared": True})

    # One comparison for all classes: attrs would compile a pair of methods for each, a quarter of the import time.

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        read = _reader(type(self))
        return self is other or bool(read(self) == read(other))

    def __hash__(self) -> int:
        return hash(_reader(type(self))(self))

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, _memo: object) -> Self:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        items = attrs.fields(type(self))
        values = {item.name: getattr(self, item.name) for item in items}
        return (
            _rebuild,
            (type(self), {item.name: values[item.name] for item in items if values[item.name] is not item.default}),
        )

    def __repr__(self) -> str:
        shown = (
            f"{item.name}={value!r}"
            for item in attrs.fields(type(self))
            if not is_absent(value := getattr(self, item.name)) and value != ""
        )
        return f"{type(self).__name__}({', '.join(shown)})"


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class OwnerReference(Struct):
    """metav1.OwnerReference: the object that this one belongs to, in the same namespace or cluster-wide."""

    atomic: ClassVar[bool] = True

    api_version: str = ""
    kind: str = ""
    name: str = ""
    uid: str = ""
    controller: bool | None = None
    block_owner_deletion: bool | None = None


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class ManagedFieldsEntry(Struct):
    """metav1.ManagedFieldsEntry: which fields a manager owns, in the FieldsV1 form."""

    manager: str | None = None
    operation: str | None = None
    api_version: str | None = None
    time: datetime | None = None
    fields_type: str | None = None
    fields_v1: Any = wire("fieldsV1")
    subresource: str | None = None


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class ObjectMeta(Struct):
    """metav1.ObjectMeta: what every object has. `resource_version` is a decimal store revision."""

    name: str = omit_empty()
    generate_name: str = omit_empty()
    namespace: str = omit_empty()
    uid: str = omit_empty()
    resource_version: str = omit_empty()
    generation: int = omit_empty(0)
    creation_timestamp: datetime | None = None
    deletion_timestamp: datetime | None = None
    deletion_grace_period_seconds: int | None = None
    labels: Mapping[str, str] = ABSENT_MAP
    annotations: Mapping[str, str] = ABSENT_MAP
    owner_references: tuple[OwnerReference, ...] = list_map("uid")
    finalizers: tuple[str, ...] = list_set(patch_merge=True)
    managed_fields: tuple[ManagedFieldsEntry, ...] = ()
    self_link: str | None = None


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class ListMeta(Struct):
    """metav1.ListMeta: at which revision a list was read, and how to read on."""

    resource_version: str = omit_empty()
    continue_: str = field(default="", metadata={"omit_empty": True, "wire": "continue"})
    remaining_item_count: int | None = None


@frozen(kw_only=True, cache_hash=True)
class ResourceInfo:
    """What the server knows of a kind besides its fields: names, scope, subresources."""

    group: str
    version: str
    kind: str
    plural: str
    singular: str = ""
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    namespaced: bool = True
    subresources: frozenset[str] = frozenset()
    module: str = ""
    """Where the class of a built-in kind is defined; empty for a class that registers itself."""

    @property
    def api_version(self) -> str:
        """`group/version`, or the version alone for the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def group_resource(self) -> str:
        """`plural.group` as error messages name a resource; the plural alone for the core group."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def group_kind(self) -> str:
        """`Kind.group` as error messages name a kind; the kind alone for the core group."""
        return f"{self.kind}.{self.group}" if self.group else self.kind


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class Object(Struct):
    """Base of every kind; the class attribute `resource_info` names it."""

    resource_info: ClassVar[ResourceInfo]

    metadata: ObjectMeta = ObjectMeta()

    @property
    def key(self) -> str:
        """`namespace/name`, or the name alone for cluster-scoped objects and before a namespace is known."""
        meta = self.metadata
        return f"{meta.namespace}/{meta.name}" if meta.namespace else meta.name

    def __repr__(self) -> str:
        info = getattr(type(self), "resource_info", None)
        return f"<{info.kind if info else type(self).__name__} {self.key} rv={self.metadata.resource_version or '-'}>"


def resource(
    info: ResourceInfo | str,
    *,
    plural: str = "",
    kind: str = "",
    short_names: tuple[str, ...] = (),
    namespaced: bool = True,
    subresources: tuple[str, ...] = ("status",),
) -> Callable[[C], C]:
    """Name the kind that an attrs class describes.

    `info` is an apiVersion such as `example.dev/v1` together with the keywords, or a complete `ResourceInfo`.
    The class is not registered anywhere: pass it to `Scheme.register`.
    """

    def name_kind(cls: C) -> C:
        if isinstance(info, ResourceInfo):
            cls.resource_info = info
        else:
            group, _, version = info.rpartition("/")
            name = kind or cls.__name__
            cls.resource_info = ResourceInfo(
                group=group,
                version=version,
                kind=name,
                plural=plural or f"{name.lower()}s",
                singular=name.lower(),
                short_names=short_names,
                namespaced=namespaced,
                subresources=frozenset(subresources),
            )
        return cls

    return name_kind
