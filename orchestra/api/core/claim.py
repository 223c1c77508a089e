"""What a claim to a volume asks for."""

from __future__ import annotations

from attrs import frozen

from orchestra.api.core.reference import TypedLocalObjectReference, TypedObjectReference
from orchestra.api.core.resources import VolumeResourceRequirements
from orchestra.api.meta import LabelSelector
from orchestra.api.object import Struct, declared, freeze_fields, omit_empty


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class PersistentVolumeClaimSpec(Struct):
    """What volume somebody wants."""

    access_modes: tuple[str, ...] = declared((), go="v1.PersistentVolumeAccessMode")
    selector: LabelSelector | None = None
    resources: VolumeResourceRequirements = VolumeResourceRequirements()
    volume_name: str = omit_empty()
    storage_class_name: str | None = None
    volume_mode: str | None = declared(go="v1.PersistentVolumeMode")
    data_source: TypedLocalObjectReference | None = None
    data_source_ref: TypedObjectReference | None = None
    volume_attributes_class_name: str | None = None
