"""Builders for the objects of these tests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from orchestra.api.apps import (
    Deployment,
    DeploymentSpec,
    DeploymentStatus,
    DeploymentStrategy,
    ReplicaSet,
    ReplicaSetSpec,
    ReplicaSetStatus,
    RollingUpdateDeployment,
)
from orchestra.api.core import Container, PodSpec, PodTemplateSpec
from orchestra.api.meta import LabelSelector
from orchestra.api.object import ObjectMeta

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def template(image: str, **labels: str) -> PodTemplateSpec:
    """Return a template of one container."""
    spec = PodSpec(containers=(Container(name="c", image=image),))
    return PodTemplateSpec(metadata=ObjectMeta(labels={"app": "web", **labels}), spec=spec)


def deployment(
    replicas: int,
    *,
    surge: int | str = "25%",
    unavailable: int | str = "25%",
    image: str = "app:1",
    status: DeploymentStatus | None = None,
    **spec: Any,
) -> Deployment:
    """Return a Deployment with a rolling update."""
    rolling = RollingUpdateDeployment(max_surge=surge, max_unavailable=unavailable)
    spec.setdefault("strategy", DeploymentStrategy(type="RollingUpdate", rolling_update=rolling))
    spec.setdefault("progress_deadline_seconds", 600)
    return Deployment(
        metadata=ObjectMeta(name="web", namespace="default", uid="d", generation=1),
        spec=DeploymentSpec(
            replicas=replicas,
            selector=LabelSelector(match_labels={"app": "web"}),
            template=template(image),
            **spec,
        ),
        status=status or DeploymentStatus(observed_generation=1),
    )


def replica_set(
    name: str, size: int, available: int | None = None, *, age: int = 0, image: str = "app:1", **annotations: str
) -> ReplicaSet:
    """Return a ReplicaSet whose status counts as many Pods as it has, `available` of them available."""
    ready = size if available is None else available
    return ReplicaSet(
        metadata=ObjectMeta(
            name=name,
            namespace="default",
            uid=name,
            generation=1,
            creation_timestamp=NOW - timedelta(seconds=age),
            annotations={f"deployment.kubernetes.io/{k.replace('_', '-')}": v for k, v in annotations.items()},
        ),
        spec=ReplicaSetSpec(
            replicas=size,
            selector=LabelSelector(match_labels={"app": "web"}),
            template=template(image, **{"pod-template-hash": name}),
        ),
        status=ReplicaSetStatus(replicas=size, ready_replicas=ready, available_replicas=ready, observed_generation=1),
    )
