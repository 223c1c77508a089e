"""The structure of a kind, derived from its class: what patches, field ownership and validation of documents need.

`struct_schema(Deployment)` is a tree of `Schema` nodes by wire name, built node by node as it is walked. Where the
rules come from: x-kubernetes-list-type, -list-map-keys and -map-type of the OpenAPI documents (server-side apply),
patchStrategy and patchMergeKey of the Go types (strategic merge patch).

The words that a class's fields may carry (`orchestra.api.object` has the helpers):

    list_keys, key_defaults   list of type map: wire names that identify an item; values that a missing key stands for
    merge_key                 key of strategic merge patch; empty when such a patch replaces the list
    patch_merge_key           the same for a list that server-side apply takes as atomic
    list_set, patch_merge     list of distinct scalars; strategic merge patch adds to it
    atomic                    a map or sub-object that one manager owns whole (also a class attribute)
    retain_keys               strategic merge patch understands $retainKeys here
    int32, go                 width of an integer; name of the Go type, for error messages
    required, nullable        Go writes an absent field as null
"""

from __future__ import annotations

import typing
from collections.abc import Mapping
from datetime import datetime
from functools import cached_property
from types import NoneType
from typing import Any, Literal, TypeAlias, get_args, get_origin

import attrs

from orchestra.api.fields import fields_of
from orchestra.api.object import MicroTime, Object, Struct
from orchestra.api.quantity import Quantity

Kind: TypeAlias = Literal["struct", "list", "map", "scalar", "any"]
ListType: TypeAlias = Literal["atomic", "set", "map"]

_NO_WORDS: Mapping[str, Any] = {}

_SCALARS: dict[Any, tuple[str, str]] = {
    str: ("string", "string"),
    bool: ("boolean", "bool"),
    int: ("integer", "int64"),
    float: ("number", "float64"),
    bytes: ("bytes", "[]uint8"),
    datetime: ("time", "v1.Time"),
    MicroTime: ("time", "v1.MicroTime"),
    Quantity: ("quantity", "resource.Quantity"),
    int | str: ("int-or-string", "intstr.IntOrString"),
}


@attrs.define(slots=False, eq=False)
class Schema:
    """One node: the type of a value on the wire, and how two values are combined. Never changed after it was made.

    `scalar` is string, boolean, integer, number, bytes, time, quantity or int-or-string; `declared` the Python type of
    the value: for a struct its class. A node of kind any has no declared structure.
    """

    kind: Kind
    declared: Any = Any
    scalar: str = ""
    go: str = ""
    words: Mapping[str, Any] = attrs.field(factory=dict, repr=False)

    @cached_property
    def fields(self) -> Mapping[str, Schema]:
        """The declared fields of a struct by wire name; empty for every other node."""
        if self.kind != "struct":
            return {}
        own = {"apiVersion": STRING, "kind": STRING} if issubclass(self.declared, Object) else {}
        return own | {name: _schema(info.type, info.metadata) for name, info in fields_of(self.declared).items()}

    @cached_property
    def item(self) -> Schema:
        """What the items of a list and the values of a map are; ANY for every other node."""
        arguments = get_args(self.declared)
        if self.kind not in ("list", "map"):
            return ANY
        return _schema(arguments[0 if self.kind == "list" else 1], _item_words(self.words))

    @cached_property
    def atomic(self) -> bool:
        """Whether one manager owns the value whole: scalars, lists without a list type, and what says so."""
        if self.kind == "struct":
            return bool(self.words.get("atomic") or getattr(self.declared, "atomic", False))
        if self.kind == "list":
            return self.list_type == "atomic"
        return self.kind == "scalar" or bool(self.words.get("atomic"))

    @property
    def list_type(self) -> ListType:
        """How server-side apply takes a list; `atomic` for everything that is none."""
        if "list_keys" in self.words:
            return "map"
        return "set" if self.words.get("list_set") else "atomic"

    @property
    def list_keys(self) -> tuple[str, ...]:
        """Wire names that identify an item of a list of type map."""
        return tuple(self.words.get("list_keys", ()))

    @property
    def key_defaults(self) -> Mapping[str, Any]:
        """What a missing key of an item stands for: the protocol of a port is TCP."""
        return typing.cast("Mapping[str, Any]", self.words.get("key_defaults", _NO_WORDS))

    @property
    def merge_key(self) -> str:
        """The key by which strategic merge patch combines this list of structs; empty when it replaces the list."""
        return str(self.words.get("merge_key") or self.words.get("patch_merge_key") or "")

    @property
    def patch_merge(self) -> bool:
        """Whether strategic merge patch adds to this list of scalars."""
        return bool(self.words.get("patch_merge"))

    @property
    def retain_keys(self) -> bool:
        """Whether strategic merge patch understands $retainKeys here, in the struct or in the items of the list."""
        return bool(self.words.get("retain_keys"))

    def at(self, *path: str | int) -> Schema:
        """Return the node at a path of wire names, map keys and list indices; ANY where nothing is declared."""
        node = self
        for step in path:
            node = node.fields.get(str(step), ANY) if node.kind == "struct" else node.item
        return node


ANY = Schema("any", go="interface {}")
"""A value of which nothing is declared: its maps are granular, its lists atomic."""
STRING = Schema("scalar", str, "string", "string")


_STRUCTS: dict[type[Struct], Schema] = {}


def struct_schema(cls: type[Struct]) -> Schema:
    """Return the structure of a class; the same object each time."""
    known = _STRUCTS.get(cls)
    if known is None:
        known = _STRUCTS[cls] = Schema("struct", cls, go=f"v1.{cls.__name__}")
    return known


def optional(declared: Any) -> Any:
    """Return a declared type without its None."""
    arguments = get_args(declared)
    if NoneType not in arguments:
        return declared
    rest = tuple(a for a in arguments if a is not NoneType)
    return rest[0] if len(rest) == 1 else typing.Union[rest]  # noqa: UP007 - built at run time


def _item_words(words: Mapping[str, Any]) -> Mapping[str, Any]:
    return {name: words[name] for name in ("go", "int32", "retain_keys") if name in words}


def _schema(declared: Any, words: Mapping[str, Any]) -> Schema:
    declared = optional(declared)
    origin, arguments = get_origin(declared), get_args(declared)
    if declared in _SCALARS:
        scalar, go = _SCALARS[declared]
        if words.get("int32"):
            go = "int32"
        return Schema("scalar", declared, scalar, words.get("go", go), words)
    if origin is tuple and len(arguments) == 2 and arguments[1] is Ellipsis:
        return Schema("list", declared, go=f"[]{_schema(arguments[0], _item_words(words)).go}", words=words)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return Schema("map", declared, go=f"map[string]{_schema(arguments[1], {}).go}", words=words)
    if isinstance(declared, type) and issubclass(declared, Struct):
        plain = struct_schema(declared)
        return Schema("struct", declared, go=plain.go, words=words) if words else plain
    return ANY


def undeclared_fields(document: Mapping[str, Any], cls: type[Struct]) -> tuple[str, ...]:
    """Return the path of each field that no class declares, such as `spec.ports[0].bogus`, in the document's order.

    Nothing is said of what lies inside such a field, nor of kinds whose values are of any shape.
    """
    found: list[str] = []
    _find_undeclared(document, struct_schema(cls), "", found)
    return tuple(found)


def _find_undeclared(value: Any, schema: Schema, path: str, found: list[str]) -> None:
    if schema.kind == "struct" and isinstance(value, dict):
        for name, part in value.items():
            inner = f"{path}.{name}" if path else name
            known = schema.fields.get(name)
            if known is None:
                found.append(inner)
            elif isinstance(part, dict | list):
                _find_undeclared(part, known, inner, found)
    elif schema.kind == "list" and isinstance(value, list):
        for index, part in enumerate(value):
            _find_undeclared(part, schema.item, f"{path}[{index}]", found)
    elif schema.kind == "map" and isinstance(value, dict):
        for name, part in value.items():
            _find_undeclared(part, schema.item, f"{path}.{name}", found)
