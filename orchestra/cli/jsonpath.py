r"""JSONPath templates as kubectl reads them: `{.items[*].metadata.name}`, `{range .items[*]}{.kind}{"\n"}{end}`.

Text outside of braces stands for itself. Inside: `.field`, `['field']`, `[2]`, `[-1]`, `[0:3]`, `[0,2]`, `[*]`, `.*`,
`..field`, filters such as `[?(@.type=="Ready")]`, quoted text, and `range` with `end`. What is not there is left out.
Source of the syntax: Kubernetes documentation, "JSONPath Support". Pure.
"""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import attrs

from orchestra.cli.failures import CommandError

Step = Callable[[Any], Iterator[Any]]

MAX_TEMPLATE: Final = 10_000
"""The longest template in characters; a longer one is refused."""

_PIECE = re.compile(r"""[^{}"']+|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'""", re.DOTALL)
_NAME = re.compile(r"(?:[^\s.\[\]{}()=!<>,'\"?@*&|\\]|\\.)+")
_QUOTED = re.compile(r"""\s*('(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*")\s*""")
_INDEX = re.compile(r"\s*-?\d+(?:\s*,\s*-?\d+)*\s*")
_SLICE = re.compile(r"\s*(-?\d*)\s*:\s*(-?\d*)\s*(?::\s*(-?\d*)\s*)?")
_FILTER = re.compile(r"\s*(.+?)\s*(==|!=|<=|>=|<|>)\s*(.+?)\s*", re.DOTALL)
_ESCAPES: Final = {"n": "\n", "t": "\t", "r": "\r"}
_COMPARE: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@attrs.frozen
class _Path:
    steps: tuple[Step, ...]
    absolute: bool = False

    def select(self, root: Any, here: Any) -> list[Any]:
        found = [root if self.absolute else here]
        for step in self.steps:
            found = [value for item in found for value in step(item)]
        return found


@attrs.frozen
class _Range:
    path: _Path
    body: tuple[_Node, ...]


_Node = str | _Path | _Range


def expand(template: str, document: Any) -> str:
    """Return a template filled in; raises CommandError when it is malformed."""
    return "".join(_write(_parse(template), document, document))


def select(template: str, document: Any) -> list[Any]:
    """Return the values that the paths of a template pick, without the text between them."""
    return list(_pick(_parse(template), document, document))


def relaxed(path: str) -> str:
    """Return a path in braces, as `wait` takes them: `.status.phase`, `status.phase` and `{.status.phase}` are one."""
    inner = path.strip()
    if inner.startswith("{") and inner.endswith("}"):
        inner = inner[1:-1].strip()
    if not inner.startswith((".", "[", "$", "@")):
        inner = f".{inner}"
    return "{" + inner + "}"


def text_of(value: Any) -> str:
    """Return a value as it is printed: text and numbers bare, anything else as JSON."""
    if isinstance(value, str):
        return value
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _write(nodes: Sequence[_Node], root: Any, here: Any) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, str):
            yield node
        elif isinstance(node, _Range):
            for item in node.path.select(root, here):
                yield from _write(node.body, root, item)
        else:
            yield " ".join(text_of(value) for value in node.select(root, here))


def _pick(nodes: Sequence[_Node], root: Any, here: Any) -> Iterator[Any]:
    for node in nodes:
        if isinstance(node, _Path):
            yield from node.select(root, here)
        elif isinstance(node, _Range):
            for item in node.path.select(root, here):
                yield from _pick(node.body, root, item)


def _parse(template: str) -> list[_Node]:
    if len(template) > MAX_TEMPLATE:
        raise CommandError(f"error parsing jsonpath: longer than {MAX_TEMPLATE} characters")
    stack: list[tuple[_Path | None, list[_Node]]] = [(None, [])]
    for text, is_action in _split(template):
        if not is_action:
            stack[-1][1].append(text)
        elif text == "end":
            path, body = stack.pop()
            if path is None:
                raise CommandError(f"error parsing jsonpath {template}, not in range, nothing to end")
            stack[-1][1].append(_Range(path, tuple(body)))
        elif text.startswith("range") and text[5:6] in (" ", ".", "["):
            stack.append((_path(text[5:].strip(), template), []))
        else:
            stack[-1][1].extend(_action(text, template))
    if len(stack) > 1:
        raise CommandError(f"error parsing jsonpath {template}, unterminated range")
    return stack[0][1]


def _split(template: str) -> Iterator[tuple[str, bool]]:
    """Yield text as it is, and what stands in braces."""
    at = 0
    while at < len(template):
        opening = template.find("{", at)
        if opening < 0:
            yield template[at:], False
            return
        if opening > at:
            yield template[at:opening], False
        at = opening + 1
        while at < len(template) and template[at] != "}":
            piece = _PIECE.match(template, at)
            if piece is None:
                raise CommandError(f"error parsing jsonpath {template}, unclosed action")
            at = piece.end()
        if at >= len(template):
            raise CommandError(f"error parsing jsonpath {template}, unclosed action")
        yield template[opening + 1 : at].strip(), True
        at += 1


def _action(text: str, template: str) -> Iterator[_Node]:
    quoted = _QUOTED.fullmatch(text)
    if quoted is not None:
        yield _unquote(quoted[1])
    elif text:
        yield _path(text, template)


def _unquote(text: str) -> str:
    return re.sub(r"\\(.)", lambda m: _ESCAPES.get(m[1], m[1]), text[1:-1], flags=re.DOTALL)


def _path(text: str, template: str) -> _Path:
    steps: list[Step] = []
    absolute = text.startswith("$")
    at = 1 if text[:1] in ("$", "@") else 0
    while at < len(text):
        if text.startswith("..", at):
            steps.append(_descend)
            at += 2
        elif text[at] == ".":
            at += 1
            if at == len(text):
                break
        elif text[at] == "[":
            end = _closing(text, at, template)
            steps.append(_bracket(text[at + 1 : end], template))
            at = end + 1
            continue
        if text.startswith("*", at):
            steps.append(_every)
            at += 1
        elif at < len(text) and text[at] != "[":
            name = _NAME.match(text, at)
            if name is None:
                raise CommandError(f"error parsing jsonpath {template}, unexpected {text[at]!r}")
            steps.append(_field(re.sub(r"\\(.)", r"\1", name[0])))
            at = name.end()
    return _Path(tuple(steps), absolute)


def _closing(text: str, opening: int, template: str) -> int:
    depth, at = 0, opening
    while at < len(text):
        if text[at] in "'\"" and (quoted := _PIECE.match(text, at)) is not None:
            at = quoted.end()
            continue
        depth += {"[": 1, "]": -1}.get(text[at], 0)
        if not depth:
            return at
        at += 1
    raise CommandError(f"error parsing jsonpath {template}, unterminated array")


def _bracket(inner: str, template: str) -> Step:
    quoted = _QUOTED.fullmatch(inner)
    if quoted is not None:
        return _field(_unquote(quoted[1]))
    if inner.strip() == "*":
        return _every
    if _INDEX.fullmatch(inner):
        return _items([int(word) for word in inner.split(",")])
    cut = _SLICE.fullmatch(inner)
    if cut is not None:
        return _slice(*(int(part) if part else None for part in cut.groups()))
    if inner.startswith("?(") and inner.endswith(")"):
        return _filter(inner[2:-1], template)
    raise CommandError(f"error parsing jsonpath {template}, invalid array index {inner}")


def _field(name: str) -> Step:
    def step(value: Any) -> Iterator[Any]:
        if isinstance(value, dict) and name in value:
            yield value[name]

    return step


def _every(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        yield from value.values()
    elif isinstance(value, list):
        yield from value


def _descend(value: Any) -> Iterator[Any]:
    yield value
    for inner in _every(value):
        yield from _descend(inner)


def _items(indices: Sequence[int]) -> Step:
    def step(value: Any) -> Iterator[Any]:
        for index in indices if isinstance(value, list) else ():
            if -len(value) <= index < len(value):
                yield value[index]

    return step


def _slice(start: int | None, stop: int | None, stride: int | None) -> Step:
    def step(value: Any) -> Iterator[Any]:
        if isinstance(value, list) and stride != 0:
            yield from value[start:stop:stride]

    return step


def _filter(text: str, template: str) -> Step:
    """Return the step that keeps the items for which `left op right` holds, or for which a path leads somewhere."""
    compared = _FILTER.fullmatch(text)
    if compared is None:
        path = _path(text.strip(), template)
        return lambda value: (item for item in _every(value) if path.select(value, item))
    left, right = _operand(compared[1], template), _operand(compared[3], template)
    compare = _COMPARE[compared[2]]

    def step(value: Any) -> Iterator[Any]:
        for item in _every(value):
            one, other = left(item), right(item)
            if one and other and _kind(one[0]) is _kind(other[0]) and compare(one[0], other[0]):
                yield item

    return step


def _kind(value: Any) -> type:
    """Return what a value can be compared with: all numbers are one kind."""
    return float if type(value) is int else type(value)


def _operand(text: str, template: str) -> Callable[[Any], list[Any]]:
    quoted = _QUOTED.fullmatch(text)
    if quoted is not None:
        constant: Any = _unquote(quoted[1])
    elif text[:1] in ("@", "."):
        path = _path(text, template)
        return lambda item: path.select(item, item)
    else:
        try:
            constant = json.loads(text)
        except ValueError:
            raise CommandError(f"error parsing jsonpath {template}, unrecognized identifier {text}") from None
    return lambda _item: [constant]
