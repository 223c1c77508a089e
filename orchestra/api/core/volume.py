"""Volumes of a Pod: directories that its containers share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from attrs import frozen

from orchestra.api.core.claim import PersistentVolumeClaimSpec
from orchestra.api.frozen import ABSENT_MAP
from orchestra.api.meta import LabelSelector
from orchestra.api.object import ObjectMeta, Struct, declared, freeze_fields, int32, omit_empty
from orchestra.api.quantity import Quantity

if TYPE_CHECKING:
    from orchestra.api.core.reference import (
        LocalObjectReference,
        ObjectFieldSelector,
        ResourceFieldSelector,
    )
    from orchestra.api.core.volume_network import (
        AWSElasticBlockStoreVolumeSource,
        AzureDiskVolumeSource,
        AzureFileVolumeSource,
        CephFSVolumeSource,
        CinderVolumeSource,
        FCVolumeSource,
        FlexVolumeSource,
        FlockerVolumeSource,
        GCEPersistentDiskVolumeSource,
        GitRepoVolumeSource,
        GlusterfsVolumeSource,
        ISCSIVolumeSource,
        NFSVolumeSource,
        PhotonPersistentDiskVolumeSource,
        PortworxVolumeSource,
        QuobyteVolumeSource,
        RBDVolumeSource,
        ScaleIOVolumeSource,
        StorageOSVolumeSource,
        VsphereVirtualDiskVolumeSource,
    )


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class KeyToPath(Struct):
    """Which file one key of a ConfigMap or Secret becomes."""

    key: str = ""
    path: str = ""
    mode: int | None = int32()


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class HostPathVolumeSource(Struct):
    """A file or directory of the host."""

    path: str = ""
    type: str | None = declared(go="v1.HostPathType")


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class EmptyDirVolumeSource(Struct):
    """A directory that begins empty and lives as long as the Pod on its node."""

    medium: str = omit_empty(go="v1.StorageMedium")
    size_limit: Quantity | None = None


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class SecretVolumeSource(Struct):
    """The keys of a Secret as files."""

    secret_name: str = omit_empty()
    items: tuple[KeyToPath, ...] = ()
    default_mode: int | None = int32()
    optional: bool | None = None


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class ConfigMapVolumeSource(Struct):
    """The keys of a ConfigMap as files."""

    name: str = omit_empty()
    items: tuple[KeyToPath, ...] = ()
    default_mode: int | None = int32()
    optional: bool | None = None


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class DownwardAPIVolumeFile(Struct):
    """A file with a field of the Pod, or with a resource of one of its containers."""

    path: str = ""
    field_ref: ObjectFieldSelector | None = None
    resource_field_ref: ResourceFieldSelector | None = None
    mode: int | None = int32()


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class DownwardAPIVolumeSource(Struct):
    """Files with fields of the Pod."""

    items: tuple[DownwardAPIVolumeFile, ...] = ()
    default_mode: int | None = int32()


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class PersistentVolumeClaimVolumeSource(Struct):
    """The volume bound to a PersistentVolumeClaim of the same namespace."""

    claim_name: str = ""
    read_only: bool = omit_empty(False)


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class SecretProjection(Struct):
    """Keys of a Secret as files of a projected volume."""

    name: str = omit_empty()
    items: tuple[KeyToPath, ...] = ()
    optional: bool | None = None


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class ConfigMapProjection(Struct):
    """Keys of a ConfigMap as files of a projected volume."""

    name: str = omit_empty()
    items: tuple[KeyToPath, ...] = ()
    optional: bool | None = None


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class DownwardAPIProjection(Struct):
    """Fields of the Pod as files of a projected volume."""

    items: tuple[DownwardAPIVolumeFile, ...] = ()


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class ServiceAccountTokenProjection(Struct):
    """A token of the Pod's service account, renewed before it expires."""

    audience: str = omit_empty()
    expiration_seconds: int | None = None
    path: str = ""


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class ClusterTrustBundleProjection(Struct):
    """Trust anchors as a file."""

    name: str | None = None
    signer_name: str | None = None
    label_selector: LabelSelector | None = None
    optional: bool | None = None
    path: str = ""


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class PodCertificateProjection(Struct):
    """A private key and a certificate for it, renewed before it expires."""

    signer_name: str = omit_empty()
    key_type: str = omit_empty()
    max_expiration_seconds: int | None = int32()
    credential_bundle_path: str = omit_empty()
    key_path: str = omit_empty()
    certificate_chain_path: str = omit_empty()
    user_annotations: Mapping[str, str] = ABSENT_MAP


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class VolumeProjection(Struct):
    """One source of a projected volume; exactly one field is set."""

    secret: SecretProjection | None = None
    downward_api: DownwardAPIProjection | None = None
    config_map: ConfigMapProjection | None = None
    service_account_token: ServiceAccountTokenProjection | None = None
    cluster_trust_bundle: ClusterTrustBundleProjection | None = None
    pod_certificate: PodCertificateProjection | None = None


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class ProjectedVolumeSource(Struct):
    """Several sources as one directory."""

    sources: tuple[VolumeProjection, ...] = declared((), required=True)
    default_mode: int | None = int32()


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class CSIVolumeSource(Struct):
    """A volume of a CSI driver that lives as long as the Pod."""

    driver: str = ""
    read_only: bool | None = None
    fs_type: str | None = None
    volume_attributes: Mapping[str, str] = ABSENT_MAP
    node_publish_secret_ref: LocalObjectReference | None = None


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class PersistentVolumeClaimTemplate(Struct):
    """The claim that is made for each Pod."""

    metadata: ObjectMeta = ObjectMeta()
    spec: PersistentVolumeClaimSpec = PersistentVolumeClaimSpec()


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class EphemeralVolumeSource(Struct):
    """A volume that is provisioned for the Pod and goes away with it."""

    volume_claim_template: PersistentVolumeClaimTemplate | None = None


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class ImageVolumeSource(Struct):
    """The contents of an OCI image as a read-only directory."""

    reference: str = omit_empty()
    pull_policy: str = omit_empty(go="v1.PullPolicy")


@frozen(kw_only=True, repr=False, eq=False, field_transformer=freeze_fields)
class Volume(Struct):
    """A named volume; exactly one of the other fields says what it holds, and none of them means an emptyDir."""

    name: str = ""
    host_path: HostPathVolumeSource | None = None
    empty_dir: EmptyDirVolumeSource | None = None
    gce_persistent_disk: GCEPersistentDiskVolumeSource | None = None
    aws_elastic_block_store: AWSElasticBlockStoreVolumeSource | None = None
    git_repo: GitRepoVolumeSource | None = None
    secret: SecretVolumeSource | None = None
    nfs: NFSVolumeSource | None = None
    iscsi: ISCSIVolumeSource | None = None
    glusterfs: GlusterfsVolumeSource | None = None
    persistent_volume_claim: PersistentVolumeClaimVolumeSource | None = None
    rbd: RBDVolumeSource | None = None
    flex_volume: FlexVolumeSource | None = None
    cinder: CinderVolumeSource | None = None
    cephfs: CephFSVolumeSource | None = None
    flocker: FlockerVolumeSource | None = None
    downward_api: DownwardAPIVolumeSource | None = None
    fc: FCVolumeSource | None = None
    azure_file: AzureFileVolumeSource | None = None
    config_map: ConfigMapVolumeSource | None = None
    vsphere_volume: VsphereVirtualDiskVolumeSource | None = None
    quobyte: QuobyteVolumeSource | None = None
    azure_disk: AzureDiskVolumeSource | None = None
    photon_persistent_disk: PhotonPersistentDiskVolumeSource | None = None
    projected: ProjectedVolumeSource | None = None
    portworx_volume: PortworxVolumeSource | None = None
    scale_io: ScaleIOVolumeSource | None = None
    storageos: StorageOSVolumeSource | None = None
    csi: CSIVolumeSource | None = None
    ephemeral: EphemeralVolumeSource | None = None
    image: ImageVolumeSource | None = None
