"""Typed objects from JSON documents, and back.

Decoding visits only what a document holds and names the path of what does not fit; encoding writes only what an
object holds. `decode` then `encode` is the identity: unknown fields, nulls and zeros that stand for absent are carried
in `undeclared`.
"""

from __future__ import annotations

import typing
from collections.abc import Mapping
from typing import Any, TypeAlias, TypeVar

from orchestra.api.decoding import decoder_of
from orchestra.api.encoding import encode_struct, encoder_of
from orchestra.api.fields import FieldInfo, fields_of, wire_name
from orchestra.api.object import Object, Struct
from orchestra.api.times import format_micro_time, format_time
from orchestra.errors import DecodeError

T = TypeVar("T", bound=Struct)
O = TypeVar("O", bound=Object)  # noqa: E741 - the type of an object
Document: TypeAlias = dict[str, Any]

__all__ = [
    "Document",
    "FieldInfo",
    "decode",
    "decode_like",
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


def decode(document: Mapping[str, Any], cls: type[T]) -> T:
    """Return the typed view of `document`.

    Raises DecodeError with the path of the first value that does not fit; apiVersion and kind are not checked.
    """
    return typing.cast("T", decoder_of(cls)(document))


def encode(obj: Struct) -> Document:
    """Return the JSON document of `obj`; a kind's own apiVersion and kind come first."""
    return encode_struct(obj)


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


def decode_like(document: Mapping[str, Any], previous_document: Mapping[str, Any], previous: T) -> T:
    """Return the typed view of `document`, sharing with `previous` each part whose document has not changed.

    Parts are compared where both sides have sub-objects, so a new status costs the status alone. Both documents must
    come from somebody who has checked them, such as a server: for Python `true` equals 1.
    """
    cls = type(previous)
    changed: dict[str, Any] = {}
    kept: dict[str, Any] = {}
    for name, info in fields_of(cls).items():
        value, before = document.get(name), previous_document.get(name)
        if before is None or value is None:
            continue
        known = getattr(previous, info.attribute)
        if value is before or value == before:
            kept[info.attribute] = known
        elif isinstance(known, Struct) and isinstance(value, dict) and isinstance(before, dict):
            try:
                kept[info.attribute] = decode_like(value, before, known)
            except DecodeError as error:
                raise error.under(name) from None
        else:
            continue
        changed[name] = None
    rest = {name: value for name, value in document.items() if name not in changed}
    fresh = decode(rest, cls)
    if not kept:
        return fresh
    values = {info.attribute: getattr(fresh, info.attribute) for info in fields_of(cls).values()}
    return cls(**(values | kept), undeclared=fresh.undeclared)
