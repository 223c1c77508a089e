"""From documents to typed objects.

Each class gets one function that walks over what a document holds, so that the cost follows the document and not the
number of declared fields. The way that builds an object past its constructor is taken only where the constructor does
nothing but store its arguments.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, get_args, get_origin

import attrs

from orchestra.api.fields import FieldInfo, fields_of
from orchestra.api.frozen import EMPTY_LIST, FrozenDict, freeze, frozen_list, frozen_map
from orchestra.api.object import Object, Struct
from orchestra.api.scalars import SCALARS, Decode, decode_int32, wrong_type
from orchestra.api.schema import optional, struct_schema
from orchestra.errors import DecodeError

_PLAIN = (str, bool)
_ZEROS: dict[Any, Any] = {str: "", int: 0, bool: False, float: 0.0}

_DECODERS: dict[Any, Decode] = {}


def decoder_of(declared: Any) -> Decode:
    """Return the function that decodes a value of a declared type; types we do not know are cattrs' business."""
    known = _DECODERS.get(declared)
    if known is None:
        known = _DECODERS[declared] = _make_decoder(declared)
    return known


def _make_decoder(declared: Any) -> Decode:
    if declared in SCALARS:
        return SCALARS[declared][0]
    plain = optional(declared)
    if plain is not declared:
        return decoder_of(plain)
    origin, arguments = get_origin(declared), get_args(declared)
    if origin is tuple and len(arguments) == 2 and arguments[1] is Ellipsis:
        return _list_decoder(decoder_of(arguments[0]), arguments[0])
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return _map_decoder(decoder_of(arguments[1]), arguments[1])
    if isinstance(declared, type) and issubclass(declared, Struct):
        return _struct_decoder(declared)
    if origin is Literal:
        return _literal_decoder(arguments)
    return _foreign_decoder(declared)


def _field_decoder(info: FieldInfo) -> Decode:
    """Return the decoder of a field: `int32` says more than the type does."""
    declared = optional(info.type)
    if info.metadata.get("int32"):
        return _list_decoder(decode_int32, int) if get_origin(declared) is tuple else decode_int32
    return decoder_of(declared)


class _Hooks(dict[str, tuple[str, Any, Decode, bool] | None]):
    """What to do with each field of a class, found when a document first holds it: most fields are never met."""

    __slots__ = ("_fields",)

    def __init__(self, cls: type[Struct]) -> None:
        super().__init__()
        self._fields = fields_of(cls)

    def __missing__(self, name: str) -> tuple[str, Any, Decode, bool] | None:
        info = self._fields.get(name)
        if info is None:
            return None
        declared = optional(info.type)
        plain = declared if declared in _PLAIN else None
        hook = self[name] = (info.attribute, plain, _field_decoder(info), info.omit_empty)
        return hook


def _struct_decoder(cls: type[Struct]) -> Decode:
    hooks = _Hooks(cls)
    build = _builder(cls)
    own = ("apiVersion", "kind") if issubclass(cls, Object) else ()

    def decode_struct(document: Any) -> Any:
        if not isinstance(document, dict):
            raise wrong_type(document, "object")
        values: dict[str, Any] = {}
        carried: dict[str, Any] | None = None
        name = ""
        try:
            for name, value in document.items():
                hook = hooks[name]
                if hook is None or value is None:
                    if name not in own:
                        carried = carried or {}
                        carried[name] = freeze(value)
                    continue
                attribute, plain, convert, sparse = hook
                values[attribute] = value if type(value) is plain else convert(value)
                if not value and sparse:
                    # Said although it is the zero that stands for absent: it comes out again.
                    carried = carried or {}
                    carried[name] = value
        except DecodeError as error:
            raise _located(error, cls, name) from None
        if carried:
            values["undeclared"] = _frozen(carried)
        return build(**values)

    return decode_struct


_NULLS: dict[str, FrozenDict[str, Any]] = {}
_MAX_NULLS = 256


def _frozen(carried: dict[str, Any]) -> FrozenDict[str, Any]:
    """Return `carried` frozen; a single null, such as each Pod condition's `lastProbeTime`, is shared by all."""
    if len(carried) > 1 or next(iter(carried.values())) is not None:
        return FrozenDict(carried)
    name = next(iter(carried))
    known = _NULLS.get(name)
    if known is None:
        known = FrozenDict(carried)
        if len(_NULLS) < _MAX_NULLS:
            _NULLS[name] = known
    return known


def _located(error: DecodeError, cls: type[Struct], name: str) -> DecodeError:
    if error.owner or not error.got:
        return error.under(name)
    node = struct_schema(cls).fields[name]
    depth = error.path.count("[") if error.path.startswith("[") else 0
    for _ in range(depth):
        node = node.item
    return error.under(name, owner=cls.__name__, expected=_GO_SCALARS.get(node.go, node.go))


_GO_SCALARS = {"v1.Time": "string", "v1.MicroTime": "string", "intstr.IntOrString": "int32"}
"""Go types that decode themselves name what they try to read, not themselves."""


def _zero(declared: Any) -> Any:
    """Return what Go makes of null inside a list or a map."""
    declared = optional(declared)
    if isinstance(declared, type) and issubclass(declared, Struct):
        return {}
    return _ZEROS.get(declared)


def _list_decoder(item: Decode, declared: Any) -> Decode:
    def decode_list(value: Any) -> Any:
        if type(value) is not list and not isinstance(value, tuple):
            raise wrong_type(value, "array")
        try:
            return tuple([item(element) for element in value]) or EMPTY_LIST
        except DecodeError:
            return tuple([decode_at(f"[{index}]", element) for index, element in enumerate(value)])

    def decode_at(step: str, element: Any) -> Any:
        try:
            return item(_zero(declared) if element is None else element)
        except DecodeError as error:
            raise error.under(step) from None

    return decode_list


def _map_decoder(item: Decode, declared: Any) -> Decode:
    def decode_map(value: Any) -> Any:
        if not isinstance(value, dict):
            raise wrong_type(value, "object")
        try:
            return FrozenDict({key: item(element) for key, element in value.items()})
        except DecodeError:
            return FrozenDict({key: decode_at(f"[{key}]", element) for key, element in value.items()})

    def decode_at(step: str, element: Any) -> Any:
        try:
            return item(_zero(declared) if element is None else element)
        except DecodeError as error:
            raise error.under(step) from None

    return decode_map


def _literal_decoder(allowed: tuple[Any, ...]) -> Decode:
    def decode_literal(value: Any) -> Any:
        if not any(value == one and type(value) is type(one) for one in allowed):
            raise DecodeError(f"must be one of {', '.join(map(repr, allowed))}, not {value!r}")
        return value

    return decode_literal


def _foreign_decoder(declared: Any) -> Decode:
    # Only classes of users hold such types; cattrs costs more to import than all the rest of this package.
    import cattrs

    converter = cattrs.Converter(detailed_validation=False)

    def decode_by_cattrs(value: Any) -> Any:
        try:
            return converter.structure(value, declared)
        except Exception as error:
            # A user's own type raises what it likes: what it says of the value is the refusal.
            raise DecodeError(f"does not fit {declared}: {error}") from error

    return decode_by_cattrs


def _builder(cls: type[Struct]) -> Any:
    """Return what makes an object of `cls` from attribute values that are frozen already.

    A frozen class's own constructor stores through `object.__setattr__` and runs the converters of all lists and maps;
    the slots' own setters do the same for a half of the time.
    """
    items = attrs.fields(cls)
    if hasattr(cls, "__attrs_post_init__") or not all(map(_is_plain, items)):
        return _checked(cls)
    slots = {item.name: _slot(cls, item.name) for item in items}
    if not all(hasattr(slot, "__set__") for slot in slots.values()):
        return _checked(cls)
    names = [item.name for item in items]
    scope: dict[str, Any] = {"new": object.__new__, "cls": cls}
    for item in items:
        scope[f"set_{item.name}"] = slots[item.name].__set__
        scope[f"default_{item.name}"] = item.default
    arguments = ", ".join(f"{name}=default_{name}" for name in names)
    stores = "\n".join(f"    set_{name}(obj, {name})" for name in names)
    exec(f"def build(*, {arguments}):\n    obj = new(cls)\n{stores}\n    return obj\n", scope)  # noqa: S102 - our own text
    return scope["build"]


def _checked(cls: type[Struct]) -> Any:
    required = {item.name for item in attrs.fields(cls) if item.init and item.default is attrs.NOTHING}
    wire = {info.attribute: name for name, info in fields_of(cls).items()}

    def build(**values: Any) -> Any:
        for name in sorted(required - values.keys()):
            raise DecodeError("must be set", path=wire[name])
        try:
            return cls(**values)
        except (TypeError, ValueError) as error:
            raise DecodeError(str(error)) from error

    return build


def _is_plain(item: attrs.Attribute[Any]) -> bool:
    converter: Any = item.converter
    return (
        item.init
        and item.validator is None
        and any(converter is known for known in (None, frozen_list, frozen_map))
        and item.default is not attrs.NOTHING
        and not isinstance(item.default, attrs.Factory)  # type: ignore[arg-type]
    )


def _slot(cls: type, name: str) -> Any:
    return next((base.__dict__[name] for base in cls.__mro__ if name in base.__dict__), None)
