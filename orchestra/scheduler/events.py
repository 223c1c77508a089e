"""What happened in the cluster, and whom it may help: the vocabulary of queueing hints.

A Pod that was refused is tried again only after an event that one of the plugins which refused it asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Flag, StrEnum, auto
from typing import Any

import attrs


class Resource(StrEnum):
    """The kind of object that an event is about."""

    NODE = "Node"
    ASSIGNED_POD = "AssignedPod"
    UNSCHEDULED_POD = "UnscheduledPod"
    NAMESPACE = "Namespace"
    POD_GROUP = "PodGroup"
    ANY = "*"


class Action(Flag):
    """What happened to it."""

    ADD = auto()
    DELETE = auto()
    UPDATE_ALLOCATABLE = auto()
    UPDATE_LABEL = auto()
    UPDATE_TAINT = auto()
    UPDATE_CONDITION = auto()
    UPDATE_SCALE_DOWN = auto()
    """A Pod asks for less than before."""
    UPDATE_TOLERATION = auto()
    UPDATE_GATES = auto()
    UPDATE_OTHER = auto()
    UPDATE = (
        UPDATE_ALLOCATABLE
        | UPDATE_LABEL
        | UPDATE_TAINT
        | UPDATE_CONDITION
        | UPDATE_SCALE_DOWN
        | UPDATE_TOLERATION
        | UPDATE_GATES
        | UPDATE_OTHER
    )
    ALL = ADD | DELETE | UPDATE


@attrs.frozen
class ClusterEvent:
    """One change, with the object's state before and after (None where there is none)."""

    resource: Resource
    action: Action
    old: Any = attrs.field(default=None, eq=False)
    new: Any = attrs.field(default=None, eq=False)


Helps = Callable[[Any, ClusterEvent], bool]
"""Says whether an event may help a Pod: called with the refused Pod's `PodInfo` and the event."""


@attrs.frozen
class EventHint:
    """Events of a kind that may help; `helps` looks closer and is only asked when kind and action fit."""

    resource: Resource
    action: Action
    helps: Helps | None = attrs.field(default=None, eq=False)

    @staticmethod
    def any() -> EventHint:
        """Return the hint of a plugin that cannot say more."""
        return EventHint(Resource.ANY, Action.ALL)

    def concerns(self, event: ClusterEvent) -> bool:
        """Say whether `event` is of the kind that this hint is about."""
        return (self.resource is Resource.ANY or self.resource is event.resource) and bool(self.action & event.action)

    def matches(self, pod: Any, event: ClusterEvent) -> bool:
        """Say whether `event` may help `pod`."""
        return self.concerns(event) and (self.helps is None or self.helps(pod, event))
