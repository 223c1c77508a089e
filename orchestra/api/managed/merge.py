"""Combining an applied document with the stored one, and taking fields out of a document.

Results share with the stored document what did not change, down to being the same object.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestra.api.managed.compare import is_leaf
from orchestra.api.managed.fieldset import MEMBER, Fields, is_member
from orchestra.api.managed.steps import MISSING, StepError, child_schema, is_named, item_step
from orchestra.api.patch import json_equal
from orchestra.api.schema import ANY, Schema

_NO_FIELDS: Mapping[str, Schema] = {}


def merge(live: Any, applied: Any, schema: Schema) -> Any:
    """Return `live` with every field that `applied` states: leaves are replaced, the rest is combined."""
    if live is MISSING:
        return applied
    if is_leaf(schema, applied):
        return live if json_equal(live, applied) else applied
    if not live and not applied:
        return live if json_equal(live, applied) else applied
    if schema.kind == "list":
        return _merge_list(live or (), applied or (), schema)
    if not isinstance(live, dict):
        return applied
    changed: dict[str, Any] = {}
    fields, other = (schema.fields, ANY) if schema.kind == "struct" else (_NO_FIELDS, child_schema(schema, ""))
    for name, value in (applied or {}).items():
        before = live.get(name, MISSING)
        if before is value or (type(value) is str and before == value):
            continue
        after = merge(before, value, fields.get(name, other))
        if after is not before:
            changed[name] = after
    return {**live, **changed} if changed else live


def _merge_list(live: Any, applied: Any, schema: Schema) -> Any:
    """Merge two lists of type map or set; applied items keep their order, live ones stay where they can.

    The rule of structured-merge-diff: both lists are read side by side. A live item that was not applied is taken where
    it stands; one that was applied waits until its turn in the applied list.
    """
    left = [_step(item, schema) for item in live]
    right = [_step(item, schema) for item in applied]
    counted: dict[str, int] = {}
    for step in left:
        counted[step] = counted.get(step, 0) + 1
    # an item that the stored list holds twice is replaced, not merged with
    stored = {step: item for step, item in zip(left, live, strict=True) if counted[step] == 1}
    stated = dict(zip(right, applied, strict=True))
    shared = iter([step for step in right if step in counted])
    turn = next(shared, None)
    merged: dict[str, Any] = {}
    result: list[Any] = []

    def take(step: str) -> None:
        merged[step] = merge(stored.get(step, MISSING), stated[step], schema.item)
        result.append(merged[step])

    at, to = 0, 0
    while at < len(left) or to < len(right):
        if at < len(left):
            step = left[at]
            if to < len(right) and step == right[to]:
                take(step)
                at, to, turn = at + 1, to + 1, next(shared, None)
                continue
            if to < len(right) and step in stated and turn is not None and turn != step:
                at += 1
                continue
            if step not in stated:
                result.append(live[at])
                at += 1
                continue
            if step in merged:
                at += 1
        if to < len(right):
            step = right[to]
            take(step)
            to += 1
            if turn == step:
                turn = next(shared, None)
    same = len(result) == len(live) and all(a is b for a, b in zip(result, live, strict=True))
    return live if same else result


def _step(item: Any, schema: Schema) -> str:
    try:
        return item_step(item, schema)
    except StepError:
        return f"unnamed:{id(item)}"


def remove(value: Any, fields: Fields, schema: Schema) -> Any:
    """Return a value without the members of `fields`; MISSING when that empties a container."""
    if not value or is_leaf(schema, value):
        return value
    if schema.kind == "list":
        return _remove_items(value, fields, schema)
    if not isinstance(value, dict):
        return value
    kept: dict[str, Any] = {}
    for name, item in value.items():
        node = fields.get(f"f:{name}")
        if node is None:
            kept[name] = item
        elif not is_member(node):
            rest = remove(item, node, child_schema(schema, name))
            kept[name] = None if rest is MISSING else rest
    return kept or MISSING


def _remove_items(items: Any, fields: Fields, schema: Schema) -> Any:
    kept: list[Any] = []
    for item in items:
        node = fields.get(_step(item, schema))
        if node is None:
            kept.append(item)
        elif not is_member(node):
            rest = remove(item, node, schema.item)
            kept.append(None if rest is MISSING else rest)
    return kept or MISSING


def with_named_parents(fields: Fields, schema: Schema) -> Fields:
    """Return a tree in which every declared field that has members below it is a member too."""
    result: Fields = {}
    for step, node in fields.items():
        if step == ".":
            result["."] = MEMBER
            continue
        name = step[2:] if step.startswith("f:") else ""
        inner = child_schema(schema, name) if step.startswith("f:") else schema.item
        child = with_named_parents(node, inner)
        if child and "." not in child and step.startswith("f:") and is_named(schema, name):
            child = {".": MEMBER, **child}
        result[step] = child
    return result
