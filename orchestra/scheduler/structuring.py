"""From documents to attrs classes, strictly: unknown fields and values of another type are refused by their path.

Wire names are the lowerCamelCase form of field names. Classes of API objects are decoded as the API decodes them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeVar, get_args, get_origin

import attrs
import cattrs
from cattrs.gen import make_dict_structure_fn, override

from orchestra.api.codec import decode
from orchestra.api.object import Struct
from orchestra.api.schema import undeclared_fields
from orchestra.errors import ConfigurationError, DecodeError

T = TypeVar("T")


def structured(document: Any, cls: type[T], where: str) -> T:
    """Return an object of an attrs class; `where` begins the message of the ConfigurationError for every fault."""
    if not isinstance(document, Mapping):
        raise ConfigurationError(f"{where}: expected fields, not {_shown(document)}")
    try:
        return _converter().structure(document, cls)
    except cattrs.BaseValidationError as error:
        faults = "; ".join(_wire_paths(text) for text in cattrs.transform_error(error, path="", format_exception=_told))
        raise ConfigurationError(f"{where}: {faults}") from error
    except (ValueError, TypeError) as error:
        raise ConfigurationError(f"{where}: {error}") from error


def _told(error: BaseException, _type: Any) -> str:
    if isinstance(error, cattrs.ForbiddenExtraKeysError):
        return f"unknown field {', '.join(sorted(error.extra_fields))}"
    if isinstance(error, KeyError):
        return f"missing field {error.args[0]}"
    return str(error)


def _wire_paths(text: str) -> str:
    told, _, path = text.rpartition(" @ ")
    path = ".".join(_wire_name(part) for part in path.strip(".").split("."))
    return f"{path}: {told}" if path else told


def _wire_name(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)


def _shown(value: Any) -> str:
    return f"{type(value).__name__} {value!r}"


@lru_cache(1)
def _converter() -> cattrs.Converter:
    converter = cattrs.Converter(detailed_validation=True, forbid_extra_keys=True)
    for kind in (str, int, float, bool):
        converter.register_structure_hook(kind, _scalar)
    converter.register_structure_hook_factory(_is_attrs, lambda cls: _of_class(cls, converter))
    converter.register_structure_hook_func(_is_api, _of_api)
    converter.register_structure_hook_factory(_is_list, lambda kind: _of_list(kind, converter))
    return converter


def _scalar(value: Any, kind: type[Any]) -> Any:
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        raise ValueError(f"expected {kind.__name__}, not {_shown(value)}")
    return value


def _is_attrs(kind: Any) -> bool:
    return isinstance(kind, type) and attrs.has(kind) and not issubclass(kind, Struct)


class _CoreNames(dict[str, Any]):
    """Classes of the core group by name: modules import them for type checkers only, because most starts need none."""

    def __missing__(self, name: str) -> Any:
        from orchestra.api import core

        if name in core.__all__:
            return getattr(core, name)
        raise KeyError(name)


def _of_class(cls: type[Any], converter: cattrs.Converter) -> Any:
    resolved = attrs.resolve_types(cls, localns=_CoreNames())
    names = {f.name: override(rename=_wire_name(f.name)) for f in attrs.fields(resolved) if f.init}
    plain = make_dict_structure_fn(
        cls,
        converter,
        _cattrs_forbid_extra_keys=True,
        **names,  # type: ignore[arg-type]  # the keywords are the class's fields
    )

    def structure(value: Any, kind: Any) -> Any:
        if not isinstance(value, Mapping):
            raise ValueError(f"expected fields, not {_shown(value)}")
        return plain(value, kind)

    return structure


def _is_api(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Struct)


def _of_api(value: Any, cls: type[Any]) -> Any:
    if not isinstance(value, Mapping):
        raise ValueError(f"expected fields, not {_shown(value)}")
    unknown = undeclared_fields(value, cls)
    if unknown:
        raise ValueError(f"unknown field {', '.join(unknown)}")
    try:
        return decode(value, cls)
    except DecodeError as error:
        raise ValueError(str(error)) from error


def _is_list(kind: Any) -> bool:
    return get_origin(kind) is tuple and len(get_args(kind)) == 2 and get_args(kind)[1] is Ellipsis


def _of_list(kind: Any, converter: cattrs.Converter) -> Any:
    of = get_args(kind)[0]

    def structure(value: Any, _kind: Any) -> Any:
        if isinstance(value, str) or not isinstance(value, Sequence):
            raise ValueError(f"expected a list, not {_shown(value)}")
        return tuple(_item(converter, each, of, index) for index, each in enumerate(value))

    return structure


def _item(converter: cattrs.Converter, value: Any, kind: Any, index: int) -> Any:
    try:
        return converter.structure(value, kind)
    except cattrs.BaseValidationError as error:
        faults = "; ".join(_wire_paths(text) for text in cattrs.transform_error(error, path="", format_exception=_told))
        raise ValueError(f"[{index}] {faults}") from error
    except ValueError as error:
        raise ValueError(f"[{index}] {error}") from error
