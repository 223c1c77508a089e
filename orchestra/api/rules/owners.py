"""Who made an object: owner references (metav1.OwnerReference)."""

from __future__ import annotations

from orchestra.api.object import Object, OwnerReference


def controller_of(obj: Object) -> OwnerReference | None:
    """Return the reference to the one owner that controls an object, or None."""
    for reference in obj.metadata.owner_references:
        if reference.controller:
            return reference
    return None


def is_controlled_by(obj: Object, owner: Object) -> bool:
    """Say whether `owner`, this very object and not just one of its name, controls `obj`."""
    reference = controller_of(obj)
    return reference is not None and reference.uid == owner.metadata.uid


def owner_reference(owner: Object, *, controller: bool = True) -> OwnerReference:
    """Return the reference by which `owner` owns what it makes; its deletion in the foreground waits for those."""
    info = owner.resource_info
    return OwnerReference(
        api_version=info.api_version,
        kind=info.kind,
        name=owner.metadata.name,
        uid=owner.metadata.uid,
        controller=controller,
        block_owner_deletion=True,
    )
