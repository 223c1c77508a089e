"""How Kubernetes shows values of its internal types in messages: JSON of Go structs, with Go's field names and zeros.

A few of its messages print such values: a Pod's change of what may not change prints the difference of two whole specs.
`SHAPES` holds the fields of each type in their order. A field is `Name code`: `s` text, `i` number, `b` bool,
`?` an optional scalar, `r` any JSON as it is, `q` a quantity, `{` a map, `[s` a list of scalars, `[T` a list of type
T, `*T` an optional struct, `=T` a struct. `Name:wire` gives the wire name where it does not follow from the name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import attrs

from orchestra.apiserver.validation.fields import ordered

_POD = """
PodSpec: Volumes [Volume, InitContainers [Container, Containers [Container, EphemeralContainers [EphemeralContainer,
 RestartPolicy s, TerminationGracePeriodSeconds ?, ActiveDeadlineSeconds ?, DNSPolicy s, NodeSelector {,
 ServiceAccountName s, AutomountServiceAccountToken ?, NodeName s, SecurityContext *PodSecurityContext,
 ImagePullSecrets [LocalObjectReference, Hostname s, Subdomain s, SetHostnameAsFQDN ?, Affinity *Affinity,
 SchedulerName s, Tolerations [Toleration, HostAliases [HostAlias, PriorityClassName s, Priority ?,
 PreemptionPolicy ?, DNSConfig *PodDNSConfig, ReadinessGates [PodReadinessGate, RuntimeClassName ?, Overhead {,
 EnableServiceLinks ?, TopologySpreadConstraints [TopologySpreadConstraint, OS *PodOS,
 SchedulingGates [PodSchedulingGate, ResourceClaims [PodResourceClaim, Resources *ResourceRequirements,
 HostnameOverride ?, SchedulingGroup *PodSchedulingGroup
PodSchedulingGroup: PodGroupName ?
PodSecurityContext: HostNetwork b, HostPID b, HostIPC b, ShareProcessNamespace ?, HostUsers ?,
 SELinuxOptions *SELinuxOptions, WindowsOptions *WindowsOptions, RunAsUser ?, RunAsGroup ?, RunAsNonRoot ?,
 SupplementalGroups [s, SupplementalGroupsPolicy ?, FSGroup ?, FSGroupChangePolicy ?, Sysctls [Sysctl,
 SeccompProfile *SeccompProfile, AppArmorProfile *AppArmorProfile, SELinuxChangePolicy ?
LocalObjectReference: Name s
PodOS: Name s
PodReadinessGate: ConditionType s
PodSchedulingGate: Name s
PodResourceClaim: Name s, ResourceClaimName ?, ResourceClaimTemplateName ?
HostAlias: IP s, Hostnames [s
PodDNSConfig: Nameservers [s, Searches [s, Options [PodDNSConfigOption
PodDNSConfigOption: Name s, Value ?
Sysctl: Name s, Value s
Toleration: Key s, Operator s, Value s, Effect s, TolerationSeconds ?
TopologySpreadConstraint: MaxSkew i, TopologyKey s, WhenUnsatisfiable s, LabelSelector r, MinDomains ?,
 NodeAffinityPolicy ?, NodeTaintsPolicy ?, MatchLabelKeys [s
Affinity: NodeAffinity *NodeAffinity, PodAffinity *PodAffinity, PodAntiAffinity *PodAffinity
NodeAffinity: RequiredDuringSchedulingIgnoredDuringExecution *NodeSelector,
 PreferredDuringSchedulingIgnoredDuringExecution [PreferredSchedulingTerm
NodeSelector: NodeSelectorTerms [NodeSelectorTerm
NodeSelectorTerm: MatchExpressions [NodeSelectorRequirement, MatchFields [NodeSelectorRequirement
NodeSelectorRequirement: Key s, Operator s, Values [s
PreferredSchedulingTerm: Weight i, Preference =NodeSelectorTerm
PodAffinity: RequiredDuringSchedulingIgnoredDuringExecution [PodAffinityTerm,
 PreferredDuringSchedulingIgnoredDuringExecution [WeightedPodAffinityTerm
PodAffinityTerm: LabelSelector r, Namespaces [s, TopologyKey s, NamespaceSelector r, MatchLabelKeys [s,
 MismatchLabelKeys [s
WeightedPodAffinityTerm: Weight i, PodAffinityTerm =PodAffinityTerm
"""

_CONTAINER = """
Container: Name s, Image s, Command [s, Args [s, WorkingDir s, Ports [ContainerPort, EnvFrom [EnvFromSource,
 Env [EnvVar, Resources =ResourceRequirements, ResizePolicy [ContainerResizePolicy, RestartPolicy ?,
 RestartPolicyRules [ContainerRestartRule, VolumeMounts [VolumeMount, VolumeDevices [VolumeDevice,
 LivenessProbe *Probe, ReadinessProbe *Probe, StartupProbe *Probe, Lifecycle *Lifecycle, TerminationMessagePath s,
 TerminationMessagePolicy s, ImagePullPolicy s, SecurityContext *SecurityContext, Stdin b, StdinOnce b, TTY b
EphemeralContainer: +Container, TargetContainerName s
ContainerPort: Name s, HostPort i, ContainerPort i, Protocol s, HostIP s
EnvFromSource: Prefix s, ConfigMapRef *OptionalReference, SecretRef *OptionalReference
OptionalReference: Name s, Optional ?
EnvVar: Name s, Value s, ValueFrom *EnvVarSource
EnvVarSource: FieldRef *ObjectFieldSelector, ResourceFieldRef *ResourceFieldSelector, ConfigMapKeyRef *KeySelector,
 SecretKeyRef *KeySelector, FileKeyRef *FileKeySelector
ObjectFieldSelector: APIVersion s, FieldPath s
ResourceFieldSelector: ContainerName s, Resource s, Divisor q
KeySelector: Name s, Key s, Optional ?
FileKeySelector: VolumeName s, Path s, Key s, Optional ?
ResourceRequirements: Limits {, Requests {, Claims [ResourceClaim
ResourceClaim: Name s, Request s
ContainerResizePolicy: ResourceName s, RestartPolicy s
ContainerRestartRule: Action s, ExitCodes *ExitCodes
ExitCodes: Operator s, Values [s
VolumeMount: Name s, ReadOnly b, RecursiveReadOnly ?, MountPath s, SubPath s, MountPropagation ?, SubPathExpr s
VolumeDevice: Name s, DevicePath s
Probe: Exec *ExecAction, HTTPGet *HTTPGetAction, TCPSocket *TCPSocketAction, GRPC *GRPCAction, InitialDelaySeconds i,
 TimeoutSeconds i, PeriodSeconds i, SuccessThreshold i, FailureThreshold i, TerminationGracePeriodSeconds ?
Lifecycle: PostStart *LifecycleHandler, PreStop *LifecycleHandler, StopSignal ?
LifecycleHandler: Exec *ExecAction, HTTPGet *HTTPGetAction, TCPSocket *TCPSocketAction, Sleep *SleepAction
ExecAction: Command [s
HTTPGetAction: Path s, Port i, Host s, Scheme s, HTTPHeaders [HTTPHeader
HTTPHeader: Name s, Value s
TCPSocketAction: Port i, Host s
GRPCAction: Port i, Service ?
SleepAction: Seconds i
SecurityContext: Capabilities *Capabilities, Privileged ?, SELinuxOptions *SELinuxOptions,
 WindowsOptions *WindowsOptions, RunAsUser ?, RunAsGroup ?, RunAsNonRoot ?, ReadOnlyRootFilesystem ?,
 AllowPrivilegeEscalation ?, ProcMount ?, SeccompProfile *SeccompProfile, AppArmorProfile *AppArmorProfile
Capabilities: Add [s, Drop [s
SELinuxOptions: User s, Role s, Type s, Level s
WindowsOptions: GMSACredentialSpecName ?, GMSACredentialSpec ?, RunAsUserName ?, HostProcess ?
SeccompProfile: Type s, LocalhostProfile ?
AppArmorProfile: Type s, LocalhostProfile ?
"""

_VOLUME = """
Volume: Name s, HostPath *HostPath, EmptyDir *EmptyDir, GCEPersistentDisk *GCEDisk, AWSElasticBlockStore *AWSDisk,
 GitRepo *GitRepo, Secret *SecretVolume, NFS *NFS, ISCSI *ISCSI, Glusterfs *Glusterfs,
 PersistentVolumeClaim *ClaimVolume, RBD *RBD, Quobyte *Quobyte, FlexVolume *Flex, Cinder *Cinder,
 CephFS:cephfs *CephFS, Flocker *Flocker, DownwardAPI *DownwardVolume, FC *FC, AzureFile *AzureFile,
 ConfigMap *ConfigMapVolume, VsphereVolume *Vsphere, AzureDisk *AzureDisk, PhotonPersistentDisk *Photon,
 Projected *Projected, PortworxVolume *Portworx, ScaleIO *ScaleIO, StorageOS:storageos *StorageOS, CSI *CSI,
 Ephemeral r, Image *ImageVolume
HostPath: Path s, Type ?
EmptyDir: Medium s, SizeLimit ?
GCEDisk: PDName s, FSType s, Partition i, ReadOnly b
AWSDisk: VolumeID s, FSType s, Partition i, ReadOnly b
GitRepo: Repository s, Revision s, Directory s
SecretVolume: SecretName s, Items [KeyToPath, DefaultMode ?, Optional ?
KeyToPath: Key s, Path s, Mode ?
NFS: Server s, Path s, ReadOnly b
ISCSI: TargetPortal s, IQN s, Lun i, ISCSIInterface s, FSType s, ReadOnly b, Portals [s,
 DiscoveryCHAPAuth:chapAuthDiscovery b, SessionCHAPAuth:chapAuthSession b, SecretRef *LocalObjectReference,
 InitiatorName ?
Glusterfs: EndpointsName:endpoints s, Path s, ReadOnly b
ClaimVolume: ClaimName s, ReadOnly b
RBD: CephMonitors:monitors [s, RBDImage:image s, FSType s, RBDPool:pool s, RadosUser:user s, Keyring s,
 SecretRef *LocalObjectReference, ReadOnly b
Quobyte: Registry s, Volume s, ReadOnly b, User s, Group s, Tenant s
Flex: Driver s, FSType s, SecretRef *LocalObjectReference, ReadOnly b, Options {
Cinder: VolumeID s, FSType s, ReadOnly b, SecretRef *LocalObjectReference
CephFS: Monitors [s, Path s, User s, SecretFile s, SecretRef *LocalObjectReference, ReadOnly b
Flocker: DatasetName s, DatasetUUID s
DownwardVolume: Items [DownwardFile, DefaultMode ?
DownwardFile: Path s, FieldRef *ObjectFieldSelector, ResourceFieldRef *ResourceFieldSelector, Mode ?
FC: TargetWWNs [s, Lun ?, FSType s, ReadOnly b, WWIDs:wwids [s
AzureFile: SecretName s, ShareName s, ReadOnly b
ConfigMapVolume: Name s, Items [KeyToPath, DefaultMode ?, Optional ?
Vsphere: VolumePath s, FSType s, StoragePolicyName s, StoragePolicyID s
AzureDisk: DiskName s, DataDiskURI:diskURI s, CachingMode ?, FSType ?, ReadOnly ?, Kind ?
Photon: PdID s, FSType s
Portworx: VolumeID s, FSType s, ReadOnly b
ScaleIO: Gateway s, System s, SecretRef *LocalObjectReference, SSLEnabled b, ProtectionDomain s, StoragePool s,
 StorageMode s, VolumeName s, FSType s, ReadOnly b
StorageOS: VolumeName s, VolumeNamespace s, FSType s, ReadOnly b, SecretRef *LocalObjectReference
CSI: Driver s, ReadOnly ?, FSType ?, VolumeAttributes {, NodePublishSecretRef *LocalObjectReference
ImageVolume: Reference s, PullPolicy s
Projected: Sources [Projection, DefaultMode ?
Projection: Secret *NamedProjection, DownwardAPI *DownwardProjection, ConfigMap *NamedProjection,
 ServiceAccountToken *TokenProjection, ClusterTrustBundle *TrustBundle, PodCertificate r
NamedProjection: Name s, Items [KeyToPath, Optional ?
DownwardProjection: Items [DownwardFile
TokenProjection: Audience s, ExpirationSeconds i, Path s
TrustBundle: Name ?, SignerName ?, LabelSelector r, Optional ?, Path s
"""

_OTHERS = """
ServicePort: Name s, Protocol s, AppProtocol ?, Port i, TargetPort i, NodePort i
Taint: Key s, Value s, Effect s, TimeAdded ?
NodeAddress: Type s, Address s
PodIP: IP s
SuccessPolicy: Rules [SuccessPolicyRule
SuccessPolicyRule: SucceededIndexes ?, SucceededCount ?
PodFailurePolicy: Rules [PodFailurePolicyRule
PodFailurePolicyRule: Action s, OnExitCodes *FailedExitCodes, OnPodConditions [FailedCondition
FailedExitCodes: ContainerName ?, Operator s, Values [s
FailedCondition: Type s, Status s
UncountedTerminatedPods: Succeeded [s, Failed [s
"""

_METADATA = (
    "name",
    "generateName",
    "namespace",
    "selfLink",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "labels",
    "annotations",
    "ownerReferences",
    "finalizers",
)
_ZEROS: dict[str, Any] = {"s": "", "i": 0, "b": False, "q": "0"}
_LEADING_CAPITALS = re.compile(r"^[A-Z]+(?=[A-Z][a-z])|^[A-Z]+")


@attrs.frozen
class _Field:
    name: str
    wire: str
    code: str
    type: str


def _wire(name: str) -> str:
    return _LEADING_CAPITALS.sub(lambda match: match[0].lower(), name, count=1)


@lru_cache(1)
def _shapes() -> dict[str, tuple[_Field, ...]]:
    shapes: dict[str, tuple[_Field, ...]] = {}
    text = re.sub(r",\n ", ", ", _POD + _CONTAINER + _VOLUME + _OTHERS)
    for line in filter(None, text.splitlines()):
        type_name, _, fields = line.partition(": ")
        found: list[_Field] = []
        for item in fields.split(", "):
            if item.startswith("+"):
                found += shapes[item[1:]]
                continue
            names, code = item.split(" ")
            name, _, wire = names.partition(":")
            found.append(_Field(name, wire or _wire(name), code[0], code[1:]))
        shapes[type_name] = tuple(found)
    return shapes


def go_value(type_name: str, document: Mapping[str, Any]) -> dict[str, Any]:
    """Return `document` as JSON of the Go struct `type_name`: every field, in order, zeros where nothing is set."""
    return {field.name: _convert(field, document.get(field.wire)) for field in _shapes()[type_name]}


def _convert(field: _Field, value: Any) -> Any:
    code, type_name = field.code, field.type
    if code in _ZEROS:
        return _ZEROS[code] if value is None else value
    if value is None:
        return go_value(type_name, {}) if code == "=" else None
    if code == "[":
        return list(value) if type_name == "s" else [go_value(type_name, item) for item in value]
    if code == "{":
        return dict(sorted(value.items()))
    return go_value(type_name, value) if code in "*=" else value


def go_pod_spec(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return a PodSpec as the internal type holds it: the host's namespaces are in its security context."""
    moved = ("hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace", "hostUsers")
    context = {**(spec.get("securityContext") or {}), **{name: spec[name] for name in moved if name in spec}}
    return go_value("PodSpec", {**spec, "securityContext": context})


def go_template(template: Mapping[str, Any]) -> dict[str, Any]:
    """Return a template of Pods as the internal type holds it: its metadata is part of it, as far as it is set."""
    meta = {name: value for name, value in (template.get("metadata") or {}).items() if value}
    for name in ("labels", "annotations"):
        if name in meta:
            meta[name] = dict(sorted(meta[name].items()))
    return {**(ordered(meta, _METADATA) or {}), "Spec": go_pod_spec(template.get("spec") or {})}
