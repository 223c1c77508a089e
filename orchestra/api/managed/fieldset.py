"""Sets of fields, in the form in which objects carry them (metav1.FieldsV1).

A set is a tree: every key is a step of a path, `f:NAME` for a field or map key, `k:{"name":"a"}` for the item of a list
that is identified by keys, `v:"x"` for an element of a set. A node without content is a member of the set, a node with
content is one only if it also holds `.`:

    {"f:spec": {"f:replicas": {}, "f:containers": {'k:{"name":"a"}': {".": {}, "f:image": {}}}}}

has the members `.spec.replicas`, `.spec.containers[name="a"]` and `.spec.containers[name="a"].image`. The operations
are those of structured-merge-diff's `fieldpath.Set`. Trees are shared between sets: never change one.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final, cast

import attrs
import orjson

from orchestra.errors import DecodeError

Fields = dict[str, Any]
"""A node of the tree."""

MEMBER: Final[Fields] = {}
"""The node of a member that has nothing below it."""

MAX_DEPTH: Final = 200
"""How deep a tree that came over the wire may be; a deeper one is refused."""


def is_member(node: Fields) -> bool:
    """Say whether the path that leads to a node is itself in the set."""
    return not node or "." in node


def make_node(member: bool, children: Fields) -> Fields | None:
    """Return the node with these children; None when nothing is in it."""
    if not children:
        return MEMBER if member else None
    return {".": MEMBER, **children} if member else children


def union(left: Fields, right: Fields) -> Fields:
    """Return the node that holds what either of two nodes below a root holds."""
    if left is right or not right:
        return left if is_member(left) else {".": MEMBER, **left}
    if not left:
        return right if is_member(right) else {".": MEMBER, **right}
    return _union_children(left, right)


def _union_children(left: Fields, right: Fields) -> Fields:
    result = dict(left)
    for step, node in right.items():
        other = result.get(step)
        result[step] = node if other is None else union(other, node)
    return result


def difference(left: Fields, right: Fields) -> Fields | None:
    """Return what is in `left` and not in `right`: exactly, a parent's removal leaves its children.

    `left` itself comes back when it loses nothing.
    """
    result = left
    for step, other in right.items():
        node = left.get(step) if step != "." else None
        if node is None:
            continue
        rest = difference(node, other)
        if rest is node:
            continue
        if result is left:
            result = dict(left)
        if rest is None:
            del result[step]
        else:
            result[step] = rest
    member = is_member(left)
    if member and is_member(right):
        return {step: node for step, node in result.items() if step != "."} or None
    if result is left:
        return left
    if member:  # with children there was a `.`
        return result if len(result) > 1 else MEMBER
    return result or None


def intersection(left: Fields, right: Fields) -> Fields | None:
    """Return what is in both."""
    children: Fields = {}
    for step, node in left.items():
        other = right.get(step)
        if other is not None and step != ".":
            both = intersection(node, other)
            if both is not None:
                children[step] = both
    return make_node(is_member(left) and is_member(right), children)


def without(left: Fields, right: Fields) -> Fields | None:
    """Return what is in `left` and neither in `right` nor below a member of `right`."""
    if is_member(right):
        return None
    children: Fields = {}
    for step, node in left.items():
        other = right.get(step)
        rest = node if other is None else without(node, other)
        if rest is not None:
            children[step] = rest
    # `.` is among the children where `left` is a member; a node of nothing but it is a plain member
    return MEMBER if children.keys() == {"."} or not left else children or None


@lru_cache(maxsize=8192)
def key_step(*pairs: tuple[str, Any]) -> str:
    """Return the step of a list item that is identified by these names and values."""
    return "k:" + orjson.dumps(dict(pairs), option=orjson.OPT_SORT_KEYS).decode()


def value_step(value: Any) -> str:
    """Return the step of an element of a set."""
    return "v:" + orjson.dumps(value).decode()


def show_step(step: str) -> str:
    """Return a step as messages show it: `.name`, `[name="a",port=1]`, `[="x"]`, `[0]`."""
    kind, text = step[:2], step[2:]
    if kind == "f:":
        return f".{text}"
    if kind == "k:":
        pairs = (f"{name}={orjson.dumps(value).decode()}" for name, value in orjson.loads(text).items())
        return f"[{','.join(pairs)}]"
    return f"[={text}]" if kind == "v:" else f"[{text}]"


@attrs.frozen
class FieldSet:
    """A set of paths into a document; `fields` is its FieldsV1 form."""

    fields: Fields = attrs.field(factory=dict)

    def __bool__(self) -> bool:
        return bool(self.fields)

    def __or__(self, other: FieldSet) -> FieldSet:
        if not self.fields or not other.fields:
            return self if self.fields else other
        return FieldSet(_union_children(self.fields, other.fields))

    def __sub__(self, other: FieldSet) -> FieldSet:
        if not self.fields or not other.fields:
            return self
        return FieldSet(_root(difference(self.fields, other.fields)))

    def __and__(self, other: FieldSet) -> FieldSet:
        if not self.fields or not other.fields:
            return EMPTY
        return FieldSet(_root(intersection(self.fields, other.fields)))

    def without(self, other: FieldSet) -> FieldSet:
        """Return this set less every member of `other` and all that is below one."""
        if not self.fields or not other.fields:
            return self
        return FieldSet(_root(without(self.fields, other.fields)))

    def __iter__(self) -> Iterator[tuple[str, ...]]:
        """Yield the paths of all members, as steps, a parent before its children."""
        return _paths(self.fields, ())

    def shown(self) -> tuple[str, ...]:
        """Return the paths of all members as messages show them, in order of their names."""
        return tuple(sorted("".join(map(show_step, path)) for path in self))

    @staticmethod
    def of(*paths: str) -> FieldSet:
        """Return the set of fields with these dotted names, such as `metadata.name`."""
        result = EMPTY
        for path in paths:
            node: Fields = MEMBER
            for name in reversed(path.split(".")):
                node = {f"f:{name}": node}
            result |= FieldSet(node)
        return result

    @staticmethod
    def from_fields_v1(document: Any) -> FieldSet:
        """Return the set that a FieldsV1 document states; raises DecodeError when it states none."""
        return FieldSet(_checked(document, ()) if document else {})


EMPTY: Final = FieldSet()
"""The set without members."""


def _root(node: Fields | None) -> Fields:
    # a root is never a member of its set, so what the operations make of its empty node means nothing
    return {step: child for step, child in node.items() if step != "."} if node else {}


def _paths(node: Fields, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    for step, child in node.items():
        if step == ".":
            continue
        here = (*path, step)
        if is_member(child):
            yield here
        yield from _paths(child, here)


def _checked(node: Any, path: tuple[str, ...]) -> Fields:
    """Return a tree of the wire with its steps written as this module writes them; the same tree where they are."""
    if not isinstance(node, dict) or len(path) > MAX_DEPTH:
        raise DecodeError("is no set of fields", path="".join(path))
    changed: Fields | None = None
    for step, child in node.items():
        written = step if step == "." or step[:2] == "f:" else _step(step)
        below = _checked(child, (*path, step)) if child or not isinstance(child, dict) else child
        if changed is None and (written != step or below is not child):
            changed = {}
            for earlier in node:  # what came before this step was as it should be
                if earlier == step:
                    break
                changed[earlier] = node[earlier]
        if changed is not None:
            changed[written] = below
    return cast("Fields", node) if changed is None else changed


@lru_cache(maxsize=8192)
def _step(step: str) -> str:
    kind, text = step[:2], step[2:]
    try:
        if kind == "i:" and text.isdigit():
            return step
        if kind == "v:":
            return value_step(orjson.loads(text))
        if kind == "k:" and isinstance(pairs := orjson.loads(text), dict):
            return key_step(*sorted(pairs.items()))
    except (orjson.JSONDecodeError, TypeError) as error:
        raise DecodeError(f"{step!r} is no step of a path") from error
    raise DecodeError(f"{step!r} is no step of a path")
