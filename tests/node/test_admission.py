"""Whether a node takes a Pod on."""

from __future__ import annotations

import attrs
import pytest

from orchestra.api.builders import node, resources, taint
from orchestra.api.core import ContainerPort, Pod
from orchestra.api.quantity import Quantity
from orchestra.node.admission import refuse

from .kit import container, pod

ROOM = {"cpu": Quantity("2"), "memory": Quantity("1Gi"), "pods": Quantity("3")}
NODE = node("n")


def asking(**amounts: str) -> Pod:
    return pod(container(resources=resources(**amounts)))


def on_port(port: int, protocol: str = "TCP", ip: str = "") -> Pod:
    return pod(container(ports=(ContainerPort(container_port=80, host_port=port, protocol=protocol, host_ip=ip),)))


def verdict(of: Pod, *others: Pod) -> tuple[str, str]:
    refusal = refuse(of, NODE, others, ROOM)
    return ("", "") if refusal is None else (refusal.reason, refusal.message)


def test_a_pod_that_fits_is_taken_on() -> None:
    assert verdict(asking(cpu="1", memory="1Gi"), asking(cpu="1")) == ("", "")


def test_the_first_resource_that_is_lacking_is_named() -> None:
    assert verdict(asking(cpu="1500m", memory="2Gi"), asking(cpu="600m")) == (
        "OutOfcpu",
        "Node didn't have enough resource: cpu, requested: 1500, used: 600, capacity: 2000",
    )
    assert verdict(asking(memory="2Gi"))[0] == "OutOfmemory"


def test_the_number_of_pods_is_bounded() -> None:
    assert verdict(pod(), pod(), pod(), pod()) == (
        "OutOfpods",
        "Node didn't have enough resource: pods, requested: 1, used: 3, capacity: 3",
    )


def test_a_resource_that_the_node_does_not_know_is_no_reason() -> None:
    assert verdict(asking(**{"example.test/gpu": "1"})) == ("", "")


def test_a_node_that_the_pod_does_not_want_refuses_it() -> None:
    assert verdict(pod(node_selector={"no": "such"})) == (
        "NodeAffinity",
        "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector",
    )


@pytest.mark.parametrize(
    ("other", "refused"),
    [
        (on_port(80), True),
        (on_port(80, "UDP"), False),
        (on_port(81), False),
        (on_port(80, ip="127.0.0.2"), True),
        (on_port(80, ip="0.0.0.0"), True),
    ],
)
def test_a_port_of_the_host_has_one_pod(other: Pod, refused: bool) -> None:
    assert verdict(on_port(80), other)[0] == ("NodePorts" if refused else "")


def test_two_addresses_of_the_host_have_ports_of_their_own() -> None:
    assert verdict(on_port(80, ip="127.0.0.1"), on_port(80, ip="127.0.0.2")) == ("", "")


def test_a_taint_that_evicts_keeps_a_pod_out() -> None:
    tainted = attrs.evolve(NODE, spec=attrs.evolve(NODE.spec, taints=(taint("k=v:NoExecute"),)))
    refusal = refuse(pod(), tainted, (), ROOM)
    assert refusal is not None
    assert refusal.reason == "TaintToleration"
    merely = attrs.evolve(NODE, spec=attrs.evolve(NODE.spec, taints=(taint("k=v:NoSchedule"),)))
    assert refuse(pod(), merely, (), ROOM) is None
