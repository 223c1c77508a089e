"""Waiting for an object: what can be waited for, and following the object until it is so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import attrs

from orchestra.api.codec import encode
from orchestra.api.object import Object
from orchestra.cli.failures import CommandError
from orchestra.client.interface import Client, EventType
from orchestra.errors import Expired

O = TypeVar("O", bound=Object)  # noqa: E741 - the type of an object


class Wanted(Protocol):
    """What is waited for."""

    def holds(self, obj: Object | None) -> bool:
        """Say whether it is so; None stands for an object that does not exist."""
        ...


@attrs.frozen
class Gone:
    """The object of that uid does not exist any more; an empty uid stands for any object of the name."""

    uid: str = ""

    def holds(self, obj: Object | None) -> bool:
        """Say whether the object is gone, or another one has its name."""
        return obj is None or bool(self.uid and obj.metadata.uid != self.uid)


@attrs.frozen
class Exists:
    """The object is there."""

    def holds(self, obj: Object | None) -> bool:
        """Say whether there is one."""
        return obj is not None


@attrs.frozen
class HasCondition:
    """A condition of the object's status has a value; a status that speaks of an older spec does not count."""

    type: str
    status: str = "true"

    def holds(self, obj: Object | None) -> bool:
        """Say whether the condition is so."""
        if obj is None:
            return False
        document = encode(obj)
        status = document.get("status") or {}
        generation = document["metadata"].get("generation", 0)
        for condition in status.get("conditions") or ():
            if condition.get("type", "").casefold() == self.type.casefold():
                seen = condition.get("observedGeneration") or status.get("observedGeneration")
                if seen is not None and seen < generation:
                    return False
                return bool(condition.get("status", "").casefold() == self.status.casefold())
        return False


@attrs.frozen
class HasValue:
    """A JSONPath leads to a value, or to anything when `value` is None."""

    template: str
    value: str | None = None

    def holds(self, obj: Object | None) -> bool:
        """Say whether the value is there; raises CommandError when the path leads to more than one."""
        from orchestra.cli.jsonpath import select, text_of

        if obj is None:
            return False
        found = select(self.template, encode(obj))
        if not found:
            return False
        if len(found) > 1:
            raise CommandError(f"given jsonpath expression matches more than one list: {self.template}")
        if self.value is None:
            return True
        if isinstance(found[0], dict | list):
            raise CommandError(f"jsonpath leads to a nested object or list and cannot be compared: {self.template}")
        return text_of(found[0]).strip() == self.value.strip()


@attrs.frozen
class Satisfies:
    """A function of the object says so."""

    predicate: Callable[[Any], bool]

    def holds(self, obj: Object | None) -> bool:
        """Ask the function; an object that does not exist satisfies nothing."""
        return obj is not None and self.predicate(obj)


async def wait_until(client: Client, obj: Object, wanted: Wanted) -> Object | None:
    """Follow the object that has `obj`'s kind, namespace and name until it is as wanted; return it as it is then."""
    meta = obj.metadata
    return await wait_for_name(client, type(obj), meta.name, meta.namespace, wanted)


async def wait_for_name(client: Client, kind: type[O], name: str, namespace: str, wanted: Wanted) -> O | None:
    """Follow the object of that name; it need not exist yet."""
    chosen: dict[str, Any] = {
        "namespace": namespace if kind.resource_info.namespaced else None,
        "field_selector": f"metadata.name={name}",
    }
    while True:
        listed = await client.list(kind, **chosen)
        now = listed.items[0] if listed.items else None
        if wanted.holds(now):
            return now
        try:
            async with client.watch(kind, **chosen, resource_version=listed.metadata.resource_version) as stream:
                async for event in stream:
                    if event.type is EventType.BOOKMARK:
                        continue
                    now = None if event.type is EventType.DELETED else event.object
                    if wanted.holds(now):
                        return now
        except Expired:
            continue  # The stream fell behind: look again.
