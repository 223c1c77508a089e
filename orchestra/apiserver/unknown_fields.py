"""Which fields of a document its kind does not have: what strict field validation refuses and the lax one warns of."""

from __future__ import annotations

from typing import Any

from orchestra.api.object import Object
from orchestra.api.schema import undeclared_fields


def unknown_fields(document: dict[str, Any], cls: type[Object]) -> tuple[str, ...]:
    """Return `unknown field "spec.foo"` for each undeclared field, in the order of the document."""
    return tuple(f'unknown field "{path}"' for path in undeclared_fields(document, cls))
