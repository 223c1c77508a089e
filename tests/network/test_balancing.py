"""Where Services listen and which endpoint is next."""

from __future__ import annotations

import random

import pytest

from orchestra.api.core import Service, ServicePort, ServiceSpec
from orchestra.api.discovery import Endpoint, EndpointConditions, EndpointPort, EndpointSlice
from orchestra.api.object import ObjectMeta
from orchestra.network import balancing
from orchestra.network.balancing import Backend, Balancer, Frontend, Place, backends, frontends

CHOICES = tuple(Backend(f"10.0.0.{n}", 80) for n in range(3))
LOOSE = Frontend("default", "web", "http")
STICKY = Frontend("default", "web", "http", 100.0)


def service(**spec: object) -> Service:
    ports = (ServicePort(name="http", port=80), ServicePort(name="dns", port=53, protocol="UDP"))
    given = {"cluster_ip": "10.0.0.1", "ports": ports, **spec}
    return Service(metadata=ObjectMeta(name="web", namespace="default"), spec=ServiceSpec(**given))  # type: ignore[arg-type]


def test_a_service_listens_on_its_tcp_ports_at_all_its_addresses() -> None:
    assert set(frontends(service(external_ips=("10.9.9.9",)))) == {Place("10.0.0.1", 80), Place("10.9.9.9", 80)}


def test_node_ports_are_served_on_the_loopback_address() -> None:
    ports = (ServicePort(name="http", port=80, node_port=30080),)
    assert Place("127.0.0.1", 30080) in frontends(service(ports=ports))


@pytest.mark.parametrize("spec", [{"type": "ExternalName"}, {"cluster_ip": "None"}, {"cluster_ip": ""}])
def test_services_without_an_address_are_not_listened_for(spec: dict[str, str]) -> None:
    assert frontends(service(**spec)) == {}


def test_a_sticky_service_keeps_clients_for_three_hours_unless_it_says_otherwise() -> None:
    assert {f.sticky_seconds for f in frontends(service(session_affinity="ClientIP")).values()} == {10800.0}
    assert {f.sticky_seconds for f in frontends(service()).values()} == {0.0}


def _slice(port_name: str | None, port: int, *states: tuple[bool | None, bool, bool]) -> EndpointSlice:
    endpoints = tuple(
        Endpoint(addresses=(f"10.1.0.{n}",), conditions=EndpointConditions(ready=r, serving=s, terminating=t))
        for n, (r, s, t) in enumerate(states)
    )
    return EndpointSlice(address_type="IPv4", endpoints=endpoints, ports=(EndpointPort(name=port_name, port=port),))


def test_ready_endpoints_are_used_and_unknown_counts_as_ready() -> None:
    found = backends([_slice("http", 8080, (True, True, False), (False, False, False), (None, True, False))], "http")
    assert found == (Backend("10.1.0.0", 8080), Backend("10.1.0.2", 8080))


def test_those_that_end_but_serve_are_used_when_none_is_ready() -> None:
    one = _slice("http", 8080, (False, True, True), (False, False, True))
    assert backends([one], "http") == (Backend("10.1.0.0", 8080),)


def test_only_slices_with_the_port_count() -> None:
    assert backends([_slice("other", 1, (True, True, False)), _slice(None, 2, (True, True, False))], "") == (
        Backend("10.1.0.0", 2),
    )


def test_turns_go_round_and_every_endpoint_is_tried_once() -> None:
    balancer = Balancer(random.Random(1))
    orders = [balancer.order(LOOSE, CHOICES, "c", 0.0) for _ in range(6)]
    assert [orders[n][0] for n in range(3)] == [orders[n + 3][0] for n in range(3)]
    assert {order[0] for order in orders} == set(CHOICES)
    assert all(set(order) == set(CHOICES) for order in orders)


def test_without_endpoints_there_is_nothing_to_try() -> None:
    assert Balancer(random.Random(1)).order(LOOSE, (), "c", 0.0) == []


def test_a_sticky_client_is_forgotten_when_it_was_silent_for_too_long() -> None:
    balancer = Balancer(random.Random(1))
    balancer.connected(STICKY, CHOICES[2], "c", 0.0)
    assert {balancer.order(STICKY, CHOICES, "c", 99.0)[0] for _ in range(4)} == {CHOICES[2]}
    assert len({balancer.order(STICKY, CHOICES, "c", 100.0)[0] for _ in range(4)}) > 1
    assert len({balancer.order(STICKY, CHOICES, "other", 1.0)[0] for _ in range(4)}) > 1


def test_of_many_sticky_clients_the_longest_silent_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(balancing, "MAX_AFFINITIES", 2)
    balancer = Balancer(random.Random(1))
    for client in ("a", "b", "a", "c"):
        balancer.connected(STICKY, CHOICES[0], client, 0.0)
    kept = [c for c in "abc" if {balancer.order(STICKY, CHOICES, c, 1.0)[0] for _ in range(3)} == {CHOICES[0]}]
    assert kept == ["a", "c"]
