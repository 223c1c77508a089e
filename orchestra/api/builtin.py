"""The names of every built-in kind: a table that costs nothing to import, so that classes load when first used."""

from __future__ import annotations

from orchestra.api.object import ResourceInfo


def _info(api_version_kind: str, plural: str, module: str, *names: str, scope: str = "", sub: str = "") -> ResourceInfo:
    api_version, _, kind = api_version_kind.partition(" ")
    group, _, version = api_version.rpartition("/")
    return ResourceInfo(
        group=group,
        version=version,
        kind=kind,
        plural=plural,
        singular=kind.lower(),
        short_names=names,
        categories=("all",) if plural in _IN_ALL else (),
        namespaced=scope != "cluster",
        subresources=frozenset(sub.split()),
        module=f"orchestra.api.{module}",
    )


_IN_ALL = frozenset(
    [
        "pods",
        "services",
        "replicationcontrollers",
        "deployments",
        "replicasets",
        "statefulsets",
        "daemonsets",
        "jobs",
        "cronjobs",
        "horizontalpodautoscalers",
    ]
)

NAMESPACE = _info("v1 Namespace", "namespaces", "core.cluster", "ns", scope="cluster", sub="status finalize")
NODE = _info("v1 Node", "nodes", "core.node", "no", scope="cluster", sub="status")
POD = _info(
    "v1 Pod",
    "pods",
    "core.pod",
    "po",
    sub="status binding log exec diagnosis eviction ephemeralcontainers resize",
)
SERVICE = _info("v1 Service", "services", "core.service", "svc", sub="status")
CONFIG_MAP = _info("v1 ConfigMap", "configmaps", "core.config", "cm")
SECRET = _info("v1 Secret", "secrets", "core.config")
EVENT = _info("v1 Event", "events", "core.event", "ev")
BINDING = _info("v1 Binding", "bindings", "core.cluster")
DEPLOYMENT = _info("apps/v1 Deployment", "deployments", "apps.deployment", "deploy", sub="status scale")
REPLICA_SET = _info("apps/v1 ReplicaSet", "replicasets", "apps.deployment", "rs", sub="status scale")
SCALE = _info("autoscaling/v1 Scale", "scales", "autoscaling")
ENDPOINT_SLICE = _info("discovery.k8s.io/v1 EndpointSlice", "endpointslices", "discovery")
LEASE = _info("coordination.k8s.io/v1 Lease", "leases", "coordination")
PRIORITY_CLASS = _info("scheduling.k8s.io/v1 PriorityClass", "priorityclasses", "scheduling", "pc", scope="cluster")
POD_GROUP = _info("scheduling.k8s.io/v1alpha2 PodGroup", "podgroups", "scheduling", sub="status")
POD_DISRUPTION_BUDGET = _info("policy/v1 PodDisruptionBudget", "poddisruptionbudgets", "policy", "pdb", sub="status")
EVICTION = _info("policy/v1 Eviction", "evictions", "policy")
ENDPOINTS = _info("v1 Endpoints", "endpoints", "core.endpoints", "ep")
SERVICE_ACCOUNT = _info("v1 ServiceAccount", "serviceaccounts", "core.serviceaccount", "sa")
REPLICATION_CONTROLLER = _info(
    "v1 ReplicationController", "replicationcontrollers", "core.replicationcontroller", "rc", sub="status scale"
)
RESOURCE_QUOTA = _info("v1 ResourceQuota", "resourcequotas", "core.quota", "quota", sub="status")
LIMIT_RANGE = _info("v1 LimitRange", "limitranges", "core.quota", "limits")
PERSISTENT_VOLUME = _info(
    "v1 PersistentVolume", "persistentvolumes", "core.persistentvolume", "pv", scope="cluster", sub="status"
)
PERSISTENT_VOLUME_CLAIM = _info(
    "v1 PersistentVolumeClaim", "persistentvolumeclaims", "core.persistentvolume", "pvc", sub="status"
)
STATEFUL_SET = _info("apps/v1 StatefulSet", "statefulsets", "apps.statefulset", "sts", sub="status scale")
DAEMON_SET = _info("apps/v1 DaemonSet", "daemonsets", "apps.daemonset", "ds", sub="status")
CONTROLLER_REVISION = _info("apps/v1 ControllerRevision", "controllerrevisions", "apps.daemonset")
JOB = _info("batch/v1 Job", "jobs", "batch", sub="status")
CRON_JOB = _info("batch/v1 CronJob", "cronjobs", "batch", "cj", sub="status")
HORIZONTAL_POD_AUTOSCALER = _info(
    "autoscaling/v2 HorizontalPodAutoscaler", "horizontalpodautoscalers", "autoscaling_v2", "hpa", sub="status"
)
INGRESS = _info("networking.k8s.io/v1 Ingress", "ingresses", "networking", "ing", sub="status")
NETWORK_POLICY = _info("networking.k8s.io/v1 NetworkPolicy", "networkpolicies", "networking", "netpol")
STORAGE_CLASS = _info("storage.k8s.io/v1 StorageClass", "storageclasses", "storage", "sc", scope="cluster")
CUSTOM_RESOURCE_DEFINITION = _info(
    "apiextensions.k8s.io/v1 CustomResourceDefinition",
    "customresourcedefinitions",
    "apiextensions",
    "crd",
    "crds",
    scope="cluster",
    sub="status",
)

BUILTIN: tuple[ResourceInfo, ...] = (
    NAMESPACE,
    NODE,
    POD,
    SERVICE,
    CONFIG_MAP,
    SECRET,
    EVENT,
    BINDING,
    DEPLOYMENT,
    REPLICA_SET,
    SCALE,
    ENDPOINT_SLICE,
    LEASE,
    PRIORITY_CLASS,
    POD_GROUP,
    POD_DISRUPTION_BUDGET,
    REPLICATION_CONTROLLER,
    STATEFUL_SET,
    DAEMON_SET,
    CONTROLLER_REVISION,
    JOB,
    CRON_JOB,
    HORIZONTAL_POD_AUTOSCALER,
    ENDPOINTS,
    INGRESS,
    NETWORK_POLICY,
    SERVICE_ACCOUNT,
    RESOURCE_QUOTA,
    LIMIT_RANGE,
    PERSISTENT_VOLUME,
    PERSISTENT_VOLUME_CLAIM,
    STORAGE_CLASS,
    EVICTION,
)
