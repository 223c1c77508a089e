"""ReplicaSets: keep so many Pods of one template."""

from __future__ import annotations

from orchestra.api.apps import ReplicaSet, ReplicaSetCondition
from orchestra.api.selectors import label_selector
from orchestra.controller.interface import Controller
from orchestra.workloads.replicas import Replicas

REPLICA_SETS = Replicas(
    name="replicaset",
    kind=ReplicaSet,
    selector=lambda rs: label_selector(rs.spec.selector),
    condition=ReplicaSetCondition,
    reports_terminating=True,
)


def replicaset_controller(*, workers: int = 5) -> Controller[ReplicaSet]:
    """Return the controller that keeps the number of Pods of every ReplicaSet."""
    return REPLICA_SETS.controller(workers)
