"""Which fields of a document its kind does not have: what strict field validation refuses and the lax one warns of."""

from __future__ import annotations

from typing import Any

from orchestra.api.object import Object
from orchestra.api.schema import Schema, struct_schema


def unknown_fields(document: dict[str, Any], cls: type[Object]) -> tuple[str, ...]:
    """Return `unknown field "spec.foo"` for each undeclared field, in the order of the document."""
    found: list[str] = []
    top = {name: value for name, value in document.items() if name not in ("apiVersion", "kind")}
    _walk(top, struct_schema(cls), "", found)
    return tuple(f'unknown field "{path}"' for path in found)


def _walk(value: Any, schema: Schema, path: str, found: list[str]) -> None:
    if schema.kind == "struct" and isinstance(value, dict):
        fields = schema.fields
        for name, part in value.items():
            inner = f"{path}.{name}" if path else name
            known = fields.get(name)
            if known is None:
                found.append(inner)
            elif isinstance(part, dict | list):
                _walk(part, known, inner, found)
    elif schema.kind == "list" and isinstance(value, list):
        for index, part in enumerate(value):
            _walk(part, schema.item, f"{path}[{index}]", found)
    elif schema.kind == "map" and isinstance(value, dict):
        for name, part in value.items():
            _walk(part, schema.item, f"{path}.{name}", found)
