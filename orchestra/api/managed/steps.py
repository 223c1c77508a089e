"""How the items of a list are named in a path, and which values a class writes when it has none.

Both follow structured-merge-diff's `typed` package: an item of a list of type map is named by its keys, an element of
a set by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Any, Final

from orchestra.api.fields import fields_of
from orchestra.api.managed.fieldset import key_step, value_step
from orchestra.api.object import Struct
from orchestra.api.schema import ANY, Schema

MISSING: Final = object()
"""Stands for a value that a document does not hold; null is a value."""

_SCALAR_TYPES: Final = (str, int, float)


class StepError(Exception):
    """An item of a list cannot be named; the message says why. It never leaves this package."""


def item_step(item: Any, schema: Schema) -> str:
    """Return the step of an item of the list that `schema` describes; raises StepError when it has none."""
    keys = schema.words.get("list_keys")
    if keys is None:
        if not isinstance(item, _SCALAR_TYPES):
            raise StepError(f"associative list without keys has an element that's {_article(item)}")
        return value_step(item)
    if item is None:
        raise StepError("associative list with keys may not have a null element")
    if not isinstance(item, dict):
        raise StepError("associative list with keys may not have non-map elements")
    if len(keys) == 1 and type(item.get(keys[0])) is str:
        return key_step((keys[0], item[keys[0]]))
    pairs = []
    for key in sorted(keys):
        value = item.get(key, MISSING)
        if value is MISSING:
            value = schema.key_defaults.get(key, MISSING)
        if value is not MISSING:
            pairs.append((key, value))
    if not pairs:
        shown = " ".join(f'"{key}"' for key in keys)
        raise StepError(
            f"associative list with keys has an element that omits all key fields [{shown}] "
            "(and doesn't have default values for any key fields)"
        )
    try:
        return key_step(*pairs)
    except TypeError:
        raise StepError("associative list has an element whose key is no scalar") from None


def _article(item: Any) -> str:
    return "an explicit null" if item is None else "a map type" if isinstance(item, dict) else "a list"


def child_schema(schema: Schema, name: str) -> Schema:
    """Return the structure of a field of a struct, of a value of a map, or of what is not declared."""
    if schema.kind == "struct":
        return schema.fields.get(name, ANY)
    return schema.item if schema.kind == "map" else ANY


def is_named(schema: Schema, name: str) -> bool:
    """Say whether `name` is a declared field, and not a key of a map or a field of no declared structure."""
    return schema.kind == "struct" and name in schema.fields


@cache
def always_written(cls: type[Struct]) -> Mapping[str, Any]:
    """Return the fields that Go writes even when they are empty, with what it writes then.

    Ownership is compared as if documents held them: adding a value to an embedded struct does not add the struct.
    """
    values: dict[str, Any] = {}
    for name, info in fields_of(cls).items():
        if isinstance(info.default, Struct):
            values[name] = {}
        elif info.metadata.get("required") or info.metadata.get("nullable"):
            values[name] = None
        elif isinstance(info.default, _SCALAR_TYPES) and not info.omit_empty:
            values[name] = info.default
    return MappingProxyType(values)
