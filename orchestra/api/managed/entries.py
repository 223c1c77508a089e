"""The entries of `metadata.managedFields`: who owns which fields, since when.

An entry is identified by manager, operation and subresource, one of an Update also by its API version: several
updates of one manager are one entry, and applying never collides with updating.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final, Literal

import attrs

from orchestra.api.managed.fieldset import FieldSet
from orchestra.errors import DecodeError

Document = dict[str, Any]
Operation = Literal["Apply", "Update"]

MAX_UPDATE_MANAGERS: Final = 10
"""How many entries of updates an object keeps; the oldest beyond them become one entry, `ancient-changes`."""

ANCIENT: Final = "ancient-changes"


@attrs.frozen(order=True)
class Identity:
    """Whose entry it is; `api_version` is empty for an applied one."""

    manager: str
    operation: Operation
    api_version: str = ""
    subresource: str = ""

    def __str__(self) -> str:
        shown = f'"{self.manager}"'
        if self.subresource:
            shown += f' with subresource "{self.subresource}"'
        return f"{shown} using {self.api_version}" if self.operation == "Update" else shown


@attrs.frozen
class Entry:
    """What one manager owns; `time` is the text of its last change, empty when it never changed anything."""

    fields: FieldSet
    api_version: str
    time: str = ""


Entries = dict[Identity, Entry]


def decode_entries(document: Any) -> Entries:
    """Return the entries of a `metadata.managedFields` list; raises DecodeError for one that makes no sense."""
    result: Entries = {}
    for index, item in enumerate(document or ()):
        path = f"metadata.managedFields[{index}]"
        if not isinstance(item, dict):
            raise DecodeError("must be an object", path=path)
        operation = item.get("operation")
        if operation not in ("Apply", "Update") or item.get("fieldsType", "FieldsV1") != "FieldsV1":
            raise DecodeError("has no operation Apply or Update, or fields of another type than FieldsV1", path=path)
        version = item.get("apiVersion") or ""
        own = version if operation == "Update" else ""
        identity = Identity(item.get("manager") or "", operation, own, item.get("subresource") or "")
        fields = FieldSet.from_fields_v1(item.get("fieldsV1"))
        known = result.get(identity)
        result[identity] = Entry(fields if known is None else known.fields | fields, version, item.get("time") or "")
    return result


def encode_entries(entries: Entries) -> list[Document]:
    """Return the list for `metadata.managedFields`: applied ones first, then by time and name."""
    ordered = sorted(entries.items(), key=_order)
    result: list[Document] = []
    for identity, entry in ordered:
        document: Document = {"manager": identity.manager} if identity.manager else {}
        document["operation"] = identity.operation
        document["apiVersion"] = entry.api_version
        if entry.time:
            document["time"] = entry.time
        document["fieldsType"] = "FieldsV1"
        document["fieldsV1"] = entry.fields.fields
        if identity.subresource:
            document["subresource"] = identity.subresource
        result.append(document)
    return result


def _order(item: tuple[Identity, Entry]) -> tuple[str, ...]:
    identity, entry = item
    return (identity.operation, entry.time, identity.manager, entry.api_version, identity.subresource)


def capped(entries: Entries) -> Entries:
    """Return `entries` with at most MAX_UPDATE_MANAGERS of updates: the oldest of each version are put together."""
    result = dict(entries)
    first: dict[str, Identity] = {}
    updates = sorted((who for who in entries if who.operation == "Update"), key=lambda who: (entries[who].time, who))
    for identity in updates:
        if sum(who.operation == "Update" for who in result) <= MAX_UPDATE_MANAGERS:
            break
        bucket = Identity(ANCIENT, "Update", identity.api_version)
        older = first.setdefault(identity.api_version, identity)
        for who in (older, identity) if older != identity else ():
            if who != bucket and who in result:
                entry, kept = result.pop(who), result.get(bucket)
                fields = entry.fields if kept is None else kept.fields | entry.fields
                result[bucket] = attrs.evolve(entry, fields=fields, time=max(entry.time, kept.time if kept else ""))
    return result


def time_text(now: datetime) -> str:
    """Return a time as entries state it: UTC, whole seconds."""
    return now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
