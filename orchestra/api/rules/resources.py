"""What a Pod asks for as a whole, and the class of service that follows from it.

Source: Kubernetes `component-helpers/resource` and `pkg/apis/core/v1/helper/qos`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final

from orchestra.api.quantity import Quantity

if TYPE_CHECKING:
    from orchestra.api.core.container import Container
    from orchestra.api.core.pod import Pod, PodSpec
    from orchestra.api.core.resources import ResourceRequirements

Resources = Mapping[str, Quantity]

_COMPUTE: Final = ("cpu", "memory")
_HUGE_PAGES: Final = "hugepages-"


def add_resources(left: Resources, right: Resources) -> dict[str, Quantity]:
    """Return the sums of two lists of resources."""
    result = dict(left)
    for name, quantity in right.items():
        have = result.get(name)
        result[name] = quantity if have is None else have + quantity
    return result


def _greater(left: Resources, right: Resources) -> dict[str, Quantity]:
    result = dict(left)
    for name, quantity in right.items():
        have = result.get(name)
        if have is None or have < quantity:
            result[name] = quantity
    return result


def is_sidecar(container: Container) -> bool:
    """Say whether an init container goes on running beside the Pod's containers."""
    return container.restart_policy == "Always"


def _all_containers(spec: PodSpec, limits: bool) -> dict[str, Quantity]:
    """Return the most that a Pod's containers ask for at any one time.

    Containers and sidecars run together; an init container runs with the sidecars that were started before it.
    """

    def asks(container: Container) -> Resources:
        return container.resources.limits if limits else container.resources.requests

    together: dict[str, Quantity] = {}
    for container in spec.containers:
        together = add_resources(together, asks(container)) if together else dict(asks(container))
    if not spec.init_containers:
        return together
    sidecars: dict[str, Quantity] = {}
    starting: dict[str, Quantity] = {}
    for container in spec.init_containers:
        if is_sidecar(container):
            together = add_resources(together, asks(container))
            sidecars = add_resources(sidecars, asks(container))
            starting = _greater(starting, sidecars)
        else:
            starting = _greater(starting, add_resources(sidecars, asks(container)))
    return _greater(together, starting)


def _of_pod(own: Resources) -> dict[str, Quantity]:
    return {name: value for name, value in own.items() if name in _COMPUTE or name.startswith(_HUGE_PAGES)}


def pod_requests(pod: Pod) -> dict[str, Quantity]:
    """Return what a Pod takes of a node, by resource: what the Pod itself states wins, overhead comes on top."""
    spec = pod.spec
    total = _all_containers(spec, limits=False)
    if spec.resources is not None and spec.resources.requests:
        total |= _of_pod(spec.resources.requests)
    return add_resources(total, spec.overhead) if spec.overhead else total


def pod_limits(pod: Pod) -> dict[str, Quantity]:
    """Return what a Pod may use at most, by resource; overhead counts where there is a limit."""
    spec = pod.spec
    total = _all_containers(spec, limits=True)
    if spec.resources is not None and spec.resources.limits:
        total |= _of_pod(spec.resources.limits)
    for name, quantity in spec.overhead.items():
        if name in total:
            total[name] += quantity
    return total


def qos_class(pod: Pod) -> str:
    """Return `Guaranteed`, `Burstable` or `BestEffort`.

    Guaranteed: every container limits cpu and memory, and requests are equal to limits. BestEffort: nothing is asked.
    """
    spec = pod.spec
    own = spec.resources
    asking: Iterable[ResourceRequirements]
    if own is not None and (own.requests or own.limits):
        asking = (own,)
    else:
        asking = [container.resources for container in (*spec.containers, *spec.init_containers)]
    requests: dict[str, Quantity] = {}
    limits: dict[str, Quantity] = {}
    all_limited = True
    for resources in asking:
        limited = _compute(resources.limits)
        requests = add_resources(requests, _compute(resources.requests))
        limits = add_resources(limits, limited)
        all_limited = all_limited and len(limited) == len(_COMPUTE)
    if not requests and not limits:
        return "BestEffort"
    return "Guaranteed" if all_limited and requests == limits else "Burstable"


def _compute(resources: Resources) -> dict[str, Quantity]:
    return {name: quantity for name in _COMPUTE if (quantity := resources.get(name))}
