"""What the server itself admits of priorities: Pods get that of their class, and there is one default class at most.

Source: the admission plugin Priority, and the storage of PriorityClasses, which keeps the system's.
"""

from __future__ import annotations

from orchestra.api.object import ResourceInfo
from orchestra.api.scheduling import PriorityClass
from orchestra.apiserver import refusals
from orchestra.apiserver.core import Core
from orchestra.apiserver.defaults.admission import SYSTEM_PRIORITIES, Priority, default_priority
from orchestra.apiserver.interface import Document
from orchestra.apiserver.writes import Target

_CLASS = "PriorityClass.scheduling.k8s.io"


class Priorities:
    """Looks PriorityClasses up in the server's cache, and in the store when it is not there yet."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._info = core.scheme.info("scheduling.k8s.io/v1", "PriorityClass")

    async def admit(self, target: Target, document: Document, old: Document | None) -> Document:
        """Return a Pod with the priority of its class; raises Forbidden for a class that does not exist, a number that
        is not its class's, and a second default class.
        """
        kind = target.info.group_kind
        if kind == "Pod" and old is None:
            return await self._of_pod(document)
        if kind == _CLASS and document.get("globalDefault"):
            default = self._default()
            if default is not None and default.name != target.name:
                why = f"PriorityClass {default.name} is already marked as default. Only one default can exist"
                raise refusals.forbidden(target.info, target.name, why)
        return document

    async def settle(self, info: ResourceInfo) -> None:
        """After a write of a class, wait until the Pods that are created next are given it."""
        if info.group_kind == _CLASS:
            await self._core.feed.catch_up()

    async def _of_pod(self, document: Document) -> Document:
        name = (document.get("spec") or {}).get("priorityClassName")
        if not name:
            return default_priority(document, {}, self._default() or Priority(value=0))
        found = SYSTEM_PRIORITIES.get(name) or await self._named(name)
        return default_priority(document, {} if found is None else {name: found})

    async def _named(self, name: str) -> Priority | None:
        record = self._core.feed.cache(self._info).get("", name) or await self._core.feed.current(self._info, "", name)
        return None if record is None else _priority_of(record.object)

    def _default(self) -> Priority | None:
        """Return the default class; the one of the lowest value where two were made at one moment."""
        objects = (record.object for record in self._core.feed.cache(self._info).records())
        defaults = [_priority_of(o) for o in objects if isinstance(o, PriorityClass) and o.global_default]
        return min(defaults, key=lambda priority: (priority.value, priority.name), default=None)


def _priority_of(found: object) -> Priority:
    assert isinstance(found, PriorityClass)
    policy = found.preemption_policy or "PreemptLowerPriority"
    return Priority(value=found.value, preemption_policy=policy, name=found.metadata.name)
