"""ConfigMaps, Secrets, and every kind that has no description of its own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from orchestra.api.core.config import ConfigMap, Secret
from orchestra.api.object import Object
from orchestra.cli.describe.sheet import Sheet

_WORD = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z0-9]+|[A-Z]+")
_ACRONYMS: Final = frozenset({"api", "cidr", "cidrs", "cpu", "dns", "id", "ip", "ips", "tls", "uid", "uri", "url"})
_SKIPPED: Final = frozenset({"managedFields", "name", "namespace", "labels", "annotations"})


def _head(sheet: Sheet, obj: Object) -> None:
    meta = obj.metadata
    sheet.line(0, f"Name:\t{meta.name}")
    if obj.resource_info.namespaced:
        sheet.line(0, f"Namespace:\t{meta.namespace}")
    sheet.labels("Labels", meta.labels)
    sheet.annotations(meta.annotations)


def describe_config_map(sheet: Sheet, obj: ConfigMap) -> None:
    """Write a ConfigMap with its texts, and the sizes of its bytes."""
    _head(sheet, obj)
    sheet.line(0, "\nData\n====")
    for key in sorted(obj.data):
        sheet.line(0, f"{key}:\n----\n{obj.data[key].replace(chr(9), '    ')}\n")
    sheet.line(0, "\nBinaryData\n====")
    for key in sorted(obj.binary_data):
        sheet.line(0, f"{key}: {len(obj.binary_data[key])} bytes")
    sheet.line(0)


def describe_secret(sheet: Sheet, obj: Secret) -> None:
    """Write a Secret: which keys it has and how large they are, never what they hold."""
    _head(sheet, obj)
    sheet.line(0, f"\nType:\t{obj.type}\n\nData\n====")
    for key in sorted(obj.data):
        sheet.line(0, f"{key}:\t{len(obj.data[key])} bytes")


def describe_document(sheet: Sheet, obj: Object, document: Mapping[str, Any]) -> None:
    """Write every field of an object, in the order of their names."""
    _head(sheet, obj)
    _mapping(sheet, 0, document)


def _mapping(sheet: Sheet, level: int, value: Mapping[str, Any], *, top: bool = True) -> None:
    for key in sorted(value):
        item = value[key]
        if top and key == "metadata":
            item = {name: part for name, part in item.items() if name not in _SKIPPED}
        title = title_of(key)
        if isinstance(item, Mapping):
            sheet.line(level, f"{title}:")
            _mapping(sheet, level + 1, item, top=False)
        elif isinstance(item, list | tuple):
            sheet.line(level, f"{title}:")
            _sequence(sheet, level + 1, item)
        else:
            sheet.line(level, f"{title}:\t{_scalar(item)}")


def _sequence(sheet: Sheet, level: int, items: list[Any] | tuple[Any, ...]) -> None:
    for item in items:
        if isinstance(item, Mapping):
            _mapping(sheet, level, item, top=False)
        elif isinstance(item, list | tuple):
            _sequence(sheet, level + 1, item)
        else:
            sheet.line(level, _scalar(item))


def _scalar(value: Any) -> str:
    if value is None:
        return "<nil>"
    return str(value).lower() if isinstance(value, bool) else str(value)


def title_of(key: str) -> str:
    """Return a field's name as a title: `apiVersion` is `API Version`. Keys that are no such names stay."""
    if not key.isalnum():
        return key
    words = _WORD.findall(key)
    return " ".join(word.upper() if word.lower() in _ACRONYMS else word[:1].upper() + word[1:] for word in words)
