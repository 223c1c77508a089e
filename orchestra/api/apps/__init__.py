"""Controllers of Pods that run for ever: apps/v1. Names are loaded when they are first used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestra._lazy import lazy_exports

if TYPE_CHECKING:
    from orchestra.api.apps.daemonset import (
        ControllerRevision,
        DaemonSet,
        DaemonSetCondition,
        DaemonSetSpec,
        DaemonSetStatus,
        DaemonSetUpdateStrategy,
        RollingUpdateDaemonSet,
    )
    from orchestra.api.apps.deployment import (
        Deployment,
        DeploymentCondition,
        DeploymentSpec,
        DeploymentStatus,
        DeploymentStrategy,
        ReplicaSet,
        ReplicaSetCondition,
        ReplicaSetSpec,
        ReplicaSetStatus,
        RollingUpdateDeployment,
    )
    from orchestra.api.apps.statefulset import (
        RollingUpdateStatefulSetStrategy,
        StatefulSet,
        StatefulSetCondition,
        StatefulSetOrdinals,
        StatefulSetPersistentVolumeClaimRetentionPolicy,
        StatefulSetSpec,
        StatefulSetStatus,
        StatefulSetUpdateStrategy,
    )

_MODULES = {
    ".daemonset": "ControllerRevision DaemonSet DaemonSetCondition DaemonSetSpec DaemonSetStatus "
    "DaemonSetUpdateStrategy RollingUpdateDaemonSet",
    ".deployment": "Deployment DeploymentCondition DeploymentSpec DeploymentStatus DeploymentStrategy ReplicaSet "
    "ReplicaSetCondition ReplicaSetSpec ReplicaSetStatus RollingUpdateDeployment",
    ".statefulset": "RollingUpdateStatefulSetStrategy StatefulSet StatefulSetCondition StatefulSetOrdinals "
    "StatefulSetPersistentVolumeClaimRetentionPolicy StatefulSetSpec StatefulSetStatus StatefulSetUpdateStrategy",
}

__getattr__ = lazy_exports(__name__, {name: module for module, names in _MODULES.items() for name in names.split()})

# fmt: off
__all__ = [
    "ControllerRevision", "DaemonSet", "DaemonSetCondition", "DaemonSetSpec", "DaemonSetStatus",
    "DaemonSetUpdateStrategy", "Deployment", "DeploymentCondition", "DeploymentSpec", "DeploymentStatus",
    "DeploymentStrategy", "ReplicaSet", "ReplicaSetCondition", "ReplicaSetSpec", "ReplicaSetStatus",
    "RollingUpdateDaemonSet", "RollingUpdateDeployment", "RollingUpdateStatefulSetStrategy", "StatefulSet",
    "StatefulSetCondition", "StatefulSetOrdinals", "StatefulSetPersistentVolumeClaimRetentionPolicy",
    "StatefulSetSpec", "StatefulSetStatus", "StatefulSetUpdateStrategy",
]
