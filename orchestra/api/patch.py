"""Patches that need no knowledge of kinds: JSON merge patch (RFC 7396) and JSON patch (RFC 6902).

Documents are never changed in place: a result is a new document that shares what the patch did not touch. Strategic
merge patch is in `strategic.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from orchestra.errors import BadRequest, DecodeError, Invalid, RequestTooLarge

Document = dict[str, Any]

MAX_PATCH_OPERATIONS: Final = 10_000
"""The most operations of one JSON patch; a longer one is refused with RequestTooLarge."""

MAX_COPIED_BYTES: Final = 3 * 1024 * 1024
"""The most that the `copy` operations of one JSON patch may add to a document, roughly measured; more is Invalid."""

PATCH_FAILED: Final = "the server rejected our request due to an error in our request"
"""What Kubernetes answers when a JSON patch does not fit the object; the exception's cause says which operation."""

_GO_TYPES: dict[type, str] = {list: "array", tuple: "array", str: "string", bool: "bool", dict: "object"}


def json_equal(left: Any, right: Any) -> bool:
    """Say whether two JSON values are equal: unlike in Python, `true` is not 1."""
    if type(left) is str:
        return bool(left == right)
    if isinstance(left, dict):
        return (
            isinstance(right, dict)
            and left.keys() == right.keys()
            and all(json_equal(value, right[key]) for key, value in left.items())
        )
    if isinstance(left, list | tuple):
        return (
            isinstance(right, list | tuple)
            and len(left) == len(right)
            and all(json_equal(a, b) for a, b in zip(left, right, strict=True))
        )
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    return bool(left == right)


def patch_object(body: Any) -> Document:
    """Return the body of a merge patch; raises BadRequest when it is no JSON object."""
    if isinstance(body, dict):
        return body
    got = "null" if body is None else _GO_TYPES.get(type(body), "number")
    raise BadRequest(
        f"error decoding patch: json: cannot unmarshal {got} into Go value of type map[string]interface {{}}"
    )


def merge_patch(document: Document, patch: Any) -> Document:
    """Return `document` changed by a JSON merge patch: null removes, objects merge, everything else replaces.

    Raises BadRequest when the patch is no object.
    """
    return _merge(document, patch_object(patch))


def _merge(target: Any, patch: Document) -> Document:
    merged = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, dict):
            merged[key] = _merge(merged.get(key), value)
        else:
            merged[key] = value
    return merged


def merge_patch_between(old: Document, new: Document) -> Document:
    """Return the merge patch that turns `old` into `new`; empty when they are equal."""
    patch: Document = {key: None for key in old if key not in new}
    for key, value in new.items():
        before = old.get(key)
        if isinstance(value, dict) and isinstance(before, dict):
            if inner := merge_patch_between(before, value):
                patch[key] = inner
        elif key not in old or not json_equal(before, value):
            patch[key] = value
    return patch


def json_patch(document: Document, operations: Any) -> Document:
    """Return `document` changed by the operations of a JSON patch, all of them or none.

    Raises BadRequest when the body is no list of operations, RequestTooLarge when there are too many, and Invalid when
    one of them does not fit the document (a failing `test` included).
    """
    if not isinstance(operations, list | tuple) or not all(isinstance(item, dict) for item in operations):
        got = _GO_TYPES.get(type(operations), "value")
        raise BadRequest(f"error decoding patch: json: cannot unmarshal {got} into Go value of type jsonpatch.Patch")
    if len(operations) > MAX_PATCH_OPERATIONS:
        limit = f"The allowed maximum operations in a JSON patch is {MAX_PATCH_OPERATIONS}, got {len(operations)}"
        raise RequestTooLarge(f"Request entity too large: {limit}")
    result: Any = document
    copied = 0
    try:
        for operation in operations:
            name = operation.get("op")
            apply = _OPERATIONS.get(name) if isinstance(name, str) else None
            if apply is None:
                raise DecodeError(f"unknown operation {name!r}", path=str(operation.get("path")))
            if name == "copy":
                copied += _size(_find(result, _pointer(operation, "from")))
                if copied > MAX_COPIED_BYTES:
                    raise DecodeError(f"copies exceed {MAX_COPIED_BYTES} bytes", path=str(operation.get("path")))
            result = apply(result, operation)
        if not isinstance(result, dict):
            raise DecodeError("the result is no object")
    except DecodeError as error:
        raise Invalid(PATCH_FAILED) from error
    return result


def _size(value: Any) -> int:
    if isinstance(value, dict):
        return 2 + sum(len(key) + 4 + _size(item) for key, item in value.items())
    if isinstance(value, list | tuple):
        return 2 + sum(1 + _size(item) for item in value)
    return len(value) + 2 if isinstance(value, str) else 8


def _pointer(operation: Document, member: str = "path") -> list[str]:
    """Return the steps of a JSON pointer (RFC 6901)."""
    text = operation.get(member)
    if not isinstance(text, str):
        raise DecodeError(f"operation has no {member!r}")
    if text and not text.startswith("/"):
        raise DecodeError("a JSON pointer begins with '/'", path=text)
    return [step.replace("~1", "/").replace("~0", "~") for step in text.split("/")[1:]]


def _value(operation: Document) -> Any:
    if "value" not in operation:
        raise DecodeError("operation has no 'value'", path=str(operation.get("path")))
    return operation["value"]


def _index(step: str, length: int) -> int:
    """Return the position that a step means in a list; a negative one counts from the end, as in Kubernetes."""
    digits = step.removeprefix("-")
    if not digits.isascii() or not digits.isdigit():
        raise DecodeError("is no index of an array", path=step)
    index = int(step) + (length if step.startswith("-") else 0)
    if not 0 <= index < length:
        raise DecodeError("index is out of bounds", path=step)
    return index


def _find(target: Any, steps: list[str]) -> Any:
    for step in steps:
        if isinstance(target, dict) and step in target:
            target = target[step]
        elif isinstance(target, list | tuple):
            target = target[_index(step, len(target))]
        else:
            raise DecodeError("does not exist", path=step)
    return target


def _change(target: Any, steps: list[str], edit: Callable[[Any, str], Any]) -> Any:
    """Return `target` with the container at `steps[:-1]` replaced by what `edit` makes of it and of the last step."""
    if len(steps) == 1:
        return edit(target, steps[0])
    step = steps[0]
    inner = _change(_find(target, [step]), steps[1:], edit)
    if isinstance(target, dict):
        return {**target, step: inner}
    items = list(target)
    items[_index(step, len(items))] = inner
    return items


def _put(target: Any, steps: list[str], value: Any) -> Any:
    if not steps:
        return value

    def edit(container: Any, step: str) -> Any:
        if isinstance(container, dict):
            return {**container, step: value}
        if not isinstance(container, list | tuple):
            raise DecodeError("is neither object nor array", path=step)
        at = len(container) if step == "-" else _index(step, len(container) + 1)
        return [*container[:at], value, *container[at:]]

    return _change(target, steps, edit)


def _take(target: Any, steps: list[str]) -> Any:
    if not steps:
        raise DecodeError("the whole document cannot be removed")

    def edit(container: Any, step: str) -> Any:
        _find(container, [step])
        if isinstance(container, dict):
            return {key: value for key, value in container.items() if key != step}
        at = _index(step, len(container))
        return [*container[:at], *container[at + 1 :]]

    return _change(target, steps, edit)


def _add(target: Any, operation: Document) -> Any:
    return _put(target, _pointer(operation), _value(operation))


def _remove(target: Any, operation: Document) -> Any:
    return _take(target, _pointer(operation))


def _replace(target: Any, operation: Document) -> Any:
    steps, value = _pointer(operation), _value(operation)
    if not steps:
        return value

    def edit(container: Any, step: str) -> Any:
        _find(container, [step])
        if isinstance(container, dict):
            return {**container, step: value}
        items = list(container)
        items[_index(step, len(items))] = value
        return items

    return _change(target, steps, edit)


def _move(target: Any, operation: Document) -> Any:
    source, steps = _pointer(operation, "from"), _pointer(operation)
    value = _find(target, source)
    if source == steps:
        return target
    if steps[: len(source)] == source:
        raise DecodeError("a value cannot be moved into itself", path=str(operation.get("path")))
    return _put(_take(target, source), steps, value)


def _copy(target: Any, operation: Document) -> Any:
    return _put(target, _pointer(operation), _find(target, _pointer(operation, "from")))


def _test(target: Any, operation: Document) -> Any:
    expected = operation.get("value")
    steps = _pointer(operation)
    try:
        found = _find(target, steps)
    except DecodeError:
        if expected is None:  # a test for null passes on what is absent, as in Kubernetes
            return target
        raise
    if not json_equal(found, expected):
        raise DecodeError("test failed", path=str(operation.get("path")))
    return target


_OPERATIONS: dict[str, Callable[[Any, Document], Any]] = {
    "add": _add,
    "remove": _remove,
    "replace": _replace,
    "move": _move,
    "copy": _copy,
    "test": _test,
}
