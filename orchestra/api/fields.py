"""How the attributes of a class stand on the wire: their names, types and declared words."""

from __future__ import annotations

import builtins
import inspect
import sys
import typing
from collections.abc import Mapping
from types import SimpleNamespace
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


@attrs.frozen(eq=False, repr=False)
class FieldInfo:
    """How one attribute of a Struct stands on the wire."""

    attribute: str
    wire: str
    default: Any
    omit_empty: bool
    metadata: Mapping[str, Any]
    types: _Types

    @property
    def type(self) -> Any:
        """The declared type; the classes that it names are loaded when this is first asked for."""
        return self.types[self.attribute]

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
    types = _Types(cls)
    result: dict[str, FieldInfo] = {}
    for item in attrs.fields(cls):
        if item.metadata.get("undeclared"):
            continue
        name = item.metadata.get("wire") or wire_name(item.name)
        omit = bool(item.metadata.get("omit_empty"))
        result[name] = FieldInfo(item.name, name, item.default, omit, item.metadata, types)
    return result


class _Types(dict[str, Any]):
    """The declared type of each attribute of a class, evaluated when it is first asked for."""

    __slots__ = ("_cls",)

    def __init__(self, cls: type[Struct]) -> None:
        super().__init__()
        self._cls = cls

    def __missing__(self, attribute: str) -> Any:
        owner = next(base for base in self._cls.__mro__ if attribute in inspect.get_annotations(base))
        one = SimpleNamespace(__annotations__={attribute: inspect.get_annotations(owner)[attribute]})
        module = vars(sys.modules[owner.__module__])
        declared = self[attribute] = typing.get_type_hints(one, module, _Names(owner, module))[attribute]
        return declared


class _Names(dict[str, Any]):
    """What the words of an annotation mean where it stands.

    A module of kinds imports the classes of its siblings, and of the core group, for type checkers only: their package,
    which loads them when they are asked for, knows them. A Pod without volumes costs no class of any volume.
    """

    __slots__ = ("_known", "_package")

    def __init__(self, owner: type, module: Mapping[str, Any]) -> None:
        super().__init__()
        self._known = (module, vars(builtins), vars(owner))
        self._package = sys.modules.get(str(module.get("__package__")))

    def __missing__(self, name: str) -> Any:
        for known in self._known:
            if name in known:
                return known[name]
        for package in (self._package, sys.modules.get("orchestra.api.core")):
            if hasattr(package, name):
                return getattr(package, name)
        raise KeyError(name)
