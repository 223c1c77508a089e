"""The object of a BOOKMARK event, for the server and for clients that are told of one from afar."""

from __future__ import annotations

from typing import Any, Final, TypeVar, cast

from orchestra.api.frozen import ABSENT_LIST, ABSENT_MAP, FrozenDict
from orchestra.api.object import Object, ObjectMeta

O = TypeVar("O", bound=Object)  # noqa: E741 - the type of an object

INITIAL_EVENTS_END: Final = "k8s.io/initial-events-end"
"""The annotation of the bookmark behind the objects that a watch began with (KEP-3157)."""


def bookmark_object(cls: type[O], revision: int, *, initial_events_end: bool = False) -> O:
    """Return an object of a kind that says nothing but a revision, also when the kind has required fields."""
    obj = cls.__new__(cls)
    for item in cast("Any", cls).__attrs_attrs__:
        declared = str(item.type)
        blank = (
            ABSENT_LIST if declared.startswith("tuple[") else ABSENT_MAP if declared.startswith("Mapping[") else None
        )
        default = item.default
        plain = isinstance(default, str | int | tuple | dict) or default is None
        object.__setattr__(obj, item.name, default if plain else blank)
    annotations = FrozenDict({INITIAL_EVENTS_END: "true"}) if initial_events_end else ABSENT_MAP
    object.__setattr__(obj, "metadata", ObjectMeta(resource_version=str(revision), annotations=annotations))
    return obj
