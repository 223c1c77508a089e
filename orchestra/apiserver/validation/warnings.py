"""Warnings of kinds that have none of their own, and of users' kinds. A warning refuses nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from orchestra.api.object import ResourceInfo
from orchestra.apiserver.validation.fields import quoted

Document = Mapping[str, Any]
_DEPRECATED: Final = {
    "Endpoints": "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice",
}


def no_warnings(_document: Document, _old: Document | None) -> list[str]:
    """Return nothing: there is nothing to say of this kind."""
    return []


def deprecation_of(info: ResourceInfo) -> list[str]:
    """Return what every request about a kind is told, reads too, when the kind itself is on its way out."""
    text = _DEPRECATED.get(info.group_kind)
    return [] if text is None else [text]


def warnings_of_custom(document: Document, old: Document | None) -> list[str]:
    """Return the warnings of a user's kind: finalizers that others could take for their own."""
    meta = document.get("metadata") or {}
    known = (((old or {}).get("metadata") or {}).get("finalizers")) or ()
    return [
        f"metadata.finalizers: {quoted(name)}: prefer a domain-qualified finalizer name to avoid accidental "
        "conflicts with other finalizer writers"
        for name in meta.get("finalizers") or ()
        if "/" not in name and name not in known and name not in ("orphan", "foregroundDeletion")
    ]
