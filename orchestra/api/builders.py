"""Short ways to write objects, for tests, examples and scripts: what is not said gets a sensible value.

    pod("web", cpu="100m", labels={"app": "web"})
    pod("team/web", node="n1")                              # another namespace, already bound
    pod("web", tolerations=[toleration("gpu:NoSchedule")])  # every further keyword is a field of the spec
    node("n1", cpu="4", memory="16Gi", taints=[taint("gpu=a100:NoSchedule")])
    deployment("web", replicas=3, image="web:2")
    service("web", port=80, target_port=8080)

A name may be written `namespace/name`; without a namespace it is `default`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import attrs

from orchestra.api.apps import Deployment, DeploymentSpec, ReplicaSet, ReplicaSetSpec
from orchestra.api.coordination import Lease, LeaseSpec
from orchestra.api.core.affinity import Toleration
from orchestra.api.core.cluster import Namespace
from orchestra.api.core.config import ConfigMap, Secret
from orchestra.api.core.container import Container, ContainerPort
from orchestra.api.core.container_status import ContainerState, ContainerStateRunning, ContainerStatus
from orchestra.api.core.node import Node, NodeCondition, NodeSpec, NodeStatus, Taint
from orchestra.api.core.pod import Pod, PodSpec, PodTemplateSpec
from orchestra.api.core.resources import ResourceRequirements
from orchestra.api.core.service import Service, ServicePort, ServiceSpec
from orchestra.api.core.status import PodCondition, PodIP
from orchestra.api.frozen import ABSENT_MAP
from orchestra.api.meta import LabelSelector
from orchestra.api.object import MicroTime, ObjectMeta
from orchestra.api.quantity import Quantity

EPOCH: Final = datetime(2026, 1, 1, tzinfo=UTC)
"""The time that objects say when a test does not care which."""

Amount = str | int | Quantity


def meta(name: str, labels: Mapping[str, str] = ABSENT_MAP, **fields: Any) -> ObjectMeta:
    """Return metadata for `name` or `namespace/name`."""
    namespace, _, rest = name.rpartition("/")
    return ObjectMeta(name=rest, namespace=namespace or "default", labels=labels, **fields)


def resources(**amounts: Amount) -> ResourceRequirements:
    """Return requests for these amounts: `resources(cpu="100m", memory="64Mi")`; empty amounts are left out."""
    wanted = {name: Quantity(amount) for name, amount in amounts.items() if amount != ""}
    return ResourceRequirements(requests=wanted) if wanted else ResourceRequirements()


def container(
    name: str = "main", *, image: str = "image", cpu: Amount = "", memory: Amount = "", port: int = 0, **fields: Any
) -> Container:
    """Return a container; `port` declares one TCP port, `cpu` and `memory` are requests."""
    if port:
        fields.setdefault("ports", (ContainerPort(container_port=port, protocol="TCP"),))
    fields.setdefault("resources", resources(cpu=cpu, memory=memory))
    return Container(name=name, image=image, **fields)


def pod(
    name: str = "pod",
    *,
    cpu: Amount = "",
    memory: Amount = "",
    labels: Mapping[str, str] = ABSENT_MAP,
    node: str = "",
    **spec: Any,
) -> Pod:
    """Return a Pod with one container that requests `cpu` and `memory`, unless `containers` says otherwise."""
    spec.setdefault("containers", (container(cpu=cpu, memory=memory),))
    return Pod(metadata=meta(name, labels), spec=PodSpec(node_name=node, **spec))


def running(target: Pod, *, ip: str = "", at: datetime = EPOCH) -> Pod:
    """Return the Pod as its node would report it once all containers run and are ready."""
    statuses = tuple(
        ContainerStatus(
            name=item.name,
            image=item.image,
            ready=True,
            started=True,
            state=ContainerState(running=ContainerStateRunning(started_at=at)),
        )
        for item in target.spec.containers
    )
    kinds = ("PodScheduled", "Initialized", "ContainersReady", "Ready")
    conditions = tuple(PodCondition(type=kind, status="True", last_transition_time=at) for kind in kinds)
    status = attrs.evolve(
        target.status,
        phase="Running",
        conditions=conditions,
        container_statuses=statuses,
        start_time=at,
        pod_ip=ip,
        pod_ips=(PodIP(ip=ip),) if ip else (),
    )
    return attrs.evolve(target, status=status)


def node(
    name: str = "node",
    *,
    cpu: Amount = "4",
    memory: Amount = "16Gi",
    pods: int = 110,
    labels: Mapping[str, str] = ABSENT_MAP,
    **spec: Any,
) -> Node:
    """Return a node that is Ready and can be scheduled to; its hostname label is its name."""
    amounts = {"cpu": Quantity(cpu), "memory": Quantity(memory), "pods": Quantity(pods)}
    ready = NodeCondition(
        type="Ready", status="True", reason="KubeletReady", last_heartbeat_time=EPOCH, last_transition_time=EPOCH
    )
    return Node(
        metadata=ObjectMeta(name=name, labels={"kubernetes.io/hostname": name, **labels}),
        spec=NodeSpec(**spec),
        status=NodeStatus(capacity=amounts, allocatable=amounts, conditions=(ready,)),
    )


def taint(text: str) -> Taint:
    """Return the taint that `key=value:Effect` or `key:Effect` spells."""
    key, value, effect = _taint_parts(text)
    return Taint(key=key, value=value, effect=effect)


def toleration(text: str, *, seconds: int | None = None) -> Toleration:
    """Return the toleration for the taint that `text` spells; without a value any value is tolerated."""
    key, value, effect = _taint_parts(text)
    operator = "Equal" if value else "Exists"
    return Toleration(key=key, operator=operator, value=value, effect=effect, toleration_seconds=seconds)


def _taint_parts(text: str) -> tuple[str, str, str]:
    rest, _, effect = text.partition(":")
    key, _, value = rest.partition("=")
    return key, value, effect


def template(labels: Mapping[str, str], *, image: str = "image", **spec: Any) -> PodTemplateSpec:
    """Return a template for Pods with these labels and one container."""
    spec.setdefault("containers", (container(image=image),))
    return PodTemplateSpec(metadata=ObjectMeta(labels=labels), spec=PodSpec(**spec))


def deployment(
    name: str = "web",
    *,
    replicas: int = 1,
    labels: Mapping[str, str] = ABSENT_MAP,
    image: str = "image",
    **spec: Any,
) -> Deployment:
    """Return a Deployment; its Pods have `labels`, by default `app: NAME`."""
    labels = labels or {"app": name.rpartition("/")[2]}
    spec.setdefault("selector", LabelSelector(match_labels=labels))
    spec.setdefault("template", template(labels, image=image))
    return Deployment(metadata=meta(name, labels), spec=DeploymentSpec(replicas=replicas, **spec))


def replica_set(
    name: str = "web",
    *,
    replicas: int = 1,
    labels: Mapping[str, str] = ABSENT_MAP,
    image: str = "image",
    **spec: Any,
) -> ReplicaSet:
    """Return a ReplicaSet; its Pods have `labels`, by default `app: NAME`."""
    labels = labels or {"app": name.rpartition("/")[2]}
    spec.setdefault("selector", LabelSelector(match_labels=labels))
    spec.setdefault("template", template(labels, image=image))
    return ReplicaSet(metadata=meta(name, labels), spec=ReplicaSetSpec(replicas=replicas, **spec))


def service(
    name: str = "web",
    *,
    port: int = 80,
    target_port: int | str | None = None,
    selector: Mapping[str, str] = ABSENT_MAP,
    **spec: Any,
) -> Service:
    """Return a Service for one TCP port; it selects `app: NAME` unless `selector` says otherwise."""
    spec.setdefault("ports", (ServicePort(port=port, target_port=target_port, protocol="TCP"),))
    wanted = selector or {"app": name.rpartition("/")[2]}
    return Service(metadata=meta(name), spec=ServiceSpec(selector=wanted, **spec))


def config_map(name: str = "config", data: Mapping[str, str] = ABSENT_MAP) -> ConfigMap:
    """Return a ConfigMap of texts."""
    return ConfigMap(metadata=meta(name), data=data)


def secret(name: str = "secret", data: Mapping[str, str | bytes] = ABSENT_MAP) -> Secret:
    """Return a Secret of type Opaque; text becomes UTF-8."""
    values = {key: value.encode() if isinstance(value, str) else value for key, value in data.items()}
    return Secret(metadata=meta(name), data=values, type="Opaque")


def namespace(name: str, labels: Mapping[str, str] = ABSENT_MAP) -> Namespace:
    """Return a namespace."""
    return Namespace(metadata=ObjectMeta(name=name, labels=labels))


def lease(name: str, *, holder: str = "", seconds: int = 40, renewed: datetime = EPOCH) -> Lease:
    """Return a lease that `holder` renewed at some time."""
    spec = LeaseSpec(holder_identity=holder or None, lease_duration_seconds=seconds, renew_time=MicroTime(renewed))
    return Lease(metadata=meta(name), spec=spec)
