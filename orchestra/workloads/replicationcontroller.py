"""ReplicationControllers: what ReplicaSets were before they could select by expressions."""

from __future__ import annotations

from orchestra.api.core.replicationcontroller import ReplicationController, ReplicationControllerCondition
from orchestra.api.selectors import selector_from_labels
from orchestra.controller.interface import Controller
from orchestra.workloads.replicas import Replicas

REPLICATION_CONTROLLERS = Replicas(
    name="replicationcontroller",
    kind=ReplicationController,
    selector=lambda rc: selector_from_labels(rc.spec.selector),
    condition=ReplicationControllerCondition,
    component="replication-controller",
)


def replicationcontroller_controller(*, workers: int = 5) -> Controller[ReplicationController]:
    """Return the controller that keeps the number of Pods of every ReplicationController."""
    return REPLICATION_CONTROLLERS.controller(workers)
