"""What exists: kinds as typed immutable classes, their scheme and codec, and the pure rules that several parts share.

JSON documents and YAML come in and typed objects go out, and back. It does no I/O, and every part may import it. Start
reading at `object.py`. Names are loaded when they are first used; the core group is in `orchestra.api.core`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestra._lazy import lazy_exports

if TYPE_CHECKING:
    from orchestra.api.apps import Deployment, DeploymentSpec, ReplicaSet, ReplicaSetSpec
    from orchestra.api.autoscaling import Scale
    from orchestra.api.codec import Document, decode, encode, from_document, to_document
    from orchestra.api.coordination import Lease
    from orchestra.api.core.cluster import Binding, Namespace
    from orchestra.api.core.config import ConfigMap, Secret
    from orchestra.api.core.container import Container
    from orchestra.api.core.event import Event
    from orchestra.api.core.node import Node
    from orchestra.api.core.pod import Pod, PodSpec, PodTemplateSpec
    from orchestra.api.core.service import Service
    from orchestra.api.discovery import EndpointSlice
    from orchestra.api.manifest import Manifest, dump_yaml, load_manifests, read_manifests
    from orchestra.api.meta import Condition, LabelSelector
    from orchestra.api.object import Object, ObjectMeta, OwnerReference, Struct, resource
    from orchestra.api.policy import PodDisruptionBudget
    from orchestra.api.quantity import Quantity
    from orchestra.api.scheduling import PodGroup, PriorityClass
    from orchestra.api.schema import Schema, struct_schema, undeclared_fields
    from orchestra.api.scheme import Scheme
    from orchestra.api.selectors import Selector, label_selector, parse_selector

_MODULES = {
    ".apps": "Deployment DeploymentSpec ReplicaSet ReplicaSetSpec",
    ".autoscaling": "Scale",
    ".codec": "Document decode encode from_document to_document",
    ".coordination": "Lease",
    ".core.cluster": "Binding Namespace",
    ".core.config": "ConfigMap Secret",
    ".core.container": "Container",
    ".core.event": "Event",
    ".core.node": "Node",
    ".core.pod": "Pod PodSpec PodTemplateSpec",
    ".core.service": "Service",
    ".discovery": "EndpointSlice",
    ".manifest": "Manifest dump_yaml load_manifests read_manifests",
    ".meta": "Condition LabelSelector",
    ".object": "Object ObjectMeta OwnerReference Struct resource",
    ".policy": "PodDisruptionBudget",
    ".quantity": "Quantity",
    ".schema": "Schema struct_schema undeclared_fields",
    ".scheduling": "PodGroup PriorityClass",
    ".scheme": "Scheme",
    ".selectors": "Selector label_selector parse_selector",
}

__getattr__ = lazy_exports(__name__, {name: module for module, names in _MODULES.items() for name in names.split()})

# fmt: off
__all__ = [
    "Binding", "Condition", "ConfigMap", "Container", "Deployment", "DeploymentSpec", "Document", "EndpointSlice",
    "Event", "LabelSelector", "Lease", "Manifest", "Namespace", "Node", "Object", "ObjectMeta", "OwnerReference",
    "Pod", "PodDisruptionBudget", "PodGroup", "PodSpec", "PodTemplateSpec", "PriorityClass", "Quantity", "ReplicaSet",
    "ReplicaSetSpec", "Scale", "Schema", "Scheme", "Secret", "Selector", "Service", "Struct", "decode", "dump_yaml",
    "encode", "from_document", "label_selector", "load_manifests", "parse_selector", "read_manifests", "resource",
    "struct_schema", "to_document", "undeclared_fields",
]
