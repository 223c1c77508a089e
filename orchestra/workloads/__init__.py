"""Controllers that make Pods: how many, of which template, replaced how.

What comes in: Deployments, ReplicaSets, ReplicationControllers, DaemonSets, StatefulSets, their Pods, and nodes. What
goes out: Pods and volume claims, statuses, Events. Decisions are in pure modules (`rollout`, `progress`, `victims`,
`daemon_nodes`, `stateful_steps`); the reconcilers carry them out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestra._lazy import lazy_exports

if TYPE_CHECKING:
    from orchestra.workloads.daemonset import daemonset_controller
    from orchestra.workloads.deployment import deployment_controller
    from orchestra.workloads.replicaset import replicaset_controller
    from orchestra.workloads.replicationcontroller import replicationcontroller_controller
    from orchestra.workloads.statefulset import statefulset_controller

_EXPORTS = {
    "daemonset_controller": ".daemonset",
    "deployment_controller": ".deployment",
    "replicaset_controller": ".replicaset",
    "replicationcontroller_controller": ".replicationcontroller",
    "statefulset_controller": ".statefulset",
}

__all__ = [
    "daemonset_controller",
    "deployment_controller",
    "replicaset_controller",
    "replicationcontroller_controller",
    "statefulset_controller",
]
__getattr__ = lazy_exports(__name__, _EXPORTS)
