"""Values of YAML 1.1 as Kubernetes reads them: `y` and `on` are booleans, `0644` is octal, a date is text.

The rules are those of the YAML library behind kubectl, not of PyYAML: there is no base 60 (`22:22` is text), `1e3` is a
number, and a mapping's keys become strings as in JSON. What has no form in JSON is refused.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any, Final

import yaml

from orchestra.errors import DecodeError

MAX_NODES: Final = 200_000
"""The most values that one document may have once its aliases are written out."""
MAX_DEPTH: Final = 100
"""How deep values may be nested."""
SAFE_LENGTH: Final = 10_000
"""Characters in which values cannot be nested so deep that the parser, which is recursive C, ends the process."""

try:
    from yaml import CSafeLoader as _Base
except ImportError:  # PyYAML was built without libyaml
    from yaml import SafeLoader as _Base  # type: ignore[assignment]

_PREFIX = "tag:yaml.org,2002:"
_PLAIN = "tag:orchestra,2026:plain"
_BOOLEANS = {
    word: value
    for value, words in ((True, "y yes on true"), (False, "n no off false"))
    for base in words.split()
    for word in (base, base.capitalize(), base.upper())
}
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_INTEGER = re.compile(r"([-+]?)(?:0x([0-9a-fA-F]+)|0b([01]+)|0o?([0-7]+)|(0|[1-9][0-9]*))")
_BASES = (16, 2, 8, 10)


class _Loader(_Base):
    """Reads structure only: every scalar without a tag is marked as plain, and `scalar` says what it is."""

    yaml_implicit_resolvers = {None: [(_PLAIN, re.compile("(?s).*"))]}  # noqa: RUF012 - PyYAML's own class attribute


def nodes_of(text: str) -> Iterator[yaml.Node]:
    """Yield the root node of each document; raises DecodeError, worded as Kubernetes words it, with the line."""
    try:
        if len(text) > SAFE_LENGTH:
            _check_depth(text)
        for node in yaml.compose_all(text, Loader=_Loader):
            if node is not None:
                yield node
    except yaml.MarkedYAMLError as error:
        # At the end of the text the parser stands on a line that is not there.
        line = min(error.problem_mark.line + 1 if error.problem_mark else 1, text.rstrip().count("\n") + 1)
        raise DecodeError(f"yaml: line {line}: {error.problem}") from None
    except yaml.YAMLError as error:
        raise DecodeError(f"yaml: {getattr(error, 'reason', error)}") from None


def _check_depth(text: str) -> None:
    """Raise DecodeError for values that are nested too deep; reading events alone is not recursive."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH + 1:
                line = event.start_mark.line + 1 if event.start_mark else 1
                raise DecodeError(f"line {line}: values are nested more than {MAX_DEPTH} deep")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def scalar(text: str) -> Any:
    """Return the value of a plain scalar."""
    if text in _NULLS:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if text[0] not in "0123456789+-.":
        return text
    digits = text.replace("_", "")
    if (match := _INTEGER.fullmatch(digits)) and len(digits) <= MAX_DEPTH:
        number = next(int(part, base) for part, base in zip(match.groups()[1:], _BASES, strict=True) if part)
        return -number if match[1] == "-" else number
    if _FLOAT.fullmatch(digits) and math.isfinite(value := float(digits)):
        return int(value) if value.is_integer() and abs(value) < 1 << 53 else value
    if _NOT_FINITE.fullmatch(text):
        raise DecodeError(f"json: unsupported value: {text}")
    return text


class Builder:
    """Turns the nodes of one document into JSON values, within bounds, and remembers nothing of other documents."""

    def __init__(self, doubled: list[str] | None = None, *, max_nodes: int = MAX_NODES) -> None:
        """With `doubled` a key that comes twice is no error: the list is told of it, and the later value counts."""
        self._left = self._most = max_nodes
        self._doubled = doubled

    def value(self, node: yaml.Node, depth: int = 0) -> Any:
        """Return the JSON value of a node; raises DecodeError naming the line of what cannot be one."""
        self._left -= 1
        if self._left < 0:
            raise DecodeError(f"line {line_of(node)}: document has more than {self._most} values: excessive aliasing?")
        if depth > MAX_DEPTH:
            raise DecodeError(f"line {line_of(node)}: values are nested more than {MAX_DEPTH} deep")
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, depth)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, depth + 1) for item in node.value]
        return _scalar_node(node)

    def _mapping(self, node: yaml.MappingNode, depth: int) -> dict[str, Any]:
        result: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if key_node.tag == _PLAIN and key_node.value == "<<":
                for source in reversed(_merge_sources(value_node)):
                    merged |= self._mapping(source, depth + 1)
                continue
            key = _key(key_node)
            if key in result:
                text = f'line {line_of(key_node)}: key "{key}" already set in map'
                if self._doubled is None:
                    raise DecodeError(text)
                self._doubled.append(text)
            result[key] = self.value(value_node, depth + 1)
        return merged | result if merged else result


def line_of(node: yaml.Node) -> int:
    """Return the line on which a node begins, counted from 1."""
    return int(node.start_mark.line) + 1


def child(node: yaml.Node, step: str | int) -> yaml.Node | None:
    """Return the node under a key or an index; None where there is no such node."""
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int):
        return node.value[step] if step < len(node.value) else None
    if isinstance(node, yaml.MappingNode):
        for key_node, value_node in node.value:
            if isinstance(key_node, yaml.ScalarNode) and key_node.value == step:
                return value_node  # type: ignore[no-any-return]
    return None


def _scalar_node(node: yaml.Node) -> Any:
    try:
        if node.tag == _PLAIN:
            return scalar(node.value)
        if node.tag in (f"{_PREFIX}str", "!"):
            return node.value
        if node.tag in (f"{_PREFIX}int", f"{_PREFIX}float", f"{_PREFIX}bool", f"{_PREFIX}null"):
            return scalar(node.value)
    except DecodeError as error:
        raise DecodeError(f"line {line_of(node)}: {error.message}") from None
    raise DecodeError(f"line {line_of(node)}: {node.tag} has no form in JSON")


def _key(node: yaml.Node) -> str:
    key = _scalar_node(node) if isinstance(node, yaml.ScalarNode) else None
    if isinstance(key, str):
        return key
    if key is None:
        raise DecodeError(f"line {line_of(node)}: a key is text, a number or a boolean")
    return str(key).lower() if isinstance(key, bool) else str(key)


def _merge_sources(node: yaml.Node) -> list[yaml.MappingNode]:
    sources = node.value if isinstance(node, yaml.SequenceNode) else [node]
    if not all(isinstance(source, yaml.MappingNode) for source in sources):
        raise DecodeError(f"line {line_of(node)}: map merge requires map or sequence of maps as the value")
    return list(sources)
