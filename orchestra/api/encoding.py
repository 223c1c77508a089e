"""From typed objects to documents.

Each class gets one function whose text is written here, one line for each field: walking over the forty fields of a
PodSpec in a loop costs three times as much.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, get_args, get_origin

from orchestra.api.fields import FieldInfo, fields_of
from orchestra.api.frozen import ABSENT_LIST, ABSENT_MAP, thaw
from orchestra.api.object import Object, Struct
from orchestra.api.scalars import SCALARS, Encode
from orchestra.api.schema import optional


class _Encoders(dict[type, Callable[[Any], dict[str, Any]]]):
    """The encoder of each class, made when its first object is encoded; a subclass brings its own fields."""

    def __missing__(self, cls: type) -> Callable[[Any], dict[str, Any]]:
        encoder = self[cls] = _struct_encoder(cls)
        return encoder


ENCODERS = _Encoders()


def encode_struct(obj: Struct) -> dict[str, Any]:
    """Return the document of a typed object."""
    return ENCODERS[type(obj)](obj)


def encoder_of(declared: Any) -> Encode | None:
    """Return the function that encodes a value of a declared type; None when the value is its own wire form."""
    scope: dict[str, Any] = {}
    text = _expression(optional(declared), "value", scope)
    if text == "value":
        return None
    return _compile(f"def encode(value):\n    return {text}\n", scope)


def _struct_encoder(cls: type[Struct]) -> Callable[[Any], dict[str, Any]]:
    scope: dict[str, Any] = {"carry": _carry}
    head = "{}"
    if issubclass(cls, Object) and hasattr(cls, "resource_info"):
        head = repr({"apiVersion": cls.resource_info.api_version, "kind": cls.resource_info.kind})
    lines = [f"def encode(obj):\n    document = {head}"]
    for index, info in enumerate(fields_of(cls).values()):
        lines.append(_field(index, info, scope))
    lines.append("    if obj.undeclared:\n        carry(document, obj.undeclared)\n    return document\n")
    return _compile("\n".join(lines), scope)


def _field(index: int, info: FieldInfo, scope: dict[str, Any]) -> str:
    """Return the lines that write one field; the condition is that of `FieldInfo.is_absent`."""
    declared = optional(info.type)
    tests = ["value is not None"]
    if get_origin(declared) is tuple:
        scope["no_list"] = ABSENT_LIST
        tests.append("value is not no_list")
    elif isinstance(get_origin(declared), type) and issubclass(get_origin(declared), Mapping):
        scope["no_map"] = ABSENT_MAP
        tests.append("value is not no_map")
    if isinstance(info.default, Struct):
        scope[f"default{index}"] = info.default
        tests = [f"value is not default{index}"]
    elif info.omit_empty:
        scope[f"default{index}"] = info.default
        tests.append(f"value != default{index}")
    text = _expression(declared, "value", scope)
    return f"    value = obj.{info.attribute}\n    if {' and '.join(tests)}:\n        document[{info.wire!r}] = {text}"


def _expression(declared: Any, value: str, scope: dict[str, Any]) -> str:
    """Return a Python expression for the wire form of the variable named `value`."""
    if declared in SCALARS:
        return _call(SCALARS[declared][1], value, scope)
    origin, arguments = get_origin(declared), get_args(declared)
    if origin is tuple and len(arguments) == 2 and arguments[1] is Ellipsis:
        item = _expression(optional(arguments[0]), "item", scope)
        return f"list({value})" if item == "item" else f"[{item} for item in {value}]"
    if isinstance(origin, type) and issubclass(origin, Mapping):
        item = _expression(optional(arguments[1]), "item", scope)
        return f"dict({value})" if item == "item" else f"{{key: {item} for key, item in {value}.items()}}"
    if isinstance(declared, type) and issubclass(declared, Struct):
        scope["encoders"] = ENCODERS
        return f"encoders[type({value})]({value})"
    return _call(_unstructure, value, scope)


def _call(function: Encode | None, value: str, scope: dict[str, Any]) -> str:
    if function is None:
        return value
    name = f"call_{getattr(function, '__name__', 'it')}"
    scope[name] = function
    return f"{name}({value})"


def _unstructure(value: Any) -> Any:
    import cattrs

    return cattrs.unstructure(value)


def _compile(text: str, scope: dict[str, Any]) -> Callable[[Any], Any]:
    exec(text, scope)  # noqa: S102 - the text is made here, of attribute names and literals
    return scope["encode"]  # type: ignore[no-any-return]


def _carry(document: dict[str, Any], undeclared: Mapping[str, Any]) -> None:
    for name, value in undeclared.items():
        document.setdefault(name, thaw(value))
