"""Whether a node takes on a Pod that is bound to it. Pure.

A scheduler has decided already, but a Pod can name its node itself, and the node may have changed. The checks, their
order and their words are those of a kubelet: resources, node affinity, host ports, taints that evict.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from orchestra.api.core import Node, Pod
from orchestra.api.quantity import Quantity
from orchestra.api.rules.affinity import accepts_node
from orchestra.api.rules.resources import pod_requests
from orchestra.api.rules.taints import untolerated
from orchestra.node.model import Refusal

_FIRST = ("cpu", "memory", "ephemeral-storage")


def refuse(pod: Pod, node: Node, others: Iterable[Pod], allocatable: Mapping[str, Quantity]) -> Refusal | None:
    """Return why `node` does not take `pod` on beside `others`, which are those with containers; None when it does."""
    present = tuple(others)
    lacking = _lacking(pod, present, allocatable)
    if lacking:
        return lacking
    if not accepts_node(pod, node):
        return _predicate("NodeAffinity", "node(s) didn't match Pod's node affinity/selector")
    taken = [port for other in present for port in _host_ports(other)]
    if any(_collide(port, other) for port in _host_ports(pod) for other in taken):
        return _predicate("NodePorts", "node(s) didn't have free ports for the requested pod ports")
    taint = untolerated(node.spec.taints, pod.spec.tolerations, ("NoExecute",))
    if taint is not None:
        return _predicate("TaintToleration", "node(s) had taints that the pod didn't tolerate")
    return None


def _lacking(pod: Pod, others: tuple[Pod, ...], allocatable: Mapping[str, Quantity]) -> Refusal | None:
    capacity = allocatable.get("pods")
    if capacity is not None and len(others) + 1 > capacity.value():
        return _out_of("pods", 1, len(others), capacity.value())
    wanted = pod_requests(pod)
    names = [*(n for n in _FIRST if n in wanted), *sorted(n for n in wanted if n not in _FIRST)]
    for name in names:
        offered = allocatable.get(name)
        asked = _amount(name, wanted[name])
        if offered is None or asked == 0:
            continue  # a resource that the node does not know is left to whoever hands it out
        used = sum(_amount(name, amount) for other in others if (amount := pod_requests(other).get(name)) is not None)
        if used + asked > _amount(name, offered):
            return _out_of(name, asked, used, _amount(name, offered))
    return None


def _amount(name: str, quantity: Quantity) -> int:
    return quantity.milli_value() if name == "cpu" else quantity.value()


def _out_of(name: str, asked: int, used: int, capacity: int) -> Refusal:
    text = f"Node didn't have enough resource: {name}, requested: {asked}, used: {used}, capacity: {capacity}"
    return Refusal(f"OutOf{name}", text, admitted=False)


def _predicate(name: str, text: str) -> Refusal:
    return Refusal(name, f"Predicate {name} failed: {text}", admitted=False)


def _host_ports(pod: Pod) -> tuple[tuple[str, str, int], ...]:
    """Return the ports of the host that a Pod takes: address (empty for all), protocol and number."""
    return tuple(
        ("" if port.host_ip in ("0.0.0.0", "::") else port.host_ip, port.protocol or "TCP", port.host_port)  # noqa: S104
        for container in (*pod.spec.init_containers, *pod.spec.containers)
        for port in container.ports
        if port.host_port
    )


def _collide(one: tuple[str, str, int], other: tuple[str, str, int]) -> bool:
    return one[1:] == other[1:] and (one[0] == other[0] or not one[0] or not other[0])
