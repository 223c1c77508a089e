"""Typed objects from JSON documents, and back.

Decoding visits only what a document holds and names the path of what does not fit; encoding writes only what an
object holds. `decode` then `encode` is the identity: unknown fields and nulls are carried in `undeclared`.
"""

from __future__ import annotations

import base64
import typing
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cache, lru_cache
from operator import attrgetter
from types import NoneType
from typing import Any, TypeVar, get_args, get_origin

import cattrs

from orchestra.api.fields import FieldInfo, fields_of, wire_name
from orchestra.api.frozen import EMPTY_LIST, FrozenDict, freeze, thaw
from orchestra.api.object import MicroTime, Object, Struct
from orchestra.api.quantity import Quantity
from orchestra.errors import DecodeError

T = TypeVar("T", bound=Struct)
O = TypeVar("O", bound=Object)  # noqa: E741 - the type of an object
Document = dict[str, Any]
Decode = Callable[[Any], Any]
Encode = Callable[[Any], Any]

__all__ = [
    "Document",
    "FieldInfo",
    "decode",
    "decoder_of",
    "encode",
    "encoder_of",
    "fields_of",
    "format_micro_time",
    "format_time",
    "from_document",
    "to_document",
    "wire_name",
]

_ZEROS = ("", 0, False)


def decode(document: Mapping[str, Any], cls: type[T]) -> T:
    """Return the typed view of `document`.

    Raises DecodeError with the path of the first value that does not fit; apiVersion and kind are not checked.
    """
    return typing.cast("T", _decoder(cls)(document))


def encode(obj: Struct) -> Document:
    """Return the JSON document of `obj`; a kind's own apiVersion and kind come first."""
    return typing.cast("Document", _encoder(type(obj))(obj))


def from_document(document: Mapping[str, Any], cls: type[O]) -> O:
    """Return `document` as an object of `cls`; raises DecodeError when it is of another kind or does not fit."""
    info = cls.resource_info
    for name, want in (("apiVersion", info.api_version), ("kind", info.kind)):
        if document.get(name, want) != want:
            raise DecodeError(f"expected {want}, got {document[name]}", path=name)
    return decode(document, cls)


def to_document(obj: Object) -> Document:
    """Return the document of a typed object."""
    return encode(obj)


def _type_error(value: Any, expected: str) -> DecodeError:
    names: dict[type, str] = {dict: "object", FrozenDict: "object", list: "array", str: "string", bool: "bool"}
    return DecodeError(f"expected {expected}, got {names.get(type(value), 'number')}")


def _at(error: DecodeError, step: str) -> DecodeError:
    rest = error.path
    joined = step + rest if rest.startswith("[") else f"{step}.{rest}" if rest else step
    return DecodeError(error.message, path=joined)


@cache
def _decoder(cls: type[Struct]) -> Decode:
    fields = fields_of(cls)
    # A field's hook is built when a document first holds the field: most of a Pod's classes are never needed.
    hooks: dict[str, tuple[str, Decode]] = {}
    own = ("apiVersion", "kind") if issubclass(cls, Object) else ()

    def decode_struct(document: Any) -> Any:
        if not isinstance(document, dict):
            raise _type_error(document, "object")
        values: dict[str, Any] = {}
        undeclared: dict[str, Any] | None = None
        for name, value in document.items():
            hook = hooks.get(name)
            if hook is None:
                info = fields.get(name)
                if info is not None:
                    hook = hooks[name] = (info.attribute, decoder_of(info.type))
            if hook is None or value is None:
                if name not in own:
                    undeclared = undeclared or {}
                    undeclared[name] = freeze(value)
                continue
            try:
                values[hook[0]] = hook[1](value)
            except DecodeError as error:
                raise _at(error, name) from None
            if value in _ZEROS and fields[name].omit_empty:
                undeclared = undeclared or {}
                undeclared[name] = value
        if undeclared:
            values["undeclared"] = FrozenDict(undeclared)
        return cls(**values)

    return decode_struct


def _decode_bytes(value: Any) -> bytes:
    if type(value) is not str:
        raise _type_error(value, "base64 string")
    try:
        return base64.b64decode(value, validate=True)
    except ValueError as error:
        raise DecodeError(f"illegal base64 data: {error}") from None


def _decode_list(item: Decode) -> Decode:
    def decode_list(value: Any) -> Any:
        if not isinstance(value, list | tuple):
            raise _type_error(value, "array")
        result = []
        for index, element in enumerate(value):
            try:
                result.append(item(element))
            except DecodeError as error:
                raise _at(error, f"[{index}]") from None
        return tuple(result) or EMPTY_LIST

    return decode_list


def _decode_map(item: Decode) -> Decode:
    def decode_map(value: Any) -> Any:
        if not isinstance(value, dict):
            raise _type_error(value, "object")
        result = {}
        for key, element in value.items():
            try:
                result[key] = item(element)
            except DecodeError as error:
                raise _at(error, key) from None
        return FrozenDict(result)

    return decode_map


def _scalar(cls: type, expected: str) -> Decode:
    def decode_scalar(value: Any) -> Any:
        if type(value) is not cls:
            raise _type_error(value, expected)
        return value

    return decode_scalar


def _decode_float(value: Any) -> float:
    if type(value) not in (float, int):
        raise _type_error(value, "number")
    return float(value)


def _decode_int_or_string(value: Any) -> int | str:
    if type(value) is not int and type(value) is not str:
        raise _type_error(value, "integer or string")
    return typing.cast("int | str", value)


@lru_cache(maxsize=4096)
def _parse_time(text: str) -> datetime:
    parsed = datetime.fromisoformat(text)
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).astimezone(UTC)


def _decode_time(value: Any) -> datetime:
    if type(value) is not str:
        raise _type_error(value, "RFC 3339 time")
    try:
        return _parse_time(value)
    except ValueError:
        raise DecodeError(f"{value!r} is not an RFC 3339 time") from None


def _decode_quantity(value: Any) -> Quantity:
    try:
        return Quantity(value)
    except (TypeError, ValueError) as error:
        raise DecodeError(str(error)) from None


_converter = cattrs.Converter(detailed_validation=False)

_SCALARS: dict[Any, Decode] = {
    str: _scalar(str, "string"),
    int: _scalar(int, "integer"),
    bool: _scalar(bool, "boolean"),
    float: _decode_float,
    datetime: _decode_time,
    MicroTime: _decode_time,
    bytes: _decode_bytes,
    Quantity: _decode_quantity,
    int | str: _decode_int_or_string,
    Any: freeze,
}


@cache
def decoder_of(declared: Any) -> Decode:
    """Return the function that decodes a value of a declared type; types we do not know are cattrs' business."""
    known = _SCALARS.get(declared)
    if known is not None:
        return known
    origin, arguments = get_origin(declared), get_args(declared)
    if NoneType in arguments:
        rest = [a for a in arguments if a is not NoneType]
        return decoder_of(rest[0] if len(rest) == 1 else typing.Union[tuple(rest)])  # noqa: UP007 - built at run time
    if set(arguments) == {int, str} and origin is not dict:
        return _decode_int_or_string
    if origin is tuple and len(arguments) == 2 and arguments[1] is Ellipsis:
        return _decode_list(decoder_of(arguments[0]))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return _decode_map(decoder_of(arguments[1]))
    if isinstance(declared, type) and issubclass(declared, Struct):
        return _decoder(declared)

    def decode_by_cattrs(value: Any) -> Any:
        try:
            return _converter.structure(value, declared)
        except (cattrs.BaseValidationError, TypeError, ValueError, KeyError, AttributeError) as error:
            raise DecodeError(f"does not fit {declared}: {error}") from error

    return decode_by_cattrs


def format_time(value: datetime) -> str:
    """Return a time as metav1.Time writes it: UTC, whole seconds."""
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def format_micro_time(value: datetime) -> str:
    """Return a time as metav1.MicroTime writes it: UTC, six digits of a second."""
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@cache
def encoder_of(declared: Any) -> Encode | None:
    """Return the function that encodes a value of a declared type; None when the value is its own wire form."""
    if declared in (str, int, bool, float) or declared == (int | str):
        return None
    if declared is datetime:
        return format_time
    if declared is MicroTime:
        return format_micro_time
    if declared is Quantity:
        return str
    if declared is bytes:
        return lambda value: base64.b64encode(value).decode("ascii")
    if declared is Any:
        return thaw
    origin, arguments = get_origin(declared), get_args(declared)
    if NoneType in arguments:
        rest = [a for a in arguments if a is not NoneType]
        return encoder_of(rest[0] if len(rest) == 1 else typing.Union[tuple(rest)])  # noqa: UP007 - built at run time
    if set(arguments) == {int, str} and origin is not dict:
        return None
    if origin is tuple and len(arguments) == 2 and arguments[1] is Ellipsis:
        item = encoder_of(arguments[0])
        return list if item is None else lambda value: [item(element) for element in value]
    if isinstance(origin, type) and issubclass(origin, Mapping):
        item = encoder_of(arguments[1])
        return dict if item is None else lambda value: {key: item(element) for key, element in value.items()}
    if isinstance(declared, type) and issubclass(declared, Struct):
        return lambda value: _encoder(type(value))(value)
    return _converter.unstructure


@cache
def _encoder(cls: type[Struct]) -> Encode:
    infos = tuple(fields_of(cls).values())
    names = [info.attribute for info in infos]
    read = attrgetter(*names, "undeclared")
    head = {}
    if issubclass(cls, Object) and hasattr(cls, "resource_info"):
        head = {"apiVersion": cls.resource_info.api_version, "kind": cls.resource_info.kind}
    hooks: dict[int, Encode | None] = {}

    def encode_struct(obj: Any) -> Document:
        document: Document = dict(head)
        values = read(obj)
        for index, info in enumerate(infos):
            value = values[index]
            if info.is_absent(value):
                continue
            if index not in hooks:
                hooks[index] = encoder_of(info.type)
            hook = hooks[index]
            document[info.wire] = value if hook is None else hook(value)
        undeclared = values[-1]
        if undeclared:
            for name, value in undeclared.items():
                document.setdefault(name, thaw(value))
        return document

    return encode_struct
