"""The forms in which records are shown to who reads documents: as they are, as rows of a table, or by metadata alone.

What comes in: records and the present time. What goes out: JSON documents as Kubernetes' server writes them
(metav1.Table, metav1.PartialObjectMetadata and the lists of both). All functions are pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

import attrs

from orchestra.api.object import ResourceInfo
from orchestra.api.tables import Column, Printer, table_of
from orchestra.apiserver.defaults.canonical import presented
from orchestra.apiserver.reading import Page
from orchestra.apiserver.record import Record

Document = dict[str, Any]

META_VERSION: Final = "meta.k8s.io/v1"
_OF_VERSION: Final = "deprecated.daemonset.template.generation"


class Form(StrEnum):
    """How objects are shown."""

    OBJECT = ""
    TABLE = "Table"
    METADATA = "PartialObjectMetadata"


class IncludeObject(StrEnum):
    """What a row of a table carries besides its cells (metav1.IncludeObjectPolicy)."""

    NONE = "None"
    METADATA = "Metadata"
    OBJECT = "Object"


@attrs.frozen(kw_only=True)
class View:
    """How a reader wants to be answered. `now` is what ages are reckoned from."""

    form: Form = Form.OBJECT
    include: IncludeObject = IncludeObject.METADATA
    now: datetime | None = None


PLAIN: Final = View()


def shown(record: Record) -> Document:
    """Return an object as a Kubernetes server writes it."""
    document: Document = presented(record.wire_document, record.cls)
    return document


def metadata_only(record: Record) -> Document:
    """Return the PartialObjectMetadata of an object."""
    return {"kind": "PartialObjectMetadata", "apiVersion": META_VERSION, "metadata": record.wire_document["metadata"]}


def _unconverted(record: Record) -> Document:
    """Return the metadata of an object as it is before its version of the API adds what belongs to that version."""
    document = metadata_only(record)
    annotations = document["metadata"].get("annotations") or {}
    if _OF_VERSION in annotations:
        rest = {name: value for name, value in annotations.items() if name != _OF_VERSION}
        meta = {name: value for name, value in document["metadata"].items() if name != "annotations"}
        document["metadata"] = {**meta, "annotations": rest} if rest else meta
    return document


def one(record: Record, view: View = PLAIN) -> Document:
    """Return one object in the form that is wanted."""
    if view.form is Form.TABLE:
        meta = {"resourceVersion": str(record.revision)}
        return _table(record.cls.resource_info, meta, (record,), view)
    return _unconverted(record) if view.form is Form.METADATA else shown(record)


def page(info: ResourceInfo, found: Page, view: View = PLAIN) -> Document:
    """Return one page of a list in the form that is wanted."""
    meta: Document = {"resourceVersion": str(found.revision)}
    if found.continue_:
        meta["continue"] = found.continue_
    if found.remaining is not None:
        meta["remainingItemCount"] = found.remaining
    if view.form is Form.TABLE:
        return _table(info, meta, found.records, view)
    if view.form is Form.METADATA:
        items = [_unconverted(record) for record in found.records]
        return {"kind": "PartialObjectMetadataList", "apiVersion": META_VERSION, "metadata": meta, "items": items}
    return listed(info, found.records, meta)


def listed(info: ResourceInfo, records: Iterable[Record], meta: Document) -> Document:
    """Return a list of a kind; its items do not repeat what they are."""
    items = []
    for record in records:
        item = dict(shown(record))
        item.pop("kind", None)
        item.pop("apiVersion", None)
        items.append(item)
    return {"kind": f"{info.kind}List", "apiVersion": info.api_version, "metadata": meta, "items": items}


def event(record: Record, view: View = PLAIN, *, first: bool = True) -> Document:
    """Return the object of a watch's event. Only the `first` table of a watch says which columns there are."""
    document = one(record, view)
    if view.form is Form.TABLE and not first:
        document["columnDefinitions"] = None
    return document


def _table(info: ResourceInfo, meta: Document, records: Sequence[Record], view: View) -> Document:
    printer = table_of(info)
    return {
        "kind": "Table",
        "apiVersion": META_VERSION,
        "metadata": meta,
        "columnDefinitions": [_column(column) for column in printer.columns],
        "rows": [_row(record, printer, view) for record in records],
    }


def _column(column: Column) -> Document:
    return {
        "name": column.name,
        "type": column.type,
        "format": column.format,
        "description": "",
        "priority": column.priority,
    }


def _row(record: Record, printer: Printer, view: View) -> Document:
    obj = record.object
    if view.now is None:
        raise ValueError("a table needs the present time")
    row: Document = {"cells": list(printer.cells(obj, view.now))}
    conditions = printer.conditions(obj)
    if conditions:
        row["conditions"] = [attrs.asdict(condition) for condition in conditions]
    if view.include is IncludeObject.OBJECT:
        row["object"] = shown(record)
    else:
        row["object"] = metadata_only(record) if view.include is IncludeObject.METADATA else None
    return row
