"""What the path of a request names, and which methods it takes: the resource paths of Kubernetes' API, without I/O."""

from __future__ import annotations

from typing import Final

import attrs

from orchestra.api.object import ResourceInfo
from orchestra.api.scheme import Scheme
from orchestra.apiserver import refusals

OF_SUBRESOURCE: Final = {
    "status": frozenset({"GET", "PUT", "PATCH"}),
    "scale": frozenset({"GET", "PUT", "PATCH"}),
    "ephemeralcontainers": frozenset({"GET", "PUT", "PATCH"}),
    "resize": frozenset({"GET", "PUT", "PATCH"}),
    "approval": frozenset({"GET", "PUT", "PATCH"}),
    "finalize": frozenset({"PUT"}),
    "binding": frozenset({"POST"}),
    "eviction": frozenset({"POST"}),
    "log": frozenset({"GET"}),
    "diagnosis": frozenset({"GET"}),
}
"""The methods of each subresource."""

_OF_COLLECTION: Final = frozenset({"GET", "POST", "DELETE"})
_OF_OBJECT: Final = frozenset({"GET", "PUT", "PATCH", "DELETE"})
_ONLY_CREATED: Final = frozenset({"Binding"})
_WITHOUT_PATH: Final = frozenset({"Eviction.policy", "Scale.autoscaling"})
"""Kinds that are only the bodies of subresources."""

_OF_NAMESPACES: Final = ("status", "finalize")


@attrs.frozen(kw_only=True)
class Route:
    """What a path names. `namespace` None: every one, or the kind has none; an empty `name` means the collection."""

    info: ResourceInfo
    namespace: str | None = None
    name: str = ""
    subresource: str = ""


def route_of(path: str, scheme: Scheme) -> Route:
    """Return what a path names; raises NotFound when there is no such kind or subresource."""
    parts = path.strip("/").split("/")
    if parts[0] == "api" and len(parts) > 2:
        api_version, rest = parts[1], parts[2:]
    elif parts[0] == "apis" and len(parts) > 3:
        api_version, rest = "/".join(parts[1:3]), parts[3:]
    else:
        raise refusals.no_resource()
    namespace = None
    if rest[0] == "namespaces" and len(rest) > 2 and rest[2] not in _OF_NAMESPACES:
        namespace, rest = rest[1], rest[2:]
    if len(rest) > 3:
        raise refusals.no_resource()
    plural, name, subresource = (*rest, "", "")[:3]
    info = _kind(scheme, api_version, plural)
    if info is None or (namespace is not None and not info.namespaced):
        raise refusals.no_resource()
    if name and info.namespaced and namespace is None:
        raise refusals.no_resource()
    if subresource and subresource not in info.subresources:
        raise refusals.no_resource()
    return Route(info=info, namespace=namespace, name=name, subresource=subresource)


def check_method(route: Route, method: str) -> None:
    """Raise MethodNotAllowed for a method that this place does not take."""
    if method not in _methods(route):
        raise refusals.method_not_allowed()


def _methods(route: Route) -> frozenset[str]:
    if route.subresource:
        return OF_SUBRESOURCE.get(route.subresource, frozenset())
    if route.info.group_kind in _ONLY_CREATED:
        return frozenset() if route.name else frozenset({"POST"})
    if route.name:
        return _OF_OBJECT
    if route.info.namespaced and route.namespace is None:
        return frozenset({"GET"})
    return _OF_COLLECTION


def _kind(scheme: Scheme, api_version: str, plural: str) -> ResourceInfo | None:
    for info in scheme:
        if info.plural == plural and info.api_version == api_version:
            return None if info.group_kind in _WITHOUT_PATH else info
    return None
