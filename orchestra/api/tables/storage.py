"""Rows of volumes, claims and classes of volumes."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from orchestra.api.core.persistentvolume import PersistentVolume, PersistentVolumeClaim
from orchestra.api.storage import StorageClass
from orchestra.api.tables.durations import human_age
from orchestra.api.tables.model import UNSET, Cell, Printer, columns

_MODES: Final = {
    "ReadWriteOnce": "RWO",
    "ReadOnlyMany": "ROX",
    "ReadWriteMany": "RWX",
    "ReadWriteOncePod": "RWOP",
}
_DEFAULT: Final = "storageclass.kubernetes.io/is-default-class"


def _modes(given: Iterable[str]) -> str:
    found = set(given)
    return ",".join(short for mode, short in _MODES.items() if mode in found)


def claim_cells(obj: PersistentVolumeClaim, now: datetime) -> tuple[Cell, ...]:
    """Return a claim's row."""
    spec, status, meta = obj.spec, obj.status, obj.metadata
    bound = bool(spec.volume_name)
    return (
        meta.name,
        "Terminating" if meta.deletion_timestamp is not None else status.phase,
        spec.volume_name,
        str(status.capacity.get("storage", "0")) if bound else "",
        _modes(status.access_modes) if bound else "",
        spec.storage_class_name or meta.annotations.get("volume.beta.kubernetes.io/storage-class", ""),
        spec.volume_attributes_class_name or UNSET,
        human_age(meta.creation_timestamp, now),
        spec.volume_mode or UNSET,
    )


def volume_cells(obj: PersistentVolume, now: datetime) -> tuple[Cell, ...]:
    """Return a volume's row."""
    spec, meta, claim = obj.spec, obj.metadata, obj.spec.claim_ref
    return (
        meta.name,
        str(spec.capacity.get("storage", "0")),
        _modes(spec.access_modes),
        spec.persistent_volume_reclaim_policy,
        "Terminating" if meta.deletion_timestamp is not None else obj.status.phase,
        "" if claim is None else f"{claim.namespace}/{claim.name}",
        spec.storage_class_name or meta.annotations.get("volume.beta.kubernetes.io/storage-class", ""),
        spec.volume_attributes_class_name or UNSET,
        obj.status.reason,
        human_age(meta.creation_timestamp, now),
        spec.volume_mode or UNSET,
    )


def storage_class_cells(obj: StorageClass, now: datetime) -> tuple[Cell, ...]:
    """Return a class's row."""
    default = obj.metadata.annotations.get(_DEFAULT) == "true"
    return (
        f"{obj.metadata.name} (default)" if default else obj.metadata.name,
        obj.provisioner,
        obj.reclaim_policy or "Delete",
        obj.volume_binding_mode or "Immediate",
        "true" if obj.allow_volume_expansion else "false",
        human_age(obj.metadata.creation_timestamp, now),
    )


PERSISTENT_VOLUME_CLAIM = Printer(
    columns("Name|Status|Volume|Capacity|Access Modes|StorageClass|VolumeAttributesClass|Age|*VolumeMode"), claim_cells
)
PERSISTENT_VOLUME = Printer(
    columns(
        "Name|Capacity|Access Modes|Reclaim Policy|Status|Claim|StorageClass|VolumeAttributesClass|Reason|Age|"
        "*VolumeMode"
    ),
    volume_cells,
)
STORAGE_CLASS = Printer(
    columns("Name|Provisioner|ReclaimPolicy|VolumeBindingMode|AllowVolumeExpansion|Age"), storage_class_cells
)
