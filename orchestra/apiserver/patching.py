"""The patch types, applied to a document."""

from __future__ import annotations

from typing import Any

from orchestra.api.object import Object
from orchestra.api.patch import json_patch, merge_patch
from orchestra.api.schema import struct_schema
from orchestra.client.interface import Patch, PatchType

Document = dict[str, Any]


def patched(document: Document, patch: Patch, cls: type[Object] | None) -> Document:
    """Return `document` as a patch changes it. `cls` gives the merge keys of a strategic patch; None: it has no lists.

    Raises `Invalid` or `BadRequest` when the patch does not fit.
    """
    if patch.type is PatchType.JSON:
        return json_patch(document, patch.body)
    if patch.type is PatchType.MERGE or cls is None:
        return merge_patch(document, patch.body)
    from orchestra.api.strategic import strategic_merge

    return strategic_merge(document, patch.body, struct_schema(cls))
