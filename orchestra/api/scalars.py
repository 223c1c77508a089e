"""Single values: from their wire form to Python's, and back. Each refusal says what was found."""

from __future__ import annotations

import base64
import string
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final, TypeAlias

from orchestra.api.frozen import freeze, thaw
from orchestra.api.object import MicroTime
from orchestra.api.quantity import Quantity, parse_quantity
from orchestra.api.times import format_micro_time, format_time, parse_micro_time, parse_time
from orchestra.errors import DecodeError

Decode: TypeAlias = Callable[[Any], Any]
Encode: TypeAlias = Callable[[Any], Any]

_INT32: Final = 1 << 31
_INT64: Final = 1 << 63
_BASE64 = frozenset(string.ascii_letters + string.digits + "+/")


def wrong_type(value: Any, expected: str) -> DecodeError:
    """Return the error for a value of another JSON type than the field's."""
    if value is None:
        got = "null"
    elif isinstance(value, dict):
        got = "object"
    elif isinstance(value, list | tuple):
        got = "array"
    elif isinstance(value, bool):
        got = "bool"
    else:
        got = "string" if isinstance(value, str) else "number"
    return DecodeError(f"expected {expected}, got {got}", got=got)


def _integer(limit: int) -> Decode:
    def decode_integer(value: Any) -> int:
        if type(value) is int and -limit <= value < limit:
            return value
        if type(value) is int or type(value) is float:
            fault = "an integer of 32 bits" if limit == _INT32 else "an integer"
            raise DecodeError(f"expected {fault}, got {value}", got=f"number {value}")
        raise wrong_type(value, "integer")

    return decode_integer


decode_int32 = _integer(_INT32)
decode_int64 = _integer(_INT64)


def decode_string(value: Any) -> str:
    """Return a string as it is."""
    if type(value) is not str:
        raise wrong_type(value, "string")
    return value


def decode_bool(value: Any) -> bool:
    """Return a boolean as it is."""
    if type(value) is not bool:
        raise wrong_type(value, "boolean")
    return value


def decode_float(value: Any) -> float:
    """Return a number as a float."""
    if type(value) is not float and type(value) is not int:
        raise wrong_type(value, "number")
    return float(value)


def decode_int_or_string(value: Any) -> int | str:
    """Return an integer or a string as it is."""
    return value if type(value) is str else decode_int32(value)


def decode_bytes(value: Any) -> bytes:
    """Return the bytes of a base64 string; line breaks in it do not count."""
    text = decode_string(value)
    try:
        return base64.b64decode(text.replace("\n", "").replace("\r", ""), validate=True)
    except ValueError:
        raise DecodeError(f"illegal base64 data at input byte {_illegal_byte(text)}") from None


def _illegal_byte(text: str) -> int:
    significant = [index for index, character in enumerate(text) if character not in "\r\n"]
    for place, index in enumerate(significant):
        if text[index] not in _BASE64:
            padding = "".join(text[i] for i in significant[place:])
            if padding == "=" * (-place % 4) and place % 4 > 1:
                break
            return index
    return significant[len(significant) // 4 * 4] if len(significant) % 4 else len(text)


def _time(parse: Callable[[str], datetime]) -> Decode:
    def decode_time(value: Any) -> datetime:
        if type(value) is not str:
            raise wrong_type(value, "string")
        try:
            return parse(value)
        except ValueError as error:
            raise DecodeError(str(error)) from None

    return decode_time


def decode_quantity(value: Any) -> Quantity:
    """Return the quantity that a string or a number stands for."""
    try:
        return parse_quantity(value) if type(value) is str else Quantity(value)
    except TypeError:
        return decode_quantity("?")
    except ValueError as error:
        raise DecodeError(str(error)) from None


def encode_bytes(value: bytes) -> str:
    """Return bytes in base64."""
    return base64.b64encode(value).decode("ascii")


SCALARS: Final[dict[Any, tuple[Decode, Encode | None]]] = {
    str: (decode_string, None),
    int: (decode_int64, None),
    bool: (decode_bool, None),
    float: (decode_float, None),
    bytes: (decode_bytes, encode_bytes),
    datetime: (_time(parse_time), format_time),
    MicroTime: (_time(parse_micro_time), format_micro_time),
    Quantity: (decode_quantity, str),
    int | str: (decode_int_or_string, None),
    Any: (freeze, thaw),
}
"""How a value of a declared type is decoded and encoded; no encoder where the value is its own wire form."""
