"""Defaults of Pods and of templates of Pods. Source: core/v1 defaults and conversion of Kubernetes 1.36.

Defaulting a spec is remembered by its bytes: the Pods of one controller have equal specs, and then share one document.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import orjson

from orchestra.apiserver.bounds import dumps
from orchestra.apiserver.defaults.canonical import canonical
from orchestra.apiserver.defaults.containers import (
    default_container,
    each,
    ports_on_host,
    requests_from_limits,
)
from orchestra.apiserver.defaults.volumes import default_volume

Document = dict[str, Any]
REMEMBERED_SPECS = 256
MAX_REMEMBERED_BYTES = 64 * 1024
GRACE_SECONDS = 30

_CONTAINERS = ("initContainers", "containers", "ephemeralContainers")
_STOPPABLE = ("initContainers", "containers")


def _fill_spec(spec: Document, *, of_pod: bool) -> Document:
    new = dict(spec)
    if not new.get("restartPolicy"):
        new["restartPolicy"] = "Always"
    if not new.get("dnsPolicy"):
        new["dnsPolicy"] = "ClusterFirst"
    if new.get("terminationGracePeriodSeconds") is None:
        new["terminationGracePeriodSeconds"] = GRACE_SECONDS
    if new.get("securityContext") is None:
        new["securityContext"] = {}
    if not new.get("schedulerName"):
        new["schedulerName"] = "default-scheduler"
    account = new.get("serviceAccountName") or new.get("serviceAccount")
    if account:
        new["serviceAccountName"] = new["serviceAccount"] = account
    for kind in _CONTAINERS:
        if new.get(kind):
            new[kind] = each(new[kind], default_container)
    if new.get("volumes"):
        new["volumes"] = each(new["volumes"], default_volume)
    if of_pod:
        _fill_pod_spec(new)
    return new


def _fill_pod_spec(new: Document) -> None:
    if new.get("enableServiceLinks") is None:
        new["enableServiceLinks"] = True
    for kind in _STOPPABLE:
        if new.get(kind):
            new[kind] = each(new[kind], requests_from_limits)
            if new.get("hostNetwork"):
                new[kind] = each(new[kind], ports_on_host)
    if (new.get("resources") or {}).get("limits"):
        new["resources"] = requests_from_limits({"resources": new["resources"]})["resources"]


def _default_spec(spec: Document, of_pod: bool) -> Document:
    from orchestra.api.core.pod import PodSpec

    clean = canonical(spec, PodSpec)
    filled = _fill_spec(clean, of_pod=of_pod)
    return spec if filled == spec else filled


@lru_cache(REMEMBERED_SPECS)
def _remembered(spec: bytes, of_pod: bool) -> tuple[Document, bool]:
    document = orjson.loads(spec)
    filled = _default_spec(document, of_pod)
    return filled, filled is document


def default_pod_spec(spec: Document, *, of_pod: bool) -> Document:
    """Return a PodSpec with everything filled in, the same object if nothing was open."""
    encoded = dumps(spec)
    if len(encoded) > MAX_REMEMBERED_BYTES:
        return _default_spec(spec, of_pod)
    filled, same = _remembered(encoded, of_pod)
    return spec if same else filled


def default_template(template: Document | None) -> Document:
    """Return a template of Pods with its spec filled in."""
    found = template or {}
    spec = found.get("spec") or {}
    filled = default_pod_spec(spec, of_pod=False)
    new = found if filled is spec and "spec" in found else {**found, "spec": filled}
    meta = clean_metadata(new.get("metadata"))
    if meta is new.get("metadata"):
        return new
    return {
        **{name: value for name, value in new.items() if name != "metadata"},
        **({"metadata": meta} if meta else {}),
    }


def clean_metadata(meta: Mapping[str, Any] | None) -> Any:
    """Return metadata in canonical form."""
    from orchestra.api.object import ObjectMeta

    return None if meta is None else canonical(meta, ObjectMeta)


def _one_address(status: Document) -> Document:
    """Return a Pod's status in which podIP is the first of podIPs; where they differ, podIP is right."""
    address, addresses = status.get("podIP"), status.get("podIPs")
    if address and (not addresses or addresses[0].get("ip") != address):
        return {**status, "podIPs": [{"ip": address}]}
    if addresses and not address and addresses[0].get("ip"):
        return {**status, "podIP": addresses[0]["ip"]}
    return status


def default_pod_status(status: Document) -> Document:
    """Return a Pod's status in canonical form, with its addresses consistent."""
    from orchestra.api.core.status import PodStatus

    return _one_address(canonical(status, PodStatus))


def default_pod(document: Document) -> Document:
    """Return a Pod with everything filled in that Kubernetes fills in before admission."""
    new = dict(document)
    new["spec"] = default_pod_spec(document.get("spec") or {}, of_pod=True)
    if document.get("metadata") is not None:
        new["metadata"] = clean_metadata(document["metadata"])
    if document.get("status") is not None:
        new["status"] = default_pod_status(document["status"])
    for name in [name for name, value in new.items() if value is None]:
        del new[name]
    return document if _same(new, document) else new


def _same(new: Mapping[str, Any], old: Mapping[str, Any]) -> bool:
    return new.keys() == old.keys() and all(value is old[name] for name, value in new.items())
