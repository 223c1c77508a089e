"""What EndpointSlices hold, and how few writes keep them right."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestra.api.core import (
    Container,
    ContainerPort,
    Node,
    Pod,
    PodCondition,
    PodSpec,
    PodStatus,
    Service,
    ServicePort,
    ServiceSpec,
)
from orchestra.api.discovery import Endpoint, EndpointSlice
from orchestra.api.object import ObjectMeta
from orchestra.network.slices import MAX_ENDPOINTS, SliceChanges, changes, endpoint_of, ports_of

SERVICE = Service(
    metadata=ObjectMeta(name="web", namespace="default", uid="s", labels={"team": "a"}),
    spec=ServiceSpec(selector={"app": "web"}, cluster_ip="10.0.0.1", ports=(ServicePort(name="http", port=80),)),
)


def pod(number: int, *, ready: bool = True, **given: Any) -> Pod:
    conditions = (PodCondition(type="Ready", status="True" if ready else "False"),)
    meta = ObjectMeta(name=f"p{number}", namespace="default", uid=f"u{number}", **given.pop("meta", {}))
    ports = tuple(ContainerPort(name=name, container_port=port) for name, port in given.pop("ports", {}).items())
    container = Container(name="c", image="i", ports=ports)
    status = {"pod_ip": f"10.1.{number // 250}.{number % 250}", "phase": "Running", **given.pop("status", {})}
    return Pod(
        metadata=meta,
        spec=PodSpec(containers=(container,), node_name="n1", **given),
        status=PodStatus(conditions=conditions, **status),
    )


def apply(present: Sequence[EndpointSlice], wanted: SliceChanges) -> list[EndpointSlice]:
    """Return the slices after the writes."""
    gone = {one.metadata.name for one in wanted.delete}
    updated = {one.metadata.name: one for one in wanted.update}
    kept = [updated.get(one.metadata.name, one) for one in present if one.metadata.name not in gone]
    number = max((int(one.metadata.name) for one in present), default=0)
    for one in wanted.create:
        number += 1
        kept.append(attrs.evolve(one, metadata=attrs.evolve(one.metadata, name=str(number))))
    return kept


def settled(
    pods: Iterable[Pod], present: Sequence[EndpointSlice] = (), service: Service = SERVICE
) -> list[EndpointSlice]:
    return apply(present, changes(service, pods, {}, present))


def writes(wanted: SliceChanges) -> int:
    return len(wanted.create) + len(wanted.update) + len(wanted.delete)


def made(subject: Pod, service: Service = SERVICE, nodes: dict[str, Node] | None = None) -> Endpoint:
    endpoint = endpoint_of(subject, service, nodes or {})
    assert endpoint is not None
    return endpoint


def test_a_service_without_pods_has_one_empty_slice_without_ports() -> None:
    (one,) = settled([])
    assert (one.endpoints, one.ports) == ((), ())
    assert writes(changes(SERVICE, [], {}, [one])) == 0


def test_a_slice_carries_the_labels_of_its_service_and_is_owned_by_it() -> None:
    (one,) = settled([pod(1)])
    assert one.metadata.labels == {
        "team": "a",
        "kubernetes.io/service-name": "web",
        "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
    }
    assert [owner.uid for owner in one.metadata.owner_references] == ["s"]


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        (pod(1), (True, True, False)),
        (pod(1, ready=False), (False, False, False)),
    ],
)
def test_conditions_say_whether_a_pod_is_ready(subject: Pod, expected: tuple[bool, bool, bool]) -> None:
    conditions = made(subject).conditions
    assert (conditions.ready, conditions.serving, conditions.terminating) == expected


def test_a_pod_that_is_ending_is_not_ready_but_may_serve() -> None:
    conditions = made(pod(1, meta={"deletion_timestamp": datetime(2026, 1, 1, tzinfo=UTC)})).conditions
    assert (conditions.ready, conditions.serving, conditions.terminating) == (False, True, True)


def test_services_that_publish_unready_addresses_call_them_ready() -> None:
    service = attrs.evolve(SERVICE, spec=attrs.evolve(SERVICE.spec, publish_not_ready_addresses=True))
    conditions = made(pod(1, ready=False), service).conditions
    assert (conditions.ready, conditions.serving) == (True, False)


@pytest.mark.parametrize("status", [{"pod_ip": ""}, {"phase": "Succeeded"}, {"phase": "Failed"}])
def test_pods_without_address_and_those_that_have_ended_are_left_out(status: dict[str, Any]) -> None:
    assert endpoint_of(pod(1, status=status), SERVICE, {}) is None


def test_a_pod_of_the_services_subdomain_has_its_name() -> None:
    assert made(pod(1, hostname="a", subdomain="web")).hostname == "a"
    assert made(pod(1, hostname="a", subdomain="other")).hostname is None


def test_the_zone_is_that_of_the_node() -> None:
    node = Node(metadata=ObjectMeta(name="n1", labels={"topology.kubernetes.io/zone": "z"}))
    assert made(pod(1), nodes={"n1": node}).zone == "z"


def test_a_named_port_is_looked_up_in_the_pod_and_left_out_when_it_is_not_there() -> None:
    port = ServicePort(name="http", port=80, target_port="web")
    service = attrs.evolve(SERVICE, spec=attrs.evolve(SERVICE.spec, ports=(port,)))
    assert [p.port for p in ports_of(pod(1, ports={"web": 8080}), service)] == [8080]
    assert ports_of(pod(1, ports={"other": 8080}), service) == ()
    found = settled([pod(1, ports={"web": 1}), pod(2, ports={"web": 2}), pod(3)], service=service)
    assert sorted((len(one.ports), len(one.endpoints)) for one in found) == [(0, 1), (1, 1), (1, 1)]


def test_no_slice_holds_more_than_a_hundred() -> None:
    assert [len(one.endpoints) for one in settled([pod(n) for n in range(250)])] == [100, 100, 50]


def test_one_changed_pod_of_many_is_one_write() -> None:
    pods = [pod(n) for n in range(250)]
    present = settled(pods)
    pods[120] = pod(120, ready=False)
    wanted = changes(SERVICE, pods, {}, present)
    assert (len(wanted.create), len(wanted.update), len(wanted.delete)) == (0, 1, 0)


def test_a_new_pod_goes_where_there_is_room() -> None:
    present = settled([pod(n) for n in range(150)])
    wanted = changes(SERVICE, [pod(n) for n in range(151)], {}, present)
    assert writes(wanted) == 1
    assert [len(one.endpoints) for one in apply(present, wanted)] == [100, 51]


def test_slices_that_would_go_are_filled_with_what_new_ones_would_hold() -> None:
    (empty,) = settled([])
    wanted = changes(SERVICE, [pod(1)], {}, [empty])
    assert (len(wanted.create), len(wanted.update), len(wanted.delete)) == (0, 1, 0)
    (filled,) = apply([empty], wanted)
    assert filled.metadata.name == empty.metadata.name
    port = ServicePort(name="http", port=80, target_port=9090)
    moved = attrs.evolve(SERVICE, spec=attrs.evolve(SERVICE.spec, ports=(port,)))
    assert writes(changes(moved, [pod(1)], {}, [filled])) == 1


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sets(st.integers(0, 320), max_size=320), min_size=1, max_size=5), st.randoms(use_true_random=False))
def test_whatever_comes_and_goes_the_slices_hold_exactly_the_pods(steps: list[set[int]], chance: Any) -> None:
    present: list[EndpointSlice] = []
    for numbers in steps:
        pods = [pod(n, ready=chance.random() < 0.9) for n in sorted(numbers)]
        wanted = changes(SERVICE, pods, {}, present)
        present = apply(present, wanted)
        held = [e.target_ref.uid for one in present for e in one.endpoints if e.target_ref is not None]
        assert sorted(held) == sorted(p.metadata.uid for p in pods)
        assert all(len(one.endpoints) <= MAX_ENDPOINTS for one in present)
        assert present
        assert writes(changes(SERVICE, pods, {}, present)) == 0
