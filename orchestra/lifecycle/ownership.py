"""What the garbage collector does with one object: pure, after kube-controller-manager's `garbagecollector`.

An owner is *solid* when it exists and stays, *absent* when nothing with its uid is where the reference says, and
*waiting* when it is being deleted in the foreground, that is, waits for its dependents to go. An object

- with a solid owner stays; references to owners that are absent or waiting are taken off;
- with none, of whose owners one waits, and with dependents of its own, is deleted in the foreground too;
- with no owner left otherwise is deleted in the background, or as its own finalizers say.

An object that is being deleted in the foreground goes when no dependent blocks it any more; one that is being orphaned
first has the references to it taken off.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum, auto
from typing import Literal

import attrs

from orchestra.api.object import Object, OwnerReference

FOREGROUND = "foregroundDeletion"
ORPHAN = "orphan"

Policy = Literal["Background", "Foreground", "Orphan"]


class OwnerState(Enum):
    """How an owner stands."""

    SOLID = auto()
    ABSENT = auto()
    WAITING = auto()


@attrs.frozen
class Keep:
    """Nothing is to be done."""


@attrs.frozen
class SetOwners:
    """Leave only these references on the object."""

    owners: tuple[OwnerReference, ...]


@attrs.frozen
class DropFinalizer:
    """Take this finalizer off the object."""

    finalizer: str


@attrs.frozen
class Remove:
    """Delete the object; `unblock` first breaks a circle in which its owners wait for it and it for them."""

    policy: Policy
    unblock: bool = False


@attrs.frozen
class LookAt:
    """Look at these dependents, which hold the object, first."""

    dependents: tuple[Object, ...]


@attrs.frozen
class Disown:
    """Take the reference to the object off its dependents, then the finalizer `orphan` off the object."""


Action = Keep | SetOwners | DropFinalizer | Remove | LookAt | Disown


def is_leaving(obj: Object) -> bool:
    """Say whether somebody has deleted an object."""
    return obj.metadata.deletion_timestamp is not None


def waits_for_dependents(obj: Object) -> bool:
    """Say whether an object is being deleted in the foreground."""
    return is_leaving(obj) and FOREGROUND in obj.metadata.finalizers


def is_orphaning(obj: Object) -> bool:
    """Say whether an object is being deleted and its dependents are to stay."""
    return is_leaving(obj) and ORPHAN in obj.metadata.finalizers


def reference_to(obj: Object, owner_uid: str) -> OwnerReference | None:
    """Return the reference of `obj` to the owner of that uid."""
    return next((owner for owner in obj.metadata.owner_references if owner.uid == owner_uid), None)


def blocks(dependent: Object, owner_uid: str) -> bool:
    """Say whether an owner's deletion in the foreground waits for this dependent."""
    reference = reference_to(dependent, owner_uid)
    return reference is not None and bool(reference.block_owner_deletion)


def decide(obj: Object, states: Iterable[OwnerState], dependents: tuple[Object, ...]) -> Action:
    """Say what to do with `obj`, whose owners, in order, stand as `states` says."""
    if is_orphaning(obj):
        return Disown()
    if waits_for_dependents(obj):
        holding = tuple(dependent for dependent in dependents if blocks(dependent, obj.metadata.uid))
        if not holding:
            return DropFinalizer(FOREGROUND)
        return LookAt(tuple(dependent for dependent in holding if not waits_for_dependents(dependent)))
    if is_leaving(obj) or not obj.metadata.owner_references:
        return Keep()
    standing = tuple(zip(obj.metadata.owner_references, states, strict=True))
    solid = tuple(owner for owner, state in standing if state is OwnerState.SOLID)
    if solid:
        return Keep() if len(solid) == len(standing) else SetOwners(solid)
    waiting = any(state is OwnerState.WAITING for _, state in standing)
    if waiting and dependents:
        circle = any(waits_for_dependents(dependent) for dependent in dependents)
        return Remove("Foreground", unblock=circle)
    return Remove(_own_policy(obj))


def _own_policy(obj: Object) -> Policy:
    if ORPHAN in obj.metadata.finalizers:
        return "Orphan"
    return "Foreground" if FOREGROUND in obj.metadata.finalizers else "Background"
