"""Volumes that outlive Pods, and claims to them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from attrs import frozen

from orchestra.api import builtin
from orchestra.api.core.claim import PersistentVolumeClaimSpec
from orchestra.api.frozen import ABSENT_MAP
from orchestra.api.object import Object, Struct, declared, freeze_fields, list_map, omit_empty, resource
from orchestra.api.quantity import Quantity

if TYPE_CHECKING:
    from orchestra.api.core.affinity import NodeSelector
    from orchestra.api.core.reference import ObjectReference
    from orchestra.api.core.volume import HostPathVolumeSource
    from orchestra.api.core.volume_network import (
        AWSElasticBlockStoreVolumeSource,
        AzureDiskVolumeSource,
        FCVolumeSource,
        FlockerVolumeSource,
        GCEPersistentDiskVolumeSource,
        NFSVolumeSource,
        PhotonPersistentDiskVolumeSource,
        PortworxVolumeSource,
        QuobyteVolumeSource,
        VsphereVirtualDiskVolumeSource,
    )
    from orchestra.api.core.volume_persistent import (
        AzureFilePersistentVolumeSource,
        CephFSPersistentVolumeSource,
        CinderPersistentVolumeSource,
        CSIPersistentVolumeSource,
        FlexPersistentVolumeSource,
        GlusterfsPersistentVolumeSource,
        ISCSIPersistentVolumeSource,
        LocalVolumeSource,
        RBDPersistentVolumeSource,
        ScaleIOPersistentVolumeSource,
        StorageOSPersistentVolumeSource,
    )


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class PersistentVolumeClaimCondition(Struct):
    """One aspect of a claim's state."""

    type: str = declared("", go="v1.PersistentVolumeClaimConditionType")
    status: str = declared("", go="v1.ConditionStatus")
    last_probe_time: datetime | None = declared(nullable=True)
    last_transition_time: datetime | None = declared(nullable=True)
    reason: str = omit_empty()
    message: str = omit_empty()


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class ModifyVolumeStatus(Struct):
    """How far a change of a volume's attributes class is."""

    target_volume_attributes_class_name: str = omit_empty()
    status: str = declared("", go="v1.PersistentVolumeClaimModifyVolumeStatus")


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class PersistentVolumeClaimStatus(Struct):
    """The volume that a claim got."""

    phase: str = omit_empty(go="v1.PersistentVolumeClaimPhase")
    access_modes: tuple[str, ...] = declared((), go="v1.PersistentVolumeAccessMode")
    capacity: Mapping[str, Quantity] = ABSENT_MAP
    conditions: tuple[PersistentVolumeClaimCondition, ...] = list_map("type")
    allocated_resources: Mapping[str, Quantity] = ABSENT_MAP
    allocated_resource_statuses: Mapping[str, str] = ABSENT_MAP
    current_volume_attributes_class_name: str | None = None
    modify_volume_status: ModifyVolumeStatus | None = None


@resource(builtin.PERSISTENT_VOLUME_CLAIM)
@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class PersistentVolumeClaim(Object):
    """A wish for a volume."""

    spec: PersistentVolumeClaimSpec = PersistentVolumeClaimSpec()
    status: PersistentVolumeClaimStatus = PersistentVolumeClaimStatus()


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class VolumeNodeAffinity(Struct):
    """From which nodes a volume can be reached."""

    required: NodeSelector | None = None


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class PersistentVolumeSpec(Struct):
    """What a volume is, and what becomes of it when nobody claims it any more."""

    capacity: Mapping[str, Quantity] = ABSENT_MAP
    gce_persistent_disk: GCEPersistentDiskVolumeSource | None = None
    aws_elastic_block_store: AWSElasticBlockStoreVolumeSource | None = None
    host_path: HostPathVolumeSource | None = None
    glusterfs: GlusterfsPersistentVolumeSource | None = None
    nfs: NFSVolumeSource | None = None
    rbd: RBDPersistentVolumeSource | None = None
    iscsi: ISCSIPersistentVolumeSource | None = None
    cinder: CinderPersistentVolumeSource | None = None
    cephfs: CephFSPersistentVolumeSource | None = None
    fc: FCVolumeSource | None = None
    flocker: FlockerVolumeSource | None = None
    flex_volume: FlexPersistentVolumeSource | None = None
    azure_file: AzureFilePersistentVolumeSource | None = None
    vsphere_volume: VsphereVirtualDiskVolumeSource | None = None
    quobyte: QuobyteVolumeSource | None = None
    azure_disk: AzureDiskVolumeSource | None = None
    photon_persistent_disk: PhotonPersistentDiskVolumeSource | None = None
    portworx_volume: PortworxVolumeSource | None = None
    scale_io: ScaleIOPersistentVolumeSource | None = None
    local: LocalVolumeSource | None = None
    storageos: StorageOSPersistentVolumeSource | None = None
    csi: CSIPersistentVolumeSource | None = None
    access_modes: tuple[str, ...] = declared((), go="v1.PersistentVolumeAccessMode")
    claim_ref: ObjectReference | None = None
    persistent_volume_reclaim_policy: str = omit_empty(go="v1.PersistentVolumeReclaimPolicy")
    storage_class_name: str = omit_empty()
    mount_options: tuple[str, ...] = ()
    volume_mode: str | None = declared(go="v1.PersistentVolumeMode")
    node_affinity: VolumeNodeAffinity | None = None
    volume_attributes_class_name: str | None = None


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class PersistentVolumeStatus(Struct):
    """Whether a volume is available, bound, released or failed."""

    phase: str = omit_empty(go="v1.PersistentVolumePhase")
    message: str = omit_empty()
    reason: str = omit_empty()
    last_phase_transition_time: datetime | None = None


@resource(builtin.PERSISTENT_VOLUME)
@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class PersistentVolume(Object):
    """A volume that outlives Pods."""

    spec: PersistentVolumeSpec = PersistentVolumeSpec()
    status: PersistentVolumeStatus = PersistentVolumeStatus()
