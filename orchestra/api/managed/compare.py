"""Which fields a document has, and which two documents differ in: the ground of field ownership.

The rules are those of structured-merge-diff's `typed` package: scalars, atomic values and empty containers are leaves;
an owner owns leaves, items of lists and keys of maps, and a struct only where it appeared as a whole.
"""

from __future__ import annotations

from typing import Any

import attrs

from orchestra.api.managed.fieldset import MEMBER, Fields, FieldSet, is_member, show_step
from orchestra.api.managed.steps import MISSING, StepError, always_written, child_schema, is_named, item_step
from orchestra.api.patch import json_equal
from orchestra.api.schema import Schema


@attrs.frozen
class Comparison:
    """How a document differs from an older one; no field is in more than one of the sets."""

    added: FieldSet
    modified: FieldSet
    removed: FieldSet

    def without(self, ignored: FieldSet) -> Comparison:
        """Return this comparison less what is at or below the members of `ignored`."""
        if not ignored:
            return self
        return Comparison(self.added.without(ignored), self.modified.without(ignored), self.removed.without(ignored))


def is_leaf(schema: Schema, value: Any) -> bool:
    """Say whether a value is owned whole."""
    if schema.atomic:
        return True
    if schema.kind == "any":
        return not isinstance(value, dict)
    return False


def applied_fields(document: Any, schema: Schema) -> tuple[FieldSet, tuple[str, ...]]:
    """Return the fields that an applied document states, and what is wrong with it.

    Each fault is a path and a reason: undeclared fields, wrong containers, list items without keys, duplicates.
    """
    faults: list[str] = []
    root = _applied(document, schema, (), faults)
    return FieldSet(root or {}), tuple(faults)


def _applied(value: Any, schema: Schema, path: tuple[str, ...], faults: list[str]) -> Fields | None:
    """Return the node of what is below `value`; None when it is not even itself a member."""
    if value is None or schema.atomic or is_leaf(schema, value):
        return MEMBER
    if schema.kind == "list":
        if not isinstance(value, list | tuple):
            faults.append(f"{_shown_path(path)}: expected list, got {_shown(value)}")
            return None
        return _applied_list(value, schema, path, faults)
    if not isinstance(value, dict):
        faults.append(f"{_shown_path(path)}: expected map, got {_shown(value)}")
        return None
    if not value:
        return MEMBER
    node: Fields = {}
    if schema.kind != "struct":
        inner = child_schema(schema, "")
        for name, item in value.items():  # the key of a map is owned by whoever states it
            step = f"f:{name}"
            child = _applied(item, inner, (*path, step), faults)
            node[step] = child if child is not None and is_member(child) else {".": MEMBER, **(child or {})}
        return node
    fields = schema.fields
    for name, item in value.items():
        step = f"f:{name}"
        declared = fields.get(name)
        if declared is None:
            faults.append(f"{_shown_path((*path, step))}: field not declared in schema")
        elif (child := _applied(item, declared, (*path, step), faults)) is not None:
            node[step] = child
    return node or None


def _applied_list(items: Any, schema: Schema, path: tuple[str, ...], faults: list[str]) -> Fields | None:
    node: Fields = {}
    for index, item in enumerate(items):
        try:
            step = item_step(item, schema)
        except StepError as error:
            faults.append(f"{_shown_path(path)}: element {index}: {error}")
            continue
        if step in node:
            faults.append(f"{_shown_path(path)}: duplicate entries for key {show_step(step)}")
            continue
        child = _applied(item, schema.item, (*path, step), faults) if schema.list_type == "map" else MEMBER
        node[step] = child if child is not None and is_member(child) else {".": MEMBER, **(child or {})}
    return node or None


def _shown_path(path: tuple[str, ...]) -> str:
    return "".join(map(show_step, path))


def _shown(value: Any) -> str:
    return "null" if value is None else type(value).__name__.replace("dict", "map").replace("tuple", "list")


def all_fields(value: Any, schema: Schema) -> Fields:
    """Return the node of everything in a value that came or went as a whole: every step is a member."""
    if not value or is_leaf(schema, value):
        return MEMBER
    node: Fields = {".": MEMBER}
    if isinstance(value, dict):
        for name, item in value.items():
            node[f"f:{name}"] = all_fields(item, child_schema(schema, name))
    elif isinstance(value, list | tuple) and schema.kind == "list":
        inner = schema.item
        for step, items in _indexed(value, schema).items():
            node[step] = all_fields(items[0], inner) if len(items) == 1 else MEMBER
    else:
        return MEMBER
    return node


def all_stated(document: Any, schema: Schema) -> FieldSet:
    """Return every field that a stored document states, without looking for faults."""
    node = _stated(document, schema)
    return FieldSet({step: child for step, child in node.items() if step != "."})


def _stated(value: Any, schema: Schema) -> Fields:
    if not value or is_leaf(schema, value):
        return MEMBER
    node: Fields = {}
    if isinstance(value, dict):
        for name, item in value.items():
            if item == [] and not is_leaf(child_schema(schema, name), item):
                continue  # an empty list that is no leaf has nothing in it to own
            child = _stated(item, child_schema(schema, name))
            node[f"f:{name}"] = child if is_named(schema, name) or is_member(child) else {".": MEMBER, **child}
    elif isinstance(value, list | tuple) and schema.kind == "list":
        for step, items in _indexed(value, schema).items():
            child = _stated(items[0], schema.item) if len(items) == 1 else MEMBER
            node[step] = child if is_member(child) else {".": MEMBER, **child}
    return node


def _indexed(items: Any, schema: Schema) -> dict[str, list[Any]]:
    """Return the items of a stored list by step; items that cannot be named are left out, equal steps are kept."""
    result: dict[str, list[Any]] = {}
    for item in items:
        try:
            result.setdefault(item_step(item, schema), []).append(item)
        except StepError:
            continue
    return result


_Trees = tuple[Fields, Fields, Fields]
"""What was added, modified and removed, while a walk over two documents finds it."""


def compare(old: Any, new: Any, schema: Schema) -> Comparison:
    """Return how `new` differs from `old`."""
    trees: _Trees = ({}, {}, {})
    if old is not new:
        _walk(old, new, schema, trees)
    return Comparison(*map(FieldSet, trees))


def _walk(old: Any, new: Any, schema: Schema, trees: _Trees) -> None:
    """Enter what differs below two containers of one shape."""
    if schema.kind == "list":
        _walk_list(old, new, schema, trees)
        return
    defaults = always_written(schema.declared) if schema.kind == "struct" else {}
    for name in old:
        if name not in new:
            _child(old[name], defaults.get(name, MISSING), child_schema(schema, name), f"f:{name}", trees)
    for name, value in new.items():
        before = old.get(name, MISSING)
        if before is value:
            continue
        if before is MISSING:
            before = defaults.get(name, MISSING)
        _child(before, value, child_schema(schema, name), f"f:{name}", trees)


def _walk_list(old: Any, new: Any, schema: Schema, trees: _Trees) -> None:
    before, after = _indexed(old, schema), _indexed(new, schema)
    inner = schema.item
    for step, items in before.items():
        others = after.get(step, [])
        if len(items) == 1 and len(others) <= 1:
            _child(items[0], others[0] if others else MISSING, inner, step, trees)
        elif len(items) > 1 and len(others) > 1:
            if not json_equal(items, others):
                trees[1][step] = MEMBER
        elif len(items) > 1:  # duplicates went: what is left counts as new, the duplicate as removed
            if others:
                _child(MISSING, others[0], inner, step, trees)
            trees[2][step] = MEMBER
        else:
            _child(items[0], MISSING, inner, step, trees)
            trees[0][step] = MEMBER
    for step, others in after.items():
        if step not in before:
            trees[0][step] = all_fields(others[0], inner) if len(others) == 1 else MEMBER


def _child(old: Any, new: Any, schema: Schema, step: str, trees: _Trees) -> None:
    """Enter what differs in one child into the trees, at `step`."""
    if old is MISSING:
        trees[0][step] = all_fields(new, schema)
    elif new is MISSING:
        trees[2][step] = all_fields(old, schema)
    elif _differs_whole(old, new, schema):
        if not json_equal(old, new):
            trees[1][step] = MEMBER
    else:
        below: _Trees = ({}, {}, {})
        _walk(old or _empty(schema), new or _empty(schema), schema, below)
        for tree, node in zip(trees, below, strict=True):
            if node:
                tree[step] = node


def _empty(schema: Schema) -> Any:
    return () if schema.kind == "list" else {}


def _differs_whole(old: Any, new: Any, schema: Schema) -> bool:
    """Say whether two values are compared as leaves: they are leaves, both empty, or of different shapes."""
    if schema.atomic or (not old and not new):
        return True
    wanted = (list, tuple) if schema.kind == "list" else (dict,)
    return any(value is not None and not isinstance(value, wanted) for value in (old, new))
