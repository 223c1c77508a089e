"""What the objects of a namespace use of its ResourceQuotas. Pure.

After the quota evaluators of Kubernetes 1.36 (pkg/quota/v1/evaluator/core): a Pod that has ended uses nothing but its
place among the objects (`count/pods`), and a quota with scopes counts the objects that are in all of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from orchestra.api.core import Pod, Service
from orchestra.api.core.persistentvolume import PersistentVolumeClaim
from orchestra.api.core.quota import ResourceQuota, ResourceQuotaStatus, ScopedResourceSelectorRequirement
from orchestra.api.object import Object, ResourceInfo
from orchestra.api.quantity import Quantity
from orchestra.api.rules import add_resources, is_terminal, pod_limits, pod_requests, qos_class

Usage = Mapping[str, Quantity]

ONE = Quantity("1")
ZERO = Quantity("0")
COMPUTE = ("cpu", "memory", "ephemeral-storage")
COUNTED = frozenset({"configmaps", "resourcequotas", "replicationcontrollers", "secrets"})
CLASSES = ".storageclass.storage.k8s.io/"
_CLAIMED = ("persistentvolumeclaims", "requests.storage")


def counted_kinds(names: Iterable[str], known: Iterable[ResourceInfo]) -> tuple[ResourceInfo, ...]:
    """Return the kinds whose objects the resources of a quota are about."""
    plurals = {_plural(name) for name in names}
    found: dict[str, ResourceInfo] = {}
    for info in known:
        name = f"{info.plural}.{info.group}" if info.group else info.plural
        if info.namespaced and name in plurals:
            found.setdefault(name, info)
    return tuple(found.values())


def _plural(name: str) -> str:
    if name.startswith("count/"):
        return name.removeprefix("count/")
    if name in COUNTED:
        return name
    if name.startswith("services"):
        return "services"
    if name.endswith(_CLAIMED):
        return "persistentvolumeclaims"
    return "pods"


def usage(obj: Object) -> Usage:
    """Return what one object uses, by the names of quotas."""
    info = obj.resource_info
    name = f"{info.plural}.{info.group}" if info.group else info.plural
    used: dict[str, Quantity] = {f"count/{name}": ONE}
    if isinstance(obj, Pod):
        used |= {} if is_terminal(obj) else _of_pod(obj)
    elif isinstance(obj, Service):
        used |= _of_service(obj)
    elif isinstance(obj, PersistentVolumeClaim):
        used |= _of_claim(obj)
    elif name in COUNTED:
        used[name] = ONE
    return used


def _of_pod(pod: Pod) -> Usage:
    used: dict[str, Quantity] = {"pods": ONE}
    for name, amount in pod_requests(pod).items():
        used[f"requests.{name}"] = amount
        if name in COMPUTE or name.startswith("hugepages-"):
            used[name] = amount
    for name, amount in pod_limits(pod).items():
        if name in COMPUTE:
            used[f"limits.{name}"] = amount
    return used


def _of_service(service: Service) -> Usage:
    spec = service.spec
    balanced = spec.type == "LoadBalancer"
    numbered = len(spec.ports) if balanced or spec.type == "NodePort" else 0
    if balanced and spec.allocate_load_balancer_node_ports is False:
        numbered = sum(bool(port.node_port) for port in spec.ports)
    return {
        "services": ONE,
        "services.nodeports": Quantity(str(numbered)),
        "services.loadbalancers": ONE if balanced else ZERO,
    }


def _of_claim(claim: PersistentVolumeClaim) -> Usage:
    used = {"persistentvolumeclaims": ONE}
    asked = claim.spec.resources.requests.get("storage") if claim.spec.resources is not None else None
    if asked is not None:
        used["requests.storage"] = asked
    name = claim.spec.storage_class_name
    if name:
        used |= {f"{name}{CLASSES}{resource}": amount for resource, amount in used.items()}
    return used


def in_scopes(quota: ResourceQuota, obj: Object) -> bool:
    """Say whether a quota counts an object; one with scopes counts only Pods and claims that are in all of them."""
    wanted = [ScopedResourceSelectorRequirement(scope_name=name, operator="Exists") for name in quota.spec.scopes]
    if quota.spec.scope_selector is not None:
        wanted += quota.spec.scope_selector.match_expressions
    return all(_in_scope(obj, one) for one in wanted)


def _in_scope(obj: Object, wanted: ScopedResourceSelectorRequirement) -> bool:
    scope = wanted.scope_name
    if isinstance(obj, PersistentVolumeClaim):
        name = obj.spec.volume_attributes_class_name
        return scope == "VolumeAttributesClass" and _selected(name, wanted)
    if not isinstance(obj, Pod):
        return False
    match scope:
        case "Terminating" | "NotTerminating":
            return (obj.spec.active_deadline_seconds is not None) is (scope == "Terminating")
        case "BestEffort" | "NotBestEffort":
            return (qos_class(obj) == "BestEffort") is (scope == "BestEffort")
        case "PriorityClass":
            return _selected(obj.spec.priority_class_name, wanted)
        case "CrossNamespacePodAffinity":
            return _crosses(obj)
    return False


def _selected(value: str | None, wanted: ScopedResourceSelectorRequirement) -> bool:
    match wanted.operator:
        case "In":
            return bool(value) and value in wanted.values
        case "NotIn":
            return not value or value not in wanted.values
        case "DoesNotExist":
            return not value
    return bool(value)


def _crosses(pod: Pod) -> bool:
    affinity = pod.spec.affinity
    terms: list[Any] = []
    for part in (affinity.pod_affinity, affinity.pod_anti_affinity) if affinity is not None else ():
        if part is not None:
            terms += part.required_during_scheduling_ignored_during_execution
            terms += (one.pod_affinity_term for one in part.preferred_during_scheduling_ignored_during_execution)
    return any(term.namespaces or term.namespace_selector is not None for term in terms)


def status_of(quota: ResourceQuota, objects: Iterable[Object]) -> ResourceQuotaStatus:
    """Return the status that a quota should have when these objects are in its namespace."""
    total: dict[str, Quantity] = {}
    for obj in objects:
        if in_scopes(quota, obj):
            total = add_resources(total, usage(obj))
    hard = quota.spec.hard
    return attrs.evolve(quota.status, hard=hard, used={name: total.get(name, ZERO) for name in sorted(hard)})
