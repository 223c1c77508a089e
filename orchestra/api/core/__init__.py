"""The core group, v1: Pods and all that they are made of, nodes, namespaces, Services, configuration, events.

Classes only: documents come in and go out through `orchestra.api.codec`. Anybody may import it; a class is loaded
when its name is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestra._lazy import lazy_exports

if TYPE_CHECKING:
    from orchestra.api.core.affinity import (
        Affinity,
        NodeAffinity,
        NodeSelector,
        NodeSelectorRequirement,
        NodeSelectorTerm,
        PodAffinity,
        PodAffinityTerm,
        PodAntiAffinity,
        PreferredSchedulingTerm,
        Toleration,
        TopologySpreadConstraint,
        WeightedPodAffinityTerm,
    )
    from orchestra.api.core.cluster import Binding, Namespace, NamespaceCondition, NamespaceSpec, NamespaceStatus
    from orchestra.api.core.config import ConfigMap, Secret
    from orchestra.api.core.container import (
        ConfigMapEnvSource,
        Container,
        ContainerPort,
        ContainerRestartRule,
        ContainerRestartRuleOnExitCodes,
        EnvFromSource,
        EnvVar,
        EnvVarSource,
        EphemeralContainer,
        SecretEnvSource,
        VolumeDevice,
        VolumeMount,
    )
    from orchestra.api.core.container_status import (
        ContainerState,
        ContainerStateRunning,
        ContainerStateTerminated,
        ContainerStateWaiting,
        ContainerStatus,
        ContainerUser,
        ImageVolumeStatus,
        LinuxContainerUser,
        ResourceHealth,
        ResourceStatus,
        VolumeMountStatus,
        VolumeStatus,
    )
    from orchestra.api.core.event import Event, EventSeries, EventSource
    from orchestra.api.core.node import (
        AttachedVolume,
        ConfigMapNodeConfigSource,
        ContainerImage,
        DaemonEndpoint,
        Node,
        NodeAddress,
        NodeCondition,
        NodeConfigSource,
        NodeConfigStatus,
        NodeDaemonEndpoints,
        NodeFeatures,
        NodeRuntimeHandler,
        NodeRuntimeHandlerFeatures,
        NodeSpec,
        NodeStatus,
        NodeSwapStatus,
        NodeSystemInfo,
        Taint,
    )
    from orchestra.api.core.pod import (
        HostAlias,
        Pod,
        PodDNSConfig,
        PodDNSConfigOption,
        PodOS,
        PodReadinessGate,
        PodResourceClaim,
        PodSchedulingGate,
        PodSchedulingGroup,
        PodSpec,
        PodTemplateSpec,
    )
    from orchestra.api.core.probe import (
        ExecAction,
        GRPCAction,
        HTTPGetAction,
        HTTPHeader,
        Lifecycle,
        LifecycleHandler,
        Probe,
        SleepAction,
        TCPSocketAction,
    )
    from orchestra.api.core.reference import (
        ConfigMapKeySelector,
        FileKeySelector,
        LocalObjectReference,
        ObjectFieldSelector,
        ObjectReference,
        ResourceFieldSelector,
        SecretKeySelector,
        TypedLocalObjectReference,
        TypedObjectReference,
    )
    from orchestra.api.core.resources import (
        ContainerResizePolicy,
        ResourceClaim,
        ResourceRequirements,
        VolumeResourceRequirements,
    )
    from orchestra.api.core.security import (
        AppArmorProfile,
        Capabilities,
        PodSecurityContext,
        SeccompProfile,
        SecurityContext,
        SELinuxOptions,
        Sysctl,
        WindowsSecurityContextOptions,
    )
    from orchestra.api.core.service import (
        ClientIPConfig,
        LoadBalancerIngress,
        LoadBalancerStatus,
        PortStatus,
        Service,
        ServicePort,
        ServiceSpec,
        ServiceStatus,
        SessionAffinityConfig,
    )
    from orchestra.api.core.status import (
        ContainerExtendedResourceRequest,
        HostIP,
        NodeAllocatableResourceClaimStatus,
        PodCondition,
        PodExtendedResourceClaimStatus,
        PodIP,
        PodResourceClaimStatus,
        PodStatus,
    )
    from orchestra.api.core.volume import (
        ClusterTrustBundleProjection,
        ConfigMapProjection,
        ConfigMapVolumeSource,
        CSIVolumeSource,
        DownwardAPIProjection,
        DownwardAPIVolumeFile,
        DownwardAPIVolumeSource,
        EmptyDirVolumeSource,
        EphemeralVolumeSource,
        HostPathVolumeSource,
        ImageVolumeSource,
        KeyToPath,
        PersistentVolumeClaimSpec,
        PersistentVolumeClaimTemplate,
        PersistentVolumeClaimVolumeSource,
        PodCertificateProjection,
        ProjectedVolumeSource,
        SecretProjection,
        SecretVolumeSource,
        ServiceAccountTokenProjection,
        Volume,
        VolumeProjection,
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

_MODULES = {
    ".affinity": (
        "Affinity NodeAffinity NodeSelector NodeSelectorRequirement NodeSelectorTerm PodAffinity "
        "PodAffinityTerm PodAntiAffinity PreferredSchedulingTerm Toleration TopologySpreadConstraint "
        "WeightedPodAffinityTerm"
    ),
    ".cluster": "Binding Namespace NamespaceCondition NamespaceSpec NamespaceStatus",
    ".config": "ConfigMap Secret",
    ".container": (
        "ConfigMapEnvSource Container ContainerPort ContainerRestartRule ContainerRestartRuleOnExitCodes "
        "EnvFromSource EnvVar EnvVarSource EphemeralContainer SecretEnvSource VolumeDevice VolumeMount"
    ),
    ".container_status": (
        "ContainerState ContainerStateRunning ContainerStateTerminated ContainerStateWaiting "
        "ContainerStatus ContainerUser ImageVolumeStatus LinuxContainerUser ResourceHealth ResourceStatus "
        "VolumeMountStatus VolumeStatus"
    ),
    ".event": "Event EventSeries EventSource",
    ".node": (
        "AttachedVolume ConfigMapNodeConfigSource ContainerImage DaemonEndpoint Node NodeAddress "
        "NodeCondition NodeConfigSource NodeConfigStatus NodeDaemonEndpoints NodeFeatures NodeRuntimeHandler "
        "NodeRuntimeHandlerFeatures NodeSpec NodeStatus NodeSwapStatus NodeSystemInfo Taint"
    ),
    ".pod": (
        "HostAlias Pod PodDNSConfig PodDNSConfigOption PodOS PodReadinessGate PodResourceClaim "
        "PodSchedulingGate PodSchedulingGroup PodSpec PodTemplateSpec"
    ),
    ".probe": (
        "ExecAction GRPCAction HTTPGetAction HTTPHeader Lifecycle LifecycleHandler Probe SleepAction TCPSocketAction"
    ),
    ".reference": (
        "ConfigMapKeySelector FileKeySelector LocalObjectReference ObjectFieldSelector ObjectReference "
        "ResourceFieldSelector SecretKeySelector TypedLocalObjectReference TypedObjectReference"
    ),
    ".resources": "ContainerResizePolicy ResourceClaim ResourceRequirements VolumeResourceRequirements",
    ".security": (
        "AppArmorProfile Capabilities PodSecurityContext SELinuxOptions SeccompProfile SecurityContext "
        "Sysctl WindowsSecurityContextOptions"
    ),
    ".service": (
        "ClientIPConfig LoadBalancerIngress LoadBalancerStatus PortStatus Service ServicePort ServiceSpec "
        "ServiceStatus SessionAffinityConfig"
    ),
    ".status": (
        "ContainerExtendedResourceRequest HostIP NodeAllocatableResourceClaimStatus PodCondition "
        "PodExtendedResourceClaimStatus PodIP PodResourceClaimStatus PodStatus"
    ),
    ".volume": (
        "CSIVolumeSource ClusterTrustBundleProjection ConfigMapProjection ConfigMapVolumeSource "
        "DownwardAPIProjection DownwardAPIVolumeFile DownwardAPIVolumeSource EmptyDirVolumeSource "
        "EphemeralVolumeSource HostPathVolumeSource ImageVolumeSource KeyToPath PersistentVolumeClaimSpec "
        "PersistentVolumeClaimTemplate PersistentVolumeClaimVolumeSource PodCertificateProjection "
        "ProjectedVolumeSource SecretProjection SecretVolumeSource ServiceAccountTokenProjection Volume "
        "VolumeProjection"
    ),
    ".volume_network": (
        "AWSElasticBlockStoreVolumeSource AzureDiskVolumeSource AzureFileVolumeSource "
        "CephFSVolumeSource CinderVolumeSource FCVolumeSource FlexVolumeSource FlockerVolumeSource "
        "GCEPersistentDiskVolumeSource GitRepoVolumeSource GlusterfsVolumeSource ISCSIVolumeSource "
        "NFSVolumeSource PhotonPersistentDiskVolumeSource PortworxVolumeSource QuobyteVolumeSource "
        "RBDVolumeSource ScaleIOVolumeSource StorageOSVolumeSource VsphereVirtualDiskVolumeSource"
    ),
}

__getattr__ = lazy_exports(__name__, {name: module for module, names in _MODULES.items() for name in names.split()})

# fmt: off
__all__ = [
    "AWSElasticBlockStoreVolumeSource", "Affinity", "AppArmorProfile", "AttachedVolume", "AzureDiskVolumeSource",
    "AzureFileVolumeSource", "Binding", "CSIVolumeSource", "Capabilities", "CephFSVolumeSource", "CinderVolumeSource",
    "ClientIPConfig", "ClusterTrustBundleProjection", "ConfigMap", "ConfigMapEnvSource", "ConfigMapKeySelector",
    "ConfigMapNodeConfigSource", "ConfigMapProjection", "ConfigMapVolumeSource", "Container",
    "ContainerExtendedResourceRequest", "ContainerImage", "ContainerPort", "ContainerResizePolicy",
    "ContainerRestartRule", "ContainerRestartRuleOnExitCodes", "ContainerState", "ContainerStateRunning",
    "ContainerStateTerminated", "ContainerStateWaiting", "ContainerStatus", "ContainerUser", "DaemonEndpoint",
    "DownwardAPIProjection", "DownwardAPIVolumeFile", "DownwardAPIVolumeSource", "EmptyDirVolumeSource",
    "EnvFromSource", "EnvVar", "EnvVarSource", "EphemeralContainer", "EphemeralVolumeSource", "Event", "EventSeries",
    "EventSource", "ExecAction", "FCVolumeSource", "FileKeySelector", "FlexVolumeSource", "FlockerVolumeSource",
    "GCEPersistentDiskVolumeSource", "GRPCAction", "GitRepoVolumeSource", "GlusterfsVolumeSource", "HTTPGetAction",
    "HTTPHeader", "HostAlias", "HostIP", "HostPathVolumeSource", "ISCSIVolumeSource", "ImageVolumeSource",
    "ImageVolumeStatus", "KeyToPath", "Lifecycle", "LifecycleHandler", "LinuxContainerUser", "LoadBalancerIngress",
    "LoadBalancerStatus", "LocalObjectReference", "NFSVolumeSource", "Namespace", "NamespaceCondition",
    "NamespaceSpec", "NamespaceStatus", "Node", "NodeAddress", "NodeAffinity", "NodeAllocatableResourceClaimStatus",
    "NodeCondition", "NodeConfigSource", "NodeConfigStatus", "NodeDaemonEndpoints", "NodeFeatures",
    "NodeRuntimeHandler", "NodeRuntimeHandlerFeatures", "NodeSelector", "NodeSelectorRequirement", "NodeSelectorTerm",
    "NodeSpec", "NodeStatus", "NodeSwapStatus", "NodeSystemInfo", "ObjectFieldSelector", "ObjectReference",
    "PersistentVolumeClaimSpec", "PersistentVolumeClaimTemplate", "PersistentVolumeClaimVolumeSource",
    "PhotonPersistentDiskVolumeSource", "Pod", "PodAffinity", "PodAffinityTerm", "PodAntiAffinity",
    "PodCertificateProjection", "PodCondition", "PodDNSConfig", "PodDNSConfigOption",
    "PodExtendedResourceClaimStatus", "PodIP", "PodOS", "PodReadinessGate", "PodResourceClaim",
    "PodResourceClaimStatus", "PodSchedulingGate", "PodSchedulingGroup", "PodSecurityContext", "PodSpec", "PodStatus",
    "PodTemplateSpec", "PortStatus", "PortworxVolumeSource", "PreferredSchedulingTerm", "Probe",
    "ProjectedVolumeSource", "QuobyteVolumeSource", "RBDVolumeSource", "ResourceClaim", "ResourceFieldSelector",
    "ResourceHealth", "ResourceRequirements", "ResourceStatus", "SELinuxOptions", "ScaleIOVolumeSource",
    "SeccompProfile", "Secret", "SecretEnvSource", "SecretKeySelector", "SecretProjection", "SecretVolumeSource",
    "SecurityContext", "Service", "ServiceAccountTokenProjection", "ServicePort", "ServiceSpec", "ServiceStatus",
    "SessionAffinityConfig", "SleepAction", "StorageOSVolumeSource", "Sysctl", "TCPSocketAction", "Taint",
    "Toleration", "TopologySpreadConstraint", "TypedLocalObjectReference", "TypedObjectReference", "Volume",
    "VolumeDevice", "VolumeMount", "VolumeMountStatus", "VolumeProjection", "VolumeResourceRequirements",
    "VolumeStatus", "VsphereVirtualDiskVolumeSource", "WeightedPodAffinityTerm", "WindowsSecurityContextOptions",
]
