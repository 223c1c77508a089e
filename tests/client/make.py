"""Short objects for the contract suite."""

from __future__ import annotations

from typing import Any

from orchestra.api.apps import Deployment, DeploymentSpec
from orchestra.api.core.config import ConfigMap
from orchestra.api.core.container import Container
from orchestra.api.core.pod import Pod, PodSpec, PodTemplateSpec
from orchestra.api.core.service import Service, ServicePort, ServiceSpec
from orchestra.api.meta import LabelSelector
from orchestra.api.object import ObjectMeta


def meta(name: str = "", **fields: Any) -> ObjectMeta:
    return ObjectMeta(name=name, **{"namespace": "default", **fields})


def pod(name: str = "p", *, node: str | None = None, containers: tuple[str, ...] = ("c",), **fields: Any) -> Pod:
    made = tuple(Container(name=container, image="img:1") for container in containers)
    return Pod(metadata=meta(name, **fields), spec=PodSpec(containers=made, node_name=node))


def config(name: str, data: dict[str, str] | None = None, **fields: Any) -> ConfigMap:
    return ConfigMap(metadata=meta(name, **fields), data=data if data is not None else {"k": name})


def deployment(name: str = "web", replicas: int = 1) -> Deployment:
    template = PodTemplateSpec(
        metadata=ObjectMeta(labels={"app": name}), spec=PodSpec(containers=(Container(name="c", image="img:1"),))
    )
    spec = DeploymentSpec(replicas=replicas, selector=LabelSelector(match_labels={"app": name}), template=template)
    return Deployment(metadata=meta(name), spec=spec)


def service(name: str = "s", **fields: Any) -> Service:
    spec = ServiceSpec(**{"selector": {"app": "a"}, "ports": (ServicePort(port=80),), **fields})
    return Service(metadata=meta(name), spec=spec)
