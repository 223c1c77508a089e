"""One spelling for each meaning: what a document of a built-in kind loses before it is stored, and gains when shown.

Kubernetes decodes a document into structs and writes it out again. `canonical` does what that does to a document:
nulls, empty lists and maps, and zeros of fields that do not tell zero from absent are gone, amounts are in canonical
form. `pruned` drops the fields that the class does not declare, and `presented` adds what Go always writes: required
fields, sub-objects that are no pointers. All are driven by the classes, are pure, and leave their input alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import NoneType
from typing import Any, Final, get_args, get_origin

from orchestra.api.fields import FieldInfo, fields_of
from orchestra.api.object import Object, Struct
from orchestra.api.quantity import Quantity

Document = Mapping[str, Any]
Convert = Callable[[Any], Any]

_DROP: Final = object()
_MILLI = 10**6
_TABLES: dict[type[Struct], dict[str, Convert | None]] = {}
_ALWAYS: dict[type[Struct], tuple[tuple[str, Any], ...]] = {}


def canonical(document: Any, cls: type[Struct]) -> Any:
    """Return `document` as Kubernetes would store it; parts that are not of the declared shape stay as they are."""
    if not isinstance(document, Mapping):
        return document
    table = _table(cls)
    changed: dict[str, Any] | None = None
    for name, value in document.items():
        convert = table.get(name)
        new = _DROP if value is None else value if convert is None else convert(value)
        if new is value:
            continue
        if changed is None:
            changed = dict(document)
        if new is _DROP:
            del changed[name]
        else:
            changed[name] = new
    return document if changed is None else changed


def canonical_quantity(value: Any) -> Any:
    """Return an amount in canonical form; what cannot be parsed stays as it is, for decoding to refuse."""
    try:
        text = str(Quantity(value))
    except (TypeError, ValueError):
        return value
    return value if text == value else text


def rounded_amounts(amounts: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a resource list whose amounts have no part finer than a thousandth, rounded up as Kubernetes does."""
    found: dict[str, Any] = {}
    for name, value in amounts.items():
        try:
            amount = Quantity(value)
        except (TypeError, ValueError):
            found[name] = value
            continue
        if amount.nanos % _MILLI:
            amount = Quantity.from_milli(amount.milli_value(), amount.format)
        found[name] = str(amount)
    return amounts if found == amounts else found


def _table(cls: type[Struct]) -> dict[str, Convert | None]:
    table = _TABLES.get(cls)
    if table is None:
        table = _TABLES[cls] = {}
        if issubclass(cls, Object):
            table |= {"apiVersion": None, "kind": None}
        for name, info in fields_of(cls).items():
            table[name] = _converter(info)
    return table


def declared_type(annotation: Any) -> Any:
    """Return the type of a field's values where there are any: `X` of `X | None`."""
    rest = [argument for argument in get_args(annotation) if argument is not NoneType]
    return rest[0] if NoneType in get_args(annotation) and len(rest) == 1 else annotation


def _converter(info: FieldInfo) -> Convert | None:
    declared = declared_type(info.type)
    convert = _convert_value(declared)
    if info.omit_empty:
        zero = info.default
        return lambda value: _DROP if (value == zero and value is not False) or value is zero else value
    return convert


def _convert_value(declared: Any) -> Convert | None:
    """Return what is done to a value of the declared type; None when it stays as it is."""
    origin, arguments = get_origin(declared), get_args(declared)
    if declared is Quantity:
        return canonical_quantity
    if isinstance(declared, type) and issubclass(declared, Struct):
        return lambda value: canonical(value, declared)
    if origin is tuple:
        return _convert_list(_item(arguments[0]))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        if arguments[1] is Quantity:
            return lambda value: rounded_amounts(value) if isinstance(value, Mapping) and value else _DROP
        return _convert_text_map if arguments[1] is str else _convert_map
    return None


def _item(declared: Any) -> Convert | None:
    if isinstance(declared, type) and issubclass(declared, Struct):
        # Go reads a null in a list as an item in which nothing is set.
        return lambda value: {} if value is None else canonical(value, declared)
    return None


def _convert_list(item: Convert | None) -> Convert:
    def convert(value: Any) -> Any:
        if not isinstance(value, list | tuple):
            return value
        if not value:
            return _DROP
        if item is None:
            return value
        new = [item(each) for each in value]
        return value if all(a is b for a, b in zip(new, value, strict=True)) else new

    return convert


def _convert_map(value: Any) -> Any:
    return value if value or not isinstance(value, Mapping) else _DROP


def _convert_text_map(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    if not value:
        return _DROP
    if None in value.values():
        return {key: "" if text is None else text for key, text in value.items()}
    return value


def pruned(document: Any, cls: type[Struct]) -> Any:
    """Return `document` without the fields that its class does not declare, as Kubernetes stores it."""
    if not isinstance(document, Mapping):
        return document
    fields = fields_of(cls)
    own = ("apiVersion", "kind") if issubclass(cls, Object) else ()
    return {
        name: _within(value, declared_type(fields[name].type), pruned) if name in fields else value
        for name, value in document.items()
        if name in fields or name in own
    }


def presented(document: Any, cls: type[Struct]) -> Any:
    """Return `document` with the fields that Go writes even where nothing is set; for answers over HTTP."""
    if not isinstance(document, Mapping):
        return document
    result = dict(document)
    for name, zero in _always(cls):
        result.setdefault(name, zero)
    fields = fields_of(cls)
    for name, value in result.items():
        if name in fields and isinstance(value, Mapping | list | tuple):
            result[name] = _within(value, declared_type(fields[name].type), presented)
    return result


def _within(value: Any, declared: Any, change: Callable[[Any, type[Struct]], Any]) -> Any:
    """Return `value` with `change` applied to the structs that it is or holds."""
    if isinstance(declared, type) and issubclass(declared, Struct):
        return change(value, declared)
    arguments = get_args(declared)
    if get_origin(declared) is tuple and isinstance(value, list | tuple):
        return [_within(each, arguments[0], change) for each in value]
    return value


def _always(cls: type[Struct]) -> tuple[tuple[str, Any], ...]:
    known = _ALWAYS.get(cls)
    if known is None:
        found: list[tuple[str, Any]] = []
        for name, info in fields_of(cls).items():
            if info.metadata.get("nullable") or info.metadata.get("required"):
                found.append((name, None))
            elif isinstance(info.default, Struct):
                found.append((name, {}))
            elif not info.omit_empty and info.default is not None and isinstance(info.default, str | int | float):
                found.append((name, info.default))
        known = _ALWAYS[cls] = tuple(found)
    return known
