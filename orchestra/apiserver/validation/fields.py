"""Faults of a document: what is wrong with which field, worded as Kubernetes words it.

A rule appends `FieldError`s to a list that it is handed, so that every fault of an object is reported at once.
Paths are plain strings (`spec.containers[0].image`): building one costs less than any path object would.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import attrs
import orjson

from orchestra.api.object import ResourceInfo
from orchestra.errors import Cause, Invalid

MAX_INT32 = 2**31 - 1
IMMUTABLE = "field is immutable"
NEGATIVE = "must be greater than or equal to 0"
NOT_POSITIVE = "must be greater than zero"

_TITLES = {
    "FieldValueNotFound": "Not found",
    "FieldValueRequired": "Required value",
    "FieldValueDuplicate": "Duplicate value",
    "FieldValueInvalid": "Invalid value",
    "FieldValueNotSupported": "Unsupported value",
    "FieldValueForbidden": "Forbidden",
    "FieldValueTooLong": "Too long",
    "FieldValueTooMany": "Too many",
    "FieldValueTypeInvalid": "Invalid value",
    "InternalError": "Internal error",
}
_ESCAPES = {7: "\\a", 8: "\\b", 12: "\\f", 10: "\\n", 13: "\\r", 9: "\\t", 11: "\\v", 34: '\\"', 92: "\\\\"}


@attrs.frozen
class FieldError:
    """One fault. `type` is the reason of a metav1.StatusCause, `message` its text without the field's path."""

    type: str
    field: str
    message: str

    def __str__(self) -> str:
        return f"{self.field}: {self.message}"

    def to_cause(self) -> Cause:
        """Return the fault as a cause of an `Invalid` error."""
        return Cause(reason=self.type, message=self.message, field=self.field)


Errors = list[FieldError]


def quoted(text: str) -> str:
    """Return `text` in double quotes, escaped as Go's `%q` escapes it."""
    if text.isascii() and text.isprintable() and '"' not in text and "\\" not in text:
        return f'"{text}"'
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(char: str) -> str:
    code = ord(char)
    if code in _ESCAPES:
        return _ESCAPES[code]
    if char.isprintable():
        return char
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def json_text(value: Any) -> str:
    """Return compact JSON as Go writes it: `<`, `>` and `&` escaped."""
    text = orjson.dumps(value).decode()
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def shown(value: Any) -> str:
    """Return `value` as it stands in a fault's message."""
    return quoted(value) if isinstance(value, str) else json_text(value)


def _fault(kind: str, path: str, value: str, detail: str) -> FieldError:
    return FieldError(kind, path, ": ".join(filter(None, (_TITLES[kind], value, detail))))


def required(path: str, detail: str = "") -> FieldError:
    """Return the fault of a field that must be there."""
    return _fault("FieldValueRequired", path, "", detail)


def invalid(path: str, value: Any, detail: str) -> FieldError:
    """Return the fault of a malformed value."""
    return _fault("FieldValueInvalid", path, shown(value), detail)


def invalid_here(path: str, detail: str) -> FieldError:
    """Return the fault of a value that is malformed as a whole, and is not repeated."""
    return _fault("FieldValueInvalid", path, "", detail)


def not_supported(path: str, value: Any, supported: Iterable[str]) -> FieldError:
    """Return the fault of a value outside an enumeration; `supported` is listed in the order given."""
    known = ", ".join(map(quoted, supported))
    return _fault("FieldValueNotSupported", path, shown(value), f"supported values: {known}" if known else "")


def duplicate(path: str, value: Any, detail: str = "") -> FieldError:
    """Return the fault of a value that must be unique and is not."""
    return _fault("FieldValueDuplicate", path, shown(value), detail)


def not_found(path: str, value: Any, detail: str = "") -> FieldError:
    """Return the fault of a reference to nothing."""
    return _fault("FieldValueNotFound", path, shown(value), detail)


def forbidden(path: str, detail: str) -> FieldError:
    """Return the fault of a well-formed value that may not be set here or now."""
    return _fault("FieldValueForbidden", path, "", detail)


def too_long(path: str, limit_bytes: int) -> FieldError:
    """Return the fault of a value of more than `limit_bytes`; the value is not repeated."""
    return _fault(
        "FieldValueTooLong", path, "", f"may not be more than {limit_bytes} byte{'s' if limit_bytes != 1 else ''}"
    )


def too_many(path: str, count: int, limit: int) -> FieldError:
    """Return the fault of a list of more than `limit` items."""
    return _fault("FieldValueTooMany", path, str(count), f"must have at most {limit} item{'s' if limit != 1 else ''}")


def each_invalid(path: str, value: Any, details: Iterable[str], errors: Errors) -> None:
    """Append a fault per reason why `value` is malformed."""
    for detail in details:
        errors.append(invalid(path, value, detail))


def check_enum(path: str, value: Any, supported: Sequence[str], errors: Errors) -> None:
    """Append a fault unless `value` is one of `supported`; an empty value is missing."""
    if not value:
        errors.append(required(path))
    elif value not in supported:
        errors.append(not_supported(path, value, supported))


def check_non_negative(path: str, value: int | None, errors: Errors) -> None:
    """Append a fault when a number is below zero; an absent one is zero."""
    if value is not None and value < 0:
        errors.append(invalid(path, value, NEGATIVE))


def check_immutable(path: str, new: Any, old: Any, errors: Errors) -> None:
    """Append a fault when a field that is fixed at creation was changed; absent, null and empty are the same."""
    if (new or None) != (old or None):
        errors.append(invalid(path, new, IMMUTABLE))


def ordered(value: Mapping[str, Any] | None, names: Sequence[str]) -> dict[str, Any] | None:
    """Return a copy of `value` with its set fields in the order of `names`, as a Go struct would write them."""
    if value is None:
        return None
    return {name: value[name] for name in names if value.get(name) not in (None, "", [], {})}


def to_invalid(info: ResourceInfo, name: str, errors: Sequence[FieldError]) -> Invalid:
    """Return the 422 answer that lists every fault; equal faults are told once in the message, each in the causes."""
    told = tuple(dict.fromkeys(map(str, errors)))
    text = told[0] if len(told) == 1 else f"[{', '.join(told)}]"
    return Invalid(
        f"{info.group_kind} {quoted(name)} is invalid: {text}",
        kind=info.kind,
        group=info.group,
        name=name,
        causes=tuple(error.to_cause() for error in errors),
    )
