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


_IN_ALL = frozenset({"pods", "services", "deployments", "replicasets"})

NAMESPACE = _info("v1 Namespace", "namespaces", "core.cluster", "ns", scope="cluster", sub="status finalize")
NODE = _info("v1 Node", "nodes", "core.node", "no", scope="cluster", sub="status")
POD = _info("v1 Pod", "pods", "core.pod", "po", sub="status binding log exec diagnosis eviction")
SERVICE = _info("v1 Service", "services", "core.service", "svc", sub="status")
CONFIG_MAP = _info("v1 ConfigMap", "configmaps", "core.config", "cm")
SECRET = _info("v1 Secret", "secrets", "core.config")
EVENT = _info("v1 Event", "events", "core.event", "ev")
BINDING = _info("v1 Binding", "bindings", "core.cluster")
DEPLOYMENT = _info("apps/v1 Deployment", "deployments", "apps", "deploy", sub="status scale")
REPLICA_SET = _info("apps/v1 ReplicaSet", "replicasets", "apps", "rs", sub="status scale")
SCALE = _info("autoscaling/v1 Scale", "scales", "autoscaling")
ENDPOINT_SLICE = _info("discovery.k8s.io/v1 EndpointSlice", "endpointslices", "discovery")
LEASE = _info("coordination.k8s.io/v1 Lease", "leases", "coordination")

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
)
