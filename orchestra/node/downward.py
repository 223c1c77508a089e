"""The downward API: what a container may learn of its own Pod (Kubernetes documentation, "Downward API")."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from orchestra.api.core import Pod
from orchestra.api.quantity import Quantity
from orchestra.errors import ConfigurationError

if TYPE_CHECKING:
    from orchestra.api.core import Container, ResourceFieldSelector

_SUBSCRIPT = re.compile(r"^metadata\.(labels|annotations)\['(.*)'\]$")


def field_value(pod: Pod, path: str, pod_ip: str, host_ip: str) -> str:
    """Return the text of a field of the Pod; a label or annotation that is not there is empty.

    Raises ConfigurationError for a path that the downward API does not have.
    """
    meta, spec = pod.metadata, pod.spec
    simple = {
        "metadata.name": meta.name,
        "metadata.namespace": meta.namespace,
        "metadata.uid": meta.uid,
        "spec.nodeName": spec.node_name or "",
        "spec.serviceAccountName": spec.service_account_name or "",
        "spec.restartPolicy": spec.restart_policy or "",
        "status.podIP": pod_ip,
        "status.podIPs": pod_ip,
        "status.hostIP": host_ip,
        "status.hostIPs": host_ip,
    }
    if path in simple:
        return simple[path]
    maps = {"labels": meta.labels, "annotations": meta.annotations}
    match = _SUBSCRIPT.match(path)
    if match is not None:
        return maps[match.group(1)].get(match.group(2), "")
    if path in {"metadata.labels", "metadata.annotations"}:
        items = maps[path.removeprefix("metadata.")]
        return "\n".join(f"{key}={_quoted(items[key])}" for key in sorted(items))
    raise ConfigurationError(f"unsupported fieldPath: {path}")


def resource_value(
    pod: Pod, container: Container, selector: ResourceFieldSelector, allocatable: Mapping[str, object]
) -> str:
    """Return a request or limit of a container in units of the divisor, rounded up.

    An unset limit is what the node has to give, an unset request is 0.
    """
    named = next(
        (c for c in (*pod.spec.init_containers, *pod.spec.containers) if c.name == selector.container_name), None
    )
    resources = (named or container).resources
    which, _, name = selector.resource.partition(".")
    amounts = (resources.limits if which == "limits" else resources.requests) if resources else {}
    amount = amounts.get(name)
    if amount is None:
        given = allocatable.get(name)
        amount = given if which == "limits" and isinstance(given, Quantity) else Quantity("0")
    divisor = selector.divisor
    unit = Quantity("1") if divisor is None or not divisor.milli_value() else divisor
    if name == "cpu":
        return str(-(-amount.milli_value() // unit.milli_value()))
    return str(-(-amount.value() // unit.value()))


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    return f'"{escaped}"'
