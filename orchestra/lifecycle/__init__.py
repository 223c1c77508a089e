"""Keeps the cluster clean: garbage collection, namespaces, health of nodes, eviction, budgets, quotas, lost Pods.

What comes in: caches of all kinds. What goes out: deletions, conditions, taints, and what namespaces hold from the
start. Each rule is a pure module (`ownership`, `emptying`, `node_health`, `evicting`, `lost_pods`, `budgets`,
`furnishing`, `quotas`) with its driver beside it. `plane` runs the parts that `lifecycle_controllers` returns; nobody
else imports it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestra._lazy import lazy_exports

if TYPE_CHECKING:
    from orchestra.lifecycle.accounts import root_ca_publisher, serviceaccount_controller
    from orchestra.lifecycle.defaults import lifecycle_controllers
    from orchestra.lifecycle.disruption import disruption_controller, stale_disruption_controller
    from orchestra.lifecycle.garbage import GarbageCollector
    from orchestra.lifecycle.namespaces import namespace_controller
    from orchestra.lifecycle.node_health import MonitorSettings
    from orchestra.lifecycle.nodes import NodeLifecycle
    from orchestra.lifecycle.pod_garbage import PodGarbage
    from orchestra.lifecycle.quota_status import resourcequota_controller
    from orchestra.lifecycle.taint_eviction import taint_eviction_controller

_EXPORTS = {
    "GarbageCollector": ".garbage",
    "MonitorSettings": ".node_health",
    "NodeLifecycle": ".nodes",
    "PodGarbage": ".pod_garbage",
    "disruption_controller": ".disruption",
    "lifecycle_controllers": ".defaults",
    "namespace_controller": ".namespaces",
    "resourcequota_controller": ".quota_status",
    "root_ca_publisher": ".accounts",
    "serviceaccount_controller": ".accounts",
    "stale_disruption_controller": ".disruption",
    "taint_eviction_controller": ".taint_eviction",
}

__all__ = [
    "GarbageCollector",
    "MonitorSettings",
    "NodeLifecycle",
    "PodGarbage",
    "disruption_controller",
    "lifecycle_controllers",
    "namespace_controller",
    "resourcequota_controller",
    "root_ca_publisher",
    "serviceaccount_controller",
    "stale_disruption_controller",
    "taint_eviction_controller",
]
__getattr__ = lazy_exports(__name__, _EXPORTS)
