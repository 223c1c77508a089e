"""Containers that nobody can change: what the attributes of API objects hold.

Absent and empty stay distinct without `None` in the way of reading: an absent list is the plain `()`, an absent map
is `ABSENT_MAP`; an explicitly empty list or map that came over the wire is equal to them but another object, and
is written out again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NoReturn, TypeVar, cast

K = TypeVar("K")
V = TypeVar("V")
T = TypeVar("T")


class FrozenDict(dict[K, V]):
    """A dict that refuses every change; hashable when its values are."""

    __slots__ = ("_hash",)
    _hash: int

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise TypeError("this mapping is immutable: build a new one, for example {**old, key: value}")

    __setitem__ = __delitem__ = clear = pop = popitem = setdefault = update = __ior__ = _refuse

    def __hash__(self) -> int:  # type: ignore[override]
        # Worked out once: the same labels are looked up in many tables.
        try:
            return self._hash
        except AttributeError:
            self._hash = hash(frozenset(self.items()))
            return self._hash

    def __copy__(self) -> FrozenDict[K, V]:
        return self

    def __deepcopy__(self, _memo: object) -> FrozenDict[K, V]:
        return self

    def __reduce__(self) -> str | tuple[Any, ...]:
        return "ABSENT_MAP" if self is ABSENT_MAP else (FrozenDict, (dict(self),))


class _EmptyList(tuple[Any, ...]):
    """An explicitly empty list; `()` is the absent one."""

    __slots__ = ()

    def __reduce__(self) -> str:
        return "EMPTY_LIST"


ABSENT_MAP: FrozenDict[Any, Any] = FrozenDict()
"""The map that is not there: not written to the wire. Compare with `is`."""

ABSENT_LIST: tuple[Any, ...] = ()
"""The list that is not there; CPython has one empty tuple, so comparing with `is` is sound."""

EMPTY_LIST: tuple[Any, ...] = _EmptyList()
"""The list that is there and empty: written to the wire as `[]`."""


def is_absent(value: object) -> bool:
    """Say whether an attribute's value stands for a field that is not in the document."""
    return value is None or value is ABSENT_MAP or value is ABSENT_LIST


def frozen_list(value: Iterable[T]) -> tuple[T, ...]:
    """Return `value` as a tuple; a tuple passes as it is."""
    return cast("tuple[T, ...]", value) if isinstance(value, tuple) else tuple(value) or EMPTY_LIST


def frozen_map(value: Mapping[K, V]) -> FrozenDict[K, V]:
    """Return `value` as a FrozenDict; a FrozenDict passes as it is."""
    return value if type(value) is FrozenDict else FrozenDict(value)


def freeze(value: Any) -> Any:
    """Return a JSON value with every container in it frozen."""
    if isinstance(value, dict):
        return value if type(value) is FrozenDict else FrozenDict({k: freeze(v) for k, v in value.items()})
    if isinstance(value, list | tuple):
        return tuple(freeze(item) for item in value) or EMPTY_LIST
    return value


def thaw(value: Any) -> Any:
    """Return a JSON value with plain dicts and lists in place of frozen containers."""
    if isinstance(value, dict):
        return {k: thaw(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [thaw(item) for item in value]
    return value
