"""Server-side apply and the ownership of fields: what each write makes of an object and of its `managedFields`.

`apply_document` makes what a manager states so and lets it own that; `track_update` follows what any other write
changed. Objects that were never applied need not carry ownership at all: their first apply attributes what they have
to the manager `before-first-apply`. Rules: structured-merge-diff `merge.Updater` and apimachinery `managedfields`.
"""

from __future__ import annotations

from datetime import datetime
from functools import reduce
from operator import or_
from typing import Any, Final

import attrs

from orchestra.api.managed.compare import Comparison, all_stated, applied_fields, compare
from orchestra.api.managed.entries import (
    Entries,
    Entry,
    Identity,
    Operation,
    capped,
    decode_entries,
    encode_entries,
    time_text,
)
from orchestra.api.managed.fieldset import EMPTY, FieldSet
from orchestra.api.managed.merge import merge, remove, with_named_parents
from orchestra.api.managed.nulls import has_null, without_nulls
from orchestra.api.managed.steps import MISSING
from orchestra.api.patch import json_equal
from orchestra.api.schema import Schema
from orchestra.errors import BadRequest, Cause, Conflict, DecodeError

Document = dict[str, Any]

BEFORE_FIRST_APPLY: Final = "before-first-apply"

BOOKKEEPING: Final = FieldSet.of(
    "apiVersion",
    "kind",
    "metadata",
    *(
        f"metadata.{name}"
        for name in (
            "name",
            "namespace",
            "creationTimestamp",
            "selfLink",
            "uid",
            "clusterName",
            "generation",
            "managedFields",
            "resourceVersion",
        )
    ),
)
"""Fields that nobody owns."""


@attrs.frozen(kw_only=True)
class Writer:
    """Who writes, by which version of the API, to which subresource, and when.

    `ignored` are the fields that this way of writing does not touch, with all below them: the status for a write of
    the object itself, all but the status for one of the status. Without `now` an entry carries no time.
    """

    manager: str
    api_version: str
    subresource: str = ""
    now: datetime | None = None
    ignored: FieldSet = EMPTY

    def identity(self, operation: Operation) -> Identity:
        """Return whose entry the write changes."""
        version = self.api_version if operation == "Update" else ""
        return Identity(self.manager or "unknown", operation, version, self.subresource)

    @property
    def time(self) -> str:
        """The text of `now`."""
        return time_text(self.now) if self.now is not None else ""


def apply_document(
    live: Document | None, applied: Document, schema: Schema, writer: Writer, *, force: bool = False
) -> Document:
    """Return what applying `applied` makes of `live`, ownership included; None stands for an object that is not there.

    Fields that the manager applied before and does not state any more go, unless somebody else owns them. Defaults are
    not filled in. When nothing changes, what comes back is equal to `live`.

    Raises Conflict naming every field that another manager owns with another value, unless `force` takes them over;
    BadRequest for a document that states ownership itself, or fields or list items that the kind does not have.
    """
    stated = _checked_fields(applied, schema).without(writer.ignored)
    entries = _entries_of(live)
    before = _without_entries(live) if live is not None else {}
    if live is not None and not entries:
        first = attrs.evolve(writer, manager=BEFORE_FIRST_APPLY)
        entries = _updated(entries, compare({}, before, schema).without(writer.ignored), first)
    identity = writer.identity("Apply")
    known = entries.pop(identity, None)
    owned = stated - BOOKKEEPING
    own = Entry(owned, writer.api_version, known.time if known else "")
    merged = merge(before, applied, schema)
    pruned = known is not None and known.fields != owned and bool(known.fields - owned)
    if known is not None and pruned:
        merged = _pruned(merged, known.fields, (stated, *(entry.fields for entry in entries.values())), schema)
    if merged is not before:
        entries = _taken(entries, compare(before, merged, schema).without(writer.ignored), force=force)
        if live is None or not (pruned and json_equal(before, merged)):
            own = attrs.evolve(own, time=writer.time)
    if pruned or has_null(applied):
        merged = without_nulls(merged, schema)
    return _with_entries(merged, {**entries, identity: own})


def track_update(
    old: Document | None, new: Document, schema: Schema, writer: Writer, *, track_created: bool = False
) -> Document:
    """Return `new`, which a write other than apply made of `old`, with ownership brought up to date.

    An object without ownership stays without it, at no cost, unless it is being created (`old` is None) and
    `track_created` asks for ownership from the start. A writer may change ownership itself by stating another list in
    `new` (not through a subresource); an empty one ends it.
    """
    told = (new.get("metadata") or {}).get("managedFields")
    starts = old is None and track_created
    if not starts and told is None and not (old and (old.get("metadata") or {}).get("managedFields")):
        return new
    entries = _entries_told(old, told, writer)
    if not starts and not entries:
        return _with_entries(new, {})
    before = _without_entries(old) if old is not None else {}
    comparison = compare(before, _without_entries(new), schema).without(writer.ignored)
    return _with_entries(new, _updated(entries, comparison, writer))


def _checked_fields(applied: Document, schema: Schema) -> FieldSet:
    metadata = applied.get("metadata") or {}
    if metadata.get("managedFields") is not None:
        raise BadRequest("metadata.managedFields must be nil")
    fields, faults = applied_fields(applied, schema)
    if faults:
        name = "/".join(filter(None, (metadata.get("namespace"), metadata.get("name"))))
        which = f"{name}; {applied.get('apiVersion')}, Kind={applied.get('kind')}"
        shown = faults[0] if len(faults) == 1 else "errors:\n" + "\n".join(f"  {fault}" for fault in faults)
        raise BadRequest(f"failed to create typed patch object ({which}): {shown}")
    return fields


def _entries_of(document: Document | None) -> Entries:
    if document is None:
        return {}
    try:
        return decode_entries((document.get("metadata") or {}).get("managedFields"))
    except DecodeError:  # stored ownership that makes no sense counts as none: the object stays writable
        return {}


def _entries_told(old: Document | None, told: Any, writer: Writer) -> Entries:
    """Return the entries to start from: the writer's own list where it may and does state one."""
    if told is None or writer.subresource:
        return _entries_of(old)
    if not told or (len(told) == 1 and not told[0]):
        return {}
    try:
        return decode_entries(told) or _entries_of(old)
    except DecodeError:
        return _entries_of(old)


def _without_entries(document: Document) -> Document:
    metadata = document.get("metadata")
    if not metadata or "managedFields" not in metadata:
        return document
    return {**document, "metadata": {name: value for name, value in metadata.items() if name != "managedFields"}}


def _with_entries(document: Document, entries: Entries) -> Document:
    bare = _without_entries(document)
    kept = {who: entry for who, entry in entries.items() if entry.fields}
    if not kept:
        return bare
    return {**bare, "metadata": {**(bare.get("metadata") or {}), "managedFields": encode_entries(kept)}}


def _taken(entries: Entries, comparison: Comparison, *, force: bool) -> Entries:
    """Return the entries after all of them have lost what a write changed or removed."""
    changed = comparison.modified | comparison.added
    conflicts = {who: lost for who, entry in entries.items() if (lost := entry.fields & changed)}
    if conflicts and not force:
        raise _conflict(conflicts)
    gone = changed | comparison.removed
    return {who: attrs.evolve(entry, fields=entry.fields - gone) for who, entry in entries.items()} if gone else entries


def _updated(entries: Entries, comparison: Comparison, writer: Writer) -> Entries:
    """Return the entries after an update that changed what `comparison` says."""
    result = dict(_taken(entries, comparison, force=True))
    gained = (comparison.modified | comparison.added) - BOOKKEEPING
    if gained:
        identity = writer.identity("Update")
        known = result.get(identity)
        fields = gained if known is None else known.fields | gained
        result[identity] = Entry(fields, writer.api_version, writer.time)
    return capped(result)


def _pruned(merged: Document, last: FieldSet, owners: tuple[FieldSet, ...], schema: Schema) -> Document:
    """Return `merged` without the fields that its manager applied last and nobody, itself included, owns any more."""

    def parents(fields: FieldSet) -> FieldSet:
        return FieldSet(with_named_parents(fields.fields, schema))

    owned = reduce(or_, owners)
    everything = parents(all_stated(merged, schema))
    dropped = _removed(merged, parents(last), schema)
    rest = parents(all_stated(dropped, schema)) | parents(owned)
    kept = parents(all_stated(_removed(merged, everything - rest, schema), schema))
    return _removed(merged, (everything - kept) & parents(last), schema)


def _removed(document: Document, fields: FieldSet, schema: Schema) -> Document:
    rest = remove(document, fields.fields, schema) if fields else document
    return {} if rest is MISSING else rest


def _conflict(conflicts: dict[Identity, FieldSet]) -> Conflict:
    causes = tuple(
        Cause(reason="FieldManagerConflict", message=f"conflict with {who}", field=path)
        for who in sorted(conflicts)
        for path in conflicts[who].shown()
    )
    if len(causes) == 1:
        return Conflict(f"Apply failed with 1 conflict: {causes[0].message}: {causes[0].field}", causes=causes)
    lines: list[str] = []
    for who in sorted(conflicts, key=str):
        lines.append(f"conflicts with {who}:")
        lines += [f"- {path}" for path in conflicts[who].shown()]
    listed = "\n".join(lines)
    return Conflict(f"Apply failed with {len(causes)} conflicts: {listed}", causes=causes)
