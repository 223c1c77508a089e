"""Which events can help a refused Pod: what the plugins that refused it asked for. Pure.

A plugin whose hint raises is taken to say yes: the Pod is tried once too often, and not once too seldom.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from orchestra.errors import PluginError
from orchestra.scheduler.events import Action, ClusterEvent, EventHint, Resource
from orchestra.scheduler.podinfo import PodInfo
from orchestra.scheduler.profile import Profile
from orchestra.scheduler.queued import GATED, UNSCHEDULABLE, QueuedPod

MAX_KINDS_OF_EVENTS: Final = 1_000
"""Kinds of events, resource and action, of which it is remembered whether anybody asked for them."""


_ANY: Final = (EventHint.any(),)


class EventMemory:
    """The latest events, by position; what is forgotten can be told from what never was."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._events: list[ClusterEvent] = []
        self._start = 0

    @property
    def position(self) -> int:
        """Where the next event will stand."""
        return self._start + len(self._events)

    def add(self, event: ClusterEvent) -> None:
        """Remember an event; beyond the limit all are forgotten."""
        self._events.append(event)
        if len(self._events) > self._limit:
            self.clear()

    def clear(self) -> None:
        """Forget all."""
        self._start += len(self._events)
        self._events.clear()

    def since(self, position: int) -> list[ClusterEvent] | None:
        """Return the events from a position on; None when some of them are forgotten."""
        return None if position < self._start else self._events[position - self._start :]


class Hints:
    """The hints of all plugins of the profiles that it knows."""

    def __init__(self) -> None:
        self._of: dict[str, dict[str, tuple[EventHint, ...]]] = {}
        self._sets: dict[tuple[str, frozenset[str]], tuple[EventHint, ...]] = {}
        self._wanted: dict[tuple[object, int], bool] = {}
        self._anything = False
        self._owners: dict[int, str] = {}
        self._complained: set[str] = set()
        self._complaints: list[PluginError] = []

    def know(self, profile: Profile) -> None:
        """Take in a profile, when Pods of it wait for the first time."""
        if profile.name not in self._of:
            self._of[profile.name] = {plugin.name: self._events_of(plugin) for plugin in profile.plugins}
            self._wanted.clear()

    def _events_of(self, plugin: Any) -> tuple[EventHint, ...]:
        try:
            found: tuple[EventHint, ...] = tuple(plugin.events())
            if not all(isinstance(hint, EventHint) for hint in found):
                raise TypeError("not every answer is an EventHint")
        except Exception as error:  # noqa: BLE001 - as if it had said nothing: any event may help
            self._complain(plugin.name, error)
            return _ANY
        self._owners.update({id(hint): plugin.name for hint in found})
        return found

    def take_complaints(self) -> list[PluginError]:
        """Return the plugins whose hints have failed since the last call, each once."""
        found, self._complaints = self._complaints, []
        return found

    def _complain(self, plugin: str, error: Exception) -> None:
        if plugin not in self._complained:
            self._complained.add(plugin)
            self._complaints.append(PluginError(f"plugin {plugin} failed in Events: {error!r}", plugin=plugin))

    def of(self, profile: str, plugins: frozenset[str]) -> tuple[EventHint, ...]:
        """Return what these plugins of a profile asked for; a Pod that none of them refused waits for anything."""
        if not plugins:
            self._anything = True
            return _ANY
        known = self._sets.get((profile, plugins))
        if known is None:
            by_plugin = self._of[profile]
            known = tuple(hint for name, hints in by_plugin.items() if name in plugins for hint in hints)
            self._sets[profile, plugins] = known
        return known

    def wanted(self, event: ClusterEvent) -> bool:
        """Say whether any plugin asked for events of this kind."""
        if self._anything:
            return True
        key = (event.resource, event.action.value)
        known = self._wanted.get(key)
        if known is None:
            if len(self._wanted) >= MAX_KINDS_OF_EVENTS:
                self._wanted.clear()
            every = (hint for plugins in self._of.values() for hints in plugins.values() for hint in hints)
            known = self._wanted[key] = any(hint.concerns(event) for hint in every)
        return known

    def about(self, profile: str, plugins: frozenset[str], event: ClusterEvent) -> list[EventHint]:
        """Return the hints that are about events of this kind."""
        return [hint for hint in self.of(profile, plugins) if hint.concerns(event)]

    def match(self, hints: Iterable[EventHint], pod: PodInfo, event: ClusterEvent) -> bool:
        """Say whether one of the hints takes the event for helpful to a Pod."""
        for hint in hints:
            if hint.helps is None:
                return True
            try:
                if hint.helps(pod, event):
                    return True
            except Exception as error:  # noqa: BLE001 - told once, and the Pod is tried
                self._complain(self._owners.get(id(hint), ""), error)
                return True
        return False

    def help(self, profile: str, plugins: frozenset[str], pod: PodInfo, event: ClusterEvent) -> bool:
        """Say whether an event may help a Pod that these plugins refused."""
        return self.match(self.about(profile, plugins, event), pod, event)

    def changed(self, pod: QueuedPod, newest: PodInfo) -> bool:
        """Say whether the newest state of a Pod that waits can make a difference to what is said of it.

        Annotations are nothing to the plugins that are built in; those that asked for any event may read them.
        """
        known = pod.info
        if known.pod.spec is not newest.pod.spec or known.labels != newest.labels:
            reshaped = known.core_shape != newest.core_shape or known.priority != newest.priority
            if reshaped or pod.pool == GATED:
                return True
        if known.pod.metadata.annotations == newest.pod.metadata.annotations:
            return False
        event = ClusterEvent(Resource.UNSCHEDULED_POD, Action.UPDATE_OTHER, known.pod, newest.pod)
        return pod.pool in (GATED, UNSCHEDULABLE) and self.help(pod.profile.name, pod.refused_by, newest, event)
