"""How the attributes of a class stand on the wire: their names, types and declared words."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from typing import Any

import attrs

from orchestra.api.frozen import is_absent
from orchestra.api.object import Struct

_ACRONYMS = {
    word: word.upper()
    for word in ("ip", "id", "pid", "ipc", "cidr", "uuid", "url", "uri", "api", "dns", "tls", "cpu", "io", "os")
} | {"ips": "IPs", "cidrs": "CIDRs", "wwns": "WWNs", "urls": "URLs", "uuids": "UUIDs"}


def wire_name(attribute: str) -> str:
    """Return the wire name of a Python attribute: `pod_ip` is `podIP`, `host_pid` is `hostPID`, `from_` is `from`."""
    first, *rest = attribute.rstrip("_").split("_")
    return first + "".join(_ACRONYMS.get(word, word.capitalize()) for word in rest)


@attrs.frozen
class FieldInfo:
    """How one attribute of a Struct stands on the wire."""

    attribute: str
    wire: str
    type: Any
    default: Any
    omit_empty: bool
    metadata: Mapping[str, Any]

    def is_absent(self, value: Any) -> bool:
        """Say whether a document does not hold this field when the attribute has `value`."""
        if is_absent(value):
            return True
        if isinstance(self.default, Struct):
            return value is self.default
        return self.omit_empty and bool(value == self.default)


_FIELDS: dict[type[Struct], Mapping[str, FieldInfo]] = {}


def fields_of(cls: type[Struct]) -> Mapping[str, FieldInfo]:
    """Return the declared fields of a class by wire name; the same mapping each time."""
    known = _FIELDS.get(cls)
    if known is None:
        known = _FIELDS[cls] = _read_fields(cls)
    return known


def _read_fields(cls: type[Struct]) -> Mapping[str, FieldInfo]:
    hints = typing.get_type_hints(cls)
    result: dict[str, FieldInfo] = {}
    for item in attrs.fields(cls):
        if item.metadata.get("undeclared"):
            continue
        name = item.metadata.get("wire") or wire_name(item.name)
        omit = bool(item.metadata.get("omit_empty"))
        result[name] = FieldInfo(item.name, name, hints[item.name], item.default, omit, item.metadata)
    return result
