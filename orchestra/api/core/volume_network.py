"""Volume sources that need a storage system: they decode and are kept, a node's volume driver acts on them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from attrs import frozen

from orchestra.api.frozen import ABSENT_MAP
from orchestra.api.object import Struct, declared, freeze_fields, int32, omit_empty

if TYPE_CHECKING:
    from orchestra.api.core.reference import LocalObjectReference


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class GCEPersistentDiskVolumeSource(Struct):
    """A disk of Google Compute Engine."""

    pd_name: str = ""
    fs_type: str = omit_empty()
    partition: int = omit_empty(0, int32=True)
    read_only: bool = omit_empty(False)


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class AWSElasticBlockStoreVolumeSource(Struct):
    """A disk of Amazon's Elastic Block Store."""

    volume_id: str = ""
    fs_type: str = omit_empty()
    partition: int = omit_empty(0, int32=True)
    read_only: bool = omit_empty(False)


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class GitRepoVolumeSource(Struct):
    """A git repository, cloned (deprecated, and refused by nodes)."""

    repository: str = ""
    revision: str = omit_empty()
    directory: str = omit_empty()


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class NFSVolumeSource(Struct):
    """A directory of an NFS server."""

    server: str = ""
    path: str = ""
    read_only: bool = omit_empty(False)


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class ISCSIVolumeSource(Struct):
    """An iSCSI disk."""

    target_portal: str = ""
    iqn: str = ""
    lun: int = int32(0)
    iscsi_interface: str = omit_empty()
    fs_type: str = omit_empty()
    read_only: bool = omit_empty(False)
    portals: tuple[str, ...] = ()
    chap_auth_discovery: bool = omit_empty(False)
    chap_auth_session: bool = omit_empty(False)
    secret_ref: LocalObjectReference | None = None
    initiator_name: str | None = None


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class GlusterfsVolumeSource(Struct):
    """A Glusterfs volume."""

    endpoints: str = ""
    path: str = ""
    read_only: bool = omit_empty(False)


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class RBDVolumeSource(Struct):
    """A RADOS block device."""

    monitors: tuple[str, ...] = declared((), required=True)
    image: str = ""
    fs_type: str = omit_empty()
    pool: str = omit_empty()
    user: str = omit_empty()
    keyring: str = omit_empty()
    secret_ref: LocalObjectReference | None = None
    read_only: bool = omit_empty(False)


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class FlexVolumeSource(Struct):
    """A volume of an exec-based plugin."""

    driver: str = ""
    fs_type: str = omit_empty()
    secret_ref: LocalObjectReference | None = None
    read_only: bool = omit_empty(False)
    options: Mapping[str, str] = ABSENT_MAP


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class CinderVolumeSource(Struct):
    """A disk of OpenStack Cinder."""

    volume_id: str = ""
    fs_type: str = omit_empty()
    read_only: bool = omit_empty(False)
    secret_ref: LocalObjectReference | None = None


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class CephFSVolumeSource(Struct):
    """A directory of a Ceph file system."""

    monitors: tuple[str, ...] = declared((), required=True)
    path: str = omit_empty()
    user: str = omit_empty()
    secret_file: str = omit_empty()
    secret_ref: LocalObjectReference | None = None
    read_only: bool = omit_empty(False)


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class FlockerVolumeSource(Struct):
    """A Flocker dataset."""

    dataset_name: str = omit_empty()
    dataset_uuid: str = omit_empty()


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class FCVolumeSource(Struct):
    """A Fibre Channel disk."""

    target_wwns: tuple[str, ...] = ()
    lun: int | None = int32()
    fs_type: str = omit_empty()
    read_only: bool = omit_empty(False)
    wwids: tuple[str, ...] = ()


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class AzureFileVolumeSource(Struct):
    """A share of Azure Files."""

    secret_name: str = ""
    share_name: str = ""
    read_only: bool = omit_empty(False)


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class VsphereVirtualDiskVolumeSource(Struct):
    """A vSphere virtual disk."""

    volume_path: str = ""
    fs_type: str = omit_empty()
    storage_policy_name: str = omit_empty()
    storage_policy_id: str = omit_empty()


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class QuobyteVolumeSource(Struct):
    """A Quobyte volume."""

    registry: str = ""
    volume: str = ""
    read_only: bool = omit_empty(False)
    user: str = omit_empty()
    group: str = omit_empty()
    tenant: str = omit_empty()


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class AzureDiskVolumeSource(Struct):
    """A disk of Azure."""

    disk_name: str = ""
    disk_uri: str = ""
    caching_mode: str | None = declared(go="v1.AzureDataDiskCachingMode")
    fs_type: str | None = None
    read_only: bool | None = None
    kind: str | None = declared(go="v1.AzureDataDiskKind")


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class PhotonPersistentDiskVolumeSource(Struct):
    """A disk of the Photon controller."""

    pd_id: str = ""
    fs_type: str = omit_empty()


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class PortworxVolumeSource(Struct):
    """A Portworx volume."""

    volume_id: str = ""
    fs_type: str = omit_empty()
    read_only: bool = omit_empty(False)


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class ScaleIOVolumeSource(Struct):
    """A ScaleIO volume."""

    gateway: str = ""
    system: str = ""
    secret_ref: LocalObjectReference | None = declared(required=True)
    ssl_enabled: bool = omit_empty(False)
    protection_domain: str = omit_empty()
    storage_pool: str = omit_empty()
    storage_mode: str = omit_empty()
    volume_name: str = omit_empty()
    fs_type: str = omit_empty()
    read_only: bool = omit_empty(False)


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class StorageOSVolumeSource(Struct):
    """A StorageOS volume."""

    volume_name: str = omit_empty()
    volume_namespace: str = omit_empty()
    fs_type: str = omit_empty()
    read_only: bool = omit_empty(False)
    secret_ref: LocalObjectReference | None = None
