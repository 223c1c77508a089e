"""What an explicit null in an applied document comes to, as decoding into a typed object makes it."""

from __future__ import annotations

from typing import Any

from orchestra.api.frozen import FrozenDict
from orchestra.api.managed.steps import child_schema
from orchestra.api.schema import Schema

_CONTAINERS = frozenset({dict, list, tuple, FrozenDict})
_ZERO_OF_MAP_VALUE = {"string": "", "bytes": "", "quantity": "0", "boolean": False, "integer": 0, "number": 0}


def has_null(value: Any) -> bool:
    """Say whether there is a null anywhere in a JSON value."""
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, list | tuple):
        return value is None
    return any(item is None or (type(item) in _CONTAINERS and has_null(item)) for item in value)


def without_nulls(value: Any, schema: Schema) -> Any:
    """Return a value in which null fields are absent and null values of a map of scalars are empty ones.

    A value without nulls comes back as the same object.
    """
    if isinstance(value, dict):
        if schema.kind == "any":
            return value
        changed: dict[str, Any] = {}
        dropped = False
        for name, item in value.items():
            inner = child_schema(schema, name)
            if item is None:
                if schema.kind == "map" and inner.kind == "scalar":
                    changed[name] = _ZERO_OF_MAP_VALUE.get(inner.scalar, "")
                elif inner.kind != "any":
                    dropped = True
                continue
            if isinstance(item, dict | list | tuple):
                after = without_nulls(item, inner)
                if after is not item:
                    changed[name] = after
        if dropped:
            return {
                name: changed.get(name, item)
                for name, item in value.items()
                if item is not None or name in changed or child_schema(schema, name).kind == "any"
            }
        return {**value, **changed} if changed else value
    if isinstance(value, list | tuple) and schema.kind == "list" and schema.item.kind != "scalar":
        items = [without_nulls(item, schema.item) for item in value]
        return value if all(a is b for a, b in zip(items, value, strict=True)) else items
    return value
