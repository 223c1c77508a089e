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
    from orchestra.api.core.claim import PersistentVolumeClaimSpec
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
    from orchestra.api.core.endpoints import EndpointAddress, EndpointPort, Endpoints, EndpointSubset
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
    from orchestra.api.core.persistentvolume import (
        PersistentVolume,
        PersistentVolumeClaim,
        PersistentVolumeClaimCondition,
        PersistentVolumeClaimStatus,
        PersistentVolumeSpec,
        PersistentVolumeStatus,
        VolumeNodeAffinity,
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
    from orchestra.api.core.quota import (
        LimitRange,
        LimitRangeItem,
        LimitRangeSpec,
        ResourceQuota,
        ResourceQuotaSpec,
        ResourceQuotaStatus,
        ScopedResourceSelectorRequirement,
        ScopeSelector,
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
    from orchestra.api.core.replicationcontroller import (
        ReplicationController,
        ReplicationControllerCondition,
        ReplicationControllerSpec,
        ReplicationControllerStatus,
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
    from orchestra.api.core.serviceaccount import ServiceAccount
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
        SecretReference,
        StorageOSPersistentVolumeSource,
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
    ".endpoints": "EndpointAddress EndpointPort EndpointSubset Endpoints",
    ".persistentvolume": (
        "PersistentVolume PersistentVolumeClaim PersistentVolumeClaimCondition PersistentVolumeClaimStatus "
        "PersistentVolumeSpec PersistentVolumeStatus VolumeNodeAffinity "
    ),
    ".quota": (
        "LimitRange LimitRangeItem LimitRangeSpec ResourceQuota "
        "ResourceQuotaSpec ResourceQuotaStatus ScopeSelector ScopedResourceSelectorRequirement "
    ),
    ".replicationcontroller": (
        "ReplicationController ReplicationControllerCondition ReplicationControllerSpec ReplicationControllerStatus "
    ),
    ".serviceaccount": "ServiceAccount",
    ".claim": "PersistentVolumeClaimSpec",
    ".volume_persistent": (
        "AzureFilePersistentVolumeSource CSIPersistentVolumeSource CephFSPersistentVolumeSource "
        "CinderPersistentVolumeSource FlexPersistentVolumeSource GlusterfsPersistentVolumeSource "
        "ISCSIPersistentVolumeSource LocalVolumeSource RBDPersistentVolumeSource "
        "ScaleIOPersistentVolumeSource SecretReference StorageOSPersistentVolumeSource "
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
        "EphemeralVolumeSource HostPathVolumeSource ImageVolumeSource KeyToPath "
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
    "AzureFilePersistentVolumeSource", "AzureFileVolumeSource", "Binding", "CSIPersistentVolumeSource",
    "CSIVolumeSource", "Capabilities", "CephFSPersistentVolumeSource", "CephFSVolumeSource",
    "CinderPersistentVolumeSource", "CinderVolumeSource", "ClientIPConfig", "ClusterTrustBundleProjection", "ConfigMap",
    "ConfigMapEnvSource", "ConfigMapKeySelector", "ConfigMapNodeConfigSource", "ConfigMapProjection",
    "ConfigMapVolumeSource", "Container", "ContainerExtendedResourceRequest", "ContainerImage", "ContainerPort",
    "ContainerResizePolicy", "ContainerRestartRule", "ContainerRestartRuleOnExitCodes", "ContainerState",
    "ContainerStateRunning", "ContainerStateTerminated", "ContainerStateWaiting", "ContainerStatus", "ContainerUser",
    "DaemonEndpoint", "DownwardAPIProjection", "DownwardAPIVolumeFile", "DownwardAPIVolumeSource",
    "EmptyDirVolumeSource", "EndpointAddress", "EndpointPort", "EndpointSubset", "Endpoints", "EnvFromSource", "EnvVar",
    "EnvVarSource", "EphemeralContainer", "EphemeralVolumeSource", "Event", "EventSeries", "EventSource", "ExecAction",
    "FCVolumeSource", "FileKeySelector", "FlexPersistentVolumeSource", "FlexVolumeSource", "FlockerVolumeSource",
    "GCEPersistentDiskVolumeSource", "GRPCAction", "GitRepoVolumeSource", "GlusterfsPersistentVolumeSource",
    "GlusterfsVolumeSource", "HTTPGetAction", "HTTPHeader", "HostAlias", "HostIP", "HostPathVolumeSource",
    "ISCSIPersistentVolumeSource", "ISCSIVolumeSource", "ImageVolumeSource", "ImageVolumeStatus", "KeyToPath",
    "Lifecycle", "LifecycleHandler", "LimitRange", "LimitRangeItem", "LimitRangeSpec", "LinuxContainerUser",
    "LoadBalancerIngress", "LoadBalancerStatus", "LocalObjectReference", "LocalVolumeSource", "NFSVolumeSource",
    "Namespace", "NamespaceCondition", "NamespaceSpec", "NamespaceStatus", "Node", "NodeAddress", "NodeAffinity",
    "NodeAllocatableResourceClaimStatus", "NodeCondition", "NodeConfigSource", "NodeConfigStatus",
    "NodeDaemonEndpoints", "NodeFeatures", "NodeRuntimeHandler", "NodeRuntimeHandlerFeatures", "NodeSelector",
    "NodeSelectorRequirement", "NodeSelectorTerm", "NodeSpec", "NodeStatus", "NodeSwapStatus", "NodeSystemInfo",
    "ObjectFieldSelector", "ObjectReference", "PersistentVolume", "PersistentVolumeClaim",
    "PersistentVolumeClaimCondition", "PersistentVolumeClaimSpec", "PersistentVolumeClaimStatus",
    "PersistentVolumeClaimTemplate", "PersistentVolumeClaimVolumeSource", "PersistentVolumeSpec",
    "PersistentVolumeStatus", "PhotonPersistentDiskVolumeSource", "Pod", "PodAffinity", "PodAffinityTerm",
    "PodAntiAffinity", "PodCertificateProjection", "PodCondition", "PodDNSConfig", "PodDNSConfigOption",
    "PodExtendedResourceClaimStatus", "PodIP", "PodOS", "PodReadinessGate", "PodResourceClaim",
    "PodResourceClaimStatus", "PodSchedulingGate", "PodSchedulingGroup", "PodSecurityContext", "PodSpec", "PodStatus",
    "PodTemplateSpec", "PortStatus", "PortworxVolumeSource", "PreferredSchedulingTerm", "Probe",
    "ProjectedVolumeSource", "QuobyteVolumeSource", "RBDPersistentVolumeSource", "RBDVolumeSource",
    "ReplicationController", "ReplicationControllerCondition", "ReplicationControllerSpec",
    "ReplicationControllerStatus", "ResourceClaim", "ResourceFieldSelector", "ResourceHealth", "ResourceQuota",
    "ResourceQuotaSpec", "ResourceQuotaStatus", "ResourceRequirements", "ResourceStatus", "SELinuxOptions",
    "ScaleIOPersistentVolumeSource", "ScaleIOVolumeSource", "ScopeSelector", "ScopedResourceSelectorRequirement",
    "SeccompProfile", "Secret", "SecretEnvSource", "SecretKeySelector", "SecretProjection", "SecretReference",
    "SecretVolumeSource", "SecurityContext", "Service", "ServiceAccount", "ServiceAccountTokenProjection",
    "ServicePort", "ServiceSpec", "ServiceStatus", "SessionAffinityConfig", "SleepAction",
    "StorageOSPersistentVolumeSource", "StorageOSVolumeSource", "Sysctl", "TCPSocketAction", "Taint", "Toleration",
    "TopologySpreadConstraint", "TypedLocalObjectReference", "TypedObjectReference", "Volume", "VolumeDevice",
    "VolumeMount", "VolumeMountStatus", "VolumeNodeAffinity", "VolumeProjection", "VolumeResourceRequirements",
    "VolumeStatus", "VsphereVirtualDiskVolumeSource", "WeightedPodAffinityTerm", "WindowsSecurityContextOptions",
]
