"""Sorts of volumes: storage.k8s.io/v1."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

from orchestra.api import builtin
from orchestra.api.core.topology import TopologySelectorTerm
from orchestra.api.frozen import ABSENT_MAP
from orchestra.api.object import Object, declared, freeze_fields, resource


@resource(builtin.STORAGE_CLASS)
@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class StorageClass(Object):
    """A sort of volume, and who makes those."""

    provisioner: str = ""
    parameters: Mapping[str, str] = ABSENT_MAP
    reclaim_policy: str | None = declared(go="v1.PersistentVolumeReclaimPolicy")
    mount_options: tuple[str, ...] = ()
    allow_volume_expansion: bool | None = None
    volume_binding_mode: str | None = declared(go="v1.VolumeBindingMode")
    allowed_topologies: tuple[TopologySelectorTerm, ...] = ()
