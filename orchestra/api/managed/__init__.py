"""Server-side apply: documents that several managers share, field by field.

What comes in: the stored document, the applied or updated one, the structure of the kind (`orchestra.api.schema`) and
who writes. What goes out: the document to store, with `metadata.managedFields`. For the API server; pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestra._lazy import lazy_exports

if TYPE_CHECKING:
    from orchestra.api.managed.fieldset import FieldSet
    from orchestra.api.managed.ownership import Writer, apply_document, track_update

_EXPORTS = {
    "FieldSet": ".fieldset",
    "Writer": ".ownership",
    "apply_document": ".ownership",
    "track_update": ".ownership",
}

__getattr__ = lazy_exports(__name__, _EXPORTS)

__all__ = ["FieldSet", "Writer", "apply_document", "track_update"]
