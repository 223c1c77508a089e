"""Field selectors: which objects are meant, by the few fields that each kind offers for it.

`metadata.name=web-0,status.phase!=Running`. Which fields a kind offers, and how the refusal of another one is worded,
follows the conversions that Kubernetes registers (`pkg/apis/*/v1/conversion.go`). They match JSON documents.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import attrs

from orchestra.api.object import ResourceInfo
from orchestra.errors import BadRequest

Document = Mapping[str, Any]
Read = Callable[[Document], str]


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _reader(path: str, default: str = "") -> Read:
    *outer, last = path.split(".")

    def read(document: Document) -> str:
        at: Any = document
        for step in outer:
            at = at.get(step)
            if not isinstance(at, Mapping):
                return default
        value = at.get(last)
        return default if value is None else _text(value)

    return read


def _event_source(document: Document) -> str:
    source = document.get("source") or {}
    return _text(source.get("component")) or _text(document.get("reportingComponent"))


_NAME = {"metadata.name": _reader("metadata.name")}
_NAMED = {**_NAME, "metadata.namespace": _reader("metadata.namespace")}
_POD_STRINGS = ["nodeName", "restartPolicy", "schedulerName", "serviceAccountName"]
_INVOLVED = ["kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath"]
_POD: dict[str, Read] = {
    **_NAMED,
    **{f"spec.{name}": _reader(f"spec.{name}") for name in _POD_STRINGS},
    "spec.hostNetwork": _reader("spec.hostNetwork", "false"),
    **{f"status.{name}": _reader(f"status.{name}") for name in ("phase", "podIP", "nominatedNodeName")},
    "status.podIPs": lambda _: "",
}
_EVENT: dict[str, Read] = {
    **_NAMED,
    **{f"involvedObject.{name}": _reader(f"involvedObject.{name}") for name in _INVOLVED},
    **{name: _reader(name) for name in ("reason", "reportingComponent", "type")},
    "source": _event_source,
}

_BY_KIND: dict[str, dict[str, Read]] = {
    "Pod": _POD,
    "Event": _EVENT,
    "Node": {**_NAME, "spec.unschedulable": _reader("spec.unschedulable", "false")},
    "Namespace": {**_NAME, "status.phase": _reader("status.phase")},
    "Secret": {**_NAMED, "type": _reader("type")},
    "Service": {**_NAMED, "spec.clusterIP": _reader("spec.clusterIP"), "spec.type": _reader("spec.type")},
    "ReplicationController": {**_NAMED, "status.replicas": _reader("status.replicas", "0")},
    "Job.batch": {**_NAMED, "status.successful": _reader("status.succeeded", "0")},
}
_ALIASES = {"Pod": {"spec.host": "spec.nodeName"}, "Namespace": {"name": "metadata.name"}}
_JOB_WORDING = frozenset({"Job.batch"})


@attrs.frozen
class FieldRequirement:
    """One condition: the field's text equals `value`, or with `negated` differs from it."""

    field: str
    value: str
    negated: bool = False
    read: Read = attrs.field(default=lambda _: "", eq=False, repr=False)

    def matches(self, document: Document) -> bool:
        """Say whether a document meets this condition."""
        return (self.read(document) == self.value) is not self.negated

    def __str__(self) -> str:
        escaped = self.value.replace("\\", "\\\\").replace(",", "\\,").replace("=", "\\=")
        return f"{self.field}{'!=' if self.negated else '='}{escaped}"


@attrs.frozen
class FieldSelector:
    """All of `requirements` at once; none of them matches everything."""

    requirements: tuple[FieldRequirement, ...] = ()

    def matches(self, document: Document) -> bool:
        """Say whether a JSON document is meant."""
        for requirement in self.requirements:  # noqa: SIM110 - a plain loop is twice as fast, and lists run it per object
            if not requirement.matches(document):
                return False
        return True

    @property
    def empty(self) -> bool:
        """Whether it restricts nothing."""
        return not self.requirements

    def exact(self, field: str) -> str | None:
        """Return the value that `field` must have, such as the node's name of `spec.nodeName`; None when any will do.

        Watchers and lists are indexed by it.
        """
        for requirement in self.requirements:
            if requirement.field == field and not requirement.negated:
                return requirement.value
        return None

    def __str__(self) -> str:
        return ",".join(str(requirement) for requirement in self.requirements)


def selectable_fields(info: ResourceInfo) -> tuple[str, ...]:
    """Return the fields that a kind offers for selection."""
    return tuple(_BY_KIND.get(info.group_kind, _NAMED))


@lru_cache(maxsize=1024)
def parse_field_selector(text: str, info: ResourceInfo, selectable: tuple[str, ...] = ()) -> FieldSelector:
    """Return the selector that `text` states for objects of a kind.

    `selectable` names further fields, by their paths, that a kind of one's own offers. Raises BadRequest, worded as
    the API server words it, for text that is no selector and for fields that the kind does not offer.
    """
    found: list[FieldRequirement] = []
    for term in sorted(_terms(text)):
        if not term:
            continue
        name, negated, value = _split(text, term)
        name = _ALIASES.get(info.group_kind, {}).get(name, name)
        found.append(FieldRequirement(name, _unescape(value), negated, _read_of(name, info, selectable)))
    return FieldSelector(tuple(found))


def _read_of(name: str, info: ResourceInfo, selectable: tuple[str, ...]) -> Read:
    kind = info.group_kind
    fields = _BY_KIND.get(kind, _NAMED)
    if name in fields:
        return fields[name]
    if name in selectable:
        return _reader(name)
    if kind in _JOB_WORDING:
        raise BadRequest(f'field label "{name}" not supported for {info.kind}')
    if kind in _BY_KIND or selectable:
        raise BadRequest(f"field label not supported: {name}")
    raise BadRequest(f'"{name}" is not a known field selector: only "metadata.name", "metadata.namespace"')


def _terms(text: str) -> list[str]:
    """Split at the commas that no backslash escapes."""
    terms, start, escaped = [], 0, False
    for index, char in enumerate(text):
        if escaped:
            escaped = False
        elif char == "\\":
            escaped = True
        elif char == ",":
            terms.append(text[start:index])
            start = index + 1
    return [*terms, text[start:]]


def _split(text: str, term: str) -> tuple[str, bool, str]:
    for index in range(len(term)):
        for operator in ("!=", "==", "="):
            if term.startswith(operator, index):
                return term[:index], operator == "!=", term[index + len(operator) :]
    raise BadRequest(f"invalid selector: '{text}'; can't understand '{term}'")


def _unescape(value: str) -> str:
    result, escaped = [], False
    for char in value:
        if escaped:
            if char not in "\\,=":
                raise BadRequest(f"invalid field selector: invalid escape sequence: \\{char}")
            result.append(char)
            escaped = False
        elif char == "\\":
            escaped = True
        elif char in ",=":
            raise BadRequest(f"invalid field selector: unescaped character in value: {ord(char)}")
        else:
            result.append(char)
    if escaped:
        raise BadRequest("invalid field selector: invalid escape sequence: \\")
    return "".join(result)
