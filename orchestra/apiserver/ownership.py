"""Who owns which field: the link between the write path and `orchestra.api.managed`.

That package is loaded when an object is first applied: a plane that nobody applies anything to has no use for it.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final

from orchestra.api.object import Object, ResourceInfo
from orchestra.api.schema import struct_schema
from orchestra.apiserver import refusals
from orchestra.apiserver.interface import Document
from orchestra.apiserver.metadata import meta_of, with_meta
from orchestra.apiserver.record import Record
from orchestra.errors import BadRequest

if TYPE_CHECKING:
    from orchestra.api.managed.ownership import Writer

DEFAULT_MANAGER: Final = "orchestra"
"""Who writes, when the writer does not say."""


def writer_of(info: ResourceInfo, manager: str, subresource: str, now: datetime) -> Writer:
    """Return who writes, and which fields a write through this subresource leaves alone."""
    from orchestra.api.managed.fieldset import FieldSet
    from orchestra.api.managed.ownership import Writer

    if subresource == "status":
        ignored = FieldSet.of("spec")
    else:
        ignored = FieldSet.of("status") if "status" in info.subresources else FieldSet.of()
    return Writer(
        manager=manager or DEFAULT_MANAGER,
        api_version=info.api_version,
        subresource=subresource,
        # Kubernetes forgets the time where it translates what a Scale owns.
        now=None if subresource == "scale" else now,
        ignored=ignored,
    )


def applied(cls: type[Object], old: Record | None, document: Document, writer: Writer, *, force: bool) -> Document:
    """Return what applying a document makes of an object, or of nothing; raises Conflict and BadRequest."""
    from orchestra.api.managed.ownership import apply_document

    info, meta = cls.resource_info, meta_of(document)
    if not meta.get("name"):
        raise BadRequest("name must be provided")
    revision = meta.get("resourceVersion")
    if revision:
        if old is None or revision != str(old.revision):
            raise refusals.conflict(info, meta["name"])
        document = with_meta(document, resourceVersion=None)
    live = None if old is None else old.document
    return apply_document(live, document, struct_schema(cls), writer, force=force)


def has_owners(old: Document, new: Document) -> bool:
    """Whether a write must follow ownership: an object that has none costs nothing."""
    return bool(meta_of(old).get("managedFields") or meta_of(new).get("managedFields"))


def tracked(cls: type[Object], old: Document, new: Document, writer: Writer) -> Document:
    """Return an updated document, as its writer and the defaults made it, with its ownership brought up to date."""
    from orchestra.api.managed.ownership import track_update

    return track_update(old, new, struct_schema(cls), writer)


def created(cls: type[Object], document: Document, writer: Writer) -> Document:
    """Return a new document, as its writer and the defaults made it, whose fields are the writer's."""
    from orchestra.api.managed.ownership import track_update

    return track_update(None, document, struct_schema(cls), writer, track_created=True)
