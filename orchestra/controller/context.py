"""What a reconciler is handed: see `Context` in `interface.py`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, TypeVar

import attrs

from orchestra._log import Logger
from orchestra.api.object import Object
from orchestra.api.rules.owners import owner_reference
from orchestra.clock import Clock
from orchestra.controller.interface import Events, Key, Lister, Result
from orchestra.controller.tracked_client import TrackedClient
from orchestra.errors import ConfigurationError

O = TypeVar("O", bound=Object)  # noqa: E741 - the type of an object


class DeclaredListers:
    """The caches of the kinds that a controller declared; only those are known to be ready."""

    __slots__ = ("_controller", "_listers")

    def __init__(self, controller: str, listers: Mapping[type[Object], Lister[Any]]) -> None:
        self._controller = controller
        self._listers = listers

    def lister(self, kind: type[O]) -> Lister[O]:
        """Return the cache of a kind; raises ConfigurationError for one that was not declared."""
        found = self._listers.get(kind)
        if found is None:
            name = kind.resource_info.kind
            raise ConfigurationError(
                f"controller {self._controller} does not declare that it reads {name}: see `reads`"
            )
        return found


@attrs.define(eq=False, repr=False)
class ReconcileContext:
    """The context of one reconcile."""

    key: Key
    object: Object | None
    client: TrackedClient
    listers: DeclaredListers
    clock: Clock
    events: Events
    controller_log: Logger

    @property
    def log(self) -> Logger:
        """Logger bound to the controller and the object."""
        return self.controller_log.bind(object=str(self.key))

    def lister(self, kind: type[O]) -> Lister[O]:
        """Return the cache of a kind that the controller declared."""
        return self.listers.lister(kind)

    def requeue(self, *, after: float | timedelta) -> Result:
        """Return the result that asks for this key again after so many seconds."""
        seconds = after.total_seconds() if isinstance(after, timedelta) else after
        return Result(requeue_after_seconds=seconds)

    async def apply(self, child: O) -> O:
        """Server-side apply `child` as this controller, owned by the object that is being reconciled.

        Raises ConfigurationError when that object is gone: nothing could own the child.
        """
        if self.object is None:
            raise ConfigurationError(f"{self.key} is gone: it cannot own {child!r}")
        mine = owner_reference(self.object)
        meta = child.metadata
        if all(owner.uid != mine.uid for owner in meta.owner_references):
            meta = attrs.evolve(meta, owner_references=(*meta.owner_references, mine))
        if child.resource_info.namespaced and not meta.namespace:
            meta = attrs.evolve(meta, namespace=self.key.namespace)
        return await self.client.apply(attrs.evolve(child, metadata=meta), force=True)  # type: ignore[no-any-return]
