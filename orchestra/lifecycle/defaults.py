"""The lifecycle controllers as a plane runs them."""

from __future__ import annotations

from typing import Any

from orchestra.controller.interface import Controller, Part
from orchestra.lifecycle.accounts import root_ca_publisher, serviceaccount_controller
from orchestra.lifecycle.disruption import disruption_controller, stale_disruption_controller
from orchestra.lifecycle.garbage import GarbageCollector
from orchestra.lifecycle.namespaces import namespace_controller
from orchestra.lifecycle.node_health import MonitorSettings
from orchestra.lifecycle.nodes import NodeLifecycle
from orchestra.lifecycle.pod_garbage import PodGarbage
from orchestra.lifecycle.quota_status import resourcequota_controller
from orchestra.lifecycle.taint_eviction import taint_eviction_controller


def lifecycle_controllers(
    *, nodes: MonitorSettings | None = None, certificate: str = ""
) -> tuple[Controller[Any] | Part, ...]:
    """Return new instances of all controllers that keep a cluster clean; `nodes` sets how nodes are monitored.

    `certificate` (PEM) is how clients verify the server: every namespace has it in the ConfigMap `kube-root-ca.crt`.
    """
    return (
        GarbageCollector(),
        namespace_controller(),
        NodeLifecycle(nodes),
        taint_eviction_controller(),
        PodGarbage(),
        serviceaccount_controller(),
        root_ca_publisher(certificate),
        resourcequota_controller(),
        disruption_controller(),
        stale_disruption_controller(),
    )
