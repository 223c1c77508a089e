"""Strategic merge patch: a merge patch that knows a kind's lists and combines them by their merge keys.

Directives: `$patch` (replace, delete, in maps and in items of lists), `$deleteFromPrimitiveList/NAME`,
`$setElementOrder/NAME`, `$retainKeys`. The rules and the wording of refusals follow apimachinery `strategicpatch`.
Nothing is changed in place.
"""

from __future__ import annotations

from typing import Any, Final

from orchestra.api.patch import json_equal, patch_object
from orchestra.api.schema import ANY, Schema
from orchestra.errors import BadRequest

Document = dict[str, Any]

_PATCH: Final = "$patch"
_RETAIN: Final = "$retainKeys"
_DELETE_FROM: Final = "$deleteFromPrimitiveList"
_ORDER: Final = "$setElementOrder"


def strategic_merge(document: Document, patch: Any, schema: Schema) -> Document:
    """Return `document`, of the kind that `schema` describes, changed by a strategic merge patch.

    Raises BadRequest when the patch is no object, an item has no merge key, or a directive makes no sense.
    """
    return _merge_map(document, patch_object(patch), schema)


def _merge_map(original: Document, patch: Document, schema: Schema) -> Document:
    if _PATCH in patch:
        if patch[_PATCH] == "replace":
            return {name: value for name, value in patch.items() if name != _PATCH}
        if patch[_PATCH] == "delete":
            return {}
        raise _unknown_directive(patch)
    rest = dict(patch)
    result = dict(original) if _RETAIN not in rest else _retained(original, rest)
    for directive in [name for name in rest if name.startswith(_ORDER)]:
        order, name = rest.pop(directive), _target(directive, _ORDER)
        merged = _ordered(result.get(name), rest.pop(name, None), order, _child(schema, name))
        if merged is not None:
            result[name] = merged
    for key, value in rest.items():
        deletes = key.startswith(_DELETE_FROM)
        name = _target(key, _DELETE_FROM) if deletes else key
        if value is None:
            result.pop(name, None)
        elif deletes:
            if isinstance(result.get(name), list | tuple):
                result[name] = _without_elements(result[name], value)
        elif name in result and isinstance(value, dict) and isinstance(result[name], dict):
            result[name] = _merge_map(result[name], value, _child(schema, name))
        elif name in result and isinstance(value, list | tuple) and isinstance(result[name], list | tuple):
            result[name] = _merge_list(result[name], value, _child(schema, name))
        elif isinstance(value, dict) and _PATCH in value:
            result.pop(name, None)
        else:
            result[name] = _plain(value)
    return result


def _child(schema: Schema, name: str) -> Schema:
    if schema.kind == "struct":
        return schema.fields.get(name, ANY)
    return schema.item if schema.kind == "map" else ANY


def _target(directive: str, prefix: str) -> str:
    """Return the field that a directive of the form `PREFIX/NAME` is about."""
    name = directive.removeprefix(f"{prefix}/")
    if name == directive:
        raise BadRequest(
            f"invalid patch format of {'primitive list' if prefix == _DELETE_FROM else 'setElementOrder list'}"
        )
    return name


def _retained(original: Document, rest: Document) -> Document:
    """Return what `$retainKeys` leaves of `original`, and take the directive out of `rest`."""
    keys = rest.pop(_RETAIN)
    stated = {name for name, value in rest.items() if value is not None and not name.startswith((_DELETE_FROM, _ORDER))}
    if not isinstance(keys, list | tuple) or not stated.issubset(key for key in keys if isinstance(key, str)):
        raise BadRequest("invalid patch format of retainKeys")
    return {name: value for name, value in original.items() if name in keys}


def _plain(value: Any) -> Any:
    """Return a value of a patch as it is stored where nothing was before: without nulls and directives."""
    if isinstance(value, dict):
        return {
            name: _plain(item)
            for name, item in value.items()
            if item is not None
            and not name.startswith((_DELETE_FROM, _ORDER, _RETAIN))
            and not (isinstance(item, dict) and _PATCH in item)
        }
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value if not (isinstance(item, dict) and _PATCH in item)]
    return value


def _without_elements(items: Any, unwanted: Any) -> list[Any]:
    if not isinstance(unwanted, list | tuple):
        raise BadRequest("invalid patch format of primitive list")
    return [item for item in items if not any(json_equal(item, other) for other in unwanted)]


def _merge_list(original: Any, patch: Any, schema: Schema) -> Any:
    key = schema.merge_key
    if not key and not schema.patch_merge:
        return list(patch)
    if not original and not patch:
        return original
    if not key:
        merged: list[Any] = []
        for item in (*original, *patch):
            if not any(json_equal(item, other) for other in merged):
                merged.append(item)
        return _arranged(merged, patch, original, key)
    stored, stated = _specials(list(original), patch, key)
    merged = list(stored)
    for item in stated:
        value = _key_of(item, key)
        at = _position(merged, value, key)
        if at < 0:
            merged.append(_plain(item))
        else:
            merged[at] = _merge_map(merged[at], item, schema.item)
    return _arranged(merged, stated, stored, key)


def _specials(original: list[Any], patch: Any, key: str) -> tuple[list[Any], list[Any]]:
    """Carry out the items that are directives; return the stored list and the items that are left to merge."""
    stated: list[Any] = []
    replaces = False
    for item in patch:
        directive = item.get(_PATCH) if isinstance(item, dict) else None
        if directive is None:
            stated.append(item)
        elif directive == "delete":
            value = _key_of(item, key)
            original = [other for other in original if not json_equal(_key_of(other, key), value)]
        elif directive == "replace":
            replaces = True
        elif directive == "merge":
            raise BadRequest("merging lists cannot yet be specified in the patch")
        else:
            raise _unknown_directive(item)
    return ([_plain(item) for item in stated], []) if replaces else (original, stated)


def _ordered(original: Any, patch: Any, order: Any, schema: Schema) -> list[Any] | None:
    """Return the merged list in the order that `$setElementOrder` asks for; None when there is no list."""
    if not isinstance(order, list | tuple):
        raise BadRequest("invalid patch format of setElementOrder list")
    for items in (original, patch):
        if items is not None and not isinstance(items, list | tuple):
            raise BadRequest("$setElementOrder is about a field that is no list")
    key = schema.merge_key
    if patch is not None:
        _check_order(patch, order, key)
    if original is None and patch is None:
        return None
    if patch is None:
        merged = list(original)
    elif original is None:
        merged = _plain(patch)
    else:
        merged = list(_merge_list(original, patch, schema))
    return _arranged(merged, order, original or (), key)


def _check_order(patch: Any, order: Any, key: str) -> None:
    """Refuse a patch whose items are not, in this order, among those of `$setElementOrder`."""
    at = 0
    items = [item for item in patch if not (isinstance(item, dict) and _PATCH in item)]
    for item in items if order else ():
        while at < len(order) and not json_equal(_identity(item, key), _identity(order[at], key)):
            at += 1
        if at == len(order):
            shown = f"The order in patch list:\n{go_text(patch)}\n doesn't match {_ORDER} list:\n{go_text(order)}\n"
            raise BadRequest(shown)
        at += 1


def _arranged(merged: list[Any], order: Any, before: Any, key: str) -> list[Any]:
    """Return `merged` with the items named by `order` in that order, and the others where they stood before."""
    wanted = [_identity(item, key) for item in order]
    stood = [_identity(item, key) for item in before]
    named = [(_index(wanted, _identity(item, key)), item) for item in merged]
    chosen = [item for at, item in sorted(((at, item) for at, item in named if at >= 0), key=lambda pair: pair[0])]
    others = sorted(
        (item for at, item in named if at < 0),
        key=lambda item: at if (at := _index(stood, _identity(item, key))) >= 0 else len(stood),
    )
    result: list[Any] = []
    while chosen and others:
        first, second = _index(stood, _identity(others[0], key)), _index(stood, _identity(chosen[0], key))
        result.append(others.pop(0) if 0 <= first < second else chosen.pop(0))
    return result + chosen + others


def _identity(item: Any, key: str) -> Any:
    return _key_of(item, key) if key else item


def _index(values: list[Any], value: Any) -> int:
    return next((at for at, other in enumerate(values) if json_equal(other, value)), -1)


def _position(items: list[Any], value: Any, key: str) -> int:
    return _index([_key_of(item, key) for item in items], value)


def _key_of(item: Any, key: str) -> Any:
    if not isinstance(item, dict):
        raise BadRequest(f"an item of a list with merge key {key} is no map: {go_text(item)}")
    if key not in item:
        raise BadRequest(f"map: {go_text(item)} does not contain declared merge key: {key}")
    return item[key]


def _unknown_directive(patch: Document) -> BadRequest:
    return BadRequest(f"unknown patch type: {go_text(patch[_PATCH])} in map: {go_text(patch)}")


def go_text(value: Any) -> str:
    """Return a JSON value as Go prints it, which is how the messages of Kubernetes show it."""
    if isinstance(value, dict):
        return f"map[{' '.join(f'{name}:{go_text(value[name])}' for name in sorted(value))}]"
    if isinstance(value, list | tuple):
        return f"[{' '.join(map(go_text, value))}]"
    if isinstance(value, bool):
        return "true" if value else "false"
    return "<nil>" if value is None else str(value)
