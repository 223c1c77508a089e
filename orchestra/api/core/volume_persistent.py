"""Sources of volumes that only a PersistentVolume can have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from attrs import frozen

from orchestra.api.core.reference import ObjectReference
from orchestra.api.frozen import ABSENT_MAP
from orchestra.api.object import Struct, declared, freeze_fields, int32, omit_empty


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class SecretReference(Struct):
    """A Secret in any namespace."""

    atomic: ClassVar[bool] = True

    name: str = omit_empty()
    namespace: str = omit_empty()


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class GlusterfsPersistentVolumeSource(Struct):
    """A volume of Glusterfs."""

    endpoints: str = ""
    path: str = ""
    read_only: bool = omit_empty(False)
    endpoints_namespace: str | None = None


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class RBDPersistentVolumeSource(Struct):
    """A block device of Ceph."""

    monitors: tuple[str, ...] = declared((), required=True)
    image: str = ""
    fs_type: str = omit_empty()
    pool: str = omit_empty()
    user: str = omit_empty()
    keyring: str = omit_empty()
    secret_ref: SecretReference | None = None
    read_only: bool = omit_empty(False)


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class CinderPersistentVolumeSource(Struct):
    """A volume of OpenStack."""

    volume_id: str = ""
    fs_type: str = omit_empty()
    read_only: bool = omit_empty(False)
    secret_ref: SecretReference | None = None


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class CephFSPersistentVolumeSource(Struct):
    """A file system of Ceph."""

    monitors: tuple[str, ...] = declared((), required=True)
    path: str = omit_empty()
    user: str = omit_empty()
    secret_file: str = omit_empty()
    secret_ref: SecretReference | None = None
    read_only: bool = omit_empty(False)


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class FlexPersistentVolumeSource(Struct):
    """A volume of a driver that is a program on the node."""

    driver: str = ""
    fs_type: str = omit_empty()
    secret_ref: SecretReference | None = None
    read_only: bool = omit_empty(False)
    options: Mapping[str, str] = ABSENT_MAP


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class ISCSIPersistentVolumeSource(Struct):
    """A disk behind iSCSI."""

    target_portal: str = ""
    iqn: str = ""
    lun: int = int32(0)
    iscsi_interface: str = omit_empty()
    fs_type: str = omit_empty()
    read_only: bool = omit_empty(False)
    portals: tuple[str, ...] = ()
    chap_auth_discovery: bool = omit_empty(False)
    chap_auth_session: bool = omit_empty(False)
    secret_ref: SecretReference | None = None
    initiator_name: str | None = None


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class AzureFilePersistentVolumeSource(Struct):
    """A file share of Azure."""

    secret_name: str = ""
    share_name: str = ""
    read_only: bool = omit_empty(False)
    secret_namespace: str | None = None


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class ScaleIOPersistentVolumeSource(Struct):
    """A volume of ScaleIO."""

    gateway: str = ""
    system: str = ""
    secret_ref: SecretReference | None = declared(required=True)
    ssl_enabled: bool = omit_empty(False)
    protection_domain: str = omit_empty()
    storage_pool: str = omit_empty()
    storage_mode: str = omit_empty()
    volume_name: str = omit_empty()
    fs_type: str = omit_empty()
    read_only: bool = omit_empty(False)


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class StorageOSPersistentVolumeSource(Struct):
    """A volume of StorageOS."""

    volume_name: str = omit_empty()
    volume_namespace: str = omit_empty()
    fs_type: str = omit_empty()
    read_only: bool = omit_empty(False)
    secret_ref: ObjectReference | None = None


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class CSIPersistentVolumeSource(Struct):
    """A volume of a CSI driver."""

    driver: str = ""
    volume_handle: str = ""
    read_only: bool = omit_empty(False)
    fs_type: str = omit_empty()
    volume_attributes: Mapping[str, str] = ABSENT_MAP
    controller_publish_secret_ref: SecretReference | None = None
    node_stage_secret_ref: SecretReference | None = None
    node_publish_secret_ref: SecretReference | None = None
    controller_expand_secret_ref: SecretReference | None = None
    node_expand_secret_ref: SecretReference | None = None


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class LocalVolumeSource(Struct):
    """A disk or directory of one node."""

    path: str = ""
    fs_type: str | None = None
